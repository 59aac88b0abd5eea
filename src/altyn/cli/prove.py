"""`altyn prove`: break everything around the money, and print what was broken and what held."""

import fcntl
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from altyn.cli.terminal import as_json_too, print_json

if TYPE_CHECKING:
    from altyn.prove.table import Report, Row

NICE = 10


@click.command("prove")
@click.option("--quick", "long", flag_value=False, default=False, help="Minutes; this is default.")
@click.option(
    "--long", "long", flag_value=True, help="Hours: 10,000 kills of the ledger, and so on."
)
@click.option(
    "--database-url",
    metavar="URL",
    help="An empty PostgreSQL database; a private server of the installed one, if not given.",
)
@click.option("--only", multiple=True, metavar="PART", help="Only this part; may be repeated.")
@click.option("--times", type=click.FloatRange(min=0.0), help="So many times as often.")
@click.option(
    "--soak",
    type=click.FloatRange(min=0.0),
    metavar="MINUTES",
    help="Only this: steady load for so long, watching memory, sockets and holds.",
)
@click.option("--seed", type=int, help="The same faults again; shown with every run.")
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Add this run to those in FILE, as JSON, and print them together.",
)
@click.option("--markdown", is_flag=True, help="Print the table for a page of documentation.")
@as_json_too
def prove(
    *,
    long: bool,
    database_url: str | None,
    only: tuple[str, ...],
    times: float | None,
    soak: float | None,
    seed: int | None,
    into: Path | None,
    markdown: bool,
    as_json: bool,
) -> None:
    """Kill, starve and race a gateway of its own, and see whether the books hold; exit 1 if not.

    It works in folders and databases that it makes and removes, never on yours.
    """
    from altyn.prove.run import LONG, QUICK  # noqa: PLC0415 -- only here
    from altyn.prove.run import prove as prove_in  # noqa: PLC0415 -- as above
    from altyn.prove.table import as_markdown, lay_out, plain  # noqa: PLC0415 -- as above

    os.nice(NICE)
    size = (LONG if long else QUICK).times(1.0 if times is None else times)
    report = prove_in(
        size,
        database_url=database_url,
        only=only,
        seed=seed,
        soak_minutes=soak,
        tell=_teller(as_json=as_json),
    )
    if into is not None:
        report = _add_to(into, report)
    if as_json:
        print_json(plain(report))
    elif markdown:
        print(as_markdown(report))
    else:
        print("\n".join(("", *lay_out(report), "", _last_line(report.holds, report.seed))))
    if not report.holds:
        sys.exit(1)


def _add_to(path: Path, report: "Report") -> "Report":
    from altyn.prove.table import add_up, plain, read_report  # noqa: PLC0415 -- as above

    # Runs that end together must not take each other's rows: the lock goes with the file's end.
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        if before := file.read():
            report = add_up([read_report(before), report])
        file.truncate(0)
        file.write(msgspec.json.encode(plain(report)))
    return report


def _teller(*, as_json: bool) -> "Callable[[Row], None]":
    """Somebody is waiting: each row is shown when it is known, beside the data if that is JSON."""
    stream = sys.stderr if as_json else sys.stdout

    def tell(row: "Row") -> None:
        count = len(row.violations)
        where = f" ({row.database})" if row.database else ""
        print(
            f"{row.fault}{where}: {row.rounds} rounds, {count} violations", file=stream, flush=True
        )

    return tell


def _last_line(holds: bool, seed: int) -> str:  # noqa: FBT001 -- the one thing it says
    verdict = "Everything held." if holds else "Something did not hold: see above."
    return f"{verdict} Seed {seed}."
