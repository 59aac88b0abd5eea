"""The second step at the door: one-time passwords by the clock, and codes for a lost phone.

RFC 6238 as every authenticator has it: SHA-1, six digits, thirty seconds. A password that was used
opens nothing again, and neither does one before it.
"""

import base64
import hashlib
import secrets
from typing import NamedTuple

from pyotp.totp import TOTP

from altyn.database.engine import Database, Transaction, now_ms
from altyn.database.seal import Seal

STEP_MS = 30_000
DRIFT_STEPS = 1
"""Clocks of phones go wrong by this much, and people type slowly."""

RECOVERY_CODES = 10
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
RECOVERY_LENGTH = 12


class SecondStep(NamedTuple):
    """What somebody has to show beside their password. No secret: nothing."""

    secret: str | None
    used_step: int


def new_secret() -> str:
    """160 bits, as RFC 4226 recommends, in the letters that phones take."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def provisioning_uri(secret: str, *, email: str, issuer: str) -> str:
    """What a phone reads from the QR code."""
    uri: str = TOTP(secret).provisioning_uri(name=email, issuer_name=issuer)
    return uri


def find_step(secret: str, code: str, *, after: int = 0) -> int | None:
    """Which step of the clock a code belongs to, if it is right and newer than *after*."""
    plain = "".join(code.split())
    now = now_ms() // STEP_MS
    for step in range(now - DRIFT_STEPS, now + DRIFT_STEPS + 1):
        if step > after and secrets.compare_digest(
            TOTP(secret).generate_otp(step).encode(), plain.encode()
        ):
            return step
    return None


async def find_second_step(database: Database, seal: Seal, user_id: int) -> SecondStep:
    rows = await database.read("SELECT totp_sealed, totp_step FROM users WHERE id = $1", user_id)
    sealed, step = rows[0] if rows else (None, None)
    secret = None if sealed is None else seal.open(bytes(sealed), purpose=_purpose(user_id))
    return SecondStep(secret, step or 0)


async def enable(tx: Transaction, seal: Seal, user_id: int, *, secret: str, step: int) -> list[str]:
    """Ask for the second step from now on. Returns the recovery codes, known only now."""
    await tx.execute(
        "UPDATE users SET totp_sealed = $2, totp_step = $3 WHERE id = $1",
        user_id,
        seal.seal(secret, purpose=_purpose(user_id)),
        step,
    )
    return await renew_recovery_codes(tx, user_id)


async def disable(tx: Transaction, user_id: int) -> bool:
    """Ask for the password alone from now on. Whether there was a second step."""
    disabled = await tx.execute(
        "UPDATE users SET totp_sealed = NULL, totp_step = NULL"
        " WHERE id = $1 AND totp_sealed IS NOT NULL",
        user_id,
    )
    await tx.execute("DELETE FROM recovery_codes WHERE user_id = $1", user_id)
    return bool(disabled)


async def use_step(tx: Transaction, user_id: int, step: int) -> bool:
    """Use a code up. Of two that come at once with the same one, one gets in."""
    used = await tx.execute(
        "UPDATE users SET totp_step = $2 WHERE id = $1 AND (totp_step IS NULL OR totp_step < $2)",
        user_id,
        step,
    )
    return bool(used)


async def use_recovery_code(tx: Transaction, user_id: int, code: str) -> bool:
    used = await tx.execute(
        "DELETE FROM recovery_codes WHERE digest = $1 AND user_id = $2",
        _digest(user_id, code),
        user_id,
    )
    return bool(used)


async def renew_recovery_codes(tx: Transaction, user_id: int) -> list[str]:
    await tx.execute("DELETE FROM recovery_codes WHERE user_id = $1", user_id)
    codes = [_mint() for _ in range(RECOVERY_CODES)]
    for code in codes:
        await tx.execute(
            "INSERT INTO recovery_codes (digest, user_id) VALUES ($1, $2)",
            _digest(user_id, code),
            user_id,
        )
    return codes


async def count_recovery_codes(database: Database, user_id: int) -> int:
    ((count,),) = await database.read(
        "SELECT COUNT(*) FROM recovery_codes WHERE user_id = $1", user_id
    )
    return int(count)


def _mint() -> str:
    code = "".join(secrets.choice(ALPHABET) for _ in range(RECOVERY_LENGTH))
    return "-".join(code[start : start + 4] for start in range(0, RECOVERY_LENGTH, 4))


def _digest(user_id: int, code: str) -> bytes:
    """59 random bits, tried a few times a minute: no slow hash is needed."""
    plain = "".join(sign for sign in code.lower() if sign.isalnum())
    return hashlib.sha256(f"{user_id} {plain}".encode()).digest()


def _purpose(user_id: int) -> str:
    return f"totp:{user_id}"
