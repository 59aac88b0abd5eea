"""A database that could lose paid money in a power cut is not served."""

import pytest

from altyn.app import App
from altyn.database import durability
from altyn.database.durability import Found, NotDurableError, Wanted, look_at_durability
from altyn.settings import read_settings
from fakes.books import open_books


async def test_what_is_committed_stays(migrated_url):
    async with open_books(migrated_url) as books:
        found = await look_at_durability(books.database)

    assert [one for one in found if not one.good] == []
    assert len(found) == (2 if migrated_url.startswith("sqlite") else 3)


@pytest.mark.parametrize(
    ("name", "value"), [("fsync", "off"), ("synchronous_commit", "off"), ("synchronous", "1")]
)
def test_what_a_power_cut_would_take_is_grave(name, value):
    wanted = {one.name: one for one in (*durability.SQLITE, *durability.POSTGRES)}[name]

    assert not Found(wanted, value).good
    assert wanted.grave


@pytest.fixture
def app_with(migrated_url, tmp_path, monkeypatch):
    """`app_with(wanted)`: a gateway whose database is asked for that instead."""

    def make(wanted: Wanted) -> App:
        monkeypatch.setitem(durability.WANTED, app.database.kind, (wanted,))
        return app

    app = App(read_settings({}, home=tmp_path, overrides={"database_url": migrated_url}))
    return make


async def test_a_gateway_does_not_start_on_it(app_with):
    app = app_with(Wanted("SELECT 7", "fsync", ("on",)))

    with pytest.raises(NotDurableError, match="fsync = 7"):
        await app.open()

    await app.database.close()


async def test_what_only_some_disks_need_is_a_warning(app_with):
    app = app_with(Wanted("SELECT 7", "full_page_writes", ("on",), grave=False))

    await app.open()

    assert await app.close() == 0
