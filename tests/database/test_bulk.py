"""Statements over many rows: the same on both databases, and never a scan of a table."""

import sqlite3

import pytest

from altyn.database import bulk
from altyn.database.bulk import parts, rows
from altyn.ledger import store
from altyn.usage import record
from fakes.books import open_books

SPENDS = store.SPENDS
NUMBERS = (0, 1, 2, 3, 63, 64, 65, 130)


@pytest.fixture
async def table(migrated_url):
    """A database with one key, whose spends are a table of two key columns and two numbers."""
    async with open_books(migrated_url) as books:
        key = await books.add_key(await books.add_account())
        yield books.database, key


async def spends(database):
    found = await database.read("SELECT window_at, spent_nanos, held_nanos FROM key_spends")
    return sorted(tuple(row) for row in found)


@pytest.mark.parametrize("number", NUMBERS)
def test_parts_are_the_whole_in_its_order(number):
    values = list(range(number))

    cut = list(parts(values))

    assert [value for part in cut for value in part] == values
    assert {len(part) for part in cut} <= set(bulk.PART_SIZES)


async def test_rows_are_inserted_and_found_by_their_keys(table):
    database, key = table
    values = [(key, window, window + 1, 0) for window in range(130)]

    await database.write(lambda tx: tx.insert_rows(SPENDS, values))

    found = await database.write(
        lambda tx: tx.fetch_rows(SPENDS, [(key, window) for window in range(5, 80)])
    )
    assert sorted(tuple(row) for row in found) == values[5:80]


async def test_nothing_is_nothing(table):
    database, _ = table

    async def work(tx):
        await tx.insert_rows(SPENDS, [])
        await tx.put_rows(SPENDS, [])
        await tx.add_rows(SPENDS, [])
        counts = (await tx.update_rows(SPENDS, []), await tx.delete_rows(store.HOLDS, []))
        return counts, list(await tx.fetch_rows(SPENDS, []))

    assert await database.write(work) == ((0, 0), [])


async def test_an_update_says_how_many_rows_it_found(table):
    database, key = table
    await database.write(lambda tx: tx.insert_rows(SPENDS, [(key, 1, 1, 1), (key, 2, 2, 2)]))

    found = await database.write(
        lambda tx: tx.update_rows(SPENDS, [(key, 1, 10, 0), (key, 3, 30, 0)])
    )

    assert found == 1
    assert await spends(database) == [(1, 10, 0), (2, 2, 2)]


async def test_rows_are_put_over_what_is_there(table):
    database, key = table
    await database.write(lambda tx: tx.insert_rows(SPENDS, [(key, 1, 1, 1)]))

    await database.write(lambda tx: tx.put_rows(SPENDS, [(key, 1, 5, 0), (key, 2, 6, 0)]))

    assert await spends(database) == [(1, 5, 0), (2, 6, 0)]


async def test_numbers_are_added_to_what_is_there(table):
    database, key = table
    await database.write(lambda tx: tx.insert_rows(SPENDS, [(key, 1, 1, 1)]))

    await database.write(lambda tx: tx.add_rows(SPENDS, [(key, 2, 6, 0), (key, 1, 5, 0)]))

    assert await spends(database) == [(1, 6, 1), (2, 6, 0)]


async def test_text_comes_back_as_it_went_in(table):
    database, _ = table
    texts = ["", "Ж", "'; DROP TABLE revisions; --", '"\\', "\U0001f600", "a\nb"]
    revisions = rows("revisions", "name", "name text, number")

    await database.write(lambda tx: tx.insert_rows(revisions, [(text, 2**62) for text in texts]))

    found = await database.write(lambda tx: tx.fetch_rows(revisions, [(text,) for text in texts]))
    assert sorted(tuple(row) for row in found) == sorted((text, 2**62) for text in texts)


STATEMENTS = [
    *((bulk.sqlite_select, some) for some in (store.ACCOUNTS, store.HOLDS, store.SPENDS)),
    *((bulk.sqlite_select, some) for some in (store.REFERENCES, store.RECORDED)),
    *((bulk.sqlite_update, some) for some in (store.ACCOUNTS_CHANGED, store.HOLDS_UNKNOWN)),
    (bulk.sqlite_update, store.HOLDS_NOTED),
    (bulk.sqlite_delete, store.HOLDS),
    (bulk.sqlite_put, store.SPENDS),
    (bulk.sqlite_add, record.HOURS),
]


@pytest.mark.parametrize(("write", "some"), STATEMENTS)
def test_no_statement_of_a_batch_scans_a_table(sqlite_url, write, some):
    connection = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))
    sql = write(some, 3)

    plan = connection.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * sql.count("?")).fetchall()

    connection.close()
    assert [step[3] for step in plan if f"SCAN {some.table}" in step[3]] == []
