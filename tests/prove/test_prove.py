"""The proof itself: it runs as an operator runs it, and it cries when something is broken."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from msgspec import structs

from altyn.cli.prove import _add_to
from altyn.prove.promises import Promises, broken
from altyn.prove.table import Report, Row, add_up, as_markdown, lay_out, plain, read_report
from fakes.books import hold, settle

PROVE_S = 110


def prove(*words: str, timeout_s: float = PROVE_S) -> tuple[int, dict]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ALTYN_")}
    done = subprocess.run(
        [sys.executable, "-m", "altyn", "prove", "--json", "--seed", "1", *words],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env=environment,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


PARTS = {
    ("ledger-kills", "disk"): "0.2",
    ("bad-days", "clocks"): "0.2",
    ("gateway-kills",): "0.3",
    ("revocation", "breaches", "backup"): "0.2",
    ("fleet",): "0.2",
    ("simulation", "races"): "0.2",
}
"""What is tried, and how often of the usual; the longest first."""

AT_ONCE = 3
"""So many processes prove at a time: each of them waits for four fifths of its time."""


@pytest.fixture(scope="module")
def proofs():
    def prove_parts(parts):
        only = [word for part in parts for word in ("--only", part)]
        return prove(*only, "--times", PARTS[parts])

    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {parts: pool.submit(prove_parts, parts) for parts in PARTS}


@pytest.mark.slow
@pytest.mark.parametrize("parts", PARTS)
def test_everything_holds(proofs, parts):
    code, report = proofs[parts].result()

    assert [row for row in report["rows"] if row["violations"]] == []
    assert all(row["rounds"] or row["note"] for row in report["rows"])
    assert (code, report["holds"]) == (0, True)


def test_a_part_that_is_not_there_is_named():
    done = subprocess.run(
        [sys.executable, "-m", "altyn", "prove", "--only", "magic"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert "There is no part magic. The parts are: disk, simulation" in done.stderr


# What it would notice -------------------------------------------------------------------------


async def paid(books):
    """Somebody who was told of a deposit, and of a settlement of 7."""
    account = await books.add_account()
    key = await books.add_key(account)
    await books.deposit(account, 100, "d1")
    await books.writer.post(hold(account, key, "h1", 10))
    await books.writer.post(settle(account, key, "h1", 7, held=10))
    promises = Promises()
    promises.hear(["asked d1", "deposited d1 100", "asked h1", "held h1", "settled h1 7"])
    return account, key, promises


async def test_promises_that_were_kept_are_no_violations(books):
    _, _, promises = await paid(books)

    assert await broken(books.database, promises) == []


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (["asked h2", "settled h2 5"], "a settlement was answered and is not there: h2 of 5"),
        (["settled h1 8"], "a settlement was answered and is not there: h1 of 8"),
        (["asked d2", "deposited d2 5"], "a deposit was answered and is not there: d2 of 5"),
        (["refunded h1 7"], "a refund was answered and is not there: h1 of 7"),
        (["asked h2", "held h2"], "a hold was answered and is forgotten: h2"),
    ],
)
async def test_a_promise_that_was_not_kept_is_a_violation(books, said, sentence):
    _, _, promises = await paid(books)

    promises.hear(said)

    assert await broken(books.database, promises) == [sentence]


async def test_what_nobody_asked_for_is_a_violation(books):
    account, _, promises = await paid(books)

    await books.deposit(account, 5, "d2")

    assert await broken(books.database, promises) == ["nobody asked for d2"]


async def test_a_hold_that_was_left_is_a_violation(books):
    account, key, promises = await paid(books)
    promises.hear(["asked h2"])

    await books.writer.post(hold(account, key, "h2", 10))

    assert await broken(books.database, promises) == ["a hold of a dead process is left: h2"]


async def test_money_that_was_changed_past_the_ledger_is_a_violation(sqlite_books):
    account, _, promises = await paid(sqlite_books)
    add = "UPDATE accounts SET posted_nanos = posted_nanos + $2 WHERE id = $1"

    await sqlite_books.change(add, account, 1)
    found = await broken(sqlite_books.database, promises)
    await sqlite_books.change(add, account, -1)

    assert len(found) == 3
    assert "all accounts add up to 0.000000001" in found
    assert any("its entries add up to" in sentence for sentence in found)
    assert any("its last entry left" in sentence for sentence in found)


def test_what_a_process_saw_itself_is_taken_in():
    assert Promises().hear(["violation it is odd", "asked x"]) == ["it is odd"]


# The table ------------------------------------------------------------------------------------


def test_the_table_says_what_was_done_and_what_was_wrong():
    report = Report(
        rows=[
            Row(fault="killed", database="sqlite", rounds=1000),
            Row(fault="starved", database="sqlite", rounds=3, violations=["one is lost"]),
            Row(fault="traced", note="strace is not installed"),
        ]
    )

    lines = list(lay_out(report))

    assert not report.holds
    assert lines[2].split() == ["killed", "sqlite", "1,000", "0"]
    assert lines[3].split() == ["starved", "sqlite", "3", "1"]
    assert lines[4].split()[:4] == ["traced", "0", "not", "tried"]
    assert lines[5] == "! starved: one is lost"
    assert "| killed | sqlite | 1,000 | 0 |" in as_markdown(report)


def test_runs_are_added_up_row_by_row():
    one = Report(rows=[Row(fault="killed", database="sqlite", rounds=3, note="slow")])
    two = Report(
        rows=[
            Row(fault="killed", database="sqlite", rounds=4, violations=["lost"]),
            Row(fault="killed", database="postgresql", rounds=5),
        ]
    )

    total = add_up([read_report(json.dumps(plain(one), default=structs.asdict).encode()), two])

    assert [(row.database, row.rounds, row.violations, row.note) for row in total.rows] == [
        ("sqlite", 7, ["lost"], "slow"),
        ("postgresql", 5, [], ""),
    ]


def test_runs_that_end_together_are_all_in_the_file(tmp_path):
    one = Report(rows=[Row(fault="killed", database="sqlite", rounds=1, seconds=2)])
    path = tmp_path / "runs.json"

    with ThreadPoolExecutor(8) as many:
        list(many.map(lambda _: _add_to(path, one), range(40)))

    (row,) = read_report(path.read_bytes()).rows
    assert (row.rounds, row.seconds) == (40, 80)
