"""Statements over many rows at once: the text of them, for each database, made once and kept.

A batch of the ledger touches a handful of tables whatever its size. SQLite takes `VALUES` lists,
PostgreSQL takes one array for each column.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Literal, NamedTuple

Row = Sequence[Any]
"""One row, by position: the SELECT or the `Rows` beside it names the columns."""


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


Verb = Literal["insert", "update", "increase", "put", "add", "delete"]
"""`update` sets every column that is not part of the key, `increase` adds to it; `put` and `add` do
the same, and insert the row that is not there yet. `delete` takes keys instead of rows.
"""


BY_KEY: frozenset[Verb] = frozenset({"update", "increase", "delete"})
"""The verbs that look for their rows and pass over a key that is not there."""


class Change(NamedTuple):
    """What becomes of some rows of a table."""

    verb: Verb
    rows: Rows
    values: Sequence[Row]


PART_MAX = 64
"""Rows in one statement of SQLite."""


def parts(values: Sequence[Row]) -> Iterator[Sequence[Row]]:
    for start in range(0, len(values), PART_MAX):
        yield values[start : start + PART_MAX]


def padded(part: Sequence[Row]) -> Sequence[Row]:
    """Fill a part up to a power of two with rows of NULL, so that few statements are ever prepared.

    For rows that are looked for by their key: NULL is no row's key.
    """
    missing = (1 << (len(part) - 1).bit_length()) - len(part)
    return [*part, *[(None,) * len(part[0])] * missing] if missing else part


def columns_of(values: Sequence[Row]) -> list[list[Any]]:
    """Turn rows into one list for each column."""
    return [list(column) for column in zip(*values, strict=True)]


# SQLite ---------------------------------------------------------------------------------------


@cache
def sqlite_select(rows: Rows, count: int) -> str:
    told = f"SELECT json_group_array(json_array({', '.join(rows.names)}))"
    if count == 1:
        return f"{told} FROM {rows.table} WHERE {_sqlite_one(rows)}"
    # A join in this order (CROSS) searches the table once for each key. SQLite answers
    # `(a, b) IN (VALUES …)` with a scan of the whole table.
    names = [f"wanted_{name}" for name in rows.key]
    same = " AND ".join(f"{rows.table}.{name} = wanted_{name}" for name in rows.key)
    return (
        f"WITH wanted ({', '.join(names)}) AS (VALUES {_places(len(names), count)})"
        f" {told} FROM wanted CROSS JOIN {rows.table} ON {same}"
    )


@cache
def sqlite_change(verb: Verb, rows: Rows, count: int) -> str:
    return _SQLITE[verb](rows, count)


def _sqlite_insert(rows: Rows, count: int) -> str:
    return (
        f"INSERT INTO {rows.table} ({', '.join(rows.names)})"
        f" VALUES {_places(len(rows.columns), count)}"
    )


def _sqlite_update(rows: Rows, count: int, *, sums: bool = False) -> str:
    if count == 1:  # the usual batch has one account, and a VALUES table costs more than its row
        fresh = {name: f"?{place}" for place, name in enumerate(rows.names, 1)}
        return (
            f"UPDATE {rows.table} SET {_settings(rows, fresh, sums=sums)} WHERE {_sqlite_one(rows)}"
        )
    # SQLite names the columns of VALUES by their place.
    places = {name: f"column{place}" for place, name in enumerate(rows.names, 1)}
    return (
        f"UPDATE {rows.table} SET {_settings(rows, places, sums=sums)}"
        f" FROM (VALUES {_places(len(places), count)})"
        f" WHERE {' AND '.join(f'{rows.table}.{name} = {places[name]}' for name in rows.key)}"
    )


def _sqlite_delete(rows: Rows, count: int) -> str:
    (key,) = rows.key  # with more than one column SQLite would scan the table
    return f"DELETE FROM {rows.table} WHERE {key} IN (VALUES {_places(1, count)})"


_SQLITE: dict[Verb, Callable[[Rows, int], str]] = {
    "insert": _sqlite_insert,
    "update": _sqlite_update,
    "increase": lambda rows, count: _sqlite_update(rows, count, sums=True),
    "put": lambda rows, count: f"{_sqlite_insert(rows, count)} {_put(rows)}",
    "add": lambda rows, count: f"{_sqlite_insert(rows, count)} {_added(rows)}",
    "delete": _sqlite_delete,
}


def _sqlite_one(rows: Rows) -> str:
    return " AND ".join(f"{rows.table}.{name} = ?{place}" for place, name in enumerate(rows.key, 1))


def _places(width: int, count: int) -> str:
    return ", ".join([f"({', '.join('?' * width)})"] * count)


# PostgreSQL -----------------------------------------------------------------------------------


@cache
def postgres_select(rows: Rows, *, lock: bool) -> str:
    key = ", ".join(rows.key)
    return (
        f"SELECT {', '.join(rows.names)} FROM {rows.table}"
        f" WHERE ({key}) IN (SELECT * FROM unnest({_arrays(rows.key, rows, 1)}))"
        f"{f' ORDER BY {key} FOR UPDATE' if lock else ''}"
    )


@cache
def postgres_changes(changes: Sequence[tuple[Verb, Rows]]) -> str:
    """One statement for many changes, because each statement is a round trip of the whole batch.

    All of it sees the tables as they were before, so no row may be changed twice.
    """
    parts = []
    place = 1
    for number, (verb, rows) in enumerate(changes):
        parts.append(f"change_{number} AS ({_POSTGRES[verb](rows, place)})")
        place += len(rows.key if verb == "delete" else rows.columns)
    return f"WITH {', '.join(parts)} SELECT"


def _postgres_insert(rows: Rows, place: int) -> str:
    return (
        f"INSERT INTO {rows.table} ({', '.join(rows.names)})"
        f" SELECT * FROM unnest({_arrays(rows.names, rows, place)})"
    )


def _postgres_update(rows: Rows, place: int, *, sums: bool = False) -> str:
    fresh = {name: f"new_{name}" for name in rows.names}
    same = " AND ".join(f"{rows.table}.{name} = new_{name}" for name in rows.key)
    return (
        f"UPDATE {rows.table} SET {_settings(rows, fresh, sums=sums)}"
        f" FROM unnest({_arrays(rows.names, rows, place)}) AS fresh ({', '.join(fresh.values())})"
        f" WHERE {same}"
    )


def _postgres_delete(rows: Rows, place: int) -> str:
    return (
        f"DELETE FROM {rows.table} WHERE ({', '.join(rows.key)})"
        f" IN (SELECT * FROM unnest({_arrays(rows.key, rows, place)}))"
    )


_POSTGRES: dict[Verb, Callable[[Rows, int], str]] = {
    "insert": _postgres_insert,
    "update": _postgres_update,
    "increase": lambda rows, place: _postgres_update(rows, place, sums=True),
    "put": lambda rows, place: f"{_postgres_insert(rows, place)} {_put(rows)}",
    "add": lambda rows, place: f"{_postgres_insert(rows, place)} {_added(rows)}",
    "delete": _postgres_delete,
}


def _arrays(names: Sequence[str], rows: Rows, first: int) -> str:
    types = dict(rows.columns)
    return ", ".join(f"${place}::{types[name]}[]" for place, name in enumerate(names, first))


# Both -----------------------------------------------------------------------------------------


def _settings(rows: Rows, fresh: dict[str, str], *, sums: bool) -> str:
    """The columns that are not part of the key, set to their fresh values or raised by them."""
    old = {name: f"{rows.table}.{name} + " if sums else "" for name in rows.others}
    return ", ".join(f"{name} = {old[name]}{fresh[name]}" for name in rows.others)


def _added(rows: Rows) -> str:
    sums = ", ".join(f"{name} = {rows.table}.{name} + excluded.{name}" for name in rows.others)
    return f"ON CONFLICT ({', '.join(rows.key)}) DO UPDATE SET {sums}"


def _put(rows: Rows) -> str:
    new = ", ".join(f"{name} = excluded.{name}" for name in rows.others)
    return f"ON CONFLICT ({', '.join(rows.key)}) DO UPDATE SET {new}"
