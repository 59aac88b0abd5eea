"""Routes: which provider serves a model, under which name, in which order."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from altyn.database.engine import Database, Transaction, bump_revision, now_ms
from altyn.errors import UnknownNameError

Strategy = Literal["priority", "price", "latency"]
"""Which route is asked first: the one of the lowest priority number, the cheapest for us, or the
one that has begun its answers the soonest of late.
"""


class Route(Struct, frozen=True, kw_only=True):
    """A model at a provider. Lower `priority` is asked first; `weight` shares calls of equals.

    `dialect` is the one it is asked in: its own, if it has one, else the provider's.
    """

    id: int
    model_id: str
    provider_id: int
    provider: str
    upstream_model: str
    dialect: str
    priority: int
    weight: int


async def add_route(
    tx: Transaction,
    *,
    model_id: str,
    provider: str,
    upstream_model: str | None = None,
    priority: int = 100,
    weight: int = 1,
    dialect: str | None = None,
) -> int:
    """Add a route, or set priority and weight of the one that is there. Returns its id.

    `dialect` None: the provider's, or the one that the route has already.
    Raises `UnknownNameError` for a model or provider that does not exist.
    """
    if not await tx.fetch("SELECT 1 FROM models WHERE id = $1", model_id):
        raise UnknownNameError(f"There is no model {model_id}. 'altyn catalog list' shows all.")
    provider_id = await _get_provider_id(tx, provider)
    ((route_id,),) = await tx.fetch(
        "INSERT INTO routes"
        " (model_id, provider_id, upstream_model, priority, weight, dialect, created_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (model_id, provider_id, upstream_model)"
        " DO UPDATE SET priority = excluded.priority, weight = excluded.weight,"
        " dialect = COALESCE(excluded.dialect, routes.dialect) RETURNING id",
        model_id,
        provider_id,
        upstream_model or model_id,
        priority,
        weight,
        dialect,
        now_ms(),
    )
    await bump_revision(tx)
    return int(route_id)


async def list_routes(database: Database, *, model_id: str | None = None) -> list[Route]:
    rows = await database.read(
        "SELECT r.id, r.model_id, r.provider_id, p.name, r.upstream_model,"
        " COALESCE(r.dialect, p.dialect), r.priority, r.weight"
        " FROM routes r JOIN providers p ON p.id = r.provider_id"
        " WHERE CAST($1 AS TEXT) IS NULL OR r.model_id = $1 ORDER BY r.model_id, r.priority, r.id",
        model_id,
    )
    return [
        Route(
            id=number,
            model_id=model,
            provider_id=provider_id,
            provider=provider,
            upstream_model=upstream_model,
            dialect=dialect,
            priority=priority,
            weight=weight,
        )
        for number, model, provider_id, provider, upstream_model, dialect, priority, weight in rows
    ]


async def set_strategy(tx: Transaction, *, model_id: str, strategy: Strategy | None) -> None:
    """Choose a model's routes in this way; None: as the installation does.

    Raises `UnknownNameError` for a model that does not exist.
    """
    changed = await tx.execute(
        "UPDATE models SET route_strategy = $2 WHERE id = $1", model_id, strategy
    )
    if not changed:
        raise UnknownNameError(f"There is no model {model_id}. 'altyn catalog list' shows all.")
    await bump_revision(tx)


async def list_strategies(database: Database) -> dict[str, Strategy]:
    """The models whose routes are chosen in a way of their own."""
    rows = await database.read(
        "SELECT id, route_strategy FROM models WHERE route_strategy IS NOT NULL"
    )
    return dict(rows)  # type: ignore[arg-type]  # only `set_strategy` writes them


async def remove_routes(tx: Transaction, *, model_id: str, provider: str) -> int:
    """Remove every route of a model at a provider; say how many there were.

    Raises `UnknownNameError` when there is none.
    """
    provider_id = await _get_provider_id(tx, provider)
    removed = await tx.execute(
        "DELETE FROM routes WHERE model_id = $1 AND provider_id = $2", model_id, provider_id
    )
    if not removed:
        raise UnknownNameError(f"{model_id} has no route at {provider}. See 'altyn route list'.")
    await bump_revision(tx)
    return removed


async def remove_all_routes(tx: Transaction, *, provider: str) -> int:
    """Remove every route of a provider, before the provider itself goes."""
    provider_id = await _get_provider_id(tx, provider)
    return await tx.execute("DELETE FROM routes WHERE provider_id = $1", provider_id)


async def _get_provider_id(tx: Transaction, name: str) -> int:
    rows: Sequence[Sequence[int]] = await tx.fetch("SELECT id FROM providers WHERE name = $1", name)
    if not rows:
        raise UnknownNameError(f"There is no provider {name}. 'altyn provider list' shows all.")
    return rows[0][0]
