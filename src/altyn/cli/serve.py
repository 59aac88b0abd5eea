"""`altyn up` and `altyn migrate`: the server, from nothing to the first answer."""

import ipaddress
import os
import platform
import sys
import time
import tomllib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from altyn import __version__
from altyn.cli.terminal import answers, at_home, settings_of, show
from altyn.database.engine import StoreUnavailableError
from altyn.settings import FILE, Settings

if TYPE_CHECKING:
    from altyn.app import App
    from altyn.control.models import Ending
    from altyn.control.start import Start

T = TypeVar("T")
WAIT_S = 1.0
BASE = "/api/v1/external"
STEPS_FILE = "first-steps.txt"


@click.command("up")
@click.option("--host", help="The address to listen on; 127.0.0.1 if not given.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="The port; 8080, or the next free one, if not given. 0 takes any.",
)
@at_home
@click.option(
    "--workers", type=click.IntRange(min=1), help="Processes; more than one needs PostgreSQL."
)
@click.option("--no-open", is_flag=True, help="Open no browser.")
def up(
    *, host: str | None, port: int | None, home: Path | None, workers: int | None, no_open: bool
) -> None:
    """Make everything ready, and serve until Ctrl+C or SIGTERM."""
    import asyncio  # noqa: PLC0415 -- no other command needs these

    from altyn.app import serve  # noqa: PLC0415 -- as above
    from altyn.control.door import serve_control_of  # noqa: PLC0415 -- as above
    from altyn.control.port import choose_port  # noqa: PLC0415 -- as above
    from altyn.control.start import prepare  # noqa: PLC0415 -- as above

    wanted = settings_of(home, host=host, port=port, workers=workers)
    start = _once_there(wanted, lambda: asyncio.run(prepare(wanted, os.environ, first_key=True)))
    fixed = port is not None or _is_port_set(wanted.home)
    chosen = choose_port(wanted.host, wanted.port, fixed=fixed)
    settings = settings_of(home, host=host, port=chosen, workers=workers)
    _greet(settings, start, moved_from=wanted.port if chosen != wanted.port else 0)
    beside = serve_control_of if no_open else _control_and_page
    sys.exit(_once_there(settings, lambda: serve(settings, beside=beside)))


@click.command("migrate")
@answers
def migrate(*, home: Path | None, as_json: bool) -> None:
    """Bring the database to this version, and add the models that came with it."""
    import asyncio  # noqa: PLC0415 -- only here

    from altyn.control.start import prepare  # noqa: PLC0415 -- as above

    settings = settings_of(home)
    start = asyncio.run(prepare(settings, os.environ, first_key=False))
    change = {"before": start.revision_before, "revision": start.revision}
    if start.revision_before == start.revision:
        sentence = f"The database is at revision {start.revision}: nothing was to be done."
    else:
        sentence = f"The database is migrated to revision {start.revision}."
    show(change, sentence, as_json=as_json)


def _once_there(settings: Settings, do: Callable[[], T]) -> T:
    """Do it when the database is there. One on another machine may come later than we do."""
    told = False
    while True:
        try:
            return do()
        except StoreUnavailableError as error:
            if settings.database_url.startswith("sqlite:"):
                raise
            if not told:
                print(f"Waiting for the database ({error.detail}) …", file=sys.stderr, flush=True)
                told = True
        time.sleep(WAIT_S)


@asynccontextmanager
async def _control_and_page(app: "App") -> AsyncIterator[None]:
    """Take commands; whoever starts it at a screen is shown its page."""
    import webbrowser  # noqa: PLC0415 -- only at a screen

    from altyn.control.door import serve_control_of  # noqa: PLC0415 -- only in a server

    async with serve_control_of(app):
        if sys.stdout.isatty() and (os.environ.get("DISPLAY") or sys.platform == "darwin"):
            webbrowser.open(app.settings.public_url)
        yield


def _is_port_set(home: Path) -> bool:
    """Whether somebody chose the port: then another one would only surprise."""
    if os.environ.get("ALTYN_PORT"):
        return True
    path = home / FILE
    return path.exists() and "port" in tomllib.loads(path.read_text(encoding="utf-8"))


# What the terminal shows ----------------------------------------------------------------------


def _greet(settings: Settings, start: "Start", *, moved_from: int) -> None:
    database = "SQLite" if settings.database_url.startswith("sqlite:") else "PostgreSQL"
    mode = ", ".join(start.providers) or "sandbox only, no provider yet"
    print(
        f"altyn {__version__} · Python {platform.python_version()} · data: {_shown(settings.home)}"
        f" ({database}) · mode: {mode}"
    )
    if moved_from:
        print(f"Port {moved_from} is taken: listening on {settings.port} instead.")
    if not _is_loopback(settings.host):
        print(
            f"Warning: {settings.host} can be reached from outside, without TLS:"
            " put a reverse proxy with TLS in front."
        )
    if start.models_added and settings.currency != "USD":
        print(
            f"The costs of the models are in USD and were left out: give them prices in"
            f" {settings.currency} with 'altyn price set'."
        )
    _warn_of_endings(start.endings)
    print(_links(settings))
    if start.test_key is not None or start.owner_ticket is not None:
        _show_first_steps(settings, start)
    print("  Ctrl+C stops; the data stays.\n", flush=True)


def _warn_of_endings(endings: Sequence["Ending"]) -> None:
    """Of what ends soon; what has ended is for `doctor` to tell."""
    coming = [f"{ending.model} on {ending.retires_at}" for ending in endings if not ending.retired]
    if coming:
        print(
            f"Warning: vendors retire {', '.join(coming)}."
            " 'altyn model replace OLD NEW' keeps a name on sale."
        )


def _links(settings: Settings) -> str:
    base = settings.public_url
    return (
        f"\n  Page      {base}/\n"
        f"  API       {base}{BASE}\n"
        f"  OpenAPI   {base}/openapi.json\n"
        f"  Ready     {base}/readyz\n"
        f"  Metrics   {base}/metrics (its token: {_shown(settings.home / 'metrics.token')})\n"
    )


def _show_first_steps(settings: Settings, start: "Start") -> None:
    """Show secrets where only the person at the terminal sees them; logs are read by many."""
    text = (
        _owner_link(settings, start.owner_ticket)
        + _welcome(settings, start.welcome_code)
        + _first_steps(settings, start.test_key)
    )
    if sys.stdout.isatty():
        print(text)
        return
    path = settings.home / STEPS_FILE
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    print(f"  {_what_is_there(start)} in {_shown(path)}.\n")


def _what_is_there(start: "Start") -> str:
    if start.test_key is None:
        return "The link that makes you the owner is"
    return "The link that makes you the owner, a welcome code, a test key and a ready call are"


def _owner_link(settings: Settings, ticket: str | None) -> str:
    if ticket is None:
        return ""
    return f"""  Owner     {settings.public_url}/setup?t={ticket}
            (makes you the owner; works once, for 30 minutes)

"""


def _welcome(settings: Settings, code: str | None) -> str:
    if code is None:
        return ""
    from altyn.control.start import welcome_nanos  # noqa: PLC0415 -- only at a start
    from altyn.money import format_short  # noqa: PLC0415 -- as above

    amount = format_short(welcome_nanos(settings.currency))
    return f"""  Code      {code}
            (worth {amount} {settings.currency} to whoever redeems it first in the cabinet)

"""


def _first_steps(settings: Settings, test_key: str | None) -> str:
    if test_key is None:
        return ""
    word = "./altyn" if Path("altyn").is_file() else "altyn"
    return f"""  Test key  {test_key}
            (of demo@example.test; shown once, never charged)

  Try:
    curl {settings.public_url}{BASE}/chat/completions \\
      -H "Authorization: Bearer {test_key}" \\
      -H "Content-Type: application/json" \\
      -d '{{"model":"sandbox/echo","messages":[{{"role":"user","content":"Привет!"}}]}}'

  To sell real models, start with a vendor's key:
    OPENROUTER_API_KEY=… {word} up
  and give a customer money and a live key:
    {word} user add you@example.com
    {word} deposit you@example.com 10
    {word} key create --user you@example.com
"""


def _shown(path: Path) -> str:
    """A path as one would type it here."""
    here = Path.cwd()
    return f"./{path.relative_to(here)}" if path.is_relative_to(here) else str(path)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
