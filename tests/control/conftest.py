"""An office on a home of its own, without a server."""

import asyncio
import shutil

import pytest

from altyn.control.deeds import perform
from altyn.control.office import open_office
from altyn.ledger.audit import verify
from altyn.receipts import charges_equal_their_prices
from altyn.settings import read_settings


@pytest.fixture(scope="session")
def home_template(tmp_path_factory):
    """A home as the first command leaves it, to copy: much quicker than making it anew."""
    home = tmp_path_factory.mktemp("home")

    async def open_once():
        async with open_office(read_settings({}, home=home)):
            pass

    asyncio.run(open_once())
    return home


@pytest.fixture
def home(home_template, tmp_path):
    return shutil.copytree(home_template, tmp_path / "home", copy_function=shutil.copy2)


@pytest.fixture
def settings(home):
    return read_settings({}, home=home)


@pytest.fixture
async def office(settings):
    """An open office on SQLite. Afterwards every invariant of the ledger must hold."""
    async with open_office(settings) as opened:
        yield opened
        assert (await verify(opened.database, charges_equal_their_prices)).findings == ()


@pytest.fixture
async def any_office(migrated_url, tmp_path):
    """An open office: once on SQLite, once on PostgreSQL."""
    settings = read_settings({}, home=tmp_path / "any", overrides={"database_url": migrated_url})
    async with open_office(settings) as opened:
        yield opened
        assert (await verify(opened.database, charges_equal_their_prices)).findings == ()


@pytest.fixture
def do(office):
    """Do a deed by its name, as a command does."""

    async def do_it(deed, **arguments):
        return await perform(office, deed, arguments)

    return do_it
