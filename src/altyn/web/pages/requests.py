"""«Запросы»: every call of the account, and each one in full."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from starlette.responses import Response

from altyn.errors import InvalidParameterError, NotFoundError
from altyn.keys.store import Key
from altyn.ledger.statement import list_entries_of_request
from altyn.money import format_nanos
from altyn.usage.record import TOKEN_COLUMNS
from altyn.usage.report import (
    Cursor,
    Filter,
    RecordRow,
    Totals,
    find_record,
    list_records,
    usage_of,
)
from altyn.web.pages.receipt import (
    FAULTS,
    FINISHED,
    KINDS,
    OUTCOMES,
    PER_ONE,
    TOKENS,
    find_receipt,
)
from altyn.web.pages.usage_query import find_choices, find_keys, read_asked
from altyn.web.pages.usage_report import key_name, read_times
from altyn.web.spreadsheet import send_table
from altyn.web.visit import Visit

PAGE = 25
CSV_PAGE = 500
PREFIXES = ("chatcmpl-", "req_")
CSV_HEADER = (
    "created_at",
    "request_id",
    "model",
    "served_model",
    "key_id",
    "key",
    "mode",
    "status",
    "outcome",
    "stream",
    *TOKEN_COLUMNS,
    "cost",
    "currency",
    "latency_ms",
    "time_to_first_token_ms",
    "finish_reason",
    "error_code",
)


async def show_all(visit: Visit) -> Response:
    """`GET /app/requests`: the filter of the usage page, `before` for the next page, `id`."""
    asked, before = read_asked(visit), _read_cursor(visit)
    if wanted := visit.query("id").strip():
        return await _look_up(visit, wanted)
    database, chosen = visit.shop.database, asked.filter(visit.me.account_id)
    rows = await list_records(database, chosen, limit=PAGE + 1, before=before)
    times = await read_times(visit, asked)
    choices = await find_choices(visit, asked)
    last = rows[PAGE - 1] if len(rows) > PAGE else None
    following = "" if last is None else str(Cursor(last["created_at"], last["request_id"]))
    return await visit.page(
        "requests/list.html",
        asked=asked,
        choices=choices,
        rows=[(row, usage_of(row)) for row in rows[:PAGE]],
        totals=sum((time.totals for time in times), Totals()),
        times=times,
        first=before is None,
        following=following and asked.link(visit.path, before=following),
        outcomes=OUTCOMES,
        wanted="",
    )


async def show(visit: Visit) -> Response:
    """`GET /app/requests/{request_id}`: one call in full, and why it cost what it cost."""
    row = await find_request(visit, visit.part("request_id"))
    if row is None:
        raise NotFoundError
    database, account_id = visit.shop.database, visit.me.account_id
    keys = await find_keys(visit)
    return await visit.page(
        "requests/show.html",
        row=row,
        usage=usage_of(row),
        tokens=TOKENS,
        receipt=await find_receipt(database, row),
        entries=await list_entries_of_request(
            database, account_id=account_id, request_id=row["request_id"]
        ),
        key_name=key_name(visit.words, keys.get(row["key_id"]), row["key_id"]),
        outcome=OUTCOMES[row["outcome"]],
        finished=FINISHED.get(row["finish_reason"] or ""),
        fault=FAULTS.get(row["error_code"] or ""),
        kinds=KINDS,
        per_one=PER_ONE,
    )


async def export(visit: Visit) -> Response:
    """`GET /app/requests.csv`: every request of the filter, the newest first."""
    asked = read_asked(visit)
    keys = await find_keys(visit)
    return send_table(
        visit,
        name=f"requests_{asked.period.begins[:10]}_{asked.period.ends[:10]}",
        header=CSV_HEADER,
        rows=_rows(visit, asked.filter(visit.me.account_id), keys),
    )


async def _rows(
    visit: Visit, chosen: Filter, keys: Mapping[int, Key]
) -> AsyncIterator[Iterable[Sequence[Any]]]:
    before: tuple[int, str] | None = None
    while rows := await list_records(visit.shop.database, chosen, limit=CSV_PAGE, before=before):
        yield (_cells(visit, row, keys) for row in rows)
        before = (rows[-1]["created_at"], rows[-1]["request_id"])


def _cells(visit: Visit, row: RecordRow, keys: Mapping[int, Key]) -> tuple[Any, ...]:
    key = keys.get(row["key_id"])
    return (
        visit.words.local_iso(row["created_at"]),
        f"req_{row['request_id']}",
        row["model"],
        row["served_model"],
        row["key_id"],
        None if key is None else key.name,
        row["mode"],
        row["status"],
        row["outcome"],
        row["streamed"],
        *(row[name] for name in TOKEN_COLUMNS),
        format_nanos(row["charge_nanos"]),
        visit.shop.currency,
        row["latency_ms"],
        row["first_token_ms"],
        row["finish_reason"],
        row["error_code"],
    )


async def _look_up(visit: Visit, wanted: str) -> Response:
    """To the request with this id, or a page that says that there is none."""
    row = await find_request(visit, wanted)
    if row is not None:
        return visit.go(f"/app/requests/req_{row['request_id']}")
    asked = read_asked(visit)
    return await visit.page(
        "requests/list.html",
        asked=asked,
        choices=await find_choices(visit, asked),
        wanted=wanted,
        rows=(),
    )


async def find_request(visit: Visit, text: str) -> RecordRow | None:
    """A request of this account by its id, with or without what stands before it."""
    request_id = text
    for prefix in PREFIXES:
        request_id = request_id.removeprefix(prefix)
    if not request_id.isprintable():  # PostgreSQL takes a NUL for an error of its own
        return None
    return await find_record(
        visit.shop.database, account_id=visit.me.account_id, request_id=request_id
    )


def _read_cursor(visit: Visit) -> tuple[int, str] | None:
    text = visit.query("before")
    if not text:
        return None
    cursor = Cursor.read(text)
    if cursor is None:
        raise InvalidParameterError(param="before", reason="cursor")
    return cursor.created_at, cursor.request_id
