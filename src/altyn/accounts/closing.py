"""Closing an account: the person goes, the books stay.

Entries and records are what the operator has to keep; they name an account, and nothing of the
person. Everything that opens something, and everything that says who it was, is gone.
"""

from altyn.database.engine import Transaction, bump_revision, now_ms


async def close_account(tx: Transaction, *, user_id: int, account_id: int) -> bool:
    """Close it, unless money is on it or a call still runs: then nothing happens."""
    rows = await tx.fetch("SELECT posted_nanos, held_nanos FROM accounts WHERE id = $1", account_id)
    if not rows or rows[0][0] > 0 or rows[0][1] > 0:
        return False
    now, gone = now_ms(), f"closed-{user_id}@closed.invalid"
    await tx.execute(
        "UPDATE keys SET revoked_at = COALESCE(revoked_at, $2) WHERE account_id = $1",
        account_id,
        now,
    )
    await tx.execute(
        "UPDATE accounts SET name = $2, frozen_at = $3 WHERE id = $1", account_id, gone, now
    )
    await tx.execute(
        "UPDATE users SET email = $2, name = NULL, password_hash = NULL, operator_role = NULL,"
        " totp_sealed = NULL, totp_step = NULL, closed_at = $3 WHERE id = $1",
        user_id,
        gone,
        now,
    )
    for table in ("sessions", "tickets", "recovery_codes", "identities", "consents"):
        await tx.execute(f"DELETE FROM {table} WHERE user_id = $1", user_id)  # noqa: S608 -- of the line above
    await bump_revision(tx)
    return True
