"""Processes come and go: their shards, their death, and the holds they leave behind."""

import asyncio
import time
from functools import partial

from altyn.catalog.load import add_builtin_models, load_catalog
from altyn.database import engine
from altyn.gateway.recovery import resolve_abandoned
from altyn.ledger import workers
from altyn.ledger.book import MAX_HOLD_MS
from altyn.ledger.moves import KeyWindow, Note, Record, Resolve
from altyn.ledger.workers import DEAD_AFTER_MS, list_abandoned, list_health, list_unknown
from fakes.books import Books, hold, open_books, record

PAUSED = f"UPDATE workers SET heartbeat_at = heartbeat_at - {DEAD_AFTER_MS + 1_000} WHERE id = $1"


async def shard_of(books: Books) -> int:
    rows = await books.read("SELECT shard FROM workers WHERE id = $1", books.writer.owner.worker_id)
    return rows[0][0]


async def test_processes_that_start_at_once_have_accounts_of_their_own(books):
    owners = await asyncio.gather(*(books.database.write(workers.start_worker) for _ in range(4)))

    ids = [number for owner in owners for number in owner.operator.values()]
    assert len(set(ids)) == len(ids)


async def test_a_dead_processs_shard_is_used_again(books):
    first = books.writer.owner
    await books.change(PAUSED, first.worker_id)

    second = await books.database.write(workers.start_worker)

    assert second.operator == first.operator


async def test_a_shard_that_is_used_again_keeps_its_accounts_beside_newer_ones(books):
    first = books.writer.owner
    second = await books.database.write(workers.start_worker)
    await books.change(PAUSED, first.worker_id)

    third = await books.database.write(workers.start_worker)

    assert third.operator == first.operator
    assert not set(third.operator.values()) & set(second.operator.values())


async def test_a_stopped_processs_shard_is_used_again(books):
    first = books.writer.owner
    await books.database.write(lambda tx: workers.stop_worker(tx, first.worker_id))

    second = await books.database.write(workers.start_worker)

    assert second.operator == first.operator


def test_a_process_is_dead_after_a_minute_of_silence():
    assert DEAD_AFTER_MS == 60_000


async def test_a_process_goes_by_the_databases_clock_from_its_start(books, monkeypatch):
    monkeypatch.setattr(engine.time, "time_ns", lambda: 0)
    owner = await books.database.write(workers.start_worker)
    monkeypatch.undo()

    assert abs(owner.clock.now_ms() - engine.now_ms()) < 5_000


async def test_a_heartbeat_keeps_a_process_alive(books):
    owner = books.writer.owner
    await books.change(PAUSED, owner.worker_id)

    await books.database.write(lambda tx: workers.beat(tx, owner))

    second = await books.database.write(workers.start_worker)
    assert second.operator != owner.operator


async def test_the_living_say_how_they_find_the_upstreams(books):
    owners = [books.writer.owner]
    owners += [await books.database.write(workers.start_worker) for _ in range(4)]
    for owner, health in zip(owners, ("paused", "stopped", "one", None, "two"), strict=True):
        await books.database.write(partial(workers.beat, owner=owner, health=health))
    await books.change(PAUSED, owners[0].worker_id)
    await books.database.write(partial(workers.stop_worker, worker_id=owners[1].worker_id))

    assert await list_health(books.database) == ["one", "two"]


async def leave_open(books: Books) -> int:
    await books.database.write(add_builtin_models)
    account = await books.add_account(1_000)
    key = await books.add_key(account)
    window = KeyWindow(key, 0, 500)
    for name in ("h1", "h2"):
        await books.writer.post(hold(account, key, name, 100, window=window))
    books.writer.tell(Note(request_id="h2", provider="p", upstream_id="u", delivered_bytes=4_000))
    await books.writer.drain()
    return account


async def test_the_holds_of_the_living_are_left_alone(books):
    await leave_open(books)

    assert await list_abandoned(books.database) == []


async def test_the_holds_of_the_dead_are_listed_with_all_that_is_known(books):
    account = await leave_open(books)

    await books.change(PAUSED, books.writer.owner.worker_id)

    found = {hold.request_id: hold for hold in await list_abandoned(books.database)}
    assert set(found) == {"h1", "h2"}
    assert (found["h1"].attempt, found["h2"].attempt) == ("prepared", "sent")
    assert (found["h2"].account_id, found["h2"].amount_nanos) == (account, 100)
    assert (found["h2"].upstream_id, found["h2"].delivered_bytes) == ("u", 4_000)


async def test_a_hold_beyond_its_lease_is_listed_though_its_owner_lives(books):
    await leave_open(books)

    await books.change("UPDATE holds SET lease_expires_at = created_at - 1 WHERE request_id = 'h1'")

    assert [hold.request_id for hold in await list_abandoned(books.database)] == ["h1"]


async def test_a_hold_its_provider_is_asked_about_is_unknown_for_as_long_as_its_lease(books):
    account = await leave_open(books)
    await books.writer.post(Resolve(request_id="h2", account_id=account, state="unknown"))
    await books.change(PAUSED, books.writer.owner.worker_id)

    async def listed():
        lists = [await list_abandoned(books.database), await list_unknown(books.database)]
        return [[hold.request_id for hold in holds] for holds in lists]

    asked = await listed()
    await books.change("UPDATE holds SET lease_expires_at = 1 WHERE request_id = 'h2'")
    given_up = await listed()

    assert asked == [["h1"], ["h2"]]
    assert given_up == [["h1", "h2"], []]


async def test_one_hold_that_cannot_be_resolved_does_not_keep_the_others_waiting(books):
    account = await leave_open(books)
    catalog = await load_catalog(books.database)
    key = (await list_unresolved(books))["h1"]
    # Its usage record is there already, so the database refuses what would end it.
    await books.writer.post(Record(request_id="h1", record=record(account, key, "h1", mode="test")))
    await books.change("UPDATE holds SET created_at = 1 WHERE request_id = 'h1'")
    await books.change(PAUSED, books.writer.owner.worker_id)

    resolved = await resolve_abandoned(books.database, books.writer, catalog, {})

    assert resolved == 1
    assert set(await list_unresolved(books)) == {"h1"}
    assert await books.balance(account) == (1_000, 100)


async def list_unresolved(books: Books) -> dict[str, int]:
    """Every hold with its key."""
    return dict(await books.read("SELECT request_id, key_id FROM holds"))


async def test_a_file_that_is_ours_alone_has_no_other_workers(sqlite_books):
    await leave_open(sqlite_books)

    await sqlite_books.database.write(workers.end_other_workers)

    assert len(await list_abandoned(sqlite_books.database)) == 2


async def test_two_sweepers_at_once_resolve_each_hold_once(books, migrated_url):
    account = await leave_open(books)
    catalog = await load_catalog(books.database)
    await books.change(PAUSED, books.writer.owner.worker_id)

    sweeps = [resolve_abandoned(books.database, books.writer, catalog, {}) for _ in range(2)]
    resolved = await asyncio.gather(*sweeps)

    assert sum(resolved) == 2
    assert await books.balance(account) == (1_000, 0)
    assert await books.read("SELECT request_id, outcome FROM usage_records ORDER BY 1") == [
        ("h1", "free_unknown"),
        ("h2", "free_unknown"),
    ]


async def test_sweepers_in_two_processes_resolve_each_hold_once(postgres_url):
    async with open_books(postgres_url) as books, open_books(postgres_url) as other:
        account = await leave_open(books)
        catalog = await load_catalog(books.database)
        await books.change(PAUSED, books.writer.owner.worker_id)

        resolved = await asyncio.gather(
            resolve_abandoned(books.database, books.writer, catalog, {}),
            resolve_abandoned(other.database, other.writer, catalog, {}),
        )

        assert sum(resolved) == 2
        assert await books.balance(account) == (1_000, 0)
        assert await books.findings() == ()


async def test_an_answer_that_had_begun_is_the_operators_loss(books):
    await leave_open(books)
    catalog = await load_catalog(books.database)
    await books.change(PAUSED, books.writer.owner.worker_id)

    await resolve_abandoned(books.database, books.writer, catalog, {})

    losses = await books.read("SELECT ref, reason FROM entries WHERE kind = 'loss'")
    assert losses == [("h2", "free_unknown")]


async def test_after_an_outage_nobody_is_taken_for_dead(books, monkeypatch):
    owner = books.writer.owner
    began_s = time.monotonic()

    async def beat_after(seconds):
        monkeypatch.setattr(time, "monotonic", lambda: began_s + seconds)
        return await owner_beats()

    def owner_beats():
        return books.database.write(lambda tx: workers.beat(tx, owner))

    answers = [await beat_after(seconds) for seconds in (20, 40, 120, 140, 150, 161)]
    monkeypatch.undo()

    assert answers == [True, True, False, False, False, True]


async def test_a_server_that_has_just_begun_says_nothing_of_the_silent(postgres_url, monkeypatch):
    monkeypatch.setattr(workers, "SERVER_NEW_S", 1e9)
    async with open_books(postgres_url) as books:
        assert not await books.database.write(lambda tx: workers.beat(tx, books.writer.owner))


async def test_a_lease_goes_by_the_databases_clock(books, monkeypatch):
    """Whatever is done to the clock of this machine while the process runs."""
    account = await books.add_account(1_000)
    key = await books.add_key(account)
    monkeypatch.setattr(engine.time, "time_ns", lambda: 0)

    await books.writer.post(hold(account, key, "h1", 100))

    monkeypatch.undo()
    now = workers.NOW[books.database.kind]
    ((left_ms,),) = await books.read(f"SELECT lease_expires_at - {now} FROM holds")
    assert abs(left_ms - MAX_HOLD_MS) < 5_000
