"""What all commands share: the home, the question, and how an answer is printed."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click
import msgspec

from altyn.control.ask import ask as ask_in
from altyn.errors import OperatorError
from altyn.settings import Settings, read_settings

P = ParamSpec("P")
R = TypeVar("R")

at_home = click.option(
    "--home",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The data directory; ALTYN_HOME, or ./var, if not given.",
)
as_json_too = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def answers(command: Callable[P, R]) -> Callable[P, R]:
    """Give a command that prints data its two options: where, and in which form."""
    return at_home(as_json_too(command))


def settings_of(home: Path | None, **options: object) -> Settings:
    """The settings, options first. Options that are None were not given."""
    overrides = {name: str(value) for name, value in options.items() if value is not None}
    return read_settings(os.environ, home=home, overrides=overrides)


def ask(home: Path | None, deed: str, **arguments: Any) -> Any:
    """Have a deed done, in the store or by the server that has it."""
    return ask_in(settings_of(home), deed, **arguments)


def read_secret(what: str) -> str:
    """One line from standard input, without an echo at a terminal."""
    if sys.stdin.isatty():
        import getpass  # noqa: PLC0415 -- only at a terminal

        text = getpass.getpass(f"{what}: ")
    else:
        text = sys.stdin.readline()
    text = text.rstrip("\r\n")
    if not text:
        raise OperatorError(f"No {what} came on standard input.")
    return text


def fail(sentence: str) -> None:
    """Say in one sentence what is wrong, and exit with 1."""
    print(sentence, file=sys.stderr)
    sys.exit(1)


def read_text(file: Path) -> str:
    """A file's text as it stands. Raises `OperatorError` if it is none."""
    try:
        return file.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise OperatorError(f"{file} is not a text in UTF-8.") from None


# Printing -------------------------------------------------------------------------------------


def print_json(value: Any) -> None:
    print(msgspec.json.format(msgspec.json.encode(value)).decode())


def show(value: Any, sentence: str, *, as_json: bool) -> None:
    """Print an answer as JSON, or the sentence that says it."""
    if as_json:
        print_json(value)
    else:
        print(sentence)


def show_table(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool, empty: str
) -> None:
    """Print rows as JSON with all they hold, or some of their columns as a table."""
    if as_json:
        print_json(rows)
    elif not rows:
        print(empty)
    else:
        for line in lay_out([columns, *([_cell(row[name]) for name in columns] for row in rows)]):
            print(line)


def lay_out(rows: Sequence[Sequence[str]]) -> list[str]:
    """Pad the cells of each column to one width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return str(value)
