"""A statement is told by the ends of its chain, and says what reading every entry would say."""

import asyncio
import random
import shutil
from itertools import count, pairwise
from unittest import mock

import pytest

from altyn.database.clock import Clock
from altyn.ledger.moves import Refund
from altyn.ledger.statement import (
    find_first_entry,
    find_marks,
    list_entries,
    list_entries_of_request,
    read_statement,
)
from fakes.books import MODEL, hold, open_books, settle

DAY = 86_400_000
START = 20_000 * DAY
DAYS = 9
NUMBERS = count(1)


async def live(url):
    """An account with charges, deposits and refunds on most of nine days, beside another."""
    chance = random.Random(11)
    async with open_books(url) as books:
        account, other = await books.add_account(), await books.add_account(5)
        key, others_key = await books.add_key(account), await books.add_key(other)
        moments = sorted(
            START + chance.choice([0, 1, 2, 4, 5, 8]) * DAY + chance.choice([0, 1, DAY - 1, 7_000])
            for _ in range(60)
        )
        charged = []
        for number, at in enumerate(moments):
            with mock.patch.object(Clock, "now_ms", return_value=at):
                kind = "pay" if not number else chance.choice(["pay", *["charge"] * 6, "refund"])
                if kind == "pay":
                    await books.deposit(account, chance.randrange(1_000, 9_000))
                elif kind == "refund" and charged:
                    request, nanos = charged.pop()
                    await books.writer.post(
                        Refund(account_id=account, amount_nanos=nanos, request_id=request)
                    )
                else:
                    request, nanos = f"r{number}", chance.randrange(1, 90)
                    await books.writer.post(hold(account, key, request, nanos))
                    await books.writer.post(settle(account, key, request, nanos))
                    charged.append((request, nanos))
                await books.writer.post(hold(other, others_key, f"o{number}", 0))
    return account


@pytest.fixture(scope="module")
def lived_sqlite(sqlite_template, tmp_path_factory):
    """Lived once, to be copied for each test."""
    path = tmp_path_factory.mktemp("lived") / "lived.db"
    shutil.copy(sqlite_template, path)
    return path, asyncio.run(live(f"sqlite:///{path}"))


@pytest.fixture(scope="module")
def lived_postgres(postgres, postgres_template):
    url = postgres.make_database("lived", template=postgres_template)
    return url.rpartition("/")[2], asyncio.run(live(url))


@pytest.fixture(params=["sqlite", "postgresql"])
def lived(request, tmp_path):
    """The address of a ledger that has lived, and its account."""
    if request.param == "sqlite":
        path, account = request.getfixturevalue("lived_sqlite")
        return f"sqlite:///{shutil.copy(path, tmp_path / 'lived.db')}", account
    server = request.getfixturevalue("postgres")
    template, account = request.getfixturevalue("lived_postgres")
    return server.make_database(f"lived_{next(NUMBERS)}", template=template), account


@pytest.fixture
async def ledger(lived):
    url, account = lived
    async with open_books(url) as books:
        yield books, account


EDGES = [START + day * DAY for day in range(DAYS + 1)]


async def every_entry(books, account):
    """Moment, kind, signed amount and the balance after, in the order of the chain."""
    return await books.read(
        "SELECT at, kind, CASE WHEN credit_account_id = $1 THEN amount_nanos ELSE -amount_nanos"
        " END, balance_after_nanos FROM entries WHERE chain_account_id = $1 ORDER BY chain_number",
        account,
    )


async def test_a_moment_is_found_where_it_lies_in_the_chain(ledger):
    books, account = ledger
    entries = await every_entry(books, account)

    moments = [0, *EDGES, START + 7_000, START + 7_001, 2**60]
    marks = await find_marks(books.database, account, moments)

    for moment, mark in zip(moments, marks, strict=True):
        before = [entry for entry in entries if entry[0] < moment]
        assert mark.number == len(before) + 1
        assert mark.balance_nanos == (before[-1][3] if before else 0)


async def test_the_lines_of_a_statement_lead_from_its_opening_to_its_closing_balance(ledger):
    books, account = ledger

    for first, last in [(0, DAYS), (1, 5), (2, 3), (3, 4), (6, 9)]:
        statement = await read_statement(books.database, account, EDGES[first : last + 1])

        balance = statement.opening_nanos
        for row in statement.rows:
            balance += row.nanos
            assert row.balance_after_nanos == balance
        assert balance == statement.closing_nanos


async def test_the_lines_of_a_statement_are_in_the_order_of_the_chain(ledger):
    books, account = ledger

    statement = await read_statement(books.database, account, EDGES)

    numbers = [row.line.number for row in statement.rows if row.line is not None]
    assert numbers == sorted(set(numbers))
    assert all(row.count > 0 for row in statement.rows if row.line is None)


async def test_a_statement_sums_what_the_entries_say(ledger):
    books, account = ledger
    entries = await every_entry(books, account)

    for first, last in pairwise([0, 2, 5, DAYS]):
        statement = await read_statement(books.database, account, EDGES[first : last + 1])
        within = [entry for entry in entries if EDGES[first] <= entry[0] < EDGES[last]]

        def total(kind, within=within):
            return sum(nanos for _, its, nanos, _ in within if its == kind)

        assert statement.charged_nanos == -total("settle")
        assert statement.paid_in_nanos == total("deposit")
        assert statement.refunded_nanos == total("refund")
        assert statement.charges == sum(kind == "settle" for _, kind, _, _ in within)


async def test_charges_stand_on_their_day(ledger):
    books, account = ledger
    entries = await every_entry(books, account)

    statement = await read_statement(books.database, account, EDGES)

    for start, end in pairwise(EDGES):
        counted = sum(row.count for row in statement.rows if start <= row.at < end)
        assert counted == sum(kind == "settle" and start <= at < end for at, kind, _, _ in entries)


@pytest.mark.parametrize("kind", [None, "settle", "deposit", "refund", "other"])
async def test_pages_of_entries_follow_each_other(ledger, kind):
    books, account = ledger
    numbers, end = [], 2**62
    while page := await list_entries(books.database, account, end=end, kind=kind, limit=7):
        numbers += [line.number for line in page]
        end = page[-1].number

    expected = [
        number
        for number, (_, its, _, _) in enumerate(await every_entry(books, account), 1)
        if kind in (None, its) or (kind == "other" and its != "settle")
    ]
    assert numbers == expected[::-1]


async def test_the_newest_entry_is_listed_first_however_long_the_chain(sqlite_books):
    account = await sqlite_books.add_account()
    await asyncio.gather(*(sqlite_books.deposit(account, 1) for _ in range(130)))

    (newest,) = await list_entries(sqlite_books.database, account, limit=1)

    assert newest.number == 130


async def test_an_account_without_entries_has_an_empty_statement(migrated_url):
    async with open_books(migrated_url) as books:
        account = await books.add_account()

        statement = await read_statement(books.database, account, EDGES)

    assert (statement.opening_nanos, statement.closing_nanos, statement.rows) == (0, 0, [])


async def test_a_ledger_begins_with_its_first_entry(ledger):
    books, _ = ledger
    account, newcomer = await books.add_account(), await books.add_account()
    for at in (START, START + DAY):
        with mock.patch.object(Clock, "now_ms", return_value=at):
            await books.deposit(account, 5)

    assert await find_first_entry(books.database, account) == START
    assert await find_first_entry(books.database, newcomer) is None


async def test_a_deposit_that_begins_a_day_stands_on_that_day_alone(books):
    account = await books.add_account()
    for day in range(3):
        with mock.patch.object(Clock, "now_ms", return_value=EDGES[day]):
            await books.deposit(account, 5)

    statement = await read_statement(books.database, account, EDGES[:4])

    assert [(row.at, row.nanos, row.count) for row in statement.rows] == [
        (EDGES[day], 5, 0) for day in range(3)
    ]


@pytest.fixture
async def refunded(books):
    """An account whose one request was charged 40, and given back 15; a deposit has its name."""
    account = await books.add_account()
    await books.deposit(account, 100, "r1")
    key = await books.add_key(account)
    await books.writer.post(hold(account, key, "r1", 60))
    await books.writer.post(settle(account, key, "r1", 40, held=60))
    await books.writer.post(
        Refund(account_id=account, amount_nanos=15, request_id="r1", reason="slow")
    )
    return account


async def test_a_request_is_told_by_its_charge_and_its_refund(books, refunded):
    await books.deposit(refunded, 1, "r2")

    lines = await list_entries_of_request(books.database, account_id=refunded, request_id="r1")

    assert [
        (line.number, line.kind, line.nanos, line.balance_after_nanos, line.reason, line.model)
        for line in lines
    ] == [(2, "settle", -40, 60, None, MODEL), (3, "refund", 15, 75, "slow", MODEL)]


async def test_somebody_elses_request_is_told_to_nobody(books, refunded):
    other = await books.add_account(5)

    assert await list_entries_of_request(books.database, account_id=other, request_id="r1") == []


async def test_a_line_says_where_money_came_from_and_which_model_took_it(books, refunded):
    lines = await list_entries(books.database, refunded, limit=9)

    assert [(line.kind, line.ref, line.source, line.model) for line in lines] == [
        ("refund", "r1", None, MODEL),
        ("settle", "r1", None, MODEL),
        ("deposit", "r1", "cash_in", None),
    ]
