"""`altyn catalog`: what is on sale."""

from pathlib import Path
from typing import Any

import click

from altyn.cli.price import even_below_cost, show_figures, who
from altyn.cli.terminal import answers, ask, lay_out, print_json, read_text, show, show_table

name_of_model = click.argument("model")


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
@click.option("--dry-run", is_flag=True, help="Show what it changes, and write nothing.")
@even_below_cost
@answers
def import_file(
    *, file: Path, dry_run: bool, below_cost: bool, home: Path | None, as_json: bool
) -> None:
    """Add models from a file, or replace those that are there, and say what differs."""
    imported = ask(
        home,
        "catalog.import",
        text=read_text(file),
        dry_run=dry_run,
        below_cost=below_cost,
        by=who(),
    )
    if not as_json:
        for model in imported["added"]:
            print(f"+ {model}")
        for model, fields in imported["changed"].items():
            print(f"~ {model}: {', '.join(fields)}")
        show_figures(imported)
    left_out = imported["costs_left_out"]
    note = f" {left_out} costs are in another currency and were left out." if left_out else ""
    told = "would be on sale: nothing is written" if dry_run else "are on sale"
    show(imported, f"{imported['models']} models {told}.{note}", as_json=as_json)


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
