"""«Статистика»: what was used and paid, in a chart, a table and a file that say the same."""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, cast, get_args

from starlette.responses import Response

from altyn.money import format_nanos
from altyn.usage.speed import LIMITS_MS, find_speed
from altyn.web.pages.usage_query import find_choices, find_keys, read_asked, read_choice
from altyn.web.pages.usage_report import (
    Group,
    Measure,
    bars_for_script,
    measured,
    read_report,
)
from altyn.web.period import DAY_MS, Period, Step
from altyn.web.spreadsheet import send_table
from altyn.web.tally import tally
from altyn.web.texts import N_
from altyn.web.visit import Visit

GROUPS: dict[Group, str] = {
    "model": N_("By model"),
    "key": N_("By key"),
    "status": N_("By status"),
    "day": N_("By day"),
    "hour": N_("By hour"),
}
MEASURES: dict[Measure, str] = {
    "cost": N_("Cost"),
    "tokens": N_("Tokens"),
    "requests": N_("Requests"),
}
HOURS_OF_DAYS = 7
"""More days are not shown by the hour: nobody reads so many rows."""

CSV_HEADER = (
    "begins_at",
    "model",
    "key_id",
    "key",
    "mode",
    "status",
    "requests",
    "prompt_tokens",
    "completion_tokens",
    "requests_without_tokens",
    "cost",
    "currency",
)


async def show(visit: Visit) -> Response:
    """`GET /app/usage`: period, model, key, status and mode filter; `group` and `show` look."""
    asked = read_asked(visit)
    choices = await find_choices(visit, asked)
    group = _read_group(visit, asked.period)
    measure = cast("Measure", read_choice(visit, "show", get_args(Measure), "cost"))
    report = await read_report(visit, asked, group, choices.keys)
    return await visit.page(
        "usage/show.html",
        asked=asked,
        choices=choices,
        group=group,
        groups=GROUPS,
        measure=measure,
        measures=MEASURES,
        measured=measured,
        report=report,
        speed=await find_speed(visit.shop.database, asked.filter(visit.me.account_id)),
        limits_ms=LIMITS_MS,
        bars=bars_for_script(report.bars, measure, visit.words, visit.shop.currency),
    )


async def export(visit: Visit) -> Response:
    """`GET /app/usage.csv`: the same filter by day (or hour), model, key, mode and status."""
    asked = read_asked(visit)
    step: Step = "hour" if _read_group(visit, asked.period) == "hour" else "day"
    return send_table(
        visit,
        name=f"usage_{asked.period.begins[:10]}_{asked.period.ends[:10]}",
        header=CSV_HEADER,
        rows=_rows(visit, step),
    )


async def _rows(visit: Visit, step: Step) -> AsyncIterator[Iterable[Sequence[Any]]]:
    asked, words = read_asked(visit), visit.words
    keys = await find_keys(visit)
    sums = await tally(
        visit.shop.database,
        asked.filter(visit.me.account_id),
        asked.period,
        step,
        ("model", "key", "mode", "status"),
    )
    yield [
        (
            words.local_iso(at),
            model,
            key_id,
            keys[key_id].name if key_id in keys else None,
            mode,
            status,
            totals.requests,
            # Where nobody knows any tokens, the cell is empty and not 0.
            None if totals.is_uncounted else totals.prompt_tokens,
            None if totals.is_uncounted else totals.completion_tokens,
            totals.uncounted,
            format_nanos(totals.charge_nanos),
            visit.shop.currency,
        )
        for (at, model, key_id, mode, status), totals in sorted(sums.items())
    ]


def _read_group(visit: Visit, period: Period) -> Group:
    group = cast("Group", read_choice(visit, "group", get_args(Group), "model"))
    too_long = period.until - period.since > (HOURS_OF_DAYS + 1) * DAY_MS
    return "day" if group == "hour" and too_long else group
