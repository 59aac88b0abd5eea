"""The figures of a benchmark next to their aims, said plainly: met, or not met."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One figure. `met` is None where there is no aim."""

    subject: str
    what: str
    measured: float | str
    unit: str = ""
    aim: str = ""
    met: bool | None = None


def at_least(subject: str, what: str, measured: float, limit: float, unit: str) -> Row:
    return Row(subject, what, measured, unit, f">= {limit:,g}", measured >= limit)


def below(subject: str, what: str, measured: float, limit: float, unit: str) -> Row:
    return Row(subject, what, measured, unit, f"< {limit:,g}", measured < limit)


def exactly(subject: str, what: str, measured: float | str, wanted: float | str) -> Row:
    """What must hold whatever the speed: a miss fails the benchmark."""
    return Row(subject, what, measured, "", f"= {shown(wanted)}", measured == wanted)


def must_hold(row: Row) -> bool:
    return row.aim.startswith("=")


def shown(value: float | str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) or value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 1 else f"{value:.1f}"


def verdict(row: Row) -> str:
    return {True: "met", False: "NOT MET", None: ""}[row.met]


def as_text(rows: Sequence[Row], notes: Sequence[str]) -> str:
    head = ("on", "what", "measured", "unit", "aim", "")
    cells = [
        (row.subject, row.what, shown(row.measured), row.unit, row.aim, verdict(row))
        for row in rows
    ]
    widths = [max(len(line[at]) for line in [head, *cells]) for at in range(len(head))]
    lines = [aligned(line, widths) for line in [head, tuple("-" * width for width in widths)]]
    lines += [aligned(line, widths) for line in cells]
    return "\n".join([*lines, *(f"* {note}" for note in notes)])


def aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    """Figures stand to the right, words to the left."""
    cells = [
        text.rjust(width) if at == 2 else text.ljust(width)
        for at, (text, width) in enumerate(zip(line, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()
