"""`altyn route`: which provider serves which model."""

from pathlib import Path

import click

from altyn.cli.condition import CONDITION, in_words
from altyn.cli.terminal import answers, ask, print_json, show, show_table


@click.group()
def route() -> None:
    """Which provider serves which model."""


@route.command("add")
@click.argument("model")
@click.argument("provider")
@click.option("--upstream-model", metavar="NAME", help="The provider's name for it, if another.")
@click.option(
    "--priority", type=click.IntRange(min=0), default=100, help="Lower is asked first; 100."
)
@click.option("--weight", type=click.IntRange(min=1), default=1, help="Share among equals; 1.")
@click.option("--dialect", help="The format to ask for it in, if not the provider's.")
@answers
def add_route(
    *,
    model: str,
    provider: str,
    upstream_model: str | None,
    priority: int,
    weight: int,
    dialect: str | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """Let a provider serve a model."""
    card = ask(
        home,
        "route.add",
        model=model,
        provider=provider,
        upstream_model=upstream_model,
        priority=priority,
        weight=weight,
        dialect=dialect,
    )
    show(card, f"{provider} serves {model} as {card['upstream_model']}.", as_json=as_json)


@route.command("list")
@click.option("--model", help="Only of this model.")
@answers
def list_routes(*, model: str | None, home: Path | None, as_json: bool) -> None:
    """Show who serves what, first choice first."""
    cards = ask(home, "route.list", model=model)
    if as_json:
        print_json(cards)
        return
    columns = ("model", "provider", "upstream_model", "dialect", "priority", "weight", "strategy")
    show_table(
        [{**card, **in_words(card["now"])} for card in cards],
        (*columns, *CONDITION),
        as_json=False,
        empty="There is no route yet: 'altyn route add MODEL PROVIDER'.",
    )


@route.command("strategy")
@click.argument("model")
@click.argument("strategy", type=click.Choice(("priority", "price", "latency", "default")))
@answers
def choose_strategy(*, model: str, strategy: str, home: Path | None, as_json: bool) -> None:
    """Choose which route of a model is asked first: by priority, the cheapest, the quickest."""
    chosen = ask(home, "route.strategy", model=model, strategy=strategy)
    show(chosen, f"The routes of {model} are chosen by {chosen['strategy']}.", as_json=as_json)


@route.command("remove")
@click.argument("model")
@click.argument("provider")
@answers
def remove_route(*, model: str, provider: str, home: Path | None, as_json: bool) -> None:
    """Let a provider serve a model no longer."""
    removed = ask(home, "route.remove", model=model, provider=provider)
    show(removed, f"{provider} serves {model} no longer.", as_json=as_json)
