"""What the rows of a proof would cry about: each judge, given books or callers that are wrong."""

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from altyn.database.engine import StoreUnavailableError
from altyn.prove import disk
from altyn.prove.backup import missing
from altyn.prove.bad_days import bad_days
from altyn.prove.breaches import DAMAGE, Victim, judge
from altyn.prove.callers import Call, Callers
from altyn.prove.fleet import dishonest, one_shop
from altyn.prove.place import Place
from altyn.prove.revocation import judge as judge_flood
from altyn.prove.shop import PatientBooks
from fakes.books import hold, settle


def heard(*calls):
    return SimpleNamespace(callers=SimpleNamespace(calls=list(calls)))


def refused(status, code="c", retry_after=None):
    return Call(
        model="m", stream=False, status=status, end="refused", code=code, retry_after=retry_after
    )


@pytest.mark.parametrize("status", [401, 403, 409, 500])
def test_a_refusal_that_blames_the_caller_is_a_violation(status):
    assert dishonest(heard(refused(status, "x"))) == [f"a good call was refused with {status} x"]


def test_a_refusal_that_does_not_say_when_to_come_again_is_a_violation():
    assert dishonest(heard(refused(503, "x"))) == [
        "a call was refused with 503 x and not told when to come again"
    ]
    assert dishonest(heard(refused(503, retry_after="2"), refused(402))) == []


def test_only_what_was_heard_since_is_judged_again():
    assert dishonest(heard(refused(500), refused(402)), since=1) == []


# Revocation -----------------------------------------------------------------------------------


def flood(*calls):
    callers = Callers("k", ("m",), 1)
    callers.calls = list(calls)
    return callers


def test_a_key_that_one_process_never_refused_is_a_violation():
    good, bad = flood(refused(401, "revoked_api_key")), flood(refused(401, "invalid_api_key"))

    assert judge_flood([good, bad], -0.1, 1.0) == ["process 1 never refused the key"]


def test_a_call_that_began_long_after_the_revocation_is_a_violation():
    good = flood(refused(401, "revoked_api_key"))

    assert judge_flood([good], 1.04, 1.0) == ["a call began 1.0 s after its key was revoked"]
    assert judge_flood([good], 0.5, 1.0) == []


# Backup ---------------------------------------------------------------------------------------


async def test_what_was_answered_and_is_not_in_the_copy_is_a_violation(sqlite_books):
    account = await sqlite_books.add_account()
    key = await sqlite_books.add_key(account)
    await sqlite_books.deposit(account, 100, "d1")
    await sqlite_books.writer.post(hold(account, key, "h1", 10))
    await sqlite_books.writer.post(settle(account, key, "h1", 7, held=10))

    whole = await missing(sqlite_books.database, {"h1": 7}, {"d1": 100})
    torn = await missing(sqlite_books.database, {"h1": 8, "h2": 1}, {"d1": 100, "d2": 5})

    assert whole == []
    assert torn == [
        "a call was answered before the backup and is not in it: h1 of 8",
        "a call was answered before the backup and is not in it: h2 of 1",
        "a deposit was answered before the backup and is not in it: d2 of 5",
    ]


# Breaches -------------------------------------------------------------------------------------


def test_a_gateway_whose_auditor_sleeps_is_found_out(sqlite_gateway):
    customer = sqlite_gateway.add_customer()
    damage = next(iter(DAMAGE))
    shop = SimpleNamespace(
        books=sqlite_gateway.app.database, account_id=0, home=sqlite_gateway.settings.home
    )
    node = SimpleNamespace(port=int(sqlite_gateway.url.rpartition(":")[2]))

    found = sqlite_gateway.run(judge(shop, node, [Victim(customer.account_id, "k", damage)]))

    assert found == [
        f"not found: {damage}",
        f"/readyz does not name it: {damage}",
        "the metrics count no breach",
    ]


# Disks and servers ----------------------------------------------------------------------------


def test_a_server_of_somebody_elses_is_not_broken(tmp_path):
    rows = asyncio.run(bad_days(Place("postgresql", tmp_path), rounds=1, seed=1))

    assert {(row.rounds, row.note) for row in rows} == {(0, "needs a private server")}


async def test_where_nothing_can_be_mounted_the_disk_is_not_tried(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    row = await disk.fill_for_real(Place("sqlite", tmp_path), rounds=1, seed=1)

    assert (row.rounds, row.note) == (0, "a file system of our own cannot be mounted here")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system")
def test_a_small_disk_is_really_full_and_gone_afterwards(tmp_path):
    with disk._small_disk(tmp_path / "small") as folder:
        if folder is None:
            pytest.skip("a file system of our own cannot be mounted here")
        disk._take_all_but(folder / "ballast", 4096)
        with pytest.raises(OSError, match="No space left"):
            (folder / "more").write_bytes(bytes(65536))

    assert list(Path(tmp_path / "small").iterdir()) == []


# Processes that are left ----------------------------------------------------------------------


async def test_a_proof_that_fails_in_the_middle_leaves_no_gateway_and_waits_for_none(tmp_path):
    place = Place("sqlite", tmp_path / "place")
    await asyncio.to_thread(place.prepare)
    nodes = []

    async def fail():
        async with one_shop(place, 1) as shop:
            nodes.append(await shop.start())
            raise KeyError("in the middle")

    with pytest.raises(KeyError):
        await asyncio.wait_for(fail(), 30)

    (node,) = nodes
    assert await node.ended(5)


async def test_the_books_are_read_again_after_a_restart_of_their_server():
    class Restarting:
        reads = 0

        async def read(self, _sql):
            self.reads += 1
            if self.reads < 3:
                raise StoreUnavailableError("the connection is dead")
            return [(1,)]

    assert await PatientBooks(Restarting()).read("SELECT 1") == [(1,)]
