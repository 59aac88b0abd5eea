"""Totals by the reader's hours, days and months, out of sums that are kept by the hour of UTC.

A day with a change of the clocks has 23 or 25 hours, and a zone of half hours has days that no full
hour begins: there a day's edges are taken at the hour, and pages say so.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct, structs

from altyn.database.engine import Database
from altyn.usage.report import Filter, Split, Totals, tabulate
from altyn.web.period import DAY_MS, HOUR_MS, Day, Period, Step

Tally = dict[tuple[Any, ...], Totals]
"""Totals by the moment at which a step of time begins, and whatever else was asked for."""


async def tally(
    database: Database, chosen: Filter, period: Period, step: Step, by: Sequence[Split] = ()
) -> Tally:
    """Totals of *chosen* within *period* for each hour, day or month, and for each of *by*."""
    if step == "hour":
        return await tabulate(database, within(chosen, period), ("hour", *by))
    sums: Tally = {}
    begins = _month_begins(period) if step == "month" else {}
    for run in _runs(period):
        part = structs.replace(chosen, since=run.since, until=run.until)
        found = await tabulate(database, part, ("day", *by), day_shift_ms=run.shift_ms)
        for (at, *rest), totals in found.items():
            day = run.day_of(at)
            key = (begins.get((day.date.year, day.date.month), day.since), *rest)
            sums[key] = sums.get(key, Totals()) + totals
    return sums


def within(chosen: Filter, period: Period) -> Filter:
    return structs.replace(chosen, since=period.since, until=period.until)


def steps(period: Period, step: Step) -> list[int]:
    """When each hour, day or month of a period begins: the keys of its tally, without gaps."""
    if step == "hour":
        return list(range(period.since - period.since % HOUR_MS, period.until, HOUR_MS))
    if step == "month":
        return list(_month_begins(period).values())
    return [day.since for day in period.days]


class _Run(Struct, frozen=True):
    """Days after one another that all begin at the same hour of UTC."""

    days: Sequence[Day]
    shift_ms: int

    @property
    def since(self) -> int:
        return self.days[0].since

    @property
    def until(self) -> int:
        return self.days[-1].until

    def day_of(self, at: int) -> Day:
        return self.days[max(0, bisect_right(self.days, at, key=lambda day: day.since) - 1)]


def _runs(period: Period) -> Iterator[_Run]:
    zone = ZoneInfo(period.zone)

    def kind(day: Day) -> tuple[int, int]:
        # A day that is longer or shorter than others stands alone.
        return _shift_ms(day, zone), 0 if _is_even(day, zone) else day.since

    for (shift_ms, _), days in groupby(period.days, key=kind):
        yield _Run(list(days), shift_ms)


def _shift_ms(day: Day, zone: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(day.since // 1000, zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds()) * 1000 // HOUR_MS * HOUR_MS


def _is_even(day: Day, zone: ZoneInfo) -> bool:
    ends = Day(day.date, day.until, day.until)
    return day.until - day.since <= DAY_MS and _shift_ms(day, zone) == _shift_ms(ends, zone)


def _month_begins(period: Period) -> dict[tuple[int, int], int]:
    begins: dict[tuple[int, int], int] = {}
    for day in period.days:
        begins.setdefault((day.date.year, day.date.month), day.since)
    return begins
