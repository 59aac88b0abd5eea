"""The first page after signing in: what to do first, then how the account stands."""

from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from msgspec import Struct, structs
from starlette.responses import Response

from altyn.accounts.store import get_balance
from altyn.database.engine import Database, now_ms
from altyn.keys.store import Key, list_keys
from altyn.money import Nanos
from altyn.usage.report import Filter, RecordRow, Totals, list_records
from altyn.web.period import Period, span
from altyn.web.steps import find_facts, steps_of
from altyn.web.tally import steps as begins_of
from altyn.web.tally import tally
from altyn.web.visit import Visit

DAYS = 14
DAY = timedelta(days=1)
FORECAST_DAYS = 7
FORECAST_MAX_DAYS = 365
ERRORS = 5


class Standing(Struct, frozen=True, kw_only=True):
    """How an account stands, by the days and months of the reader. Live calls only."""

    today: Totals
    month: Totals
    last_month: Totals
    recent: Totals
    recent_days: Period
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
    account_id, now, zone = visit.me.account_id, now_ms(), visit.words.zone
    database = visit.shop.database
    facts = await find_facts(database, account_id, await get_balance(database, account_id))
    steps = steps_of(facts)
    keys = [key for key in await list_keys(database, account_id=account_id) if _opens(key, now)]
    return await visit.page(
        "overview.html",
        facts=facts,
        steps=steps,
        finished=all(step.done for step in steps),
        standing=await read_standing(
            database, account_id, zone=zone, today=datetime.now(ZoneInfo(zone)).date()
        ),
        active_keys=len(keys),
        test_keys=[key for key in keys if key.mode == "test"],
    )


def _opens(key: Key, now: int) -> bool:
    """Whether a key opens anything now, as long as its limit is not reached."""
    late = key.rules.expires_at is not None and key.rules.expires_at <= now
    return key.revoked_at is None and key.disabled_at is None and not late


async def read_standing(database: Database, account_id: int, *, zone: str, today: date) -> Standing:
    """What the figures and the bars of the page say, as the usage page would say it.

    It is one pass over the hourly sums, cut where a figure begins: there no call of a zone of half
    hours is counted to the wrong side.
    """
    live = Filter(account_id=account_id, mode="live")
    month = today.replace(day=1)
    last_month, first = (month - DAY).replace(day=1), today - (DAYS - 1) * DAY
    cuts = sorted({last_month, first, month, today})
    days: dict[int, Totals] = {}
    for begin, end in pairwise([*cuts, today + DAY]):
        found = await tally(database, live, _between(zone, begin, end), "day")
        days |= {at: totals for (at,), totals in found.items()}

    def spent(begin: date, end: date) -> Totals:
        asked = _between(zone, begin, end)
        chosen = (days[at] for at in days if asked.since <= at < asked.until)
        return sum(chosen, Totals())

    recent = _between(zone, first, today + DAY)
    failed = structs.replace(live, since=recent.since, until=recent.until, status="error")
    return Standing(
        today=spent(today, today + DAY),
        month=spent(month, today + DAY),
        last_month=spent(last_month, month),
        recent=spent(first, today + DAY),
        recent_days=recent,
        by_day=[(at, days.get(at, Totals()).charge_nanos) for at in begins_of(recent, "day")],
        errors=await list_records(database, failed, limit=ERRORS),
    )


def _between(zone: str, begin: date, end: date) -> Period:
    """From one day up to, but not including, another."""
    return span(zone, begin.isoformat(), (end - DAY).isoformat())
