"""Models and prices: what is on sale, what it costs this reader, and until when it lives."""

from collections.abc import Callable, Sequence

from msgspec import Struct
from starlette.responses import Response

from altyn.accounts.store import find_price_group
from altyn.catalog.price import Bracket, Price
from altyn.database.engine import now_ms
from altyn.errors import NotFoundError
from altyn.gateway.offer import Offer, next_change
from altyn.money import Nanos
from altyn.web.examples import call_of
from altyn.web.snippets import blocks
from altyn.web.texts import N_
from altyn.web.visit import Visit

ORDERS: dict[str, tuple[str, Callable[[Offer], object]]] = {
    "": (N_("In our order"), lambda _: 0),
    "name": (N_("By name"), lambda offer: offer.named.name.lower()),
    "input": (N_("Input price"), lambda offer: _price_at_first(offer).input),
    "output": (N_("Output price"), lambda offer: _price_at_first(offer).output),
    "context": (N_("Longest context first"), lambda offer: -offer.model.context_length),
}
READS = {
    "image": N_("Images"),
    "file": N_("Files"),
    "audio": N_("Sound"),
    "video": N_("Video"),
}
ABILITIES = {
    "tools": N_("Tools"),
    "structured_outputs": N_("JSON by schema"),
    "reasoning": N_("Reasoning"),
}
DEAREST = Bracket(0, 0, *(10**18,) * 11)
"""What has no price yet stands after everything that has one."""


class Wish(Struct, frozen=True, kw_only=True):
    """The filters, as they stand in the address."""

    words: str
    vendor: str
    reads: str
    can: str
    available: bool
    order: str

    def likes(self, offer: Offer) -> bool:
        name = f"{offer.id} {offer.named.name}".lower()
        return (
            all(word in name for word in self.words.lower().split())
            and self.vendor in {"", offer.named.vendor}
            and (not self.reads or self.reads in offer.model.hears)
            and (not self.can or self.can in offer.model.takes)
            and (not self.available or offer.available)
        )


class PriceLine(Struct, frozen=True):
    """One kind of token, and its price for a million in each bracket."""

    label: str
    prices: tuple[Nanos, ...]


async def show_all(visit: Visit) -> Response:
    """`GET /models`: `q`, `vendor`, `reads`, `can`, `available` and `sort` live in the address."""
    if hides_models(visit):
        return visit.go_to_login()
    offers = list(visit.shop.offers(await price_group(visit)))
    wish = _read_wish(visit)
    return await visit.page(
        "models/list.html",
        offers=sorted(filter(wish.likes, offers), key=ORDERS[wish.order][1]),  # type: ignore[arg-type]
        count=len(offers),
        vendors=sorted({offer.named.vendor for offer in offers}),
        wish=wish,
        orders=[(name, visit.gettext(said)) for name, (said, _) in ORDERS.items()],
        reads=READS,
        abilities=ABILITIES,
        known=visit.shop.shelf.goods,
        now=now_ms(),
    )


async def show(visit: Visit) -> Response:
    """`GET /models/{model_id}`: one of them, whose id holds a slash."""
    if hides_models(visit):
        return visit.go_to_login()
    group = await price_group(visit)
    offer = visit.shop.find_offer(visit.part("model_id"), group)
    if offer is None:
        raise NotFoundError
    return await visit.page(
        "models/show.html",
        offer=offer,
        lines=() if offer.rate is None else price_lines(offer.rate.price),
        brackets=() if offer.rate is None else offer.rate.price.brackets,
        change=next_change(offer, visit.shop.shelf, price_group=group),
        tabs=blocks(call_of(offer.id, visit.words.language), base=visit.shop.api_base),
        reads=READS,
        known=visit.shop.shelf.goods,
        now=now_ms(),
    )


async def price_group(visit: Visit) -> str | None:
    """Whose prices this reader pays; a stranger sees those of everybody."""
    if visit.person is None:
        return None
    return await find_price_group(visit.shop.database, visit.person.account_id)


def price_lines(price: Price) -> Sequence[PriceLine]:
    """The price as it is shown: a kind that costs what its neighbour costs is not said twice."""
    at = price.brackets
    lines = [PriceLine(label, tuple(getattr(one, kind) for one in at)) for kind, label in KINDS]
    told = dict(zip((kind for kind, _ in KINDS), lines, strict=True))
    return [
        line
        for kind, line in told.items()
        if kind not in LIKE or line.prices != told[LIKE[kind]].prices
    ]


KINDS = (
    ("input", N_("Input")),
    ("cached_read", N_("Input from the cache")),
    ("cache_write_5m", N_("Written to the cache")),
    ("cache_write_1h", N_("Written to the cache for an hour")),
    ("audio_input", N_("Sound in the input")),
    ("output", N_("Output")),
    ("reasoning", N_("Reasoning")),
    ("image", N_("Images in the output")),
)
LIKE = {
    "cache_write_5m": "input",
    "cache_write_1h": "cache_write_5m",
    "audio_input": "input",
    "reasoning": "output",
    "image": "output",
}
"""Kinds that are shown only where they cost something else than this one."""


def hides_models(visit: Visit) -> bool:
    """Whether this reader has to sign in first."""
    return visit.person is None and visit.shop.settings.prices_shown_to == "members"


def _read_wish(visit: Visit) -> Wish:
    order = visit.query("sort")
    return Wish(
        words=visit.query("q"),
        vendor=visit.query("vendor"),
        reads=visit.query("reads"),
        can=visit.query("can"),
        available=visit.query("available") == "yes",
        order=order if order in ORDERS else "",
    )


def _price_at_first(offer: Offer) -> Bracket:
    return DEAREST if offer.rate is None else offer.rate.price.bracket_at(0)
