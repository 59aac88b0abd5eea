"""Migrating: once, whole or not at all, by one process at a time."""

import asyncio
import sqlite3
import subprocess
import sys

import pytest

from altyn.database.address import open_database
from altyn.database.migrate import (
    OldDatabaseError,
    current_revision,
    head_revision,
    migrate,
    require_current,
)

PROGRAM = (
    "import asyncio, sys\n"
    "from altyn.database.migrate import migrate\n"
    "print('ready', flush=True)\n"
    "sys.stdin.readline()\n"
    "asyncio.run(migrate(sys.argv[1]))"
)


async def test_an_empty_database_is_brought_to_this_version(database_url):
    assert await current_revision(database_url) is None

    assert await migrate(database_url) == (None, head_revision())

    assert await current_revision(database_url) == head_revision()
    await require_current(database_url)


async def test_migrating_twice_does_nothing(migrated_url):
    assert await migrate(migrated_url) == (head_revision(), head_revision())


async def test_a_database_of_a_newer_program_is_refused_in_one_sentence(migrated_url):
    await set_revision(migrated_url, "9999")

    for refuse in (migrate, require_current):
        with pytest.raises(OldDatabaseError, match="revision 9999, this program") as caught:
            await refuse(migrated_url)
        assert "\n" not in str(caught.value)


async def test_an_empty_database_cannot_be_served(database_url):
    with pytest.raises(OldDatabaseError, match="Run 'altyn migrate'"):
        await require_current(database_url)


async def test_a_migration_that_fails_half_way_leaves_nothing(tmp_path):
    path = tmp_path / "altyn.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE usage_records (mine TEXT)")
    connection.close()

    with pytest.raises(Exception, match="usage_records"):
        await migrate(f"sqlite:///{path}")

    connection = sqlite3.connect(path)
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    connection.close()
    assert tables == [("usage_records",)]


async def test_two_processes_may_migrate_at_once(database_url):
    await asyncio.to_thread(migrate_in_two_processes, database_url)

    assert await current_revision(database_url) == head_revision()


def migrate_in_two_processes(url):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PYTHONPATH": ":".join(filter(None, sys.path))},
        )
        for _ in range(2)
    ]
    for process in processes:
        process.stdout.readline()
    for process in processes:
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in processes:
        with process:
            assert process.wait(60) == 0


async def set_revision(url, number):
    database = open_database(url)
    await database.open()
    await database.write(
        lambda tx: tx.execute("UPDATE alembic_version SET version_num = $1", number)
    )
    await database.close()
