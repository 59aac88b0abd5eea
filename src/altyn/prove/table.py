"""What a proof found: a row for each kind of fault, and the table they make."""

import platform
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct, field, structs

from altyn import __version__

SHOWN_MAX = 10
"""Violations written out under a table; the others are only counted."""


class Row(Struct, kw_only=True):
    """One kind of fault: how often it was made to happen, and what was wrong afterwards."""

    fault: str
    database: str = ""
    rounds: int = 0
    violations: list[str] = field(default_factory=list)
    note: str = ""
    """A figure worth knowing, or why nothing was tried."""

    seconds: float = 0.0


class Report(Struct, kw_only=True):
    """A whole run, as `--json` prints it."""

    altyn: str = __version__
    python: str = platform.python_version()
    sqlite: str = sqlite3.sqlite_version
    postgresql: str | None = None
    machine: str = f"{platform.system()} {platform.release()}, {platform.machine()}"
    began_at: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    seconds: float = 0.0
    seed: int = 0
    rows: list[Row] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not any(row.violations for row in self.rows)


def add_up(reports: Sequence[Report]) -> Report:
    """Several runs as one: their rounds and violations together, row by row."""
    rows: dict[tuple[str, str], Row] = {}
    for report in reports:
        for row in report.rows:
            total = rows.setdefault(
                (row.fault, row.database), Row(fault=row.fault, database=row.database)
            )
            total.rounds += row.rounds
            total.seconds += row.seconds
            total.violations = [*total.violations, *row.violations]
            total.note = row.note or total.note
    return structs.replace(
        reports[0], rows=list(rows.values()), seconds=sum(one.seconds for one in reports)
    )


def read_report(document: bytes) -> Report:
    """What `plain` has written."""
    return msgspec.json.decode(document, type=Report)


def lay_out(report: Report) -> Iterable[str]:
    """The table as text, and what was wrong below it."""
    head = ("Fault", "Database", "Rounds", "Violations", "")
    cells = [_cells(row) for row in report.rows]
    widths = [max(len(line[column]) for line in [head, *cells]) for column in range(len(head))]
    for line in (head, (*("-" * width for width in widths[:4]), ""), *cells):
        yield "  ".join(_padded(line, widths)).rstrip()
    for row in report.rows:
        for sentence in row.violations[:SHOWN_MAX]:
            yield f"! {row.fault}: {sentence}"


def as_markdown(report: Report) -> str:
    """The table as a page of documentation holds it."""
    lines = ["| Fault | Database | Rounds | Violations | |", "| --- | --- | ---: | ---: | --- |"]
    lines += [f"| {' | '.join(_cells(row))} |" for row in report.rows]
    return "\n".join(lines) + "\n"


def _cells(row: Row) -> tuple[str, ...]:
    count = str(len(row.violations)) if row.rounds else "not tried"
    return (row.fault, row.database, f"{row.rounds:,}", count, row.note)


def _padded(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        cell.rjust(width) if column in (2, 3) else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]


def plain(report: Report) -> Any:
    """What `--json` prints."""
    return {"holds": report.holds, **structs.asdict(report)}
