"""What the migrations make is what `tables.py` says, on both databases."""

import asyncio

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from altyn.database.migrate import sqlalchemy_url
from altyn.database.tables import metadata


def ask(url, question):
    """The answer to *question*, a function of a SQLAlchemy connection."""
    if url.startswith("sqlite"):
        engine = sa.create_engine(url, poolclass=NullPool)
        with engine.connect() as connection:
            return question(connection)
    return asyncio.run(ask_postgres(url, question))


async def ask_postgres(url, question):
    engine = create_async_engine(sqlalchemy_url(url), poolclass=NullPool)
    async with engine.connect() as connection:
        answer = await connection.run_sync(question)
    await engine.dispose()
    return answer


def differences(connection):
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": True}
    )
    return compare_metadata(context, metadata)


def shape(connection):
    """Names of checks, unique constraints and indexes, and the foreign keys, by table."""
    inspector = sa.inspect(connection)
    return {table: facts(inspector, table) for table in metadata.tables}


def facts(inspector, table):
    return {
        "checks": {check["name"] for check in inspector.get_check_constraints(table)},
        "unique": {tuple(one["column_names"]) for one in inspector.get_unique_constraints(table)},
        "indexes": {
            (one["name"], tuple(one["column_names"]), bool(one["unique"]))
            for one in inspector.get_indexes(table)
            if not one.get("duplicates_constraint")
        },
        "key": tuple(inspector.get_pk_constraint(table)["constrained_columns"]),
        "references": {
            (tuple(one["constrained_columns"]), one["referred_table"])
            for one in inspector.get_foreign_keys(table)
        },
    }


def facts_of(table):
    kinds = {
        kind: [one for one in table.constraints if isinstance(one, kind)]
        for kind in (sa.CheckConstraint, sa.UniqueConstraint, sa.ForeignKeyConstraint)
    }
    return {
        "checks": {one.name for one in kinds[sa.CheckConstraint]},
        "unique": {tuple(one.columns.keys()) for one in kinds[sa.UniqueConstraint]},
        "indexes": {
            (one.name, tuple(one.columns.keys()), bool(one.unique)) for one in table.indexes
        },
        "key": tuple(table.primary_key.columns.keys()),
        "references": {
            (tuple(one.columns.keys()), one.referred_table.name)
            for one in kinds[sa.ForeignKeyConstraint]
        },
    }


def test_the_migrated_tables_and_columns_are_those_of_tables_py(migrated_url):
    assert ask(migrated_url, differences) == []


def test_the_migrated_constraints_and_indexes_are_those_of_tables_py(migrated_url):
    expected = {name: facts_of(table) for name, table in metadata.tables.items()}

    assert ask(migrated_url, shape) == expected


@pytest.mark.parametrize("table", metadata.tables.values(), ids=metadata.tables.keys())
def test_money_and_times_are_wide_integers(table):
    narrow = [
        column.name
        for column in table.columns
        if column.name.endswith(("_nanos", "_at", "_id"))
        and not isinstance(column.type, sa.BigInteger | sa.Text)
    ]

    assert narrow == []
