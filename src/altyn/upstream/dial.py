"""Where an upstream is, and how a connection to it is opened: directly, or through a proxy."""

import asyncio
import base64
import re
import ssl
from functools import cache
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from altyn.chat import Fault
from altyn.upstream.connection import HEAD_BYTES_MAX, Connection

HOST = re.compile(r"[0-9A-Za-z._:-]+")
DEFAULT_PORTS = {"http": 80, "https": 443}


class Proxy(msgspec.Struct, frozen=True):
    """`authorization` is the value of Proxy-Authorization: a secret, `""` if there is none."""

    host: str
    port: int
    authorization: str = ""

    def __repr__(self) -> str:
        return f"Proxy({self.host}:{self.port})"


class Origin(msgspec.Struct, frozen=True):
    """One server, as connections to it are shared: `host` without brackets, even for IPv6.

    Raise `ValueError` for a proxy that is not `http://[user:password@]host:port`.
    """

    scheme: Literal["http", "https"]
    host: str
    port: int
    proxy_url: str | None = None

    def __post_init__(self) -> None:
        if self.scheme not in DEFAULT_PORTS:
            raise ValueError("An upstream's address must start with http:// or https://.")
        if not HOST.fullmatch(self.host):
            raise ValueError("An upstream's host may hold letters, digits, dots and dashes only.")
        if self.proxy_url is not None:
            parse_proxy(self.proxy_url)

    def __repr__(self) -> str:
        # The proxy's URL may hold a password.
        return f"Origin({self.scheme}://{self.address})"

    @property
    def address(self) -> str:
        """`host:port`, as a CONNECT names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def authority(self) -> str:
        """The value of the Host header: the port only if it is not the scheme's own."""
        if self.port == DEFAULT_PORTS[self.scheme]:
            return self.address.removesuffix(f":{self.port}")
        return self.address


def parse_proxy(url: str) -> Proxy:
    """Read `http://[user:password@]host:port`. Raise `ValueError`, which never quotes the URL."""
    try:
        return _proxy(urlsplit(url))
    except ValueError:
        raise ValueError(
            "A proxy is written as http://host:port or http://user:password@host:port; "
            "other kinds of proxies are not supported."
        ) from None


def _proxy(parts: SplitResult) -> Proxy:
    host, port = parts.hostname, parts.port
    if parts.scheme != "http" or not host or not port or not HOST.fullmatch(host):
        raise ValueError
    if parts.username is None:
        return Proxy(host, port)
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return Proxy(host, port, f"Basic {base64.b64encode(pair.encode()).decode()}")


@cache
def default_tls() -> ssl.SSLContext:
    """The system's trust, read once for all pools: it takes 10 ms and more."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


async def dial(origin: Origin, connection: Connection, tls: ssl.SSLContext | None) -> None:
    """Connect. Raise `Fault("connect")`; the patience is the caller's."""
    try:
        await _connect(origin, connection, tls)
    except (OSError, UnicodeError) as error:
        raise Fault("connect", f"{origin.address}: {error}") from None


async def _connect(origin: Origin, connection: Connection, tls: ssl.SSLContext | None) -> None:
    proxy = parse_proxy(origin.proxy_url) if origin.proxy_url is not None else None
    if proxy is None:
        await asyncio.get_running_loop().create_connection(
            lambda: connection,
            origin.host,
            origin.port,
            ssl=tls,
            server_hostname=origin.host if tls is not None else None,
        )
    elif tls is None:
        await asyncio.get_running_loop().create_connection(
            lambda: connection, proxy.host, proxy.port
        )
    else:
        await _tunnel(origin, proxy, connection, tls)


async def _tunnel(
    origin: Origin, proxy: Proxy, connection: Connection, tls: ssl.SSLContext
) -> None:
    loop = asyncio.get_running_loop()
    transport, answer = await loop.create_connection(ConnectAnswer, proxy.host, proxy.port)
    try:
        transport.write(_connect_request(origin, proxy))
        await answer.opened
        # An early byte would find the connection without a transport to close.
        connection.connection_made(transport)
        secured = await loop.start_tls(transport, connection, tls, server_hostname=origin.host)
        assert secured is not None
        connection.connection_made(secured)
    except BaseException:
        transport.abort()
        raise


def _connect_request(origin: Origin, proxy: Proxy) -> bytes:
    lines = [f"CONNECT {origin.address} HTTP/1.1", f"host: {origin.address}"]
    if proxy.authorization:
        lines.append(f"proxy-authorization: {proxy.authorization}")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


class ConnectAnswer(asyncio.Protocol):
    """The proxy's answer to CONNECT. `opened` fails with `Fault("connect")` if it is no."""

    def __init__(self) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._head = b""

    def data_received(self, data: bytes) -> None:
        self._head += data
        head, blank, rest = self._head.partition(b"\r\n\r\n")
        if rest or len(head) > HEAD_BYTES_MAX:
            self._refuse("the proxy did not answer CONNECT in HTTP")
        elif blank:
            self._judge(head)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio names it
        self._refuse("the proxy closed the connection")

    def _judge(self, head: bytes) -> None:
        line = re.match(rb"HTTP/1\.[01] ([0-9]{3})", head)
        if line is None:
            self._refuse("the proxy did not answer CONNECT in HTTP")
        elif line[1].startswith(b"2"):
            self._settle(None)
        else:
            self._refuse(f"the proxy answered {line[1].decode()} to CONNECT")

    def _refuse(self, message: str) -> None:
        self._settle(Fault("connect", message))

    def _settle(self, fault: Fault | None) -> None:
        if self.opened.done():
            return
        if fault is None:
            self.opened.set_result(None)
        else:
            self.opened.set_exception(fault)
