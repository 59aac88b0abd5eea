"""People and their accounts: `altyn user …`."""

from functools import partial
from typing import Any

from msgspec import Struct

from altyn.accounts.password import hash_password
from altyn.accounts.store import OperatorRole, User, freeze_account, get_user, list_users
from altyn.accounts.store import add_user as insert_user
from altyn.control.office import Office, iso
from altyn.errors import OperatorError
from altyn.money import format_nanos


class UserCard(Struct, kw_only=True):
    """A person, and what they have to spend, in decimal units of `currency`."""

    id: int
    email: str
    operator: str | None
    created_at: str
    frozen: bool
    currency: str
    balance: str
    held: str
    available: str


async def add_user(
    office: Office, *, email: str, password: str | None = None, operator: OperatorRole | None = None
) -> UserCard:
    """Raises `AlreadyExistsError` for a known address."""
    if password is not None and not password.strip():
        raise OperatorError("The password is empty: nothing was added.")
    work = partial(
        insert_user,
        email=email,
        password_hash=None if password is None else hash_password(password),
        operator_role=operator,
    )
    await office.database.write(work)
    return _card(office, await get_user(office.database, email))


async def show_users(office: Office) -> list[UserCard]:
    return [_card(office, user) for user in await list_users(office.database)]


async def freeze_user(office: Office, *, email: str) -> UserCard:
    """Stop every paid call of an account, within a second everywhere."""
    return await _set_frozen(office, email, frozen=True)


async def unfreeze_user(office: Office, *, email: str) -> UserCard:
    return await _set_frozen(office, email, frozen=False)


async def _set_frozen(office: Office, email: str, *, frozen: bool) -> UserCard:
    user = await get_user(office.database, email)

    async def set_it(tx: Any) -> None:
        await freeze_account(tx, user.account_id, frozen=frozen)

    await office.database.write(set_it)
    return _card(office, await get_user(office.database, email))


def _card(office: Office, user: User) -> UserCard:
    return UserCard(
        id=user.id,
        email=user.email,
        operator=user.operator_role,
        created_at=iso(user.created_at),
        frozen=user.frozen_at is not None,
        currency=office.settings.currency,
        balance=format_nanos(user.posted_nanos),
        held=format_nanos(user.held_nanos),
        available=format_nanos(user.posted_nanos - user.held_nanos),
    )
