"""The key of an account's playground. Nobody can hold it, so nobody can lose it.

A key is found by the digest of its secret. This one's digest is of words that are no key: whatever
is sent as a key must have the form of one before anything is looked up. So calls from the pages
have a row of their own in `keys`, with a limit, shown and revoked like any other, and no secret
exists that could stand in a page, a log or a backup.
"""

from functools import partial

from altyn.database.engine import Database, now_ms
from altyn.keys.key import ParsedKey, digest
from altyn.keys.store import Caller, KeyRules, add_key, find_caller
from altyn.money import Nanos

SHOWN = ParsedKey("live", "playground", "")


async def open_playground(
    database: Database, *, account_id: int, name: str, limit_nanos: Nanos | None, pepper: bytes
) -> Caller:
    """Who calls from the playground of this account; its key is made at the first time.

    `limit_nanos` is what a new key may spend a day. One that was revoked, or has expired, is
    followed by another.
    """
    while True:
        caller, words = await _find(database, account_id, pepper)
        if caller is not None:
            return caller
        await database.write(
            partial(
                add_key,
                account_id=account_id,
                name=name,
                shown=SHOWN,
                key_digest=words,
                rules=KeyRules(limit_nanos=limit_nanos, limit_period="day"),
            )
        )


async def find_playground(database: Database, *, account_id: int, pepper: bytes) -> Caller | None:
    """The same, for those who only look: None before the first call."""
    return (await _find(database, account_id, pepper))[0]


async def _find(database: Database, account_id: int, pepper: bytes) -> tuple[Caller | None, bytes]:
    """The key that has not ended, if there is one, and the digest of it or of the next."""
    number = 1
    while True:
        words = digest(f"playground {number} of account {account_id}", pepper)
        caller = await find_caller(database, words)
        if caller is None or not _has_ended(caller):
            return caller, words
        number += 1


def _has_ended(caller: Caller) -> bool:
    expires_at = caller.key.rules.expires_at
    return caller.key.revoked_at is not None or (expires_at is not None and expires_at <= now_ms())
