"""SQLite: one thread owns the only writing connection; readers have connections of their own.

WAL with `synchronous=FULL`: a commit that was answered survives a power cut. Only the writer writes
and checkpoints, because SQLite before 3.51.3 can corrupt a WAL file when two connections do so at
once, and that is the SQLite most Pythons carry.
"""

import asyncio
import fcntl
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from altyn.database import bulk
from altyn.database.bulk import Change, Row, Rows
from altyn.database.engine import (
    CommitUnknownError,
    Database,
    StoreUnavailableError,
    Transaction,
    Work,
)
from altyn.errors import StoreLockedError

T = TypeVar("T")
READERS = 4
LOCK_WAIT_S = 2.0
LOCK_PAUSE_S = 0.02
SAFE_VERSION = (3, 51, 3)
"""The first SQLite without the WAL-reset bug."""

PRIMARY_CODE = 0xFF
"""The low byte of an extended result code of SQLite: https://sqlite.org/rescode.html."""

# For every NULL Python's driver looks for somebody who can adapt None, raises and drops two errors,
# and binds None: thousands of instructions each, a tenth of a batch. This one says at once: None.
_NOTHING: dict[None, None] = {}
sqlite3.register_adapter(type(None), _NOTHING.get)


class SqliteTransaction(Transaction):
    kind = "sqlite"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    async def fetch(self, sql: str, *values: Any) -> Sequence[Row]:
        return self.connection.execute(sql, _named(values)).fetchall()

    async def execute(self, sql: str, *values: Any) -> int:
        return self.connection.execute(sql, _named(values)).rowcount

    # Every step of a statement gives the interpreter's lock away and has to win it back from the
    # event loop. So a batch is a few statements of many rows, and a read is one row of JSON.

    async def fetch_rows(
        self,
        rows: Rows,
        keys: Sequence[Row],
        *,
        lock: bool = False,  # noqa: ARG002 -- the writer is alone already
    ) -> Sequence[Row]:
        found: list[Row] = []
        for part in map(bulk.padded, bulk.parts(keys)):
            (document,) = self._run(bulk.sqlite_select(rows, len(part)), part).fetchone()
            found += msgspec.json.decode(document)
        return found

    async def change_rows(self, changes: Sequence[Change]) -> None:
        for verb, rows, values in changes:
            parts = bulk.parts(values)
            for part in map(bulk.padded, parts) if verb in bulk.BY_KEY else parts:
                self._run(bulk.sqlite_change(verb, rows, len(part)), part)

    def _run(self, sql: str, part: Sequence[Row]) -> sqlite3.Cursor:
        return self.connection.execute(sql, list(chain.from_iterable(part)))


class SqliteDatabase(Database):
    kind = "sqlite"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._readers = ThreadPoolExecutor(READERS, "sqlite-reader")
        self._reader = threading.local()
        self._reader_connections: list[sqlite3.Connection] = []
        self._thread: threading.Thread | None = None
        self._lock: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        self._lock = take_lock(self.path)
        self._loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(
            target=self._write_jobs, args=(opened,), name="sqlite-writer", daemon=True
        )
        self._thread.start()
        try:
            await opened
        except StoreUnavailableError:
            await self.close()
            raise

    async def read(self, sql: str, *values: Any) -> Sequence[Row]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._read, sql, values)

    async def write(self, work: Work[T]) -> T:
        if self._thread is None:
            raise StoreUnavailableError("the database is closed")
        assert self._loop is not None
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(_Job(work, future))
        return await future

    async def listen(self, tell: Callable[[], None]) -> None:
        """Nobody else writes this file."""

    async def close(self) -> None:
        if self._thread is not None:
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None
        self._readers.shutdown()
        for connection in self._reader_connections:
            connection.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # The writing thread ----------------------------------------------------------------------

    def _write_jobs(self, opened: "asyncio.Future[None]") -> None:
        assert self._loop is not None
        try:
            connection = _connect(self.path)
        except sqlite3.Error as error:
            self._answer(opened, None, _unavailable(error))
            return
        self._answer(opened, None, None)
        while (job := self._jobs.get()) is not None:
            try:
                result, failure = _commit(connection, job.work), None
            except Exception as error:  # noqa: BLE001 -- it is raised where the work was asked for
                result, failure = None, error
            self._answer(job.future, result, failure)
        connection.close()

    def _answer(self, future: "asyncio.Future[Any]", result: Any, error: Exception | None) -> None:
        assert self._loop is not None
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_resolve, future, result, error)

    # The reading threads ---------------------------------------------------------------------

    def _read(self, sql: str, values: Sequence[Any]) -> Sequence[Row]:
        try:
            return self._reader_connection().execute(sql, _named(values)).fetchall()
        except sqlite3.OperationalError as error:
            raise _as_ours(error) from None

    def _reader_connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._reader, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA query_only = ON")
            connection.execute("PRAGMA busy_timeout = 5000")
            # A reader that closes last would checkpoint; that is the writer's work alone.
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            self._reader.connection = connection
            self._reader_connections.append(connection)
        return connection


class _Job:
    __slots__ = ("future", "work")

    def __init__(self, work: Work[Any], future: "asyncio.Future[Any]") -> None:
        self.work = work
        self.future = future


CHECKPOINT_PAGES = 1000
"""A checkpoint stops everybody, for as long as it is large: with 4,000 pages one call in a hundred
took 15 ms, with these 12, at the same cost.
"""


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, cached_statements=512)
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "busy_timeout = 5000",
        "cache_size = -65536",
        "temp_store = MEMORY",
        f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _commit(connection: sqlite3.Connection, work: Work[T]) -> T:
    """Run *work* between BEGIN IMMEDIATE and COMMIT; on any failure nothing of it remains.

    Raises `CommitUnknownError` for an I/O error of the COMMIT itself.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        result: T = _run_to_end(work(SqliteTransaction(connection)))  # type: ignore[arg-type]
        _end(connection)
    except sqlite3.OperationalError as error:
        _roll_back(connection)
        raise _as_ours(error) from None
    except BaseException:
        _roll_back(connection)
        raise
    return result


def _end(connection: sqlite3.Connection) -> None:
    try:
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        # What was written before its sync failed is nothing to this process, but the next one may
        # find it whole in the log: a refusal that says "nothing happened" would not be true then.
        if error.sqlite_errorcode & PRIMARY_CODE == sqlite3.SQLITE_IOERR:
            raise CommitUnknownError(f"SQLite: {error}") from None
        raise


def _roll_back(connection: sqlite3.Connection) -> None:
    # A full disk ends the transaction by itself; a second ROLLBACK would hide the real error.
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits, without an event loop."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    work.close()
    raise RuntimeError("work inside a SQLite transaction waited for something")


def _resolve(future: "asyncio.Future[Any]", result: Any, error: Exception | None) -> None:
    if future.done():  # the one who asked was cancelled meanwhile
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


def _named(values: Sequence[Any]) -> dict[str, Any]:
    """`$1` is a named parameter to SQLite: its name is `1`."""
    return {str(number): value for number, value in enumerate(values, 1)}


def take_lock(path: Path) -> int:
    """Keep every other Altyn process away from the file for as long as this one lives.

    Waits `LOCK_WAIT_S` for one that is about to go: commands take the file one after the other.
    """
    name = path.with_name(path.name + ".lock")
    try:
        lock = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreUnavailableError(f"SQLite: {name}: {error.strerror}") from error
    deadline_s = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline_s:
                time.sleep(LOCK_PAUSE_S)
                continue
            os.close(lock)
            raise StoreLockedError(
                f"Another Altyn is using {path}. Stop it first, or use PostgreSQL for many"
                " processes."
            ) from None
        return lock


def _as_ours(error: sqlite3.OperationalError) -> Exception:
    """A full disk or a locked file passes; a statement that cannot be is a fault of ours."""
    return error if error.sqlite_errorcode == sqlite3.SQLITE_ERROR else _unavailable(error)


def _unavailable(error: sqlite3.Error) -> StoreUnavailableError:
    return StoreUnavailableError(f"SQLite: {error}")
