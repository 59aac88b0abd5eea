"""Passwords: kept as Argon2id digests, each with its salt and the cost it was made with.

Hashing is slow on purpose, so a server does it in a thread: see `check_password`.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

LENGTH_MIN = 10
LENGTH_MAX = 256
"""More than anybody types; a megabyte of it would be somebody's attempt to keep us busy."""

DIFFERENT_MIN = 4
ROWS = (
    "1234567890123456789012345678901234567890",
    "0987654321098765432109876543210987654321",
    "qwertyuiopasdfghjklzxcvbnm",
    "йцукенгшщзхъфывапролджэячсмитьбю",
    "abcdefghijklmnopqrstuvwxyz",
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv5tgb6yhn",
)
COMMON = frozenset(
    """password12 password123 password1234 password12345 passw0rd123 p@ssw0rd123 iloveyou123
    qwerty12345 qwerty123456 qwertyuiop1 administrator letmein1234 welcome123 welcome1234
    changeme123 adminadmin passwordpassword football123 baseball123 superman123 sunshine123
    qwerty1234 1234qwerty 123456qwerty abcdef123456 abc1234567 asdfghjkl123 zxcvbnm123
    monkey12345 dragon12345 master12345 trustno1trustno1 parolparol пароль1234
    пароль12345""".split()  # noqa: SIM905 -- words read as words
)
"""Those of the well-known lists that are long enough to be taken at all."""

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


def is_common(password: str, *, email: str) -> bool:
    """Whether it is among the first that anybody would try."""
    plain = password.lower()
    return (
        plain in COMMON
        or len(set(plain)) < DIFFERENT_MIN
        or plain in {email.lower(), email.lower().partition("@")[0]}
        or any(run in {plain, plain[::-1]} for run in _runs(len(plain)))
    )


def _runs(length: int) -> Iterator[str]:
    """Neighbours on the keyboard or in the alphabet, as long as the password."""
    for row in ROWS:
        yield from (row[start : start + length] for start in range(max(1, len(row) - length + 1)))


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
