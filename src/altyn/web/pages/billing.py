"""«Баланс»: what can be spent, every entry of the ledger, statements by the month."""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct
from starlette.responses import Response

from altyn.accounts.store import set_low_balance
from altyn.database.engine import now_ms
from altyn.errors import InvalidAmountError, InvalidParameterError, NotFoundError
from altyn.ledger.statement import (
    Line,
    Mark,
    Statement,
    find_first_entry,
    find_marks,
    list_entries,
    read_statement,
)
from altyn.money import Nanos, format_nanos, format_short, parse_nanos
from altyn.web.pages.usage_query import read_choice
from altyn.web.period import DAY_MS, Period, month_of, read_period, span
from altyn.web.spreadsheet import send_table
from altyn.web.texts import N_
from altyn.web.visit import Visit
from altyn.web.words import Words, places

PAGE = 25
CSV_PAGE = 500
MONTHS = 12
DAYS = 30
KINDS = {"deposit": N_("Paid in"), "settle": N_("Charges"), "refund": N_("Refunds")}
CSV_HEADER = (
    "at",
    "number",
    "kind",
    "source",
    "reference",
    "model",
    "amount",
    "balance_after",
    "currency",
)


class LedgerPage(Struct, frozen=True, kw_only=True):
    """Some lines of the ledger, the newest first. `following` is where the next page begins."""

    lines: Sequence[Line]
    following: int | None

    @property
    def places(self) -> int:
        """Decimals that write every amount of the page: so its lines can be added up."""
        return places(
            nanos for line in self.lines for nanos in (line.nanos, line.balance_after_nanos)
        )


async def show(visit: Visit) -> Response:
    """`GET /app/billing`: the balance, and the ledger by `period`, `kind` and `before`."""
    return await _show(visit)


async def set_threshold(visit: Visit) -> Response:
    """`POST /app/billing/threshold`: below which amount to warn; nothing written means never."""
    text = visit.field("threshold")[:40]
    try:
        nanos = _read_amount(text)
    except InvalidAmountError:
        return await _show(
            visit,
            threshold=text,
            wrong=visit.gettext("Write an amount, such as 50 or 12.40."),
            status=422,
        )
    await visit.shop.database.write(
        partial(set_low_balance, account_id=visit.me.account_id, nanos=nanos)
    )
    return visit.go("/app/billing", toast="saved")


async def show_statement(visit: Visit) -> Response:
    """`GET /app/billing/statements/{month}`: a month, from its opening to its closing balance."""
    try:
        period = month_of(visit.words.zone, visit.part("month"))
    except (ValueError, InvalidParameterError):
        raise NotFoundError from None
    if period.since > now_ms():
        raise NotFoundError
    statement = await _read_days(visit, period)
    return await visit.page(
        "billing/statement.html",
        period=period,
        statement=statement,
        places=places(
            nanos for row in statement.rows for nanos in (row.nanos, row.balance_after_nanos)
        ),
        is_open=period.until > now_ms(),
    )


async def export(visit: Visit) -> Response:
    """`GET /app/billing.csv`: every entry of the filter, the newest first."""
    period, kind = read_period(visit), _read_kind(visit)
    first, end = await _edges(visit, period)
    return send_table(
        visit,
        name=f"ledger_{period.begins[:10]}_{period.ends[:10]}",
        header=CSV_HEADER,
        rows=_rows(visit, kind, first.number, end.number),
    )


async def _rows(
    visit: Visit, kind: str, first: int, end: int
) -> AsyncIterator[Iterable[Sequence[Any]]]:
    while lines := await list_entries(
        visit.shop.database,
        visit.me.account_id,
        first=first,
        end=end,
        kind=kind or None,
        limit=CSV_PAGE,
    ):
        yield [_cells(visit.words, line) for line in lines]
        end = lines[-1].number


def _cells(words: Words, line: Line) -> tuple[Any, ...]:
    return (
        words.local_iso(line.at),
        line.number,
        line.kind,
        line.source,
        line.ref if line.kind == "deposit" else f"req_{line.ref}",
        line.model,
        format_nanos(line.nanos),
        format_nanos(line.balance_after_nanos),
        words.currency,
    )


# The page -------------------------------------------------------------------------------------


async def _show(
    visit: Visit, *, threshold: str | None = None, wrong: str = "", status: int = 200
) -> Response:
    period, kind = read_period(visit), _read_kind(visit)
    zone = visit.words.zone
    month = month_of(zone, visit.words.address_day(now_ms())[:7])
    recent = await _read_days(visit, _recent(zone, visit.words))
    return await visit.page(
        "billing/show.html",
        status=status,
        period=period,
        kind=kind,
        kinds=KINDS,
        ledger=await _read_page(visit, period, kind),
        first=not visit.query("before"),
        month=await _read_days(visit, month),
        recent=recent,
        line=_line_of_balance(visit, recent),
        months=await _months(visit),
        threshold=threshold,
        wrong=wrong,
        link=partial(_link, period, kind),
    )


async def _read_page(visit: Visit, period: Period, kind: str) -> LedgerPage:
    first, end = await _edges(visit, period)
    before = _read_before(visit)
    lines = await list_entries(
        visit.shop.database,
        visit.me.account_id,
        first=first.number,
        end=end.number if before is None else min(before, end.number),
        kind=kind or None,
        limit=PAGE + 1,
    )
    following = lines[PAGE - 1].number if len(lines) > PAGE else None
    return LedgerPage(lines=lines[:PAGE], following=following)


async def _edges(visit: Visit, period: Period) -> list[Mark]:
    return await find_marks(visit.shop.database, visit.me.account_id, [period.since, period.until])


async def _read_days(visit: Visit, period: Period) -> Statement:
    edges = [day.since for day in period.days] + [period.until]
    return await read_statement(visit.shop.database, visit.me.account_id, edges)


def _recent(zone: str, words: Words) -> Period:
    """The last 30 days, whatever the ledger below is filtered by."""
    now = now_ms()
    first = words.address_day(now - (DAYS - 1) * DAY_MS)
    return span(zone, first, words.address_day(now))


def _line_of_balance(visit: Visit, recent: Statement) -> dict[str, Any] | None:
    """The balance at the end of each day, for a chart; None before the first entry."""
    if recent.marks[-1].number == 1:
        return None
    words = visit.words
    days = _recent(words.zone, words).days
    return {
        "kind": "line",
        "language": words.language,
        "currency": visit.shop.currency,
        "labels": [words.short_day(day.since) for day in days],
        "series": [
            {
                "name": visit.gettext("Balance at the end of the day"),
                "values": [format_short(mark.balance_nanos) for mark in recent.marks[1:]],
            }
        ],
    }


async def _months(visit: Visit) -> list[str]:
    """The months that have a statement, the newest first: `2026-11`."""
    first = await find_first_entry(visit.shop.database, visit.me.account_id)
    if first is None:
        return []
    words = visit.words
    oldest, month = words.address_day(first)[:7], date.fromisoformat(words.address_day(now_ms()))
    months: list[str] = []
    while len(months) < MONTHS and f"{month:%Y-%m}" >= oldest:
        months.append(f"{month:%Y-%m}")
        month = month.replace(day=1) - timedelta(days=1)
    return months


def _link(period: Period, kind: str, path: str, **changes: Any) -> str:
    facts: dict[str, Any] = {"period": period.name, "kind": kind}
    if period.name == "custom":
        facts |= {"from": period.begins, "to": period.ends}
    facts |= changes
    return f"{path}?{urlencode({name: value for name, value in facts.items() if value != ''})}"


def _read_kind(visit: Visit) -> str:
    return read_choice(visit, "kind", tuple(KINDS))


def _read_before(visit: Visit) -> int | None:
    text = visit.query("before")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):  # noqa: PLR2004 -- what a BIGINT holds
        raise InvalidParameterError(param="before", reason="cursor")
    return int(text)


def _read_amount(text: str) -> Nanos | None:
    """An amount as people write it. Raises `InvalidAmountError`."""
    if not text:
        return None
    nanos = parse_nanos("".join(text.split()).replace(",", "."))
    if nanos <= 0:
        raise InvalidAmountError(text)
    return nanos
