"""The disk: every commit reaches it, and when it is full nothing is lost and nothing has to be done
but to make room.
"""

import asyncio
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path

from altyn.database.address import open_database
from altyn.database.migrate import head_revision, migrate
from altyn.ledger import workers
from altyn.ledger.moves import Deposit
from altyn.ledger.writer import Writer
from altyn.prove.books import add_person, hold
from altyn.prove.children import Say, fork
from altyn.prove.fleet import back, calling, dishonest, one_shop
from altyn.prove.place import Place
from altyn.prove.shop import Node, Shop
from altyn.prove.strace import CANNOT, find_strace
from altyn.prove.table import Row
from altyn.usage.record import record_changes

SYNCED_COMMITS = 30
BAD_S = 0.7
ROOM_BYTES = 64 * 1024
SMALL_BYTES = 12 * 1024 * 1024
BALLAST_BYTES = 4096
BACK_S = 10.0
RESOLVED_S = 25.0
STEP_BYTES = 24 * 1024
GIVE_UP_S = 60.0
NO_LIMIT = resource.RLIM_INFINITY


def count_syncs(place: Place) -> Row:
    """At least one sync of the disk for each commit of money: what a kill can never show."""
    row = Row(fault="each commit of money is synced", database=place.kind)
    if place.kind == "sqlite":
        return _with_strace(place, row)
    return asyncio.run(_by_its_own_count(place.fresh(), row))


def _with_strace(place: Place, row: Row) -> Row:
    strace = find_strace()
    if strace is None:
        row.note = CANNOT
        return row
    with tempfile.NamedTemporaryFile() as trace:
        command = [strace, "-f", "-e", "trace=fsync,fdatasync", "-o", trace.name]
        said = subprocess.run(
            [*command, sys.executable, "-m", "altyn.prove.disk", place.fresh()],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            timeout=GIVE_UP_S,
            check=True,
        )
        syncs = trace.read().count(b"sync(")
    return _judge(row, commits=int(said.stdout), syncs=syncs)


async def _by_its_own_count(url: str, row: Row) -> Row:
    database = open_database(url)
    await database.open()
    try:
        before = await _wal_syncs(database)
        commits = await commit_one_by_one(url)
        await asyncio.sleep(1)  # it counts with a delay
        syncs = await _wal_syncs(database) - before
    finally:
        await database.close()
    return _judge(row, commits=commits, syncs=syncs)


async def _wal_syncs(database: object) -> int:
    rows = await database.read("SELECT wal_sync FROM pg_stat_wal")  # type: ignore[attr-defined]
    return int(rows[0][0])


def _judge(row: Row, *, commits: int, syncs: int) -> Row:
    row.rounds = commits
    row.note = f"{syncs} syncs"
    if syncs < commits:
        row.violations.append(f"{commits} commits, and only {syncs} syncs")
    return row


async def commit_one_by_one(url: str) -> int:
    """Commit holds, each alone; how many commits that were."""
    database = open_database(url)
    await database.open()
    try:
        owner = await database.write(workers.start_worker)
        writer = Writer(database, owner=owner, record_changes=record_changes)
        person = await add_person(database)
        await writer.post(Deposit(account_id=person.account, amount_nanos=1000, reference="r"))
        before = writer.commits
        for number in range(SYNCED_COMMITS):
            await writer.post(hold(person, f"h{number}", 1))
        return writer.commits - before
    finally:
        await database.close()


# Full -----------------------------------------------------------------------------------------


async def fill(place: Place, *, rounds: int, seed: int) -> Row:
    """No file of a running gateway may grow any more, for a while; then it may again."""
    row = Row(fault="disk full under load", database=place.kind)
    chance = random.Random(seed)

    @contextmanager
    def full(shop: Shop, node: Node) -> Iterator[None]:
        # At once, or a little later; beyond the largest file nothing would ever be written.
        _allow(node, chance.choice((0, chance.randrange(_largest(shop.url) + ROOM_BYTES))))
        try:
            yield
        finally:
            _allow(node, NO_LIMIT)

    await live_through(place, row, seed, rounds=rounds, bad=full)
    return row


async def fill_for_real(place: Place, *, rounds: int, seed: int) -> Row:
    """The same on a file system of a few MB, where a write meets ENOSPC in the middle."""
    row = Row(fault="no space left (tmpfs) under load", database=place.kind)
    chance = random.Random(seed)

    @contextmanager
    def full(shop: Shop, _node: Node) -> Iterator[None]:
        ballast = Path(shop.url.removeprefix("sqlite:///")).parent / "ballast"
        try:
            _take_all_but(ballast, chance.choice((0, chance.randrange(ROOM_BYTES))))
            yield
        finally:
            ballast.unlink()

    with _small_disk(place.folder / f"small-{seed}") as folder:
        if folder is None:
            row.note = "a file system of our own cannot be mounted here"
            return row
        path = place.fresh().removeprefix("sqlite:///")
        url = f"sqlite:///{shutil.copy(path, folder / 'altyn.db')}"
        await live_through(place, row, seed, rounds=rounds, bad=full, url=url)
    return row


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path | None]:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_BYTES}", "altyn-prove", str(folder)]
    if os.geteuid() or subprocess.run(command, check=False, capture_output=True).returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def _take_all_but(ballast: Path, room_bytes: int) -> None:
    """Write until nothing goes any more, then give a little back."""
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(BALLAST_BYTES))
    os.truncate(ballast, max(0, ballast.stat().st_size - room_bytes))


Bad = Callable[[Shop, Node], AbstractContextManager[None]]


async def live_through(
    place: Place, row: Row, seed: int, *, rounds: int, bad: Bad, url: str | None = None
) -> None:
    """Customers call, the disk is *bad* for a while, and is good again."""
    slowest, felt = 0.0, 0
    async with one_shop(place, seed, url=url) as shop:
        node = await shop.start()
        for _ in range(rounds):
            row.rounds += 1
            async with calling(shop, [node]):
                await asyncio.sleep(0.3)
                with bad(shop, node):
                    await asyncio.sleep(BAD_S / 2)
                    paid = _count_paid(shop)
                    await asyncio.sleep(BAD_S / 2)
                    felt += _count_paid(shop) == paid
                back_s = await back(shop, node)
            slowest = max(slowest, back_s)
            if back_s > BACK_S:
                row.violations.append(f"no paid call for {back_s:.1f} s once the disk was good")
            row.violations += await shop.resolved(RESOLVED_S, by=node)
            row.violations += [*dishonest(shop), *await shop.broken()]
        await node.stop()
    row.note = f"in {felt} no call was paid meanwhile, then again within {slowest:.1f} s"


def _count_paid(shop: Shop) -> int:
    return sum(call.end == "whole" for call in shop.callers.calls)


def _allow(node: Node, size_bytes: int) -> None:
    """How large a file of this process may become, from now on."""
    resource.prlimit(node.pid, resource.RLIMIT_FSIZE, (size_bytes, NO_LIMIT))


def _largest(url: str) -> int:
    path = url.removeprefix("sqlite:///")
    return max(_size(path), _size(f"{path}-wal"))


def _size(path: str) -> int:
    return os.stat(path).st_size if os.path.exists(path) else 0  # noqa: PTH110, PTH116 -- a name with a suffix


def fill_while_migrating(place: Place) -> Row:
    """The disk is full at every step of a migration; when there is room, it is done again."""
    row = Row(fault="disk full while migrating", database=place.kind)
    folder = place.folder / "migrating"
    folder.mkdir()
    size_bytes = 0
    while True:
        size_bytes += STEP_BYTES
        path = folder / f"{size_bytes}.db"
        child = fork(partial(_migrate_within, path, size_bytes))
        child.hear(GIVE_UP_S, until="done")
        child.kill()
        row.violations += [line for line in child.lines if line.startswith("violation")]
        if "enough" in child.lines or size_bytes > 100 * STEP_BYTES:
            return row
        row.rounds += 1


async def _migrate_within(path: Path, size_bytes: int, say: Say) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, NO_LIMIT))
    url = f"sqlite:///{path}"
    try:
        await migrate(url)
        say("enough")
    except Exception:  # noqa: BLE001 -- however it says so, the disk is full
        resource.setrlimit(resource.RLIMIT_FSIZE, (NO_LIMIT, NO_LIMIT))
        await migrate_again(url, say, met="a full disk")
    say("done")


async def migrate_again(url: str, say: Say, *, met: str) -> None:
    await migrate(url)
    database = open_database(url)
    await database.open()
    rows = await database.read("SELECT version_num FROM alembic_version")
    if rows[0][0] != head_revision():
        say(f"violation a migration that met {met} ended at {rows[0][0]}")


if __name__ == "__main__":
    print(asyncio.run(commit_one_by_one(sys.argv[1])))  # noqa: T201 -- told to whoever started it
