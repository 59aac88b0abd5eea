"""Passwords: kept as Argon2id digests, each with its salt and the cost it was made with.

Hashing is slow on purpose, so a server does it in a thread: see `check_password`.
"""

import asyncio
import hashlib
import hmac
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

LENGTH_MIN = 10
LENGTH_MAX = 256
"""More than anybody types; a megabyte of it would be somebody's attempt to keep us busy."""

SCRYPT_MEMORY_MAX_BYTES = 64 * 1024 * 1024

# OWASP's second choice of 2023: 19 MiB, two passes, one lane. Several people may sign in at once on
# a small machine, and each guess costs this much memory.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_threads = ThreadPoolExecutor(2, "password")


def hash_password(password: str) -> str:
    """`$argon2id$…`, with the cost and the salt in it."""
    return _hasher.hash(password)


def is_password(password: str, hashed: str) -> bool:
    """Whether *hashed* was made of this password, whatever the cost and the method were then."""
    if hashed.startswith("scrypt$"):
        return _is_of_scrypt(password, hashed)
    try:
        return _hasher.verify(hashed, password)
    except (VerifyMismatchError, InvalidHashError):
        return False


def is_outdated(hashed: str) -> bool:
    """Whether a digest should be made anew, now that the password is at hand."""
    return hashed.startswith("scrypt$") or _hasher.check_needs_rehash(hashed)


async def check_password(password: str, hashed: str | None) -> bool:
    """Whether it is the password; without one to compare it takes as long, and is not.

    So the time of an answer does not tell which addresses have an account.
    """
    loop = asyncio.get_running_loop()
    right = await loop.run_in_executor(_threads, _is_password_of, password, hashed)
    return right and hashed is not None


async def hash_aside(password: str) -> str:
    """As `hash_password`, in a thread: the event loop serves paid calls meanwhile."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_threads, hash_password, password)


def _is_password_of(password: str, hashed: str | None) -> bool:
    return is_password(password, hashed or _nobodys())


@cache
def _nobodys() -> str:
    return hash_password("nobody's")


def _is_of_scrypt(password: str, hashed: str) -> bool:
    """As passwords were kept before: `scrypt$cost$block$lanes$salt$digest`, in hex at the end."""
    _, cost, block, lanes, salt, digest = hashed.split("$")
    given = hashlib.scrypt(
        password.encode(),
        salt=bytes.fromhex(salt),
        n=int(cost),
        r=int(block),
        p=int(lanes),
        maxmem=SCRYPT_MEMORY_MAX_BYTES,
    )
    return hmac.compare_digest(given, bytes.fromhex(digest))
