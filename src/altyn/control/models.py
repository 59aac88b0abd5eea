"""The life of a model on sale: `altyn model …`."""

from datetime import UTC, date, datetime, timedelta
from functools import partial

from msgspec import Struct

from altyn.catalog.lifecycle import hide_model, replace_model, restore_model, retire_model
from altyn.catalog.load import Catalog, load_catalog, read_moment
from altyn.catalog.preview import Change, find_figures
from altyn.catalog.price import Price
from altyn.control.office import Office, iso
from altyn.control.price_cards import ChangeCard, change_card
from altyn.database.engine import now_ms
from altyn.errors import OperatorError, UnknownNameError

NOTICE_DAYS = 30
"""How long before a vendor's date its model is told of."""


class ModelLife(Struct, kw_only=True):
    """How a name stands: who serves it, until when, and what it then costs."""

    model: str
    on_sale: bool
    served_as: str | None
    retires_at: str | None
    replaced_by: str | None
    changes: list[ChangeCard] = []


class Ending(Struct, kw_only=True):
    """A model with a route whose vendor ends it soon, or has ended it.

    `replaced_by`: the vendor's own successor, where we sell that.
    """

    model: str
    retires_at: str
    retired: bool
    replaced_by: str | None


async def replace(office: Office, *, model: str, successor: str) -> ModelLife:
    """Keep a name on sale, served and priced as another model.

    Raises `UnknownNameError`, and `OperatorError` for a circle, a hidden successor, or one without
    a price: the name would be sold for nothing that anybody knows.
    """
    catalog = await load_catalog(office.database)
    changes = _step(catalog, model, successor)
    await office.database.write(partial(replace_model, old=model, new=successor))
    life = await _life(office, model)
    life.changes = [change_card(change) for change in changes]
    return life


def _step(catalog: Catalog, model: str, successor: str) -> list[Change]:
    """What changes for those who call the old name."""
    now = now_ms()
    book, old, new = catalog.prices, catalog.serving(model), catalog.serving(successor)
    if book.find_rate(new, None, now) is None and new in catalog.models:
        raise OperatorError(f"{new} has no price: 'altyn price set {new} …' first.")
    changes: list[Change] = []
    told: list[tuple[Price | None, Price | None]] = []
    for group in (None, *book.groups):
        step = (book.find_price(old, group, now), book.find_price(new, group, now))
        if step not in told:
            changes += find_figures(
                *step,
                cost=book.find_cost(new, None, now),
                model_id=model,
                price_group=group,
                at_ms=now,
            )
        told.append(step)
    return changes


async def retire(
    office: Office, *, model: str, on: str | None = None, replaced_by: str | None = None
) -> ModelLife:
    """Serve a model to nobody from a day on. Raises `UnknownNameError`, `OperatorError`."""
    moment = now_ms() if on is None else read_moment(on)
    await office.database.write(
        partial(retire_model, model_id=model, retires_at=moment, replaced_by=replaced_by)
    )
    return await _life(office, model)


async def hide(office: Office, *, model: str) -> ModelLife:
    """Take a model off sale. Raises `UnknownNameError`, `OperatorError`."""
    await office.database.write(partial(hide_model, model_id=model))
    return await _life(office, model)


async def restore(office: Office, *, model: str) -> ModelLife:
    """Put a model back on sale as its vendor says. Raises `UnknownNameError`."""
    await office.database.write(partial(restore_model, model_id=model))
    return await _life(office, model)


async def _life(office: Office, model: str) -> ModelLife:
    rows = await office.database.read(
        "SELECT on_sale, served_as, retires_at, replaced_by FROM models WHERE id = $1", model
    )
    if not rows:
        raise UnknownNameError(f"There is no model {model}. 'altyn catalog list' shows all.")
    ((on_sale, served_as, retires_at, replaced_by),) = rows
    return ModelLife(
        model=model,
        on_sale=bool(on_sale),
        served_as=served_as,
        retires_at=None if retires_at is None else iso(retires_at),
        replaced_by=replaced_by,
    )


def find_endings(catalog: Catalog, today: date | None = None) -> list[Ending]:
    """Models that are served by some route and that their vendors end within a month, or have.

    What another model serves already is in order.
    """
    today = today or datetime.now(UTC).date()
    soon = today + timedelta(days=NOTICE_DAYS)
    return [
        Ending(
            model=model.id,
            retires_at=model.retires_at.isoformat(),
            retired=model.is_retired(today),
            replaced_by=_known(catalog, model.lifecycle.replaced_by),
        )
        for model in catalog.models.values()
        if model.retires_at is not None
        and model.retires_at <= soon
        and catalog.routes.get(model.id)
        and catalog.standing(model.id).served_as is None
        and catalog.standing(model.id).retires_at is None
    ]


def _known(catalog: Catalog, model_id: str | None) -> str | None:
    return model_id if model_id in catalog.models else None
