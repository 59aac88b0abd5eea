"""The connections to one origin: kept alive, shared, and bounded."""

import asyncio
import re
import ssl
from collections import deque

from altyn.chat import Fault
from altyn.upstream.connection import Connection, Patience, Response
from altyn.upstream.dial import Origin, default_tls, dial, parse_proxy

CONNECTIONS_MAX = 1000

KEEP_ALIVE_S = 15.0
"""Shorter than any vendor's own: a request must not meet a connection that is being closed."""

OUR_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "expect"})
"""Written here, from the origin and the body: a second one would contradict the first."""


HEADER_NAME = re.compile(r"[0-9A-Za-z!#$%&'*+.^_`|~-]+")


class Pool:
    """Sends requests to one origin over kept-alive connections.

    Made and used inside one event loop. `ssl_context` replaces the system's trust for https.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        connections_max: int = CONNECTIONS_MAX,
        keep_alive_s: float = KEEP_ALIVE_S,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._origin = origin
        self._connections_max = connections_max
        self._keep_alive_s = keep_alive_s
        self._tls = (ssl_context or default_tls()) if origin.scheme == "https" else None
        self._target_prefix, self._last_lines = _written_once(origin)
        self._known_names: set[str] = set()
        self._idle: list[Connection] = []
        self._live: set[Connection] = set()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._emptied = asyncio.Event()
        self._closed = False

    async def send(
        self,
        method: str,
        target: str,
        headers: list[tuple[str, str]],
        body: bytes,
        patience: Patience,
    ) -> Response:
        """Send a request and return once the head of the answer is here; redirects are answers.

        Raise `Fault`: "connect" if nothing was sent, "timeout", "broken" or "invalid" after that.
        Raise `ValueError` for a target or header that cannot be written on one line.
        """
        head = self._head(method, target, headers, len(body))
        connection = self._take_idle()
        if connection is None:
            connection = await self._open(patience)
        elif method == "GET":
            return await self._ask_again(connection, head, body, patience)
        return await connection.exchange(head, body, patience)

    async def close(self) -> None:
        """Close every connection, running answers too, and return when all are gone."""
        self._closed = True
        self._idle.clear()
        while self._waiting:
            self._call_next()
        for connection in list(self._live):
            connection.shut()
        if self._live:
            await self._emptied.wait()

    # Connections --------------------------------------------------------------------------------

    def _take_idle(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return None

    async def _ask_again(
        self, connection: Connection, head: bytes, body: bytes, patience: Patience
    ) -> Response:
        """Send over a kept connection; if it was closed meanwhile, once more over another.

        Only for GET. A POST whose connection ends after it was written may have been read and
        billed: sending it again could be paid twice, so its failure is the caller's to judge. A
        connection known to be closed is never written to, so that this is rare.
        """
        try:
            return await connection.exchange(head, body, patience)
        except Fault as fault:
            if fault.kind != "broken" or connection.answered:
                raise
        connection = await self._open(patience)
        return await connection.exchange(head, body, patience)

    async def _open(self, patience: Patience) -> Connection:
        try:
            async with asyncio.timeout(patience.connect_s):
                return await self._idle_or_new()
        except TimeoutError:
            raise Fault(
                "connect", f"{self._origin.address}: no connection in {patience.connect_s:g} s"
            ) from None

    async def _idle_or_new(self) -> Connection:
        while not self._closed:
            if connection := self._take_idle():
                return connection
            if len(self._live) < self._connections_max:
                return await self._new()
            await self._turn()
        raise Fault("connect", f"{self._origin.address}: the pool is closed")

    async def _new(self) -> Connection:
        connection = Connection(
            keep_alive_s=self._keep_alive_s, on_idle=self._on_idle, on_lost=self._on_lost
        )
        # Counted from here on: a burst must not open more than the limit while names resolve.
        self._live.add(connection)
        try:
            await dial(self._origin, connection, self._tls)
        except BaseException:
            connection.abort()
            self._on_lost(connection)
            raise
        if self._closed or not connection.usable:
            connection.abort()
            raise Fault("connect", f"{self._origin.address}: closed as soon as it was open")
        return connection

    async def _turn(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():
                self._call_next()
            raise

    def _call_next(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _on_idle(self, connection: Connection) -> None:
        if self._closed:
            connection.abort()
            return
        self._idle.append(connection)
        if self._waiting:
            self._call_next()

    def _on_lost(self, connection: Connection) -> None:
        self._live.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._call_next()
        if self._closed and not self._live:
            self._emptied.set()

    # The request's head -------------------------------------------------------------------------

    def _head(
        self, method: str, target: str, headers: list[tuple[str, str]], body_bytes: int
    ) -> bytes:
        text = f"{method} {self._target_prefix}{target} HTTP/1.1"
        breaks = len(headers)
        if body_bytes or method != "GET":
            text += f"\r\ncontent-length: {body_bytes}"
            breaks += 1
        for name, value in headers:
            if name not in self._known_names:
                self._learn(name)
            text += f"\r\n{name}: {value}"
        # The text is not quoted in an error: it holds the provider's key.
        if text.count("\n") != breaks or text.count("\r") != breaks or "\0" in text:
            raise ValueError("A header or the target of a request holds a line break.")
        if target[:1] != "/" or " " in target or not target.isprintable():
            # Behind a proxy's absolute form, "@other.host/" would name another server.
            raise ValueError("The target of a request starts with / and holds no space.")
        return self._encoded(text)

    def _learn(self, name: str) -> None:
        if not HEADER_NAME.fullmatch(name) or name.lower() in OUR_HEADERS:
            raise ValueError("A header of a request has a name that it cannot have here.")
        self._known_names.add(name)

    def _encoded(self, text: str) -> bytes:
        try:
            return text.encode("ascii") + self._last_lines
        except UnicodeEncodeError:
            # `from None`: the error carries the whole text, and with it the provider's key.
            raise ValueError("A header or the target of a request is not ASCII.") from None


def _written_once(origin: Origin) -> tuple[str, bytes]:
    """Return what stands before every target, and the end of every head."""
    lines = ["", f"host: {origin.authority}", "accept-encoding: identity"]
    prefix = ""
    if origin.proxy_url is not None and origin.scheme == "http":
        prefix = f"http://{origin.authority}"
        if authorization := parse_proxy(origin.proxy_url).authorization:
            lines.append(f"proxy-authorization: {authorization}")
    return prefix, "\r\n".join([*lines, "", ""]).encode("ascii")
