"""Fill the marked parts of the reference from the code, or check that they are filled.

    PYTHONPATH=src python docs/generate.py            # write
    PYTHONPATH=src python docs/generate.py --check    # exit 1 and name what is out of date

A marked part stands between `<!-- generated: name -->` and `<!-- end generated -->`. What stands
around it is written by people. `altyn.toml.example` is made as a whole.
"""
# ruff: noqa: INP001 -- a script beside the pages it fills

import difflib
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from altyn.api.metrics import _Counts
from altyn.api.openapi import ANSWERS, FILTERS
from altyn.api.routes import ROUTES
from altyn.catalog.model import Model, builtin_models
from altyn.cli import app
from altyn.error_texts import MESSAGES
from altyn.errors import AltynError
from altyn.gateway.meter import Meter
from altyn.gateway.refusals import list_api_errors
from altyn.setting_table import SETTINGS, SettingDoc
from altyn.settings import FILE
from altyn.upstream.router import Router

DOCS = Path(__file__).parent
ROOT = DOCS.parent
PART = re.compile(
    r"(?P<begin><!-- generated: (?P<name>[a-z-]+) -->\n).*?(?P<end><!-- end generated -->)",
    re.DOTALL,
)
WIDTH = 100


# Tables ---------------------------------------------------------------------------------------


def table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    """A Markdown table; a pipe inside a cell would end the cell."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


# Settings -------------------------------------------------------------------------------------


def settings() -> str:
    return table(
        ("Setting", "Environment", "Default", "Takes", "Is"),
        (
            (f"`{doc.name}`", f"`{doc.variable}`", _default(doc), doc.form.expected, doc.text)
            for doc in SETTINGS
        ),
    )


def _default(doc: SettingDoc) -> str:
    return "none" if doc.default is None else f"`{doc.default}`"


def settings_example() -> str:
    """`altyn.toml.example`: every setting with its default, all of it commented out."""
    head = (
        f"# Copy this file as {FILE} into the home (./var unless you chose another) and take the\n"
        "# '#' off what you change. A variable of the environment wins over this file, an option\n"
        "# of the command line over both. A name that is not a setting is an error. Braces only\n"
        "# show what a default is made of: write the whole value.\n"
    )
    return head + "".join(_example(doc) for doc in SETTINGS if doc.name != "home")


def _example(doc: SettingDoc) -> str:
    comment = textwrap.fill(
        f"{doc.text} Takes {doc.form.expected}.",
        width=WIDTH,
        initial_indent="# ",
        subsequent_indent="# ",
    )
    value = "..." if doc.default is None else doc.default
    written = value if value.isdigit() else f'"{value}"'
    return f"\n{comment}\n#{doc.name} = {written}\n"


# Errors ---------------------------------------------------------------------------------------


def errors() -> str:
    found = sorted(list_api_errors(), key=lambda error: (error.status, error.code))
    return table(
        ("Status", "Type", "Code", "Message"),
        (
            (str(error.status), f"`{error.type}`", f"[`{error.code}`](#{error.code})", _text(error))
            for error in found
        ),
    )


def _text(error: type[AltynError]) -> str:
    return MESSAGES[error.code]["en"]


# The API --------------------------------------------------------------------------------------


def routes() -> str:
    return table(
        ("Method", "Path", "Scope", "Answers with"),
        (
            (route.method, f"`{route.path}`", f"`{route.scope}`", ANSWERS[route.path][0])
            for route in ROUTES
        ),
    )


def usage_filters() -> str:
    return table(
        ("Parameter", "Takes", "Is"),
        ((f"`{name}`", _takes(schema), words) for name, schema, words in FILTERS),
    )


def _takes(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{word}`" for word in schema["enum"])
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None:
        return str(schema["type"])
    return f"{schema['type']}, {low} to {high}" if high else f"{schema['type']}, from {low}"


# Models ---------------------------------------------------------------------------------------


def models() -> str:
    return table(
        (
            "Model",
            "Context",
            "Output",
            "Input $",
            "Cached $",
            "Output $",
            "Reads",
            "Ends at its vendor",
            "At OpenRouter",
        ),
        (_model(model) for model in builtin_models()),
    )


def _model(model: Model) -> Sequence[str]:
    cost = model.cost
    listed = {True: "listed", False: "gone", None: "?"}[model.openrouter_listed]
    return (
        f"`{model.id}`",
        f"{model.context_length:,}",
        f"{model.max_output_tokens:,}",
        cost.input if cost else "none",
        (cost.cached_read if cost else None) or "as input",
        cost.output if cost else "none",
        ", ".join(model.input_modalities),
        model.retires_at.isoformat() if model.retires_at else "",
        listed if model.openrouter_model else "never",
    )


def model_tiers() -> str:
    return table(
        ("Model", "When the prompt has", "Input $", "Cached $", "Output $"),
        (
            (
                f"`{model.id}`",
                f"{'more than' if tier.strict else 'at least'} {tier.above_input_tokens:,} tokens",
                tier.input,
                tier.cached_read or "as input",
                tier.output,
            )
            for model in builtin_models()
            if model.cost
            for tier in model.cost.tiers
        ),
    )


def model_parameters() -> str:
    return table(
        ("Model", "Takes"),
        (
            (f"`{model.id}`", ", ".join(f"`{name}`" for name in model.supported_parameters))
            for model in builtin_models()
        ),
    )


# Metrics --------------------------------------------------------------------------------------


def metrics() -> str:
    return table(
        ("Metric", "Kind", "Labels", "Is"),
        (
            (
                f"`{_exposed(family)}`",
                family.type,
                ", ".join(f"`{label}`" for label in family._labelnames),  # noqa: SLF001 -- the only place where they stand
                family.documentation,
            )
            for family in list_metrics()
        ),
    )


def list_metrics() -> list[Any]:
    """The families of a server that has done nothing yet."""
    writer = SimpleNamespace(commits=0, moves=0)
    client = SimpleNamespace(router=Router())
    idle = SimpleNamespace(meter=Meter(), attempts=(), writer=writer, client=client, shelf=None)
    return list(_Counts(idle, 0).collect())  # type: ignore[arg-type]


def _exposed(family: Any) -> str:
    """The name as it stands in the text form."""
    return f"{family.name}_total" if family.type == "counter" else str(family.name)


# Commands -------------------------------------------------------------------------------------

EVERYWHERE = frozenset({"--home", "--json", "--help"})
"""Options of every command, told once at the top of the page."""


def commands() -> str:
    return "\n".join(_command(name, command) for name, command in list_commands()).rstrip() + "\n"


def list_commands() -> list[tuple[str, Any]]:
    """Every command by its words, as the command line itself knows it."""
    return list(_walk("altyn", app))


def _walk(words: str, command: Any) -> Iterator[tuple[str, Any]]:
    for name, below in getattr(command, "commands", {}).items():
        yield from _walk(f"{words} {name}", below)
    if not getattr(command, "commands", None):
        yield words, command


def _command(words: str, command: Any) -> str:
    names = "".join(
        f" {_metavar(param)}" for param in command.params if param.param_type_name == "argument"
    )
    options = [
        param
        for param in command.params
        if param.param_type_name == "option" and EVERYWHERE.isdisjoint(param.opts)
    ]
    lines = [f"## {words}\n", f"{command.help}\n", f"```text\n{words}{names} [options]\n```\n"]
    if options:
        rows = ((_option(param), _said(param)) for param in options)
        lines.append(table(("Option", "Is"), rows))
    return "\n".join(lines)


def _metavar(param: Any) -> str:
    if param.metavar:
        return str(param.metavar)
    choices = getattr(param.type, "choices", None)
    if choices:
        return "|".join(str(getattr(choice, "value", choice)) for choice in choices)
    return str(param.name).rstrip("_").upper()


def _option(param: Any) -> str:
    names = ", ".join((*param.opts, *param.secondary_opts))
    return f"`{names}`" if param.is_flag else f"`{names} {_metavar(param)}`"


def _said(param: Any) -> str:
    return f"{param.help or ''}{' Required.' if param.required else ''}".strip()


# Files ----------------------------------------------------------------------------------------

PARTS: dict[str, Callable[[], str]] = {
    "settings": settings,
    "errors": errors,
    "routes": routes,
    "usage-filters": usage_filters,
    "models": models,
    "model-tiers": model_tiers,
    "model-parameters": model_parameters,
    "metrics": metrics,
    "commands": commands,
}


def pages() -> Iterator[tuple[Path, str]]:
    """Every file that holds something generated, with the text it should have."""
    for path in sorted((DOCS / "reference").glob("*.md")):
        old = path.read_text(encoding="utf-8")
        new = PART.sub(
            lambda part: f"{part['begin']}{PARTS[part['name']]()}{part['end']}",
            old,
        )
        if PART.search(old):
            yield path, new
    yield ROOT / "altyn.toml.example", settings_example()


def out_of_date() -> list[str]:
    """For each file that does not say what the code says: how it differs."""
    found = []
    for path, new in pages():
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        if old != new:
            name = str(path.relative_to(ROOT))
            lines = difflib.unified_diff(old.splitlines(), new.splitlines(), name, name, n=0)
            found.append("\n".join(lines))
    return found


def main(arguments: Sequence[str]) -> int:
    if "--check" in arguments:
        found = out_of_date()
        for difference in found:
            sys.stderr.write(f"{difference}\n")
        if found:
            sys.stderr.write("Run 'PYTHONPATH=src python docs/generate.py'.\n")
        return 1 if found else 0
    for path, new in pages():
        path.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
