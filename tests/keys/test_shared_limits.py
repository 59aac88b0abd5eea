import asyncio
import shutil
import socket
import subprocess
import time
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from altyn.errors import RateLimitExceededError, TooManyConcurrentRequestsError
from altyn.keys.limits import Limits, Rates
from altyn.keys.shared import SharedLimits

SERVER = shutil.which("redis-server") or shutil.which("valkey-server")

needs_redis = pytest.mark.skipif(
    SERVER is None, reason="needs redis-server or valkey-server: install one of them to enable"
)

ACCOUNT = {"account_id": 1, "key_id": 10, "key": None}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class RedisServer:
    """A real Redis of this test's own, without a disk."""

    def __init__(self, folder):
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._process = None

    def start(self):
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
        self._process = subprocess.Popen(
            [SERVER, *options, "--save", "", "--appendonly", "no"], stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        pytest.fail("redis-server did not start")

    def kill(self):
        self._process.kill()
        self._process.wait()


@pytest.fixture
def redis(tmp_path):
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


@asynccontextmanager
async def shared(url, **options):
    store = SharedLimits(url, **options)
    try:
        yield store
    finally:
        await store.close()


async def until(condition, *, timeout_s=5):
    deadline = time.monotonic() + timeout_s
    while not await condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


async def admits(store, rates):
    try:
        slot = await store.enter(**ACCOUNT, account=rates)
    except (TooManyConcurrentRequestsError, RateLimitExceededError):
        return False
    assert slot is not None, "Redis did not answer"
    slot.leave()
    return True


@needs_redis
async def test_two_processes_share_a_limit_of_requests(redis):
    rates = Rates(requests_per_minute=6)
    async with shared(redis.url) as here, shared(redis.url) as there:
        for _ in range(3):
            assert await admits(here, rates)
            assert await admits(there, rates)

        with pytest.raises(RateLimitExceededError) as refused:
            await there.enter(**ACCOUNT, account=rates)

    assert refused.value.facts == {"limit": 6, "unit": "requests", "retry_after_s": 10}


@needs_redis
async def test_the_headers_tell_of_the_tightest_shared_limit(redis):
    async with shared(redis.url) as store:
        slot = await store.enter(
            account_id=1,
            account=Rates(requests_per_minute=600),
            key_id=10,
            key=Rates(requests_per_minute=7),
        )

    assert (slot.limit_requests, slot.remaining_requests) == (7, 6)
    assert slot.reset_requests_s == pytest.approx(60 / 7, abs=0.01)


@needs_redis
async def test_a_refusal_takes_nothing_from_the_other_limit(redis):
    account, key = Rates(requests_per_minute=2), Rates(requests_per_minute=1)
    ids = {"account_id": 1, "account": account, "key_id": 10}
    async with shared(redis.url) as store:
        await store.enter(**ids, key=key)
        with pytest.raises(RateLimitExceededError):
            await store.enter(**ids, key=key)

        slot = await store.enter(**ids, key=None)

    assert slot.remaining_requests == 0


@needs_redis
async def test_tokens_spent_here_are_missed_there(redis):
    rates = Rates(tokens_per_minute=1000)

    async with shared(redis.url) as here, shared(redis.url) as there:
        slot = await here.enter(**ACCOUNT, account=rates)
        slot.spend_tokens(3000)
        slot.leave()

        async def is_refused():
            return not await admits(there, rates)

        await until(is_refused)
        with pytest.raises(RateLimitExceededError) as refused:
            await there.enter(**ACCOUNT, account=rates)

    assert refused.value.facts["unit"] == "tokens"
    assert 110 <= refused.value.facts["retry_after_s"] <= 120


@needs_redis
async def test_a_raised_limit_does_not_inherit_the_old_waits(redis):
    async with shared(redis.url) as store:
        assert await admits(store, Rates(requests_per_minute=1))
        assert not await admits(store, Rates(requests_per_minute=1))

        assert await admits(store, Rates(requests_per_minute=1000))


@needs_redis
async def test_a_place_left_there_is_free_here(redis):
    rates = Rates(parallel_requests=1)
    async with shared(redis.url) as here, shared(redis.url) as there:
        slot = await there.enter(**ACCOUNT, account=rates)
        assert not await admits(here, rates)
        slot.leave()
        slot.leave()

        await until(lambda: admits(here, rates))


@needs_redis
async def test_what_was_left_before_closing_is_told(redis):
    rates = Rates(parallel_requests=1)
    async with shared(redis.url) as here:
        async with shared(redis.url) as there:
            (await there.enter(**ACCOUNT, account=rates)).leave()

        assert await admits(here, rates)


@needs_redis
async def test_the_places_of_a_dead_process_free_themselves(redis):
    rates = Rates(parallel_requests=1)
    async with shared(redis.url) as here, shared(redis.url, lease_s=0.5) as there:
        slot = await there.enter(**ACCOUNT, account=rates)
        there._messenger.cancel()  # what death does: no renewal, no farewell
        assert not await admits(here, rates)

        await until(lambda: admits(here, rates))

    assert slot is not None


@needs_redis
async def test_a_place_is_kept_as_long_as_its_request_lives(redis):
    rates = Rates(parallel_requests=1)
    async with shared(redis.url) as here, shared(redis.url, lease_s=0.5) as there:
        slot = await there.enter(**ACCOUNT, account=rates)

        await asyncio.sleep(1.5)

        assert not await admits(here, rates)
        slot.leave()


@needs_redis
async def test_a_request_that_dies_without_leaving_frees_its_place(redis):
    rates = Rates(parallel_requests=1)
    async with shared(redis.url, lease_s=0.5) as store:
        await store.enter(**ACCOUNT, account=rates)

        await until(lambda: admits(store, rates))


@needs_redis
async def test_what_is_over_leaves_nothing_behind(redis):
    rates = Rates(requests_per_minute=60_000, tokens_per_minute=60_000_000, parallel_requests=5)
    async with shared(redis.url, lease_s=0.5) as store, Redis.from_url(redis.url) as look:
        slot = await store.enter(**ACCOUNT, account=rates)
        slot.spend_tokens(100)
        slot.leave()

        async def is_empty():
            return await look.dbsize() == 0

        await until(is_empty)


@needs_redis
async def test_when_redis_dies_each_process_goes_on_alone(redis):
    rates = Rates(requests_per_minute=60_000, parallel_requests=4)
    async with shared(redis.url) as store:
        limits = Limits(workers=2, store=store)
        shared_slot = await limits.enter(**ACCOUNT, account=rates)
        redis.kill()

        slots = [await limits.enter(**ACCOUNT, account=rates) for _ in range(2)]
        with pytest.raises(TooManyConcurrentRequestsError):
            await limits.enter(**ACCOUNT, account=rates)

        for slot in [shared_slot, *slots]:
            slot.spend_tokens(1)
            slot.leave()


@needs_redis
async def test_when_redis_is_back_the_processes_share_again(redis):
    rates = Rates(requests_per_minute=60_000)
    async with shared(redis.url, pause_s=0.1) as store:
        await store.enter(**ACCOUNT, account=rates)
        redis.kill()
        assert await store.enter(**ACCOUNT, account=rates) is None
        redis.start()

        async def is_shared():
            return await store.enter(**ACCOUNT, account=rates) is not None

        await until(is_shared)


@needs_redis
async def test_a_place_outlives_a_flush_of_redis(redis):
    rates = Rates(parallel_requests=1)
    async with shared(redis.url, lease_s=0.3) as store, Redis.from_url(redis.url) as look:
        slot = await store.enter(**ACCOUNT, account=rates)
        await look.flushall()

        async def is_known_again():
            return await look.exists("altyn:1:slots") == 1

        await until(is_known_again)
        assert not await admits(store, rates)
        slot.leave()


@asynccontextmanager
async def mute_server():
    """Takes connections and says nothing: Redis that hangs."""
    connections = []

    async def listen(_, writer):
        connections.append(writer)

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"redis://127.0.0.1:{port}/0", connections
    finally:
        server.close()
        for writer in connections:
            writer.close()
        await server.wait_closed()


async def test_a_redis_that_hangs_costs_a_quarter_of_a_second_once():
    async with mute_server() as (url, _), shared(url) as store:
        began = time.monotonic()
        first = await store.enter(**ACCOUNT, account=Rates(requests_per_minute=1))
        waited_s = time.monotonic() - began
        others = [
            await store.enter(**ACCOUNT, account=Rates(requests_per_minute=1)) for _ in range(100)
        ]

    assert first is None
    assert 0.2 < waited_s < 2
    assert others == [None] * 100
    assert time.monotonic() - began < 3


async def test_after_a_pause_one_request_asks_and_the_others_do_not_wait():
    async with mute_server() as (url, connections), shared(url, pause_s=0.2) as store:
        await store.enter(**ACCOUNT, account=Rates())
        await asyncio.sleep(0.3)
        before = len(connections)

        await asyncio.gather(*(store.enter(**ACCOUNT, account=Rates()) for _ in range(20)))

        assert len(connections) - before <= 1


async def test_without_a_redis_nobody_is_refused():
    async with shared(f"redis://127.0.0.1:{free_port()}/0") as store:
        slot = await store.enter(**ACCOUNT, account=Rates(requests_per_minute=1))

    assert slot is None


@needs_redis
async def test_a_cancelled_request_leaves_no_place_taken(redis):
    rates = Rates(parallel_requests=1)
    async with shared(redis.url) as store:
        await admits(store, Rates())
        for _ in range(20):
            asking = asyncio.create_task(store.enter(**ACCOUNT, account=rates))
            await asyncio.sleep(0.0005)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            if not asking.cancelled() and asking.exception() is None:
                asking.result().leave()

        await until(lambda: admits(store, rates))
