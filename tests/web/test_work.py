"""What a page asks of the database is no work for each of an account's calls.

Time tells nothing on a busy machine; SQLite's own count of its steps does. To go over the calls
takes several steps for each of them, so whoever stays below one has not.
"""

import sqlite3
from datetime import date
from itertools import pairwise

import pytest

from altyn.ledger.statement import (
    find_marks,
    list_entries,
    list_entries_of_request,
    read_statement,
)
from altyn.usage.record import HOUR_MS
from altyn.usage.report import DAY_MS, Filter, list_records, sum_records
from altyn.usage.speed import find_speed
from altyn.web.pages.overview import read_standing
from altyn.web.steps import find_facts

ACCOUNT, REVENUE = 7, 8
TODAY = date(2026, 11, 20)
END = 20_778 * DAY_MS
"""The end of that day."""
HOURS, IN_HOUR = 24 * 20, 120
CALLS = HOURS * IN_HOUR
START = END - HOURS * HOUR_MS
RARE = (3, 77, 200)
"""The hours in which the rare model was called, once each."""


class Steps:
    """A database that counts the steps of its machine, a hundred at a time."""

    kind = "sqlite"

    def __init__(self, path):
        self.connection = sqlite3.connect(path)
        self.taken = 0
        self.statements = []

    async def read(self, sql, *values):
        self.statements.append((sql, values))
        self.connection.set_progress_handler(self._count, 100)
        named = {str(number): value for number, value in enumerate(values, 1)}
        rows = self.connection.execute(sql, named).fetchall()
        self.connection.set_progress_handler(None, 0)
        return rows

    def _count(self):
        self.taken += 100
        return 0

    def plan(self):
        """How the last statement is done."""
        sql, values = self.statements[-1]
        named = {str(number): value for number, value in enumerate(values, 1)}
        rows = self.connection.execute(f"EXPLAIN QUERY PLAN {sql}", named).fetchall()
        return [row[3] for row in rows]


def calls():
    """Request, model, status and moment of every call, in the order of time."""
    for hour in range(HOURS):
        for number in range(IN_HOUR):
            model = "rare/one" if hour in RARE and number == 0 else "a/b"
            status = "error" if number % 33 == 32 else "success"
            at = START + hour * HOUR_MS + number * (HOUR_MS // IN_HOUR)
            yield f"{hour:04}{number:06}", model, status, at


def fill(path):
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.executemany(
        "INSERT INTO usage_records (request_id, account_id, key_id, mode, model, created_at,"
        " status, outcome, streamed, input_uncached, output_text, charge_nanos, hold_nanos,"
        f" attempts, latency_ms) VALUES (?1, {ACCOUNT}, 1, 'live', ?2, ?4, ?3, 'charged', 0, 1, 1,"
        " 5, 5, 1, 900)",
        calls(),
    )
    connection.execute(
        "INSERT INTO usage_hours SELECT account_id, created_at - created_at % 3600000, key_id,"
        " model, mode, status, COUNT(*), SUM(input_uncached), SUM(output_text), SUM(charge_nanos),"
        " 0 FROM usage_records GROUP BY 1, 2, 3, 4, 5, 6"
    )
    connection.execute(
        "INSERT INTO entries (at, debit_account_id, credit_account_id, amount_nanos, kind, ref,"
        " chain_account_id, chain_number, balance_after_nanos)"
        f" SELECT created_at, account_id, {REVENUE}, 5,"
        " CASE WHEN model = 'rare/one' THEN 'refund' ELSE 'settle' END, request_id, account_id,"
        " ROW_NUMBER() OVER (ORDER BY created_at), 10000000 FROM usage_records"
    )
    connection.execute(
        "INSERT INTO accounts (id, kind, name, created_at, chain_length)"
        f" SELECT {ACCOUNT}, 'customer', 'a', 1, COUNT(*) FROM entries"
    )
    connection.commit()
    connection.close()


@pytest.fixture(scope="module")
def full(sqlite_template, tmp_path_factory):
    """An account with very many calls, each of them charged but for the rare ones."""
    path = tmp_path_factory.mktemp("full") / "full.db"
    path.write_bytes(sqlite_template.read_bytes())
    fill(path)
    return path


@pytest.fixture
def database(full):
    counted = Steps(full)
    yield counted
    counted.connection.close()


async def test_a_rare_model_is_looked_for_in_its_hours_only(database):
    rows = await list_records(database, Filter(account_id=ACCOUNT, model="rare/one"), limit=26)

    assert len(rows) == len(RARE)
    assert database.taken < CALLS


async def test_the_last_errors_are_found_in_the_last_hours(database):
    chosen = Filter(account_id=ACCOUNT, status="error", mode="live", since=START, until=END)
    rows = await list_records(database, chosen, limit=5)

    assert len(rows) == 5
    assert database.taken < CALLS


async def test_the_first_page_of_everything_reads_a_page(database):
    await list_records(database, Filter(account_id=ACCOUNT, since=START, until=END), limit=26)

    assert database.taken < CALLS


@pytest.mark.parametrize(
    "chosen", [{}, {"mode": "live"}, {"status": "error"}, {"model": "rare/one"}]
)
async def test_medians_are_of_a_sample(database, chosen):
    speed = await find_speed(database, Filter(account_id=ACCOUNT, **chosen))

    assert speed.whole.within(50) == 900
    assert database.taken < CALLS


async def test_totals_are_added_up_from_the_hours(database):
    totals = await sum_records(database, Filter(account_id=ACCOUNT, since=START, until=END))

    assert totals.requests == CALLS
    assert database.taken < CALLS


async def test_the_index_alone_tells_what_a_list_is_filtered_by(database):
    await database.read(
        "SELECT request_id FROM usage_records WHERE account_id = $1 AND created_at >= $2"
        " AND model = $3 AND key_id = $4 AND status = $5 AND mode = $6",
        ACCOUNT,
        END,
        "a/b",
        1,
        "error",
        "live",
    )

    (step,) = database.plan()
    assert "USING COVERING INDEX usage_records_of_an_account" in step


async def test_a_figure_of_the_overview_costs_no_pass_of_its_own(database):
    standing = await read_standing(database, ACCOUNT, zone="UTC", today=TODAY)

    summed = sorted(
        (values[1], values[2]) for sql, values in database.statements if "SUM(prompt" in sql
    )
    assert standing.month.requests == CALLS
    assert all(until <= since for (_, until), (since, _) in pairwise(summed))
    assert database.taken < CALLS


async def test_the_last_paid_call_is_found_by_its_hour(database):
    facts = await find_facts(database, ACCOUNT, None)

    assert facts.live_request_id == f"{HOURS - 1:04}{IN_HOUR - 1:06}"
    assert database.taken < CALLS


async def test_the_entries_of_a_request_are_found_by_their_cause(database):
    entries = await list_entries_of_request(
        database, account_id=ACCOUNT, request_id=f"{RARE[1]:04}000000"
    )

    assert [entry.kind for entry in entries] == ["refund"]
    assert database.taken < CALLS


async def test_what_is_no_charge_is_found_without_the_charges(database):
    refunds = await list_entries(database, ACCOUNT, kind="refund", limit=26)

    assert len(refunds) == len(RARE)
    assert database.taken < CALLS


async def test_days_are_looked_up_in_the_chain_by_halves(database):
    edges = [END - day * DAY_MS for day in range(20, -1, -1)]
    marks = await find_marks(database, ACCOUNT, edges)

    assert [mark.number for mark in marks] == [1 + day * 24 * IN_HOUR for day in range(21)]
    assert database.taken < CALLS


async def test_a_statement_is_told_by_the_ends_of_its_days(database):
    told = await read_statement(
        database, ACCOUNT, [END - day * DAY_MS for day in range(20, -1, -1)]
    )

    assert told.charges == CALLS - len(RARE)
    assert database.taken < CALLS
