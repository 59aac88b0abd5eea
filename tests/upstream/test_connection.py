"""How answers are framed, bounded, timed and cut, over real sockets."""

import asyncio
import gzip
import time
import tracemalloc

import pytest

from altyn.chat import Fault
from altyn.upstream.connection import BUFFER_BYTES_MAX, Connection, Patience
from altyn.upstream.dial import Origin
from altyn.upstream.pool import Pool
from fakes.scripted_server import answer, chunked, saying, serving

MIB = 1024 * 1024
PATIENCE = Patience(connect_s=5, first_byte_s=10, idle_s=10)
QUICK = Patience(connect_s=5, first_byte_s=0.15, idle_s=0.15)


async def post(pool, patience=PATIENCE, body=b"{}"):
    return await pool.send("POST", "/v1/chat", [("accept", "*/*")], body, patience)


async def whole(script, *, limit_bytes=MIB, patience=PATIENCE):
    """Ask one question of a server with this script; return status and body."""
    async with serving(script) as server:
        pool = Pool(Origin("http", "127.0.0.1", server.port))
        try:
            response = await post(pool, patience)
            return response.status, await response.read(limit_bytes)
        finally:
            await pool.close()


async def fault(script, **options):
    with pytest.raises(Fault) as caught:
        await whole(script, **options)
    return caught.value.kind


# Framing --------------------------------------------------------------------------------------


async def test_a_body_with_its_length_is_read_whole():
    assert await whole(saying(answer(b'{"a":1}'))) == (200, b'{"a":1}')


async def test_an_empty_body_is_read_whole():
    assert await whole(saying(answer(b""))) == (200, b"")


async def test_an_answer_that_has_no_body_is_read_whole():
    assert await whole(saying(b"HTTP/1.1 204 No Content\r\n\r\n")) == (204, b"")


async def test_chunks_are_joined():
    assert await whole(saying(chunked(b"one", b" and ", b"two"))) == (200, b"one and two")


async def test_trailers_are_no_headers():
    said = chunked(b"one").removesuffix(b"\r\n") + b"x-late: 1\r\n\r\n"

    async with serving(saying(said)) as server:
        pool = Pool(Origin("http", "127.0.0.1", server.port))
        first = await post(pool)
        await first.read(MIB)
        second = await post(pool)
        await second.read(MIB)
        await pool.close()

    assert "x-late" not in first.headers
    assert "x-late" not in second.headers


async def test_a_body_without_a_length_ends_with_the_connection():
    said = b"HTTP/1.1 200 OK\r\n\r\nuntil the end"

    assert await whole(saying(said, then="close")) == (200, b"until the end")


async def test_a_chunked_answer_may_be_cut_at_every_byte():
    said = chunked(b'data: {"a":1}\n\n', "привет".encode(), head="x-a: b\r\n")
    expected = (200, b'data: {"a":1}\n\n' + "привет".encode())

    cuts = [whole(saying(said[:cut], said[cut:])) for cut in range(1, len(said))]

    assert await asyncio.gather(*cuts) == [expected] * (len(said) - 1)


async def test_an_answer_may_come_byte_by_byte():
    said = chunked(b"one", b"two")
    pieces = [said[at : at + 1] for at in range(len(said))]

    assert await whole(saying(*pieces, pause_s=0.001)) == (200, b"onetwo")


async def test_a_line_of_300_kb_is_read_whole():
    line = b"data: " + b"x" * 300_000 + b"\n\n"

    assert await whole(saying(chunked(line))) == (200, line)


async def test_a_continue_is_skipped():
    said = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"

    assert await whole(saying(said + answer(b"ok"))) == (200, b"ok")
    assert await whole(saying(said, answer(b"ok"))) == (200, b"ok")


async def test_the_headers_of_a_continue_are_not_the_answers():
    async with serving(saying(b"HTTP/1.1 103 x\r\nlink: x\r\n\r\n" + answer(b"ok"))) as server:
        pool = Pool(Origin("http", "127.0.0.1", server.port))

        response = await post(pool)

        assert response.headers == {"content-length": "2"}
        await pool.close()


async def test_header_names_are_lower_case_and_the_last_of_two_is_kept():
    async with serving(saying(answer(b"", "X-Thing: 1", "x-thing: 2"))) as server:
        pool = Pool(Origin("http", "127.0.0.1", server.port))

        response = await post(pool)

        assert response.headers["x-thing"] == "2"
        await pool.close()


async def test_a_redirect_is_an_answer():
    said = answer(b"", "location: http://127.0.0.1:1/", status="302 Found")

    assert await whole(saying(said)) == (302, b"")


async def test_a_burst_is_returned_at_once():
    async with serving(saying(chunked(b"a", b"b", b"c"))) as server:
        pool = Pool(Origin("http", "127.0.0.1", server.port))
        response = await post(pool)

        assert await response.next() == b"abc"
        assert await response.next() == b""
        assert await response.next() == b""
        await pool.close()


# What is not an answer ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        b"<html>not http</html>",
        b"\x00\x01\x02",
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\x00b\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip, gzip\r\ncontent-length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
    ],
)
async def test_what_is_not_http_is_invalid(said):
    assert await fault(saying(said, then="hang")) == "invalid"


async def test_what_came_before_the_garbage_is_returned_first():
    said = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\nrubbish"
    async with serving(saying(said, then="hang")) as server:
        pool = Pool(Origin("http", "127.0.0.1", server.port))
        response = await post(pool)

        assert await response.next() == b"one"
        with pytest.raises(Fault) as caught:
            await response.next()
        assert caught.value.kind == "invalid"
        await pool.close()


ENDLESS = {
    "a_header": b"HTTP/1.1 200 OK\r\nx: " + b"x" * 70_000,
    "many_headers": b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: y\r\n" % n for n in range(99_999)),
    "300_headers": answer(b"", *(f"x-{n}: y" for n in range(300))),
    "a_long_head_that_ends": answer(b"", "x: " + "x" * 66_000),
    "one_header_repeated": answer(b"", *["x: y"] * 20_000),
    "continues": b"HTTP/1.1 100 Continue\r\n\r\n" * 5_000,
    "trailers": chunked(b"one").removesuffix(b"\r\n") + b"x: " + b"x" * 700_000,
    "a_chunk_extension": chunked(b"one").removesuffix(b"0\r\n\r\n") + b"1;" + b"x" * 700_000,
}


@pytest.mark.parametrize("said", ENDLESS.values(), ids=ENDLESS.keys())
async def test_no_end_of_headers_is_waited_for(said):
    assert await fault(saying(said, then="hang")) == "invalid"


async def test_a_head_of_60_kb_with_a_large_body_behind_it_is_read():
    said = answer(b"b" * 500_000, "x: " + "x" * 60_000)

    assert await whole(saying(said)) == (200, b"b" * 500_000)


async def test_a_body_over_its_limit_is_invalid():
    assert await whole(saying(answer(b"x" * 1000)), limit_bytes=1000) == (200, b"x" * 1000)
    assert await fault(saying(answer(b"x" * 1001)), limit_bytes=1000) == "invalid"


# Ends that come too early ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
    ],
)
@pytest.mark.parametrize("then", ["close", "reset"])
async def test_an_answer_that_ends_early_is_broken(said, then):
    assert await fault(saying(said, then=then)) == "broken"


async def test_a_reset_ends_no_body_cleanly():
    said = b"HTTP/1.1 200 OK\r\n\r\nuntil the end"

    assert await fault(saying(said, then="reset")) == "broken"


async def test_what_came_before_the_end_is_returned_first():
    said = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"
    async with serving(saying(said, then="close")) as server:
        pool = Pool(Origin("http", "127.0.0.1", server.port))
        response = await post(pool)
        await asyncio.sleep(0.05)

        assert await response.next() == b"half"
        with pytest.raises(Fault):
            await response.next()
        await pool.close()


# Time -----------------------------------------------------------------------------------------


async def test_silence_before_the_head_is_a_timeout():
    started = time.monotonic()

    assert await fault(saying(b"", then="hang"), patience=QUICK) == "timeout"
    assert 0.1 < time.monotonic() - started < 1


async def test_a_head_that_trickles_is_a_timeout():
    pieces = [b"%c" % byte for byte in answer(b"ok")]

    assert await fault(saying(*pieces, pause_s=0.03), patience=QUICK) == "timeout"


async def test_silence_within_the_body_is_a_timeout():
    assert await fault(saying(chunked(b"one")[:-5], then="hang"), patience=QUICK) == "timeout"


async def test_a_body_that_keeps_coming_is_no_timeout():
    pieces = [chunked()[:-5], *[b"1\r\nx\r\n"] * 10, b"0\r\n\r\n"]

    assert await whole(saying(*pieces, pause_s=0.05), patience=QUICK) == (200, b"x" * 10)


async def test_chunk_extensions_alone_do_not_keep_a_body_alive():
    pieces = [chunked()[:-5], b"1;", *[b"x"] * 100]

    assert await fault(saying(*pieces, pause_s=0.03), patience=QUICK) == "timeout"


async def test_a_slow_reader_is_not_the_upstreams_silence():
    body = b"x" * (4 * MIB)
    async with serving(saying(answer(body))) as server:
        pool = Pool(Origin("http", "127.0.0.1", server.port))
        response = await post(pool, QUICK)

        await asyncio.sleep(0.5)

        assert await response.read(5 * MIB) == body
        await pool.close()


# Memory ---------------------------------------------------------------------------------------


async def test_what_a_slow_reader_leaves_unread_is_bounded():
    body = b"x" * (32 * MIB)
    async with serving(saying(answer(body))) as server:
        pool = Pool(Origin("http", "127.0.0.1", server.port))
        response = await post(pool, Patience())

        most_bytes = read_bytes = 0
        while data := await response.next():
            read_bytes += len(data)
            await asyncio.sleep(0.001)
            most_bytes = max(most_bytes, response.buffered_bytes)

        assert read_bytes == len(body)
        assert BUFFER_BYTES_MAX < most_bytes <= 2 * BUFFER_BYTES_MAX
        await pool.close()


@pytest.mark.parametrize("then", ["close", "keep"])
async def test_a_gzip_body_is_inflated(then):
    body = b'{"text": "' + b"hello " * 1000 + b'"}'
    packed = gzip.compress(body)

    assert await whole(saying(answer(packed, "Content-Encoding: gzip"), then=then)) == (200, body)


async def test_a_gzip_body_may_be_cut_at_every_byte():
    said = answer(gzip.compress(b"hello " * 9), "content-encoding: gzip")

    cuts = [whole(saying(said[:cut], said[cut:])) for cut in range(1, len(said))]

    assert set(await asyncio.gather(*cuts)) == {(200, b"hello " * 9)}


async def test_a_gzip_body_that_is_cut_is_broken():
    packed = gzip.compress(b"hello " * 1000)[:-4]

    assert await fault(saying(answer(packed, "content-encoding: gzip"))) == "broken"


async def test_a_damaged_gzip_body_is_invalid():
    assert await fault(saying(answer(b"not gzip", "content-encoding: gzip"))) == "invalid"


async def test_a_gzip_bomb_does_not_go_off():
    bomb = gzip.compress(b"\0" * (256 * MIB), 9)

    tracemalloc.start()
    kind = await fault(saying(answer(bomb, "content-encoding: gzip")), limit_bytes=512 * MIB)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert kind == "invalid"
    assert peak_bytes < 16 * MIB


# Leaving --------------------------------------------------------------------------------------


async def test_abort_closes_a_connection_that_is_still_answering():
    async with serving(saying(chunked(b"one")[:-5], then="hang")) as server:
        pool = Pool(Origin("http", "127.0.0.1", server.port))
        response = await post(pool)

        response.abort()
        response.abort()

        await asyncio.wait_for(server.hung_up.wait(), 1)
        await pool.close()


async def test_an_aborted_answer_does_not_end_cleanly():
    async with serving(saying(answer(b"whole"))) as server:
        pool = Pool(Origin("http", "127.0.0.1", server.port))
        response = await post(pool)

        response.abort()

        with pytest.raises(Fault):
            await response.next()
        await pool.close()


async def test_abort_wakes_the_reader():
    async with serving(saying(chunked(b"one")[:-5], then="hang")) as server:
        pool = Pool(Origin("http", "127.0.0.1", server.port))
        response = await post(pool, Patience())
        await response.next()
        reader = asyncio.create_task(response.next())
        await asyncio.sleep(0.01)

        response.abort()

        with pytest.raises(Fault):
            await asyncio.wait_for(reader, 1)
        await pool.close()


async def test_abort_keeps_a_connection_that_has_answered():
    async with serving(saying(answer(b"ok"))) as server:
        pool = Pool(Origin("http", "127.0.0.1", server.port))
        for _ in range(3):
            response = await post(pool)
            await asyncio.sleep(0.01)
            response.abort()

        assert server.connections == 1
        await pool.close()


async def test_a_caller_who_leaves_before_the_head_closes_the_connection():
    async with serving(saying(b"", then="hang")) as server:
        pool = Pool(Origin("http", "127.0.0.1", server.port))
        caller = asyncio.create_task(post(pool, Patience()))
        await server.asked.wait()

        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)

        await asyncio.wait_for(server.hung_up.wait(), 1)
        await pool.close()


class Wire(asyncio.Transport):
    """A transport that keeps what is written and can be closed."""

    def __init__(self):
        super().__init__()
        self.closed = False

    def write(self, data):
        pass

    def get_write_buffer_size(self):
        return 0

    def abort(self):
        self.closed = True


async def asked(on_idle):
    """A connection that has sent its question, and the task that waits for the answer."""
    wire = Wire()
    connection = Connection(keep_alive_s=9, on_idle=on_idle, on_lost=lambda _: None)
    connection.connection_made(wire)
    caller = asyncio.create_task(connection.exchange(b"head", b"", Patience()))
    await asyncio.sleep(0)
    return wire, connection, caller


async def test_a_caller_who_leaves_as_the_whole_answer_comes_harms_nobody():
    idle = []
    wire, connection, caller = await asked(idle.append)

    connection.data_received(answer(b"ok"))
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)

    assert idle == [connection]
    assert not wire.closed
    connection.connection_lost(None)


async def test_a_caller_who_leaves_as_half_an_answer_comes_closes_the_connection():
    idle = []
    wire, connection, caller = await asked(idle.append)

    connection.data_received(answer(b"ok")[:-1])
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)

    assert wire.closed
    connection.connection_lost(None)


async def test_an_answer_that_comes_as_the_caller_leaves_is_not_kept():
    idle = []
    wire, connection, caller = await asked(idle.append)

    caller.cancel()
    connection.data_received(answer(b"ok"))
    await asyncio.gather(caller, return_exceptions=True)

    assert wire.closed
    assert not idle
    connection.connection_lost(None)
