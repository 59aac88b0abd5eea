"""What is good once: links that open something, and forms that must not do their deed twice."""

import re
import secrets
from typing import Literal

from msgspec import Struct

from altyn.database.engine import Database, Transaction, now_ms
from altyn.web.session import digest

Purpose = Literal["set_up", "invite", "confirm", "reset", "change", "form"]
MINUTE_MS = 60_000
LASTS_MS: dict[Purpose, int] = {
    "set_up": 30 * MINUTE_MS,
    "invite": 7 * 24 * 60 * MINUTE_MS,
    "confirm": 24 * 60 * MINUTE_MS,
    "reset": 30 * MINUTE_MS,
    "change": 24 * 60 * MINUTE_MS,
    "form": 24 * 60 * MINUTE_MS,
}


class Ticket(Struct, frozen=True):
    purpose: str
    user_id: int | None
    email: str | None


async def issue_ticket(
    tx: Transaction, purpose: Purpose, *, user_id: int | None = None, email: str | None = None
) -> str:
    """Make a link's secret. Those that have run out are swept away on the way."""
    secret, now = secrets.token_urlsafe(24), now_ms()
    await tx.execute("DELETE FROM tickets WHERE expires_at < $1", now)
    await tx.execute(
        "INSERT INTO tickets (digest, purpose, user_id, email, created_at, expires_at)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        digest(secret),
        purpose,
        user_id,
        email,
        now,
        now + LASTS_MS[purpose],
    )
    return secret


async def find_ticket(database: Database, purpose: Purpose, secret: str) -> Ticket | None:
    """Whether a link is still good, without using it: a page may be looked at twice."""
    rows = await database.read(
        "SELECT purpose, user_id, email FROM tickets"
        " WHERE digest = $1 AND purpose = $2 AND expires_at > $3",
        digest(secret),
        purpose,
        now_ms(),
    )
    return Ticket(*rows[0]) if rows else None


async def take_ticket(tx: Transaction, purpose: Purpose, secret: str) -> Ticket | None:
    """Use a link up. Of two that come at once, one gets it: the deletion decides."""
    rows = await tx.fetch(
        "DELETE FROM tickets WHERE digest = $1 AND purpose = $2 AND expires_at > $3"
        " RETURNING purpose, user_id, email",
        digest(secret),
        purpose,
        now_ms(),
    )
    return Ticket(*rows[0]) if rows else None


async def forget_tickets(tx: Transaction, *, user_id: int, purpose: Purpose | None = None) -> None:
    """Let every link that was sent to a person, or those for one purpose, open nothing any more."""
    await tx.execute(
        "DELETE FROM tickets WHERE user_id = $1 AND purpose <> 'form'"
        " AND purpose = COALESCE($2, purpose)",
        user_id,
        purpose,
    )


def new_nonce() -> str:
    """What a form carries to be sent once. It is stored when the form is sent, not when shown."""
    return secrets.token_urlsafe(16)


def is_nonce(text: str) -> bool:
    """Whether a form's number looks as we make them: it may become part of a reference."""
    return re.fullmatch(r"[A-Za-z0-9_-]{16,40}", text) is not None


async def use_nonce(tx: Transaction, nonce: str, *, user_id: int) -> bool:
    """Whether this form of this person is sent for the first time; in the deed's own transaction,
    so that the deed and the note of it become true together.
    """
    now = now_ms()
    used = await tx.execute(
        "INSERT INTO tickets (digest, purpose, user_id, created_at, expires_at)"
        " VALUES ($1, 'form', $2, $3, $4) ON CONFLICT (digest) DO NOTHING",
        digest(f"{user_id} {nonce}"),
        user_id,
        now,
        now + LASTS_MS["form"],
    )
    return bool(used)
