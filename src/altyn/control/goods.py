"""What is on sale: `altyn catalog …`."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct

from altyn.catalog.load import Catalog, import_models, load_catalog
from altyn.catalog.model import Model, read_models
from altyn.catalog.price import decimals
from altyn.catalog.pricebook import Rate
from altyn.control.office import Office
from altyn.control.price_cards import format_percent
from altyn.database.engine import now_ms
from altyn.errors import UnknownNameError
from altyn.money import format_short


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
        markup_percent=None if rate is None else format_percent(rate.markup_ppm),
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
