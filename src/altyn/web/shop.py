"""What pages can reach of the running gateway."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec import Struct

from altyn.catalog.model import Model
from altyn.database.engine import Database
from altyn.database.seal import Seal
from altyn.gateway.desk import Desk
from altyn.gateway.offer import Offer, list_offers, offer
from altyn.gateway.shelf import Shelf
from altyn.ledger.audit import Finding
from altyn.ledger.writer import Writer
from altyn.settings import Settings

if TYPE_CHECKING:
    from altyn.web.identity import IdentityProvider

API_PATH = "/api/v1/external"
Api = Callable[[Any, Any, Any], Awaitable[None]]


class Shop(Struct, frozen=True, kw_only=True):
    """The gateway behind the pages: settings, store, seal, books, desk for calls, the API, what its
    auditor has found since the start, and the provider that knows people, if one is set.
    """

    settings: Settings
    database: Database
    seal: Seal
    writer: Writer
    desk: Desk
    api: Api
    breaches: Callable[[], Sequence[Finding]]
    identity: "IdentityProvider | None" = None

    @property
    def currency(self) -> str:
        return self.settings.currency

    @property
    def api_base(self) -> str:
        """The base URL of the External API as customers see it."""
        return f"{self.settings.public_url}{API_PATH}"

    @property
    def host(self) -> str:
        """The name by which customers know this place: `ai.example.com`."""
        return urlsplit(self.settings.public_url).hostname or ""

    @property
    def support_link(self) -> str | None:
        """Where help is asked for, as an address to be opened."""
        contact = self.settings.support_contact
        return f"mailto:{contact}" if contact and "://" not in contact else contact

    @property
    def documents(self) -> dict[str, str]:
        """The operator's documents that whoever signs up agrees to: name -> link."""
        links = {"terms": self.settings.terms_url, "privacy": self.settings.privacy_url}
        return {name: url for name, url in links.items() if url is not None}

    @property
    def shelf(self) -> Shelf:
        assert self.desk.shelf is not None  # loaded before the first request
        return self.desk.shelf

    def offers(self, price_group: str | None) -> Iterator[Offer]:
        """Every model on sale at a group's prices, in the catalog's order."""
        return list_offers(self.shelf, self.desk.client.router, price_group=price_group)

    def find_offer(self, name: str, price_group: str | None) -> Offer | None:
        goods = self.shelf.goods.get(name)
        if goods is None:
            return None
        return offer(goods, self.shelf, self.desk.client.router, price_group=price_group)

    @property
    def sends_mail(self) -> bool:
        """Whether letters reach anybody: only then is an address confirmed before it signs in."""
        return self.settings.smtp_url is not None

    @property
    def models(self) -> Sequence[Model]:
        """Every model on sale, in the catalog's order."""
        shelf = self.desk.shelf
        return () if shelf is None else tuple(shelf.catalog.models.values())
