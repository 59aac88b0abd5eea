"""One way to read and write both databases: what every caller may rely on."""

import os

import pytest

from altyn.database.address import open_database
from altyn.database.engine import StoreUnavailableError, bump_revision, new_request_id
from altyn.errors import SettingError


@pytest.fixture
async def database(migrated_url):
    opened = open_database(migrated_url)
    await opened.open()
    yield opened
    await opened.close()


async def test_parameters_are_numbered_and_may_repeat(database):
    rows = await database.read(
        "SELECT CAST($2 AS BIGINT), CAST($1 AS TEXT), CAST($2 AS BIGINT) + 1", "one", 2
    )

    assert [tuple(row) for row in rows] == [(2, "one", 3)]


async def test_more_than_nine_parameters_keep_their_places(database):
    places = ", ".join(f"CAST(${place} AS BIGINT)" for place in range(1, 13))

    rows = await database.read(f"SELECT {places}", *range(12))

    assert tuple(rows[0]) == tuple(range(12))


async def test_a_write_is_seen_by_the_next_read(database):
    await database.write(bump_revision)
    await database.write(bump_revision)

    assert [tuple(row) for row in await database.read("SELECT name, number FROM revisions")] == [
        ("catalog", 2)
    ]


async def test_a_write_says_how_many_rows_it_changed(database):
    await database.write(bump_revision)

    changed = await database.write(lambda tx: tx.execute("UPDATE revisions SET number = 7"))
    none = await database.write(lambda tx: tx.execute("DELETE FROM revisions WHERE number = 1"))

    assert (changed, none) == (1, 0)


async def test_a_transaction_that_fails_leaves_nothing(database):
    async def work(tx):
        await bump_revision(tx)
        raise LookupError

    with pytest.raises(LookupError):
        await database.write(work)

    assert list(await database.read("SELECT * FROM revisions")) == []


async def test_what_is_read_cannot_write(database):
    with pytest.raises(StoreUnavailableError):
        await database.read("INSERT INTO revisions (name, number) VALUES ('x', 1)")

    assert list(await database.read("SELECT * FROM revisions")) == []


async def test_a_closed_database_says_so(migrated_url):
    database = open_database(migrated_url)
    await database.open()
    await database.close()

    with pytest.raises(StoreUnavailableError):
        await database.write(bump_revision)


def test_an_unknown_kind_of_database_is_a_setting_error():
    with pytest.raises(SettingError, match="sqlite:/// or postgresql://"):
        open_database("mysql://localhost/altyn")


def test_request_ids_sort_by_time_and_never_repeat():
    ids = [new_request_id() for _ in range(1_000)]

    assert len(set(ids)) == 1_000
    assert [name[:12] for name in ids] == sorted(name[:12] for name in ids)
    assert {len(name) for name in ids} == {28}


def test_a_forked_process_makes_numbers_of_its_own():
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(writing, new_request_id().encode())
        os._exit(0)
    os.waitpid(pid, 0)

    theirs, ours = os.read(reading, 100).decode(), new_request_id()

    os.close(reading)
    os.close(writing)
    assert theirs[12:] != ours[12:]
