"""Who is signed in: an opaque secret in a cookie, its digest in a row that can be revoked.

Nothing about the person is in the cookie, so nothing in it can be forged or go stale: a session
that is ended here is over at the next request, in every process.
"""

import hashlib
import secrets

from msgspec import Struct

from altyn.database.engine import Database, Transaction, now_ms

DAY_MS = 86_400_000
LASTS_MS = 30 * DAY_MS
"""How long somebody stays signed in, used or not."""

IDLE_MS = 14 * DAY_MS
SEEN_EVERY_MS = 60_000
"""How often a session in use is written down: a page view must not cost a write."""

BROWSER_LENGTH_MAX = 200
BROWSERS = ("Firefox", "Edg", "OPR", "YaBrowser", "Chrome", "Safari", "curl", "python")
"""In this order: each of the later ones is named by some of those before it."""

SYSTEMS = ("Android", "iPhone", "iPad", "Windows", "Mac OS", "Linux")
SAID_AS = {"Edg": "Edge", "OPR": "Opera", "YaBrowser": "Yandex", "Mac OS": "macOS"}


class SignedIn(Struct, frozen=True, kw_only=True):
    """The person behind a request, and the session they came with. Times in ms."""

    session_id: int
    user_id: int
    account_id: int
    email: str
    name: str | None
    role: str | None
    language: str | None
    zone: str | None
    email_confirmed_at: int | None
    has_password: bool
    signed_in_at: int
    seen_at: int


class Session(Struct, frozen=True):
    """One row of the list of sessions."""

    id: int
    created_at: int
    seen_at: int
    address: str
    browser: str

    @property
    def device(self) -> str:
        """What the browser says it is, in two words: `Firefox, Windows`."""
        return ", ".join(_first(self.browser, names) for names in (BROWSERS, SYSTEMS)).strip(", ")


async def open_session(tx: Transaction, user_id: int, *, address: str, browser: str) -> str:
    """Sign somebody in, and return the secret for their cookie."""
    secret, now = secrets.token_urlsafe(32), now_ms()
    await tx.execute("DELETE FROM sessions WHERE expires_at < $1", now)
    await tx.execute(
        "INSERT INTO sessions (user_id, digest, created_at, seen_at, expires_at, address, browser)"
        " VALUES ($1, $2, $3, $3, $4, $5, $6)",
        user_id,
        digest(secret),
        now,
        now + LASTS_MS,
        address,
        browser[:BROWSER_LENGTH_MAX],
    )
    return secret


async def find_session(database: Database, secret: str) -> SignedIn | None:
    """Who holds this secret, if it is still good."""
    now = now_ms()
    rows = await database.read(
        "SELECT s.id, u.id, u.account_id, u.email, u.name, u.operator_role, u.language, u.zone,"
        " u.email_confirmed_at, u.password_hash IS NOT NULL, s.created_at, s.seen_at"
        " FROM sessions s JOIN users u ON u.id = s.user_id"
        " WHERE s.digest = $1 AND s.expires_at > $2 AND s.seen_at > $3",
        digest(secret),
        now,
        now - IDLE_MS,
    )
    return SignedIn(**dict(zip(SignedIn.__struct_fields__, rows[0], strict=True))) if rows else None


async def note_seen(tx: Transaction, session_id: int, *, address: str) -> None:
    await tx.execute(
        "UPDATE sessions SET seen_at = $2, address = $3 WHERE id = $1",
        session_id,
        now_ms(),
        address,
    )


async def list_sessions(database: Database, user_id: int) -> list[Session]:
    """A person's sessions, the one used last first."""
    rows = await database.read(
        "SELECT id, created_at, seen_at, address, browser FROM sessions"
        " WHERE user_id = $1 AND expires_at > $2 ORDER BY seen_at DESC, id DESC",
        user_id,
        now_ms(),
    )
    return [Session(*row) for row in rows]


async def close_session(tx: Transaction, session_id: int, *, user_id: int) -> bool:
    """End one session of this person. Whether there was one."""
    ended = await tx.execute(
        "DELETE FROM sessions WHERE id = $1 AND user_id = $2", session_id, user_id
    )
    return bool(ended)


async def close_other_sessions(tx: Transaction, *, user_id: int, but: int | None) -> None:
    """End every session of this person, but one if it is given."""
    await tx.execute("DELETE FROM sessions WHERE user_id = $1 AND id <> $2", user_id, but or 0)


def _first(browser: str, names: tuple[str, ...]) -> str:
    """The first of some names that a browser says of itself, as people know it."""
    found = next((name for name in names if name in browser), "")
    return SAID_AS.get(found, found)


def digest(secret: str) -> bytes:
    """What is stored of a secret that we made: 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).digest()
