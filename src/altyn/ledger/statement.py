"""The ledger as a customer reads it: their entries, signed, with the balance after each.

An account's entries are one chain, numbered without gaps, and each carries the balance after it. So
any span of it is told by its two ends: what was there before, what came in, what went out, what was
left; however many charges lie between, none of them is read.
"""

from typing import Literal

from msgspec import Struct

from altyn.database.bulk import Row
from altyn.database.engine import Database
from altyn.money import Nanos

Kind = Literal["deposit", "settle", "refund"]
CHARGE: Kind = "settle"


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


LINES = (
    "SELECT e.chain_number, e.at, e.kind, e.ref, e.reason,"
    " CASE WHEN e.credit_account_id = e.chain_account_id THEN e.amount_nanos"
    " ELSE -e.amount_nanos END, e.balance_after_nanos, r.model"
    " FROM entries e LEFT JOIN usage_records r"
    " ON r.request_id = e.ref AND e.kind <> 'deposit' AND r.account_id = e.chain_account_id"
    " WHERE e.chain_account_id = $1"
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
        f"{LINES} AND e.chain_number >= $2 AND e.chain_number < $3{where}"
        f" ORDER BY e.chain_number DESC LIMIT {limit:d}",
        *values,
    )
    return [_line(row) for row in rows]


async def list_entries_of_request(
    database: Database, *, account_id: int, request_id: str
) -> list[Line]:
    """What a request did to the balance: its charge, and what was given back of it."""
    rows = await database.read(
        f"{LINES} AND e.kind IN ('settle', 'refund') AND e.ref = $2 ORDER BY e.chain_number",
        account_id,
        request_id,
    )
    return [_line(row) for row in rows]


def _line(row: Row) -> Line:
    return Line(**dict(zip(Line.__struct_fields__, row, strict=True)))
