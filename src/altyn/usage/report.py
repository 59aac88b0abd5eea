"""What a customer asks about their use: records by page, totals of a filter, one receipt.

Totals come from the hourly sums for whole hours and from the records only at the two ragged ends,
so they cost the same over a hundred calls and over ten million.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct

from altyn.database.bulk import Row
from altyn.database.engine import Database
from altyn.money import Nanos
from altyn.usage.record import HOUR_MS, RECORDS

GroupBy = Literal["day", "hour", "model", "key", "status"]
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


class Totals(Struct, frozen=True):
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    charge_nanos: Nanos = 0

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(
            self.requests + other.requests,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.charge_nanos + other.charge_nanos,
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


async def find_record(database: Database, *, account_id: int, request_id: str) -> RecordRow | None:
    found = await database.read(
        f"SELECT {', '.join(RECORDS.names)} FROM usage_records"
        " WHERE account_id = $1 AND request_id = $2",
        account_id,
        request_id,
    )
    return _by_name(found[0]) if found else None


async def sum_records(database: Database, chosen: Filter) -> Totals:
    """Totals over the whole filter."""
    totals = Totals()
    for source in _sources(chosen):
        ((requests, *sums),) = await _read_sums(database, source)
        totals += Totals(requests, *(int(number or 0) for number in sums))
    return totals


async def group_records(
    database: Database, chosen: Filter, group_by: GroupBy
) -> list[tuple[Any, Totals]]:
    """Totals for each day, hour, model, key or status of the filter; times as milliseconds."""
    groups: dict[Any, Totals] = {}
    for source in _sources(chosen):
        for group, requests, *sums in await _read_sums(database, source, group_by):
            row = Totals(requests, *(int(number or 0) for number in sums))
            groups[group] = groups.get(group, Totals()) + row
    return sorted(groups.items(), key=lambda item: item[0], reverse=group_by in ("day", "hour"))


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
    return Filter(
        account_id=chosen.account_id,
        since=since,
        until=until,
        model=chosen.model,
        key_id=chosen.key_id,
        status=chosen.status,
        mode=chosen.mode,
    )


HOURLY_SUMS = (
    "SUM(requests)",
    "SUM(prompt_tokens)",
    "SUM(completion_tokens)",
    "SUM(charge_nanos)",
)
PROMPT = " + ".join(
    f"COALESCE({name}, 0)"
    for name in ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h", "audio_input")
)
PROMPT += " - COALESCE(written_on_top, 0)"  # no token of a prompt is counted twice
COMPLETION = " + ".join(f"COALESCE({name}, 0)" for name in ("output_text", "reasoning", "image"))
RECORD_SUMS = ("COUNT(*)", f"SUM({PROMPT})", f"SUM({COMPLETION})", "SUM(charge_nanos)")


async def _read_sums(
    database: Database, source: _Source, group_by: GroupBy | None = None
) -> Sequence[Row]:
    time = "hour_at" if source.hourly else "created_at"
    where, values = _where(source.chosen, time=time)
    table = "usage_hours" if source.hourly else "usage_records"
    sums = HOURLY_SUMS if source.hourly else RECORD_SUMS
    columns = ", ".join(f"CAST(COALESCE({part}, 0) AS BIGINT)" for part in sums)
    if group_by is None:
        return await database.read(f"SELECT {columns} FROM {table} WHERE {where}", *values)
    group = {
        "day": f"{time} - {time} % {DAY_MS}",
        "hour": f"{time} - {time} % {HOUR_MS}",
        "model": "model",
        "key": "key_id",
        "status": "status",
    }[group_by]
    return await database.read(
        f"SELECT {group} AS part, {columns} FROM {table} WHERE {where} GROUP BY {group}", *values
    )


def _where(chosen: Filter, *, time: str = "created_at") -> tuple[str, list[Any]]:
    values: list[Any] = [chosen.account_id, chosen.since, chosen.until]
    where = f"account_id = $1 AND {time} >= $2 AND {time} < $3"
    for column in ("model", "key_id", "status", "mode"):
        if (value := getattr(chosen, column)) is not None:
            values.append(value)
            where += f" AND {column} = ${len(values)}"
    return where, values


def _by_name(row: Row) -> RecordRow:
    return dict(zip(RECORDS.names, row, strict=True))
