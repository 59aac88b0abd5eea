"""`altyn provider` and `altyn route`: who serves models."""

import os
from pathlib import Path
from typing import Any

import click

from altyn.cli.terminal import answers, ask, fail, print_json, read_secret, show, show_table
from altyn.errors import OperatorError

name_of_provider = click.argument("name")


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
@answers
def add(
    *,
    name: str,
    dialect: str | None,
    base_url: str | None,
    api_key_env: str | None,
    api_key_stdin: bool,
    proxy: str | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """Add a provider. openrouter, openai, anthropic, gemini, xai … are known by name."""
    if api_key_env and api_key_stdin:
        raise click.UsageError("Give --api-key-env or --api-key-stdin, not both.")
    secret = _read_key(api_key_env) if api_key_env else None
    if api_key_stdin:
        secret = read_secret("key").strip()
    card = ask(
        home,
        "provider.add",
        name=name,
        dialect=dialect,
        base_url=base_url,
        secret=secret,
        proxy=proxy,
    )
    show(
        card,
        f"{name} is added. Next: 'altyn route add MODEL {name}', 'altyn provider test {name}'.",
        as_json=as_json,
    )


@provider.command("list")
@answers
def list_all(*, home: Path | None, as_json: bool) -> None:
    """Show all providers; their keys are never shown."""
    show_table(
        ask(home, "provider.list"),
        ("id", "name", "dialect", "base_url", "proxy", "has_secret", "routes"),
        as_json=as_json,
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


@provider.command("remove")
@name_of_provider
@answers
def remove(*, name: str, home: Path | None, as_json: bool) -> None:
    """Remove a provider and all its routes."""
    removed = ask(home, "provider.remove", name=name)
    show(removed, f"{name} is removed, with {removed['routes_removed']} routes.", as_json=as_json)


def _read_key(variable: str) -> str:
    secret = os.environ.get(variable, "").strip()
    if not secret:
        raise OperatorError(f"The variable {variable} is not set.")
    return secret


def _story(trial: dict[str, Any]) -> str:
    connect = "" if trial["connect_ms"] is None else f"connect {trial['connect_ms']} ms, "
    tokens = (
        "no usage reported"
        if trial["prompt_tokens"] is None
        else f"{trial['prompt_tokens']} + {trial['completion_tokens']} tokens"
    )
    return (
        f"{trial['provider']} answers as {trial['upstream_model']}: {connect}first event"
        f" {trial['first_event_ms']} ms, all {trial['total_ms']} ms, {tokens}."
    )


def _fault(trial: dict[str, Any]) -> str:
    status = f" {trial['status']}" if trial["status"] else ""
    message = f": {trial['message']}" if trial["message"] else ""
    return f"{trial['provider']} failed: {trial['fault']}{status}{message}."


# Routes ---------------------------------------------------------------------------------------


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
    show_table(
        ask(home, "route.list", model=model),
        ("model", "provider", "upstream_model", "dialect", "priority", "weight"),
        as_json=as_json,
        empty="There is no route yet: 'altyn route add MODEL PROVIDER'.",
    )


@route.command("remove")
@click.argument("model")
@click.argument("provider")
@answers
def remove_route(*, model: str, provider: str, home: Path | None, as_json: bool) -> None:
    """Let a provider serve a model no longer."""
    removed = ask(home, "route.remove", model=model, provider=provider)
    show(removed, f"{provider} serves {model} no longer.", as_json=as_json)
