"""`altyn price` and `altyn markup`: what models cost us, and what customers pay."""

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

from altyn.cli.terminal import answers, ask, print_json, read_text, show, show_table

P = ParamSpec("P")
R = TypeVar("R")

name_of_model = click.argument("model")
KINDS = (
    "input",
    "output",
    "cached-read",
    "cache-write-5m",
    "cache-write-1h",
    "audio-input",
    "reasoning",
    "image",
)
FEES = ("request", "web-search")


even_below_cost = click.option(
    "--allow-loss",
    "--below-cost",
    "below_cost",
    is_flag=True,
    help="Yes, sell for less than it costs us.",
)


def dated(command: Callable[P, R]) -> Callable[P, R]:
    """Give a command the options of everything that changes what customers pay."""
    for option in reversed(
        (
            click.option(
                "--from",
                "since",
                metavar="DATE",
                help="From this date or RFC 3339 time on; now if not given.",
            ),
            click.option("--group", help="Only for accounts of this group."),
            click.option(
                "--dry-run", is_flag=True, help="Show what it changes, and write nothing."
            ),
            even_below_cost,
        )
    ):
        command = option(command)
    return answers(command)


def priced(command: Callable[P, R]) -> Callable[P, R]:
    """Give a command an option for every kind of token and every fee."""
    for fee in reversed(FEES):
        command = click.option(f"--{fee}", metavar="AMOUNT", help="For one.")(command)
    for kind in reversed(KINDS):
        option = click.option(
            f"--{kind}",
            metavar="AMOUNT",
            required=kind in ("input", "output"),
            help="Per million tokens.",
        )
        command = option(command)
    return command


def costs_too(command: Callable[P, R]) -> Callable[P, R]:
    """Give a command the options that tell a cost from a price."""
    at_provider = click.option("--provider", help="With --cost: what it costs us there alone.")
    is_cost = click.option(
        "--cost", is_flag=True, help="This is what it costs us, not what customers pay."
    )
    return is_cost(at_provider(command))


# Prices ---------------------------------------------------------------------------------------


@click.group()
def price() -> None:
    """Prices of models."""


@price.command("set")
@name_of_model
@priced
@click.option(
    "--tier",
    "tiers",
    multiple=True,
    metavar="TIER",
    help="For long prompts, such as '>200000 input=6 output=22.5'; >= counts the boundary in.",
)
@click.option(
    "--cache-write-on-top",
    is_flag=True,
    help="Tokens written to a cache are billed beside the same tokens as read.",
)
@costs_too
@dated
def set_price(
    *,
    model: str,
    tiers: tuple[str, ...],
    cache_write_on_top: bool,
    cost: bool,
    provider: str | None,
    since: str | None,
    group: str | None,
    dry_run: bool,
    below_cost: bool,
    home: Path | None,
    as_json: bool,
    **amounts: str | None,
) -> None:
    """Set what customers pay for a model, from a moment on. The old price stays in the books."""
    card = ask(
        home,
        "price.set",
        model=model,
        prices={
            **{kind: amount for kind, amount in amounts.items() if amount is not None},
            "cache_write_on_top": cache_write_on_top,
        },
        tiers=tiers,
        kind="cost" if cost else "sell",
        provider=provider,
        group=group,
        since=since,
        below_cost=below_cost,
        dry_run=dry_run,
        by=who(),
    )
    verb = "costs us" if cost else "is sold for"
    pair = f"{card['prices']['input']} and {card['prices']['output']} {card['currency']}"
    show_change(
        card,
        f"{model} {verb} {pair} per million tokens in and out, from {card['effective_from']}.",
        as_json=as_json,
        dry_run=dry_run,
    )


@price.command("end")
@name_of_model
@costs_too
@dated
def end_price(
    *,
    model: str,
    cost: bool,
    provider: str | None,
    since: str | None,
    group: str | None,
    dry_run: bool,
    below_cost: bool,
    home: Path | None,
    as_json: bool,
) -> None:
    """End a fixed price: from then on cost and markup decide again."""
    card = ask(
        home,
        "price.end",
        model=model,
        kind="cost" if cost else "sell",
        provider=provider,
        group=group,
        since=since,
        below_cost=below_cost,
        dry_run=dry_run,
        by=who(),
    )
    what = "cost" if cost else "fixed price"
    show_change(
        card,
        f"This {what} of {model} ends at {card['effective_from']}.",
        as_json=as_json,
        dry_run=dry_run,
    )


@price.command("list")
@click.option("--model", help="Only of this model.")
@answers
def list_prices(*, model: str | None, home: Path | None, as_json: bool) -> None:
    """Show every price there ever was."""
    show_cards(ask(home, "price.list", model=model), as_json=as_json)


@price.command("history")
@name_of_model
@answers
def show_history(*, model: str, home: Path | None, as_json: bool) -> None:
    """Show every price and markup of a model: from when, until now or not, and who wrote it."""
    show_cards(ask(home, "price.history", model=model), as_json=as_json)


@price.command("export")
@click.argument("file", type=click.Path(path_type=Path))
@answers
def export_prices(*, file: Path, home: Path | None, as_json: bool) -> None:
    """Write every price that is in force or to come into a CSV file."""
    sheet = ask(home, "price.export")
    file.write_text(sheet.pop("text"), encoding="utf-8", newline="")
    show(sheet, f"{file} holds {sheet['rows']} prices.", as_json=as_json)


@price.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--apply", is_flag=True, help="Write it; without this only show what it would do.")
@even_below_cost
@answers
def import_prices(
    *, file: Path, apply: bool, below_cost: bool, home: Path | None, as_json: bool
) -> None:
    """Show what the prices of a CSV file would change, and write them with --apply."""
    done = ask(
        home, "price.import", text=read_text(file), apply=apply, below_cost=below_cost, by=who()
    )
    if as_json:
        print_json(done)
        return
    for line in done["added"]:
        print(f"+ {line}")
    verb = "are written" if done["applied"] else "would be new"
    print(f"{done['lines']} lines: {len(done['added'])} {verb}, {done['same']} stand already.")
    show_figures(done)
    if not done["applied"]:
        print("Nothing is written: repeat it with --apply.")


# Markups --------------------------------------------------------------------------------------


@click.group()
def markup() -> None:
    """What is put on top of cost."""


# A markup may be -5, which must not be taken for an option.
@markup.command("set", context_settings={"ignore_unknown_options": True})
@click.argument("percent")
@click.option("--model", help="Only on this model.")
@dated
def set_markup(
    *,
    percent: str,
    model: str | None,
    since: str | None,
    group: str | None,
    dry_run: bool,
    below_cost: bool,
    home: Path | None,
    as_json: bool,
) -> None:
    """Sell every model without a fixed price at its cost plus this."""
    done = ask(
        home,
        "markup.set",
        percent=percent,
        model=model,
        group=group,
        since=since,
        below_cost=below_cost,
        dry_run=dry_run,
        by=who(),
    )
    show_change(
        done,
        f"{model or 'Models'} {'is' if model else 'are'} sold{_whom(group)} at cost plus"
        f" {done['percent']} % from {done['effective_from']}.",
        as_json=as_json,
        dry_run=dry_run,
    )


@markup.command("end")
@click.option("--model", help="The one on this model.")
@dated
def end_markup(
    *,
    model: str | None,
    since: str | None,
    group: str | None,
    dry_run: bool,
    below_cost: bool,
    home: Path | None,
    as_json: bool,
) -> None:
    """End a markup: from then on the next wider one decides, or the cost alone."""
    done = ask(
        home,
        "markup.set",
        percent=None,
        model=model,
        group=group,
        since=since,
        below_cost=below_cost,
        dry_run=dry_run,
        by=who(),
    )
    show_change(
        done,
        f"This markup on {model or 'models'}{_whom(group)} ends at {done['effective_from']}.",
        as_json=as_json,
        dry_run=dry_run,
    )


def _whom(group: str | None) -> str:
    return f" to the group {group}" if group else ""


# Printing -------------------------------------------------------------------------------------


def who() -> str:
    """Who gives this command, as the books will say."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"  # a container may run as a number without a name


def show_change(done: Any, sentence: str, *, as_json: bool, dry_run: bool) -> None:
    """Print what a deed has changed, or in a dry run would change."""
    show(done, f"Nothing is written. {sentence}" if dry_run else sentence, as_json=as_json)
    if not as_json:
        show_figures(done)


def show_figures(done: Any) -> None:
    """Print what customers pay from now on, figure by figure, and what is sold below cost."""
    if done["changes"]:
        columns = ("model", "group", "effective_from", "kind", "old", "new", "percent", "cost")
        for change in done["changes"]:
            change["margin"] = _percent(change["margin_percent"])
            change["percent"] = _percent(change["percent"])
            if change["from_tokens"]:
                change["kind"] += f" from {change['from_tokens']} tokens"
        show_table(done["changes"], (*columns, "margin"), as_json=False, empty="")
        models = {change["model"] for change in done["changes"]}
        print(f"Models whose price changes: {len(models)}.")
    else:
        print("What customers pay does not change.")
    for loss in done["losses"]:
        place = f" at {loss['provider']}" if loss["provider"] else ""
        print(
            f"Below cost{place}: {loss['model']}{_whom(loss['group'])} from"
            f" {loss['effective_from']}."
        )


def _percent(text: str | None) -> str | None:
    return None if text is None else f"{text} %"


def show_cards(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json(rows)
        return
    for row in rows:
        said = row["prices"] or {}
        row["input"], row["output"] = said.get("input"), said.get("output")
        if row["prices"] is None:
            row["input"] = _percent(row["percent"]) or "ends"
        row["also"] = ", ".join(
            f"{kind} {_short(amount)}"
            for kind, amount in said.items()
            if kind not in ("input", "output")
        )
    columns = ("id", "model", "kind", "group", "provider", "effective_from", "state", "input")
    more = ("output", "also", "source", "written_by", "written_at")
    show_table(
        rows,
        (*columns, *more),
        as_json=False,
        empty="There is no price yet: 'altyn price set MODEL --input … --output …'.",
    )


def _short(amount: Any) -> str:
    if isinstance(amount, list):
        return f"from {len(amount)} lengths on"
    return "yes" if amount is True else str(amount)
