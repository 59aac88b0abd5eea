"""What `up` and `migrate` do before anything is served: a home, tables, models, vendors, a key."""

from collections.abc import Mapping

from msgspec import Struct

from altyn.accounts.store import has_owner
from altyn.catalog.load import load_catalog
from altyn.catalog.route import list_routes
from altyn.control.furnish import connect_vendors, furnish, mint_first_key
from altyn.control.line import is_served
from altyn.control.models import Ending, find_endings
from altyn.control.office import Office, migrate_store, open_office, prepare_home
from altyn.database.engine import Transaction
from altyn.errors import StoreLockedError
from altyn.ledger.codes import has_codes, make_codes, shown
from altyn.money import NANOS_PER_UNIT, Nanos
from altyn.settings import Settings
from altyn.upstream.provider import list_providers
from altyn.web.ticket import issue_ticket


class Start(Struct, frozen=True, kw_only=True):
    """What was found and made. `test_key` only where there was no key at all, `owner_ticket` as
    long as nobody owns the place: it opens the page on which somebody does.
    """

    revision_before: str | None
    revision: str
    models_added: int
    vendors: tuple[str, ...]
    providers: tuple[str, ...]
    test_key: str | None
    owner_ticket: str | None = None
    welcome_code: str | None = None
    endings: tuple[Ending, ...] = ()


async def prepare(settings: Settings, environ: Mapping[str, str], *, first_key: bool) -> Start:
    """Make everything ready. Raises an `OperatorError` with one sentence if it cannot be.

    Models of this version that are missing are added; vendors whose variable is set get a provider
    and routes. Doing it twice is doing it once.
    """
    prepare_home(settings.home)
    if is_served(settings):
        raise StoreLockedError(
            f"Another Altyn is serving {settings.home} already: stop it first, or choose another"
            " home with --home."
        )
    before, revision = await migrate_store(settings)
    async with open_office(settings) as office:
        database, seal = office.database, office.seal
        added = await furnish(database, seal, currency=settings.currency)
        vendors = await connect_vendors(database, seal, environ)
        return Start(
            revision_before=before,
            revision=revision,
            models_added=added,
            vendors=tuple(vendors),
            providers=await _serving(office),
            test_key=await mint_first_key(database, seal) if first_key else None,
            endings=tuple(find_endings(await load_catalog(database))),
            owner_ticket=await database.write(_invite_owner) if first_key else None,
            welcome_code=await _welcome(office) if first_key else None,
        )


async def _invite_owner(tx: Transaction) -> str | None:
    return None if await has_owner(tx) else await issue_ticket(tx, "set_up")


async def _welcome(office: Office) -> str | None:
    """A first code, so that the whole way of money can be walked before anybody pays."""

    async def make_it(tx: Transaction) -> str | None:
        if await has_codes(tx):
            return None
        (code,) = await make_codes(
            tx,
            pepper=office.seal.pepper,
            count=1,
            amount_nanos=welcome_nanos(office.settings.currency),
            source="promo",
            reason="welcome",
        )
        return shown(code)

    return await office.database.write(make_it)


def welcome_nanos(currency: str) -> Nanos:
    """What the welcome code is worth: enough to try everything, too little to matter."""
    return (100 if currency == "RUB" else 5) * NANOS_PER_UNIT


async def _serving(office: Office) -> tuple[str, ...]:
    """The providers outside the sandbox that have a route."""
    routed = {route.provider for route in await list_routes(office.database)}
    return tuple(
        provider.name
        for provider in await list_providers(office.database, office.seal)
        if provider.dialect != "sandbox" and provider.name in routed
    )
