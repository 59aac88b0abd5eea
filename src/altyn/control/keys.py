"""Keys: `altyn key …`. The secret is in the answer of `create` and nowhere else."""

from typing import Any

from msgspec import Struct, structs

from altyn.accounts.store import get_user, list_users
from altyn.catalog.load import read_moment
from altyn.control.office import Office, iso
from altyn.database.engine import Database, now_ms
from altyn.errors import OperatorError, UnknownNameError
from altyn.keys.key import Period
from altyn.keys.store import Key, KeyRules, create_key, list_keys, revoke_key
from altyn.money import format_nanos, parse_nanos


class KeyCard(Struct, kw_only=True):
    """A key as it may be shown. Limits that are None are the account's."""

    id: int
    user: str
    name: str
    mode: str
    prefix: str
    last_four: str
    created_at: str
    revoked_at: str | None
    expires_at: str | None
    limit: str | None
    limit_period: str | None
    models: tuple[str, ...] | None
    ip_ranges: tuple[str, ...] | None
    scopes: tuple[str, ...] | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    parallel_requests: int | None


class NewKey(KeyCard, kw_only=True):
    """The only answer that ever holds the key itself."""

    key: str


async def add_key(
    office: Office,
    *,
    user: str,
    name: str = "",
    test: bool = False,
    limit: str | None = None,
    limit_period: Period | None = None,
    expires: str | None = None,
    models: tuple[str, ...] | None = None,
    ip_ranges: tuple[str, ...] | None = None,
    scopes: tuple[str, ...] | None = None,
    requests_per_minute: int | None = None,
    tokens_per_minute: int | None = None,
    parallel_requests: int | None = None,
) -> NewKey:
    """Mint a key. `limit` is decimal units of currency, `expires` a date or an RFC 3339 time.

    Raises `UnknownNameError` for a user or a model that does not exist, `OperatorError` for a rule
    that cannot be kept.
    """
    if limit_period is not None and limit is None:
        raise OperatorError("A limit period needs a limit: give --limit too.")
    owner = await get_user(office.database, user)
    await _check_models(office.database, models)
    rules = KeyRules(
        limit_nanos=None if limit is None else parse_nanos(limit),
        limit_period=limit_period or "total",
        expires_at=None if expires is None else _future(expires),
        models=models,
        ip_ranges=ip_ranges,
        scopes=scopes,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        parallel_requests=parallel_requests,
    )

    async def mint_it(tx: Any) -> tuple[int, str]:
        return await create_key(
            tx,
            account_id=owner.account_id,
            name=name,
            mode="test" if test else "live",
            rules=rules,
            pepper=office.seal.pepper,
        )

    key_id, secret = await office.database.write(mint_it)
    minted = await _get_key(office.database, key_id)
    return NewKey(key=secret, **structs.asdict(_card(minted, owner.email)))


async def show_keys(office: Office, *, user: str | None = None) -> list[KeyCard]:
    owner = None if user is None else await get_user(office.database, user)
    emails = {person.account_id: person.email for person in await list_users(office.database)}
    keys = await list_keys(office.database, account_id=owner.account_id if owner else None)
    return [_card(key, emails.get(key.account_id, "")) for key in keys]


async def revoke(office: Office, *, id: int) -> KeyCard:  # noqa: A002 -- as the list names it
    """Every process refuses the key within a second. Raises `UnknownNameError`."""

    async def revoke_it(tx: Any) -> None:
        await revoke_key(tx, id)

    await office.database.write(revoke_it)
    cards = await show_keys(office)
    return next(card for card in cards if card.id == id)


async def _get_key(database: Database, key_id: int) -> Key:
    return next(key for key in await list_keys(database) if key.id == key_id)


async def _check_models(database: Database, models: tuple[str, ...] | None) -> None:
    if models is None:
        return
    known = {model_id for (model_id,) in await database.read("SELECT id FROM models")}
    for model in models:
        if model not in known:
            raise UnknownNameError(f"There is no model {model}. 'altyn catalog list' shows all.")


def _future(text: str) -> int:
    moment = read_moment(text)
    if moment <= now_ms():
        raise OperatorError(f"{text} is in the past: such a key would open nothing.")
    return moment


def _card(key: Key, email: str) -> KeyCard:
    rules = key.rules
    return KeyCard(
        id=key.id,
        user=email,
        name=key.name,
        mode=key.mode,
        prefix=key.prefix,
        last_four=key.last_four,
        created_at=iso(key.created_at),
        revoked_at=None if key.revoked_at is None else iso(key.revoked_at),
        expires_at=None if rules.expires_at is None else iso(rules.expires_at),
        limit=None if rules.limit_nanos is None else format_nanos(rules.limit_nanos),
        limit_period=None if rules.limit_nanos is None else rules.limit_period,
        models=rules.models,
        ip_ranges=rules.ip_ranges,
        scopes=rules.scopes,
        requests_per_minute=rules.requests_per_minute,
        tokens_per_minute=rules.tokens_per_minute,
        parallel_requests=rules.parallel_requests,
    )
