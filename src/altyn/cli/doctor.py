"""`altyn doctor`, `altyn backup` and `altyn restore`: care."""

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from altyn.cli.terminal import answers, ask, lay_out, print_json, settings_of, show
from altyn.control.ask import ask as ask_in
from altyn.database.engine import StoreUnavailableError
from altyn.errors import OperatorError
from altyn.settings import Settings

backup_file = click.argument("file", type=click.Path(path_type=Path))


@click.command("doctor")
@answers
def doctor(*, home: Path | None, as_json: bool) -> None:
    """Look at everything, and say what to do; exit 1 if something has to be done."""
    from altyn.control.doctor import examine_place, is_healthy  # noqa: PLC0415 -- only here

    settings = settings_of(home)
    checks = msgspec.to_builtins(examine_place(settings))
    if settings.home.is_dir():
        checks += _examine_store(settings)
    if as_json:
        print_json(checks)
    else:
        _show_checks(checks)
    if not is_healthy(checks):
        sys.exit(1)


@click.command("backup")
@backup_file
@answers
def backup(*, file: Path, home: Path | None, as_json: bool) -> None:
    """Copy the database as of one moment, while calls go on."""
    made = ask(home, "backup", file=str(file.absolute()))
    show(
        made,
        f"{made['file']} holds the database ({made['bytes']} bytes).\n"
        f"Keep {made['secret_key']} too, in another place: without it no key and no provider's"
        " secret can be used again.",
        as_json=as_json,
    )


@click.command("restore")
@backup_file
@answers
def restore(*, file: Path, home: Path | None, as_json: bool) -> None:
    """Put a backup in the place of the database, when its ledger holds. No server may run."""
    import asyncio  # noqa: PLC0415 -- only here

    from altyn.control.care import restore as restore_in  # noqa: PLC0415 -- as above

    done = asyncio.run(restore_in(settings_of(home), file.absolute()))
    kept = f" The old one is kept as {done['kept']}." if done["kept"] else ""
    show(done, f"The database is restored from {done['file']}.{kept}", as_json=as_json)
    if not done["secrets_open"]:
        print(
            "The secret.key in the home is not the one this backup was made with: put that one"
            " back, or no customer's key and no provider's secret will work.",
            file=sys.stderr,
        )


def _examine_store(settings: Settings) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = ask_in(settings, "doctor")
    except StoreUnavailableError as error:
        return [_failed(f"cannot be used now: {error.detail}")]
    except OperatorError as error:
        return [_failed(str(error))]
    return found


def _failed(found: str) -> dict[str, Any]:
    return {"name": "database", "state": "fail", "found": found, "advice": ""}


def _show_checks(checks: list[dict[str, Any]]) -> None:
    rows = [(check["state"], check["name"], check["found"]) for check in checks]
    for line, check in zip(lay_out(rows), checks, strict=True):
        print(line)
        if check["advice"]:
            print(f"        {check['advice']}")
