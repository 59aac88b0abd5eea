"""What is on sale: `altyn catalog …`."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct

from altyn.catalog.load import Catalog, import_models, load_catalog, new_costs
from altyn.catalog.model import Model, read_model, read_models
from altyn.catalog.price import decimals
from altyn.catalog.pricebook import Rate
from altyn.control.office import Office
from altyn.control.price_cards import ChangeCard, LossCard, format_percent
from altyn.control.prices import look_ahead
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


class Imported(Struct, kw_only=True):
    """What a file of models brings, or in a dry run would bring.

    `changed` names the fields that differ, by model. `costs_left_out` are in another currency.
    """

    applied: bool
    models: int
    costs_left_out: int
    added: list[str]
    changed: dict[str, list[str]]
    changes: list[ChangeCard]
    losses: list[LossCard]


async def import_file(
    office: Office,
    *,
    text: str,
    dry_run: bool = False,
    below_cost: bool = False,
    by: str | None = None,
) -> Imported:
    """Add or replace models from a file's text, and say what differs.

    Raises `OperatorError`, naming model and field, or for a cost that makes a fixed price a loss.
    """
    models = read_models(text.encode())
    rows = await office.database.read("SELECT id, document FROM models")
    known = {model_id: read_model(document) for model_id, document in rows}
    currency = office.settings.currency
    costs = new_costs(models, (await load_catalog(office.database)).prices, currency, by)
    ahead = await look_ahead(office, prices=costs, dry_run=dry_run, below_cost=below_cost)
    if not dry_run:
        await office.database.write(
            partial(import_models, models=models, currency=currency, written_by=by)
        )
    return Imported(
        applied=not dry_run,
        models=len(models),
        costs_left_out=_other_currency(models, currency),
        added=[model.id for model in models if model.id not in known],
        changed={
            model.id: fields
            for model in models
            if model.id in known and (fields := _differing(known[model.id], model))
        },
        changes=ahead.changes,
        losses=ahead.losses,
    )


def _differing(old: Model, new: Model) -> list[str]:
    return [name for name in Model.__struct_fields__ if getattr(old, name) != getattr(new, name)]


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
