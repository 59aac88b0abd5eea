"""What every test may ask for: a database of either kind, a gateway on top of it, a fake vendor."""

import asyncio
import shutil
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from altyn.database.migrate import migrate
from altyn.ledger import workers

sys.path.insert(0, str(Path(__file__).parent))

from fakes.gateway import Gateway, migrated_file
from fakes.openai_server import FakeOpenAI
from fakes.postgres import TemporaryPostgres, find_postgres_bin

NUMBERS = count(1)
KINDS = ("sqlite", "postgresql")
ROOM_BYTES = 8 * 1024**3


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, then those that share a browser: at the end no worker waits
    for the other's longest.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    browsing = {item.path for item in items if "windows" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: (item.path not in slow, item.path not in browsing))


@pytest.fixture(scope="session")
def postgres() -> Iterator[TemporaryPostgres]:
    """A PostgreSQL server of our own for the whole run."""
    if find_postgres_bin() is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    server = TemporaryPostgres()
    server.parent = memory_disk()
    with server, pytest.MonkeyPatch.context() as patch:
        # It has only just begun, and its silent processes are dead all the same.
        patch.setattr(workers, "SERVER_NEW_S", -1)
        yield server


def memory_disk() -> Path | None:
    """A disk in memory, if there is room: 130 databases have 60,000 files, which a real one takes
    half a minute to forget.
    """
    disk = Path("/dev/shm")
    return disk if disk.is_dir() and shutil.disk_usage(disk).free > ROOM_BYTES else None


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh, empty database: once on SQLite, once on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'altyn.db'}"
    server: TemporaryPostgres = request.getfixturevalue("postgres")
    return server.make_database(f"test_{next(NUMBERS)}")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy: much quicker than migrating for each test."""
    path = tmp_path_factory.mktemp("template") / "altyn.db"
    path.write_bytes(migrated_file())
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres: TemporaryPostgres) -> str:
    """The name of a migrated PostgreSQL database to copy."""
    asyncio.run(migrate(postgres.make_database("template")))
    return "template"


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A fresh, migrated SQLite database."""
    shutil.copy(sqlite_template, tmp_path / "migrated.db")
    return f"sqlite:///{tmp_path / 'migrated.db'}"


@pytest.fixture
def postgres_url(postgres: TemporaryPostgres, postgres_template: str) -> str:
    """A fresh, migrated PostgreSQL database."""
    return postgres.make_database(f"test_{next(NUMBERS)}", template=postgres_template)


@pytest.fixture(params=KINDS)
def migrated_url(request: pytest.FixtureRequest) -> str:
    """A fresh, migrated database: once on SQLite, once on PostgreSQL."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture
def gateway(migrated_url: str, tmp_path: Path) -> Iterator[Gateway]:
    """A running gateway on either database. Afterwards every invariant of the ledger must hold."""
    with Gateway(tmp_path / "home", migrated_url) as running:
        yield running
        running.wait_until_idle()
        running.verify()


@pytest.fixture
def sqlite_gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A running gateway on SQLite alone, for what does not depend on the database."""
    with Gateway(tmp_path / "home") as running:
        yield running
        running.wait_until_idle()
        running.verify()


@pytest.fixture
def vendor() -> Iterator[Any]:
    """A fake vendor that speaks OpenAI's format over real HTTP."""
    fake = FakeOpenAI()
    fake.start()
    try:
        yield fake
    finally:
        fake.stop()
