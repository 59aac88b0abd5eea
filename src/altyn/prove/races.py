"""Processes that meet: on one balance, on one hold, on one payment, on an empty database."""

import asyncio
import random
import time
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import permutations

from altyn.database.address import open_database
from altyn.database.engine import Database
from altyn.database.migrate import migrate
from altyn.ledger import workers
from altyn.ledger.audit import verify
from altyn.ledger.moves import (
    Deposit,
    Move,
    NotAffordableError,
    Refund,
    RefusedMoveError,
    Resolve,
)
from altyn.ledger.writer import Writer
from altyn.prove.books import Person, add_person, hold, settle
from altyn.prove.children import Child, Say, fork
from altyn.prove.history import Operation, find_order
from altyn.prove.place import Place
from altyn.prove.table import Row
from altyn.usage.record import record_changes

PROCESSES = (2, 4, 8)
CALLS = 64
NANOS = 7
CLIENTS = 3
OPERATIONS = 12
"""Of each client in one history."""

SETTLE, SWEEP = 0, 1
"""Places in the list of moves that are put in every order."""

READY_S = 30.0
HISTORY_S = 20.0


def race(place: Place, *, rounds: int, seed: int) -> list[Row]:
    """On SQLite one process has the file, so only its own callers can meet."""
    chance = random.Random(seed)
    counts = PROCESSES if place.kind == "postgresql" else (1,)
    rows = [_one_balance(place, count, rounds, chance) for count in counts]
    rows.append(_histories(place, counts[-1], rounds, chance))
    rows.append(_permutations(place, rounds))
    if place.kind == "postgresql" and place.server is not None:
        rows.append(_two_migrators(place, rounds))
    return rows


# One balance ----------------------------------------------------------------------------------


def _one_balance(place: Place, count: int, rounds: int, chance: random.Random) -> Row:
    """As many calls are granted as the balance is worth, whoever makes them."""
    row = Row(fault=f"{CALLS} calls each of {count} processes, one balance", database=place.kind)
    url = place.fresh()
    began = time.monotonic()
    for _ in range(rounds):
        row.rounds += 1
        worth = chance.choice((0, 1, CALLS - 1, CALLS, CALLS * count // 2))
        person = asyncio.run(_add_person(url, worth * NANOS + NANOS - 1))
        children = [fork(partial(_rush, url, person, number)) for number in range(count)]
        granted = _let_them_race(children, row)
        expected = min(worth, CALLS * count)
        if granted != expected:
            row.violations.append(f"{granted} calls were granted, {expected} could be paid")
        row.violations += asyncio.run(_wrong(url))
    row.seconds = time.monotonic() - began
    return row


def _let_them_race(children: Sequence[Child], row: Row) -> int:
    granted = 0
    for child in children:
        child.hear(READY_S, until="ready")
    for child in children:
        child.tell("go")
    for child in children:
        child.hear(READY_S)
        child.kill()
        row.violations += [line for line in child.lines if line.startswith("violation")]
        granted += sum(int(line[8:]) for line in child.lines if line.startswith("granted "))
    return granted


async def _rush(url: str, person: Person, number: int, say: Say) -> None:
    database, writer = await _open(url)
    say("ready")
    await asyncio.to_thread(say.wait)
    asked = [
        writer.post(hold(person, f"{person.account}-{number}-{place}", NANOS))
        for place in range(CALLS)
    ]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, NotAffordableError):
            say(f"violation {answer!r}")
    say(f"granted {sum(not isinstance(answer, BaseException) for answer in answers)}")
    await database.close()


# Histories ------------------------------------------------------------------------------------


def _histories(place: Place, count: int, rounds: int, chance: random.Random) -> Row:
    """Everything at once on one account; one process is killed in the middle."""
    row = Row(fault=f"history of {count} processes has a serial order", database=place.kind)
    url = place.fresh()
    for _ in range(rounds):
        row.rounds += 1
        person = asyncio.run(_add_person(url, 0))
        seed = chance.getrandbits(32)
        children = [fork(partial(_live, url, person, seed + number)) for number in range(count)]
        for child in children:
            child.hear(READY_S, until="ready")
            child.tell("go")
        if chance.random() < 0.5 and count > 1:
            children[0].hear(chance.uniform(0, 0.05))
            children[0].kill_now()
        for child in children:
            child.hear(HISTORY_S, until="done")
            child.kill()
            row.violations += [line for line in child.lines if line.startswith("violation")]
        operations = _operations(line for child in children for line in child.lines)
        operations.append(asyncio.run(_read(url, person)))
        if find_order(operations) is None:
            row.violations.append(f"no serial order explains a history of {len(operations)} moves")
    return row


async def _live(url: str, person: Person, seed: int, say: Say) -> None:
    _, writer = await _open(url)
    say("ready")
    await asyncio.to_thread(say.wait)
    await asyncio.gather(
        *(
            _client(writer, person, random.Random(seed + n), f"{seed}-{n}", say)
            for n in range(CLIENTS)
        )
    )
    say("done")


async def _client(
    writer: Writer, person: Person, chance: random.Random, name: str, say: Say
) -> None:
    for number in range(OPERATIONS):
        request, nanos = f"{name}-{number}", chance.randrange(1, 50)
        if chance.random() < 0.4:
            move: Move = Deposit(account_id=person.account, amount_nanos=nanos, reference=request)
            await _operate(writer, move, f"deposit {nanos} 0", say)
            continue
        if not await _operate(writer, hold(person, request, nanos), f"hold {nanos} 0", say):
            continue
        charge = chance.randrange(nanos + 1)
        ending = settle(person, request, charge, held=nanos)
        await _operate(writer, ending, f"settle {charge} {nanos}", say)
        if charge and chance.random() < 0.3:
            move = Refund(account_id=person.account, amount_nanos=charge, request_id=request)
            await _operate(writer, move, f"refund {charge} 0", say)


async def _operate(writer: Writer, move: Move, words: str, say: Say) -> bool:
    """Say what is asked before it is asked, and what was answered after it was."""
    number = f"{time.monotonic():.9f}"
    say(f"asks {number} {words}")
    try:
        balance = await writer.post(move)
    except NotAffordableError:
        say(f"told {number} {time.monotonic():.9f} no")
        return False
    assert balance is not None
    say(f"told {number} {time.monotonic():.9f} {balance.posted_nanos} {balance.held_nanos}")
    return True


def _operations(lines: Iterable[str]) -> list[Operation]:
    asked: dict[str, list[str]] = {}
    told: dict[str, list[str]] = {}
    for line in lines:
        word, _, rest = line.partition(" ")
        if word in ("asks", "told"):
            name, *words = rest.split(" ")
            (asked if word == "asks" else told)[name] = words
    return [_operation(began, words, told.get(began)) for began, words in asked.items()]


def _operation(began: str, words: list[str], told: list[str] | None) -> Operation:
    kind, nanos, held = words
    known = {"kind": kind, "nanos": int(nanos), "held": int(held), "began": float(began)}
    if told is None:
        return Operation(**known)  # type: ignore[arg-type]
    ended, *answer = told
    balance = None if answer == ["no"] else (int(answer[0]), int(answer[1]))
    return Operation(**known, ended=float(ended), answer=balance)  # type: ignore[arg-type]


async def _read(url: str, person: Person) -> Operation:
    database = open_database(url)
    await database.open()
    try:
        began = time.monotonic()
        rows = await database.read(
            "SELECT posted_nanos, held_nanos FROM accounts WHERE id = $1", person.account
        )
        balance = (int(rows[0][0]), int(rows[0][1]))
        return Operation(kind="read", began=began, ended=time.monotonic(), answer=balance)
    finally:
        await database.close()


# Permutations ---------------------------------------------------------------------------------


def _permutations(place: Place, rounds: int) -> Row:
    """Settle, sweep, pay in, give back, in every order and at once: one of them ends the hold."""
    row = Row(fault="settle × sweep × deposit × refund, every order", database=place.kind)
    asyncio.run(_permute(place.fresh(), row, rounds))
    return row


async def _permute(url: str, row: Row, rounds: int) -> None:
    sides = [await _open(url) for _ in range(3 if row.database == "postgresql" else 1)]
    database = sides[0][0]
    try:
        for turn in range(rounds):
            for order in permutations(range(4)):
                row.rounds += 1
                person = await add_person(database)
                await _one_order(sides, person, order, turn, row)
        row.violations += [finding.sentence for finding in (await verify(database)).findings]
    finally:
        for each, _ in sides:
            await each.close()


async def _one_order(
    sides: Sequence[tuple[Database, Writer]],
    person: Person,
    order: tuple[int, ...],
    turn: int,
    row: Row,
) -> None:
    name = f"{person.account}"
    first = sides[0][1]
    await first.post(Deposit(account_id=person.account, amount_nanos=100, reference=f"{name}-0"))
    await first.post(hold(person, f"{name}-1", 10))
    moves: list[Move] = [
        settle(person, f"{name}-1", 4, held=10),
        Resolve(request_id=f"{name}-1", account_id=person.account, state="expired"),
        Deposit(account_id=person.account, amount_nanos=3, reference=f"{name}-2"),
        Refund(account_id=person.account, amount_nanos=4, request_id=f"{name}-1"),
    ]
    asked = []
    for place, number in enumerate(order):
        asked.append(sides[(place + turn) % len(sides)][1].post(moves[number]))
        if turn % 2:
            await asyncio.sleep(0)
    answers = await asyncio.gather(*asked, return_exceptions=True)
    refused = {}
    for number, answer in zip(order, answers, strict=True):
        if isinstance(answer, RefusedMoveError):
            refused[number] = answer
        elif isinstance(answer, BaseException):
            row.violations.append(repr(answer))
    if (SETTLE in refused) == (SWEEP in refused):
        row.violations.append(f"order {order}: not exactly one ended the hold")


# Migrators ------------------------------------------------------------------------------------


def _two_migrators(place: Place, rounds: int) -> Row:
    """Two processes start on an empty database at once: one migrates, the other waits."""
    row = Row(fault="two migrators on an empty database", database=place.kind)
    assert place.server is not None
    for number in range(min(rounds, 20)):
        row.rounds += 1
        url = place.server.make_database(f"migrated_{number}")
        children = [fork(partial(_migrate, url)) for _ in range(2)]
        for child in children:
            child.hear(READY_S, until="done")
            child.kill()
            row.violations += [line for line in child.lines if line.startswith("violation")]
    return row


async def _migrate(url: str, say: Say) -> None:
    await migrate(url)
    say("done")


# Words ----------------------------------------------------------------------------------------


async def _open(url: str) -> tuple[Database, Writer]:
    database = open_database(url)
    await database.open()
    owner = await database.write(workers.start_worker)
    return database, Writer(database, owner=owner, record_changes=record_changes)


async def _add_person(url: str, nanos: int) -> Person:
    database, writer = await _open(url)
    try:
        person = await add_person(database)
        if nanos:
            await writer.post(
                Deposit(
                    account_id=person.account, amount_nanos=nanos, reference=f"{person.account}"
                )
            )
        return person
    finally:
        await database.close()


async def _wrong(url: str) -> list[str]:
    database = open_database(url)
    await database.open()
    try:
        return [finding.sentence for finding in (await verify(database)).findings]
    finally:
        await database.close()
