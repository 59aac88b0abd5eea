"""Prices and markups: `altyn price …` and `altyn markup …`.

Every deed is rows for the price book. `write_rows` shows what they change and refuses to lose
money; nothing gets into the book by another way but with a new model's first cost.
"""

import asyncio
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any

from msgspec import structs

from altyn.catalog.load import (
    Catalog,
    add_price,
    list_markups,
    list_prices,
    load_catalog,
    read_moment,
    set_markup,
)
from altyn.catalog.preview import Change, Loss, find_changes, is_too_dear, new_losses
from altyn.catalog.price import Price, PriceDecimals
from altyn.catalog.pricebook import MarkupRow, PriceBook, PriceKind, PriceRow, price_key
from altyn.catalog.sheet import read_tier
from altyn.control.office import Office, iso
from altyn.control.price_cards import (
    OPERATOR,
    PriceCard,
    Written,
    change_card,
    format_percent,
    loss_card,
    markup_card,
    price_card,
    states,
)
from altyn.database.engine import Transaction, now_ms
from altyn.errors import OperatorError, UnknownNameError

PARTS_PER_PERCENT = 10_000
GROUP_LENGTH_MAX = 60


# Writing --------------------------------------------------------------------------------------


async def write_rows(
    office: Office,
    *,
    prices: Sequence[PriceRow] = (),
    markups: Sequence[MarkupRow] = (),
    dry_run: bool = False,
    below_cost: bool = False,
) -> Written:
    """Write rows into the price book, all or none, and say what customers pay from now on.

    Raises `UnknownNameError` for a model nobody knows, and `OperatorError` if something would be
    sold below cost that is not now, unless `below_cost` says that it is meant.
    """
    written = await look_ahead(
        office, prices=prices, markups=markups, dry_run=dry_run, below_cost=below_cost
    )
    if not dry_run:
        written.ids = await office.database.write(partial(_write, prices=prices, markups=markups))
    return written


async def look_ahead(
    office: Office,
    *,
    prices: Sequence[PriceRow] = (),
    markups: Sequence[MarkupRow] = (),
    dry_run: bool,
    below_cost: bool,
) -> Written:
    """What rows would change. Raises as `write_rows`, and writes nothing."""
    catalog = await load_catalog(office.database)
    before = catalog.prices
    after = before.with_rows(prices, markups)
    # In a thread: with many groups it takes a while, and calls go on meanwhile.
    too_dear, losses, changes = await asyncio.to_thread(
        _compare, before, after, served_by(catalog), now_ms()
    )
    if too_dear:
        raise OperatorError(
            "A price would be above 1000000 per million tokens: nothing is written."
        )
    if losses and not below_cost and not dry_run:
        raise OperatorError(_refusal(losses))
    return Written(
        applied=not dry_run,
        rows=len(prices) + len(markups),
        changes=[change_card(change) for change in changes],
        losses=[loss_card(loss) for loss in losses],
    )


def _compare(
    before: PriceBook, after: PriceBook, providers: dict[str, list[str]], now: int
) -> tuple[bool, list[Loss], list[Change]]:
    return (
        is_too_dear(after, now),
        new_losses(before, after, providers, now),
        find_changes(before, after, now),
    )


async def _write(
    tx: Transaction, *, prices: Sequence[PriceRow], markups: Sequence[MarkupRow]
) -> list[int]:
    ids = [
        await add_price(
            tx,
            model_id=row.model_id,
            kind=row.kind,
            price=row.price,
            price_group=row.price_group,
            effective_from=row.effective_from,
            source=row.source,
            provider=row.provider,
            written_by=row.written_by,
        )
        for row in prices
    ]
    for markup in markups:
        ids.append(  # noqa: PERF401 -- a second comprehension would hide the order
            await set_markup(
                tx,
                markup.parts_per_million,
                price_group=markup.price_group,
                model_id=markup.model_id,
                effective_from=markup.effective_from,
                written_by=markup.written_by,
            )
        )
    return ids


def served_by(catalog: Catalog) -> dict[str, list[str]]:
    """The providers that have a route for each model."""
    return {
        model: list(dict.fromkeys(route.provider for route in routes))
        for model, routes in catalog.routes.items()
    }


def _refusal(losses: Sequence[Loss]) -> str:
    first = losses[0]
    whom = f" to the group {first.price_group}" if first.price_group else ""
    where = f" at {first.provider}" if first.provider else ""
    more = f" (and {len(losses) - 1} more)" if len(losses) > 1 else ""
    return (
        f"{first.model_id} would be sold{whom} below its cost{where} from {iso(first.at_ms)}"
        f"{more}: if it is meant, repeat it with --allow-loss; --dry-run shows all of it."
    )


# Deeds ----------------------------------------------------------------------------------------


async def set_price(
    office: Office,
    *,
    model: str,
    prices: PriceDecimals,
    tiers: tuple[str, ...] = (),
    kind: PriceKind = "sell",
    group: str | None = None,
    provider: str | None = None,
    since: str | None = None,
    below_cost: bool = False,
    dry_run: bool = False,
    by: str | None = None,
) -> PriceCard:
    """Add a dated price: a fixed price for customers, or what the model costs us.

    `tiers` as people type them: see `sheet.write_tier`.

    Raises `UnknownNameError`, `InvalidAmountError`, and `OperatorError` for a date that has passed
    and for a loss that nobody confirmed.
    """
    if tiers:
        prices = structs.replace(prices, tiers=tuple(map(read_tier, tiers)))
    price = Price.from_per_million_decimals(prices)
    return await _put_price(
        office,
        model,
        price,
        kind,
        group,
        provider,
        since,
        below_cost=below_cost,
        dry_run=dry_run,
        by=by,
    )


async def end_price(
    office: Office,
    *,
    model: str,
    kind: PriceKind = "sell",
    group: str | None = None,
    provider: str | None = None,
    since: str | None = None,
    below_cost: bool = False,
    dry_run: bool = False,
    by: str | None = None,
) -> PriceCard:
    """End a fixed price, or a cost: from then on the next rule of the price book decides.

    Raises `UnknownNameError` if there is no such price, else as `set_price`.
    """
    key = (model, kind, group, provider)
    rows = await list_prices(office.database, model_id=model)
    if not any(price_key(row) == key and row.price is not None for row in rows):
        raise UnknownNameError(
            f"There is no such price of {model}: see 'altyn price history {model}'."
        )
    return await _put_price(
        office,
        model,
        None,
        kind,
        group,
        provider,
        since,
        below_cost=below_cost,
        dry_run=dry_run,
        by=by,
    )


async def _put_price(
    office: Office,
    model: str,
    price: Price | None,
    kind: PriceKind,
    group: str | None,
    provider: str | None,
    since: str | None,
    *,
    below_cost: bool,
    dry_run: bool,
    by: str | None,
) -> PriceCard:
    await _require_names(office, model, provider)
    if kind == "sell" and provider is not None:
        raise OperatorError("Only a cost can differ by provider: customers pay one price.")
    if kind == "cost" and group is not None:
        raise OperatorError("What a model costs us does not depend on a group of accounts.")
    row = PriceRow(
        id=0,
        model_id=model,
        kind=kind,
        price_group=_checked_group(group),
        effective_from=_begin(since),
        price=price,
        source=OPERATOR,
        provider=provider,
        written_by=by,
    )
    written = await write_rows(office, prices=[row], dry_run=dry_run, below_cost=below_cost)
    return await _card_of(office, row, written)


async def _card_of(office: Office, row: PriceRow, written: Written) -> PriceCard:
    if written.applied:
        rows = await list_prices(office.database, model_id=row.model_id)
        row = next(each for each in rows if each.id == written.ids[0])
    card = price_card(office, row, "" if written.applied else "preview")
    card.changes, card.losses = written.changes, written.losses
    return card


async def set_markup_percent(
    office: Office,
    *,
    percent: str | None,
    model: str | None = None,
    group: str | None = None,
    since: str | None = None,
    below_cost: bool = False,
    dry_run: bool = False,
    by: str | None = None,
) -> dict[str, Any]:
    """Sell what has no fixed price at cost plus so many per cent; None ends that rule.

    Raises `UnknownNameError`, and `OperatorError` for what is no percentage, a date that has passed
    and a loss that nobody confirmed.
    """
    parts = None if percent is None else _parts_per_million(percent)
    if model is not None:
        await _require_names(office, model, None)
    if parts is not None and parts < 0 and not (below_cost or dry_run):
        raise OperatorError(
            "A negative markup sells below cost: if it is meant, repeat it with --allow-loss."
        )
    row = MarkupRow(
        price_group=_checked_group(group),
        model_id=model,
        parts_per_million=parts,
        effective_from=_begin(since),
        written_by=by,
    )
    written = await write_rows(office, markups=[row], dry_run=dry_run, below_cost=below_cost)
    return {
        "percent": None if parts is None else format_percent(parts),
        "model": model,
        "group": group,
        "effective_from": iso(row.effective_from),
        "applied": written.applied,
        "changes": written.changes,
        "losses": written.losses,
    }


async def show_prices(office: Office, *, model: str | None = None) -> list[PriceCard]:
    """Every price there ever was, in the order in which they took effect."""
    rows = await list_prices(office.database, model_id=model)
    found = states(rows)
    return [price_card(office, row, found[row.id]) for row in rows]


async def show_history(office: Office, *, model: str) -> list[PriceCard]:
    """Every price of a model and every markup on it, in the order in which they took effect."""
    await _require_names(office, model, None)
    markups = [row for row in await list_markups(office.database) if row.model_id in (None, model)]
    found = states(markups)
    cards = await show_prices(office, model=model)
    cards += [markup_card(office, row, found[row.id]) for row in markups]
    return sorted(cards, key=lambda card: card.effective_from)


# Checks ---------------------------------------------------------------------------------------


async def _require_names(office: Office, model: str, provider: str | None) -> None:
    if not await office.database.read("SELECT 1 FROM models WHERE id = $1", model):
        raise UnknownNameError(f"There is no model {model}. 'altyn catalog list' shows all.")
    if provider is not None and not await office.database.read(
        "SELECT 1 FROM providers WHERE name = $1", provider
    ):
        raise UnknownNameError(f"There is no provider {provider}. 'altyn provider list' shows all.")


def _begin(since: str | None) -> int:
    """Prices begin now or later: calls that have been charged were charged by the books of then."""
    now = now_ms()
    if since is None:
        return now
    moment = read_moment(since)
    if moment < now:
        raise OperatorError(
            f"{iso(moment)} has passed, and the books of the past stay as they were:"
            " leave --from out to begin now."
        )
    return moment


def _checked_group(group: str | None) -> str | None:
    if group is not None:
        check_group(group)
    return group


def check_group(group: str) -> None:
    """Raises `OperatorError` for what cannot be the name of a group of accounts."""
    plain = group.replace("-", "").replace("_", "")
    if not plain.isalnum() or not plain.isascii() or len(group) > GROUP_LENGTH_MAX:
        raise OperatorError(
            f"'{group}' is not a name of a group: write letters, digits, '-' and '_', at most"
            f" {GROUP_LENGTH_MAX} of them."
        )


def _parts_per_million(percent: str) -> int:
    try:
        parts = Decimal(percent) * PARTS_PER_PERCENT
    except InvalidOperation:
        parts = Decimal("NaN")
    if not parts.is_finite() or parts != parts.to_integral_value() or abs(parts) > 10**10:
        raise OperatorError(
            f"'{percent}' is not a markup: write a percentage with at most 4 decimals."
        )
    return int(parts)
