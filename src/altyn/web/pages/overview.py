"""The first page after signing in: what to do first, then how the account stands."""

import asyncio
from datetime import UTC, datetime, timedelta

from msgspec import Struct
from starlette.responses import Response

from altyn.accounts.store import get_balance
from altyn.database.engine import Database, now_ms
from altyn.keys.standing import list_standings
from altyn.money import Nanos
from altyn.usage.report import (
    DAY_MS,
    FOREVER,
    Filter,
    RecordRow,
    Totals,
    group_records,
    list_records,
    sum_records,
)
from altyn.web.steps import find_facts, steps_of
from altyn.web.visit import Visit

DAYS = 14
FORECAST_DAYS = 7
FORECAST_MAX_DAYS = 365
ERRORS = 5


class Standing(Struct, frozen=True, kw_only=True):
    """How an account stands. Days and months are of UTC, as all roll-ups are."""

    today: Totals
    month: Totals
    last_month: Totals
    requests: int
    succeeded: int
    by_day: list[tuple[int, Nanos]]
    errors: list[RecordRow]

    @property
    def most_nanos(self) -> Nanos:
        return max((nanos for _, nanos in self.by_day), default=0)

    def lasts_days(self, available_nanos: Nanos) -> int | None:
        """For how many days the money lasts at the pace of the last seven; None: not to be said."""
        spent = sum(nanos for _, nanos in self.by_day[-FORECAST_DAYS:])
        days = available_nanos * FORECAST_DAYS // spent if spent else FORECAST_MAX_DAYS + 1
        return days if days <= FORECAST_MAX_DAYS else None


async def show(visit: Visit) -> Response:
    """`GET /app`"""
    account_id, now = visit.me.account_id, now_ms()
    database = visit.shop.database
    facts = await find_facts(database, account_id, await get_balance(database, account_id))
    steps = steps_of(facts)
    keys = await list_standings(database, account_id, now=now)
    return await visit.page(
        "overview.html",
        facts=facts,
        steps=steps,
        finished=all(step.done for step in steps),
        standing=await _standing(database, account_id, now),
        active_keys=sum(one.state == "active" for one in keys),
        test_keys=[one for one in keys if one.key.mode == "test" and one.state == "active"],
    )


async def _standing(database: Database, account_id: int, now: int) -> Standing:
    today = now // DAY_MS * DAY_MS
    month, last_month = _months(now)
    since = today - (DAYS - 1) * DAY_MS

    def of(since: int, until: int = FOREVER, status: str | None = None) -> Filter:
        return Filter(account_id=account_id, since=since, until=until, mode="live", status=status)

    sums = await asyncio.gather(
        sum_records(database, of(today)),
        sum_records(database, of(month)),
        sum_records(database, of(last_month, month)),
        sum_records(database, of(since)),
        sum_records(database, of(since, status="success")),
    )
    spent = dict(await group_records(database, of(since), "day"))
    return Standing(
        today=sums[0],
        month=sums[1],
        last_month=sums[2],
        requests=sums[3].requests,
        succeeded=sums[4].requests,
        by_day=[
            (day, spent[day].charge_nanos if day in spent else 0)
            for day in range(since, today + 1, DAY_MS)
        ],
        errors=await list_records(database, of(since, status="error"), limit=ERRORS),
    )


def _months(now: int) -> tuple[int, int]:
    """When this month and the one before it began."""
    moment = datetime.fromtimestamp(now // 1000, UTC)
    first = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    before = (first - timedelta(days=1)).replace(day=1)
    return int(first.timestamp()) * 1000, int(before.timestamp()) * 1000
