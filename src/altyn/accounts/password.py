"""Passwords: kept as scrypt digests, each with a salt and the cost it was made with."""

import hashlib
import hmac
import secrets

COST, BLOCK, LANES = 2**15, 8, 1
"""32 MiB and about 0.1 s for each guess: what scrypt's author asks of an interactive log-in."""

MEMORY_MAX_BYTES = 64 * 1024 * 1024
SALT_BYTES = 16


def hash_password(password: str) -> str:
    """`scrypt$cost$block$lanes$salt$digest`, the last two in hex."""
    salt = secrets.token_bytes(SALT_BYTES)
    digest = _digest(password, salt, cost=COST, block=BLOCK, lanes=LANES)
    return f"scrypt${COST}${BLOCK}${LANES}${salt.hex()}${digest.hex()}"


def is_password(password: str, hashed: str) -> bool:
    """Whether *hashed* was made of this password, whatever the cost was then."""
    _, cost, block, lanes, salt, digest = hashed.split("$")
    given = _digest(
        password, bytes.fromhex(salt), cost=int(cost), block=int(block), lanes=int(lanes)
    )
    return hmac.compare_digest(given, bytes.fromhex(digest))


def _digest(password: str, salt: bytes, *, cost: int, block: int, lanes: int) -> bytes:
    return hashlib.scrypt(
        password.encode(), salt=salt, n=cost, r=block, p=lanes, maxmem=MEMORY_MAX_BYTES
    )
