"""Thousands of calls through the real gateway in a made-up world: one seed, one history.

Two processes of the gateway share one database. Callers hang up, upstreams fail in every way they
know, the database is away, commits are lost or not answered, processes are cut off, killed and
started, prices change, clocks are set. In the end everything is healthy for a while: then nothing
may be held any more, and ledger, upstreams and callers must agree. A seed that fails, fails again.
"""

import asyncio
import os
import random
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from typing import Any

from altyn.catalog.load import add_price, load_catalog
from altyn.catalog.price import Price
from altyn.chat import ChatBody, ChatEvent, UserMessage
from altyn.database.engine import StoreUnavailableError
from altyn.errors import AltynError
from altyn.gateway.attempt import Attempt
from altyn.gateway.desk import Desk
from altyn.gateway.meter import Meter
from altyn.gateway.order import Order, take_order
from altyn.gateway.recovery import LOOK_UP_S, resolve_abandoned, resolve_unknown
from altyn.gateway.shelf import Shelf
from altyn.keys.limits import Limits, Rates
from altyn.keys.store import Caller
from altyn.ledger import workers
from altyn.ledger.moves import Deposit, Refund, RefusedMoveError
from altyn.ledger.writer import Writer
from altyn.prove.children import end_with_parent
from altyn.prove.scripted import ScriptedClient, Vendors
from altyn.prove.simulated_books import Asked, differences
from altyn.prove.table import Row
from altyn.prove.virtual import Clock, Files, MemoryDatabase, run, virtual_time
from altyn.prove.world import BOTH, SILENT, TELLING, World
from altyn.upstream.router import Router
from altyn.usage.record import record_changes

REQUESTS = 200
CALLERS = 12
NODES = 2
HEAL_S = 20 * 60
"""How long everything is healthy in the end: longer than any hold, known or unknown, may live."""

SEEDS_AT_A_TIME = 5
"""A process takes so many at once: half a second of its time."""

NO_RATES = Rates()
REFUSALS = (402, 503)
"""What a good call may be refused with: no money, or no database."""


# One process -----------------------------------------------------------------------------------


class Node:
    """What of a process the money passes through, as `App` puts it together."""

    def __init__(self, seed: "Seed") -> None:
        self.seed = seed
        self.database = MemoryDatabase(
            seed.files, fault=seed.database_fault, pause_s=seed.database_pause_s
        )
        self.alive = False
        self.died: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.limits = Limits(clock=time.monotonic)
        self._clocks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        world = self.seed.world
        owner = await self.database.write(workers.start_worker)
        self.owner = owner
        self.writer = Writer(self.database, owner=owner, record_changes=record_changes)
        self.client = ScriptedClient(Router(time.monotonic), self.seed.vendors)
        self.desk = Desk(
            settings=world.settings, writer=self.writer, client=self.client, meter=Meter()
        )
        self.desk.shelf = self.shelf = self.seed.shelf
        self.alive = True
        for every_s, what in (
            (workers.HEARTBEAT_S, self._sweep),
            (LOOK_UP_S, self._look_up),
        ):
            self._clocks.append(asyncio.create_task(_every(every_s, what)))
        self._clocks.append(asyncio.create_task(self.desk.watch()))

    def kill(self) -> None:
        """Nothing of it is heard, written or sent any more."""
        if not self.alive:
            return
        self.alive = False
        self.died.set_result(None)
        self.database.cut()
        for task in [*self._clocks, *(attempt.task for attempt in self.desk.attempts)]:
            task.cancel()

    async def _sweep(self) -> None:
        if await self.database.write(lambda tx: workers.beat(tx, self.owner)):
            await resolve_abandoned(
                self.database, self.writer, self.shelf.catalog, self.shelf.providers
            )

    async def _look_up(self) -> None:
        await resolve_unknown(
            self.database,
            self.writer,
            self.shelf.catalog,
            self.shelf.providers,
            self.client.look_up,
        )


async def _every(seconds: float, what: Any) -> None:
    while True:
        await asyncio.sleep(seconds)
        with suppress(StoreUnavailableError):
            await what()


# One seed --------------------------------------------------------------------------------------


class Seed:
    """One history. `asked` and `deposits` are what its callers know."""

    def __init__(self, number: int, world: World, clock: Clock, requests: int) -> None:
        self.number = number
        self.world = world
        self.clock = clock
        self.chance = random.Random(number)
        self.files = Files(world.template, clock)
        self.vendors = Vendors(self.chance, self.upstream_fault)
        self.nodes: list[Node] = []
        self.stormy = False
        self.left = requests
        self.asked: dict[str, Asked] = {}
        self.deposits: dict[str, int] = {}
        self.odd: list[str] = []
        self.catalog = world.catalog
        self.shelf = world.shelf
        self._payments = 0

    # Faults -----------------------------------------------------------------------------------

    def database_fault(self) -> str:
        if not self.stormy or self.chance.random() > 0.08:
            return ""
        return self.chance.choice(("down", "lost", "unanswered"))

    def database_pause_s(self) -> float:
        return self.chance.choice((0.0, 0.0005, 0.002, 0.05 if self.stormy else 0.001))

    def upstream_fault(self) -> bool:
        return self.stormy and self.chance.random() < 0.02

    # The history ------------------------------------------------------------------------------

    async def live(self) -> list[str]:
        for _ in range(NODES):
            await self._start_node()
        await self._pay_in(self.nodes[0])
        callers = [asyncio.create_task(self._keep_calling()) for _ in range(CALLERS)]
        weather = asyncio.create_task(self._make_weather())
        await asyncio.gather(*callers)
        await asyncio.wait((weather,), timeout=0)
        weather.cancel()
        await self._heal()
        database = MemoryDatabase(self.files, fault=lambda: "", pause_s=lambda: 0.0)
        found = await differences(database, self.vendors, self.asked, self.deposits)
        found += self.odd
        for node in self.nodes:
            node.kill()
        await _let_everything_end()
        return found

    async def _start_node(self) -> None:
        while True:
            node = Node(self)
            try:
                await node.start()
            except StoreUnavailableError:
                continue
            self.nodes.append(node)
            return

    async def _keep_calling(self) -> None:
        while self.left > 0:
            self.left -= 1
            await asyncio.sleep(self.chance.choice((0, 0.01, 0.5)))
            await self._call(await self._living_node())

    async def _make_weather(self) -> None:
        """What goes wrong around the calls, until they have ended."""
        while True:
            await asyncio.sleep(self.chance.uniform(0.05, 5.0))
            match self.chance.randrange(8):
                case 0 | 1:
                    self.stormy = not self.stormy
                case 2:
                    await self._kill_one()
                case 3:
                    await self._pay_in(await self._living_node())
                case 4:
                    await self._pay_back(await self._living_node())
                case 5:
                    # Somebody sets the clock of the machines; the database has its own.
                    self.clock.wall_ahead_s = self.chance.choice((-3600.0, 0.0, 5.0, 3600.0))
                case 6:
                    await self._cut_one_off()
                case _:
                    await self._change_a_price(await self._living_node())

    async def _kill_one(self) -> None:
        (await self._living_node()).kill()

    async def _cut_one_off(self) -> None:
        """Its database is away for longer than a process may be silent."""
        node = await self._living_node()
        node.database.away_until_s = self.clock.now_s + self.chance.choice((1.0, 30.0, 100.0))

    async def _heal(self) -> None:
        self.stormy = False
        self.vendors.healthy = True
        self.clock.wall_ahead_s = 0.0
        await self._living_node()
        for node in self.nodes:
            node.database.away_until_s = 0.0
        until_s = self.clock.now_s + HEAL_S
        while self.clock.now_s < until_s and self._is_anything_held():  # noqa: ASYNC110 -- a look
            await asyncio.sleep(workers.HEARTBEAT_S)
        await asyncio.sleep(workers.HEARTBEAT_S)

    def _is_anything_held(self) -> bool:
        return bool(self.files.connection.execute("SELECT 1 FROM holds LIMIT 1").fetchone())

    async def _living_node(self) -> Node:
        """Whoever runs them starts another when one has died."""
        alive = [node for node in self.nodes if node.alive]
        while len(alive) < NODES:
            self.nodes = alive
            await self._start_node()
            alive = [node for node in self.nodes if node.alive]
        return self.chance.choice(alive)

    # Money in and back ------------------------------------------------------------------------

    async def _pay_in(self, node: Node) -> None:
        self._payments += 1
        reference, nanos = f"p{self._payments}", self.chance.choice((10**6, 10**8, 10**9))
        move = Deposit(
            account_id=self.world.callers[0].account.id, amount_nanos=nanos, reference=reference
        )
        # A payment provider repeats what was not answered, at another process perhaps.
        for _ in range(20):
            with suppress(StoreUnavailableError, TimeoutError):
                await asyncio.wait_for(asyncio.shield(node.writer.post(move)), 30)
                self.deposits[reference] = nanos
                return
            node = await self._living_node()

    async def _pay_back(self, node: Node) -> None:
        charged = [one for one in self.asked.values() if one.charged_nanos]
        if not charged:
            return
        one = self.chance.choice(charged)
        move = Refund(
            account_id=self.world.callers[0].account.id,
            amount_nanos=one.charged_nanos or 0,
            request_id=one.order.request_id,
        )
        with suppress(StoreUnavailableError, RefusedMoveError, TimeoutError):
            await asyncio.wait_for(asyncio.shield(node.writer.post(move)), 30)

    async def _change_a_price(self, node: Node) -> None:
        """For calls that are accepted from now on; those under way keep theirs."""
        price = Price(input=self.chance.randrange(10**6), output=self.chance.randrange(10**7))
        model = self.chance.choice((TELLING, SILENT, BOTH))
        with suppress(StoreUnavailableError):
            await node.database.write(
                lambda tx: add_price(tx, model_id=model, kind="sell", price=price)
            )
            self.catalog = await load_catalog(node.database)
        shelf = Shelf(self.catalog, self.world.providers)
        for each in self.nodes:
            each.desk.shelf = each.shelf = shelf
        self.shelf = shelf

    # One call ---------------------------------------------------------------------------------

    async def _call(self, node: Node) -> None:
        """What `api/chat.py` does, for a caller of this seed."""
        caller = self.chance.choice(self.world.callers)
        try:
            order = self._order(node, caller)
            slot = node.limits.enter_local(
                account_id=caller.account.id, account=NO_RATES, key_id=caller.key.id
            )
            one = self.asked[order.request_id] = Asked(order=order)
            if not await self._hold(node, order):
                return
            one.held = True
            listener = Listener(self.chance) if order.chat.stream else None
            attempt = node.desk.take(order, slot, listener=listener, gone=lambda: False)
            await self._listen(node, attempt, one)
        except AltynError as error:
            if error.status not in REFUSALS:
                self.odd.append(f"a call was refused with {error.status} {error.code}")

    async def _hold(self, node: Node, order: Order) -> bool:
        """Some callers have gone before the hold is answered, some processes have died."""
        asking = asyncio.ensure_future(node.desk.hold(order))
        patience_s = 0.001 if self.chance.random() < 0.05 else None
        await asyncio.wait(
            (asking, node.died), timeout=patience_s, return_when=asyncio.FIRST_COMPLETED
        )
        if not asking.done():
            asking.cancel()
            await asyncio.wait((asking,), timeout=1)
            return False
        if not node.alive:
            return False
        asking.result()
        return True

    async def _listen(self, node: Node, attempt: Attempt, one: Asked) -> None:
        """Until it has ended, or its process has: some leave before."""
        task = attempt.begin()
        ends = (task, node.died)
        leaves_after_s = self.chance.random() if self.chance.random() < 0.2 else None
        done, _ = await asyncio.wait(
            ends, timeout=leaves_after_s, return_when=asyncio.FIRST_COMPLETED
        )
        if not done:
            attempt.leave()
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if node.alive or (task.done() and not task.cancelled() and task.exception() is None):
            receipt = task.result()
            one.outcome = receipt.verdict.outcome
            one.charged_nanos = receipt.verdict.charge_nanos

    def _order(self, node: Node, caller: Caller) -> Order:
        model = self.chance.choice((TELLING, SILENT, BOTH))
        body = ChatBody(
            model=model,
            messages=[UserMessage("say something")],
            max_tokens=self.chance.choice((1, 50, 2000)),
            stream=self.chance.random() < 0.6,
        )
        fields = {"model": model, "messages": [{"role": "user", "content": "say something"}]}
        return take_order(
            caller,
            body,
            fields,
            request_id=f"{self.number}-{len(self.asked)}",
            shelf=node.shelf,
            waits=node.desk.waits,
        )


class Listener:
    """Hears a stream; now and then it is slow to take what it is told."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def hear(self, events: Sequence[ChatEvent]) -> Any:  # noqa: ARG002 -- it only takes time
        return asyncio.sleep(0.4) if self.chance.random() < 0.1 else None

    def hang_up(self) -> None: ...

    def serve_as(self, order: Order) -> None: ...


async def _let_everything_end() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def simulate(
    world: World, numbers: Iterable[int], *, requests: int = REQUESTS
) -> dict[int, list[str]]:
    """Live through each seed; what was wrong, by the number of the seed."""
    found: dict[int, list[str]] = {}
    for number in numbers:
        with virtual_time() as clock:
            seed = Seed(number, world, clock, requests)
            try:
                wrong = run(seed.live(), clock=clock, chance=seed.chance)
            except Exception as error:  # noqa: BLE001 -- a seed that cannot end is a finding
                wrong = [f"{type(error).__name__}: {error}"]
            if wrong:
                found[number] = wrong
    return found


def simulate_side_by_side(
    world: World, numbers: Sequence[int], *, requests: int = REQUESTS, processes: int
) -> dict[int, list[str]]:
    """The same in several processes: what happens within a seed depends on nothing outside."""
    with ProcessPoolExecutor(
        processes, get_context("fork"), initializer=_inherit, initargs=(world,)
    ) as pool:
        live = partial(_simulate_inherited, requests=requests)
        shares = pool.map(live, numbers, chunksize=SEEDS_AT_A_TIME)
        return {number: wrong for share in shares for number, wrong in share.items()}


_inherited: list[World] = []


def _inherit(world: World) -> None:
    end_with_parent()
    _inherited.append(world)


def _simulate_inherited(number: int, *, requests: int) -> dict[int, list[str]]:
    return simulate(_inherited[0], [number], requests=requests)


def simulated(world: World, *, count: int, first: int) -> Row:
    """So many seeds, beginning with *first*; a seed that fails is named."""
    row = Row(fault=f"simulated histories of {REQUESTS} calls", database="in memory")
    row.rounds = count
    processes = os.cpu_count() or 1
    began = time.monotonic()
    found = simulate_side_by_side(world, range(first, first + count), processes=processes)
    seconds = time.monotonic() - began
    row.violations += [
        f"seed {number}: {sentence}" for number, wrong in found.items() for sentence in wrong
    ]
    row.note = f"{count * REQUESTS / seconds:,.0f} calls a second on {processes} processors"
    return row
