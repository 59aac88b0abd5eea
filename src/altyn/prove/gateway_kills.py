"""`kill -9` of the whole gateway under load, with streams open: at random and at named places.

After each kill it is started again and nothing else is done: it has to be ready within ten seconds,
resolve what was left, and agree with its vendor and its callers about every nano.
"""

import asyncio
import random
import time

from altyn.prove.place import Place
from altyn.prove.shop import READY_S, Node, Nursery, Shop, open_shop, patiently
from altyn.prove.table import Row
from altyn.prove.vendor import Vendor, serving

CALLERS = 8
KILLS_PER_SHOP = 40
LOAD_MAX_S = 0.6
MEET_S = 4.0
"""How long a process may take to meet the place at which it is to die."""

RESOLVED_S = 25.0
"""What the server of a dead process still commits after the start's sweep waits for the next one,
twenty seconds later."""

LOAD_PLACES = (
    "admit",
    "held",
    "dispatch",
    "first chunk",
    "checkpoint",
    "usage",
    "settle",
    "settled",
    "batch loaded",
    "batch saved",
    "batch committed",
)
DEPOSIT_PLACES = ("deposit", "deposited")
"""Met in the server only where it takes the operator's commands: with PostgreSQL these open the
database themselves."""

RECOVERY_PLACES = ("start", "sweep", "swept", "unknown", "looked up")


async def kill_the_gateway(place: Place, *, rounds: int, seed: int) -> list[Row]:
    """So many kills; a row for each named place, and one for those at random."""
    chance = random.Random(seed)
    rows: dict[str | None, Row] = {
        None: Row(fault="gateway killed at random", database=place.kind),
        **{
            name: Row(fault=f"gateway killed at: {name}", database=place.kind)
            for name in (*LOAD_PLACES, *_deposit_places(place), *RECOVERY_PLACES)
        },
    }
    names = list(rows)
    began = time.monotonic()
    nursery = Nursery()
    try:
        for done in range(0, rounds, KILLS_PER_SHOP):
            points = [
                names[number % len(names)]
                for number in range(done, min(done + KILLS_PER_SHOP, rounds))
            ]
            await _in_one_shop(place, nursery, points, chance, rows)
    finally:
        await nursery.close()
    rows[None].seconds = time.monotonic() - began
    return [row for row in rows.values() if row.rounds]


async def _in_one_shop(
    place: Place,
    nursery: Nursery,
    points: list[str | None],
    chance: random.Random,
    rows: dict[str | None, Row],
) -> None:
    """Each process recovers what the one before has left, is looked at, and is killed."""
    url = await asyncio.to_thread(place.fresh)
    seed = chance.getrandbits(32)
    slowest, row = 0.0, rows[None]
    async with (
        serving(Vendor(seed)) as vendor,
        open_shop(url, place.home, vendor, nursery, seed=seed) as shop,
    ):
        for point in points:
            node = await shop.start(point=point, nth=_nth(point, chance), cold=point is None)
            row.violations += await _is_whole_again(shop, node, must_live=point is None)
            slowest = max(slowest, node.ready_s or 0)
            row = rows[point]
            row.rounds += 1
            row.violations += await _until_it_dies(shop, node, point, chance)
        last = await shop.start()
        row.violations += await _is_whole_again(shop, last, must_live=True)
        await last.kill()
    rows[None].note = _slowest(rows[None].note, slowest)


def _nth(point: str | None, chance: random.Random) -> int:
    return 1 if point in RECOVERY_PLACES or point == "checkpoint" else chance.randrange(1, 12)


async def _is_whole_again(shop: Shop, node: Node, *, must_live: bool) -> list[str]:
    """Ready in time, everything resolved, and all books agree; unless it has died once more."""
    if not node.alive and not must_live:
        return []
    limit_s = patiently(READY_S)
    if node.ready_s is None or node.ready_s > limit_s:
        return [f"not ready within {limit_s:.0f} s after a kill"]
    found = await shop.resolved(RESOLVED_S, by=node)
    if not node.alive and not must_live:
        return []
    return [*found, *await shop.broken()]


async def _until_it_dies(
    shop: Shop, node: Node, point: str | None, chance: random.Random
) -> list[str]:
    """Load until the process is dead, by its own hand where it meets its place."""
    calling = [asyncio.create_task(shop.callers.keep_calling(node.port)) for _ in range(CALLERS)]
    if shop.books.kind == "sqlite":
        calling.append(asyncio.create_task(shop.keep_depositing()))
    # At a place of the recovery it has died at the start, if there was anything to recover.
    on_its_way = point in LOAD_PLACES or point in DEPOSIT_PLACES
    seconds = patiently(MEET_S) if on_its_way else chance.uniform(0.02, LOAD_MAX_S)
    died = await node.ended(seconds)
    await node.kill()
    for task in calling:
        task.cancel()
    await asyncio.gather(*calling, return_exceptions=True)
    return [f"the place '{point}' was never reached"] if on_its_way and not died else []


def _deposit_places(place: Place) -> tuple[str, ...]:
    return DEPOSIT_PLACES if place.kind == "sqlite" else ()


def _slowest(note: str, seconds: float) -> str:
    before = float(note.split()[-2]) if note else 0.0
    return f"ready again within {max(before, seconds):.1f} s"
