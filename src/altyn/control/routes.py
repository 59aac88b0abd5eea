"""Which provider serves which model: `altyn route …`."""

from functools import partial
from typing import Any, cast, get_args

from msgspec import Struct

from altyn.catalog.route import (
    Route,
    Strategy,
    add_route,
    list_routes,
    list_strategies,
    remove_routes,
    set_strategy,
)
from altyn.control.office import Office
from altyn.control.upstreams import ConditionCard, ask_report, describe
from altyn.errors import OperatorError
from altyn.upstream import provider as store
from altyn.upstream.dialects import get_dialect
from altyn.upstream.report import Condition


class RouteCard(Struct, kw_only=True):
    """A route and how it does now; `strategy` is how the model's routes are chosen."""

    id: int
    model: str
    provider: str
    upstream_model: str
    dialect: str
    priority: int
    weight: int
    strategy: str
    now: ConditionCard


async def add_one_route(
    office: Office,
    *,
    model: str,
    provider: str,
    upstream_model: str | None = None,
    priority: int = 100,
    weight: int = 1,
    dialect: str | None = None,
) -> RouteCard:
    """Add a route, or set priority and weight of the one there is. Raises `UnknownNameError`."""
    if priority < 0 or weight < 1:
        raise OperatorError("A priority is 0 or more, a weight 1 or more.")
    if dialect is not None:
        await _check_dialect(office, provider, dialect)
    work = partial(
        add_route,
        model_id=model,
        provider=provider,
        upstream_model=upstream_model,
        priority=priority,
        weight=weight,
        dialect=dialect,
    )
    route_id = await office.database.write(work)
    return next(card for card in await show_routes(office, model=model) if card.id == route_id)


async def _check_dialect(office: Office, name: str, dialect: str) -> None:
    get_dialect(dialect)
    providers = await store.list_providers(office.database, office.seal)
    own = next((provider.dialect for provider in providers if provider.name == name), dialect)
    if "sandbox" in (own, dialect) and own != dialect:
        raise OperatorError("The sandbox speaks its own dialect, and nobody else does.")


async def show_routes(office: Office, *, model: str | None = None) -> list[RouteCard]:
    """First choice first, as far as priorities decide it."""
    report = await ask_report(office)
    strategies = await list_strategies(office.database)
    providers = await store.list_providers(office.database, office.seal)
    drained = {provider.id for provider in providers if provider.drained_at is not None}
    return [
        _card(
            route,
            strategy=strategies.get(route.model_id, office.settings.route_strategy),
            now=describe(
                report,
                [report.routes.get(route.id, Condition())],
                drained=route.provider_id in drained,
            ),
        )
        for route in await list_routes(office.database, model_id=model)
    ]


async def choose_strategy(office: Office, *, model: str, strategy: str) -> dict[str, Any]:
    """Choose a model's routes by `priority`, `price` or `latency`; `default` is the setting's way.

    Raises `UnknownNameError`, and `OperatorError` for a strategy that is none.
    """
    if strategy not in ("default", *get_args(Strategy)):
        raise OperatorError(
            f"'{strategy}' is no strategy: choose priority, price, latency or default."
        )
    chosen = None if strategy == "default" else cast("Strategy", strategy)
    await office.database.write(partial(set_strategy, model_id=model, strategy=chosen))
    return {"model": model, "strategy": chosen or office.settings.route_strategy}


async def remove_model_routes(office: Office, *, model: str, provider: str) -> dict[str, Any]:
    """Remove every route of a model at a provider. Raises `UnknownNameError`."""
    work = partial(remove_routes, model_id=model, provider=provider)
    return {
        "model": model,
        "provider": provider,
        "routes_removed": await office.database.write(work),
    }


def _card(route: Route, *, strategy: str, now: ConditionCard) -> RouteCard:
    return RouteCard(
        id=route.id,
        model=route.model_id,
        provider=route.provider,
        upstream_model=route.upstream_model,
        dialect=route.dialect,
        priority=route.priority,
        weight=route.weight,
        strategy=strategy,
        now=now,
    )
