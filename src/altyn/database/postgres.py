"""PostgreSQL over asyncpg: one connection for the ledger's batches, a pool for everything else."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg

from altyn.database import bulk
from altyn.database.bulk import Rows
from altyn.database.engine import (
    CommitUnknownError,
    Database,
    Row,
    StoreUnavailableError,
    Transaction,
    Work,
)

T = TypeVar("T")
POOL_SIZE = 6
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
}
UNREACHABLE = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)


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

    async def insert_rows(self, rows: Rows, values: Sequence[Row]) -> None:
        if values:
            await self.connection.execute(bulk.postgres_insert(rows), *bulk.columns_of(values))

    async def update_rows(self, rows: Rows, values: Sequence[Row]) -> int:
        if not values:
            return 0
        return await self.execute(bulk.postgres_update(rows), *bulk.columns_of(values))

    async def delete_rows(self, rows: Rows, keys: Sequence[Row]) -> int:
        if not keys:
            return 0
        return await self.execute(bulk.postgres_delete(rows), *bulk.columns_of(keys))

    async def put_rows(self, rows: Rows, values: Sequence[Row]) -> None:
        if values:
            await self.connection.execute(bulk.postgres_put(rows), *bulk.columns_of(values))

    async def add_rows(self, rows: Rows, values: Sequence[Row]) -> None:
        # In the order of the key: two processes that add to the same rows must not meet head-on.
        if values:
            width = len(rows.key)
            ordered = sorted(values, key=lambda row: row[:width])
            await self.connection.execute(bulk.postgres_add(rows), *bulk.columns_of(ordered))


class PostgresDatabase(Database):
    kind = "postgresql"

    def __init__(self, url: str) -> None:
        self.url = url
        self._pool: Any = None

    async def open(self) -> None:
        try:
            self._pool = await asyncpg.create_pool(
                self.url, min_size=1, max_size=POOL_SIZE, server_settings=SESSION, timeout=5
            )
        except UNREACHABLE as error:
            raise StoreUnavailableError(f"PostgreSQL: {error}") from error

    async def read(self, sql: str, *values: Any) -> Sequence[Row]:
        async with self._connection() as connection:
            rows: Sequence[Row] = await connection.fetch(sql, *values)
            return rows

    async def write(self, work: Work[T]) -> T:
        for _ in range(TRIES - 1):
            try:
                return await self._write_once(work)
            except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
                continue
        return await self._write_once(work)

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    async def _write_once(self, work: Work[T]) -> T:
        async with self._connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                result = await work(PostgresTransaction(connection))
            except BaseException:
                if not connection.is_closed():
                    await transaction.rollback()
                raise
            await _commit(transaction)
            return result

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        if self._pool is None:
            raise StoreUnavailableError("the database is closed")
        try:
            async with self._pool.acquire(timeout=5) as connection:
                yield connection
        except UNREACHABLE as error:
            raise StoreUnavailableError(f"PostgreSQL: {error}") from error


async def _commit(transaction: Any) -> None:
    try:
        await transaction.commit()
    except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
        raise
    except UNREACHABLE as error:
        raise CommitUnknownError(f"PostgreSQL: {error}") from error
