"""`altyn user`: people and their accounts."""

from pathlib import Path

import click

from altyn.cli.terminal import answers, ask, read_secret, show, show_table

email_of_user = click.argument("email")


@click.group()
def user() -> None:
    """People and their accounts."""


@user.command("add")
@email_of_user
@click.option("--password-stdin", is_flag=True, help="Read a password from standard input.")
@click.option(
    "--operator",
    type=click.Choice(["owner", "operator", "support"]),
    metavar="ROLE",
    help="Make this person owner, operator or support of the place.",
)
@answers
def add(
    *, email: str, password_stdin: bool, operator: str | None, home: Path | None, as_json: bool
) -> None:
    """Add a person with an account of their own."""
    password = read_secret("password") if password_stdin else None
    card = ask(home, "user.add", email=email, password=password, operator=operator)
    show(card, f"{card['email']} is added, with an empty account.", as_json=as_json)


@user.command("list")
@answers
def list_all(*, home: Path | None, as_json: bool) -> None:
    """Show everybody, and what they have to spend."""
    show_table(
        ask(home, "user.list"),
        (
            "id",
            "email",
            "available",
            "held",
            "currency",
            "frozen",
            "price_group",
            "operator",
            "created_at",
        ),
        as_json=as_json,
        empty="There is nobody yet: 'altyn user add EMAIL'.",
    )


@user.command("freeze")
@email_of_user
@answers
def freeze(*, email: str, home: Path | None, as_json: bool) -> None:
    """Stop every paid call of an account."""
    card = ask(home, "user.freeze", email=email)
    show(card, f"{card['email']} is frozen: no call is taken any more.", as_json=as_json)


@user.command("unfreeze")
@email_of_user
@answers
def unfreeze(*, email: str, home: Path | None, as_json: bool) -> None:
    """Allow the calls of an account again."""
    card = ask(home, "user.unfreeze", email=email)
    show(card, f"{card['email']} may call again.", as_json=as_json)


@user.command("price-group")
@email_of_user
@click.argument("group", required=False)
@click.option("--none", "leave", is_flag=True, help="Take the account out of its group.")
@answers
def price_group(
    *, email: str, group: str | None, leave: bool, home: Path | None, as_json: bool
) -> None:
    """Sell to an account at the prices of a group."""
    if (group is None) is not leave:
        raise click.UsageError("Name a group, or --none.")
    done = ask(home, "user.price_group", email=email, group=group)
    whose = "everybody's prices" if group is None else f"the prices of the group {group}"
    hint = "" if done["priced"] else " No price or markup is set for this group yet."
    show(done, f"{done['email']} pays {whose} from now on.{hint}", as_json=as_json)
