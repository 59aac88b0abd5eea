"""Statements over many rows at once: the text of them, for each database, made once and kept.

A batch of the ledger touches a handful of tables whatever its size. SQLite takes `VALUES` lists,
PostgreSQL takes one array for each column.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any


@dataclass(frozen=True, eq=False)
class Rows:
    """Some columns of a table, the key first. `columns` holds (name, PostgreSQL type).

    Each is made once and compared by identity: finding its statements costs no hash of its columns.
    """

    table: str
    key: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.columns)

    @cached_property
    def others(self) -> tuple[str, ...]:
        return tuple(name for name in self.names if name not in self.key)


def rows(table: str, key: str, columns: str) -> Rows:
    """Write `Rows` as one reads it: `rows("holds", "id", "id text, amount bigint")`.

    A column without a type is a bigint.
    """
    pairs = [
        (words[0], (words[1:] or ["bigint"])[0]) for words in map(str.split, columns.split(","))
    ]
    return Rows(table, tuple(name.strip() for name in key.split(",")), tuple(pairs))


PART_SIZES = (64, 32, 16, 8, 4, 2, 1)


def parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Cut *values* into parts of few different sizes, so that few statements are ever prepared."""
    start = 0
    for size in PART_SIZES:
        while len(values) - start >= size:
            yield values[start : start + size]
            start += size


def columns_of(values: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Turn rows into one list for each column."""
    return [list(column) for column in zip(*values, strict=True)]


# SQLite ---------------------------------------------------------------------------------------


@cache
def sqlite_select(rows: Rows, count: int) -> str:
    # A join in this order (CROSS) searches the table once for each key. SQLite answers
    # `(a, b) IN (VALUES …)` with a scan of the whole table.
    names = [f"wanted_{name}" for name in rows.key]
    same = " AND ".join(f"{rows.table}.{name} = wanted_{name}" for name in rows.key)
    return (
        f"WITH wanted ({', '.join(names)}) AS (VALUES {_places(len(names), count)})"
        f" SELECT json_group_array(json_array({', '.join(rows.names)}))"
        f" FROM wanted CROSS JOIN {rows.table} ON {same}"
    )


@cache
def sqlite_insert(rows: Rows, count: int) -> str:
    return (
        f"INSERT INTO {rows.table} ({', '.join(rows.names)})"
        f" VALUES {_places(len(rows.columns), count)}"
    )


@cache
def sqlite_update(rows: Rows, count: int) -> str:
    # SQLite names the columns of VALUES by their place. The statement has to begin with UPDATE:
    # Python's driver does not count the rows of one that begins with WITH.
    places = {name: f"column{place}" for place, name in enumerate(rows.names, 1)}
    return (
        f"UPDATE {rows.table} SET {', '.join(f'{name} = {places[name]}' for name in rows.others)}"
        f" FROM (VALUES {_places(len(places), count)})"
        f" WHERE {' AND '.join(f'{rows.table}.{name} = {places[name]}' for name in rows.key)}"
    )


@cache
def sqlite_add(rows: Rows, count: int) -> str:
    return f"{sqlite_insert(rows, count)} {_added(rows)}"


@cache
def sqlite_delete(rows: Rows, count: int) -> str:
    (key,) = rows.key  # with more than one column SQLite would scan the table
    return f"DELETE FROM {rows.table} WHERE {key} IN (VALUES {_places(1, count)})"


@cache
def sqlite_put(rows: Rows, count: int) -> str:
    return f"{sqlite_insert(rows, count)} {_put(rows)}"


def _places(width: int, count: int) -> str:
    return ", ".join([f"({', '.join('?' * width)})"] * count)


# PostgreSQL -----------------------------------------------------------------------------------


@cache
def postgres_select(rows: Rows, *, lock: bool) -> str:
    key = ", ".join(rows.key)
    return (
        f"SELECT {', '.join(rows.names)} FROM {rows.table}"
        f" WHERE ({key}) IN (SELECT * FROM unnest({_key_arrays(rows)}))"
        f"{f' ORDER BY {key} FOR UPDATE' if lock else ''}"
    )


@cache
def postgres_insert(rows: Rows) -> str:
    return f"INSERT INTO {rows.table} ({', '.join(rows.names)}) SELECT * FROM {_unnest(rows)}"


@cache
def postgres_update(rows: Rows) -> str:
    names = [f"new_{name}" for name in rows.names]
    same = " AND ".join(f"{rows.table}.{name} = new_{name}" for name in rows.key)
    return (
        f"UPDATE {rows.table} SET {', '.join(f'{name} = new_{name}' for name in rows.others)}"
        f" FROM {_unnest(rows)} AS fresh ({', '.join(names)}) WHERE {same}"
    )


@cache
def postgres_add(rows: Rows) -> str:
    return f"{postgres_insert(rows)} {_added(rows)}"


@cache
def postgres_delete(rows: Rows) -> str:
    return (
        f"DELETE FROM {rows.table}"
        f" WHERE ({', '.join(rows.key)}) IN (SELECT * FROM unnest({_key_arrays(rows)}))"
    )


@cache
def postgres_put(rows: Rows) -> str:
    return f"{postgres_insert(rows)} {_put(rows)}"


def _key_arrays(rows: Rows) -> str:
    types = dict(rows.columns)
    return ", ".join(f"${place}::{types[name]}[]" for place, name in enumerate(rows.key, 1))


def _unnest(rows: Rows) -> str:
    arrays = ", ".join(f"${place}::{kind}[]" for place, (_, kind) in enumerate(rows.columns, 1))
    return f"unnest({arrays})"


# Both -----------------------------------------------------------------------------------------


def _added(rows: Rows) -> str:
    sums = ", ".join(f"{name} = {rows.table}.{name} + excluded.{name}" for name in rows.others)
    return f"ON CONFLICT ({', '.join(rows.key)}) DO UPDATE SET {sums}"


def _put(rows: Rows) -> str:
    new = ", ".join(f"{name} = excluded.{name}" for name in rows.others)
    return f"ON CONFLICT ({', '.join(rows.key)}) DO UPDATE SET {new}"
