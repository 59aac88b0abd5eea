"""`altyn catalog`, `altyn price` and `altyn markup`: what is on sale, and for how much."""

from pathlib import Path
from typing import Any

import click

from altyn.cli.terminal import answers, ask, lay_out, print_json, show, show_table
from altyn.errors import OperatorError

name_of_model = click.argument("model")
from_when = click.option(
    "--from",
    "since",
    metavar="DATE",
    help="From this date or RFC 3339 time on; now if not given.",
)
even_below_cost = click.option(
    "--below-cost", is_flag=True, help="Yes, sell for less than it costs us."
)


# Models ---------------------------------------------------------------------------------------


@click.group()
def catalog() -> None:
    """Models on sale."""


@catalog.command("list")
@answers
def list_all(*, home: Path | None, as_json: bool) -> None:
    """Show all models; prices are what a customer pays per million tokens."""
    show_table(
        ask(home, "catalog.list"),
        ("id", "input", "output", "currency", "routes", "retires_at"),
        as_json=as_json,
        empty="There is no model yet: 'altyn catalog import FILE'.",
    )


@catalog.command("show")
@name_of_model
@answers
def show_model(*, model: str, home: Path | None, as_json: bool) -> None:
    """Show everything about one model."""
    story = ask(home, "catalog.show", model=model)
    if as_json:
        print_json(story)
    else:
        print("\n".join(lay_out(_story(story))))


@catalog.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@answers
def import_file(*, file: Path, home: Path | None, as_json: bool) -> None:
    """Add models from a file, or replace those that are there."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise OperatorError(f"{file} is not a text in UTF-8.") from None
    imported = ask(home, "catalog.import", text=text)
    left_out = imported["costs_left_out"]
    note = f" {left_out} costs are in another currency and were left out." if left_out else ""
    show(imported, f"{imported['models']} models are on sale.{note}", as_json=as_json)


def _story(story: dict[str, Any]) -> list[list[str]]:
    model, currency = story["model"], story["currency"]
    lines = [[name, str(model[name])] for name in ("id", "name", "context_length")]
    for what in ("price", "cost"):
        for kind, amount in (story[what] or {}).items():
            unit = f" {currency}" if isinstance(amount, str) else ""
            lines.append([f"{what}: {kind}", f"{amount}{unit}"])
    for route in story["routes"]:
        served = f"{route['upstream_model']}, priority {route['priority']}"
        lines.append([f"route: {route['provider']}", served])
    return lines


# Prices ---------------------------------------------------------------------------------------

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


@click.group()
def price() -> None:
    """Prices of models."""


def priced(command: Any) -> Any:
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


@price.command("set")
@name_of_model
@priced
@click.option("--cost", is_flag=True, help="This is what it costs us, not what customers pay.")
@from_when
@even_below_cost
@answers
def set_price(
    *,
    model: str,
    cost: bool,
    since: str | None,
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
        prices={kind: amount for kind, amount in amounts.items() if amount is not None},
        kind="cost" if cost else "sell",
        since=since,
        below_cost=below_cost,
    )
    verb = "costs us" if cost else "is sold for"
    pair = f"{card['prices']['input']} and {card['prices']['output']} {card['currency']}"
    show(
        card,
        f"{model} {verb} {pair} per million tokens in and out, from {card['effective_from']}.",
        as_json=as_json,
    )


@price.command("list")
@click.option("--model", help="Only of this model.")
@answers
def list_prices(*, model: str | None, home: Path | None, as_json: bool) -> None:
    """Show every price there ever was."""
    rows = ask(home, "price.list", model=model)
    if not as_json:
        for row in rows:
            row["input"], row["output"] = row["prices"]["input"], row["prices"]["output"]
    show_table(
        rows,
        ("id", "model", "kind", "effective_from", "input", "output", "currency", "source"),
        as_json=as_json,
        empty="There is no price yet: 'altyn price set MODEL --input … --output …'.",
    )


@click.group()
def markup() -> None:
    """What is put on top of cost."""


# A markup may be -5, which must not be taken for an option.
@markup.command("set", context_settings={"ignore_unknown_options": True})
@click.argument("percent")
@from_when
@even_below_cost
@answers
def set_markup(
    *, percent: str, since: str | None, below_cost: bool, home: Path | None, as_json: bool
) -> None:
    """Sell every model without a fixed price at its cost plus this."""
    done = ask(home, "markup.set", percent=percent, since=since, below_cost=below_cost)
    show(
        done,
        f"Models are sold at cost plus {done['percent']} % from {done['effective_from']}.",
        as_json=as_json,
    )
