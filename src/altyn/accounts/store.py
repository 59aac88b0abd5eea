"""People and their accounts, in the database. Balances are the ledger's to write, not ours."""

import re
from typing import Literal

from msgspec import Struct

from altyn.database.engine import Database, Transaction, bump_revision, now_ms
from altyn.errors import AlreadyExistsError, OperatorError, UnknownNameError
from altyn.money import Nanos

OperatorRole = Literal["owner", "operator", "support"]
EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}")


class User(Struct, frozen=True):
    """A person, and the account they pay from. Times are milliseconds since 1970 UTC."""

    id: int
    account_id: int
    email: str
    operator_role: str | None
    created_at: int
    posted_nanos: Nanos
    held_nanos: Nanos
    frozen_at: int | None
    price_group: str | None = None


class Profile(Struct, frozen=True, kw_only=True):
    """What people say of themselves. None: as their browser asks."""

    name: str | None = None
    language: str | None = None
    zone: str | None = None


class AccountBalance(Struct, frozen=True):
    """What `GET /balance` shows."""

    posted_nanos: Nanos
    held_nanos: Nanos
    deposited_nanos: Nanos
    used_nanos: Nanos
    low_balance_nanos: Nanos | None = None
    frozen_at: int | None = None

    @property
    def available_nanos(self) -> Nanos:
        return self.posted_nanos - self.held_nanos

    @property
    def state(self) -> Literal["fine", "low", "empty", "frozen"]:
        """What its people should know before their next call does."""
        if self.frozen_at is not None:
            return "frozen"
        if self.deposited_nanos and self.available_nanos <= 0:
            return "empty"
        low = self.low_balance_nanos is not None and self.available_nanos < self.low_balance_nanos
        return "low" if low else "fine"


USER = (
    "SELECT u.id, u.account_id, u.email, u.operator_role, u.created_at, a.posted_nanos,"
    " a.held_nanos, a.frozen_at, a.price_group FROM users u JOIN accounts a ON a.id = u.account_id"
)


async def add_user(
    tx: Transaction,
    email: str,
    *,
    password_hash: str | None = None,
    operator_role: OperatorRole | None = None,
    profile: "Profile | None" = None,
) -> int:
    """Add a person with an account of their own, and return the user's id.

    Raises `AlreadyExistsError` for a known address, whatever the case of its letters.
    """
    chosen = profile or Profile()
    address = normal_email(email)
    await _wait_for_turn(tx, address)
    if await is_known(tx, address):
        raise AlreadyExistsError(f"There is a user {address} already.")
    ((account_id,),) = await tx.fetch(
        "INSERT INTO accounts (kind, name, created_at) VALUES ('customer', $1, $2) RETURNING id",
        address,
        now_ms(),
    )
    added = await tx.fetch(
        "INSERT INTO users (account_id, email, password_hash, operator_role, created_at, name,"
        " language, zone) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
        " ON CONFLICT (email) DO NOTHING RETURNING id",
        account_id,
        address,
        password_hash,
        operator_role,
        now_ms(),
        chosen.name,
        chosen.language,
        chosen.zone,
    )
    if not added:
        # Somebody was added while we looked: the account goes back with this transaction.
        raise AlreadyExistsError(f"There is a user {address} already.")
    return int(added[0][0])


async def _wait_for_turn(tx: Transaction, email: str) -> None:
    """Of two who want an address at once, let the second see that the first has it.

    Without this both see it free, and the second fails only at the UNIQUE of the column. SQLite has
    one writer.
    """
    if tx.kind == "postgresql":
        await tx.fetch("SELECT pg_advisory_xact_lock(4200003, hashtext($1))", email)


async def is_known(tx: Transaction, email: str) -> bool:
    """Whether somebody has this address already."""
    return bool(await tx.fetch("SELECT 1 FROM users WHERE email = $1", email))


def normal_email(text: str) -> str:
    address = text.strip().lower()
    if not EMAIL.fullmatch(address) or not address.isprintable():
        raise OperatorError(f"'{text}' is not an e-mail address.")
    return address


async def find_user(database: Database, email: str) -> User | None:
    rows = await database.read(f"{USER} WHERE u.email = $1", email.strip().lower())
    return User(*rows[0]) if rows else None


async def get_user(database: Database, email: str) -> User:
    user = await find_user(database, email)
    if user is None:
        raise UnknownNameError(f"There is no user {email}. 'altyn user list' shows all.")
    return user


async def list_users(database: Database) -> list[User]:
    return [User(*row) for row in await database.read(f"{USER} ORDER BY u.id")]


async def find_password(database: Database, email: str) -> tuple[int, str | None] | None:
    """A person's id and the digest of their password, which those who never chose one lack."""
    rows = await database.read(
        "SELECT id, password_hash FROM users WHERE email = $1", email.strip().lower()
    )
    return (rows[0][0], rows[0][1]) if rows else None


async def set_password(tx: Transaction, user_id: int, password_hash: str) -> None:
    await tx.execute("UPDATE users SET password_hash = $2 WHERE id = $1", user_id, password_hash)


async def confirm_email(tx: Transaction, user_id: int, *, email: str) -> bool:
    """Note that an address is theirs, if it is still the one they have."""
    confirmed = await tx.execute(
        "UPDATE users SET email_confirmed_at = COALESCE(email_confirmed_at, $3)"
        " WHERE id = $1 AND email = $2",
        user_id,
        email,
        now_ms(),
    )
    return bool(confirmed)


async def find_unproven(tx: Transaction, user_id: int) -> int | None:
    """The account of a person whom nobody knows to be the owner of the address; None of any other.

    Somebody has chosen a password, and whether they have the mailbox was never shown. Without a
    password nobody can have come in; and who has a role got it from whoever runs this place.
    """
    rows = await tx.fetch(
        "SELECT account_id FROM users WHERE id = $1 AND email_confirmed_at IS NULL"
        " AND password_hash IS NOT NULL AND operator_role IS NULL",
        user_id,
    )
    return int(rows[0][0]) if rows else None


async def change_email(tx: Transaction, user_id: int, *, email: str) -> str | None:
    """Give a person another address, a confirmed one, and return the old one.

    None, and nothing changed, if somebody has it by now or the account is closed.
    """
    await _wait_for_turn(tx, email)
    rows = await tx.fetch("SELECT email FROM users WHERE id = $1 AND closed_at IS NULL", user_id)
    if not rows or await is_known(tx, email):
        return None
    old = str(rows[0][0])
    await tx.execute(
        "UPDATE users SET email = $2, email_confirmed_at = $3 WHERE id = $1",
        user_id,
        email,
        now_ms(),
    )
    await tx.execute(
        "UPDATE accounts SET name = $2"
        " WHERE name = $3 AND id = (SELECT account_id FROM users WHERE id = $1)",
        user_id,
        email,
        old,
    )
    return old


async def is_confirmed(database: Database, user_id: int) -> bool:
    rows = await database.read("SELECT email_confirmed_at FROM users WHERE id = $1", user_id)
    return bool(rows) and rows[0][0] is not None


async def set_profile(tx: Transaction, user_id: int, profile: Profile) -> None:
    """Keep what a person says of themselves; what is None stays as it was."""
    await tx.execute(
        "UPDATE users SET name = COALESCE($2, name), language = COALESCE($3, language),"
        " zone = COALESCE($4, zone) WHERE id = $1",
        user_id,
        profile.name,
        profile.language,
        profile.zone,
    )


async def has_owner(tx: Transaction) -> bool:
    """Whether somebody owns this place and can sign in."""
    return bool(
        await tx.fetch(
            "SELECT 1 FROM users WHERE operator_role = 'owner' AND password_hash IS NOT NULL"
        )
    )


async def freeze_account(tx: Transaction, account_id: int, *, frozen: bool = True) -> None:
    """Stop (or allow again) every paid call of an account. Settlements still go through."""
    await tx.execute(
        "UPDATE accounts SET frozen_at = $2 WHERE id = $1", account_id, now_ms() if frozen else None
    )
    await bump_revision(tx)


async def find_price_group(database: Database, account_id: int) -> str | None:
    """The group whose prices an account pays; None: everybody's."""
    rows = await database.read("SELECT price_group FROM accounts WHERE id = $1", account_id)
    return rows[0][0] if rows else None


async def set_price_group(tx: Transaction, account_id: int, group: str | None) -> None:
    """Sell to an account at the prices of a group, from its next call on; None: at everybody's."""
    await tx.execute("UPDATE accounts SET price_group = $2 WHERE id = $1", account_id, group)
    await bump_revision(tx)


async def set_low_balance(tx: Transaction, account_id: int, nanos: Nanos | None) -> None:
    """Warn an account's people while less than this is available; None: never."""
    await tx.execute("UPDATE accounts SET low_balance_nanos = $2 WHERE id = $1", account_id, nanos)


async def get_balance(database: Database, account_id: int) -> AccountBalance:
    rows = await database.read(
        "SELECT posted_nanos, held_nanos, deposited_nanos, used_nanos, low_balance_nanos,"
        " frozen_at FROM accounts WHERE id = $1 AND kind = 'customer'",
        account_id,
    )
    return AccountBalance(*rows[0])
