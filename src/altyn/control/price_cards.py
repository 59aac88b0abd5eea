"""Rows of the price book and what they change, as they are shown."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from altyn.catalog.preview import Change, Loss
from altyn.catalog.price import decimals
from altyn.catalog.pricebook import MarkupRow, PriceRow, price_key
from altyn.control.office import Office, iso
from altyn.database.engine import now_ms
from altyn.money import Nanos, format_short

NANOS_PER_PART = 100_000
"""A part per million is 0.0001 %: so many nanos of a per cent."""
OPERATOR = "operator"
"""The source of a price that somebody set by hand."""


class ChangeCard(Struct, kw_only=True):
    """One figure that customers pay, before and after, per million tokens (fees: for one).

    `margin_percent` is what is left of the new price after its cost. `group` null: everybody
    without a price of their own. `from_tokens`: for prompts of that length and more.
    """

    model: str
    group: str | None
    effective_from: str
    kind: str
    from_tokens: int
    old: str | None
    new: str | None
    percent: str | None
    cost: str | None
    margin_percent: str | None


class LossCard(Struct, kw_only=True):
    """A model that is sold below cost from a moment on; `provider` null: wherever it is served."""

    model: str
    group: str | None
    effective_from: str
    provider: str | None


class Written(Struct, kw_only=True):
    """What rows change. `applied` false: nothing was written, this is what it would do."""

    applied: bool
    rows: int
    changes: list[ChangeCard]
    losses: list[LossCard]
    ids: list[int] = []


class PriceCard(Struct, kw_only=True):
    """One dated price, per million tokens; it is never edited. `prices` null: it ends a price.

    `id` 0, and `state` preview: it is not written. A row of kind `markup` has a `percent` instead.
    """

    id: int
    model: str | None
    kind: str
    group: str | None = None
    provider: str | None = None
    effective_from: str
    currency: str
    prices: dict[str, Any] | None
    percent: str | None = None
    state: str = ""
    source: str | None
    written_by: str | None = None
    written_at: str | None = None
    changes: list[ChangeCard] = []
    losses: list[LossCard] = []


def states(rows: Sequence[PriceRow] | Sequence[MarkupRow]) -> dict[int, str]:
    """Of each row whether it is over, in force or still to come."""
    now = now_ms()
    last: dict[Any, int] = {}
    for row in rows:
        if row.effective_from <= now:
            last[_key(row)] = row.id
    return {
        row.id: "coming"
        if row.effective_from > now
        else "in force"
        if last[_key(row)] == row.id
        else "over"
        for row in rows
    }


def _key(row: PriceRow | MarkupRow) -> tuple[str | None, ...]:
    return price_key(row) if isinstance(row, PriceRow) else (row.price_group, row.model_id)


def price_card(office: Office, row: PriceRow, state: str) -> PriceCard:
    return PriceCard(
        id=row.id,
        model=row.model_id,
        kind=row.kind,
        group=row.price_group,
        provider=row.provider,
        effective_from=iso(row.effective_from),
        currency=office.settings.currency,
        prices=None if row.price is None else decimals(row.price),
        state=state,
        source=row.source,
        written_by=row.written_by,
        written_at=iso(row.created_at) if row.created_at else None,
    )


def markup_card(office: Office, row: MarkupRow, state: str) -> PriceCard:
    ppm = row.parts_per_million
    return PriceCard(
        id=row.id,
        model=row.model_id,
        kind="markup",
        group=row.price_group,
        effective_from=iso(row.effective_from),
        currency=office.settings.currency,
        prices=None,
        percent=None if ppm is None else format_percent(ppm),
        state=state,
        source=OPERATOR,
        written_by=row.written_by,
        written_at=iso(row.created_at) if row.created_at else None,
    )


def change_card(change: Change) -> ChangeCard:
    return ChangeCard(
        model=change.model_id,
        group=change.price_group,
        effective_from=iso(change.at_ms),
        kind=change.kind,
        from_tokens=change.from_tokens,
        old=_amount(change.old),
        new=_amount(change.new),
        percent=_shown(change.percent_ppm),
        cost=_amount(change.cost),
        margin_percent=_shown(change.margin_ppm),
    )


def loss_card(loss: Loss) -> LossCard:
    return LossCard(
        model=loss.model_id,
        group=loss.price_group or None,
        effective_from=iso(loss.at_ms),
        provider=loss.provider or None,
    )


def _amount(nanos: Nanos | None) -> str | None:
    return None if nanos is None else format_short(nanos)


def format_percent(parts: int) -> str:
    """Parts per million as a percentage, exactly."""
    return format_short(parts * NANOS_PER_PART)


def _shown(parts: int | None) -> str | None:
    """A percentage that was computed, with two decimals at most: the rest is cut off."""
    if parts is None:
        return None
    cut = abs(parts) // 100 * 100
    return format_percent(-cut if parts < 0 else cut)
