"""The price book as a file: `altyn price export` and `altyn price import`."""

from typing import Any

from msgspec import Struct, structs

from altyn.catalog.load import list_prices, load_catalog, read_moment
from altyn.catalog.pricebook import PriceBook, PriceRow, price_key, without_id
from altyn.catalog.sheet import SheetRow, read_sheet, write_sheet
from altyn.control.office import Office, iso
from altyn.control.price_cards import ChangeCard, LossCard
from altyn.control.prices import check_group, write_rows
from altyn.database.engine import now_ms
from altyn.errors import OperatorError
from altyn.money import format_short


class Sheet(Struct, kw_only=True):
    """The rows that are in force or to come, as CSV."""

    rows: int
    text: str


class Imported(Struct, kw_only=True):
    """What a table would write, or has written. `same`: lines that stand in the book already."""

    applied: bool
    lines: int
    same: int
    added: list[str]
    changes: list[ChangeCard]
    losses: list[LossCard]


async def export_sheet(office: Office) -> Sheet:
    """Every price that is in force or still to come, as a table that can be imported again."""
    rows = _standing(await list_prices(office.database), now_ms())
    lines = [_sheet_row(office, row) for row in rows]
    return Sheet(rows=len(lines), text=write_sheet(lines))


async def import_sheet(
    office: Office,
    *,
    text: str,
    apply: bool = False,
    below_cost: bool = False,
    by: str | None = None,
) -> Imported:
    """Write what a table says and the book does not; without `apply` only say what that would do.

    A line that the book holds already changes nothing. A line with other figures whose day has
    passed begins now: the past stays as it was. What is not in the table is left alone. All lines
    are written, or none. Raises `OperatorError` naming the line.
    """
    now = now_ms()
    catalog = await load_catalog(office.database)
    known = {model_id for (model_id,) in await office.database.read("SELECT id FROM models")}
    providers = {name for (name,) in await office.database.read("SELECT name FROM providers")}
    lines = read_sheet(text)
    for line in lines:
        _check_line(line, office.settings.currency, known, providers)
    rows = _new_rows(lines, catalog.prices, now, by)
    written = await write_rows(office, prices=rows, dry_run=not apply, below_cost=below_cost)
    return Imported(
        applied=written.applied,
        lines=len(lines),
        same=len(lines) - len(rows),
        added=[_told(row) for row in rows],
        changes=written.changes,
        losses=written.losses,
    )


def _standing(rows: list[PriceRow], now: int) -> list[PriceRow]:
    """Of each price the row in force, unless it says that there is none, and those to come."""
    in_force = {price_key(row): row for row in rows if row.effective_from <= now}
    coming = [row for row in rows if row.effective_from > now]
    chosen = [*(row for row in in_force.values() if row.price is not None), *coming]
    return sorted(chosen, key=lambda row: (row.model_id, row.kind, row.effective_from, row.id))


def _sheet_row(office: Office, row: PriceRow) -> SheetRow:
    return SheetRow(
        line=0,
        model=row.model_id,
        kind=row.kind,
        group=row.price_group,
        provider=row.provider,
        since=iso(row.effective_from),
        currency=office.settings.currency,
        price=row.price,
        source=row.source,
    )


def _check_line(line: SheetRow, currency: str, known: set[str], providers: set[str]) -> None:
    where = f"Line {line.line}"
    if line.model not in known:
        raise OperatorError(f"{where}: there is no model {line.model}.")
    if line.currency not in ("", currency):
        raise OperatorError(f"{where}: {line.currency} is not this place's currency, {currency}.")
    if line.group is not None:
        if line.kind == "cost":
            raise OperatorError(f"{where}: a cost does not depend on a group of accounts.")
        try:
            check_group(line.group)
        except OperatorError as error:
            raise OperatorError(f"{where}: {error}") from None
    if line.provider is not None:
        if line.kind == "sell":
            raise OperatorError(f"{where}: only a cost can differ by provider.")
        if line.provider not in providers:
            raise OperatorError(f"{where}: there is no provider {line.provider}.")


def _new_rows(lines: list[SheetRow], book: PriceBook, now: int, by: str | None) -> list[PriceRow]:
    """What the book does not say yet, in the order of the lines."""
    there = {without_id(row) for row in book.prices}
    rows: dict[Any, tuple[int, PriceRow]] = {}
    for line in lines:
        row = _row(line, book, now, by)
        if without_id(row) in there or _says_what_is(row, book, now):
            continue
        other, _ = rows.setdefault((price_key(row), row.effective_from), (line.line, row))
        if other != line.line:
            raise OperatorError(
                f"Line {line.line}: line {other} sets the same price from the same moment."
            )
    return [row for _, row in rows.values()]


def _row(line: SheetRow, book: PriceBook, now: int, by: str | None) -> PriceRow:
    row = PriceRow(
        id=0,
        model_id=line.model,
        kind="cost" if line.kind == "cost" else "sell",
        price_group=line.group,
        effective_from=now,
        price=line.price,
        source=line.source,
        provider=line.provider,
        written_by=by,
    )
    return row if not line.since else _from(line, row, book, now)


def _from(line: SheetRow, row: PriceRow, book: PriceBook, now: int) -> PriceRow:
    """The row from its day on. Other figures for the price in force begin now."""
    try:
        moment = read_moment(line.since)
    except OperatorError as error:
        raise OperatorError(f"Line {line.line}, column 'from': {error}") from None
    dated = structs.replace(row, effective_from=moment)
    if moment >= now or any(without_id(each) == without_id(dated) for each in book.prices):
        return dated
    in_force = book.find_row(price_key(row), now)
    if in_force is None or in_force.effective_from != moment:
        raise OperatorError(
            f"Line {line.line}, column 'from': {line.since} has passed, and is not when the price"
            " in force began: leave it empty to begin now."
        )
    return row


def _says_what_is(row: PriceRow, book: PriceBook, now: int) -> bool:
    """Whether a row that begins now would change nothing."""
    if row.effective_from != now:
        return False
    in_force = book.find_row(price_key(row), now)
    return row.price == (None if in_force is None else in_force.price)


def _told(row: PriceRow) -> str:
    """One row in one line."""
    whom = f" for the group {row.price_group}" if row.price_group else ""
    where = f" at {row.provider}" if row.provider else ""
    since = iso(row.effective_from)
    if row.price is None:
        return f"{row.model_id} {row.kind}{whom}{where} from {since}: ends"
    pair = f"input {format_short(row.price.input)}, output {format_short(row.price.output)}"
    return f"{row.model_id} {row.kind}{whom}{where} from {since}: {pair}"
