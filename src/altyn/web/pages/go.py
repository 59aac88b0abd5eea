"""Ctrl+K: from anywhere to a page, to a key or a model by its name, to a request by its id."""

from collections.abc import Iterator, Sequence

from msgspec import Struct
from starlette.responses import Response

from altyn.keys.store import list_keys
from altyn.web.access import may
from altyn.web.menu import MENU
from altyn.web.pages.models import price_group
from altyn.web.pages.requests import find_request
from altyn.web.texts import N_
from altyn.web.visit import Visit

WORDS_MAX = 100
EACH_MAX = 6
"""Of one kind; whoever sees so many writes one more letter."""
PAGE, KEY, MODEL, REQUEST = N_("Page"), N_("Key"), N_("Model"), N_("Request")


class Place(Struct, frozen=True, kw_only=True):
    """Something to go to. `given`: its name is somebody's own, in no language of ours."""

    path: str
    name: str
    kind: str
    icon: str
    given: bool = True


async def show(visit: Visit) -> Response:
    """`GET /app/go`: what `q` may mean; with `first` straight to the best of it."""
    wanted = visit.query("q").strip()[:WORDS_MAX]
    places = await _find(visit, wanted)
    if visit.query("first") and places:
        return visit.go(places[0].path)
    # While somebody types, only the list below their words is sent.
    asked_again = visit.wants_part and "q" in visit.request.query_params
    template = "go/found.html" if asked_again else "go/go.html"
    return await visit.page(template, wanted=wanted, places=places)


async def _find(visit: Visit, wanted: str) -> Sequence[Place]:
    pages = list(_pages(visit, wanted))
    if not wanted:
        return pages
    request = await find_request(visit, wanted)
    return [
        *([_request(request["request_id"])] if request is not None else []),
        *pages[:EACH_MAX],
        *(await _keys(visit, wanted))[:EACH_MAX],
        *(await _models(visit, wanted))[:EACH_MAX],
    ]


def _pages(visit: Visit, wanted: str) -> Iterator[Place]:
    """The pages of the menu that this person may open, in its order."""
    for entry in (entry for group in MENU for entry in group.entries):
        name = visit.gettext(entry.label)
        # Whoever knows its English name finds it by that, too.
        if may(entry.access, visit.person) and _fits(wanted, name, entry.label):
            yield Place(path=entry.path, name=name, kind=PAGE, icon=entry.icon, given=False)


async def _keys(visit: Visit, wanted: str) -> list[Place]:
    keys = await list_keys(visit.shop.database, account_id=visit.me.account_id)
    return [
        Place(
            path=f"/app/keys?q={key.last_four}",
            name=f"{key.name or visit.gettext('Without a name')} …{key.last_four}",
            kind=KEY,
            icon="key-round",
        )
        for key in keys
        if key.revoked_at is None and _fits(wanted, key.name, key.last_four)
    ]


async def _models(visit: Visit, wanted: str) -> list[Place]:
    return [
        Place(path=f"/models/{offer.id}", name=offer.named.name, kind=MODEL, icon="boxes")
        for offer in visit.shop.offers(await price_group(visit))
        if _fits(wanted, offer.named.name, offer.id)
    ]


def _request(request_id: str) -> Place:
    path = f"/app/requests/req_{request_id}"
    return Place(path=path, name=f"req_{request_id}", kind=REQUEST, icon="list")


def _fits(wanted: str, *names: str) -> bool:
    text = " ".join(names).lower()
    return all(word in text for word in wanted.lower().split())
