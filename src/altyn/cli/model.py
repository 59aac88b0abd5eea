"""`altyn model`: how long a model is on sale, and who serves it then."""

from pathlib import Path
from typing import Any

import click

from altyn.cli.price import name_of_model, show_figures
from altyn.cli.terminal import answers, ask, show


@click.group()
def model() -> None:
    """The life of a model: replace, retire, hide, restore."""


@model.command("replace")
@click.argument("old")
@click.argument("new")
@answers
def replace(*, old: str, new: str, home: Path | None, as_json: bool) -> None:
    """Keep the old name on sale, served and priced as the new model, and say so to callers."""
    life = ask(home, "model.replace", model=old, successor=new)
    show(life, f"{old} stays on sale, served and priced as {new}.", as_json=as_json)
    if not as_json:
        show_figures({**life, "losses": []})


@model.command("retire")
@name_of_model
@click.option("--on", metavar="DATE", help="From this date or RFC 3339 time on; now if not given.")
@click.option("--replaced-by", metavar="MODEL", help="The model that callers are told to use.")
@answers
def retire(
    *, model: str, on: str | None, replaced_by: str | None, home: Path | None, as_json: bool
) -> None:
    """Serve a model to nobody from a day on; it stays listed, and callers are told."""
    life = ask(home, "model.retire", model=model, on=on, replaced_by=replaced_by)
    show(life, f"{model} is served until {life['retires_at']}.", as_json=as_json)


@model.command("hide")
@name_of_model
@answers
def hide(*, model: str, home: Path | None, as_json: bool) -> None:
    """Take a model off sale: it is not listed, and a call of it is 404."""
    life = ask(home, "model.hide", model=model)
    show(life, f"{model} is off sale.", as_json=as_json)


@model.command("restore")
@name_of_model
@answers
def restore(*, model: str, home: Path | None, as_json: bool) -> None:
    """Put a model back on sale, as its vendor says."""
    life: dict[str, Any] = ask(home, "model.restore", model=model)
    show(life, f"{model} is on sale, as its vendor says.", as_json=as_json)
