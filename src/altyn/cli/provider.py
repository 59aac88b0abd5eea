"""`altyn provider`: who serves models."""

import getpass
import os
from pathlib import Path
from typing import Any

import click

from altyn.cli.condition import CONDITION, in_words
from altyn.cli.terminal import answers, ask, fail, print_json, read_secret, show, show_table
from altyn.errors import OperatorError

name_of_provider = click.argument("name")
parallel = click.option(
    "--parallel",
    type=click.IntRange(min=0),
    metavar="N",
    help="How many calls it takes at once; 0 is any number.",
)


@click.group()
def provider() -> None:
    """Who serves models."""


@provider.command("add")
@name_of_provider
@click.option("--dialect", help="The format it speaks; a known vendor needs none.")
@click.option("--base-url", metavar="URL", help="Where it is, such as https://host/v1.")
@click.option("--api-key-env", metavar="VAR", help="Take its key from this variable.")
@click.option("--api-key-stdin", is_flag=True, help="Read its key from standard input.")
@click.option("--proxy", metavar="URL", help="Go through http://[user:password@]host:port.")
@parallel
@answers
def add(
    *,
    name: str,
    dialect: str | None,
    base_url: str | None,
    api_key_env: str | None,
    api_key_stdin: bool,
    proxy: str | None,
    parallel: int | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """Add a provider. openrouter, openai, anthropic, gemini, xai … are known by name."""
    card = ask(
        home,
        "provider.add",
        name=name,
        dialect=dialect,
        base_url=base_url,
        secret=_secret(api_key_env, api_key_stdin=api_key_stdin),
        proxy=proxy,
        parallel=parallel,
    )
    served = f" and serves {card['routes']} models" if card["routes"] else ""
    nexts = [] if served else [f"'altyn route add MODEL {name}'"]
    nexts.append(f"'altyn provider test {name}'")
    caution = f" Note: {card['caution']}." if card["caution"] else ""
    show(card, f"{name} is added{served}.{caution} Next: {', '.join(nexts)}.", as_json=as_json)


@provider.command("set")
@name_of_provider
@click.option("--api-key-env", metavar="VAR", help="Take a new key from this variable.")
@click.option("--api-key-stdin", is_flag=True, help="Read a new key from standard input.")
@parallel
@answers
def change(
    *,
    name: str,
    api_key_env: str | None,
    api_key_stdin: bool,
    parallel: int | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """Replace a provider's key, or change how many calls it takes at once."""
    secret = _secret(api_key_env, api_key_stdin=api_key_stdin)
    card = ask(home, "provider.set", name=name, secret=secret, parallel=parallel)
    show(card, f"{name} is changed.", as_json=as_json)


@provider.command("drain")
@name_of_provider
@answers
def drain(*, name: str, home: Path | None, as_json: bool) -> None:
    """Give a provider no new calls; those it runs finish."""
    card = ask(home, "provider.drain", name=name)
    running = card["now"]["running"]
    show(card, f"{name} gets no new calls; {running} still run.", as_json=as_json)


@provider.command("resume")
@name_of_provider
@answers
def resume(*, name: str, home: Path | None, as_json: bool) -> None:
    """Give a provider calls again, and forget what went wrong with it."""
    card = ask(home, "provider.resume", name=name)
    show(card, f"{name} gets calls again.", as_json=as_json)


@provider.command("list")
@answers
def list_all(*, home: Path | None, as_json: bool) -> None:
    """Show all providers; their keys are never shown."""
    cards = ask(home, "provider.list")
    if as_json:
        print_json(cards)
        return
    show_table(
        [{**card, **in_words(card["now"])} for card in cards],
        ("name", "dialect", "base_url", "has_secret", "parallel", "routes", *CONDITION),
        as_json=False,
        empty="There is no provider yet: 'altyn provider add NAME'.",
    )


@provider.command("test")
@name_of_provider
@click.option("--model", help="A model of the catalog, or the provider's own name for one.")
@answers
def try_out(*, name: str, model: str | None, home: Path | None, as_json: bool) -> None:
    """Ask a provider for a few tokens, and say how it went."""
    trial = ask(home, "provider.test", name=name, model=model)
    if as_json:
        print_json(trial)
    elif trial["ok"]:
        print(_story(trial))
    if not trial["ok"]:
        fail(_fault(trial))


@provider.command("import")
@name_of_provider
@click.option("--model", "models", multiple=True, help="Take this model of the list too; repeat.")
@click.option("--apply", is_flag=True, help="Write it; without, it is only shown.")
@click.option(
    "--allow-loss", "below_cost", is_flag=True, help="Yes, sell for less than it costs us."
)
@answers
def import_list(
    *,
    name: str,
    models: tuple[str, ...],
    apply: bool,
    below_cost: bool,
    home: Path | None,
    as_json: bool,
) -> None:
    """Compare a host's own list with ours: routes and costs that differ, models that are gone."""
    comparison = ask(
        home,
        "provider.import",
        name=name,
        models=models,
        apply=apply,
        below_cost=below_cost,
        by=getpass.getuser(),
    )
    if as_json:
        print_json(comparison)
    else:
        print("\n".join(_comparison(comparison)))


@provider.command("remove")
@name_of_provider
@answers
def remove(*, name: str, home: Path | None, as_json: bool) -> None:
    """Remove a provider and all its routes."""
    removed = ask(home, "provider.remove", name=name)
    show(removed, f"{name} is removed, with {removed['routes_removed']} routes.", as_json=as_json)


SIGNS = {"model": "+ model", "route": "+ route", "cost": "~ cost", "gone": "- gone"}


def _comparison(comparison: dict[str, Any]) -> list[str]:
    name, differences = comparison["provider"], comparison["differences"]
    lines = [_difference(difference) for difference in differences]
    lines += [f"! {loss['model']} would be sold below its cost" for loss in comparison["losses"]]
    gone = sum(difference["what"] == "gone" for difference in differences)
    counts = f"{comparison['listed']} models listed, {comparison['unknown']} of them not ours"
    lines.append(f"{name}: {counts}, {len(differences)} differences. {comparison['note']}".strip())
    if gone:
        lines.append(f"What is gone keeps its route until 'altyn route remove MODEL {name}'.")
    if comparison["applied"]:
        lines.append("The rest is written.")
    elif len(differences) > gone:
        lines.append("Nothing is written: repeat it with --apply.")
    return lines


def _difference(difference: dict[str, Any]) -> str:
    line = f"{SIGNS[difference['what']]} {difference['model']}"
    if difference["upstream_model"] != difference["model"]:
        line += f" ({difference['upstream_model']})"
    if difference["what"] != "cost":
        return line
    before, after = difference["before"] or {}, difference["after"]
    kinds = [kind for kind in {**before, **after} if before.get(kind) != after.get(kind)]
    figures = [f"{kind} {before.get(kind, '-')} → {after.get(kind, '-')}" for kind in kinds]
    return f"{line}: {', '.join(figures)}"


def _secret(variable: str | None, *, api_key_stdin: bool) -> str | None:
    if variable and api_key_stdin:
        raise click.UsageError("Give --api-key-env or --api-key-stdin, not both.")
    if variable:
        return _read_key(variable)
    return read_secret("key").strip() if api_key_stdin else None


def _read_key(variable: str) -> str:
    secret = os.environ.get(variable, "").strip()
    if not secret:
        raise OperatorError(f"The variable {variable} is not set.")
    return secret


def _story(trial: dict[str, Any]) -> str:
    steps = (("connect", "connect_ms"), ("TLS", "tls_ms"), ("first event", "first_event_ms"))
    times = [f"{step} {trial[name]} ms" for step, name in steps if trial[name] is not None]
    tokens = (
        "no usage reported"
        if trial["prompt_tokens"] is None
        else f"{trial['prompt_tokens']} + {trial['completion_tokens']} tokens"
    )
    return (
        f"{trial['provider']} answers as {trial['upstream_model']}: {', '.join(times)},"
        f" all {trial['total_ms']} ms, {tokens}."
    )


def _fault(trial: dict[str, Any]) -> str:
    status = f" {trial['status']}" if trial["status"] else ""
    message = f": {trial['message']}" if trial["message"] else ""
    raw = f"\n{trial['raw']}" if trial["raw"] else ""
    return f"{trial['provider']} failed: {trial['fault']}{status}{message}.{raw}"
