"""The price book as a table for a spreadsheet: CSV out, CSV in, the same rows both ways.

Pure. A spreadsheet runs a cell that begins like a formula, so such a text is written with an
apostrophe before it, and read without.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from msgspec import Struct

from altyn.catalog.price import TOKEN_KINDS, Price, PriceDecimals, TierDecimals, decimals
from altyn.errors import OperatorError

FEES = ("request", "web_search")
WRITE_ON_TOP = "cache_write_on_top"
NAMES = ("model", "kind", "group", "provider", "from", "currency")
COLUMNS = (*NAMES, *TOKEN_KINDS, *FEES, WRITE_ON_TOP, "tiers", "source")
NONE = "none"
"""Stands in `input` of a row that ends a price."""

FORMULA = re.compile(r"['=+\-@\t\r\n]")
TIER = re.compile(r"(>=?)\s*([0-9]{1,9})((?:\s+[a-z0-9_]+=\S+)+)")
KINDS = ("cost", "sell")
T = TypeVar("T")


class SheetRow(Struct, frozen=True, kw_only=True):
    """One line of the table; `price` None ends a price, `since` '' begins now."""

    line: int
    model: str
    kind: str
    group: str | None
    provider: str | None
    since: str
    currency: str
    price: Price | None
    source: str | None


# Out ------------------------------------------------------------------------------------------


def write_sheet(rows: Sequence[SheetRow]) -> str:
    """The table as CSV in UTF-8, with a comma between cells."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_tame(cell) for cell in _cells(row)])
    return out.getvalue()


def _cells(row: SheetRow) -> list[str]:
    names = [row.model, row.kind, row.group or "", row.provider or "", row.since, row.currency]
    if row.price is None:
        figures = [NONE, *[""] * (len(TOKEN_KINDS) + len(FEES))]
        return [*names, *figures, "", row.source or ""]
    said = decimals(row.price)
    return [
        *names,
        *(said.get(kind, "") for kind in (*TOKEN_KINDS, *FEES)),
        "yes" if row.price.cache_write_on_top else "",
        "; ".join(write_tier(tier) for tier in said.get("tiers", ())),
        row.source or "",
    ]


def write_tier(tier: Mapping[str, Any]) -> str:
    """A tier as people type it: `>200000 input=6 output=22.5`; `>=` where it is not strict."""
    mark = ">" if tier.get("strict", True) else ">="
    kinds = " ".join(f"{kind}={tier[kind]}" for kind in TOKEN_KINDS if kind in tier)
    return f"{mark}{tier['above_input_tokens']} {kinds}"


def _tame(text: str) -> str:
    return f"'{text}" if FORMULA.match(text) else text


# In -------------------------------------------------------------------------------------------


def read_sheet(text: str) -> list[SheetRow]:
    """Read what `write_sheet` wrote and a spreadsheet may have saved again.

    A semicolon between cells and a decimal comma are understood, as some languages have them.
    Raise `OperatorError` naming the line and the column of the first mistake.
    """
    text = text.removeprefix("\ufeff")
    semicolons = text.partition("\n")[0].count(";") > text.partition("\n")[0].count(",")
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=";" if semicolons else ",", strict=True
    )
    try:
        return list(_read_lines(reader, semicolons=semicolons))
    except csv.Error as error:
        raise OperatorError(f"Line {reader.line_num}: this is not CSV ({error}).") from None


def _read_lines(reader: Any, *, semicolons: bool) -> Iterator[SheetRow]:
    columns: list[str] | None = None
    begin = 1
    for cells in reader:
        line, begin = begin, reader.line_num + 1
        if not any(cell.strip() for cell in cells):
            continue
        if columns is None:
            columns = _read_head(cells, line)
            continue
        if len(cells) > len(columns):
            raise OperatorError(f"Line {line}: it has {len(cells)} cells, the head {len(columns)}.")
        said = dict(zip(columns, (_untame(cell.strip()) for cell in cells), strict=False))
        yield _read_row(_Cells(line, said, comma=semicolons))
    if columns is None:
        raise OperatorError("Line 1: the names of the columns are missing.")


def _read_head(cells: Sequence[str], line: int) -> list[str]:
    columns = [cell.strip() for cell in cells]
    for name in columns:
        if name not in COLUMNS:
            raise OperatorError(f"Line {line}: there is no column '{name}'.")
        if columns.count(name) > 1:
            raise OperatorError(f"Line {line}: the column '{name}' is there twice.")
    for name in ("model", "kind", "input", "output"):
        if name not in columns:
            raise OperatorError(f"Line {line}: the column '{name}' is missing.")
    return columns


def _untame(text: str) -> str:
    return text[1:] if text.startswith("'") and FORMULA.match(text[1:]) else text


class _Cells(Struct, frozen=True):
    """The cells of one line by their columns."""

    line: int
    said: Mapping[str, str]
    comma: bool

    def text(self, column: str) -> str:
        return self.said.get(column, "")

    def amount(self, column: str) -> str:
        text = self.text(column)
        return text.replace(",", ".") if self.comma else text

    def read(self, column: str, read: Callable[[str], T]) -> T:
        """Raise what `read` raises as a mistake of this line and column."""
        try:
            return read(self.text(column))
        except OperatorError as error:
            raise self.wrong(column, str(error)) from None

    def wrong(self, column: str, sentence: str) -> OperatorError:
        return OperatorError(f"Line {self.line}, column '{column}': {sentence}")


def _read_row(cells: _Cells) -> SheetRow:
    for name in ("model", "kind", "input"):
        if not cells.text(name):
            raise cells.wrong(name, "it is empty.")
    if cells.text("kind") not in KINDS:
        raise cells.wrong("kind", f"expected one of {', '.join(KINDS)}.")
    return SheetRow(
        line=cells.line,
        model=cells.text("model"),
        kind=cells.text("kind"),
        group=cells.text("group") or None,
        provider=cells.text("provider") or None,
        since=cells.text("from"),
        currency=cells.text("currency"),
        price=None if cells.text("input") == NONE else _read_price(cells),
        source=cells.text("source") or None,
    )


def _read_price(cells: _Cells) -> Price:
    if not cells.text("output"):
        raise cells.wrong("output", "it is empty.")
    on_top = cells.text(WRITE_ON_TOP)
    if on_top not in ("", "yes", "no"):
        raise cells.wrong(WRITE_ON_TOP, "expected yes, no or nothing.")
    # Each amount on its own first, so that the mistake is told by its column.
    for kind in (*TOKEN_KINDS, *FEES):
        if amount := cells.amount(kind):
            _check_amount(cells, kind, amount)
    tiers = cells.read("tiers", read_tiers)
    said = {kind: amount for kind in (*TOKEN_KINDS, *FEES) if (amount := cells.amount(kind))}
    price = PriceDecimals(**said, cache_write_on_top=on_top == "yes", tiers=tiers)
    return cells.read("tiers", lambda _: Price.from_per_million_decimals(price))


def _check_amount(cells: _Cells, kind: str, amount: str) -> None:
    try:
        Price.from_per_million_decimals(PriceDecimals(input=amount, output="0"))
    except OperatorError as error:
        raise cells.wrong(kind, str(error)) from None


def read_tiers(text: str) -> tuple[TierDecimals, ...]:
    """Read tiers with a semicolon between them. Raise `OperatorError`."""
    return tuple(read_tier(part.strip()) for part in text.split(";") if part.strip())


def read_tier(text: str) -> TierDecimals:
    """Read what `write_tier` wrote. Raise `OperatorError`."""
    found = TIER.fullmatch(text.strip())
    if found is None:
        raise OperatorError(f"'{text}' is not a tier: write '>200000 input=6 output=22.5'.")
    mark, tokens, rest = found.groups()
    pairs = [part.split("=", 1) for part in rest.split()]
    said = dict(pairs)
    unknown = [kind for kind in said if kind not in TOKEN_KINDS]
    if (
        unknown
        or len(said) < len(pairs)
        or not {"input", "output"} <= said.keys()
        or not int(tokens)
    ):
        raise OperatorError(
            f"'{text}' is not a tier: it needs input and output, and may have"
            f" {', '.join(kind for kind in TOKEN_KINDS if kind not in ('input', 'output'))}."
        )
    return TierDecimals(above_input_tokens=int(tokens), strict=mark == ">", **said)
