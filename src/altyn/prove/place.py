"""Databases to break: fresh ones, migrated and stocked, in a folder or a server of our own."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from pathlib import Path

from altyn.control.furnish import furnish
from altyn.database.address import open_database
from altyn.database.engine import Transaction
from altyn.database.migrate import migrate
from altyn.database.seal import Seal, load_root
from altyn.errors import OperatorError
from altyn.prove.postgres import TemporaryPostgres, find_postgres_bin


class Place:
    """One kind of database. `fresh` gives the address of a new one, `home` the folder of its key.

    On a server of the operator's there is one database, which is emptied for each `fresh`.
    """

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.folder = folder
        self.home = folder / "home"
        self.server: TemporaryPostgres | None = None
        self.url: str | None = None
        self._numbers = count(1)
        self._template = folder / "template.db"

    def prepare(self) -> None:
        self.home.mkdir(mode=0o700, parents=True)
        if self.kind == "sqlite":
            asyncio.run(_stock(f"sqlite:///{self._template}", self.home))
        elif self.server is not None:
            asyncio.run(_stock(self.server.make_database("stocked"), self.home))

    def fresh(self) -> str:
        """The address of a new database with models, the sandbox, and nobody in it."""
        number = next(self._numbers)
        if self.kind == "sqlite":
            path = self.folder / f"{number}" / "altyn.db"
            path.parent.mkdir()
            shutil.copy(self._template, path)
            return f"sqlite:///{path}"
        if self.server is not None:
            return self.server.make_database(f"proof_{number}", template="stocked")
        assert self.url is not None
        asyncio.run(_empty(self.url))
        asyncio.run(_stock(self.url, self.home))
        return self.url


@contextmanager
def open_places(database_url: str | None) -> Iterator[list[Place]]:
    """SQLite always; PostgreSQL at the operator's address, or as it is installed here.

    Raises `OperatorError` for a database that is not empty: what is proved on it is broken there.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="altyn-prove-")))
        places = [Place("sqlite", folder / "sqlite")]
        if database_url is not None:
            asyncio.run(_require_empty(database_url))
            places.append(Place("postgresql", folder / "postgresql"))
            places[-1].url = database_url
        elif find_postgres_bin() is not None:
            places.append(Place("postgresql", folder / "postgresql"))
            places[-1].server = stack.enter_context(TemporaryPostgres())
        for place in places:
            place.prepare()
        yield places


async def _stock(url: str, home: Path) -> None:
    await migrate(url)
    database = open_database(url)
    await database.open()
    try:
        await furnish(database, Seal(load_root(home)), currency="USD")
    finally:
        await database.close()


async def _require_empty(url: str) -> None:
    database = open_database(url)
    if database.kind != "postgresql":
        raise OperatorError("A proof makes its own SQLite files: give it a PostgreSQL address.")
    await database.open()
    try:
        tables = await database.read(
            "SELECT 1 FROM information_schema.tables WHERE table_schema = 'public' LIMIT 1"
        )
    finally:
        await database.close()
    if tables:
        raise OperatorError("That database is not empty, and a proof breaks what it works on.")


async def _empty(url: str) -> None:
    database = open_database(url)
    await database.open()
    try:
        for sentence in ("DROP SCHEMA public CASCADE", "CREATE SCHEMA public"):
            await database.write(partial(_execute, sentence))
    finally:
        await database.close()


async def _execute(sentence: str, tx: Transaction) -> None:
    await tx.execute(sentence)
