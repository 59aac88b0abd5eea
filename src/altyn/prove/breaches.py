"""Books that somebody has damaged past the ledger, under a running gateway: the auditor finds each,
stops the calls of that account, tells, and everybody else goes on.
"""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress

from msgspec import Struct

from altyn.catalog.pricebook import Rate
from altyn.database.address import open_database
from altyn.database.engine import Database, Transaction, now_ms
from altyn.database.seal import Seal, load_root
from altyn.database.sqlite import SqliteTransaction
from altyn.keys.store import KeyRules, create_key
from altyn.ledger.audit import LAST_NUMBER
from altyn.ledger.moves import Deposit, KeyWindow, Refund
from altyn.ledger.workers import start_worker
from altyn.ledger.writer import Writer
from altyn.prove.books import MODEL, USAGE, Person, hold, settle
from altyn.prove.callers import PATH, Callers
from altyn.prove.fleet import calling, dishonest, one_shop
from altyn.prove.forgery import forge
from altyn.prove.place import Place
from altyn.prove.shop import TELLING_MODEL, Node, Shop, patiently
from altyn.prove.table import Row
from altyn.usage.record import record_changes

AUDIT_S = 0.2
"""A minute in earnest."""

FOUND_S = 5.0
ANSWER_S = 10.0
ACCOUNT = "UPDATE accounts SET {} WHERE id = $1"
ENTRY = "UPDATE entries SET {} WHERE chain_account_id = $1 AND {}"
RECORD = "UPDATE usage_records SET {} WHERE account_id = $1 AND charge_nanos > 1"

Forgery = Callable[[Transaction, int], Awaitable[None]]

DAMAGE: dict[str, str | Forgery] = {
    "a balance is raised": ACCOUNT.format("posted_nanos = posted_nanos + 1"),
    "a balance is below what is held": ACCOUNT.format("posted_nanos = held_nanos - 1"),
    "more is held than the open holds": ACCOUNT.format("held_nanos = held_nanos + 1"),
    "a hold that nobody counted is there": "INSERT INTO holds (request_id, account_id, key_id,"
    " amount_nanos, state, attempt, model, input_bound, streamed, worker_id, created_at,"
    " lease_expires_at) SELECT 'stray ' || a.id, a.id, k.id, 1, 'open', 'sent', 'm', 1, 0,"
    f" (SELECT MAX(id) FROM workers), 1, {LAST_NUMBER} FROM accounts a"
    " JOIN keys k ON k.account_id = a.id WHERE a.id = $1",
    "a key holds more than its holds": "UPDATE key_spends SET held_nanos = held_nanos + 1"
    " WHERE key_id IN (SELECT id FROM keys WHERE account_id = $1)",
    "what was used is changed": ACCOUNT.format("used_nanos = used_nanos - 1"),
    "what was paid in is changed": ACCOUNT.format("deposited_nanos = deposited_nanos + 1"),
    "an entry's amount is changed": ENTRY.format(
        "amount_nanos = amount_nanos + 1", "kind='settle'"
    ),
    "an entry's name is changed": ENTRY.format("ref = ref || 'x'", "kind = 'deposit'"),
    "an entry's time is changed": ENTRY.format("at = at + 1", "chain_number = 2"),
    "an entry in the middle is gone": "DELETE FROM entries"
    " WHERE chain_account_id = $1 AND chain_number = 2",
    "the last entry is gone": "DELETE FROM entries WHERE chain_account_id = $1"
    " AND chain_number = (SELECT chain_length FROM accounts WHERE id = $1)",
    "the end of a chain is changed": ACCOUNT.format("chain_hash = 'ff'"),
    "a refund is above its charge": ENTRY.format("amount_nanos = 10000", "kind = 'refund'"),
    "a charge is changed in its record": RECORD.format("charge_nanos = charge_nanos - 1"),
    "a charge is above its hold": RECORD.format("hold_nanos = 1"),
    "a charge is above the price of its usage": RECORD.format("output_text = output_text - 1"),
    "a charge is below the price of its usage": RECORD.format("markup_ppm = 1000"),
    "a charge is forged in every row and hash": forge,
    "a record is gone": "DELETE FROM usage_records WHERE account_id = $1 AND charge_nanos > 1",
    "an hour's sum is changed": "UPDATE usage_hours SET charge_nanos = charge_nanos + 1"
    " WHERE account_id = $1",
}
"""What somebody does to the account $1, by a sentence for it. Between them they break every
invariant of the ledger that SQL can break: the others are `UNIQUE`. Three leave every sum and hash
as it should be: of those only a price tells."""

DISARM = {
    "sqlite": (
        "DROP TRIGGER entries_refuse_update",
        "DROP TRIGGER entries_refuse_delete",
        "PRAGMA ignore_check_constraints = ON",
    ),
    "postgresql": (
        "ALTER TABLE entries DISABLE TRIGGER ALL",
        "ALTER TABLE accounts DROP CONSTRAINT available_is_never_negative",
    ),
}
"""The database itself refuses most of it: so it is disarmed first."""


class Victim(Struct, frozen=True):
    account: int
    key: str
    damage: str


async def breach(place: Place, *, rounds: int, seed: int) -> Row:
    """Every kind of damage at once, each to an account of its own."""
    row = Row(fault="books damaged past the ledger", database=place.kind)
    slowest_s = 0.0
    for number in range(rounds):
        async with one_shop(place, seed + number) as shop:
            victims = await _add_victims(shop)
            node = await shop.start(audit_s=AUDIT_S)
            async with calling(shop, [node]):
                await asyncio.sleep(3 * AUDIT_S)
                row.violations += await _alarmed(shop, victims)
                await _damage(shop.url, victims)
                slowest_s = max(slowest_s, await _until_frozen(shop, victims))
                first = len(shop.callers.calls)
                row.violations += await judge(shop, node, victims)
                await asyncio.sleep(2 * AUDIT_S)
            row.violations += _stopped(shop, first)
            row.rounds += len(victims)
            await node.stop()
    row.note = f"all frozen within {slowest_s:.1f} s, with an audit each {AUDIT_S} s"
    return row


async def _add_victims(shop: Shop) -> list[Victim]:
    database = open_database(shop.url)
    await database.open()
    try:
        owner = await database.write(start_worker)
        writer = Writer(database, owner=owner, record_changes=record_changes)
        seal = Seal(load_root(shop.home))
        rate = shop.catalog.find_rate(MODEL, None, now_ms())
        assert rate is not None
        return [await _add_victim(database, writer, seal, damage, rate) for damage in DAMAGE]
    finally:
        await database.close()


async def _add_victim(
    database: Database, writer: Writer, seal: Seal, damage: str, rate: Rate
) -> Victim:
    """Somebody with money, a charge, and one that was refunded."""

    async def add(tx: Transaction) -> tuple[int, int, str]:
        sql = (
            "INSERT INTO accounts (kind, name, created_at) VALUES ('customer', $1, 1) RETURNING id"
        )
        ((account,),) = await tx.fetch(sql, damage)
        key_id, key = await create_key(
            tx, account_id=account, name="k", mode="live", rules=KeyRules(), pepper=seal.pepper
        )
        return account, key_id, key

    account, key_id, key = await database.write(add)
    person = Person(account, key_id, KeyWindow(key_id, 0, 10**9))
    await writer.post(Deposit(account_id=account, amount_nanos=10**9, reference=f"of {account}"))
    charge = rate.price.charge(USAGE)
    for request in (f"{account}-0", f"{account}-1"):
        await writer.post(hold(person, request, 2 * charge))
        await writer.post(settle(person, request, charge, held=2 * charge, rate=rate))
    await writer.post(Refund(account_id=account, amount_nanos=charge, request_id=f"{account}-1"))
    return Victim(account, key, damage)


async def _damage(url: str, victims: list[Victim]) -> None:
    """Past the gateway that is running: as a thief does, or an operator with a good idea."""
    database = open_database(url)
    if database.kind == "sqlite":
        await asyncio.to_thread(_damage_file, url.removeprefix("sqlite:///"), victims)
        return
    await database.open()

    async def work(tx: Transaction) -> None:
        for statement in DISARM[database.kind]:
            await tx.execute(statement)
        await _damage_each(tx, victims)

    try:
        await database.write(work)
    finally:
        await database.close()


def _damage_file(path: str, victims: list[Victim]) -> None:
    # The gateway alone checkpoints: two that do so at once are a known fault of SQLite.
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        for statement in DISARM["sqlite"]:
            connection.execute(statement)
        # At once: of a forgery that is half done more would tell than the price.
        connection.execute("BEGIN IMMEDIATE")
        asyncio.run(_damage_each(SqliteTransaction(connection), victims))
        connection.execute("COMMIT")


async def _damage_each(tx: Transaction, victims: list[Victim]) -> None:
    for victim in victims:
        damage = DAMAGE[victim.damage]
        if isinstance(damage, str):
            await tx.execute(damage, victim.account)
        else:
            await damage(tx, victim.account)


async def _frozen(shop: Shop) -> set[int]:
    rows = await shop.books.read("SELECT id FROM accounts WHERE frozen_at IS NOT NULL")
    return {account for (account,) in rows}


async def _alarmed(shop: Shop, victims: list[Victim]) -> list[str]:
    frozen = await _frozen(shop)
    return [
        f"an account was frozen before anything was wrong ({victim.damage})"
        for victim in victims
        if victim.account in frozen
    ]


async def _until_frozen(shop: Shop, victims: list[Victim]) -> float:
    began = time.monotonic()
    while time.monotonic() - began < patiently(FOUND_S):
        if {victim.account for victim in victims} <= await _frozen(shop):
            break
        await asyncio.sleep(0.05)
    return time.monotonic() - began


async def judge(shop: Shop, node: Node, victims: list[Victim]) -> list[str]:
    """Each is frozen, refused and named; may look; and the metrics count."""
    await asyncio.sleep(1.0)  # every process knows within a second
    frozen = await _frozen(shop)
    found = [f"not found: {one.damage}" for one in victims if one.account not in frozen]
    if shop.account_id in frozen:
        found.append("an account was frozen to which nothing was done")
    for victim in victims:
        if victim.account in frozen:
            found += await _treated(node, victim)
    status, said = await _get(node, "/readyz")
    if status != 200:
        found.append(f"/readyz said {status}: one damaged account stops everybody")
    found += [
        f"/readyz does not name it: {one.damage}"
        for one in victims
        if f"account {one.account}".encode() not in said
    ]
    _, counted = await _get(node, "/metrics", (shop.home / "metrics.token").read_text().strip())
    if b"altyn_ledger_breaches 0" in counted or b"altyn_ledger_breaches" not in counted:
        found.append("the metrics count no breach")
    return found


async def _treated(node: Node, victim: Victim) -> list[str]:
    """Calls are refused, and the balance can be read."""
    callers = Callers(victim.key, (TELLING_MODEL,), victim.account, leaving=0.0)
    call = await callers.call(node.port)
    found = []
    if call.code != "account_frozen":
        found.append(f"a call was answered {call.status} {call.code} although {victim.damage}")
    status, _ = await _get(node, f"{PATH}/balance", victim.key)
    if status != 200:
        found.append(f"the balance was answered with {status} when {victim.damage}")
    return found


async def _get(node: Node, path: str, key: str = "") -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
    try:
        head = f"GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
        writer.write(f"{head}connection: close\r\n\r\n".encode())
        async with asyncio.timeout(ANSWER_S):
            answer = await reader.read()
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    return int(answer.split(b" ", 2)[1]), answer


def _stopped(shop: Shop, first: int) -> list[str]:
    """Everybody else goes on."""
    calls = shop.callers.calls[first:]
    answered = any(call.end == "whole" for call in calls)
    return [*dishonest(shop), *([] if answered else ["nobody else was served any more"])]
