"""A world without waiting: time that leaps to the next thing to happen, and a database in memory.

Inside `virtual_time` every clock of the process tells the same made-up time, and an event loop that
has nothing to do moves it. What runs is decided by one seed.
"""

import asyncio
import random
import selectors
import sqlite3
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from unittest import mock

from altyn.database.bulk import Row
from altyn.database.engine import (
    CommitUnknownError,
    Database,
    StoreUnavailableError,
    Work,
)
from altyn.database.sqlite import SqliteTransaction
from altyn.ledger import workers

T = TypeVar("T")
BEGINS_S = 1_795_000_000.0
"""When the world begins, in seconds since 1970."""

LEAP_MIN_S = 1e-6
"""So that the clock moves at all: a smaller step could be lost in rounding."""


class NothingHappensError(Exception):
    """Everybody waits for somebody else: a real process would hang for ever."""


class Clock:
    """What everybody here is told, in seconds since the world began."""

    def __init__(self) -> None:
        self.now_s = 1.0
        self.wall_ahead_s = 0.0
        """How far somebody has set the clock of the machines ahead; the database has its own."""

    def steady_s(self) -> float:
        return self.now_s

    def wall_s(self) -> float:
        return BEGINS_S + self.now_s + self.wall_ahead_s

    def wall_ns(self) -> int:
        return int(self.wall_s() * 1e9)

    def database_ms(self) -> int:
        return int((BEGINS_S + self.now_s) * 1000)


class LeapingSelector(selectors.SelectSelector):
    """Waits for no file: it moves the clock to where the loop wanted to wake up."""

    clock: Clock

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise NothingHappensError
        self.clock.now_s += max(timeout, LEAP_MIN_S)
        return []


class ShufflingLoop(asyncio.SelectorEventLoop):
    """Runs what is ready in an order of the seed's choosing."""

    chance: random.Random

    def _run_once(self) -> None:
        ready: Any = self._ready  # type: ignore[attr-defined]
        if len(ready) > 1:
            handles = list(ready)
            self.chance.shuffle(handles)
            ready.clear()
            ready.extend(handles)
        super()._run_once()  # type: ignore[misc]


@contextmanager
def virtual_time() -> Iterator[Clock]:
    clock = Clock()
    with (
        mock.patch("time.monotonic", clock.steady_s),
        mock.patch("time.time", clock.wall_s),
        mock.patch("time.time_ns", clock.wall_ns),
        mock.patch.dict(workers.NOW, {"sqlite": "virtual_ms()"}),
    ):
        yield clock


def run(work: Coroutine[Any, Any, T], *, clock: Clock, chance: random.Random) -> T:
    """Run *work* to its end in virtual time."""
    selector = LeapingSelector()
    selector.clock = clock
    # Whatever draws lots without a seed of its own, as the router does.
    random.seed(chance.getrandbits(32))
    loop = ShufflingLoop(selector)
    loop.chance = chance
    # What a dead process leaves behind is nobody's to hear of.
    loop.set_exception_handler(lambda *_: None)
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


class Files:
    """What would lie on disk: one SQLite database that outlives every process of a seed."""

    def __init__(self, template: bytes, clock: Clock) -> None:
        self.connection = sqlite3.connect(
            ":memory:", isolation_level=None, cached_statements=512, check_same_thread=False
        )
        self.connection.deserialize(template)
        self.connection.execute("PRAGMA foreign_keys = ON")
        self.connection.create_function("virtual_ms", 0, clock.database_ms)


Fault = Callable[[], str]
"""What becomes of the next operation: `""`, `down`, `lost` (a commit that never came to be) or
`unanswered` (one that did, and nobody was told)."""


class MemoryDatabase(Database):
    """One process's way to the files. After `cut` it is never answered again: it is dead."""

    kind = "sqlite"

    def __init__(self, files: Files, *, fault: Fault, pause_s: Callable[[], float]) -> None:
        self.files = files
        self.fault = fault
        self.pause_s = pause_s
        self.is_cut = False
        self.away_until_s = 0.0

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def listen(self, tell: Callable[[], None]) -> None: ...

    def cut(self) -> None:
        self.is_cut = True

    async def read(self, sql: str, *values: Any) -> Sequence[Row]:
        await self._wait()
        if self.fault():
            raise StoreUnavailableError("a fault of the proof")
        named = {str(number): value for number, value in enumerate(values, 1)}
        return self.files.connection.execute(sql, named).fetchall()

    async def write(self, work: Work[T]) -> T:
        await self._wait()
        fault = self.fault()
        if fault == "down":
            raise StoreUnavailableError("a fault of the proof")
        result = self._commit(work, keep=fault != "lost")
        await self._wait()
        if fault:
            raise CommitUnknownError(f"a fault of the proof: {fault}")
        return result

    def _commit(self, work: Work[T], *, keep: bool) -> T:
        connection = self.files.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            result: T = _run_to_end(work(SqliteTransaction(connection)))
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT" if keep else "ROLLBACK")
        return result

    async def _wait(self) -> None:
        await asyncio.sleep(self.pause_s())
        if self.is_cut:
            await asyncio.get_running_loop().create_future()
        if time.monotonic() < self.away_until_s:
            await asyncio.sleep(1)
            raise StoreUnavailableError("the proof has cut this process off")


def _run_to_end(work: Any) -> Any:
    """A transaction on SQLite never waits."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise RuntimeError("work inside a SQLite transaction waited for something")
