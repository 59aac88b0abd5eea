"""What `up` and `migrate` do before anything is served: a home, tables, models, vendors, a key."""

from collections.abc import Mapping

from msgspec import Struct

from altyn.catalog.load import load_catalog
from altyn.catalog.route import list_routes
from altyn.control.furnish import connect_vendors, furnish, mint_first_key
from altyn.control.line import is_served
from altyn.control.models import Ending, find_endings
from altyn.control.office import Office, migrate_store, open_office, prepare_home
from altyn.errors import StoreLockedError
from altyn.settings import Settings
from altyn.upstream.provider import list_providers


class Start(Struct, frozen=True, kw_only=True):
    """What was found and made. `test_key` only where there was no key at all."""

    revision_before: str | None
    revision: str
    models_added: int
    vendors: tuple[str, ...]
    providers: tuple[str, ...]
    test_key: str | None
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
        )


async def _serving(office: Office) -> tuple[str, ...]:
    """The providers outside the sandbox that have a route."""
    routed = {route.provider for route in await list_routes(office.database)}
    return tuple(
        provider.name
        for provider in await list_providers(office.database, office.seal)
        if provider.dialect != "sandbox" and provider.name in routed
    )
