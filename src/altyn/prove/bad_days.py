"""PostgreSQL on a bad day, under load: it only reads, takes nobody in, or lets transactions fail.

Nothing is restarted, and nothing is done but to end the fault. Callers may hear that they should
come again, never that they are wrong.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import asyncpg
from msgspec import Struct

from altyn.prove.fleet import BACK_S, RESOLVED_S, back, calling, dishonest, one_shop
from altyn.prove.place import Place
from altyn.prove.shop import Node, Shop, patiently
from altyn.prove.table import Row

BEFORE_S = 0.3
LASTS_S = 0.6
LONGEST_S = 5.0
LOCKED_S = 0.15
PATIENCE = "30ms"
"""How long the server lets a transaction wait: for a lock, and before it looks for a deadlock."""

CONNECTED_MAX = 1000
"""More than any server takes that is as it was installed."""

CUTS_MAX = 200

CUT_ONE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'altyn'"
    " ORDER BY backend_start LIMIT 1"
)


class Day(Struct, frozen=True):
    """What is wrong with the database, and whether calls must be refused meanwhile."""

    fault: str
    make: Callable[[Shop, "asyncpg.Connection"], AbstractAsyncContextManager[None]]
    refuses: bool


async def bad_days(place: Place, *, rounds: int, seed: int) -> list[Row]:
    """So many of each kind, in one shop; a row for each kind."""
    rows = [Row(fault=day.fault, database=place.kind) for day in DAYS]
    if place.server is None:
        for row in rows:
            row.note = "needs a private server"
        return rows
    async with one_shop(place, seed) as shop:
        node = await shop.start()
        boss = await asyncpg.connect(place.server.url, timeout=5)
        try:
            await boss.execute("SET default_transaction_read_only = off")
            for day, row in zip(DAYS, rows, strict=True):
                began = time.monotonic()
                for _ in range(rounds):
                    await _live_through(day, shop, node, boss, row)
                row.seconds = time.monotonic() - began
        finally:
            await boss.close()
        await node.stop()
    return rows


async def _live_through(
    day: Day, shop: Shop, node: Node, boss: "asyncpg.Connection", row: Row
) -> None:
    row.rounds += 1
    first = len(shop.callers.calls)
    async with calling(shop, [node]):
        await asyncio.sleep(BEFORE_S)
        async with day.make(shop, boss):
            meanwhile = len(shop.callers.calls)
            await asyncio.sleep(LASTS_S)
            refused = await _refused(
                shop, node, meanwhile, within_s=LONGEST_S if day.refuses else 0
            )
        back_s = await back(shop, node)
    limit_s = patiently(BACK_S)
    if back_s > limit_s:
        row.violations.append(f"no paid call for {back_s:.1f} s after the database was well again")
    if day.refuses and not refused:
        row.violations.append("nobody was refused, although nothing could be written")
    row.violations += await shop.resolved(RESOLVED_S, by=node)
    row.violations += [*dishonest(shop, since=first), *await shop.broken()]
    row.note = f"{refused + _number(row.note)} calls refused meanwhile"


async def _refused(shop: Shop, node: Node, first: int, *, within_s: float) -> int:
    """How many calls were told to come again. Those that run wait for their settlement, so some
    are begun for this alone.
    """
    ends = time.monotonic() + within_s
    while True:
        refused = sum(call.status == 503 for call in shop.callers.calls[first:])
        if refused or time.monotonic() > ends:
            return refused
        await asyncio.wait([asyncio.ensure_future(shop.callers.call(node.port))], timeout=0.5)


def _number(note: str) -> int:
    return int(note.partition(" ")[0] or 0)


# What is wrong --------------------------------------------------------------------------------


@asynccontextmanager
async def _only_reads(_shop: Shop, boss: "asyncpg.Connection") -> AsyncIterator[None]:
    """As a standby, or a server whose operator has set it so."""
    async with _set(boss, default_transaction_read_only="on"):
        yield


@asynccontextmanager
async def _takes_nobody_in(shop: Shop, boss: "asyncpg.Connection") -> AsyncIterator[None]:
    """Others have every connection, and those of the gateway are cut."""
    await shop.books.close()
    others: list[asyncpg.Connection] = []
    try:
        await _take_all(shop.url, others)
        # One by one, and each is taken before the gateway, which wants it back, can have it.
        for _ in range(CUTS_MAX):
            if not await boss.fetch(CUT_ONE):
                break
            await _take_all(shop.url, others)
        yield
    finally:
        for other in others:
            other.terminate()
        await _open_again(shop)


async def _take_all(url: str, others: "list[asyncpg.Connection]") -> None:
    """Until there has been none for a moment: a process that was ended takes one to go."""
    tries = 0
    while tries < 3 and len(others) < CONNECTED_MAX:
        try:
            others.append(await asyncpg.connect(url, timeout=5))
            tries = 0
        except asyncpg.TooManyConnectionsError:
            tries += 1
            await asyncio.sleep(0.005)


async def _open_again(shop: Shop) -> None:
    """The server needs a moment to see that the others have gone."""
    for _ in range(50):
        with suppress(Exception):
            await shop.books.open()
            return
        await asyncio.sleep(0.1)
    await shop.books.open()


@asynccontextmanager
async def _deadlocks(shop: Shop, boss: "asyncpg.Connection") -> AsyncIterator[None]:
    """Somebody locks accounts in the order in which the ledger does not."""
    async with _set(boss, deadlock_timeout=PATIENCE), _meddling(shop, "READ COMMITTED"):
        yield


@asynccontextmanager
async def _cannot_be_serialised(shop: Shop, boss: "asyncpg.Connection") -> AsyncIterator[None]:
    """Every transaction is refused that meets another's change."""
    async with (
        _set(boss, default_transaction_isolation="repeatable read", deadlock_timeout=PATIENCE),
        _meddling(shop, "REPEATABLE READ"),
    ):
        yield


@asynccontextmanager
async def _gives_no_locks(shop: Shop, boss: "asyncpg.Connection") -> AsyncIterator[None]:
    """A lock is refused after a moment, and somebody keeps one for longer, again and again."""
    async with _set(boss, lock_timeout=PATIENCE), _meddling(shop, "READ COMMITTED"):
        yield


DAYS = (
    Day("PostgreSQL only reads, under load", _only_reads, refuses=True),
    Day("PostgreSQL has no connection left", _takes_nobody_in, refuses=True),
    Day("deadlocks under load", _deadlocks, refuses=False),
    Day("serialisation failures under load", _cannot_be_serialised, refuses=False),
    Day("lock timeouts under load", _gives_no_locks, refuses=True),
)


@asynccontextmanager
async def _set(boss: "asyncpg.Connection", **settings: str) -> AsyncIterator[None]:
    """As an operator does it: for the whole server, without a restart."""
    try:
        for name, value in settings.items():
            await boss.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        await boss.execute("SELECT pg_reload_conf()")
        yield
    finally:
        for name in settings:
            await boss.execute(f"ALTER SYSTEM RESET {name}")
        await boss.execute("SELECT pg_reload_conf()")


@asynccontextmanager
async def _meddling(shop: Shop, isolation: str) -> AsyncIterator[None]:
    """A program of the operator's that changes the busiest accounts, and takes its time."""
    meddler = asyncio.create_task(_meddle(shop, isolation))
    try:
        yield
    finally:
        meddler.cancel()
        await asyncio.gather(meddler, return_exceptions=True)


async def _meddle(shop: Shop, isolation: str) -> None:
    connection = await asyncpg.connect(shop.url, timeout=5)
    chance = random.Random(shop.account_id)
    try:
        rows = await connection.fetch("SELECT id FROM accounts WHERE kind = 'revenue'")
        operators = [row["id"] for row in rows]
        while True:
            with suppress(asyncpg.PostgresError):
                await _lock_backwards(
                    connection, isolation, shop.account_id, chance.choice(operators)
                )
            await asyncio.sleep(0.01)
    finally:
        connection.terminate()


async def _lock_backwards(
    connection: "asyncpg.Connection", isolation: str, customer: int, operator: int
) -> None:
    sql = "UPDATE accounts SET name = name WHERE id = $1"
    async with connection.transaction():
        await connection.execute(f"SET TRANSACTION ISOLATION LEVEL {isolation}")
        await connection.execute("SET LOCAL lock_timeout = 0")
        for account in (operator, customer):  # the ledger begins with the customer
            await connection.execute(sql, account)
            await asyncio.sleep(LOCKED_S / 2)
