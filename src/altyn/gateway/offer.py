"""What is offered to somebody now: a model on sale with their price, and whether it can be served.

`GET /models` and the pages of models are made of this, so they cannot tell two different prices.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime

from msgspec import Struct

from altyn.catalog.load import Standing
from altyn.catalog.model import Model
from altyn.catalog.pricebook import Rate
from altyn.database.engine import now_ms
from altyn.gateway.shelf import Goods, Shelf
from altyn.upstream.router import Router


class Offer(Struct, frozen=True, kw_only=True):
    """A name on sale. `named` is the model of that name, `goods.model` the one that answers to it.

    `rate` None: it has no price yet. `available`: a route can serve it now, with a live key.
    `retires_at`: the day of its end, the operator's or else its vendor's.
    """

    goods: Goods
    named: Model
    rate: Rate | None
    available: bool
    retires_at: date | None
    replaced_by: str | None

    @property
    def id(self) -> str:
        return self.goods.name

    @property
    def model(self) -> Model:
        return self.goods.model

    @property
    def max_output_tokens(self) -> int:
        """The most this API gives: the smaller of the model's own limit and the cap on a call."""
        return min(self.model.max_output_tokens, self.model.max_tokens_cap)

    def is_retired(self, at_ms: int) -> bool:
        return self.retires_at is not None and self.retires_at <= _day(at_ms)

    def describe(self, language: str) -> str:
        """What a model is, after the truth about who answers to its name."""
        text = self.model.description.in_language(language)
        if self.model.id != self.id:
            return SERVED_AS[language].format(model=self.model.id, name=self.named.name) + text
        retired_at = self.goods.life.retired_at(now_ms())
        if retired_at is not None and not self.goods.targets:
            return RETIRED[language].format(day=_day(retired_at).isoformat()) + text
        return text


def list_offers(shelf: Shelf, router: Router, *, price_group: str | None) -> Iterator[Offer]:
    """Everything on sale, in the catalog's order, for a group of accounts."""
    for goods in shelf.goods.values():
        yield offer(goods, shelf, router, price_group=price_group)


def offer(goods: Goods, shelf: Shelf, router: Router, *, price_group: str | None) -> Offer:
    named, standing = shelf.catalog.models[goods.name], shelf.catalog.standing(goods.name)
    rate = shelf.catalog.find_rate(goods.model.id, price_group, now_ms())
    return Offer(
        goods=goods,
        named=named,
        rate=rate,
        available=rate is not None and any(map(router.can_serve, goods.targets)),
        retires_at=_retires_at(named, standing),
        replaced_by=_replaced_by(goods, named, standing),
    )


def next_change(offer: Offer, shelf: Shelf, *, price_group: str | None) -> tuple[int, Rate] | None:
    """When the price of an offer changes next, as far as is decided, and to what. Moment in ms."""
    book, now, price = shelf.catalog.prices, now_ms(), offer.rate and offer.rate.price
    for at_ms in book.moments:
        rate = book.find_rate(offer.model.id, price_group, at_ms) if at_ms > now else None
        if rate is not None and rate.price != price:
            return at_ms, rate
    return None


SERVED_AS = {
    "en": "Answered by {model}, at its price: {name} is no longer served. ",
    "ru": "Отвечает {model}, по своей цене: {name} больше не обслуживается. ",
}
RETIRED = {
    "en": "Retired on {day}. ",
    "ru": "Снята с обслуживания {day}. ",
}


def _replaced_by(goods: Goods, named: Model, standing: Standing) -> str | None:
    """Who answers already; else the operator's successor, or the vendor's."""
    if goods.model.id != goods.name:
        return goods.model.id
    return standing.replaced_by or named.lifecycle.replaced_by


def _retires_at(named: Model, standing: Standing) -> date | None:
    return named.retires_at if standing.retires_at is None else _day(standing.retires_at)


def _day(at_ms: int) -> date:
    return datetime.fromtimestamp(at_ms // 1000, UTC).date()
