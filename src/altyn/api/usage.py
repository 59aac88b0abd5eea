"""`GET /usage` and `GET /generations/{id}`: what was used, filtered and paged, and one receipt."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from msgspec import structs

from altyn.api.authenticate import Doorkeeper
from altyn.api.request import Reply, Request, json_reply
from altyn.api.wire import (
    GenerationCard,
    ReceiptLine,
    UsageCard,
    UsageGroup,
    UsageGroups,
    UsageList,
    UsageSummary,
)
from altyn.catalog.load import find_applied_price
from altyn.database.engine import Database
from altyn.errors import InvalidParameterError, NotFoundError
from altyn.money import format_nanos, format_per_token, format_short
from altyn.usage.report import (
    Cursor,
    Filter,
    GroupBy,
    RecordRow,
    Totals,
    find_record,
    group_records,
    list_records,
    sum_records,
    usage_of,
)

T = TypeVar("T")
LIMIT = 20
LIMIT_MAX = 100
PAGE_MAX = 100_000
MOMENT_MAX_MS = 253_402_300_800_000  # the year 10000
STATUSES = ("success", "error", "cancelled")
MODES = ("live", "test")
GROUPS = ("day", "hour", "model", "key", "status")
DIGITS = re.compile(r"[0-9]{1,19}")
REQUEST_ID_PREFIXES = ("chatcmpl-", "req_")
PER_ONE = ("request", "web_search")


class UsageReports:
    def __init__(self, *, doorkeeper: Doorkeeper, database: Database, currency: str) -> None:
        self.doorkeeper = doorkeeper
        self.database = database
        self.currency = currency

    async def page(self, request: Request) -> Reply:
        """`GET /usage`"""
        caller = await self.doorkeeper.authenticate(request, "usage")
        asked = Query(request)
        chosen = asked.read_filter(caller.account.id)
        summary = self._summary(await sum_records(self.database, chosen))
        if group_by := asked.read("group_by", one_of(GROUPS)):
            asked.finish()
            return await self._grouped(chosen, cast("GroupBy", group_by), summary)
        limit = asked.read("limit", whole_number(1, LIMIT_MAX)) or LIMIT
        cursor = asked.read("cursor", read_cursor)
        page = asked.read("page", whole_number(1, PAGE_MAX)) or 1
        asked.finish()
        rows = await list_records(
            self.database,
            chosen,
            limit=limit + 1,
            before=(cursor.created_at, cursor.request_id) if cursor else None,
            skip=0 if cursor else (page - 1) * limit,
        )
        more = len(rows) > limit
        rows = rows[:limit]
        end = Cursor(rows[-1]["created_at"], rows[-1]["request_id"]) if more else None
        return json_reply(
            UsageList(
                object="list",
                data=[_usage_card(row) for row in rows],
                has_more=more,
                next_cursor=None if end is None else str(end),
                summary=summary,
            )
        )

    async def show(self, request: Request, generation_id: str) -> Reply:
        """`GET /generations/{id}`"""
        caller = await self.doorkeeper.authenticate(request, "usage")
        request_id = generation_id
        for prefix in REQUEST_ID_PREFIXES:
            request_id = request_id.removeprefix(prefix)
        if not request_id.isprintable():  # PostgreSQL takes a NUL for an error of its own
            raise NotFoundError
        row = await find_record(self.database, account_id=caller.account.id, request_id=request_id)
        if row is None:
            raise NotFoundError
        return json_reply(await self._generation(row))

    async def _grouped(self, chosen: Filter, group_by: GroupBy, summary: UsageSummary) -> Reply:
        groups = await group_records(self.database, chosen, group_by)
        return json_reply(
            UsageGroups(
                object="list",
                group_by=group_by,
                data=[
                    UsageGroup(
                        _group_name(group_by, group),
                        totals.requests,
                        totals.prompt_tokens,
                        totals.completion_tokens,
                        totals.prompt_tokens + totals.completion_tokens,
                        format_nanos(totals.charge_nanos),
                        self.currency,
                    )
                    for group, totals in groups
                ],
                has_more=False,
                next_cursor=None,
                summary=summary,
            )
        )

    def _summary(self, totals: Totals) -> UsageSummary:
        return UsageSummary(
            totals.requests,
            totals.prompt_tokens,
            totals.completion_tokens,
            totals.prompt_tokens + totals.completion_tokens,
            format_nanos(totals.charge_nanos),
            self.currency,
        )

    async def _generation(self, row: RecordRow) -> GenerationCard:
        card = _usage_card(row)
        return GenerationCard(
            **structs.asdict(card),
            object="generation",
            request_id=f"req_{row['request_id']}",
            currency=self.currency,
            held=format_nanos(row["hold_nanos"]),
            receipt=await self._receipt(row),
        )

    async def _receipt(self, row: RecordRow) -> list[ReceiptLine]:
        """The charge line by line, by the price row that the record names."""
        usage = usage_of(row)
        if not row["charge_nanos"] or usage is None or row["price_id"] is None:
            return []
        applied = await find_applied_price(self.database, row["price_id"], row["markup_ppm"])
        if applied is None:
            return []
        return [
            ReceiptLine(
                kind=line.kind,
                quantity=line.quantity,
                price=(format_short if line.kind in PER_ONE else format_per_token)(
                    line.price_nanos
                ),
                amount=format_per_token(line.amount_millionths),
            )
            for line in applied.price.explain(usage)
        ]


# The query string -----------------------------------------------------------------------------


class Query:
    """The parameters of a query, each read once; what is left over is a mistake worth telling."""

    def __init__(self, request: Request) -> None:
        self._pairs: dict[str, str] = {}
        for name, value in request.query_pairs():
            if name in self._pairs:
                raise InvalidParameterError(param=name[:100], reason="twice")
            self._pairs[name] = value

    def read(self, name: str, read: Callable[[str, str], T]) -> T | None:
        value = self._pairs.pop(name, None)
        return None if value is None or value == "" else read(name, value)

    def read_filter(self, account_id: int) -> Filter:
        since, until = self.read("from", read_moment), self.read("to", read_moment)
        return Filter(
            account_id=account_id,
            since=since if since is not None else 0,
            until=until if until is not None else MOMENT_MAX_MS,
            model=self.read("model", text),
            key_id=self.read("key_id", whole_number(1, 2**62)),
            status=self.read("status", one_of(STATUSES)),
            mode=self.read("mode", one_of(MODES)),
        )

    def finish(self) -> None:
        """Refuse a filter that is not one: a misspelt name would silently answer too much."""
        for name in self._pairs:
            raise InvalidParameterError(param=name[:100], reason="no_filter")


def text(name: str, value: str) -> str:
    if "\x00" in value or len(value) > 200:  # noqa: PLR2004 -- as long as a model's name can be
        raise InvalidParameterError(param=name, reason="name")
    return value


def whole_number(low: int, high: int) -> Callable[[str, str], int]:
    def read(name: str, value: str) -> int:
        # Digits alone, and few: `int` takes other scripts, and chokes on very many.
        if not DIGITS.fullmatch(value) or not low <= int(value) <= high:
            raise InvalidParameterError(param=name, reason="range", low=low, high=high)
        return int(value)

    return read


def one_of(choices: tuple[str, ...]) -> Callable[[str, str], str]:
    def read(name: str, value: str) -> str:
        if value not in choices:
            raise InvalidParameterError(param=name, reason="one_of", choices=", ".join(choices))
        return value

    return read


def read_moment(name: str, value: str) -> int:
    """A date, which is its midnight in UTC, or a time as in RFC 3339, as milliseconds."""
    try:
        # A plus sign that was not escaped arrives as a space.
        moment = datetime.fromisoformat(value.replace(" ", "+"))
    except ValueError:
        raise InvalidParameterError(param=name, reason="date") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        milliseconds = int(moment.timestamp() * 1000)
    except OverflowError:
        raise InvalidParameterError(param=name, reason="date") from None
    return max(0, milliseconds)


def read_cursor(name: str, value: str) -> Cursor:
    cursor = Cursor.read(value)
    if cursor is None:
        raise InvalidParameterError(param=name, reason="cursor")
    return cursor


# Rows to cards --------------------------------------------------------------------------------


def _usage_card(row: RecordRow) -> UsageCard:
    usage = usage_of(row)
    known = usage if usage is not None else Unknown
    return UsageCard(
        id=f"chatcmpl-{row['request_id']}",
        created_at=iso(row["created_at"]),
        model=row["model"],
        key_id=row["key_id"],
        mode=row["mode"],
        status=row["status"],
        stream=bool(row["streamed"]),
        prompt_tokens=known.input_tokens,
        cached_tokens=known.cache_read,
        cache_write_tokens=known.cache_write,
        completion_tokens=known.output_tokens,
        reasoning_tokens=known.reasoning,
        total_tokens=known.total_tokens,
        cost=format_nanos(row["charge_nanos"]),
        latency_ms=row["latency_ms"],
        time_to_first_token_ms=row["first_token_ms"],
        finish_reason=row["finish_reason"],
        error_code=row["error_code"],
        outcome=row["outcome"],
        served_model=row["served_model"],
    )


class Unknown:
    """The usage of a request whose usage nobody knows: null, never 0."""

    input_tokens: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    output_tokens: int | None = None
    reasoning: int | None = None
    total_tokens: int | None = None


def _group_name(group_by: GroupBy, group: Any) -> str:
    if group_by == "day":
        return iso(group)[:10]
    return iso(group) if group_by == "hour" else str(group)


def iso(milliseconds: int) -> str:
    """A time as in RFC 3339, in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"
