"""Tables to take along: CSV as spreadsheets read it, sent while it is made."""

import asyncio
import csv
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from io import StringIO
from typing import Any

from starlette.responses import Response, StreamingResponse

from altyn.web.visit import Visit

Rows = AsyncIterator[Iterable[Sequence[Any]]]
"""The rows of a table, some hundreds at a time. None is an empty cell: nobody knows."""

SEPARATORS = {"ru": ";", "en": ","}
"""What Excel expects in each language; the decimal point is a point in both."""

BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
"""Without it Excel takes UTF-8 for something older."""

FORMULA = re.compile(r"[=+\-@\t\r]")
NUMBER = re.compile(r"-?\d+(\.\d+)?")


def send_table(visit: Visit, *, name: str, header: Sequence[str], rows: Rows) -> Response:
    """Answer with a file called *name*, row by row, whatever its length."""
    separator = SEPARATORS[visit.words.language]

    async def lines() -> AsyncIterator[str]:
        yield BOM + _lines([header], separator)
        async for some in rows:
            # In a thread: paid calls are served meanwhile.
            yield await asyncio.to_thread(_lines, some, separator)

    return StreamingResponse(
        lines(),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}.csv"'},
    )


def _lines(rows: Iterable[Sequence[Any]], separator: str) -> str:
    text = StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator="\r\n")
    writer.writerows([harmless(cell) for cell in row] for row in rows)
    return text.getvalue()


def harmless(cell: Any) -> Any:
    """A text that a spreadsheet would run as a formula, as the text it is."""
    if isinstance(cell, str) and FORMULA.match(cell) and not NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell
