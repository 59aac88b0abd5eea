"""A disk that fails: for a while every write, or every sync, of a running process ends in EIO.

A commit whose sync has failed is neither there nor not there: it may be found after a crash.
"""

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from altyn.database.migrate import migrate
from altyn.prove.children import Say, fork
from altyn.prove.disk import GIVE_UP_S, RESOLVED_S, live_through, migrate_again
from altyn.prove.fleet import calling, dishonest, one_shop
from altyn.prove.place import Place
from altyn.prove.shop import READY_S, Node, Shop, patiently
from altyn.prove.strace import CANNOT, CannotTraceError, failing
from altyn.prove.table import Row

SYNCS = "fsync,fdatasync"
WRITES = "pwrite64,ftruncate"
WAYS = (SYNCS, WRITES, f"{SYNCS},{WRITES}")
OF_A_MIGRATION = ((SYNCS, 4), ("pwrite64", 50))
"""How many of which a migration makes at least."""


async def fail_under_load(place: Place, *, rounds: int, seed: int) -> Row:
    """Under load, for a while; then the disk is good again."""
    row = Row(fault="I/O errors under load", database=place.kind)
    chance = random.Random(seed)
    failed = 0

    @contextmanager
    def bad(_shop: Shop, node: Node) -> Iterator[None]:
        nonlocal failed
        with failing(node.pid, chance.choice(WAYS)) as failures:
            yield
        failed += failures.count

    try:
        await live_through(place, row, seed, rounds=rounds, bad=bad)
        row.note += f", {failed} system calls failed"
    except CannotTraceError:
        row.note = CANNOT
    return row


async def fail_then_kill(place: Place, *, rounds: int, seed: int) -> Row:
    """The process dies while its disk fails: what was refused may be there, what was told must."""
    row = Row(fault="I/O errors under load, then killed", database=place.kind)
    chance = random.Random(seed)
    failed = 0
    try:
        async with one_shop(place, seed) as shop:
            node = await shop.start()
            for _ in range(rounds):
                async with calling(shop, [node]):
                    failed += await _kill_while_it_fails(shop, node, chance)
                node = await shop.start()
                row.rounds += 1
                if node.ready_s is None or node.ready_s > patiently(READY_S):
                    row.violations.append("not ready within ten seconds of the next start")
                row.violations += await shop.resolved(RESOLVED_S, by=node)
                row.violations += [*dishonest(shop), *await shop.broken()]
            await node.stop()
        row.note = f"{failed} system calls failed"
    except CannotTraceError:
        row.note = CANNOT
    return row


async def _kill_while_it_fails(shop: Shop, node: Node, chance: random.Random) -> int:
    paying = asyncio.create_task(shop.keep_depositing())
    await asyncio.sleep(0.2)
    with failing(node.pid, chance.choice(WAYS)) as failures:
        await asyncio.sleep(chance.uniform(0, 0.4))
        await node.kill()
    paying.cancel()
    return failures.count


def fail_while_migrating(place: Place, *, rounds: int, seed: int) -> Row:
    """One write or sync of a migration fails; when the disk is good, it is done again."""
    row = Row(fault="I/O error while migrating", database=place.kind)
    chance = random.Random(seed)
    folder = place.folder / "failing"
    folder.mkdir()
    failed = 0
    try:
        for number in range(rounds):
            calls, count = chance.choice(OF_A_MIGRATION)
            lines = _fail_once(folder / f"{number}.db", calls, chance.randint(1, count))
            row.violations += [line for line in lines if line.startswith("violation")]
            failed += any(line.startswith("failed") for line in lines)
            row.rounds += 1
        row.note = f"{failed} ended there and were done again"
    except CannotTraceError:
        row.note = CANNOT
    return row


def _fail_once(path: Path, calls: str, nth: int) -> list[str]:
    child = fork(partial(_migrate, path))
    try:
        with failing(child.pid, calls, when=str(nth)):
            child.tell("go")
            child.hear(GIVE_UP_S, until="tried")
        child.tell("go")
        child.hear(GIVE_UP_S, until="done")
    finally:
        child.kill()
    return child.lines


async def _migrate(path: Path, say: Say) -> None:
    url = f"sqlite:///{path}"
    say.wait()
    try:
        await migrate(url)
    except Exception as error:  # noqa: BLE001 -- however it says so, the disk has failed
        say(f"failed {error}")
    say("tried")
    say.wait()
    await migrate_again(url, say, met="an I/O error")
    say("done")
