"""A span of time as a reader names it, in their own zone: today, 30 days, two dates."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from msgspec import Struct

from altyn.errors import InvalidParameterError
from altyn.web.visit import Visit

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
DAYS_MAX = 400
HOURLY_DAYS_MAX = 2
DAILY_DAYS_MAX = 92
YEARS = (1970, 9999)

Name = Literal["today", "7d", "30d", "month", "last_month", "custom"]
Step = Literal["hour", "day", "month"]
LENGTHS = {"today": 1, "7d": 7, "30d": 30}


class Day(Struct, frozen=True):
    """A day of the reader's: mostly 24 hours, `since` inclusive, `until` exclusive, in ms."""

    date: date
    since: int
    until: int


class Period(Struct, frozen=True, kw_only=True):
    """`since` inclusive, `until` exclusive, in milliseconds. `begins` and `ends` as they are
    written in an address: a date, which is meant whole, or a time to the minute.
    """

    name: Name
    zone: str
    since: int
    until: int
    begins: str
    ends: str

    @property
    def days(self) -> list[Day]:
        """Every day that it touches, the first one first."""
        return list(_days(self.since, self.until, ZoneInfo(self.zone)))

    @property
    def step(self) -> Step:
        """What one bar of a chart over it is."""
        length = self.until - self.since
        if length <= HOURLY_DAYS_MAX * DAY_MS + HOUR_MS:
            return "hour"
        return "day" if length <= (DAILY_DAYS_MAX + 1) * DAY_MS else "month"

    @property
    def before(self) -> tuple[int, int]:
        """As long a time, just before it."""
        return self.since - (self.until - self.since), self.since

    @property
    def has_whole_hours(self) -> bool:
        """Whether the reader's days begin at full hours of UTC, as sums are kept."""
        return self.since % HOUR_MS == 0


def read_period(visit: Visit, *, otherwise: Name = "30d") -> Period:
    """What the address says. Raises `InvalidParameterError` for what is no span of time."""
    name, zone = visit.query("period") or otherwise, ZoneInfo(visit.words.zone)
    if name not in get_args(Name):
        choices = ", ".join(get_args(Name))
        raise InvalidParameterError(param="period", reason="one_of", choices=choices)
    today = datetime.now(zone).date()
    if name == "custom":
        first, last = visit.query("from"), visit.query("to")
        return span(visit.words.zone, first or today.isoformat(), last or today.isoformat())
    begin, end = today, today
    if name in LENGTHS:
        begin = today - timedelta(days=LENGTHS[name] - 1)
    elif name == "month":
        begin = today.replace(day=1)
    else:
        end = today.replace(day=1) - timedelta(days=1)
        begin = end.replace(day=1)
    return span(visit.words.zone, begin.isoformat(), end.isoformat(), name=name)


def span(zone: str, begins: str, ends: str, *, name: str = "custom") -> Period:
    """From one date or time to another. Raises `InvalidParameterError`."""
    since, until = _read(begins, "from", zone)[0], _read(ends, "to", zone)[1]
    if not since < until <= since + DAYS_MAX * DAY_MS + DAY_MS:
        latest = datetime.fromtimestamp(since // 1000, ZoneInfo(zone)) + timedelta(days=DAYS_MAX)
        raise InvalidParameterError(
            param="to", reason="range", low=begins, high=latest.date().isoformat()
        )
    return Period(
        name=name,  # type: ignore[arg-type]  # one of `Name`: the callers' own
        zone=zone,
        since=since,
        until=until,
        begins=begins,
        ends=ends,
    )


def month_of(zone: str, text: str) -> Period:
    """A whole month, written `2026-11`. Raises `ValueError` for what is none."""
    first = date.fromisoformat(f"{text}-01")
    if not YEARS[0] < first.year < YEARS[1]:
        raise ValueError(text)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return span(zone, first.isoformat(), last.isoformat())


def _read(text: str, param: str, zone: str) -> tuple[int, int]:
    """The first moment of a date or a time, and the first that is no more of it."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidParameterError(param=param, reason="date") from None
    if moment.tzinfo is not None or not YEARS[0] < moment.year < YEARS[1]:
        raise InvalidParameterError(param=param, reason="date")
    if "T" in text:
        at = _ms(moment.replace(tzinfo=ZoneInfo(zone)))
        return at, at
    day = moment.date()
    return _midnight(day, ZoneInfo(zone)), _midnight(day + timedelta(days=1), ZoneInfo(zone))


def _days(since: int, until: int, zone: ZoneInfo) -> Iterator[Day]:
    day = datetime.fromtimestamp(since // 1000, zone).date()
    while (start := _midnight(day, zone)) < until:
        following = day + timedelta(days=1)
        yield Day(day, max(start, since), min(_midnight(following, zone), until))
        day = following


def _midnight(day: date, zone: ZoneInfo) -> int:
    return _ms(datetime(day.year, day.month, day.day, tzinfo=zone))


def _ms(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000
