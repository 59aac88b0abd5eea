"""What is kept alive, what is opened anew, what is refused, and that nothing is left behind."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path

import pytest

from altyn.chat import Fault
from altyn.upstream.connection import Patience
from altyn.upstream.dial import Origin
from altyn.upstream.pool import Pool
from fakes.scripted_server import answer, chunked, free_port, reset, saying, serving

MIB = 1024 * 1024
PATIENCE = Patience(connect_s=1, first_byte_s=2, idle_s=2)


def pool_of(server, **options):
    return Pool(Origin("http", "127.0.0.1", server.port), **options)


async def ask(pool, method="POST", body=b"{}", headers=(), target="/v1/chat", patience=PATIENCE):
    response = await pool.send(method, target, list(headers), body, patience)
    return await response.read(MIB)


def sockets():
    found = 0
    for fd in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the descriptor of the listing itself
            found += str(fd.readlink()).startswith("socket:")
    return found


# The request ----------------------------------------------------------------------------------


async def test_a_request_is_written_as_it_should_be():
    async with serving(saying(answer(b"ok"))) as server:
        pool = pool_of(server)
        await ask(pool, headers=[("authorization", "Bearer s3"), ("x-a", "b")], body=b'{"a":1}')
        await pool.close()

    assert server.requests == [
        b"POST /v1/chat HTTP/1.1\r\ncontent-length: 7\r\nauthorization: Bearer s3\r\nx-a: b\r\n"
        b"host: 127.0.0.1:%d\r\naccept-encoding: identity\r\n\r\n"
        b'{"a":1}' % server.port
    ]


async def test_a_get_has_no_length():
    async with serving(saying(answer(b"ok"))) as server:
        pool = pool_of(server)
        await ask(pool, "GET", body=b"")
        await pool.close()

    assert b"content-length" not in server.requests[0]


async def test_a_large_body_is_sent_whole():
    body = os.urandom(8 * MIB)
    async with serving(saying(answer(b"ok"))) as server:
        pool = pool_of(server)
        await ask(pool, body=body)
        await pool.close()

    assert server.requests[0].endswith(body)


@pytest.mark.parametrize(
    ("headers", "target"),
    [
        ([("x-a", "secret\r\nx-b: 1")], "/"),
        ([("x-a", "secret\nx-b: 1")], "/"),
        ([("x-a", "secret\r")], "/"),
        ([("x-a", "secret\0")], "/"),
        ([("x-a", "secret\u2603")], "/"),
        ([("x-a: secret\r\nx-b", "1")], "/"),
        ([("x a", "secret")], "/"),
        ([("", "secret")], "/"),
        ([("Content-Length", "secret")], "/"),
        ([("transfer-encoding", "secret")], "/"),
        ([("Host", "secret")], "/"),
        ([], "/secret HTTP/1.1\r\nx-b: 1"),
        ([], "/secret path"),
        ([], "/secret\tpath"),
        ([], "secret.example/"),
        ([], "@secret.example/"),
    ],
)
async def test_a_header_cannot_be_smuggled_and_is_not_quoted(headers, target):
    pool = Pool(Origin("http", "127.0.0.1", 1))

    with pytest.raises(ValueError) as caught:
        await ask(pool, headers=headers, target=target)

    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    await pool.close()


# Kept connections -----------------------------------------------------------------------------


async def test_a_connection_is_kept():
    async with serving(saying(answer(b"ok"))) as server:
        pool = pool_of(server)
        for _ in range(5):
            assert await ask(pool) == b"ok"
        await pool.close()

    assert server.connections == 1
    assert len(server.requests) == 5


async def test_a_stream_that_was_read_to_its_end_leaves_its_connection():
    async with serving(saying(chunked(b"a", b"b"))) as server:
        pool = pool_of(server)
        for _ in range(3):
            assert await ask(pool) == b"ab"
        await pool.close()

    assert server.connections == 1


@pytest.mark.parametrize(
    "said",
    [
        answer(b"ok", "connection: close"),
        answer(b"ok").replace(b"HTTP/1.1", b"HTTP/1.0"),
        answer(b"ok") + answer(b"not asked for"),
        answer(b"ok") + b"HTTP/1.1 200",
        answer(b"ok") + b"rubbish",
    ],
    ids=["close", "http_1_0", "two_answers", "half_an_answer", "rubbish"],
)
async def test_a_connection_that_cannot_be_trusted_is_not_kept(said):
    async with serving(saying(said)) as server:
        pool = pool_of(server)
        assert await ask(pool) == b"ok"
        assert await ask(pool) == b"ok"
        await pool.close()

    assert server.connections == 2


async def test_bytes_that_nobody_asked_for_are_no_answer():
    async def script(server, reader, writer):
        for _ in range(2):
            await server.read_request(reader)
            writer.write(answer(b"ok"))
            await asyncio.sleep(0.02)
            writer.write(answer(b"evil"))

    async with serving(script) as server:
        pool = pool_of(server)
        first = await ask(pool)
        async with asyncio.timeout(10):
            while pool._live:  # noqa: ASYNC110 -- nobody tells when a connection goes for them
                await asyncio.sleep(0.01)
        second = await ask(pool)
        await pool.close()

    assert [first, second] == [b"ok", b"ok"]
    assert server.connections == 2


async def test_an_answer_that_overtakes_its_request_ends_the_connection():
    async def script(server, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(b"too large", status="413 Content Too Large"))
        await asyncio.sleep(0.5)

    async with serving(script) as server:
        pool = pool_of(server)
        assert await ask(pool, body=b"x" * (32 * MIB)) == b"too large"
        assert await ask(pool) == b"too large"
        await pool.close()

    assert server.connections == 2


async def test_a_connection_that_was_closed_while_it_rested_is_not_used():
    async with serving(saying(answer(b"ok"), then="close")) as server:
        pool = pool_of(server)
        for _ in range(3):
            assert await ask(pool) == b"ok"
            await asyncio.sleep(0.02)
        await pool.close()

    assert server.connections == 3


async def test_a_connection_rests_only_so_long():
    async with serving(saying(answer(b"ok"))) as server:
        pool = pool_of(server, keep_alive_s=0.05)
        await ask(pool)

        await asyncio.wait_for(server.hung_up.wait(), 1)

        assert not pool._live
        assert not pool._idle
        await pool.close()


async def test_a_busy_connection_does_not_age():
    async with serving(saying(answer(b"ok"))) as server:
        pool = pool_of(server, keep_alive_s=0.1)
        for _ in range(10):
            await ask(pool)
            await asyncio.sleep(0.03)
        await pool.close()

    assert server.connections == 1


def dying_once(*, speaks=b""):
    """Answer, then close the kept connection at its second request; later ones are fine."""

    async def script(server, reader, writer):
        while True:
            await server.read_request(reader)
            if len(server.requests) == 2:
                writer.write(speaks)
                await asyncio.sleep(0.02)
                reset(writer)
                return
            writer.write(answer(b"ok"))

    return script


async def test_a_get_is_sent_again_when_its_kept_connection_dies():
    async with serving(dying_once()) as server:
        pool = pool_of(server)
        await ask(pool, "GET", body=b"")

        assert await ask(pool, "GET", body=b"") == b"ok"
        await pool.close()

    assert len(server.requests) == 3


async def test_a_post_is_never_sent_twice():
    async with serving(dying_once()) as server:
        pool = pool_of(server)
        await ask(pool)

        with pytest.raises(Fault) as caught:
            await ask(pool)
        await pool.close()

    assert caught.value.kind == "broken"
    assert len(server.requests) == 2


async def test_a_get_that_was_being_answered_is_not_sent_again():
    async with serving(dying_once(speaks=b"HTTP/1.1 200")) as server:
        pool = pool_of(server)
        await ask(pool, "GET", body=b"")

        with pytest.raises(Fault) as caught:
            await ask(pool, "GET", body=b"")
        await pool.close()

    assert caught.value.kind == "broken"
    assert len(server.requests) == 2


# Many at once ---------------------------------------------------------------------------------


async def test_a_hundred_calls_at_once_are_all_answered_rightly():
    async def echo(server, reader, writer):
        while True:
            request = await server.read_request(reader)
            await asyncio.sleep(0.001)
            writer.write(answer(request.rpartition(b"\r\n\r\n")[2]))

    async with serving(echo) as server:
        pool = pool_of(server)
        for _ in range(3):
            bodies = [b"%d" % number for number in range(100)]
            assert await asyncio.gather(*(ask(pool, body=body) for body in bodies)) == bodies
        await pool.close()

    assert server.connections <= 100


async def test_calls_beyond_the_limit_wait_for_their_turn():
    async with serving(saying(b"", answer(b"ok"))) as server:
        pool = pool_of(server, connections_max=2)
        answers = await asyncio.gather(*(ask(pool) for _ in range(20)))
        await pool.close()

    assert answers == [b"ok"] * 20
    assert server.connections == 2


async def test_a_connection_that_ends_makes_room_too():
    async with serving(saying(answer(b"ok", "connection: close"))) as server:
        pool = pool_of(server, connections_max=1)
        answers = await asyncio.gather(*(ask(pool) for _ in range(10)))
        await pool.close()

    assert answers == [b"ok"] * 10


async def test_waiting_for_a_turn_ends_with_the_patience_to_connect():
    async with serving(saying(b"", then="hang")) as server:
        pool = pool_of(server, connections_max=1)
        first = asyncio.create_task(ask(pool))
        await server.asked.wait()

        with pytest.raises(Fault) as caught:
            await ask(pool, patience=Patience(connect_s=0.05))

        assert caught.value.kind == "connect"
        await pool.close()
        await asyncio.gather(first, return_exceptions=True)


async def test_a_turn_is_not_lost_when_the_caller_leaves_with_it():
    async with serving(saying(answer(b"ok"))) as server:
        pool = pool_of(server, connections_max=1)
        busy = await pool.send("POST", "/", [], b"", PATIENCE)
        pool._idle.clear()
        callers = [asyncio.create_task(ask(pool)) for _ in range(2)]
        await asyncio.sleep(0.01)

        pool._on_idle(next(iter(pool._live)))
        callers[0].cancel()

        assert await asyncio.wait_for(callers[1], 1) == b"ok"
        assert await busy.read(MIB) == b"ok"
        await pool.close()


# No connection --------------------------------------------------------------------------------


async def test_a_refused_connection_is_a_connect_fault():
    pool = Pool(Origin("http", "127.0.0.1", free_port()))

    with pytest.raises(Fault) as caught:
        await ask(pool)

    assert caught.value.kind == "connect"
    await pool.close()


async def test_a_name_that_cannot_exist_is_a_connect_fault():
    pool = Pool(Origin("http", "x" * 64 + ".invalid", 80))

    with pytest.raises(Fault) as caught:
        await ask(pool)

    assert caught.value.kind == "connect"
    await pool.close()


async def test_a_server_that_hangs_up_at_once_is_broken_or_unreachable():
    async def script(server, reader, writer):
        reset(writer)

    async with serving(script) as server:
        pool = pool_of(server)
        with pytest.raises(Fault) as caught:
            await ask(pool)
        await pool.close()

    assert caught.value.kind in {"broken", "connect"}


# The end --------------------------------------------------------------------------------------


async def test_close_ends_running_answers():
    async with serving(saying(chunked(b"one")[:-5], then="hang")) as server:
        pool = pool_of(server)
        response = await pool.send("POST", "/", [], b"", PATIENCE)
        await response.next()
        reader = asyncio.create_task(response.next())
        await asyncio.sleep(0.01)

        await pool.close()

        with pytest.raises(Fault) as caught:
            await reader
        assert caught.value.kind == "broken"


async def test_close_sends_those_away_who_wait_for_a_turn():
    async with serving(saying(b"", then="hang")) as server:
        pool = pool_of(server, connections_max=1)
        callers = [asyncio.create_task(ask(pool)) for _ in range(3)]
        await server.asked.wait()

        await pool.close()

        faults = await asyncio.gather(*callers, return_exceptions=True)
        assert sorted(fault.kind for fault in faults) == ["broken", "connect", "connect"]


async def test_a_closed_pool_sends_nothing():
    async with serving(saying(answer(b"ok"))) as server:
        pool = pool_of(server)
        await pool.close()
        await pool.close()

        with pytest.raises(Fault) as caught:
            await ask(pool)

    assert caught.value.kind == "connect"
    assert server.connections == 0


async def test_no_socket_and_no_task_is_left():
    before = sockets()
    async with serving(saying(answer(b"ok"), then="keep")) as server:
        pool = pool_of(server)
        await asyncio.gather(*(ask(pool) for _ in range(20)))
        half = await pool.send("POST", "/", [], b"", PATIENCE)
        half.abort()
        left = asyncio.create_task(ask(pool))
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.gather(left, return_exceptions=True)
        await pool.close()
    await asyncio.sleep(0.05)

    assert sockets() == before
    assert asyncio.all_tasks() == {asyncio.current_task()}
