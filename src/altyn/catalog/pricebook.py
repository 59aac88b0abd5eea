"""The price book: every dated price and markup there ever was, and what applies at a moment.

Pure. A row is never edited: a later one takes over from its moment on, and one that says nothing
(None) hands over to the next rule. What a customer pays is the first of these that there is:

1. a fixed price of the model, their group's before everybody's;
2. what the model costs us, with a markup: for the group and the model, for the group, for the
   model, for everything, whichever comes first; without any, the cost itself.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Literal, TypeVar

from msgspec import Struct, structs

from altyn.catalog.price import Price

PriceKind = Literal["cost", "sell"]


class PriceRow(Struct, frozen=True, kw_only=True):
    """One dated price of a model. Times in milliseconds.

    `price` None: from here on there is none of this kind. `provider`: what it costs us there alone;
    only for a cost.
    """

    id: int
    model_id: str
    kind: PriceKind
    price_group: str | None
    effective_from: int
    price: Price | None
    source: str | None
    provider: str | None = None
    written_by: str | None = None
    created_at: int = 0


class MarkupRow(Struct, frozen=True, kw_only=True):
    """Parts per million on top of the cost, from a moment on; None: no such markup from then on."""

    price_group: str | None
    parts_per_million: int | None
    effective_from: int
    model_id: str | None = None
    id: int = 0
    written_by: str | None = None
    created_at: int = 0


class Rate(Struct, frozen=True, kw_only=True):
    """A price as it applies now: what the customer pays, what we pay, and where both come from."""

    price: Price
    cost_price: Price | None
    price_id: int
    markup_ppm: int


PriceKey = tuple[str, PriceKind, str | None, str | None]
MarkupKey = tuple[str | None, str | None]
Dated = TypeVar("Dated", PriceRow, MarkupRow)


class PriceBook:
    """All rows, in the order in which they take effect."""

    def __init__(self, prices: Sequence[PriceRow], markups: Sequence[MarkupRow]) -> None:
        self.prices = prices
        self.markups = markups
        self._prices: dict[PriceKey, list[PriceRow]] = {}
        for row in prices:
            self._prices.setdefault(price_key(row), []).append(row)
        self._markups: dict[MarkupKey, list[MarkupRow]] = {}
        for markup in markups:
            key = (markup.price_group, markup.model_id)
            self._markups.setdefault(key, []).append(markup)
        begins = [row.effective_from for row in prices] + [row.effective_from for row in markups]
        self.moments = sorted(set(begins))
        self._rates: dict[tuple[str, str | None, int], Rate | None] = {}

    # On the hot path --------------------------------------------------------------------------

    def find_rate(self, model_id: str, price_group: str | None, at_ms: int) -> Rate | None:
        """The price of a model for a group of accounts at a moment; None when it has none."""
        # Prices change only at these moments: between two of them one answer holds.
        key = (model_id, price_group, bisect_right(self.moments, at_ms))
        try:
            return self._rates[key]
        except KeyError:
            rate = self._rates[key] = self._find_rate(model_id, price_group, at_ms)
            return rate

    def _find_rate(self, model_id: str, group: str | None, at_ms: int) -> Rate | None:
        cost = self.find_row((model_id, "cost", None, None), at_ms)
        cost_price = cost.price if cost is not None else None
        for whose in _own_first(group):
            sell = self.find_row((model_id, "sell", whose, None), at_ms)
            if sell is not None and sell.price is not None:
                return Rate(price=sell.price, cost_price=cost_price, price_id=sell.id, markup_ppm=0)
        if cost is None or cost_price is None:
            return None
        ppm = self.find_markup(model_id, group, at_ms)
        return Rate(
            price=cost_price.marked_up(ppm) if ppm else cost_price,
            cost_price=cost_price,
            price_id=cost.id,
            markup_ppm=ppm,
        )

    # Beside it --------------------------------------------------------------------------------

    def find_row(self, key: PriceKey, at_ms: int) -> PriceRow | None:
        """The row that says what this price is; None also where it says that there is none."""
        row = _latest(self._prices.get(key, ()), at_ms)
        return row if row is not None and row.price is not None else None

    def find_price(self, model_id: str, group: str | None, at_ms: int) -> Price | None:
        """What customers pay, without where it comes from."""
        rate = self.find_rate(model_id, group, at_ms)
        return None if rate is None else rate.price

    def find_cost(self, model_id: str, provider: str | None, at_ms: int) -> Price | None:
        """What the model costs us at a provider: said for it alone, or wherever it is."""
        own = self.find_row((model_id, "cost", None, provider), at_ms)
        row = own or self.find_row((model_id, "cost", None, None), at_ms)
        return row.price if row is not None else None

    def find_by_id(self, price_id: int | None) -> PriceRow | None:
        """The row that a hold or a record names, whatever has come after it."""
        return next((row for row in self.prices if row.id == price_id), None)

    def rate_by(self, row: PriceRow, markup_ppm: int, at_ms: int) -> Rate | None:
        """The rate of a quote, from the row and the markup that were written down with it."""
        if row.price is None:
            return None
        return Rate(
            price=row.price.marked_up(markup_ppm) if markup_ppm else row.price,
            cost_price=self.find_cost(row.model_id, None, at_ms),
            price_id=row.id,
            markup_ppm=markup_ppm,
        )

    def find_markup(self, model_id: str, group: str | None, at_ms: int) -> int:
        """Parts per million on top of the cost; 0 where nobody has set any."""
        for whose in _own_first(group):
            for model in (model_id, None):
                row = _latest(self._markups.get((whose, model), ()), at_ms)
                if row is not None and row.parts_per_million is not None:
                    return row.parts_per_million
        return 0

    @property
    def models(self) -> list[str]:
        return list(dict.fromkeys(row.model_id for row in self.prices))

    @property
    def groups(self) -> list[str]:
        """Groups of accounts with a price or markup of their own."""
        groups = [row.price_group for row in self.prices]
        groups += [row.price_group for row in self.markups]
        return sorted({group for group in groups if group is not None})

    def with_rows(self, prices: Sequence[PriceRow], markups: Sequence[MarkupRow]) -> "PriceBook":
        """The book as it would be with these rows written after all others."""
        return PriceBook(
            sorted((*self.prices, *prices), key=_begin),
            sorted((*self.markups, *markups), key=_begin),
        )


def price_key(row: PriceRow) -> PriceKey:
    """What a row is the price of: two rows with one key follow each other."""
    return row.model_id, row.kind, row.price_group, row.provider


def _begin(row: PriceRow | MarkupRow) -> int:
    return row.effective_from


def _own_first(group: str | None) -> tuple[str | None, ...]:
    return (None,) if group is None else (group, None)


def _latest(rows: Sequence[Dated], at_ms: int) -> Dated | None:
    """The last row that has begun; of rows that begin together, the one written last."""
    begun = bisect_right(rows, at_ms, key=_begin)
    return rows[begun - 1] if begun else None


def without_id(row: PriceRow) -> PriceRow:
    """A row as it is compared: by what it says, not by when and by whom it was written."""
    return structs.replace(row, id=0, source=None, written_by=None, created_at=0)
