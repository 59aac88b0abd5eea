"""What a host serves and what it takes, beside what we know of it: `altyn provider import`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from msgspec import Struct, structs

from altyn.catalog.load import Catalog, import_models, load_catalog
from altyn.catalog.model import Model
from altyn.catalog.price import TOKEN_KINDS, Price, decimals
from altyn.catalog.pricebook import PriceRow
from altyn.catalog.route import add_route
from altyn.chat import Fault
from altyn.control.furnish import vendor_routes
from altyn.control.listed_cost import as_model, read_cost
from altyn.control.office import Office
from altyn.control.price_cards import ChangeCard, LossCard
from altyn.control.prices import write_rows
from altyn.database.engine import Transaction, now_ms
from altyn.errors import OperatorError, UnknownNameError
from altyn.upstream import provider as store
from altyn.upstream.client import Client
from altyn.upstream.connection import Patience
from altyn.upstream.listing import Listed, read_listing
from altyn.upstream.provider import VENDORS, Provider
from altyn.upstream.router import Router

LIST_CURRENCY = "USD"


class Difference(Struct, kw_only=True):
    """One thing that the list says and we do not, or the other way round.

    `model`: one that was asked for and is not in the catalog yet. `route`: it serves one of ours
    and is not asked. `cost`: it takes something else than we think, per million tokens. `gone`: we
    ask for one that it does not list.
    """

    what: Literal["model", "route", "cost", "gone"]
    model: str
    upstream_model: str
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


class Comparison(Struct, kw_only=True):
    """A host's list beside ours. `changes` and `losses` as the price commands tell them."""

    provider: str
    listed: int
    unknown: int
    differences: list[Difference]
    applied: bool
    note: str = ""
    changes: list[ChangeCard] = []
    losses: list[LossCard] = []


class Look(NamedTuple):
    """A list and what we know, side by side. `names`: ours, and its dialect, by the host's."""

    provider: Provider
    catalog: Catalog
    listed: Mapping[str, Listed]
    names: Mapping[str, tuple[str, str | None]]
    new: Sequence[Model]


async def import_list(
    office: Office,
    *,
    name: str,
    models: tuple[str, ...] = (),
    apply: bool = False,
    below_cost: bool = False,
    by: str | None = None,
) -> Comparison:
    """Compare a host's list with catalog, routes and costs; with `apply` take over what it says.

    `models` of the list that are not in the catalog are taken into it. Routes to what is gone stay:
    only the operator ends them.

    Raises `UnknownNameError`, and `OperatorError` when the list cannot be had, or for a loss that
    nobody confirmed: then no price is written.
    """
    look = await _look(office, name, models)
    priced = office.settings.currency == LIST_CURRENCY
    rows = list(_cost_rows(look, by)) if priced else []
    differences = [*_new_models(look), *_new_routes(look), *_costs(look, rows), *_gone(look)]
    comparison = Comparison(
        provider=name,
        listed=len(look.listed),
        unknown=sum(1 for one in look.listed if one not in look.names),
        differences=differences,
        applied=apply,
        note="" if priced else f"Its prices are in {LIST_CURRENCY} and were left out.",
    )
    if apply:
        await office.database.write(lambda tx: _write(tx, look, office.settings.currency, by))
    # What is only looked at has no row in the catalog yet to hang a price on.
    known = [row for row in rows if apply or row.model_id in look.catalog.models]
    written = await write_rows(office, prices=known, dry_run=not apply, below_cost=below_cost)
    comparison.changes, comparison.losses = written.changes, written.losses
    return comparison


# Looking --------------------------------------------------------------------------------------


async def _look(office: Office, name: str, wanted: Sequence[str]) -> Look:
    providers = await store.list_providers(office.database, office.seal)
    provider = next((one for one in providers if one.name == name), None)
    if provider is None:
        raise UnknownNameError(f"There is no provider {name}. 'altyn provider list' shows all.")
    if provider.dialect == "sandbox":
        raise OperatorError("The sandbox has no list: its models came with this version.")
    listed = {model.id: model for model in await _fetch(office, provider)}
    catalog = await load_catalog(office.database)
    source = f"{provider.host}/models"
    new = [
        as_model(_get_listed(listed, model), source=source)
        for model in wanted
        if model not in catalog.models
    ]
    return Look(provider, catalog, listed, _our_names(provider, catalog, new), new)


async def _fetch(office: Office, provider: Provider) -> list[Listed]:
    settings = office.settings
    patience = Patience(
        settings.connect_timeout_s, settings.first_event_timeout_s, settings.idle_timeout_s
    )
    client = Client(Router())
    try:
        return read_listing(await client.list_models(provider, patience))
    except Fault as fault:
        said = fault.message.replace(provider.secret, "…") if provider.secret else fault.message
        status = f" {fault.status}" if fault.status else ""
        raise OperatorError(
            f"{provider.name} gives no list of models: {fault.kind}{status} {said}".rstrip() + "."
        ) from None
    finally:
        await client.close()


def _get_listed(listed: Mapping[str, Listed], model: str) -> Listed:
    if model not in listed:
        raise UnknownNameError(f"The list does not hold {model}.")
    return listed[model]


def _our_names(
    provider: Provider, catalog: Catalog, new: Sequence[Model]
) -> dict[str, tuple[str, str | None]]:
    """What we call what the host lists: as routes say, as this vendor is known to, or the same."""
    models = [*catalog.models.values(), *new]
    names: dict[str, tuple[str, str | None]] = {model.id: (model.id, None) for model in models}
    for vendor in VENDORS:
        if vendor.base_url == provider.base_url:
            for model_id, upstream_model, dialect in vendor_routes(vendor, models):
                names[upstream_model] = (model_id, dialect)
    for routes in catalog.routes.values():
        for route in routes:
            if route.provider_id == provider.id:
                names[route.upstream_model] = (route.model_id, None)
    return names


# What differs ---------------------------------------------------------------------------------


def _matches(look: Look) -> Iterator[tuple[str, str, str | None]]:
    """Their name, ours, and the dialect, of everything that both have."""
    for upstream_model, (model_id, dialect) in sorted(look.names.items()):
        if upstream_model in look.listed:
            yield upstream_model, model_id, dialect


def _routed(look: Look) -> set[tuple[str, str]]:
    return {
        (route.model_id, route.upstream_model)
        for routes in look.catalog.routes.values()
        for route in routes
        if route.provider_id == look.provider.id
    }


def _new_models(look: Look) -> Iterator[Difference]:
    for model in look.new:
        yield Difference(what="model", model=model.id, upstream_model=model.id)


def _new_routes(look: Look) -> Iterator[Difference]:
    routed = _routed(look)
    for upstream_model, model_id, _ in _matches(look):
        if (model_id, upstream_model) not in routed:
            yield Difference(what="route", model=model_id, upstream_model=upstream_model)


def _gone(look: Look) -> Iterator[Difference]:
    for model_id, upstream_model in sorted(_routed(look)):
        if upstream_model not in look.listed:
            yield Difference(what="gone", model=model_id, upstream_model=upstream_model)


def _cost_rows(look: Look, by: str | None) -> Iterator[PriceRow]:
    now = now_ms()
    for upstream_model, model_id, _ in _matches(look):
        said = read_cost(look.listed[upstream_model].pricing)
        if said is None:
            continue
        known = look.catalog.prices.find_cost(model_id, look.provider.name, now)
        price = _completed(Price.from_per_million_decimals(said), known)
        if price != known:
            yield PriceRow(
                id=0,
                model_id=model_id,
                kind="cost",
                price_group=None,
                effective_from=now,
                price=price,
                source=f"{look.provider.host}/models",
                provider=look.provider.name,
                written_by=by,
            )


def _completed(said: Price, known: Price | None) -> Price:
    """What a list leaves unsaid stays as it is known: lists have been without their tiers, and a
    cost that is understated sells at a loss.
    """
    if known is None:
        return said
    kept = {kind: getattr(known, kind) for kind in TOKEN_KINDS if getattr(said, kind) is None}
    tiers = said.tiers or known.tiers
    return structs.replace(said, **kept, tiers=tiers, cache_write_on_top=known.cache_write_on_top)


def _costs(look: Look, rows: Sequence[PriceRow]) -> Iterator[Difference]:
    theirs = {model_id: upstream_model for upstream_model, model_id, _ in _matches(look)}
    for row in rows:
        known = look.catalog.prices.find_cost(row.model_id, row.provider, row.effective_from)
        assert row.price is not None
        yield Difference(
            what="cost",
            model=row.model_id,
            upstream_model=theirs[row.model_id],
            before=None if known is None else decimals(known),
            after=decimals(row.price),
        )


# Writing --------------------------------------------------------------------------------------


async def _write(tx: Transaction, look: Look, currency: str, by: str | None) -> None:
    await import_models(tx, look.new, replace=False, currency=currency, written_by=by)
    routed = _routed(look)
    for upstream_model, model_id, dialect in _matches(look):
        if (model_id, upstream_model) not in routed:
            await add_route(
                tx,
                model_id=model_id,
                provider=look.provider.name,
                upstream_model=upstream_model,
                dialect=dialect,
            )
