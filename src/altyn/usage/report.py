"""What a customer asks about their use: records by page, totals of a filter, one receipt.

Totals come from the hourly sums for whole hours and from the records only at the two ragged ends,
so they cost the same over a hundred calls and over ten million.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct, structs

from altyn.chat import Usage
from altyn.database.bulk import Row
from altyn.database.engine import Database
from altyn.money import Nanos
from altyn.usage.record import HOUR_MS, RECORDS, TOKEN_COLUMNS, read_usage

GroupBy = Literal["day", "hour", "model", "key", "status"]
Split = GroupBy | Literal["mode"]
DAY_MS = 24 * HOUR_MS
FOREVER = 2**62


class Filter(Struct, frozen=True, kw_only=True):
    """Which records: always of one account. Times are milliseconds; `until` is exclusive."""

    account_id: int
    since: int = 0
    until: int = FOREVER
    model: str | None = None
    key_id: int | None = None
    status: str | None = None
    mode: str | None = None

    @property
    def is_narrow(self) -> bool:
        """Whether more is asked than whose and when."""
        return any(getattr(self, column) is not None for column in COLUMNS)


COLUMNS = ("model", "key_id", "status", "mode")
TIMES = ("created_at", "latency_ms", "first_token_ms")


class Totals(Struct, frozen=True):
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    charge_nanos: Nanos = 0
    uncounted: int = 0
    """Requests whose tokens nobody knows. Where that is all of them, the tokens are not 0 but
    unknown.
    """

    succeeded: int = 0

    @property
    def is_uncounted(self) -> bool:
        """Whether nothing is known of its tokens."""
        return bool(self.requests) and self.uncounted == self.requests

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(
            self.requests + other.requests,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.charge_nanos + other.charge_nanos,
            self.uncounted + other.uncounted,
            self.succeeded + other.succeeded,
        )


RecordRow = dict[str, Any]
"""A usage record by column name, as it stands in `usage_records`."""


async def list_records(
    database: Database,
    chosen: Filter,
    *,
    limit: int,
    before: tuple[int, str] | None = None,
    skip: int = 0,
) -> list[RecordRow]:
    """The newest records first, after the one that *before* points at."""
    if chosen.is_narrow and not skip:
        return await _list_by_hours(database, chosen, limit=limit, before=before)
    where, values = _where(chosen)
    if before is not None:
        where += f" AND (created_at, request_id) < (${len(values) + 1}, ${len(values) + 2})"
        values += before
    found = await database.read(
        f"SELECT {', '.join(RECORDS.names)} FROM usage_records WHERE {where}"
        f" ORDER BY created_at DESC, request_id DESC LIMIT {limit:d} OFFSET {skip:d}",
        *values,
    )
    return [_by_name(row) for row in found]


async def list_times(
    database: Database, chosen: Filter, *, limit: int, hours_max: int
) -> Sequence[Row]:
    """When the newest calls came, and in how many ms their answers and first tokens; None is not
    known. Where the filter is narrow they are looked for in its newest *hours_max* hours only.
    """
    if chosen.is_narrow:
        hours = await _hours_with(database, chosen, limit=limit, before=None)
        return await _read_hours(database, chosen, TIMES, hours[:hours_max], limit=limit)
    where, values = _where(chosen)
    return await database.read(
        f"SELECT {', '.join(TIMES)} FROM usage_records WHERE {where}"
        f" ORDER BY created_at DESC, request_id DESC LIMIT {limit:d}",
        *values,
    )


async def _list_by_hours(
    database: Database, chosen: Filter, *, limit: int, before: tuple[int, str] | None
) -> list[RecordRow]:
    """The same for a filter that may be rare: the sums tell in which hours to look."""
    hours = await _hours_with(database, chosen, limit=limit, before=before)
    found = await _read_hours(database, chosen, RECORDS.names, hours, limit=limit, before=before)
    return [_by_name(row) for row in found]


async def _read_hours(
    database: Database,
    chosen: Filter,
    columns: Sequence[str],
    hours: Sequence[int],
    *,
    limit: int,
    before: tuple[int, str] | None = None,
) -> Sequence[Row]:
    """The newest records of a filter, out of these hours."""
    if not hours:
        return []
    # The bounds of each hour are its only ones: beside others SQLite would read the whole window.
    spans = ", ".join(
        f"({max(hour, chosen.since):d}, {min(hour + HOUR_MS, chosen.until):d})" for hour in hours
    )
    values, where = _narrowed(chosen, [chosen.account_id])
    if before is not None:
        where += f" AND (created_at, request_id) < (${len(values) + 1}, ${len(values) + 2})"
        values += before
    return await database.read(
        f"SELECT {', '.join(columns)} FROM (VALUES {spans}) AS spans"
        " CROSS JOIN usage_records WHERE account_id = $1 AND created_at >= spans.column1"
        f" AND created_at < spans.column2{where}"
        f" ORDER BY created_at DESC, request_id DESC LIMIT {limit:d}",
        *values,
    )


async def _hours_with(
    database: Database, chosen: Filter, *, limit: int, before: tuple[int, str] | None
) -> list[int]:
    """The newest hours that hold *limit* records of the filter, or all that hold some."""
    newest = before[0] if before is not None else chosen.until - 1
    hour = newest - newest % HOUR_MS
    # Of the first and the last hour some records may be out of the window.
    within = structs.replace(
        chosen, since=chosen.since - chosen.since % HOUR_MS, until=min(chosen.until, newest + 1)
    )
    where, values = _where(within, time="hour_at")
    rows = await database.read(
        f"SELECT hour_at, CAST(SUM(requests) AS BIGINT) FROM usage_hours WHERE {where}"
        f" GROUP BY hour_at ORDER BY hour_at DESC LIMIT {limit + 1:d}",
        *values,
    )
    hours, certain = [], 0
    for hour_at, requests in rows:
        hours.append(hour_at)
        certain += requests if hour_at < hour else 0
        if certain >= limit:
            break
    return hours


async def find_record(database: Database, *, account_id: int, request_id: str) -> RecordRow | None:
    found = await database.read(
        f"SELECT {', '.join(RECORDS.names)} FROM usage_records"
        " WHERE account_id = $1 AND request_id = $2",
        account_id,
        request_id,
    )
    return _by_name(found[0]) if found else None


def usage_of(row: RecordRow) -> Usage | None:
    """The tokens of a record; None where nobody knows them, which is not 0."""
    return read_usage([row[name] for name in TOKEN_COLUMNS])


async def sum_records(database: Database, chosen: Filter) -> Totals:
    """Totals over the whole filter."""
    return (await tabulate(database, chosen, ())).get((), Totals())


async def group_records(
    database: Database, chosen: Filter, group_by: GroupBy
) -> list[tuple[Any, Totals]]:
    """Totals for each day, hour, model, key or status of the filter; times as milliseconds."""
    groups = await tabulate(database, chosen, (group_by,))
    return sorted(
        ((group, totals) for (group,), totals in groups.items()),
        key=lambda item: item[0],
        reverse=group_by in ("day", "hour"),
    )


async def tabulate(
    database: Database, chosen: Filter, by: Sequence[Split], *, day_shift_ms: int = 0
) -> dict[tuple[Any, ...], Totals]:
    """Totals for every combination of *by* that there is: of days and models, for example.

    Days are told by the moment at which they begin: in UTC, or in a zone that is *day_shift_ms*
    ahead of it. That must be whole hours, which is all that sums by the hour can keep apart.
    """
    groups: dict[tuple[Any, ...], Totals] = {}
    for source in _sources(chosen):
        for row in await _read_sums(database, source, by, day_shift_ms):
            group, (requests, *sums) = tuple(row[: len(by)]), row[len(by) :]
            if requests:
                totals = Totals(requests, *(int(number or 0) for number in sums))
                groups[group] = groups.get(group, Totals()) + totals
    return groups


async def list_models(database: Database, account_id: int, *, since: int, until: int) -> list[str]:
    """The models that an account has called within whole hours."""
    rows = await database.read(
        "SELECT DISTINCT model FROM usage_hours"
        " WHERE account_id = $1 AND hour_at >= $2 AND hour_at < $3 ORDER BY model",
        account_id,
        since,
        until,
    )
    return [model for (model,) in rows]


class Cursor(Struct, frozen=True):
    """Where a page ended. Opaque to callers, and stable while new records arrive."""

    created_at: int
    request_id: str

    def __str__(self) -> str:
        plain = f"{self.created_at}.{self.request_id}".encode()
        return base64.urlsafe_b64encode(plain).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> "Cursor | None":
        try:
            plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
            created_at, _, request_id = plain.partition(".")
            number = int(created_at)
        except (ValueError, binascii.Error):
            return None
        # A NUL would be an error of PostgreSQL's, not of the caller's.
        good = 0 <= number < FOREVER and request_id and request_id.isprintable()
        return cls(number, request_id) if good else None


# Where the sums come from ---------------------------------------------------------------------


class _Source(Struct, frozen=True):
    """One table for one span of time."""

    chosen: Filter
    hourly: bool


def _sources(chosen: Filter) -> Sequence[_Source]:
    first_hour = -(-chosen.since // HOUR_MS) * HOUR_MS
    last_hour = chosen.until if chosen.until == FOREVER else chosen.until // HOUR_MS * HOUR_MS
    if first_hour >= last_hour:
        return [_Source(chosen, hourly=False)]
    spans = [_Source(_between(chosen, first_hour, last_hour), hourly=True)]
    if chosen.since < first_hour:
        spans.append(_Source(_between(chosen, chosen.since, first_hour), hourly=False))
    if last_hour < chosen.until:
        spans.append(_Source(_between(chosen, last_hour, chosen.until), hourly=False))
    return spans


def _between(chosen: Filter, since: int, until: int) -> Filter:
    return structs.replace(chosen, since=since, until=until)


HOURLY_SUMS = (
    "SUM(requests)",
    "SUM(prompt_tokens)",
    "SUM(completion_tokens)",
    "SUM(charge_nanos)",
    "SUM(uncounted)",
    "SUM(CASE WHEN status = 'success' THEN requests END)",
)
PROMPT = " + ".join(
    f"COALESCE({name}, 0)"
    for name in ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h", "audio_input")
)
PROMPT += " - COALESCE(written_on_top, 0)"  # no token of a prompt is counted twice
COMPLETION = " + ".join(f"COALESCE({name}, 0)" for name in ("output_text", "reasoning", "image"))
RECORD_SUMS = (
    "COUNT(*)",
    f"SUM({PROMPT})",
    f"SUM({COMPLETION})",
    "SUM(charge_nanos)",
    "SUM(CASE WHEN input_uncached IS NULL THEN 1 END)",
    "SUM(CASE WHEN status = 'success' THEN 1 END)",
)


async def _read_sums(
    database: Database, source: _Source, by: Sequence[Split], day_shift_ms: int
) -> Sequence[Row]:
    time = "hour_at" if source.hourly else "created_at"
    where, values = _where(source.chosen, time=time)
    table = "usage_hours" if source.hourly else "usage_records"
    sums = HOURLY_SUMS if source.hourly else RECORD_SUMS
    columns = ", ".join(f"CAST(COALESCE({part}, 0) AS BIGINT)" for part in sums)
    day = f"{time} - ({time} + {day_shift_ms:d}) % {DAY_MS}"
    group = {
        "day": day,
        "hour": f"{time} - {time} % {HOUR_MS}",
        "model": "model",
        "key": "key_id",
        "status": "status",
        "mode": "mode",
    }
    parts = ", ".join(group[one] for one in by)
    return await database.read(
        f"SELECT {parts}{', ' if by else ''}{columns} FROM {table} WHERE {where}"
        + (f" GROUP BY {parts}" if by else ""),
        *values,
    )


def _where(chosen: Filter, *, time: str = "created_at") -> tuple[str, list[Any]]:
    values, where = _narrowed(chosen, [chosen.account_id, chosen.since, chosen.until])
    return f"account_id = $1 AND {time} >= $2 AND {time} < $3{where}", values


def _narrowed(chosen: Filter, values: list[Any]) -> tuple[list[Any], str]:
    where = ""
    for column in COLUMNS:
        if (value := getattr(chosen, column)) is not None:
            values.append(value)
            where += f" AND {column} = ${len(values)}"
    return values, where


def _by_name(row: Row) -> RecordRow:
    return dict(zip(RECORDS.names, row, strict=True))
