"""What a change of the price book does before it is done: who pays what, and where money is lost.

Pure: two books go in, the one that is and the one that would be.
"""

from collections.abc import Collection, Iterator, Mapping

from msgspec import Struct

from altyn.catalog.price import PRICE_MAX, TOKEN_KINDS, Bracket, Price
from altyn.catalog.pricebook import PriceBook
from altyn.money import Nanos

FEES = ("request", "web_search")
ALWAYS_TOLD = ("input", "output")
PARTS_PER_WHOLE = 1_000_000


class Change(Struct, frozen=True, kw_only=True):
    """One figure of a price that customers pay, from a moment on.

    Nanos per million tokens, for `request` and `web_search` for one. `price_group` None: everybody
    without a price of their own. `from_tokens`: for prompts of that length and more.
    None: no price.
    """

    model_id: str
    price_group: str | None
    at_ms: int
    from_tokens: int
    kind: str
    old: Nanos | None
    new: Nanos | None
    cost: Nanos | None

    @property
    def percent_ppm(self) -> int | None:
        """How much dearer it gets, in parts per million of the old price."""
        if not self.old or self.new is None:
            return None
        return (self.new - self.old) * PARTS_PER_WHOLE // self.old

    @property
    def margin_ppm(self) -> int | None:
        """What is left of the new price after its cost, in parts per million of it."""
        if not self.new or self.cost is None:
            return None
        return (self.new - self.cost) * PARTS_PER_WHOLE // self.new


class Loss(Struct, frozen=True, order=True):
    """A model that is sold to some accounts for less than it costs us, from a moment on."""

    model_id: str
    price_group: str
    at_ms: int
    provider: str


def find_changes(before: PriceBook, after: PriceBook, since_ms: int) -> list[Change]:
    """Every figure that customers pay and that differs, at each moment from `since_ms` on.

    A group is told apart only where it does not simply pay what everybody pays.
    """
    moments = _moments(before, after, since_ms=since_ms)
    return [
        change
        for model_id in after.models
        for group in (None, *after.groups)
        for change in _changes_of(before, after, model_id, group, moments)
    ]


def find_losses(
    book: PriceBook, providers: Mapping[str, Collection[str]], moments: Collection[int]
) -> set[Loss]:
    """Where some call would be sold below cost, at these moments.

    `providers` names those that serve each model: a cost said for one of them alone counts too.
    Accounts without a group have the group ''.
    """
    return {
        Loss(model_id, group or "", at_ms, provider or "")
        for model_id in book.models
        for provider in (None, *providers.get(model_id, ()))
        for group in (None, *book.groups)
        for at_ms in moments
        if _is_loss(book, model_id, group, provider, at_ms)
    }


def new_losses(
    before: PriceBook,
    after: PriceBook,
    providers: Mapping[str, Collection[str]],
    since_ms: int,
) -> list[Loss]:
    """What is sold below cost after a change and was not before it: the first moment of each."""
    moments = _moments(before, after, since_ms=since_ms)
    added = find_losses(after, providers, moments) - find_losses(before, providers, moments)
    first: dict[tuple[str, str], Loss] = {}
    for loss in sorted(added, key=lambda each: (each.at_ms, each.provider)):
        first.setdefault((loss.model_id, loss.price_group), loss)
    return sorted(first.values())


def is_too_dear(book: PriceBook, since_ms: int) -> bool:
    """Whether a markup makes some price larger than a price can be set: no quote would hold it."""
    moments = _moments(book, since_ms=since_ms)
    rates = (
        book.find_rate(model_id, group, at_ms)
        for model_id in book.models
        for group in (None, *book.groups)
        for at_ms in moments
    )
    return any(rate is not None and rate.price.dearest() > PRICE_MAX for rate in rates)


def _moments(*books: PriceBook, since_ms: int) -> list[int]:
    begun = {moment for book in books for moment in book.moments if moment > since_ms}
    return sorted({since_ms, *begun})


def _is_loss(
    book: PriceBook, model_id: str, group: str | None, provider: str | None, at_ms: int
) -> bool:
    rate = book.find_rate(model_id, group, at_ms)
    cost = book.find_cost(model_id, provider, at_ms)
    return rate is not None and cost is not None and rate.price.is_below(cost)


def _changes_of(
    before: PriceBook, after: PriceBook, model_id: str, group: str | None, moments: list[int]
) -> Iterator[Change]:
    told: Step = (None, None)
    for at_ms in moments:
        step = _step(before, after, model_id, group, at_ms)
        # Told once: the same step at a later moment is no news, nor is everybody's in a group.
        everybodys = group is not None and step == _step(before, after, model_id, None, at_ms)
        if step[0] != step[1] and step != told and not everybodys:
            yield from find_figures(
                *step,
                cost=after.find_cost(model_id, None, at_ms),
                model_id=model_id,
                price_group=group,
                at_ms=at_ms,
            )
        told = step


Step = tuple[Price | None, Price | None]
"""What is paid by the book as it is, and by the book as it would be."""


def _step(
    before: PriceBook, after: PriceBook, model_id: str, group: str | None, at_ms: int
) -> Step:
    return (
        before.find_price(model_id, group, at_ms),
        after.find_price(model_id, group, at_ms),
    )


def find_figures(
    old: Price | None,
    new: Price | None,
    *,
    cost: Price | None,
    model_id: str,
    price_group: str | None,
    at_ms: int,
) -> Iterator[Change]:
    """Every figure that differs between two prices of a model, beside its cost."""
    step = (old, new, cost)

    def change(from_tokens: int, kind: str, figures: list[Nanos | None]) -> Change:
        return Change(
            model_id=model_id,
            price_group=price_group,
            at_ms=at_ms,
            from_tokens=from_tokens,
            kind=kind,
            old=figures[0],
            new=figures[1],
            cost=figures[2],
        )

    for from_tokens in sorted({*_starts(old), *_starts(new)}):
        brackets = [None if price is None else price.bracket_at(from_tokens) for price in step]
        for kind in _kinds(old, new):
            figures = [_figure(bracket, kind) for bracket in brackets]
            if figures[0] != figures[1]:
                yield change(from_tokens, kind, figures)
    for fee in FEES:
        figures = [None if price is None else getattr(price, fee) for price in step]
        # A fee of nothing is no news where there was no price at all.
        if (figures[0] or 0) != (figures[1] or 0):
            yield change(0, fee, figures)


def _starts(price: Price | None) -> list[int]:
    return [] if price is None else [bracket.from_tokens for bracket in price.brackets]


def _kinds(old: Price | None, new: Price | None) -> list[str]:
    """The kinds worth telling: what only follows its neighbour changes with it."""
    said = [kinds for price in (old, new) if price is not None for kinds in (price, *price.tiers)]
    return [
        kind
        for kind in TOKEN_KINDS
        if kind in ALWAYS_TOLD or any(getattr(kinds, kind) is not None for kinds in said)
    ]


def _figure(bracket: Bracket | None, kind: str) -> Nanos | None:
    if bracket is None:
        return None
    figure: Nanos = getattr(bracket, kind)
    return figure
