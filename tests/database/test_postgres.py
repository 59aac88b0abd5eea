"""PostgreSQL: lost connections, reports beside the ledger, and a server that is not there."""

import asyncio

import pytest

from altyn.database import postgres
from altyn.database.address import open_database
from altyn.database.engine import CommitUnknownError, StoreUnavailableError, bump_revision
from altyn.errors import OperatorError
from altyn.ledger import writer as writer_module
from altyn.prove.proxy import through
from fakes.books import hold, open_books, settle
from fakes.postgres import free_port

OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


async def cut_all_others(url):
    database = open_database(url)
    await database.open()
    await database.write(lambda tx: tx.fetch(OTHERS))
    await database.close()


async def patiently(ask):
    """The answer to *ask*, after a refusal or two: connections are found dead one by one."""
    for _ in range(10):
        try:
            return await ask()
        except StoreUnavailableError:
            continue
    return await ask()


async def test_after_its_connections_were_cut_everything_works_again(postgres_url):
    async with open_books(postgres_url) as books:
        account = await books.add_account(100)
        key = await books.add_key(account)
        await books.writer.post(hold(account, key, "h1", 10))

        await cut_all_others(postgres_url)

        await patiently(lambda: books.writer.post(settle(account, key, "h1", 10)))
        assert await patiently(lambda: books.balance(account)) == (90, 0)
        assert await books.findings() == ()


async def test_a_connection_that_is_cut_inside_a_transaction_changes_nothing(postgres_url):
    async def work(tx):
        await bump_revision(tx)
        await tx.fetch("SELECT pg_terminate_backend(pg_backend_pid())")

    async with open_books(postgres_url) as books:
        with pytest.raises(StoreUnavailableError) as caught:
            await books.database.write(work)

        assert not isinstance(caught.value, CommitUnknownError)
        assert await books.read("SELECT * FROM revisions") == []


async def test_long_reports_do_not_keep_a_hold_waiting(postgres_url):
    async with open_books(postgres_url) as books:
        account = await books.add_account(100)
        key = await books.add_key(account)
        reports = [asyncio.ensure_future(books.read("SELECT pg_sleep(20)")) for _ in range(20)]

        balance = await asyncio.wait_for(books.writer.post(hold(account, key, "h1", 10)), 4)

        assert balance.held_nanos == 10
        for report in reports:
            report.cancel()
        await asyncio.gather(*reports, return_exceptions=True)


async def test_a_server_that_is_not_there_is_unavailable(tmp_path):
    with pytest.raises(StoreUnavailableError):
        await open_database(f"postgresql://a:b@127.0.0.1:{free_port()}/x").open()


@pytest.mark.parametrize("wrong", [("altyn:", "altyn:not"), ("/test_", "/no_test_")])
async def test_a_wrong_password_or_name_is_told_and_not_waited_for(postgres_url, wrong):
    with pytest.raises(OperatorError):
        await open_database(postgres_url.replace(*wrong)).open()


async def test_every_process_hears_of_a_change_at_once(postgres_url):
    async with open_books(postgres_url) as books, open_books(postgres_url) as other:
        heard = asyncio.Event()
        listening = asyncio.create_task(other.database.listen(heard.set))
        await asyncio.wait_for(heard.wait(), 5)
        heard.clear()

        await books.database.write(bump_revision)

        await asyncio.wait_for(heard.wait(), 0.5)
        listening.cancel()


async def test_who_lost_the_connection_looks_and_hears_again(postgres_url, monkeypatch):
    monkeypatch.setattr(postgres, "LISTEN_AGAIN_S", 0.01)
    async with open_books(postgres_url) as books, open_books(postgres_url) as other:
        heard = asyncio.Event()
        listening = asyncio.create_task(other.database.listen(heard.set))
        await asyncio.wait_for(heard.wait(), 5)
        heard.clear()

        await cut_all_others(postgres_url)

        await asyncio.wait_for(heard.wait(), 5)
        heard.clear()
        await patiently(lambda: books.database.write(bump_revision))
        await asyncio.wait_for(heard.wait(), 5)
        listening.cancel()


async def test_a_network_that_swallows_everything_is_an_outage_and_not_a_wait(
    postgres_url, monkeypatch
):
    monkeypatch.setattr(postgres, "WRITE_S", 0.3)
    monkeypatch.setattr(writer_module, "REPLAY_PAUSE_S", 0)
    async with through(postgres_url) as proxy, open_books(proxy.url) as books:
        account = await books.add_account(100)
        key = await books.add_key(account)
        proxy.stalls = True

        with pytest.raises(StoreUnavailableError):
            await asyncio.wait_for(books.writer.post(hold(account, key, "h1", 10)), 30)
        proxy.stalls = False

        await patiently(lambda: books.writer.post(hold(account, key, "h2", 10)))
        assert await patiently(lambda: books.balance(account)) == (100, 10)


async def test_a_transaction_has_an_end_however_many_statements_it_has(postgres_url, monkeypatch):
    monkeypatch.setattr(postgres, "WRITE_S", 0.3)

    async def work(tx):
        while True:
            await tx.fetch("SELECT pg_sleep(0.1)")

    async with open_books(postgres_url) as books:
        with pytest.raises(StoreUnavailableError):
            await asyncio.wait_for(books.database.write(work), 5)

        assert await patiently(lambda: books.database.write(bump_revision)) is None


async def test_what_went_wrong_is_told_although_the_roll_back_is_not_answered(
    postgres_url, monkeypatch
):
    monkeypatch.setattr(postgres, "CONNECT_S", 0.3)
    async with through(postgres_url) as proxy, open_books(proxy.url) as books:

        async def work(tx):
            await bump_revision(tx)
            proxy.stalls = True
            raise KeyError("its own")

        with pytest.raises(KeyError):
            await asyncio.wait_for(books.database.write(work), 5)
        proxy.stalls = False

        assert await patiently(lambda: books.read("SELECT * FROM revisions")) == []


async def test_who_listens_on_a_line_that_passes_nothing_takes_another(postgres_url, monkeypatch):
    for name in ("LISTEN_ALIVE_S", "CONNECT_S", "LISTEN_AGAIN_S"):
        monkeypatch.setattr(postgres, name, 0.3)
    async with through(postgres_url) as proxy, open_books(postgres_url) as books:
        heard = asyncio.Event()
        listener = open_database(proxy.url)
        listening = asyncio.create_task(listener.listen(heard.set))
        await asyncio.wait_for(heard.wait(), 5)
        proxy.stalls = True
        await asyncio.sleep(0.5)
        heard.clear()
        proxy.stalls = False

        await asyncio.wait_for(heard.wait(), 5)
        heard.clear()
        await books.database.write(bump_revision)
        await asyncio.wait_for(heard.wait(), 5)
        listening.cancel()


@pytest.mark.parametrize("setting", ["lock_timeout", "statement_timeout"])
async def test_a_lock_that_is_not_given_is_an_outage(postgres_url, monkeypatch, setting):
    async with open_books(postgres_url) as books:
        account = await books.add_account(100)
        monkeypatch.setitem(postgres.SESSION, setting, "100")
        async with open_books(postgres_url) as other:

            async def keep_locked(tx):
                await tx.fetch("SELECT 1 FROM accounts WHERE id = $1 FOR UPDATE", account)
                with pytest.raises(StoreUnavailableError):
                    await other.deposit(account, 5)

            await books.database.write(keep_locked)

            await other.deposit(account, 5)
        assert await books.balance(account) == (105, 0)


@pytest.mark.parametrize("code", ["40001", "40P01", "58030"])
async def test_what_the_server_says_again_and_again_is_an_outage(postgres_url, code):
    tries = 0

    async def work(tx):
        nonlocal tries
        tries += 1
        await tx.execute(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$")

    async with open_books(postgres_url) as books:
        with pytest.raises(StoreUnavailableError):
            await books.database.write(work)

    assert tries == (1 if code == "58030" else postgres.TRIES)


async def test_a_read_that_is_ended_for_what_a_standby_replays_is_an_outage(postgres_url):
    async with open_books(postgres_url) as books:
        with pytest.raises(StoreUnavailableError):
            await books.read("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$")


async def test_who_is_paused_inside_a_transaction_lets_go_of_its_locks(postgres_url, monkeypatch):
    monkeypatch.setitem(postgres.SESSION, "idle_in_transaction_session_timeout", "200")
    async with open_books(postgres_url) as books, open_books(postgres_url) as other:
        account = await books.add_account(100)

        async def pause(tx):
            sql = "UPDATE accounts SET name = 'paused' WHERE id = $1"
            await tx.execute(sql, account)
            await asyncio.sleep(1)
            await tx.execute(sql, account)

        paused = asyncio.ensure_future(books.database.write(pause))
        await asyncio.sleep(0.1)

        await asyncio.wait_for(other.deposit(account, 5), 3)
        with pytest.raises(StoreUnavailableError):
            await paused


async def test_a_pool_that_does_not_close_is_ended(postgres_url, monkeypatch):
    monkeypatch.setattr(postgres, "CLOSE_S", 0.1)
    database = open_database(postgres_url)
    await database.open()
    await database._writers.acquire()

    await asyncio.wait_for(database.close(), 2)


async def test_two_transactions_that_meet_head_on_both_end(postgres_url):
    async with open_books(postgres_url) as books:
        one, other = await books.add_account(), await books.add_account()
        met = asyncio.Barrier(2)

        async def rename(first, second):
            waits = [met]

            async def work(tx):
                sql = "UPDATE accounts SET name = 'x' WHERE id = $1"
                await tx.execute(sql, first)
                if waits:
                    await waits.pop().wait()
                return await tx.execute(sql, second)

            return await books.database.write(work)

        assert await asyncio.gather(rename(one, other), rename(other, one)) == [1, 1]
