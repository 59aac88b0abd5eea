"""`kill -9` of a ledger: at random, at named places, and while it recovers from the last time.

A child opens the books, resolves what the one before has left, checks every promise it was born
with, and then moves money until it is killed. The next child is born with what it had promised.
"""

import asyncio
import random
import time
from collections.abc import Callable
from functools import partial

from msgspec import Struct, field

from altyn.catalog.load import Catalog, load_catalog
from altyn.crashpoints import arm
from altyn.database.address import open_database
from altyn.database.engine import Database, Transaction
from altyn.gateway.recovery import resolve_abandoned
from altyn.ledger import workers
from altyn.ledger.moves import Deposit, Loss, NotAffordableError, Note, Refund, RefusedMoveError
from altyn.ledger.writer import Writer
from altyn.prove.books import Person, add_person, hold, settle
from altyn.prove.children import Say, die, fork
from altyn.prove.place import Place
from altyn.prove.promises import Promises, broken
from altyn.prove.table import Row
from altyn.usage.record import record_changes

KILLS_PER_BOOKS = 25
"""Then new ones: checking grows with what is in them."""

CLIENTS = 8
PLACES = ("batch loaded", "batch saved", "batch committed", "sweep", "swept")
LIVES_MS = 30
"""A child that is ready lives up to so long."""

STARTS_MS = 15
"""One that is killed while it recovers, up to so long from its birth."""

GIVE_UP_S = 20.0
DEAD_MS = 120_000
FIRST_DEPOSIT = 1_000_000


class Books(Struct):
    """One database, the people in it, and what they were promised."""

    url: str
    people: list[Person]
    catalog: Catalog
    promises: Promises = field(default_factory=Promises)


def kill_the_ledger(place: Place, *, rounds: int, seed: int) -> list[Row]:
    """So many kills, of three kinds; a row for each."""
    chance = random.Random(seed)
    rows = [
        Row(fault=f"ledger killed {when}", database=place.kind)
        for when in ("at random", "at a named place", "while it recovers")
    ]
    began, books = time.monotonic(), _open_books(place)
    for number in range(1, rounds + 1):
        row = chance.choices(rows, (6, 3, 2))[0]
        row.rounds += 1
        row.violations += _one_life(books, chance, rows.index(row))
        if number % KILLS_PER_BOOKS == 0 or number == rounds:
            row.violations += _last_look(books)
            books = _open_books(place) if number < rounds else books
    rows[0].seconds = time.monotonic() - began
    return rows


def _open_books(place: Place) -> Books:
    url = place.fresh()
    return asyncio.run(_prepare(url))


async def _prepare(url: str) -> Books:
    database = open_database(url)
    await database.open()
    try:
        people = [await add_person(database), await add_person(database, limit_nanos=10**9)]
        return Books(url, people, await load_catalog(database))
    finally:
        await database.close()


def _one_life(books: Books, chance: random.Random, kind: int) -> list[str]:
    """Let a child live and kill it; what it found broken, and what it has promised, is taken in."""
    point, nth = (chance.choice(PLACES), chance.randrange(1, 6)) if kind == 1 else (None, 0)
    child = fork(partial(_live, books, chance.getrandbits(32), point, nth))
    if kind == 2:
        child.hear(chance.uniform(0, STARTS_MS / 1000))
    elif child.hear(GIVE_UP_S, until="ready"):
        child.hear(chance.uniform(0, LIVES_MS / 1000) if point is None else LIVES_MS / 1000)
    elif not child.ended:
        child.lines.append(f"violation not ready within {GIVE_UP_S:g} s")
    child.kill()
    return books.promises.hear(child.lines)


def _last_look(books: Books) -> list[str]:
    """Recover and check once more, without being killed."""
    child = fork(partial(_look, books))
    child.hear(GIVE_UP_S, until="ready")
    seen = "ready" in child.lines
    child.kill()
    found = books.promises.hear(child.lines)
    return found if seen or found else [*found, "the books could not be opened at the end"]


# In the child ---------------------------------------------------------------------------------


async def _look(books: Books, say: Say) -> None:
    await _recover(books, say)
    say("ready")


async def _live(books: Books, seed: int, point: str | None, nth: int, say: Say) -> None:
    if point is not None:
        arm(_dying_at(point, nth))
    writer = await _recover(books, say)
    say("ready")
    await _move_money(writer, books.people, seed, say)


async def _recover(books: Books, say: Say) -> Writer:
    """What every process does at its start, and then a look at everything."""
    database = open_database(books.url)
    await database.open()
    if database.kind == "sqlite":
        await database.write(workers.end_other_workers)
    else:
        # As if the silence had lasted: a minute of it, for each of thousands, is too long to wait.
        await database.write(_age_the_others)
    owner = await database.write(workers.start_worker)
    writer = Writer(database, owner=owner, record_changes=record_changes)
    await _sweep(database, writer, books.catalog)
    for sentence in await broken(database, books.promises):
        say(f"violation {sentence}")
    return writer


async def _sweep(database: Database, writer: Writer, catalog: Catalog) -> None:
    """Until nothing is left: PostgreSQL may still be committing what the dead one had sent."""
    deadline = time.monotonic() + GIVE_UP_S / 2
    while True:
        await resolve_abandoned(database, writer, catalog, {})
        if not await database.read("SELECT 1 FROM holds LIMIT 1"):
            return
        if time.monotonic() > deadline:
            return
        await asyncio.sleep(0.005)


async def _age_the_others(tx: Transaction) -> None:
    await tx.execute(
        "UPDATE workers SET heartbeat_at = heartbeat_at - $1 WHERE stopped_at IS NULL", DEAD_MS
    )


def _dying_at(point: str, nth: int) -> Callable[[str], None]:
    met = 0

    def meet(name: str) -> None:
        nonlocal met
        met += name == point
        if met == nth:
            die()

    return meet


async def _move_money(writer: Writer, people: list[Person], seed: int, say: Say) -> None:
    clients = (
        _client(writer, people[turn % 2], random.Random(seed + turn), f"{seed}-{turn}", say)
        for turn in range(CLIENTS)
    )
    await asyncio.gather(*clients)


async def _client(
    writer: Writer, person: Person, chance: random.Random, name: str, say: Say
) -> None:
    """Pay in, call, and ask for money back, for ever; say what is asked and what is answered."""
    number = 0
    await _deposit(writer, person, f"{name}-0", FIRST_DEPOSIT, say)
    while True:
        number += 1
        request = f"{name}-{number}"
        if chance.random() < 0.1:
            await _deposit(writer, person, request, chance.randrange(1, 1000), say)
        else:
            await _call(writer, person, request, chance, say)


async def _deposit(writer: Writer, person: Person, ref: str, nanos: int, say: Say) -> None:
    say(f"asked {ref}")
    move = Deposit(account_id=person.account, amount_nanos=nanos, reference=ref)
    # The same reference twice at once, as a payment provider does that was not answered.
    await asyncio.gather(writer.post(move), writer.post(move))
    say(f"deposited {ref} {nanos}")


async def _call(
    writer: Writer, person: Person, request: str, chance: random.Random, say: Say
) -> None:
    held, charge = chance.randrange(1, 100), chance.choice((0, 1, 7, 50))
    charge = min(held, charge)
    say(f"asked {request}")
    try:
        await writer.post(hold(person, request, held))
    except NotAffordableError:
        return
    say(f"held {request}")
    if chance.random() < 0.5:
        writer.tell(Note(request_id=request, provider="p", upstream_id="u", delivered_bytes=held))
    loss = Loss(3, "free_broken") if not charge else None
    await writer.post(settle(person, request, charge, held=held, loss=loss))
    say(f"settled {request} {charge}")
    if charge and chance.random() < 0.2:
        await _refund(writer, person, request, charge, say)


async def _refund(writer: Writer, person: Person, request: str, nanos: int, say: Say) -> None:
    move = Refund(account_id=person.account, amount_nanos=nanos, request_id=request)
    await writer.post(move)
    say(f"refunded {request} {nanos}")
    try:
        await writer.post(
            Refund(account_id=person.account, amount_nanos=nanos + 1, request_id=request)
        )
    except RefusedMoveError:
        say("violation a refund that was made already was refused instead of answered")
