"""Load for as long as you like, with pauses in which no memory, socket or hold may be left."""

import asyncio
import time
from pathlib import Path

from msgspec import Struct

from altyn.prove.fleet import calling, dishonest, one_shop
from altyn.prove.place import Place
from altyn.prove.shop import Node, Shop
from altyn.prove.table import Row

PAGE_KIB = 4
LOAD_S = 6.0
REST_S = 4.0
RESOLVED_S = 25.0
GROWTH_MAX_KIB = 8 * 1024
"""What the second half of a soak may use more than the first, after a tenth of it to warm up."""

FILES_MORE = 20
"""Sockets that are kept alive for the next call, to the database or an upstream."""


class Sample(Struct, frozen=True):
    """A process at rest."""

    memory_kib: int
    files: int
    threads: int


async def soak(place: Place, *, minutes: float, seed: int) -> Row:
    row = Row(fault="soak", database=place.kind)
    samples: list[Sample] = []
    ends = time.monotonic() + 60 * minutes
    async with one_shop(place, seed) as shop:
        node = await shop.start(cold=True)
        samples.append(sample(node))
        while time.monotonic() < ends:
            row.rounds += 1
            async with calling(shop, [node]):
                await asyncio.sleep(min(LOAD_S, ends - time.monotonic()))
            row.violations += await _at_rest(shop, node)
            samples.append(sample(node))
        row.violations += [*dishonest(shop), *await shop.broken(), *_leaks(samples)]
        calls = len(shop.callers.calls)
        await node.stop()
    first, last = samples[0], samples[-1]
    row.note = (
        f"{calls} calls, {first.memory_kib // 1024} to {last.memory_kib // 1024} MiB,"
        f" {first.files} to {last.files} files"
    )
    return row


async def _at_rest(shop: Shop, node: Node) -> list[str]:
    found = await shop.resolved(RESOLVED_S, by=node)
    await asyncio.sleep(REST_S)
    return found if node.alive else [*found, "the gateway has ended"]


def sample(node: Node) -> Sample:
    home = Path("/proc") / str(node.pid)
    return Sample(
        memory_kib=int((home / "statm").read_text().split()[1]) * PAGE_KIB,
        files=len(list((home / "fd").iterdir())),
        threads=len(list((home / "task").iterdir())),
    )


def _leaks(samples: list[Sample]) -> list[str]:
    warm = samples[max(1, len(samples) // 10) :]
    half = len(warm) // 2
    if not half:
        return []
    found = []
    growth = max(one.memory_kib for one in warm[half:]) - max(one.memory_kib for one in warm[:half])
    if growth > GROWTH_MAX_KIB:
        found.append(f"memory grew by {growth} KiB between the halves")
    if warm[-1].files > samples[0].files + FILES_MORE:
        found.append(f"{warm[-1].files} files are open, {samples[0].files} at the start")
    if warm[-1].threads > warm[0].threads + 4:
        found.append(f"{warm[-1].threads} threads, {warm[0].threads} before")
    return found
