"""An account's own side of the ledger, line by line, each with the balance after it."""

from msgspec import Struct

from altyn.database.engine import Database
from altyn.money import Nanos


class Line(Struct, frozen=True, kw_only=True):
    """One entry as its account sees it: money in is positive, money out negative."""

    id: int
    at: int
    kind: str
    amount_nanos: Nanos
    ref: str
    reason: str | None
    balance_after_nanos: Nanos


async def list_entries(
    database: Database, account_id: int, *, limit: int, before: int | None = None
) -> list[Line]:
    """The newest first, below the entry *before* if it is given."""
    rows = await database.read(
        "SELECT id, at, kind, CASE WHEN credit_account_id = $1 THEN amount_nanos"
        " ELSE -amount_nanos END, ref, reason, balance_after_nanos FROM entries"
        " WHERE chain_account_id = $1 AND (CAST($2 AS BIGINT) IS NULL OR id < $2)"
        f" ORDER BY chain_number DESC LIMIT {limit:d}",
        account_id,
        before,
    )
    return [Line(**dict(zip(Line.__struct_fields__, row, strict=True))) for row in rows]
