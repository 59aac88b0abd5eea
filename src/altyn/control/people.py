"""People and their accounts: `altyn user …`."""

from functools import partial
from typing import Any

from msgspec import Struct

from altyn.accounts.password import hash_password
from altyn.accounts.store import (
    OperatorRole,
    User,
    freeze_account,
    get_user,
    list_users,
    set_price_group,
)
from altyn.accounts.store import add_user as insert_user
from altyn.catalog.load import load_catalog
from altyn.control.office import Office, iso
from altyn.control.prices import check_group
from altyn.errors import OperatorError
from altyn.money import format_nanos


class UserCard(Struct, kw_only=True):
    """A person, and what they have to spend, in decimal units of `currency`."""

    id: int
    email: str
    operator: str | None
    created_at: str
    frozen: bool
    price_group: str | None
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


async def choose_price_group(
    office: Office, *, email: str, group: str | None = None
) -> dict[str, Any]:
    """Sell to an account at the prices of a group; None: at everybody's.

    `priced` tells whether any price or markup is set for the group: a misspelt one has none.
    """
    if group is not None:
        check_group(group)
    user = await get_user(office.database, email)
    await office.database.write(partial(set_price_group, account_id=user.account_id, group=group))
    groups = (await load_catalog(office.database)).prices.groups
    return {"email": user.email, "price_group": group, "priced": group is None or group in groups}


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
        price_group=user.price_group,
        currency=office.settings.currency,
        balance=format_nanos(user.posted_nanos),
        held=format_nanos(user.held_nanos),
        available=format_nanos(user.posted_nanos - user.held_nanos),
    )
