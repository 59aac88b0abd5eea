"""How Alembic connects: the address comes from the caller, never from a file."""

import asyncio
from typing import Any

from alembic import context
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from altyn.database.tables import metadata


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def run_async(url: str) -> None:
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.connect() as connection:
        # Two processes that start together must not both create the tables.
        await connection.exec_driver_sql("SELECT pg_advisory_lock(4200001)")
        await connection.commit()
        await connection.run_sync(run)
        await connection.commit()
        await connection.exec_driver_sql("SELECT pg_advisory_unlock(4200001)")
        await connection.commit()
    await engine.dispose()


def leave_transactions_to_us(connection: Any, _: object) -> None:
    # Python's driver runs CREATE TABLE outside any transaction: a process killed half-way would
    # leave half of the tables, and no later start could go on from there.
    connection.isolation_level = None


def begin_immediate(connection: Connection) -> None:
    # Also for two processes that start together: the second waits, and finds nothing to do.
    connection.exec_driver_sql("PRAGMA busy_timeout = 30000")
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def main(url: str) -> None:
    if url.startswith("sqlite:"):
        engine = create_engine(url, poolclass=NullPool)
        event.listen(engine, "connect", leave_transactions_to_us)
        event.listen(engine, "begin", begin_immediate)
        with engine.begin() as connection:
            run(connection)
        engine.dispose()
    else:
        asyncio.run(run_async(url))


main(context.config.attributes["url"])
