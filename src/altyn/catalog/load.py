"""The catalog in the database: models, dated prices and markups; and all of it, loaded, at hand."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from msgspec import Struct

from altyn.catalog.model import Model, builtin_models, read_model
from altyn.catalog.price import PARTS_PER_MARKUP, Price, read_price
from altyn.catalog.pricebook import MarkupRow, PriceBook, PriceKind, PriceRow
from altyn.catalog.route import Route, Strategy, list_routes, list_strategies
from altyn.database.bulk import Row
from altyn.database.engine import Database, Transaction, bump_revision, now_ms
from altyn.errors import OperatorError, UnknownNameError


class Standing(Struct, frozen=True, kw_only=True):
    """What the operator has decided about a model; nothing where the vendor's word is all.

    `served_as`: another model serves under this name. `retires_at`: nobody serves it from then on,
    in milliseconds. `replaced_by`: the one to call instead.
    """

    served_as: str | None = None
    retires_at: int | None = None
    replaced_by: str | None = None


AS_THE_VENDOR_SAYS = Standing()


class Catalog:
    """Everything on sale, as it was when it was loaded. A change means another catalog."""

    def __init__(
        self,
        models: Sequence[Model],
        prices: Sequence[PriceRow],
        markups: Sequence[MarkupRow],
        routes: Sequence[Route],
        standings: Mapping[str, Standing] | None = None,
        strategies: Mapping[str, Strategy] | None = None,
    ) -> None:
        self.models = {model.id: model for model in models}
        self.strategies = strategies or {}
        self.routes: dict[str, list[Route]] = {}
        for route in routes:
            self.routes.setdefault(route.model_id, []).append(route)
        self.prices = PriceBook(prices, markups)
        self.standings = standings or {}
        self.find_rate = self.prices.find_rate
        """Of a model by its own name: for one that another serves, ask `serving` first."""

    def standing(self, model_id: str) -> Standing:
        return self.standings.get(model_id, AS_THE_VENDOR_SAYS)

    def serving(self, model_id: str) -> str:
        """The model that answers to this name, and whose price is paid: mostly itself."""
        # A circle cannot be written, so this ends.
        while (other := self.standing(model_id).served_as) is not None:
            model_id = other
        return model_id


async def load_catalog(database: Database) -> Catalog:
    rows = await database.read(
        "SELECT document, served_as, retires_at, replaced_by FROM models WHERE on_sale = 1"
        " ORDER BY position, id"
    )
    models = [read_model(document) for document, *_ in rows]
    standings = [
        Standing(served_as=served_as, retires_at=retires_at, replaced_by=replaced_by)
        for _, served_as, retires_at, replaced_by in rows
    ]
    return Catalog(
        models,
        await list_prices(database),
        await list_markups(database),
        await list_routes(database),
        {model.id: standing for model, standing in zip(models, standings, strict=True)},
        await list_strategies(database),
    )


async def list_prices(database: Database, *, model_id: str | None = None) -> list[PriceRow]:
    """Every price there ever was, in the order in which they took effect."""
    rows = await database.read(
        f"{PRICES} WHERE CAST($1 AS TEXT) IS NULL OR model_id = $1 ORDER BY effective_from, id",
        model_id,
    )
    return [_price_row(row) for row in rows]


PRICES = (
    "SELECT id, model_id, kind, price_group, effective_from, document, source, provider,"
    " written_by, created_at FROM prices"
)


def _price_row(row: Row) -> PriceRow:
    number, model, kind, group, since, document, source, provider, written_by, created_at = row
    return PriceRow(
        id=number,
        model_id=model,
        kind=kind,
        price_group=group,
        effective_from=since,
        price=None if document == NO_PRICE else read_price(document),
        source=source,
        provider=provider,
        written_by=written_by,
        created_at=created_at,
    )


NO_PRICE = "null"
"""The document of a row that ends a price without another one."""


async def list_markups(database: Database) -> list[MarkupRow]:
    """Every markup there ever was, in the order in which they took effect."""
    rows = await database.read(
        "SELECT id, price_group, model_id, parts_per_million, effective_from, written_by,"
        " created_at FROM markups ORDER BY effective_from, id"
    )
    return [
        MarkupRow(
            id=number,
            price_group=group,
            model_id=model,
            parts_per_million=ppm,
            effective_from=since,
            written_by=written_by,
            created_at=created_at,
        )
        for number, group, model, ppm, since, written_by, created_at in rows
    ]


class AppliedPrice(Struct, frozen=True):
    """The price that a receipt names, and since when (in ms) its row has been in force."""

    price: Price
    effective_from: int


async def find_applied_price(
    database: Database, price_id: int, markup_ppm: int | None
) -> AppliedPrice | None:
    """What a customer was charged by: the row that their receipt names, with the markup on it."""
    rows = await database.read(
        "SELECT document, effective_from FROM prices WHERE id = $1", price_id
    )
    if not rows:
        return None
    return AppliedPrice(apply_markup(rows[0][0], markup_ppm), rows[0][1])


@lru_cache(maxsize=1024)
def apply_markup(document: str, markup_ppm: int | None) -> Price:
    """The price of a row's *document*, with the markup on it that a receipt names.

    Raises `msgspec.DecodeError` where the row says no price, `OperatorError` where the markup
    cannot be. Remembers the last 1,024, some megabytes: whoever recomputes receipts by the
    thousand meets the same few again and again.
    """
    price = read_price(document)
    return price.marked_up(markup_ppm) if markup_ppm else price


async def add_builtin_models(tx: Transaction, *, currency: str = "USD") -> int:
    """Put the models this project brings along on sale, those that are not there yet."""
    return await import_models(tx, builtin_models(), replace=False, currency=currency)


async def import_models(
    tx: Transaction,
    models: Sequence[Model],
    *,
    replace: bool = True,
    currency: str = "USD",
    written_by: str | None = None,
) -> int:
    """Add models with their cost, or replace what is there; say how many were written.

    A cost that differs from the one in force becomes a new dated price row: the old one is kept for
    the receipts that name it. A cost in another currency than the installation's is left out:
    dollars taken for roubles would sell everything at a hundredth.
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
    rows = [_price_row(row) for row in await tx.fetch(f"{PRICES} ORDER BY effective_from, id")]
    for row in new_costs(chosen, PriceBook(rows, []), currency, written_by):
        await add_price(
            tx,
            model_id=row.model_id,
            kind="cost",
            price=row.price,
            source=row.source,
            written_by=written_by,
        )
    if chosen:
        await bump_revision(tx)
    return len(chosen)


def new_costs(
    models: Sequence[Model], book: PriceBook, currency: str, written_by: str | None
) -> list[PriceRow]:
    """The costs of these models that differ from those in force, as rows that begin now."""
    now = now_ms()
    return [
        PriceRow(
            id=0,
            model_id=model.id,
            kind="cost",
            price_group=None,
            effective_from=now,
            price=model.cost_price,
            source=model.cost.source,
            written_by=written_by,
        )
        for model in models
        if model.cost is not None and model.cost.currency == currency
        if model.cost_price != book.find_cost(model.id, None, now)
    ]


async def add_price(
    tx: Transaction,
    *,
    model_id: str,
    kind: PriceKind,
    price: Price | None,
    price_group: str | None = None,
    effective_from: int | None = None,
    source: str | None = None,
    provider: str | None = None,
    written_by: str | None = None,
) -> int:
    """Add a dated price; None ends it. Raises `UnknownNameError` for a model nobody knows."""
    await require_model(tx, model_id)
    ((price_id,),) = await tx.fetch(
        "INSERT INTO prices (model_id, kind, price_group, effective_from, document, source,"
        " created_at, provider, written_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        " RETURNING id",
        model_id,
        kind,
        price_group,
        now_ms() if effective_from is None else effective_from,
        NO_PRICE if price is None else price.document,
        source,
        now_ms(),
        provider,
        written_by,
    )
    await bump_revision(tx)
    return int(price_id)


async def set_markup(
    tx: Transaction,
    parts_per_million: int | None,
    *,
    price_group: str | None = None,
    model_id: str | None = None,
    effective_from: int | None = None,
    written_by: str | None = None,
) -> int:
    """Sell what has no fixed price at cost plus this, from a moment on; None ends that rule.

    Raises `OperatorError` below -100 %, `UnknownNameError` for a model nobody knows.
    """
    if parts_per_million is not None and parts_per_million < -PARTS_PER_MARKUP:
        raise OperatorError("A markup cannot be below -100 %: prices would be negative.")
    if model_id is not None:
        await require_model(tx, model_id)
    ((markup_id,),) = await tx.fetch(
        "INSERT INTO markups (price_group, model_id, parts_per_million, effective_from,"
        " created_at, written_by) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
        price_group,
        model_id,
        parts_per_million,
        now_ms() if effective_from is None else effective_from,
        now_ms(),
        written_by,
    )
    await bump_revision(tx)
    return int(markup_id)


async def require_model(tx: Transaction, model_id: str) -> None:
    """Raises `UnknownNameError` for a model that is not in the catalog."""
    if not await tx.fetch("SELECT 1 FROM models WHERE id = $1", model_id):
        raise UnknownNameError(f"There is no model {model_id}. 'altyn catalog list' shows all.")


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
    return (moment - EPOCH) // timedelta(milliseconds=1)
