"""The catalog in the database: models, dated prices and markups; and all of it, loaded, at hand."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal, TypeVar

from msgspec import Struct

from altyn.catalog.model import Model, builtin_models, read_model
from altyn.catalog.price import PARTS_PER_MARKUP, Price, read_price
from altyn.catalog.route import Route, list_routes
from altyn.database.engine import Database, Transaction, bump_revision, now_ms
from altyn.errors import OperatorError, UnknownNameError

PriceKind = Literal["cost", "sell"]


class Rate(Struct, frozen=True, kw_only=True):
    """A price as it applies now: what the customer pays, what we pay, and where both come from."""

    price: Price
    cost_price: Price | None
    price_id: int
    markup_ppm: int


class Catalog:
    """Everything on sale, as it was when it was loaded. A change means another catalog."""

    def __init__(
        self,
        models: Sequence[Model],
        prices: "Sequence[PriceRow]",
        markups: "Sequence[MarkupRow]",
        routes: Sequence[Route],
    ) -> None:
        self.models = {model.id: model for model in models}
        self.routes: dict[str, list[Route]] = {}
        for route in routes:
            self.routes.setdefault(route.model_id, []).append(route)
        self._prices: dict[tuple[str, str, str | None], list[PriceRow]] = {}
        for row in prices:
            self._prices.setdefault((row.model_id, row.kind, row.price_group), []).append(row)
        self._markups: dict[str | None, list[MarkupRow]] = {}
        for markup in markups:
            self._markups.setdefault(markup.price_group, []).append(markup)
        begins = [row.effective_from for row in prices] + [row.effective_from for row in markups]
        self._changes = sorted(set(begins))
        self._rates: dict[tuple[str, str | None, int], Rate | None] = {}

    def find_rate(self, model_id: str, price_group: str | None, at_ms: int) -> Rate | None:
        """The price of a model for a group of accounts at a moment; None when it has none.

        A fixed sell price goes before cost and markup, a group's own before everybody's.
        """
        # Prices change only at these moments: between two of them one answer holds.
        epoch = bisect_right(self._changes, at_ms)
        key = (model_id, price_group, epoch)
        if key not in self._rates:
            self._rates[key] = self._find_rate(model_id, price_group, at_ms)
        return self._rates[key]

    def _find_rate(self, model_id: str, group: str | None, at_ms: int) -> Rate | None:
        cost = _latest(self._prices.get((model_id, "cost", None), ()), at_ms)
        sell = _latest(self._prices.get((model_id, "sell", group), ()), at_ms) or _latest(
            self._prices.get((model_id, "sell", None), ()), at_ms
        )
        cost_price = cost.price if cost else None
        if sell is not None:
            return Rate(price=sell.price, cost_price=cost_price, price_id=sell.id, markup_ppm=0)
        if cost is None:
            return None
        markup = _latest(self._markups.get(group, ()), at_ms) or _latest(
            self._markups.get(None, ()), at_ms
        )
        ppm = markup.parts_per_million if markup else 0
        return Rate(
            price=cost.price.marked_up(ppm) if ppm else cost.price,
            cost_price=cost_price,
            price_id=cost.id,
            markup_ppm=ppm,
        )


class PriceRow(Struct, frozen=True, kw_only=True):
    """One dated price of a model; never edited. `effective_from` in milliseconds."""

    id: int
    model_id: str
    kind: PriceKind
    price_group: str | None
    effective_from: int
    price: Price
    source: str | None


class MarkupRow(Struct, frozen=True, kw_only=True):
    """Parts per million on top of the cost, from a moment on."""

    price_group: str | None
    parts_per_million: int
    effective_from: int


Dated = TypeVar("Dated", PriceRow, MarkupRow)


def _latest(rows: Sequence[Dated], at_ms: int) -> Dated | None:
    """The last row that has begun; of rows that begin together, the one written last."""
    begun = bisect_right(rows, at_ms, key=lambda row: row.effective_from)
    return rows[begun - 1] if begun else None


async def load_catalog(database: Database) -> Catalog:
    rows = await database.read(
        "SELECT document FROM models WHERE on_sale = 1 ORDER BY position, id"
    )
    prices = await list_prices(database)
    markups = await database.read(
        "SELECT price_group, parts_per_million, effective_from FROM markups"
        " ORDER BY effective_from, id"
    )
    return Catalog(
        [read_model(document) for (document,) in rows],
        prices,
        [
            MarkupRow(price_group=group, parts_per_million=ppm, effective_from=since)
            for group, ppm, since in markups
        ],
        await list_routes(database),
    )


async def list_prices(database: Database, *, model_id: str | None = None) -> list[PriceRow]:
    """Every price there ever was, in the order in which they took effect."""
    rows = await database.read(
        "SELECT id, model_id, kind, price_group, effective_from, document, source FROM prices"
        " WHERE CAST($1 AS TEXT) IS NULL OR model_id = $1 ORDER BY effective_from, id",
        model_id,
    )
    return [
        PriceRow(
            id=number,
            model_id=model,
            kind=kind,
            price_group=group,
            effective_from=since,
            price=read_price(document),
            source=source,
        )
        for number, model, kind, group, since, document, source in rows
    ]


async def find_price(database: Database, price_id: int) -> Price | None:
    """One price row, as it stood when a receipt named it: rows are never edited."""
    rows = await database.read("SELECT document FROM prices WHERE id = $1", price_id)
    return read_price(rows[0][0]) if rows else None


async def add_builtin_models(tx: Transaction, *, currency: str = "USD") -> int:
    """Put the models this project brings along on sale, those that are not there yet."""
    return await import_models(tx, builtin_models(), replace=False, currency=currency)


async def import_models(
    tx: Transaction, models: Sequence[Model], *, replace: bool = True, currency: str = "USD"
) -> int:
    """Add models with their cost, or replace what is there; say how many were written.

    A cost that differs from the latest becomes a new dated price row: the old one is kept for the
    receipts that name it. A cost in another currency than the installation's is left out: dollars
    taken for roubles would sell everything at a hundredth.
    """
    known = {model_id for (model_id,) in await tx.fetch("SELECT id FROM models")}
    chosen = [model for model in models if replace or model.id not in known]
    for position, model in enumerate(chosen, len(known)):
        await tx.execute(
            "INSERT INTO models (id, document, position, updated_at) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (id) DO UPDATE SET document = excluded.document,"
            " updated_at = excluded.updated_at, on_sale = 1",
            model.id,
            model.document,
            position,
            now_ms(),
        )
        price, cost = model.cost_price, model.cost
        if price is not None and cost is not None and cost.currency == currency:
            await _set_cost(tx, model.id, price, cost.source)
    if chosen:
        await bump_revision(tx)
    return len(chosen)


async def _set_cost(tx: Transaction, model_id: str, price: Price, source: str | None) -> None:
    latest = await tx.fetch(
        "SELECT document FROM prices WHERE model_id = $1 AND kind = 'cost'"
        " ORDER BY effective_from DESC, id DESC LIMIT 1",
        model_id,
    )
    if not latest or latest[0][0] != price.document:
        await add_price(tx, model_id=model_id, kind="cost", price=price, source=source)


async def add_price(
    tx: Transaction,
    *,
    model_id: str,
    kind: PriceKind,
    price: Price,
    price_group: str | None = None,
    effective_from: int | None = None,
    source: str | None = None,
) -> int:
    """Add a dated price. Raises `UnknownNameError` for a model that is not in the catalog."""
    if not await tx.fetch("SELECT 1 FROM models WHERE id = $1", model_id):
        raise UnknownNameError(f"There is no model {model_id}. 'altyn catalog list' shows all.")
    ((price_id,),) = await tx.fetch(
        "INSERT INTO prices (model_id, kind, price_group, effective_from, document, source,"
        " created_at) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
        model_id,
        kind,
        price_group,
        now_ms() if effective_from is None else effective_from,
        price.document,
        source,
        now_ms(),
    )
    await bump_revision(tx)
    return int(price_id)


async def set_markup(
    tx: Transaction,
    parts_per_million: int,
    *,
    price_group: str | None = None,
    effective_from: int | None = None,
) -> None:
    """Sell everything without a fixed price at cost plus this, from a moment on."""
    if parts_per_million < -PARTS_PER_MARKUP:
        raise OperatorError("A markup cannot be below -100 %: prices would be negative.")
    await tx.execute(
        "INSERT INTO markups (price_group, parts_per_million, effective_from, created_at)"
        " VALUES ($1, $2, $3, $4)",
        price_group,
        parts_per_million,
        now_ms() if effective_from is None else effective_from,
        now_ms(),
    )
    await bump_revision(tx)


def read_moment(text: str) -> int:
    """A date or an RFC 3339 time as milliseconds; a date is its midnight in UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise OperatorError(
            f"'{text}' is not a date: write 2026-11-22, or 2026-11-22T10:00:00Z."
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1000
