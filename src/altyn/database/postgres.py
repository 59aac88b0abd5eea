"""PostgreSQL over asyncpg: a pool for what is written, and another for what is only read."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import chain
from typing import Any, TypeVar

import asyncpg

from altyn.database import bulk
from altyn.database.bulk import Change, Row, Rows
from altyn.database.engine import (
    CHANGES,
    CommitUnknownError,
    Database,
    StoreUnavailableError,
    Transaction,
    Work,
)
from altyn.errors import OperatorError

T = TypeVar("T")
WRITERS = 2
"""The ledger's batches use one of them, everything else that is written the other."""
READERS = 5
CONNECT_S = 5.0
"""For a new connection, and for one of the pool."""

LISTEN_AGAIN_S = 1.0
LISTEN_ALIVE_S = 15.0
"""A line that nobody has cut and nothing passes looks like one on which nothing is said."""

CLOSE_S = 5.0
WRITE_S = 15.0
"""A transaction up to its COMMIT, then that, each. A server behind a broken network does not even
refuse: without an end, whoever asks it would wait for hours, and every move behind it. Longer than
the ten seconds after which the server ends the transaction of a paused process (`SESSION`)."""

READ_S = 600.0
"""Reports over everything are read, so these may take so long."""

TRIES = 5
"""How often a transaction is run again after a deadlock or a serialisation failure."""

SESSION = {
    "application_name": "altyn",
    # Measured: planning anew and JIT cost more than the batches themselves; with these three the
    # ledger went from 12.6k to 30k calls a second.
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    # Never trade money for speed, whatever the server's default is.
    "synchronous_commit": "on",
    # A process that is paused in the middle of a batch would keep its accounts locked for all.
    "idle_in_transaction_session_timeout": "10000",
}
REFUSED = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError)
"""At the start: a wrong name or password does not become right by waiting."""

UNREACHABLE = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.LockNotAvailableError,
    asyncpg.PostgresSystemError,
    *REFUSED,
)
AGAIN = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
"""Another transaction was in the way, and this one has changed nothing."""


class PostgresTransaction(Transaction):
    kind = "postgresql"

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    async def fetch(self, sql: str, *values: Any) -> Sequence[Row]:
        rows: Sequence[Row] = await self.connection.fetch(sql, *values)
        return rows

    async def execute(self, sql: str, *values: Any) -> int:
        tag: str = await self.connection.execute(sql, *values)
        count = tag.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def fetch_rows(
        self, rows: Rows, keys: Sequence[Row], *, lock: bool = False
    ) -> Sequence[Row]:
        if not keys:
            return []
        return await self.fetch(bulk.postgres_select(rows, lock=lock), *bulk.columns_of(keys))

    async def change_rows(self, changes: Sequence[Change]) -> None:
        real = [change for change in changes if change.values]
        if real:
            sql = bulk.postgres_changes(tuple((verb, rows) for verb, rows, _ in real))
            columns = [bulk.columns_of(values) for _, _, values in real]
            await self.connection.execute(sql, *chain.from_iterable(columns))


class PostgresDatabase(Database):
    kind = "postgresql"

    def __init__(self, url: str) -> None:
        self.url = url
        # Two pools: long reports must not keep a hold waiting for a connection.
        self._writers: Any = None
        self._readers: Any = None

    async def open(self) -> None:
        reading = {**SESSION, "default_transaction_read_only": "on"}
        try:
            self._writers = await _make_pool(
                self.url, size=WRITERS, session=SESSION, patience_s=WRITE_S
            )
            self._readers = await _make_pool(
                self.url, size=READERS, session=reading, patience_s=READ_S
            )
        except REFUSED as error:
            await self.close()
            raise OperatorError(f"PostgreSQL refuses: {error}.") from error
        except UNREACHABLE as error:
            await self.close()
            raise StoreUnavailableError(f"PostgreSQL: {error}") from error

    async def read(self, sql: str, *values: Any) -> Sequence[Row]:
        try:
            async with _connection(self._readers) as connection:
                rows: Sequence[Row] = await connection.fetch(sql, *values)
                return rows
        except AGAIN as error:  # on a standby, what it replays may end a read
            raise StoreUnavailableError(f"PostgreSQL: {error}") from error

    async def write(self, work: Work[T]) -> T:
        for _ in range(TRIES - 1):
            try:
                return await self._write_once(work)
            except AGAIN:
                continue
        try:
            return await self._write_once(work)
        except AGAIN as error:
            raise StoreUnavailableError(f"PostgreSQL, {TRIES} times: {error}") from error

    async def listen(self, tell: Callable[[], None]) -> None:
        while True:
            with suppress(*UNREACHABLE):
                await self._listen_once(tell)
            await asyncio.sleep(LISTEN_AGAIN_S)

    async def _listen_once(self, tell: Callable[[], None]) -> None:
        lost = asyncio.Event()
        connection = await asyncpg.connect(
            self.url, server_settings=SESSION, timeout=CONNECT_S, command_timeout=CONNECT_S
        )
        connection.add_termination_listener(lambda _: lost.set())
        try:
            await connection.add_listener(CHANGES, lambda *_: tell())
            tell()  # something may have changed while nobody listened
            while not await _happens(lost, within_s=LISTEN_ALIVE_S):
                await connection.execute("SELECT 1")
        finally:
            connection.terminate()

    async def close(self) -> None:
        pools = (self._writers, self._readers)
        self._writers = self._readers = None
        for pool in pools:
            if pool is not None:
                await _close(pool)

    async def _write_once(self, work: Work[T]) -> T:
        async with _connection(self._writers) as connection:
            transaction = connection.transaction()
            try:
                async with asyncio.timeout(WRITE_S):
                    await transaction.start()
                    result = await work(PostgresTransaction(connection))
            except TimeoutError:
                # It would not answer a ROLLBACK either; the server does that when the line ends.
                connection.terminate()
                raise
            except BaseException:
                await _roll_back(connection, transaction)
                raise
            await _commit(transaction)
            return result


async def _make_pool(url: str, *, size: int, session: dict[str, str], patience_s: float) -> Any:
    return await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=size,
        server_settings=session,
        timeout=CONNECT_S,
        command_timeout=patience_s,
        reset=_leave_as_it_is,
    )


async def _close(pool: Any) -> None:
    """A pool whose server has gone may wait for ever for a connection to end well."""
    try:
        await asyncio.wait_for(pool.close(), CLOSE_S)
    except (TimeoutError, *UNREACHABLE):
        pool.terminate()


async def _leave_as_it_is(connection: Any) -> None:
    """Nothing here changes a session, so no round trip is spent on resetting it."""


@asynccontextmanager
async def _connection(pool: Any) -> AsyncIterator[Any]:
    if pool is None:
        raise StoreUnavailableError("the database is closed")
    try:
        async with pool.acquire(timeout=CONNECT_S) as connection:
            yield connection
    except UNREACHABLE as error:
        if isinstance(error, ValueError):
            raise  # asyncpg's word for a value that fits no column: that is nobody's outage
        raise StoreUnavailableError(f"PostgreSQL: {error}") from error


async def _happens(event: asyncio.Event, *, within_s: float) -> bool:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), within_s)
    return event.is_set()


async def _roll_back(connection: Any, transaction: Any) -> None:
    """Never raises in the place of what has led here: a line that ends rolls back as well."""
    if connection.is_closed():
        return
    try:
        async with asyncio.timeout(CONNECT_S):
            await transaction.rollback()
    except UNREACHABLE:
        connection.terminate()


async def _commit(transaction: Any) -> None:
    try:
        await transaction.commit()
    except AGAIN:
        raise
    except UNREACHABLE as error:
        raise CommitUnknownError(f"PostgreSQL: {error}") from error
