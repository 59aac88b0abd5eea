"""A key is revoked while calls pour in with it, at every process: when does the last one begin?"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from altyn.control.ask import ask
from altyn.prove.callers import Callers
from altyn.prove.fleet import RESOLVED_S, one_shop
from altyn.prove.place import Place
from altyn.prove.shop import EMAIL, Node, Shop, patiently
from altyn.prove.table import Row

PROCESSES = {"sqlite": (1,), "postgresql": (1, 4)}
CALLERS = 4
"""At each process."""

FLOOD_S = 0.5
POURS_S = 20.0
"""A busy machine takes longer than `FLOOD_S` until each process has taken a call."""

AFTER_S = 0.5
"""The flood goes on for so long after all have refused: nobody may take the key again."""

ONE_S, MANY_S = 1.0, 5.0
"""The last call to an upstream begins within so long after the revocation was answered."""


async def revoke_in_a_flood(place: Place, *, rounds: int, seed: int) -> list[Row]:
    """A new key each time; a row for each number of processes."""
    return [await _flood(place, count, rounds, seed) for count in PROCESSES[place.kind]]


async def _flood(place: Place, count: int, rounds: int, seed: int) -> Row:
    row = Row(fault=f"key revoked in a flood at {count} processes", database=place.kind)
    limit_s = patiently(ONE_S if count == 1 else MANY_S)
    began, slowest_s = time.monotonic(), 0.0
    async with one_shop(place, seed) as shop:
        nodes = [await shop.start(beside=True) for _ in range(count)]
        for number in range(rounds):
            row.rounds += 1
            last_s, found = await _revoke_one(shop, nodes, seed + number, limit_s)
            slowest_s = max(slowest_s, last_s)
            row.violations += found
        row.violations += await shop.resolved(RESOLVED_S, by=nodes[0])
        row.violations += await shop.broken()
        for node in nodes:
            await node.stop()
    row.note = f"no call began later than {slowest_s:.2f} s after the answer"
    row.seconds = time.monotonic() - began
    return row


async def _revoke_one(
    shop: Shop, nodes: list[Node], seed: int, limit_s: float
) -> tuple[float, list[str]]:
    """How long after the answer the last upstream call began, and what was wrong."""
    key: Any = await asyncio.to_thread(ask, shop.settings, "key.create", user=EMAIL, name="flood")
    floods = [Callers(key["key"], shop.callers.models, seed + place) for place in range(len(nodes))]
    tasks = [
        asyncio.create_task(flood.keep_calling(node.port))
        for flood, node in zip(floods, nodes, strict=True)
        for _ in range(CALLERS)
    ]
    await asyncio.sleep(FLOOD_S)
    await _until_all(_pours, floods, within_s=POURS_S)
    dry = _dry(floods)
    await asyncio.to_thread(ask, shop.settings, "key.revoke", id=key["id"])
    revoked_s = time.monotonic()
    await _until_all(_refuses, floods, within_s=limit_s)
    await asyncio.sleep(AFTER_S)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for flood in floods:
        shop.callers.calls += [call for call in flood.calls if call.code != "revoked_api_key"]
    last_s = max((bill.began_s for bill in shop.vendor.bills.values()), default=0.0) - revoked_s
    return max(0.0, last_s), [*judge(floods, last_s, limit_s), *dry]


async def _until_all(
    has_happened: Callable[[Callers], bool], floods: list[Callers], *, within_s: float
) -> None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline and not all(map(has_happened, floods)):  # noqa: ASYNC110 -- it tells nobody
        await asyncio.sleep(0.05)


def _pours(flood: Callers) -> bool:
    return any(call.status == 200 for call in flood.calls)


def _refuses(flood: Callers) -> bool:
    return any(call.code == "revoked_api_key" for call in flood.calls)


def judge(floods: list[Callers], last_s: float, limit_s: float) -> list[str]:
    """Every process has refused the key in the end, and none has begun a call after *limit_s*."""
    found = [
        f"process {place} never refused the key"
        for place, flood in enumerate(floods)
        if not _refuses(flood)
    ]
    if last_s > limit_s:
        found.append(f"a call began {last_s:.1f} s after its key was revoked")
    return found


def _dry(floods: list[Callers]) -> list[str]:
    return [
        f"process {place} had taken no call before the key was revoked"
        for place, flood in enumerate(floods)
        if not _pours(flood)
    ]
