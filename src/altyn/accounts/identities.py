"""Who somebody is at an identity provider: `sub` there is a user here, whatever their address."""

from msgspec import Struct

from altyn.database.engine import Database, Transaction, now_ms


class Identity(Struct, frozen=True, kw_only=True):
    """What a provider says of somebody who has signed in there. `email_verified`: it has made sure
    that the address is theirs; without that anybody may claim any.
    """

    issuer: str
    subject: str
    email: str | None = None
    email_verified: bool = False
    name: str | None = None


class Candidate(Struct, frozen=True):
    """An account that has the address of an identity, and is not connected with it yet."""

    user_id: int
    role: str | None
    has_password: bool
    confirmed_at: int | None

    @property
    def may_be_claimed(self) -> bool:
        """Whether the provider's word is enough. An address that nobody has confirmed here may
        have been taken by somebody else, who would keep the password and the keys; and whoever
        runs this place is not made by another one.
        """
        return self.role is None and (self.confirmed_at is not None or not self.has_password)


async def find_user_of(database: Database, identity: Identity) -> int | None:
    rows = await database.read(
        "SELECT user_id FROM identities WHERE issuer = $1 AND subject = $2",
        identity.issuer,
        identity.subject,
    )
    return rows[0][0] if rows else None


async def find_candidate(database: Database, email: str) -> Candidate | None:
    rows = await database.read(
        "SELECT id, operator_role, password_hash IS NOT NULL, email_confirmed_at FROM users"
        " WHERE email = $1",
        email,
    )
    return Candidate(*rows[0]) if rows else None


async def connect(tx: Transaction, identity: Identity, *, user_id: int) -> None:
    """Let somebody in by this identity from now on. Of two that come at once the first counts."""
    await tx.execute(
        "INSERT INTO identities (issuer, subject, user_id, created_at) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (issuer, subject) DO NOTHING",
        identity.issuer,
        identity.subject,
        user_id,
        now_ms(),
    )


async def list_issuers(database: Database, user_id: int) -> list[str]:
    """Through which providers somebody may come in."""
    rows = await database.read(
        "SELECT issuer FROM identities WHERE user_id = $1 ORDER BY created_at", user_id
    )
    return [row[0] for row in rows]


async def disconnect(tx: Transaction, *, user_id: int) -> bool:
    """Let nobody in as this person but by the password. Whether anybody could come in otherwise."""
    return bool(await tx.execute("DELETE FROM identities WHERE user_id = $1", user_id))
