"""The parts of a proof, in order: what is broken, how often, and what is looked at afterwards."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

import structlog
from msgspec import Struct, structs

from altyn.errors import OperatorError
from altyn.prove.backup import back_up_under_load
from altyn.prove.bad_days import bad_days
from altyn.prove.bad_disk import fail_then_kill, fail_under_load, fail_while_migrating
from altyn.prove.breaches import breach
from altyn.prove.disk import count_syncs, fill, fill_for_real, fill_while_migrating
from altyn.prove.drill import drill
from altyn.prove.fleet import cut_connections, pause, restart_the_database, roll
from altyn.prove.gateway_kills import kill_the_gateway
from altyn.prove.jumps import jump
from altyn.prove.ledger_kills import kill_the_ledger
from altyn.prove.place import Place, open_places
from altyn.prove.postgres import find_postgres_bin
from altyn.prove.races import race
from altyn.prove.revocation import revoke_in_a_flood
from altyn.prove.simulation import simulated
from altyn.prove.soak import soak
from altyn.prove.table import Report, Row
from altyn.prove.world import make_world


class Size(Struct, frozen=True, kw_only=True):
    """How often each part breaks something, for each kind of database where it has one."""

    ledger_kills: int
    gateway_kills: int
    seeds: int
    drill_calls: int
    races: int
    pauses: int
    replacements: int
    restarts: int
    cuts: int
    full_disks: int
    bad_disks: int
    bad_days: int
    jumps: int
    revocations: int
    breaches: int
    backups: int

    def times(self, factor: float) -> "Size":
        """So many times as often, and everything at least once."""
        counts = structs.asdict(self).items()
        return Size(**{name: max(1, round(count * factor)) for name, count in counts})


QUICK = Size(
    ledger_kills=60,
    gateway_kills=18,
    seeds=40,
    drill_calls=4,
    races=3,
    pauses=2,
    replacements=2,
    restarts=1,
    cuts=5,
    full_disks=3,
    bad_disks=3,
    bad_days=1,
    jumps=2,
    revocations=1,
    breaches=1,
    backups=1,
)
LONG = Size(
    ledger_kills=10_000,
    gateway_kills=1_000,
    seeds=10_000,
    drill_calls=40,
    races=300,
    pauses=200,
    replacements=60,
    restarts=100,
    cuts=5_000,
    full_disks=500,
    bad_disks=500,
    bad_days=100,
    jumps=200,
    revocations=100,
    breaches=20,
    backups=100,
)

Part = Callable[[Place, Size, int], Iterable[Row]]


def _ledger_kills(place: Place, size: Size, seed: int) -> list[Row]:
    return kill_the_ledger(place, rounds=size.ledger_kills, seed=seed)


def _gateway_kills(place: Place, size: Size, seed: int) -> list[Row]:
    return asyncio.run(kill_the_gateway(place, rounds=size.gateway_kills, seed=seed))


def _simulation(place: Place, size: Size, seed: int) -> list[Row]:
    """Once: its database is in memory, whatever the place."""
    if place.kind != "sqlite":
        return []
    world = make_world(place)
    return [
        simulated(world, count=size.seeds, first=seed),
        *drill(world, requests=size.drill_calls),
    ]


def _races(place: Place, size: Size, seed: int) -> list[Row]:
    return race(place, rounds=size.races, seed=seed)


def _disk(place: Place, size: Size, seed: int) -> Iterator[Row]:
    """On PostgreSQL the disk is the server's, and only its syncs can be counted from here."""
    yield count_syncs(place)
    if place.kind == "sqlite":
        yield asyncio.run(fill(place, rounds=size.full_disks, seed=seed))
        yield asyncio.run(fill_for_real(place, rounds=size.full_disks, seed=seed))
        yield fill_while_migrating(place)
        yield asyncio.run(fail_under_load(place, rounds=size.bad_disks, seed=seed))
        yield asyncio.run(fail_then_kill(place, rounds=size.bad_disks, seed=seed))
        yield fail_while_migrating(place, rounds=size.bad_disks, seed=seed)


def _fleet(place: Place, size: Size, seed: int) -> Iterator[Row]:
    """What needs several processes on one database, or a database on a line."""
    if place.kind == "sqlite":
        return
    yield asyncio.run(pause(place, rounds=size.pauses, seed=seed))
    yield asyncio.run(roll(place, rounds=size.replacements, seed=seed))
    yield asyncio.run(cut_connections(place, rounds=size.cuts, seed=seed))
    yield asyncio.run(restart_the_database(place, rounds=size.restarts, seed=seed))


def _bad_days(place: Place, size: Size, seed: int) -> list[Row]:
    """Only a server can have them."""
    if place.kind == "sqlite":
        return []
    return asyncio.run(bad_days(place, rounds=size.bad_days, seed=seed))


def _clocks(place: Place, size: Size, seed: int) -> Iterator[Row]:
    yield asyncio.run(jump(place, rounds=size.jumps, seed=seed))


def _revocation(place: Place, size: Size, seed: int) -> list[Row]:
    return asyncio.run(revoke_in_a_flood(place, rounds=size.revocations, seed=seed))


def _breaches(place: Place, size: Size, seed: int) -> Iterator[Row]:
    yield asyncio.run(breach(place, rounds=size.breaches, seed=seed))


def _backup(place: Place, size: Size, seed: int) -> Iterator[Row]:
    yield asyncio.run(back_up_under_load(place, rounds=size.backups, seed=seed))


PARTS: Mapping[str, Part] = {
    "disk": _disk,
    "simulation": _simulation,
    "races": _races,
    "ledger-kills": _ledger_kills,
    "gateway-kills": _gateway_kills,
    "fleet": _fleet,
    "bad-days": _bad_days,
    "clocks": _clocks,
    "revocation": _revocation,
    "breaches": _breaches,
    "backup": _backup,
}
"""By the name that `--only` takes."""


def prove(
    size: Size,
    *,
    database_url: str | None = None,
    only: tuple[str, ...] = (),
    seed: int | None = None,
    soak_minutes: float | None = None,
    tell: Callable[[Row], None],
) -> Report:
    """Run the parts and *tell* each row as it is known.

    The same *seed* makes the same faults in the same order, as far as the machine allows.
    """
    _be_quiet()
    unknown = set(only) - set(PARTS)
    if unknown:
        raise OperatorError(
            f"There is no part {', '.join(sorted(unknown))}. The parts are: {', '.join(PARTS)}."
        )
    report = Report(seed=random.SystemRandom().getrandbits(32) if seed is None else seed)
    began = time.monotonic()
    with open_places(database_url) as places:
        report.postgresql = _postgres_version(places)
        for place in places:
            told = time.monotonic()
            for row in _rows(place, size, only, report.seed, soak_minutes):
                row.seconds = round(row.seconds or time.monotonic() - told, 1)
                told = time.monotonic()
                report.rows.append(row)
                tell(row)
    report.seconds = round(time.monotonic() - began, 1)
    return report


def _rows(
    place: Place, size: Size, only: tuple[str, ...], seed: int, soak_minutes: float | None
) -> Iterator[Row]:
    if soak_minutes is not None:
        yield asyncio.run(soak(place, minutes=soak_minutes, seed=seed))
        return
    for name, part in PARTS.items():
        if not only or name in only:
            yield from part(place, size, seed)


def _postgres_version(places: list[Place]) -> str | None:
    if len(places) == 1:
        return None
    url = places[1].url
    if url is not None:
        return "the operator's"
    found = find_postgres_bin()
    return found.parent.name if found is not None else None


def _be_quiet() -> None:
    """What is broken on purpose is not worth a line each."""
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
