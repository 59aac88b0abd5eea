"""TLS and proxies, with a certificate made for the test and a proxy of forty lines."""

import asyncio
import base64
import ssl

import pytest

from altyn.chat import Fault
from altyn.upstream.connection import Patience
from altyn.upstream.dial import Origin, parse_proxy
from altyn.upstream.pool import Pool
from fakes.certificate import make_certificate
from fakes.scripted_server import answer, chunked, saying, serving

MIB = 1024 * 1024
PATIENCE = Patience(connect_s=1, first_byte_s=2, idle_s=2)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for 127.0.0.1 and its key, in one file."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server_tls(certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trusting(certificate):
    context = ssl.create_default_context()
    context.load_verify_locations(certificate)
    return context


async def ask(pool, body=b"{}"):
    response = await pool.send("POST", "/v1/chat?a=b", [], body, PATIENCE)
    return await response.read(9 * MIB)


async def fault(pool, patience=PATIENCE):
    with pytest.raises(Fault) as caught:
        await pool.send("POST", "/", [], b"", patience)
    await pool.close()
    return caught.value


# TLS ------------------------------------------------------------------------------------------


async def test_https_works_and_its_connection_is_kept(server_tls, trusting):
    async with serving(saying(chunked(b"a", b"b")), server_tls) as server:
        pool = Pool(Origin("https", "127.0.0.1", server.port), ssl_context=trusting)
        for _ in range(3):
            assert await ask(pool) == b"ab"
        await pool.close()

    assert server.connections == 1


async def test_a_large_body_goes_and_comes_over_https(server_tls, trusting):
    body = b"0123456789abcdef" * 500_000
    async with serving(saying(answer(body)), server_tls) as server:
        pool = Pool(Origin("https", "127.0.0.1", server.port), ssl_context=trusting)
        assert await ask(pool, body) == body
        await pool.close()

    assert server.requests[0].endswith(body)


async def test_a_slow_reader_of_https_is_bounded(server_tls, trusting):
    body = b"x" * (8 * MIB)
    async with serving(saying(answer(body)), server_tls) as server:
        pool = Pool(Origin("https", "127.0.0.1", server.port), ssl_context=trusting)
        response = await pool.send("POST", "/", [], b"", PATIENCE)
        await asyncio.sleep(0.2)

        assert response.buffered_bytes < MIB
        assert await response.read(9 * MIB) == body
        await pool.close()


async def test_an_unknown_certificate_is_a_connect_fault(server_tls):
    async with serving(saying(answer(b"ok")), server_tls) as server:
        pool = Pool(Origin("https", "127.0.0.1", server.port))
        caught = await fault(pool)

    assert caught.kind == "connect"
    assert "self-signed" in caught.message
    assert not server.requests


async def test_a_certificate_for_another_name_is_a_connect_fault(server_tls, trusting):
    async with serving(saying(answer(b"ok")), server_tls) as server:
        pool = Pool(Origin("https", "localhost", server.port), ssl_context=trusting)
        caught = await fault(pool)

    assert caught.kind == "connect"
    assert not server.requests


async def test_a_server_that_speaks_no_tls_is_a_connect_fault(trusting):
    async def script(server, reader, writer):
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with serving(script) as server:
        pool = Pool(Origin("https", "127.0.0.1", server.port), ssl_context=trusting)
        caught = await fault(pool)

    assert caught.kind == "connect"


async def test_a_handshake_without_end_is_a_connect_fault(trusting):
    async def script(server, reader, writer):
        while await reader.read(1000):
            pass
        server.hung_up.set()

    async with serving(script) as server:
        pool = Pool(Origin("https", "127.0.0.1", server.port), ssl_context=trusting)
        caught = await fault(pool, Patience(connect_s=0.1))
        await asyncio.wait_for(server.hung_up.wait(), 1)

    assert caught.kind == "connect"


# Proxies --------------------------------------------------------------------------------------


def tunnelling(said=b"HTTP/1.1 200 Connection established\r\n\r\n"):
    """A proxy that answers CONNECT with these bytes and then carries whatever comes."""

    async def script(server, reader, writer):
        request = await server.read_request(reader)
        host, _, port = request.split(b" ")[1].decode().rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        for at in range(len(said)):
            writer.write(said[at : at + 1])
            await asyncio.sleep(0)
        try:
            await asyncio.gather(carry(reader, far_writer), carry(far_reader, writer))
        finally:
            far_writer.transport.abort()

    return script


async def carry(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.write_eof() if writer.can_write_eof() else writer.close()


def through(proxy, credentials=""):
    return f"http://{credentials}127.0.0.1:{proxy.port}"


async def test_http_goes_through_a_proxy_in_absolute_form():
    async with serving(saying(answer(b"ok"))) as proxy:
        origin = Origin("http", "far.example", 80, through(proxy, "me:p%40ss@"))
        pool = Pool(origin)
        for _ in range(2):
            assert await ask(pool) == b"ok"
        await pool.close()

    lines = proxy.requests[0].split(b"\r\n")
    assert lines[0] == b"POST http://far.example/v1/chat?a=b HTTP/1.1"
    assert b"host: far.example" in lines
    assert b"proxy-authorization: Basic " + base64.b64encode(b"me:p@ss") in lines
    assert proxy.connections == 1


async def test_https_goes_through_a_proxy_in_a_tunnel(server_tls, trusting):
    async with (
        serving(saying(answer(b"ok")), server_tls) as server,
        serving(tunnelling()) as proxy,
    ):
        origin = Origin("https", "127.0.0.1", server.port, through(proxy, "me:pass@"))
        pool = Pool(origin, ssl_context=trusting)
        for _ in range(3):
            assert await ask(pool) == b"ok"
        await pool.close()

    assert proxy.requests == [
        b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nproxy-authorization: Basic %b"
        b"\r\n\r\n" % (server.port, server.port, base64.b64encode(b"me:pass"))
    ]
    assert b"proxy-authorization" not in server.requests[0]
    assert server.requests[0].startswith(b"POST /v1/chat?a=b HTTP/1.1\r\n")
    assert server.connections == 1


async def test_the_name_is_checked_through_a_tunnel_too(server_tls):
    async with (
        serving(saying(answer(b"ok")), server_tls) as server,
        serving(tunnelling()) as proxy,
    ):
        caught = await fault(Pool(Origin("https", "127.0.0.1", server.port, through(proxy))))

    assert caught.kind == "connect"
    assert not server.requests


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407"),
        (b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n", "502"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\nextra", "HTTP"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"x" * 70_000, "HTTP"),
        (b"HTTP/1.1 200", "closed"),
    ],
)
async def test_a_proxy_that_does_not_connect_is_a_connect_fault(said, reason):
    async with serving(saying(said, then="close")) as proxy:
        origin = Origin("https", "far.example", 443, through(proxy, "me:secret@"))
        caught = await fault(Pool(origin))

    assert caught.kind == "connect"
    assert reason in caught.message
    assert "secret" not in caught.message


async def test_a_silent_proxy_is_a_connect_fault():
    async with serving(saying(b"", then="hang")) as proxy:
        origin = Origin("https", "far.example", 443, through(proxy))
        caught = await fault(Pool(origin), Patience(connect_s=0.1))
        await asyncio.wait_for(proxy.hung_up.wait(), 1)

    assert caught.kind == "connect"


# Addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "socks5://me:secret@host:1080",
        "https://me:secret@host:3128",
        "me:secret@host:3128",
        "http://me:secret@host",
        "http://me:secret@:3128",
        "http://me:secret@host:port",
        "http://me:secret@host:99999",
        "http://me:secret@ho st:3128",
        "http://me:se/cret@host:3128",
        "",
    ],
)
def test_any_other_proxy_is_refused_without_quoting_it(url):
    with pytest.raises(ValueError) as caught:
        Origin("https", "far.example", 443, url)

    assert "http://host:port" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_proxy_may_do_without_a_password():
    assert parse_proxy("http://host:3128").authorization == ""
    assert parse_proxy("http://me@host:3128").authorization == "Basic bWU6"


@pytest.mark.parametrize(
    ("scheme", "host"),
    [
        ("ftp", "far.example"),
        ("http", ""),
        ("http", "far.example/path"),
        ("http", "me@far.example"),
        ("http", "far\r\n.example"),
        ("http", "пример.рф"),
    ],
)
def test_an_address_that_is_none_is_refused(scheme, host):
    with pytest.raises(ValueError):
        Origin(scheme, host, 80)


@pytest.mark.parametrize(
    ("origin", "authority"),
    [
        (Origin("http", "far.example", 80), "far.example"),
        (Origin("http", "far.example", 8000), "far.example:8000"),
        (Origin("https", "far.example", 443), "far.example"),
        (Origin("https", "far.example", 80), "far.example:80"),
        (Origin("http", "::1", 8000), "[::1]:8000"),
        (Origin("http", "::1", 80), "[::1]"),
    ],
)
def test_the_host_header_names_the_port_only_when_it_must(origin, authority):
    assert origin.authority == authority


def test_an_origin_does_not_show_the_proxys_password():
    origin = Origin("https", "far.example", 443, "http://me:secret@proxy:3128")

    assert "secret" not in repr(origin)
    assert "secret" not in repr(parse_proxy("http://me:secret@proxy:3128"))
