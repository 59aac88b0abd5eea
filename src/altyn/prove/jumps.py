"""Clocks that somebody sets, an hour on or back, while calls run and while none does."""

import asyncio
import random
import signal

from altyn.prove.fleet import RESOLVED_S, calling, dishonest, one_shop
from altyn.prove.place import Place
from altyn.prove.shop import Node, Shop
from altyn.prove.table import Row

FORWARD, BACK = signal.SIGUSR1, signal.SIGUSR2
PAIRS = ((FORWARD, BACK), (BACK, FORWARD))
HEARTBEAT_S = 0.25
"""So that sweeps meet the clock that has just jumped."""

LOAD_S = 0.4


async def jump(place: Place, *, rounds: int, seed: int) -> Row:
    """One jump during calls and one between them, in turn on and back, of the gateway's clock and
    of its database's.
    """
    row = Row(fault="clocks jump by an hour, during calls and between", database=place.kind)
    chance = random.Random(seed)
    async with one_shop(place, seed) as shop:
        node = await shop.start(heartbeat_s=HEARTBEAT_S)
        for number in range(rounds):
            row.rounds += 1
            row.violations += await _jump_twice(shop, node, PAIRS[number % 2], chance)
        await node.stop()
    return row


async def _jump_twice(
    shop: Shop, node: Node, jumps: tuple[signal.Signals, signal.Signals], chance: random.Random
) -> list[str]:
    first = len(shop.callers.calls)
    async with calling(shop, [node]):
        await asyncio.sleep(chance.uniform(0.1, LOAD_S))
        node.signal(jumps[0])
        await asyncio.sleep(LOAD_S)
    found = await shop.resolved(RESOLVED_S, by=node)
    node.signal(jumps[1])
    async with calling(shop, [node]):
        await asyncio.sleep(LOAD_S)
    found += await shop.resolved(RESOLVED_S, by=node)
    answered = sum(call.end == "whole" for call in shop.callers.calls[first:])
    return [
        *found,
        *([] if answered else ["no call was answered"]),
        *dishonest(shop, since=first),
        *await shop.broken(),
    ]
