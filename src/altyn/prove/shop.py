"""A gateway under proof: its home and database, the vendor behind it, somebody with money."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from altyn.accounts.store import add_user, get_user
from altyn.app import AUDIT_S
from altyn.catalog.load import Catalog, add_price, load_catalog
from altyn.catalog.price import Price
from altyn.catalog.route import add_route
from altyn.chat import Usage
from altyn.control.line import Question, Reply, find_socket
from altyn.database.address import open_database
from altyn.database.bulk import Row
from altyn.database.engine import Database, StoreUnavailableError, Transaction
from altyn.database.seal import Seal, load_root
from altyn.keys.store import KeyRules, create_key
from altyn.ledger import workers
from altyn.ledger.audit import verify
from altyn.ledger.moves import Deposit
from altyn.ledger.store import find_operator_accounts
from altyn.ledger.writer import Owner, Writer
from altyn.prove.callers import Callers
from altyn.prove.ledger_kills import DEAD_MS
from altyn.prove.node import Orders
from altyn.prove.vendor import MODEL, Vendor
from altyn.receipts import charges_equal_their_prices
from altyn.settings import Settings, read_settings
from altyn.upstream.provider import add_provider
from altyn.usage.record import record_changes

READY_S = 10.0
"""A server that is started again takes paid calls within so long."""

STOP_S = 45.0
TELLING_MODEL, SILENT_MODEL = "openai/gpt-oss-120b", "meta-llama/llama-4-maverick"
"""The first is sold from a vendor who tells afterwards what became of an answer."""

COST = Price(input=300_000_000, output=900_000_000)
MONEY = 1_000 * 10**9
DEPOSIT = 10**9
EMAIL = "customer@example.test"


def patiently(seconds: float) -> float:
    """So long on a machine of our own; longer by as much as others queue for its processors."""
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


class Node(Struct):
    """A process of the gateway, and how long it took to be ready."""

    pid: int
    port: int
    ready_s: float | None = None
    process: asyncio.subprocess.Process | None = None
    """None for one that was forked: it is not ours to wait for, only to look at."""

    @property
    def alive(self) -> bool:
        if self.process is not None:
            return self.process.returncode is None
        with suppress(ProcessLookupError):
            os.kill(self.pid, 0)
            return True
        return False

    def signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    async def ended(self, seconds: float) -> bool:
        """Whether it has ended by itself within so long."""
        deadline = time.monotonic() + seconds
        while self.alive and time.monotonic() < deadline:  # noqa: ASYNC110 -- it tells nobody
            await asyncio.sleep(0.005)
        return not self.alive

    async def kill(self) -> None:
        self.signal(signal.SIGKILL)
        await self.ended(READY_S)

    async def stop(self) -> int | None:
        """SIGTERM, and the exit code where it is known."""
        self.signal(signal.SIGTERM)
        if not await self.ended(STOP_S):
            self.signal(signal.SIGKILL)
        return self.process.returncode if self.process is not None else None


class Nursery:
    """Where nodes come from: forked from one that has everything loaded, or begun anew."""

    def __init__(self) -> None:
        self._mother: asyncio.subprocess.Process | None = None

    async def start(self, orders: Orders, *, cold: bool) -> Node:
        words = msgspec.json.encode(orders).decode()
        if cold:
            process = await _begin(words, stdin=asyncio.subprocess.DEVNULL)
            return Node(process.pid, orders.port, process=process)
        if self._mother is None:
            self._mother = await _begin("-", stdin=asyncio.subprocess.PIPE)
        assert self._mother.stdin is not None
        assert self._mother.stdout is not None
        self._mother.stdin.write(words.encode() + b"\n")
        return Node(int(await self._mother.stdout.readline()), orders.port)

    async def close(self) -> None:
        """The nodes that are left end with it: each has its output, and would keep us waiting."""
        if self._mother is None:
            return
        assert self._mother.stdin is not None
        self._mother.stdin.close()
        try:
            await asyncio.wait_for(self._mother.wait(), STOP_S)
        except TimeoutError:
            self._mother.kill()


async def _begin(words: str, *, stdin: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "altyn.prove.node",
        words,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )


class PatientBooks:
    """A database whose reads outlast its restart: connections are found dead one by one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    async def read(self, sql: str, *values: Any) -> Sequence[Row]:
        deadline = time.monotonic() + patiently(READY_S)
        while True:
            try:
                return await self._database.read(sql, *values)
            except StoreUnavailableError:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.05)


class Shop:
    """One database, its gateway processes, and what is known from outside about its calls."""

    def __init__(
        self, url: str, home: Path, vendor: Vendor, callers: Callers, nursery: Nursery
    ) -> None:
        self.url = url
        self.node_url = url
        """By which its processes reach it: through a proxy, perhaps."""
        self.home = home
        self.vendor = vendor
        self.callers = callers
        self.nursery = nursery
        self.catalog: Catalog
        self.deposits: dict[str, int] = {}
        self.payments = 0
        self.account_id = 0
        # Read only, beside the server that has the file: it is never opened for writing here.
        self.books: Database = PatientBooks(open_database(url))

    @property
    def settings(self) -> Settings:
        """As a command of the operator's reads them."""
        return read_settings({}, home=self.home, overrides={"database_url": self.url})

    # Processes --------------------------------------------------------------------------------

    async def start(
        self,
        *,
        point: str | None = None,
        nth: int = 1,
        stop: bool = False,
        cold: bool = False,
        beside: bool = False,
        heartbeat_s: float = workers.HEARTBEAT_S,
        audit_s: float = AUDIT_S,
        **settings: str,
    ) -> Node:
        """Start a process; `ready_s` stays None if it has died before it was ready.

        Every earlier one counts as dead, unless this one is to run *beside* them.
        """
        if not beside:
            await self.age_the_dead()
        orders = Orders(
            home=str(self.home),
            port=_free_port(),
            database_url=self.node_url,
            point=point,
            nth=nth,
            stop=stop,
            settings=settings,
            heartbeat_s=heartbeat_s,
            audit_s=audit_s,
        )
        began = time.monotonic()
        node = await self.nursery.start(orders, cold=cold)
        while node.alive and time.monotonic() - began < 3 * READY_S:
            if await _is_ready(node.port):
                node.ready_s = time.monotonic() - began
                break
            await asyncio.sleep(0.01)
        return node

    async def keep_depositing(self) -> None:
        """Pay in over the control socket, as the operator's command does, until cancelled."""
        while True:
            reference = f"payment {self.payments + 1}"
            self.payments += 1
            with suppress(OSError, asyncio.IncompleteReadError):
                if await _deposit(find_socket(self.home), reference):
                    self.deposits[reference] = DEPOSIT
            await asyncio.sleep(0.01)

    # What the books say -----------------------------------------------------------------------

    async def age_the_dead(self) -> None:
        """As if a minute had passed since every process was last heard of."""
        if self.books.kind == "postgresql":
            await self.books.write(_age)

    async def resolved(self, seconds: float, *, by: Node) -> list[str]:
        """Wait until nothing is held any more; a hold that stays is a violation."""
        deadline = time.monotonic() + seconds
        while left := await self.books.read("SELECT request_id, state FROM holds"):
            if time.monotonic() > deadline or not by.alive:
                return [f"still {state} after {seconds:g} s: {name}" for name, state in left]
            await asyncio.sleep(0.02)
        return []

    async def broken(self) -> list[str]:
        """Everything that ledger, vendor and callers do not agree about."""
        audit = await verify(self.books, charges_equal_their_prices)
        found = [finding.sentence for finding in audit.findings]
        records = await self._records()
        found += _calls_broken(self.callers, records)
        found += self._bills_broken(records)
        found += await self._deposits_broken()
        return found

    async def _records(self) -> "dict[str, Record]":
        rows = await self.books.read(
            "SELECT request_id, outcome, model, charge_nanos, hold_nanos, upstream_id,"
            " created_at FROM usage_records"
        )
        return {row[0]: Record(*row) for row in rows}

    def _bills_broken(self, records: "dict[str, Record]") -> list[str]:
        """What was charged for an answer that its vendor has counted is the price of that count."""
        found: list[str] = []
        seen: set[str] = set()
        for record in records.values():
            if record.upstream_id is None or record.outcome.startswith("free"):
                continue
            bill = self.vendor.bills.get(record.upstream_id)
            if bill is None or record.upstream_id in seen:
                found.append(f"{record.request_id} was charged for an answer nobody gave, or twice")
                continue
            seen.add(record.upstream_id)
            if record.outcome == "charged_estimated":
                continue
            usage = Usage(input_uncached=bill.prompt, output_text=bill.completion)
            rate = self.catalog.find_rate(record.model, None, record.created_at)
            assert rate is not None
            price = min(rate.price.charge(usage), record.hold_nanos)
            if record.charge_nanos != price:
                found.append(f"{record.request_id} cost {record.charge_nanos} nanos, not {price}")
        return found

    async def _deposits_broken(self) -> list[str]:
        rows: dict[str, int] = dict(
            await self.books.read("SELECT ref, amount_nanos FROM entries WHERE kind = 'deposit'")  # type: ignore[arg-type]
        )
        return [
            f"the deposit {reference} was answered and is not there"
            for reference, nanos in self.deposits.items()
            if rows.get(reference) != nanos
        ]


class Record(Struct, frozen=True):
    """A usage record, as far as a proof compares it."""

    request_id: str
    outcome: str
    model: str
    charge_nanos: int
    hold_nanos: int
    upstream_id: str | None
    created_at: int


def _calls_broken(callers: Callers, records: dict[str, Record]) -> list[str]:
    """Who was given a whole answer has paid exactly what they were told; nobody has paid twice."""
    found = []
    for call in callers.calls:
        if call.end == "whole":
            record = records.get(call.request_id or "")
            if record is None:
                found.append(f"{call.request_id} was answered and is not recorded")
            elif record.charge_nanos != call.cost_nanos:
                found.append(
                    f"{call.request_id} was told {call.cost_nanos} nanos and paid"
                    f" {record.charge_nanos}"
                )
        elif call.status in {401, 403}:
            found.append(f"a good key was refused with {call.status} {call.code}")
    if len(records) > len(callers.calls):
        found.append(f"{len(records)} records of {len(callers.calls)} calls")
    return found


@asynccontextmanager
async def open_shop(
    url: str, home: Path, vendor: Vendor, nursery: Nursery, *, seed: int
) -> AsyncIterator[Shop]:
    """Put two models of the vendor on sale, and give somebody money and a key."""
    database = open_database(url)
    await database.open()
    try:
        seal = Seal(load_root(home))
        key = await database.write(lambda tx: _sell(tx, seal, vendor.port))
        callers = Callers(key, (TELLING_MODEL, SILENT_MODEL), seed)
        shop = Shop(url, home, vendor, callers, nursery)
        shop.account_id = (await get_user(database, EMAIL)).account_id
        await _give_money(database, shop.account_id)
        shop.deposits["first"] = MONEY
        shop.catalog = await load_catalog(database)
    finally:
        await database.close()
    if shop.books.kind == "postgresql":
        await shop.books.open()
    try:
        yield shop
    finally:
        await shop.books.close()


async def _sell(tx: Transaction, seal: Seal, port: int) -> str:
    for name, host, model in (
        ("telling", "localhost", TELLING_MODEL),
        ("silent", "127.0.0.1", SILENT_MODEL),
    ):
        await add_provider(
            tx,
            seal,
            name=name,
            dialect="openai-chat",
            base_url=f"http://{host}:{port}/v1",
            secret="sk-of-the-operator",
        )
        await add_route(tx, model_id=model, provider=name, upstream_model=MODEL)
        # The built-in prices begin when they are written: an hour earlier there would be none.
        await add_price(tx, model_id=model, kind="cost", price=COST, effective_from=1)
    await add_user(tx, EMAIL)
    ((account,),) = await tx.fetch("SELECT account_id FROM users WHERE email = $1", EMAIL)
    _, key = await create_key(
        tx, account_id=account, name="k", mode="live", rules=KeyRules(), pepper=seal.pepper
    )
    return key


async def _give_money(database: Database, account_id: int) -> None:
    owner = Owner(None, await database.write(lambda tx: find_operator_accounts(tx, 0)))
    writer = Writer(database, owner=owner, record_changes=record_changes)
    await writer.post(Deposit(account_id=account_id, amount_nanos=MONEY, reference="first"))


async def _deposit(path: Path, reference: str) -> bool:
    """Whether the server said that the money is there."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        arguments = {"email": EMAIL, "amount": "1", "reference": reference}
        writer.write(msgspec.json.encode(Question("deposit", arguments)) + b"\n")
        said = msgspec.json.decode(await reader.readuntil(b"\n"), type=Reply)
        return said.error is None
    finally:
        writer.close()


async def _age(tx: Transaction) -> None:
    await tx.execute("UPDATE workers SET heartbeat_at = heartbeat_at - $1", DEAD_MS)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


async def _is_ready(port: int) -> bool:
    try:
        async with asyncio.timeout(READY_S):
            return await _asks_ready(port)
    except (OSError, TimeoutError):
        return False


async def _asks_ready(port: int) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        return b" 200 " in await reader.readline()
    finally:
        writer.close()
