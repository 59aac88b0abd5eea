"""SQLite: one process, one writer, and what happens when the disk is full."""

import asyncio
import sqlite3
import subprocess
import sys

import pytest

from altyn.database.address import open_database
from altyn.database.engine import StoreUnavailableError, bump_revision
from altyn.errors import StoreLockedError
from fakes.books import hold, open_books, settle


async def test_a_second_process_on_the_file_is_refused_in_one_sentence(sqlite_url):
    async with open_books(sqlite_url):
        program = (
            "import asyncio, sys\n"
            "from altyn.database.address import open_database\n"
            "from altyn.errors import StoreLockedError\n"
            "try: asyncio.run(open_database(sys.argv[1]).open())\n"
            "except StoreLockedError as error: print(error)"
        )
        second = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", program, sqlite_url],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONPATH": ":".join(filter(None, sys.path))},
        )

    path = sqlite_url.removeprefix("sqlite:///")
    assert second.stdout == (
        f"Another Altyn is using {path}. Stop it first, or use PostgreSQL for many processes.\n"
    )
    assert second.stderr == ""


async def test_the_file_is_free_again_after_a_close(sqlite_url):
    for _ in range(2):
        database = open_database(sqlite_url)
        await database.open()
        await database.close()


async def test_an_open_that_fails_leaves_the_file_free(tmp_path):
    path = tmp_path / "altyn.db"
    path.write_text("this is no database" * 1_000)

    for _ in range(2):
        with pytest.raises(StoreUnavailableError) as caught:
            await open_database(f"sqlite:///{path}").open()
        assert "not a database" in caught.value.detail


async def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StoreUnavailableError) as caught:
        await open_database(f"sqlite:///{tmp_path / 'nowhere' / 'altyn.db'}").open()

    assert "nowhere" in caught.value.detail
    assert not isinstance(caught.value, StoreLockedError)


async def test_on_a_full_disk_nothing_changes_and_afterwards_all_works_again(sqlite_url):
    async with open_books(sqlite_url) as books:
        account = await books.add_account(1_000_000)
        key = await books.add_key(account)
        await books.writer.post(hold(account, key, "h0", 10))
        await limit_pages(books, "page_count")
        holds = [hold(account, key, f"{'long' * 500}{number}", 1) for number in range(200)]

        answers = await asyncio.gather(*map(books.writer.post, holds), return_exceptions=True)

        assert {type(answer) for answer in answers} == {StoreUnavailableError}
        assert await books.balance(account) == (1_000_000, 10)
        assert await books.findings() == ()

        await limit_pages(books, "4294967294")
        await books.writer.post(settle(account, key, "h0", 10))
        assert await books.balance(account) == (999_990, 0)
        assert await books.findings() == ()


async def limit_pages(books, limit):
    async def work(tx):
        ((pages,),) = await tx.fetch("SELECT page_count FROM pragma_page_count")
        await tx.fetch(f"PRAGMA max_page_count = {pages if limit == 'page_count' else limit}")

    await books.database.write(work)


async def test_after_a_commit_that_the_database_refuses_the_next_one_is_made(sqlite_url):
    async def refused_at_its_end(tx):
        await tx.fetch("PRAGMA defer_foreign_keys = ON")
        await tx.execute("UPDATE holds SET account_id = 12345")

    async with open_books(sqlite_url) as books:
        account = await books.add_account()
        key = await books.add_key(account)
        await books.writer.post(hold(account, key, "h0", 0))
        with pytest.raises(sqlite3.IntegrityError):
            await books.database.write(refused_at_its_end)

        await books.database.write(bump_revision)

        assert await books.read("SELECT number FROM revisions") == [(1,)]
        assert await books.read("SELECT account_id FROM holds") == [(account,)]


async def test_work_that_waits_inside_a_transaction_is_a_fault(sqlite_url):
    async def work(tx):
        await bump_revision(tx)
        await asyncio.sleep(0)

    async with open_books(sqlite_url) as books:
        with pytest.raises(RuntimeError, match="waited"):
            await books.database.write(work)

        assert await books.read("SELECT * FROM revisions") == []


async def test_a_caller_that_leaves_does_not_stop_its_write(sqlite_url):
    async with open_books(sqlite_url) as books:
        writing = asyncio.ensure_future(books.database.write(bump_revision))
        await asyncio.sleep(0)
        writing.cancel()

        await books.database.write(bump_revision)

        assert await books.read("SELECT number FROM revisions") == [(2,)]
