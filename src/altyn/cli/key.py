"""`altyn key`: keys of customers."""

from collections.abc import Sequence
from pathlib import Path

import click

from altyn.cli.terminal import answers, ask, show, show_table

AT_LEAST_ONE = click.IntRange(min=1)


@click.group()
def key() -> None:
    """Keys of customers."""


@key.command("create")
@click.option("--user", required=True, metavar="EMAIL", help="Whose key it is.")
@click.option("--name", default="", help="What it is for.")
@click.option("--test", is_flag=True, help="Answered by the sandbox, never charged.")
@click.option("--limit", metavar="AMOUNT", help="The most it may spend.")
@click.option(
    "--limit-period",
    type=click.Choice(["day", "week", "month", "total"]),
    help="In what time, by UTC; in all if not given.",
)
@click.option("--expires", metavar="DATE", help="A date, or an RFC 3339 time.")
@click.option("--models", metavar="A,B", help="The only models it may call.")
@click.option(
    "--ip", multiple=True, metavar="CIDR", help="An address or range it may come from; repeatable."
)
@click.option(
    "--scopes", metavar="A,B", help="Of chat, models, balance, usage, key; all if not given."
)
@click.option("--rpm", type=AT_LEAST_ONE, help="Requests a minute.")
@click.option("--tpm", type=AT_LEAST_ONE, help="Tokens a minute.")
@click.option("--parallel", type=AT_LEAST_ONE, help="Requests at once.")
@answers
def create(
    *,
    user: str,
    name: str,
    test: bool,
    limit: str | None,
    limit_period: str | None,
    expires: str | None,
    models: str | None,
    ip: Sequence[str],
    scopes: str | None,
    rpm: int | None,
    tpm: int | None,
    parallel: int | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """Make a key. It is shown now and never again."""
    made = ask(
        home,
        "key.create",
        user=user,
        name=name,
        test=test,
        limit=limit,
        limit_period=limit_period,
        expires=expires,
        models=_words([models] if models is not None else []),
        ip_ranges=_words(ip),
        scopes=_words([scopes] if scopes is not None else []),
        requests_per_minute=rpm,
        tokens_per_minute=tpm,
        parallel_requests=parallel,
    )
    show(
        made,
        f"{made['key']}\nThis is key {made['id']} of {made['user']}. It is not shown again.",
        as_json=as_json,
    )


@key.command("list")
@click.option("--user", metavar="EMAIL", help="Only of this person.")
@answers
def list_all(*, user: str | None, home: Path | None, as_json: bool) -> None:
    """Show keys, as far as they can be shown."""
    keys = ask(home, "key.list", user=user)
    if not as_json:
        for card in keys:
            card["shown"] = f"{card['prefix']}…{card['last_four']}"
    show_table(
        keys,
        (
            "id",
            "user",
            "name",
            "shown",
            "mode",
            "limit",
            "limit_period",
            "expires_at",
            "revoked_at",
        ),
        as_json=as_json,
        empty="There is no key yet: 'altyn key create --user EMAIL'.",
    )


@key.command("revoke")
@click.argument("key_id", metavar="ID", type=int)
@answers
def revoke(*, key_id: int, home: Path | None, as_json: bool) -> None:
    """Refuse a key from now on: within a second everywhere."""
    card = ask(home, "key.revoke", id=key_id)
    shown = f"{card['prefix']}…{card['last_four']}"
    show(card, f"Key {card['id']} ({shown}) of {card['user']} is revoked.", as_json=as_json)


def _words(given: Sequence[str]) -> list[str] | None:
    """Words with commas between, in one option or in several; None if there was no option."""
    if not given:
        return None
    return [word.strip() for text in given for word in text.split(",") if word.strip()]
