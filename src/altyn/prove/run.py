"""The parts of a proof, in order: what is broken, how often, and what is looked at afterwards."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping

import structlog
from msgspec import Struct, structs

from altyn.prove.gateway_kills import kill_the_gateway
from altyn.prove.ledger_kills import kill_the_ledger
from altyn.prove.place import Place, open_places
from altyn.prove.postgres import find_postgres_bin
from altyn.prove.table import Report, Row


class Size(Struct, frozen=True, kw_only=True):
    """How often each part breaks something, for each kind of database where it has one."""

    ledger_kills: int
    gateway_kills: int

    def times(self, factor: float) -> "Size":
        """So many times as often, and everything at least once."""
        counts = structs.asdict(self).items()
        return Size(**{name: max(1, round(count * factor)) for name, count in counts})


QUICK = Size(ledger_kills=60, gateway_kills=18)
LONG = Size(ledger_kills=10_000, gateway_kills=1_000)

Part = Callable[[Place, Size, int], list[Row]]


def _ledger_kills(place: Place, size: Size, seed: int) -> list[Row]:
    return kill_the_ledger(place, rounds=size.ledger_kills, seed=seed)


def _gateway_kills(place: Place, size: Size, seed: int) -> list[Row]:
    return asyncio.run(kill_the_gateway(place, rounds=size.gateway_kills, seed=seed))


PARTS: Mapping[str, Part] = {
    "ledger-kills": _ledger_kills,
    "gateway-kills": _gateway_kills,
}
"""By the name that `--only` takes."""


def prove(
    size: Size,
    *,
    database_url: str | None = None,
    only: tuple[str, ...] = (),
    seed: int | None = None,
    tell: Callable[[Row], None],
) -> Report:
    """Run the parts and *tell* each row as it is known.

    The same *seed* makes the same faults in the same order, as far as the machine allows.
    """
    _be_quiet()
    report = Report(seed=random.SystemRandom().getrandbits(32) if seed is None else seed)
    began = time.monotonic()
    with open_places(database_url) as places:
        report.postgresql = _postgres_version(places)
        for place in places:
            for row in _rows(place, size, only, report.seed):
                report.rows.append(row)
                tell(row)
    report.seconds = round(time.monotonic() - began, 1)
    return report


def _rows(place: Place, size: Size, only: tuple[str, ...], seed: int) -> Iterator[Row]:
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
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
