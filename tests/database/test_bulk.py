"""Statements over many rows: the same on both databases, and never a scan of a table."""

import sqlite3

import pytest

from altyn.database import bulk
from altyn.database.bulk import Change, parts, rows
from altyn.ledger import store
from altyn.usage import record
from fakes.books import open_books

SPENDS = store.SPENDS
VERBS = ("insert", "update", "increase", "put", "add")
NUMBERS = (0, 1, 2, 3, 63, 64, 65, 130)


@pytest.fixture
async def table(migrated_url):
    """A database with one key, whose spends are a table of two key columns and two numbers."""
    async with open_books(migrated_url) as books:
        key = await books.add_key(await books.add_account())
        yield books.database, key


async def change(database, verb, values, some=SPENDS):
    await database.write(lambda tx: tx.change_rows([Change(verb, some, values)]))


async def spends(database):
    found = await database.read("SELECT window_at, spent_nanos, held_nanos FROM key_spends")
    return sorted(tuple(row) for row in found)


@pytest.mark.parametrize("number", NUMBERS)
def test_parts_are_the_whole_in_its_order(number):
    values = [(value,) for value in range(number)]

    cut = list(parts(values))

    assert [value for part in cut for value in part] == values
    assert all(0 < len(part) <= bulk.PART_MAX for part in cut)


@pytest.mark.parametrize(("number", "size"), [(1, 1), (2, 2), (3, 4), (4, 4), (33, 64), (64, 64)])
def test_a_padded_part_ends_with_rows_that_match_nothing(number, size):
    part = [(value,) for value in range(number)]

    full = bulk.padded(part)

    assert len(full) == size
    assert list(full[:number]) == part
    assert set(full[number:]) <= {(None,)}


async def test_rows_are_inserted_and_found_by_their_keys(table):
    database, key = table
    values = [(key, window, window + 1, 0) for window in range(130)]

    await change(database, "insert", values)

    found = await database.write(
        lambda tx: tx.fetch_rows(SPENDS, [(key, window) for window in range(5, 80)])
    )
    assert sorted(tuple(row) for row in found) == values[5:80]


async def test_nothing_is_nothing(table):
    database, _ = table

    async def work(tx):
        await tx.change_rows([])
        await tx.change_rows([Change(verb, SPENDS, []) for verb in VERBS])
        return list(await tx.fetch_rows(SPENDS, []))

    assert await database.write(work) == []


@pytest.mark.parametrize(
    ("verb", "left"),
    [
        ("update", [(1, 5, 0), (2, 2, 2)]),
        ("increase", [(1, 6, 1), (2, 2, 2)]),
        ("put", [(1, 5, 0), (2, 2, 2), (3, 7, 0)]),
        ("add", [(1, 6, 1), (2, 2, 2), (3, 7, 0)]),
    ],
)
async def test_a_verb_does_to_the_row_that_is_there_and_to_the_one_that_is_not(table, verb, left):
    database, key = table
    await change(database, "insert", [(key, 1, 1, 1), (key, 2, 2, 2)])

    await change(database, verb, [(key, 3, 7, 0), (key, 1, 5, 0)])

    assert await spends(database) == left


async def test_many_changes_become_true_together(table):
    database, key = table
    revisions = rows("revisions", "name", "name text, number")
    await change(database, "insert", [(key, 1, 1, 1), (key, 2, 2, 2)])
    await change(database, "insert", [("one", 1), ("two", 2)], revisions)

    await database.write(
        lambda tx: tx.change_rows(
            [
                Change("increase", SPENDS, [(key, 1, 10, 0)]),
                Change("insert", SPENDS, [(key, 3, 3, 3)]),
                Change("delete", revisions, [("one",)]),
                Change("put", revisions, [("two", 22), ("three", 3)]),
            ]
        )
    )

    assert await spends(database) == [(1, 11, 1), (2, 2, 2), (3, 3, 3)]
    found = await database.read("SELECT name, number FROM revisions WHERE number < 30")
    assert sorted(tuple(row) for row in found) == [("three", 3), ("two", 22)]


async def test_text_comes_back_as_it_went_in(table):
    database, _ = table
    texts = ["", "Ж", "'; DROP TABLE revisions; --", '"\\', "\U0001f600", "a\nb"]
    revisions = rows("revisions", "name", "name text, number")

    await change(database, "insert", [(text, 2**62) for text in texts], revisions)

    found = await database.write(lambda tx: tx.fetch_rows(revisions, [(text,) for text in texts]))
    assert sorted(tuple(row) for row in found) == sorted((text, 2**62) for text in texts)


READS = (store.ACCOUNTS, store.HOLDS, store.SPENDS, store.REFERENCES, store.RECORDED)
CHANGES = [
    ("update", store.ACCOUNTS_CHANGED),
    ("increase", store.OPERATORS_CHANGED),
    ("update", store.HOLDS_UNKNOWN),
    ("update", store.HOLDS_NOTED),
    ("delete", store.HOLDS),
    ("put", store.SPENDS),
    ("add", record.HOURS),
]
STATEMENTS = [
    *((bulk.sqlite_select(some, 3), some) for some in READS),
    *((bulk.sqlite_change(verb, some, 3), some) for verb, some in CHANGES),
]


@pytest.mark.parametrize(("sql", "some"), STATEMENTS)
def test_no_statement_of_a_batch_scans_a_table(sqlite_url, sql, some):
    connection = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))

    plan = connection.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * sql.count("?")).fetchall()

    connection.close()
    assert [step[3] for step in plan if f"SCAN {some.table}" in step[3]] == []
