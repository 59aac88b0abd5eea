"""Where the operator's deeds are done: the store, opened by the server or by a command itself."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from altyn.database.address import open_database
from altyn.database.engine import Database, Transaction
from altyn.database.migrate import current_revision, head_revision, migrate, require_current
from altyn.database.seal import Seal, load_root
from altyn.database.sqlite import take_lock
from altyn.errors import OperatorError
from altyn.ledger.store import find_operator_accounts
from altyn.ledger.writer import Owner, Writer
from altyn.settings import Settings
from altyn.upstream.router import Router
from altyn.usage.record import record_changes


class Office(Struct, frozen=True, kw_only=True):
    """Everything a deed needs. Inside a server it is the server's own store and ledger writer, and
    the router that knows how the upstreams do right now.
    """

    settings: Settings
    database: Database
    seal: Seal
    writer: Writer
    router: Router | None = None


@asynccontextmanager
async def open_office(settings: Settings) -> AsyncIterator[Office]:
    """Open the store for one command, without a server. An empty home is made ready first.

    Raises `StoreLockedError` while another process has the file, `OldDatabaseError` for a database
    that has to be migrated: only `up` and `migrate` do that.
    """
    prepare_home(settings.home)
    seal = Seal(load_root(settings.home))
    if await current_revision(settings.database_url) is None:
        await migrate_store(settings)
    await require_current(settings.database_url)
    database = open_database(settings.database_url)
    await database.open()
    try:
        writer = Writer(
            database,
            owner=Owner(None, await database.write(_first_shard)),
            record_changes=record_changes,
        )
        if not await database.read("SELECT 1 FROM models LIMIT 1"):
            from altyn.control.furnish import furnish  # noqa: PLC0415 -- most commands start without

            await furnish(database, seal, currency=settings.currency)
        yield Office(settings=settings, database=database, seal=seal, writer=writer)
        await writer.drain()
    finally:
        await database.close()


async def migrate_store(settings: Settings) -> tuple[str | None, str]:
    """Migrate, and return the revision before and after.

    Raises `StoreLockedError` while another process has an SQLite file: its tables would change
    under a running server.
    """
    url = settings.database_url
    if not url.startswith("sqlite:///") or await current_revision(url) == head_revision():
        return await migrate(url)
    path = sqlite_path(settings)
    lock = take_lock(path)
    try:
        return await migrate(url)
    finally:
        os.close(lock)


def sqlite_path(settings: Settings) -> Path:
    return Path(settings.database_url.removeprefix("sqlite:///"))


def prepare_home(home: Path) -> None:
    """Make the home if it is not there. Raises `OperatorError` if nothing can be kept in it."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise OperatorError(
            f"The home {home} is not a directory: choose another with --home or ALTYN_HOME."
        ) from None
    except OSError as error:
        raise OperatorError(
            f"The home {home} cannot be made ({error.strerror}):"
            " choose another with --home or ALTYN_HOME."
        ) from None
    if not os.access(home, os.W_OK | os.X_OK):
        raise OperatorError(
            f"The home {home} cannot be written by this user: give it to the one who runs Altyn,"
            " or choose another with --home or ALTYN_HOME."
        )


def iso(milliseconds: int) -> str:
    """A moment as RFC 3339 in UTC, as the External API writes it."""
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"


async def _first_shard(tx: Transaction) -> dict[str, int]:
    return await find_operator_accounts(tx, 0)
