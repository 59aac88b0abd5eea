"""What the usage page says: rows, colours and bars out of one reading of the sums."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, cast

from msgspec import Struct, structs

from altyn.keys.store import Key
from altyn.money import format_short
from altyn.usage.report import GroupBy, Totals, sum_records
from altyn.web.pages.usage_query import STATUSES, Asked
from altyn.web.period import HOUR_MS, Period, Step
from altyn.web.tally import Tally, steps, tally
from altyn.web.visit import Visit
from altyn.web.words import Words, places

Group = Literal["model", "key", "status", "day", "hour"]
Measure = Literal["cost", "tokens", "requests"]

COLOURS_MAX = 6
"""More are not told apart; what is beyond them becomes one."""


class Part(Struct, frozen=True, kw_only=True):
    """A row of the table, or a colour of the chart.

    `here` chooses it on this page (nothing where it is chosen already), `requests` lists what is
    counted in it.
    """

    name: str
    totals: Totals
    here: str = ""
    requests: str = ""


class Bars(Struct, frozen=True, kw_only=True):
    """Sums over time in colours. `cells` by time, then by colour; None where nothing was asked."""

    step: Step
    labels: Sequence[str]
    times: Sequence[Part]
    colours: Sequence[Part]
    cells: Sequence[Sequence[Totals | None]]

    @property
    def rows(self) -> list[tuple[Part, Sequence[Totals | None]]]:
        """The cells of each time at which anything was asked."""
        pairs = zip(self.times, self.cells, strict=True)
        return [(time, cells) for time, cells in pairs if time.totals.requests]

    @property
    def places(self) -> int:
        """The decimals that write every amount of it exactly."""
        return places(cell.charge_nanos for row in self.cells for cell in row if cell is not None)


class Report(Struct, frozen=True, kw_only=True):
    """Everything on the page. `totals` is the sum of the rows and of the cells of the bars."""

    totals: Totals
    before: Totals
    rows: Sequence[Part]
    bars: Bars

    @property
    def places(self) -> int:
        """The decimals of its amounts: written so, the rows can be added up to the total."""
        return places(part.totals.charge_nanos for part in self.rows)


async def read_report(visit: Visit, asked: Asked, group: Group, keys: Mapping[int, Key]) -> Report:
    """Read what the page shows: the period in *group*s, and over time in colours of the same."""
    database, chosen = visit.shop.database, asked.filter(visit.me.account_id)
    split: GroupBy = "model" if group in ("day", "hour") else group
    step = asked.period.step
    by_time = await tally(database, chosen, asked.period, step, (split,))
    colours = name_parts(visit, asked, split, _fold(by_time), keys)
    rows: Sequence[Part] = [part for _, part in colours]
    if group in ("day", "hour"):
        sums = await tally(database, chosen, asked.period, cast("Step", group))
        rows = [
            name_time(visit.words, asked, cast("Step", group), at, totals)
            for (at,), totals in sorted(sums.items(), reverse=True)
        ]
    since, until = asked.period.before
    return Report(
        totals=sum(by_time.values(), Totals()),
        before=await sum_records(database, structs.replace(chosen, since=since, until=until)),
        rows=rows,
        bars=_draw(visit, asked, by_time, colours),
    )


async def read_times(visit: Visit, asked: Asked) -> list[Part]:
    """Each hour, day or month of the period, also where nothing was asked."""
    chosen, step = asked.filter(visit.me.account_id), asked.period.step
    sums = await tally(visit.shop.database, chosen, asked.period, step)
    return [
        name_time(visit.words, asked, step, at, sums.get((at,), Totals()))
        for at in steps(asked.period, step)
    ]


def _fold(by_time: Tally) -> dict[Any, Totals]:
    """The same without the time."""
    sums: dict[Any, Totals] = {}
    for (_, part), totals in by_time.items():
        sums[part] = sums.get(part, Totals()) + totals
    return sums


# Names and links ------------------------------------------------------------------------------


def name_parts(
    visit: Visit, asked: Asked, split: GroupBy, sums: Mapping[Any, Totals], keys: Mapping[int, Key]
) -> list[tuple[Any, Part]]:
    """Each model, key or status by its value, the dearest first."""
    parts = [
        (
            value,
            Part(
                name=_name(visit, split, value, keys),
                totals=totals,
                here="" if getattr(asked, split) else asked.link(visit.path, **{split: value}),
                requests=asked.link("/app/requests", **{split: value}),
            ),
        )
        for value, totals in sums.items()
    ]
    return sorted(parts, key=lambda one: _weight(one[1]))


def _weight(part: Part) -> tuple[int, int, str]:
    return -part.totals.charge_nanos, -part.totals.requests, part.name


def _name(visit: Visit, split: GroupBy, value: Any, keys: Mapping[int, Key]) -> str:
    if split == "status":
        return visit.gettext(STATUSES[value])
    if split == "key":
        return key_name(visit.words, keys.get(value), value)
    return str(value)


def key_name(words: Words, key: Key | None, key_id: int) -> str:
    """`prod …9xYz`, as its owner knows it."""
    if key is None:
        return words.gettext("Key %(id)s", id=key_id)
    return f"{key.name or words.gettext('Without a name')} …{key.last_four}"


def name_time(words: Words, asked: Asked, step: Step, at: int, totals: Totals) -> Part:
    """A bar of the chart, or a row of a table by time."""
    begins, ends = _edges(words, asked.period, step, at)
    facts = {"period": "custom", "from": begins, "to": ends}
    return Part(
        name={"hour": words.hour_of_day, "day": words.day, "month": words.month}[step](at),
        totals=totals,
        here="" if step == "hour" else asked.link("/app/usage", **facts),
        requests=asked.link("/app/requests", **facts),
    )


def _edges(words: Words, period: Period, step: Step, at: int) -> tuple[str, str]:
    """The two ends as an address writes them."""
    if step == "hour":
        ends = min(at + HOUR_MS, period.until)
        return words.address_time(max(at, period.since)), words.address_time(ends)
    day = words.address_day(at)
    if step == "day":
        return day, day
    last = [one for one in period.days if words.address_day(one.since)[:7] == day[:7]][-1]
    return day, words.address_day(last.since)


# Bars -----------------------------------------------------------------------------------------


def _draw(visit: Visit, asked: Asked, by_time: Tally, named: Sequence[tuple[Any, Part]]) -> Bars:
    step, words = asked.period.step, visit.words
    colours = [part for _, part in named[:COLOURS_MAX]]
    place = {value: number for number, (value, _) in enumerate(named[:COLOURS_MAX])}
    if rest := [part.totals for _, part in named[COLOURS_MAX:]]:
        colours.append(Part(name=visit.gettext("Other"), totals=sum(rest, Totals())))
    begins = steps(asked.period, step)
    cells: dict[int, list[Totals | None]] = {at: [None] * len(colours) for at in begins}
    for (at, value), totals in by_time.items():
        row, number = cells[at], place.get(value, COLOURS_MAX)
        row[number] = (row[number] or Totals()) + totals
    return Bars(
        step=step,
        labels=[_label(words, step, at) for at in begins],
        times=[name_time(words, asked, step, at, _sum(cells[at])) for at in begins],
        colours=colours,
        cells=[cells[at] for at in begins],
    )


def _label(words: Words, step: Step, at: int) -> str:
    """Short, for an axis."""
    return {"hour": words.clock, "day": words.short_day, "month": words.month}[step](at)


def _sum(cells: Iterable[Totals | None]) -> Totals:
    return sum((cell for cell in cells if cell is not None), Totals())


def measured(totals: Totals, measure: Measure) -> int:
    """What the height of a bar stands for: nanos, tokens or requests."""
    if measure == "cost":
        return totals.charge_nanos
    if measure == "tokens":
        return totals.prompt_tokens + totals.completion_tokens
    return totals.requests


def bars_for_script(bars: Bars, measure: Measure, words: Words, currency: str) -> dict[str, Any]:
    """What the chart is drawn from. Amounts are decimal texts: heights, not sums."""
    write = format_short if measure == "cost" else str
    return {
        "language": words.language,
        "currency": currency if measure == "cost" else None,
        "labels": bars.labels,
        "links": [part.requests for part in bars.times],
        "series": [
            {
                "name": colour.name,
                "values": [
                    None if (totals := row[number]) is None else write(measured(totals, measure))
                    for row in bars.cells
                ],
            }
            for number, colour in enumerate(bars.colours)
        ],
    }
