"""Measures a running Altyn: one core for the gateway, the others for load, mock and database.

    python bench/run.py [sync|stream|lone|dialects|all] [--database NAME] [--quick]

Everything happens on loopback and in a temporary folder; every process that is started is ended.
Exits 1 when a call failed or the money is wrong, whatever the speed; a missed aim is only said.
"""

import argparse
import dataclasses
import json
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

from dialects import dialects  # noqa: E402
from drive import Size, mock_upstream  # noqa: E402 -- after the folders of the fakes are known
from fakes.postgres import TemporaryPostgres, find_postgres_bin  # noqa: E402
from gateway import Gateway  # noqa: E402
from peers import bare, litellm  # noqa: E402
from processes import (  # noqa: E402
    BenchFailedError,
    Cores,
    choose_cores,
    filesystem,
    require_linux,
)
from scenarios import SCENARIOS, Bench, measure  # noqa: E402
from table import Row, as_text, must_hold  # noqa: E402

QUICK = Size(seconds=2, streams=200, chunks=50, lone_calls=200)
MODEL = "meta-llama/llama-4-maverick"
"""A model of the catalogue that takes every parameter: nothing is dropped on the way."""


@contextmanager
def database(name: str) -> Iterator[tuple[str | None, int | None]]:
    """Its address, None for the default in the home, and its process id where it has one."""
    if name == "sqlite":
        yield None, None
        return
    with TemporaryPostgres() as server:
        yield server.make_database("altyn_bench"), server.pid


def measure_on(
    name: str, *, scenarios: list[str], size: Size, cores: Cores, model: str, folder: Path
) -> Bench:
    """One database: a new home, a new mock, all the scenarios."""
    folder = folder / name
    folder.mkdir()
    with (
        database(name) as (url, database_pid),
        mock_upstream(size, cores=cores, folder=folder) as mock,
    ):
        gateway = Gateway(folder / "home", database_url=url, cores=cores, model=model)
        gateway.set_up(upstream_url=mock.url)
        bench = Bench(name, gateway, mock, size, cores, folder, database_pid)
        measure(bench, scenarios)
    return bench


def machine(folder: Path, cores: Cores) -> dict[str, object]:
    return {
        "cores": os.cpu_count(),
        "gateway_core": sorted(cores.gateway),
        "other_cores": sorted(cores.rest),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "filesystem": filesystem(folder),
        "load_average": round(os.getloadavg()[0], 2),
    }


def cautions(facts: dict[str, object], cores: Cores) -> list[str]:
    """What makes the figures worth less than they look."""
    notes = []
    if cores.shared:
        notes.append("Only one core: gateway, load and mock share it; no figure is the gateway's.")
    if facts["filesystem"] == "tmpfs":
        notes.append("The folder is in memory, a commit costs nothing there: set TMPDIR to a disk.")
    if float(str(facts["load_average"])) > 0.5:
        notes.append(f"The machine was busy before the start: load {facts['load_average']}.")
    return notes


def databases(wanted: str) -> tuple[list[str], list[str]]:
    """The ones to measure, and a note for one that cannot be."""
    names = ["sqlite", "postgresql"] if wanted == "both" else [wanted]
    if "postgresql" in names and find_postgres_bin() is None:
        names.remove("postgresql")
        return names, ["postgresql: not installed, not measured (apt-get install postgresql)"]
    return names, []


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "scenario", nargs="?", default="all", choices=[*SCENARIOS, "dialects", "all"]
    )
    parser.add_argument("--database", default="both", choices=["sqlite", "postgresql", "both"])
    parser.add_argument("--seconds", type=float, help="of sync and of stream, each")
    parser.add_argument("--connections", type=int, help="of the sync load")
    parser.add_argument("--streams", type=int, help="open at once")
    parser.add_argument("--pace-ms", type=int, help="between two chunks of a stream")
    parser.add_argument("--model", default=MODEL, help="a model of the catalogue")
    parser.add_argument("--quick", action="store_true", help="small and short: does it work?")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def chosen_size(options: argparse.Namespace) -> Size:
    given = {
        name: getattr(options, name)
        for name in ("seconds", "connections", "streams", "pace_ms")
        if getattr(options, name) is not None
    }
    return dataclasses.replace(QUICK if options.quick else Size(), **given)


def run(options: argparse.Namespace) -> tuple[dict[str, object], list[Row], list[str]]:
    size, cores = chosen_size(options), choose_cores()
    if options.scenario == "dialects":
        return machine(HERE, cores), dialects(), []
    scenarios = list(SCENARIOS) if options.scenario == "all" else [options.scenario]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="altyn-bench-") as name:
        folder = Path(name)
        facts = machine(folder, cores)
        names, notes = databases(options.database)
        notes = cautions(facts, cores) + notes
        for database_name in names:
            bench = measure_on(
                database_name,
                scenarios=scenarios,
                size=size,
                cores=cores,
                model=options.model,
                folder=folder,
            )
            rows += bench.rows
            notes += bench.notes
        if options.scenario == "all":
            rows += dialects()
        if "sync" in scenarios:
            rows += bare(size, cores=cores, folder=folder)
            peer_rows, peer_notes = peers(size, cores=cores, folder=folder)
            rows += peer_rows
            notes += peer_notes
    return facts, rows, notes


def peers(size: Size, *, cores: Cores, folder: Path) -> tuple[list[Row], list[str]]:
    """Others, where they are installed; one that does not start must not cost us our figures."""
    try:
        return litellm(size, cores=cores, folder=folder)
    except BenchFailedError as error:
        return [], [str(error)]


def told(options: argparse.Namespace) -> int:
    require_linux()
    facts, rows, notes = run(options)
    if options.json:
        found = {"machine": facts, "rows": [dataclasses.asdict(row) for row in rows]}
        print(json.dumps(found | {"notes": notes}, indent=2))
    else:
        print(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in facts.items()))
        print(as_text(rows, notes))
    return 1 if any(must_hold(row) and not row.met for row in rows) else 0


def leave(number: int, _frame: FrameType | None) -> None:
    """SIGTERM as an exception, so that every process we started is ended on the way out."""
    raise SystemExit(128 + number)


def main() -> None:
    signal.signal(signal.SIGTERM, leave)
    try:
        raise SystemExit(told(read_options()))
    except BenchFailedError as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
