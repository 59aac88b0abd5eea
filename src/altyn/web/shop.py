"""What pages can reach of the running gateway."""

from collections.abc import Sequence

from msgspec import Struct

from altyn.catalog.model import Model
from altyn.database.engine import Database
from altyn.database.seal import Seal
from altyn.gateway.desk import Desk
from altyn.ledger.writer import Writer
from altyn.settings import Settings


class Shop(Struct, frozen=True, kw_only=True):
    """The gateway behind the pages: its settings, store, seal, books, and the desk for calls."""

    settings: Settings
    database: Database
    seal: Seal
    writer: Writer
    desk: Desk

    @property
    def currency(self) -> str:
        return self.settings.currency

    @property
    def api_base(self) -> str:
        """The base URL of the External API as customers see it."""
        return f"{self.settings.public_url}/api/v1/external"

    @property
    def models(self) -> Sequence[Model]:
        """Every model on sale, in the catalog's order."""
        shelf = self.desk.shelf
        return () if shelf is None else tuple(shelf.catalog.models.values())
