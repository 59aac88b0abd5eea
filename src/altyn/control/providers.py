"""Who serves models: `altyn provider …`."""

from functools import partial
from typing import Any

from msgspec import Struct, structs

from altyn.catalog.address import may_be_fetched
from altyn.catalog.route import list_routes, remove_all_routes
from altyn.control.furnish import add_vendor_routes
from altyn.control.office import Office
from altyn.control.upstreams import ConditionCard, ask_report, describe
from altyn.database.engine import Transaction
from altyn.errors import OperatorError
from altyn.setting_forms import mask_url
from altyn.upstream import provider as store
from altyn.upstream.provider import VENDORS, Provider
from altyn.upstream.report import Condition, Report, combine


class ProviderCard(Struct, kw_only=True):
    """A provider as it may be shown: whether it has a secret, never the secret.

    `parallel` is how many calls it takes at once, None for any number; `now` is how it does;
    `caution` is what should be known of its address, None for an ordinary one.
    """

    id: int
    name: str
    dialect: str
    base_url: str
    proxy: str | None
    has_secret: bool
    parallel: int | None
    routes: int
    now: ConditionCard
    caution: str | None


async def add(
    office: Office,
    *,
    name: str,
    dialect: str | None = None,
    base_url: str | None = None,
    secret: str | None = None,
    proxy: str | None = None,
    parallel: int | None = None,
) -> ProviderCard:
    """Add a provider. Of a known vendor dialect and address need not be said, and its models that
    are in the catalog get their routes.

    Raises `AlreadyExistsError`, or `OperatorError` for what could never be called.
    """
    known = next((vendor for vendor in VENDORS if vendor.name == name), None)
    dialect = dialect or (known.dialect if known else None)
    base_url = base_url or (known.base_url if known else None)
    if dialect == "sandbox":
        base_url = base_url or store.SANDBOX_URL
    if dialect is None or base_url is None:
        raise OperatorError(f"{name} is not a vendor known here: give --dialect and --base-url.")

    async def add_it(tx: Transaction) -> None:
        await store.add_provider(
            tx,
            office.seal,
            name=name,
            dialect=dialect,
            base_url=base_url,
            secret=secret,
            proxy_url=proxy,
            parallel_requests=_limit(parallel),
        )
        if known is not None and base_url == known.base_url:
            await add_vendor_routes(tx, known)

    await office.database.write(add_it)
    return await _show_one(office, name)


async def change(
    office: Office, *, name: str, secret: str | None = None, parallel: int | None = None
) -> ProviderCard:
    """Give a provider another key, or let it take so many calls at once; 0 takes the limit away.

    A new key heals at once what the old one had put to rest. Raises `UnknownNameError`.
    """
    if secret is None and parallel is None:
        raise OperatorError("Say what is to change: the key, or --parallel.")

    async def change_it(tx: Transaction) -> None:
        if secret is not None:
            await store.set_secret(tx, office.seal, name=name, secret=secret)
        if parallel is not None:
            await store.set_parallel(tx, name=name, parallel_requests=_limit(parallel))

    await office.database.write(change_it)
    return await _show_one(office, name)


async def drain(office: Office, *, name: str) -> ProviderCard:
    """Give a provider no new calls; those it runs finish. Raises `UnknownNameError`."""
    await office.database.write(partial(store.drain_provider, name=name))
    return await _show_one(office, name)


async def resume(office: Office, *, name: str) -> ProviderCard:
    """Give a provider calls again, and forget what went wrong. Raises `UnknownNameError`."""
    await office.database.write(partial(store.resume_provider, name=name))
    return await _show_one(office, name)


async def show_all(office: Office) -> list[ProviderCard]:
    report = await ask_report(office)
    routes = await list_routes(office.database)
    return [
        _card(provider, report, [route.id for route in routes if route.provider_id == provider.id])
        for provider in await store.list_providers(office.database, office.seal)
    ]


async def _show_one(office: Office, name: str) -> ProviderCard:
    return next(card for card in await show_all(office) if card.name == name)


def _card(provider: Provider, report: Report, route_ids: list[int]) -> ProviderCard:
    own = report.providers.get(provider.id, Condition())
    routes = combine([report.routes[number] for number in route_ids if number in report.routes])
    # The state is the provider's own: one route that rests does not make all of them.
    condition = structs.replace(
        own,
        calls=routes.calls,
        succeeded=routes.succeeded,
        first_event_s=routes.first_event_s,
        whole_s=routes.whole_s,
    )
    return ProviderCard(
        id=provider.id,
        name=provider.name,
        dialect=provider.dialect,
        base_url=provider.base_url,
        proxy=None if provider.proxy_url is None else mask_url(provider.proxy_url),
        has_secret=provider.secret is not None,
        parallel=provider.parallel_requests,
        routes=len(route_ids),
        now=describe(report, [condition], drained=provider.drained_at is not None),
        caution=_caution(provider),
    )


def _caution(provider: Provider) -> str | None:
    """Such addresses are the operator's to choose; he should only know that he has."""
    if provider.dialect == "sandbox":
        return None
    if not may_be_fetched(provider.base_url):
        return f"{provider.host} is inside your network: only servers of your own belong there"
    if provider.secret is not None and provider.base_url.startswith("http://"):
        return f"the key goes to {provider.host} unencrypted: use https"
    return None


def _limit(parallel: int | None) -> int | None:
    """0 is no limit, as everywhere."""
    if parallel is not None and parallel < 0:
        raise OperatorError("A limit is 0 or more calls at once; 0 is no limit.")
    return parallel or None


async def remove(office: Office, *, name: str) -> dict[str, Any]:
    """Remove a provider and all its routes. Raises `UnknownNameError`."""

    async def remove_it(tx: Any) -> int:
        routes = await remove_all_routes(tx, provider=name)
        await store.remove_provider(tx, name)
        return routes

    return {"name": name, "routes_removed": await office.database.write(remove_it)}
