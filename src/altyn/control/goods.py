"""What is on sale and for how much: `altyn catalog …`, `altyn price …`, `altyn markup …`."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct

from altyn.catalog.load import (
    Catalog,
    PriceKind,
    PriceRow,
    Rate,
    add_price,
    import_models,
    list_prices,
    load_catalog,
    read_moment,
)
from altyn.catalog.load import set_markup as insert_markup
from altyn.catalog.model import Model, read_models
from altyn.catalog.price import TOKEN_KINDS, Kinds, Price, PriceDecimals
from altyn.control.office import Office, iso
from altyn.database.engine import now_ms
from altyn.errors import OperatorError, UnknownNameError
from altyn.money import Nanos, format_short

PARTS_PER_PERCENT = 10_000


class ModelCard(Struct, kw_only=True):
    """A model on sale. `input` and `output` are what a customer pays per million tokens."""

    id: str
    name: str
    input: str | None
    output: str | None
    currency: str
    routes: list[str]
    retires_at: str | None


class ModelStory(Struct, kw_only=True):
    """Everything about one model: its document, its prices by kind per million, its routes."""

    model: dict[str, Any]
    currency: str
    price: dict[str, Any] | None
    cost: dict[str, Any] | None
    markup_percent: str | None
    routes: list[dict[str, Any]]


class PriceCard(Struct, kw_only=True):
    """One dated price, per million tokens; it is never edited."""

    id: int
    model: str
    kind: str
    effective_from: str
    currency: str
    prices: dict[str, Any]
    source: str | None


# Catalog --------------------------------------------------------------------------------------


async def show_all(office: Office) -> list[ModelCard]:
    catalog = await load_catalog(office.database)
    return [_card(office, catalog, model) for model in catalog.models.values()]


async def show_one(office: Office, *, model: str) -> ModelStory:
    """Raises `UnknownNameError`."""
    catalog = await load_catalog(office.database)
    found = catalog.models.get(model)
    if found is None:
        raise UnknownNameError(f"There is no model {model}. 'altyn catalog list' shows all.")
    rate = catalog.find_rate(model, None, now_ms())
    return ModelStory(
        model=msgspec.to_builtins(found),
        currency=office.settings.currency,
        price=None if rate is None else decimals(rate.price),
        cost=None if rate is None or rate.cost_price is None else decimals(rate.cost_price),
        markup_percent=None if rate is None else _percent(rate.markup_ppm),
        routes=[msgspec.to_builtins(route) for route in catalog.routes.get(model, ())],
    )


async def import_file(office: Office, *, text: str) -> dict[str, Any]:
    """Add or replace models from a file's text. Raises `OperatorError`, naming model and field."""
    models = read_models(text.encode())
    currency = office.settings.currency
    work = partial(import_models, models=models, currency=currency)
    written = await office.database.write(work)
    return {"models": written, "costs_left_out": _other_currency(models, currency)}


def _other_currency(models: Sequence[Model], currency: str) -> int:
    return sum(1 for model in models if model.cost is not None and model.cost.currency != currency)


def _card(office: Office, catalog: Catalog, model: Model) -> ModelCard:
    rate = catalog.find_rate(model.id, None, now_ms())
    return ModelCard(
        id=model.id,
        name=model.name,
        input=_amount(rate, "input"),
        output=_amount(rate, "output"),
        currency=office.settings.currency,
        routes=[route.provider for route in catalog.routes.get(model.id, ())],
        retires_at=None if model.retires_at is None else model.retires_at.isoformat(),
    )


def _amount(rate: Rate | None, kind: str) -> str | None:
    return None if rate is None else format_short(getattr(rate.price, kind))


# Prices ---------------------------------------------------------------------------------------


async def set_price(
    office: Office,
    *,
    model: str,
    prices: PriceDecimals,
    kind: PriceKind = "sell",
    since: str | None = None,
    below_cost: bool = False,
) -> PriceCard:
    """Add a dated price: a fixed price for customers, or what the model costs us.

    Raises `UnknownNameError`, `InvalidAmountError`, and `OperatorError` for a price below cost that
    nobody confirmed.
    """
    price = Price.from_per_million_decimals(prices)
    moment = now_ms() if since is None else read_moment(since)
    if kind == "sell" and not below_cost:
        await _refuse_below_cost(office, model, price, moment)
    work = partial(
        add_price,
        model_id=model,
        kind=kind,
        price=price,
        effective_from=moment,
        source="operator",
    )
    price_id = await office.database.write(work)
    cards = await show_prices(office, model=model)
    return next(card for card in cards if card.id == price_id)


async def show_prices(office: Office, *, model: str | None = None) -> list[PriceCard]:
    """Every price there ever was, in the order in which they took effect."""
    rows = await list_prices(office.database, model_id=model)
    return [_price_card(office, row) for row in rows]


async def set_markup(
    office: Office, *, percent: str, since: str | None = None, below_cost: bool = False
) -> dict[str, Any]:
    """Sell what has no fixed price at cost plus so many per cent, from a moment on."""
    parts = _parts_per_million(percent)
    if parts < 0 and not below_cost:
        raise OperatorError(
            "A negative markup sells below cost: if it is meant, repeat it with --below-cost."
        )
    moment = now_ms() if since is None else read_moment(since)
    work = partial(insert_markup, parts_per_million=parts, effective_from=moment)
    await office.database.write(work)
    return {"percent": _percent(parts), "effective_from": iso(moment)}


async def _refuse_below_cost(office: Office, model: str, price: Price, moment: int) -> None:
    rate = (await load_catalog(office.database)).find_rate(model, None, moment)
    if rate is not None and rate.cost_price is not None and price.is_below(rate.cost_price):
        raise OperatorError(
            f"This price of {model} is below its cost: if it is meant, repeat it with --below-cost."
        )


def _price_card(office: Office, row: PriceRow) -> PriceCard:
    return PriceCard(
        id=row.id,
        model=row.model_id,
        kind=row.kind,
        effective_from=iso(row.effective_from),
        currency=office.settings.currency,
        prices=decimals(row.price),
        source=row.source,
    )


def decimals(price: Price) -> dict[str, Any]:
    """A price as people write it: decimal units per million tokens, what was left out left out."""
    written: dict[str, Any] = _kind_decimals(price)
    for fee in ("request", "web_search"):
        nanos: Nanos = getattr(price, fee)
        if nanos:
            written[fee] = format_short(nanos)
    if price.tiers:
        written["tiers"] = [
            {"above_input_tokens": tier.above_input_tokens, **_kind_decimals(tier)}
            for tier in price.tiers
        ]
    return written


def _kind_decimals(kinds: Kinds) -> dict[str, str]:
    nanos = {kind: getattr(kinds, kind) for kind in TOKEN_KINDS}
    return {kind: format_short(price) for kind, price in nanos.items() if price is not None}


def _parts_per_million(percent: str) -> int:
    try:
        parts = Decimal(percent) * PARTS_PER_PERCENT
    except InvalidOperation:
        parts = Decimal("NaN")
    if not parts.is_finite() or parts != parts.to_integral_value() or abs(parts) > 10**10:
        raise OperatorError(
            f"'{percent}' is not a markup: write a percentage with at most 4 decimals."
        )
    return int(parts)


def _percent(parts: int) -> str:
    return format_short(parts * 100_000)
