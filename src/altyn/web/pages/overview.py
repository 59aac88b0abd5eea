"""The first page after signing in: what to do first, then how the account stands."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from msgspec import Struct, structs
from starlette.responses import Response

from altyn.accounts.store import get_balance
from altyn.database.engine import Database, now_ms
from altyn.keys.store import Key, list_keys
from altyn.money import Nanos
from altyn.usage.days import list_days
from altyn.usage.record import HOUR_MS
from altyn.usage.report import DAY_MS, FOREVER, Filter, RecordRow, list_records
from altyn.web.steps import find_facts, steps_of
from altyn.web.visit import Visit

DAYS = 14
FORECAST_DAYS = 7
FORECAST_MAX_DAYS = 365
ERRORS = 5


class Spent(NamedTuple):
    """Calls of some days, and what they cost."""

    requests: int
    charge_nanos: Nanos


class Standing(Struct, frozen=True, kw_only=True):
    """How an account stands. Days and months are of UTC, as all roll-ups are."""

    today: Spent
    month: Spent
    last_month: Spent
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
    keys = [key for key in await list_keys(database, account_id=account_id) if _opens(key, now)]
    return await visit.page(
        "overview.html",
        facts=facts,
        steps=steps,
        finished=all(step.done for step in steps),
        standing=await _standing(database, account_id, now),
        active_keys=len(keys),
        test_keys=[key for key in keys if key.mode == "test"],
    )


def _opens(key: Key, now: int) -> bool:
    """Whether a key opens anything now, as long as its limit is not reached."""
    late = key.rules.expires_at is not None and key.rules.expires_at <= now
    return key.revoked_at is None and key.disabled_at is None and not late


async def _standing(database: Database, account_id: int, now: int) -> Standing:
    today = now // DAY_MS * DAY_MS
    month, last_month = _months(now)
    since = today - (DAYS - 1) * DAY_MS
    days = await list_days(database, account_id, since=min(since, last_month))

    def spent(since: int, until: int = FOREVER) -> Spent:
        chosen = [day for day in days if since <= day.at < until]
        return Spent(sum(day.requests for day in chosen), sum(day.charge_nanos for day in chosen))

    failed = Filter(account_id=account_id, since=since, mode="live", status="error")
    return Standing(
        today=spent(today),
        month=spent(month),
        last_month=spent(last_month, month),
        requests=spent(since).requests,
        succeeded=sum(day.requests for day in days if day.at >= since and day.status == "success"),
        by_day=[
            (at, spent(at, at + DAY_MS).charge_nanos) for at in range(since, today + 1, DAY_MS)
        ],
        errors=await _last_errors(database, failed),
    )


async def _last_errors(database: Database, chosen: Filter) -> list[RecordRow]:
    """The newest records with an error. Only hours that have one are looked through."""
    hours = await database.read(
        "SELECT DISTINCT hour_at FROM usage_hours WHERE account_id = $1 AND hour_at >= $2"
        " AND status = 'error' AND mode = 'live' ORDER BY hour_at DESC LIMIT 5",
        chosen.account_id,
        chosen.since,
    )
    found: list[RecordRow] = []
    for (hour_at,) in hours:
        hour = structs.replace(chosen, since=hour_at, until=hour_at + HOUR_MS)
        found += await list_records(database, hour, limit=ERRORS - len(found))
        if len(found) == ERRORS:
            break
    return found


def _months(now: int) -> tuple[int, int]:
    """When this month and the one before it began."""
    moment = datetime.fromtimestamp(now // 1000, UTC)
    first = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    before = (first - timedelta(days=1)).replace(day=1)
    return int(first.timestamp()) * 1000, int(before.timestamp()) * 1000
