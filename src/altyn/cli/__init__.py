"""The command line. Every command is in the file of its noun; what they share is in `terminal`.

Nothing heavy is imported before a command runs: `altyn --help` and a question to a running server
have to be quick. That is why this is click, and not something on top of it.
"""

import os
import sys

import click

from altyn import __version__
from altyn.cli.catalog import catalog
from altyn.cli.doctor import backup, doctor, restore
from altyn.cli.key import key
from altyn.cli.model import model
from altyn.cli.money import balance, deposit, ledger, refund
from altyn.cli.price import markup, price
from altyn.cli.prove import prove
from altyn.cli.provider import provider
from altyn.cli.route import route
from altyn.cli.serve import migrate, up
from altyn.cli.terminal import fail
from altyn.cli.user import user
from altyn.database.engine import StoreUnavailableError
from altyn.errors import AltynError

PRIVATE = 0o077


@click.group()
@click.version_option(__version__, message="altyn %(version)s")
def app() -> None:
    """Altyn sells metered access to AI models, and accounts for every kopek."""


for command in (up, migrate, user, key, deposit, balance, refund, ledger):
    app.add_command(command)
for command in (provider, route, catalog, model, price, markup, doctor, backup, restore):
    app.add_command(command)
app.add_command(prove)


def main() -> None:
    """Run one command. Whatever goes wrong for a known reason is one sentence on stderr, exit 1."""
    # Database, backups and sockets hold other people's money: nobody else may read them.
    os.umask(PRIVATE)
    try:
        app(prog_name="altyn")
    except StoreUnavailableError as error:
        fail(f"The database cannot be used now: {error.detail}.")
    except AltynError as error:
        fail(str(error))
    except BrokenPipeError:
        # Whoever read our output has seen enough. Nothing more can be flushed there at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        fail(f"{place}{error.strerror or error}.")
