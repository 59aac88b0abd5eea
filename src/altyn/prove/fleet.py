"""Several gateways on one PostgreSQL: one is paused and comes back, all are replaced under load,
the database is restarted, a connection is cut while a commit is under way.
"""

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from altyn.prove.place import Place
from altyn.prove.proxy import Proxy, through
from altyn.prove.shop import READY_S, Node, Nursery, Shop, open_shop
from altyn.prove.table import Row
from altyn.prove.vendor import Vendor, serving

CALLERS = 6
PAUSES = ("held", "first chunk", "usage", "settle", "batch saved")
MEET_S = 5.0
RESOLVED_S = 25.0
OUTAGE_S = 1.0
BACK_S = 10.0
"""Paid calls are taken again within so long after the database has come back."""

HONEST = (402, 503)
"""What a caller may be told while something is broken: 503 always says when to come again."""


async def pause(place: Place, *, rounds: int, seed: int) -> Row:
    """SIGSTOP at a named place; another sweeps what it held; SIGCONT: it may not settle again."""
    row = Row(fault="gateway paused, swept, continued", database=place.kind)
    chance = random.Random(seed)
    async with one_shop(place, seed) as shop:
        for number in range(rounds):
            row.rounds += 1
            point = PAUSES[number % len(PAUSES)]
            row.violations += await _pause_once(shop, point, chance)
    return row


async def _pause_once(shop: Shop, point: str, chance: random.Random) -> list[str]:
    node = await shop.start(point=point, nth=chance.randrange(1, 8), stop=True)
    async with calling(shop, [node]):
        await _stopped(node)
    await shop.age_the_dead()
    other = await shop.start()
    found = await shop.resolved(RESOLVED_S, by=other)
    node.signal(signal.SIGCONT)
    await asyncio.sleep(0.5)
    found += await shop.resolved(RESOLVED_S, by=node)
    found += await shop.broken()
    await node.stop()
    await other.stop()
    return found


async def _stopped(node: Node) -> bool:
    """Whether it has met its place: the system says T of a process that is stopped."""
    deadline = time.monotonic() + MEET_S
    while time.monotonic() < deadline:
        with suppress(OSError), open(f"/proc/{node.pid}/stat", encoding="ascii") as stat:  # noqa: ASYNC230, PTH123 -- not a file
            if stat.read().rpartition(")")[2].split()[0] == "T":
                return True
        await asyncio.sleep(0.01)
    return False


async def roll(place: Place, *, rounds: int, seed: int) -> Row:
    """Two gateways under load; each in turn is asked to stop, and another takes its place."""
    row = Row(fault="rolling restart under load", database=place.kind)
    async with one_shop(place, seed) as shop:
        nodes = [await shop.start(cold=True, beside=True) for _ in range(2)]
        async with calling(shop, nodes):
            for number in range(rounds):
                row.rounds += 1
                await asyncio.sleep(0.5)
                old = nodes[number % 2]
                nodes[number % 2] = await shop.start(cold=True, beside=True)
                code = await old.stop()
                if code:
                    row.violations.append(f"a gateway that was asked to stop ended with {code}")
        row.violations += await shop.resolved(RESOLVED_S, by=nodes[0])
        row.violations += [*dishonest(shop), *await shop.broken()]
        for node in nodes:
            await node.stop()
    return row


async def restart_the_database(place: Place, *, rounds: int, seed: int) -> Row:
    """An immediate stop under load, as in a crash, and a start a second later."""
    row = Row(fault="PostgreSQL restarted under load", database=place.kind)
    if place.server is None:
        row.note = "needs a private server"
        return row
    slowest = 0.0
    async with one_shop(place, seed) as shop:
        node = await shop.start()
        for _ in range(rounds):
            row.rounds += 1
            async with calling(shop, [node]):
                await asyncio.sleep(0.5)
                await asyncio.to_thread(place.server.stop_serving)
                await asyncio.sleep(OUTAGE_S)
                await asyncio.to_thread(place.server.serve_again)
                back_s = await back(shop, node)
            slowest = max(slowest, back_s)
            if back_s > BACK_S:
                row.violations.append(f"no paid call for {back_s:.1f} s after it had come back")
            row.violations += await shop.resolved(RESOLVED_S, by=node)
            row.violations += [*dishonest(shop), *await shop.broken()]
        await node.stop()
    row.note = f"paid calls again within {slowest:.1f} s"
    return row


async def cut_connections(place: Place, *, rounds: int, seed: int) -> Row:
    """A proxy cuts the gateway's connections: some right after a COMMIT has passed."""
    row = Row(fault="connection cut after COMMIT was sent", database=place.kind)
    chance = random.Random(seed)
    async with one_shop(place, seed) as shop, through(shop.url) as proxy:
        shop.node_url = proxy.url
        node = await shop.start()
        async with calling(shop, [node]):
            while row.rounds < rounds and node.alive:
                row.rounds += await _cut_once(proxy, chance)
        await back(shop, node)
        row.violations += await shop.resolved(RESOLVED_S, by=node)
        row.violations += [*dishonest(shop), *await shop.broken()]
        if not node.alive:
            row.violations.append("the gateway has ended")
        await node.stop()
    row.note = f"{proxy.cuts} connections cut"
    return row


async def _cut_once(proxy: Proxy, chance: random.Random) -> int:
    await asyncio.sleep(chance.uniform(0, 0.05))
    proxy.cut_at_next_commit()
    cut = await proxy.has_cut(1.0)
    await asyncio.sleep(0.05)
    return int(cut)


# Words ----------------------------------------------------------------------------------------


@asynccontextmanager
async def one_shop(place: Place, seed: int, *, url: str | None = None) -> AsyncIterator[Shop]:
    """On a fresh database of the place, or on that at *url*."""
    where = await asyncio.to_thread(place.fresh) if url is None else url
    nursery = Nursery()
    try:
        async with (
            serving(Vendor(seed)) as vendor,
            open_shop(where, place.home, vendor, nursery, seed=seed) as shop,
        ):
            yield shop
    finally:
        await nursery.close()


@asynccontextmanager
async def calling(shop: Shop, nodes: list[Node]) -> AsyncIterator[None]:
    """Customers who take whichever of *nodes* is there, for as long as the context lasts."""
    going = True

    async def keep_calling() -> None:
        while going:
            call = await shop.callers.call(shop.callers.chance.choice(nodes).port)
            if call.status is None or call.status >= 400:
                await asyncio.sleep(0.05)

    tasks = [asyncio.create_task(keep_calling()) for _ in range(CALLERS)]
    try:
        yield
    finally:
        going = False
        _, late = await asyncio.wait(tasks, timeout=MEET_S)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def back(shop: Shop, node: Node) -> float:
    """How long until a call is paid again."""
    began = time.monotonic()
    while time.monotonic() - began < 3 * READY_S:
        call = await shop.callers.call(node.port)
        if call.end == "whole":
            break
        await asyncio.sleep(0.05)
    return time.monotonic() - began


def dishonest(shop: Shop, *, since: int = 0) -> list[str]:
    """Refusals that blame a good caller, or do not say when to come again."""
    refused = [call for call in shop.callers.calls[since:] if call.end == "refused"]
    blamed = [
        f"a good call was refused with {call.status} {call.code}"
        for call in refused
        if call.status not in HONEST
    ]
    lost = [
        f"a call was refused with 503 {call.code} and not told when to come again"
        for call in refused
        if call.status == 503 and not call.retry_after
    ]
    return blamed + lost
