"""What an account spent by day: one pass over the hourly sums, for pages that show many totals."""

from typing import NamedTuple

from altyn.database.engine import Database
from altyn.money import Nanos
from altyn.usage.report import DAY_MS


class Day(NamedTuple):
    """One day of UTC, one status. Money in nanos."""

    at: int
    status: str
    requests: int
    charge_nanos: Nanos


async def list_days(database: Database, account_id: int, *, since: int) -> list[Day]:
    """The live calls of each day since midnight of a day; days without any are not there."""
    rows = await database.read(
        f"SELECT hour_at - hour_at % {DAY_MS} AS day_at, status,"  # noqa: S608 -- a number of ours
        " CAST(SUM(requests) AS BIGINT), CAST(SUM(charge_nanos) AS BIGINT) FROM usage_hours"
        " WHERE account_id = $1 AND hour_at >= $2 AND mode = 'live' GROUP BY day_at, status",
        account_id,
        since,
    )
    return [Day(*row) for row in rows]
