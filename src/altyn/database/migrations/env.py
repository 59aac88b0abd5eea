"""How Alembic connects: the address comes from the caller, never from a file."""

import asyncio

from alembic import context
from sqlalchemy import Connection, create_engine
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from altyn.database.tables import metadata


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        transaction_per_migration=True,
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


def main(url: str) -> None:
    if url.startswith("sqlite:"):
        engine = create_engine(url, poolclass=NullPool)
        with engine.begin() as connection:
            run(connection)
        engine.dispose()
    else:
        asyncio.run(run_async(url))


main(context.config.attributes["url"])
