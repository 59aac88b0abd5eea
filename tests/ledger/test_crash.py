"""Killed at any moment, nothing that was promised is lost and nothing is done twice."""

import asyncio
import os
import random

import pytest

from altyn.ledger import workers
from altyn.ledger.moves import Resolve
from altyn.ledger.workers import list_abandoned
from altyn.prove.strace import CANNOT, CannotTraceError, failing, find_strace
from fakes.books import Books, hold, open_books
from fakes.ledger_process import start

KILLS = 20
DEPOSIT = 10**9


@pytest.mark.slow
async def test_a_process_killed_twenty_times_has_kept_every_promise(sqlite_url):
    async with open_books(sqlite_url) as books:
        account = await books.add_account(DEPOSIT)
        key = await books.add_key(account)
    chance = random.Random(20)

    said = [
        line
        for _ in range(KILLS)
        for line in run_and_kill(sqlite_url, account, key, lines=chance.randrange(1, 400))
    ]

    async with open_books(sqlite_url) as books:
        await books.database.write(workers.end_other_workers)
        charges = await promises_are_kept(books, said)
        await void_what_was_left_open(books)
        assert await books.balance(account) == (DEPOSIT - sum(charges), 0)
        assert await books.findings() == ()


def run_and_kill(url: str, account: int, key: int, *, lines: int) -> list[str]:
    """What the process said, until it was killed after so many lines."""
    with start("loop", url, account, key) as process:
        said = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        said += process.stdout.readlines()
    return [line for line in said if line.endswith("\n")]


async def promises_are_kept(books: Books, said: list[str]) -> list[int]:
    """Every hold and settlement that was answered is there, and nothing that nobody asked for."""
    words = [line.split() for line in said]
    asked = {word[1] for word in words if word[0] == "asked"}
    held = {word[1] for word in words if word[0] == "held"}
    settled = {word[1]: int(word[2]) for word in words if word[0] == "settled"}
    records = dict(await books.read("SELECT request_id, charge_nanos FROM usage_records"))
    still_open = {name for (name,) in await books.read("SELECT request_id FROM holds")}
    assert held <= records.keys() | still_open
    assert settled.items() <= records.items()
    assert records.keys() | still_open <= asked
    assert not records.keys() & still_open
    return list(records.values())


async def void_what_was_left_open(books: Books) -> None:
    for left in await list_abandoned(books.database, limit=10_000):
        await books.writer.post(
            Resolve(request_id=left.request_id, account_id=left.account_id, state="expired")
        )


async def test_every_commit_reaches_the_disk(sqlite_url, tmp_path):
    strace = find_strace()
    if strace is None:
        pytest.skip(CANNOT)
    async with open_books(sqlite_url) as books:
        account = await books.add_account(DEPOSIT)
        key = await books.add_key(account)
    trace = tmp_path / "trace"
    words = (strace, "-f", "-e", "trace=fsync,fdatasync", "-o", str(trace))

    with start("sync", sqlite_url, account, key, 30, under=words) as process:
        commits = int(process.stdout.readline())
        process.wait(60)

    assert commits == 30
    assert trace.read_text().count("sync(") >= commits


async def test_a_commit_whose_sync_failed_is_unknown_for_a_crash_may_bring_it_back(sqlite_url):
    with start("bump", sqlite_url) as process:
        assert process.stdout.readline() == "ready\n"
        try:
            with failing(process.pid, "fdatasync"):
                process.stdin.write("go\n")
                process.stdin.flush()
                said = process.stdout.readline()
                process.kill()
        except CannotTraceError:
            pytest.skip(CANNOT)

    assert said == "CommitUnknownError\n"
    async with open_books(sqlite_url) as books:
        assert await books.read("SELECT number FROM revisions") == [(1,)]


async def test_a_disk_that_fails_for_a_moment_loses_nothing_and_repeats_nothing(sqlite_url):
    async with open_books(sqlite_url) as books:
        account = await books.add_account(100)
        key = await books.add_key(account)
        try:
            with failing(os.getpid(), "fdatasync"):
                asked = books.writer.post(hold(account, key, "h1", 10))
                await asyncio.sleep(0.3)
                assert not asked.done()  # neither there nor not there: it is looked for
        except CannotTraceError:
            pytest.skip(CANNOT)

        await asked

        assert await books.balance(account) == (100, 10)
        assert await books.findings() == ()


async def test_the_database_is_as_durable_as_it_can_be(books):
    if books.database.kind == "sqlite":
        settings = await books.database.write(
            lambda tx: tx.fetch(
                "SELECT s.synchronous, j.journal_mode, f.foreign_keys FROM pragma_synchronous s,"
                " pragma_journal_mode j, pragma_foreign_keys f"
            )
        )
        assert tuple(settings[0]) == (2, "wal", 1)
    else:
        settings = await books.database.write(lambda tx: tx.fetch("SHOW synchronous_commit"))
        assert tuple(settings[0]) == ("on",)
