"""The ledger as a customer reads it: their entries, signed, with the balance after each.

An account's entries are one chain, numbered without gaps, and each carries the balance after it. So
any span of it is told by its two ends: what was there before, what came in, what went out, what was
left; however many charges lie between, none of them is read.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

from msgspec import Struct

from altyn.database.bulk import Row as Columns
from altyn.database.engine import Database
from altyn.money import Nanos

Kind = Literal["deposit", "settle", "refund"]
CHARGE: Kind = "settle"
LINES_MAX = 100_000
"""Deposits and refunds of one statement: they are made by hand, or one for each payment."""


class Line(Struct, frozen=True, kw_only=True):
    """An entry from the customer's side. `nanos` is positive where their balance grew. Times in ms.

    `model` is of the request that was charged or refunded, where there was one.
    """

    number: int
    at: int
    kind: str
    ref: str
    reason: str | None
    nanos: Nanos
    balance_after_nanos: Nanos
    model: str | None = None
    source: str | None = None
    """Of a deposit: `cash_in`, `promo` or `adjustment`."""


LINES = (
    "SELECT e.chain_number, e.at, e.kind, e.ref, e.reason,"
    " CASE WHEN e.credit_account_id = e.chain_account_id THEN e.amount_nanos"
    " ELSE -e.amount_nanos END, e.balance_after_nanos, r.model,"
    " CASE WHEN e.kind = 'deposit' THEN (SELECT kind FROM accounts WHERE id = e.debit_account_id)"
    " END"
    " FROM entries e LEFT JOIN usage_records r"
    " ON r.request_id = e.ref AND e.kind <> 'deposit' AND r.account_id = e.chain_account_id"
)


async def list_entries(
    database: Database,
    account_id: int,
    *,
    first: int = 1,
    end: int = 2**62,
    kind: str | None = None,
    limit: int,
) -> list[Line]:
    """The newest first, of those numbered *first* up to, but not including, *end*."""
    where, values = "", [account_id, first, end]
    if kind == CHARGE:
        where = " AND e.kind = 'settle'"
    elif kind is not None:
        # The word that the index of everything beside charges waits for.
        where = " AND e.kind <> 'settle'" + (" AND e.kind = $4" if kind != "other" else "")
        values += [kind] if kind != "other" else []  # type: ignore[list-item]
    rows = await database.read(
        f"{LINES} WHERE e.chain_account_id = $1 AND e.chain_number >= $2"
        f" AND e.chain_number < $3{where}"
        f" ORDER BY e.chain_number DESC LIMIT {limit:d}",
        *values,
    )
    return [_line(row) for row in rows]


async def find_first_entry(database: Database, account_id: int) -> int | None:
    """When an account's ledger begins, in ms."""
    rows = await database.read(
        "SELECT at FROM entries WHERE chain_account_id = $1 AND chain_number = 1", account_id
    )
    return rows[0][0] if rows else None


async def list_entries_of_request(
    database: Database, *, account_id: int, request_id: str
) -> list[Line]:
    """What a request did to the balance: its charge, and what was given back of it."""
    rows = await database.read(
        # Plus nothing: or SQLite would walk down the whole chain instead of looking for the cause.
        f"{LINES} WHERE e.chain_account_id + 0 = $1 AND e.kind IN ('settle', 'refund')"
        " AND e.ref = $2 ORDER BY e.chain_number",
        account_id,
        request_id,
    )
    return [_line(row) for row in rows]


class Mark(Struct, frozen=True):
    """A moment in the chain: the first entry at or after it, and the balance until then."""

    number: int
    balance_nanos: Nanos


async def find_marks(database: Database, account_id: int, moments: Sequence[int]) -> list[Mark]:
    """Where each of these moments (in ms) lies in an account's chain, by bisection.

    There is no index over time to keep on every charge: a chain is in the order of time already.
    """
    places = ", ".join(f"({moment:d})" for moment in sorted(set(moments)))
    rows = await database.read(
        "WITH RECURSIVE search(moment, low, high) AS ("
        " SELECT CAST(m.column1 AS BIGINT), CAST(1 AS BIGINT),"
        " (SELECT chain_length + 1 FROM accounts WHERE id = $1)"
        f" FROM (VALUES {places}) AS m"
        " UNION ALL SELECT s.moment, CASE WHEN e.at < s.moment THEN e.chain_number + 1"
        " ELSE s.low END, CASE WHEN e.at < s.moment THEN s.high ELSE e.chain_number END"
        " FROM search s JOIN entries e"
        " ON e.chain_account_id = $1 AND e.chain_number = (s.low + s.high) / 2"
        " WHERE s.low < s.high)"
        " SELECT s.moment, s.low, COALESCE(e.balance_after_nanos, 0) FROM search s"
        " LEFT JOIN entries e ON e.chain_account_id = $1 AND e.chain_number = s.low - 1"
        " WHERE s.low = s.high",
        account_id,
    )
    marks = {moment: Mark(number, balance_nanos) for moment, number, balance_nanos in rows}
    return [marks[moment] for moment in moments]


class Row(Struct, frozen=True, kw_only=True):
    """A line of a statement: an entry, or all the charges between two others of a day.

    `at` is the entry's moment, or the beginning of the day; `count` is how many charges it is.
    """

    at: int
    nanos: Nanos
    balance_after_nanos: Nanos
    count: int = 0
    line: Line | None = None


class Statement(Struct, frozen=True, kw_only=True):
    """A span of an account's ledger: `opening_nanos`, then each row, is `closing_nanos`."""

    opening_nanos: Nanos
    closing_nanos: Nanos
    rows: Sequence[Row]
    marks: Sequence[Mark]

    @property
    def charged_nanos(self) -> Nanos:
        return -sum(row.nanos for row in self.rows if row.line is None)

    @property
    def charges(self) -> int:
        return sum(row.count for row in self.rows)

    @property
    def paid_in_nanos(self) -> Nanos:
        return self._sum("deposit")

    @property
    def refunded_nanos(self) -> Nanos:
        return self._sum("refund")

    def _sum(self, kind: Kind) -> Nanos:
        return sum(row.nanos for row in self.rows if row.line is not None and row.line.kind == kind)


async def read_statement(database: Database, account_id: int, edges: Sequence[int]) -> Statement:
    """The ledger between the first and the last of *edges*, charges summed between each two."""
    marks = await find_marks(database, account_id, edges)
    others = await list_entries(
        database,
        account_id,
        first=marks[0].number,
        end=marks[-1].number,
        kind="other",
        limit=LINES_MAX,
    )
    others.reverse()
    rows = [
        row
        for at, (mark, following) in zip(edges, pairwise(marks), strict=False)
        for row in _rows_between(at, mark, following, others)
    ]
    return Statement(
        opening_nanos=marks[0].balance_nanos,
        closing_nanos=marks[-1].balance_nanos,
        rows=rows,
        marks=marks,
    )


def _rows_between(at: int, mark: Mark, following: Mark, others: Sequence[Line]) -> Iterator[Row]:
    """What lies between two marks. The charges are what the balance lost between the others."""
    number, balance_nanos = mark.number, mark.balance_nanos
    for line in others:
        if not mark.number <= line.number < following.number:
            continue
        before_nanos = line.balance_after_nanos - line.nanos
        yield from _charges(at, line.number - number, balance_nanos, before_nanos)
        yield Row(
            at=line.at, nanos=line.nanos, balance_after_nanos=line.balance_after_nanos, line=line
        )
        number, balance_nanos = line.number + 1, line.balance_after_nanos
    yield from _charges(at, following.number - number, balance_nanos, following.balance_nanos)


def _charges(at: int, count: int, before_nanos: Nanos, after_nanos: Nanos) -> Iterator[Row]:
    if count:
        yield Row(
            at=at, nanos=after_nanos - before_nanos, balance_after_nanos=after_nanos, count=count
        )


def _line(row: Columns) -> Line:
    return Line(**dict(zip(Line.__struct_fields__, row, strict=True)))
