"""One HTTP/1.1 connection to an upstream, and the answer that is being read from it.

No task, no queue and no lock per call: bytes go from the socket to the parser to the answer, and a
future exists only while somebody waits.
"""

import asyncio
from collections.abc import Callable
from math import inf
from typing import cast

import httptools
import msgspec

from altyn.chat import Fault
from altyn.upstream.inflate import Inflater

HEAD_BYTES_MAX = 64 * 1024
"""All header lines of an answer; also all trailers, and any other bytes that carry no body."""

HEADERS_MAX = 256

BUFFER_BYTES_MAX = 256 * 1024
"""Unread body beyond this stops the reading until the answer is drained."""

JOIN_BYTES_MAX = 64 * 1024
"""A body up to this is copied behind its head; a larger one is not worth the copy."""

INFLATED = frozenset({"gzip", "x-gzip", "deflate"})


class Patience(msgspec.Struct, frozen=True):
    """How long to wait, in seconds, before giving up. The whole call is the caller's business.

    `connect_s` for name, TCP, proxy and TLS together, `first_byte_s` from sending to the whole head
    of the answer, `idle_s` between two pieces of its body.
    """

    connect_s: float = 5
    first_byte_s: float = 60
    idle_s: float = 120


class Response:
    """An answer whose head has arrived; its body is read as it comes, by one reader.

    Read to the end or `abort`: an answer that is dropped half-read holds its connection.
    """

    __slots__ = (
        "_complete",
        "_connection",
        "_failure",
        "_inflater",
        "_pieces",
        "_raw_headers",
        "_waiter",
        "buffered_bytes",
        "status",
    )

    def __init__(
        self, connection: "Connection", status: int, raw_headers: dict[bytes, bytes]
    ) -> None:
        self.status = status
        self.buffered_bytes = 0
        self._raw_headers = raw_headers
        self._connection: Connection | None = connection
        self._pieces: list[bytes] = []
        self._complete = False
        self._failure: tuple[Fault.Kind, str] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._inflater: Inflater | None = None

    @property
    def headers(self) -> dict[str, str]:
        """By lower-case name; of a repeated header the last. Made anew at every call."""
        return {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in self._raw_headers.items()
        }

    async def read(self, limit_bytes: int) -> bytes:
        """Return the whole body. Raise as `next` does, and `Fault("invalid")` if it is larger."""
        # Most answers are here, whole, before they are asked for.
        here = self._complete and self._pieces and self._inflater is None
        if here and self.buffered_bytes <= limit_bytes:
            return self._drain()
        parts = []
        size_bytes = 0
        while (part := self._ready()) != b"":
            if part is None:
                await self._change()
                continue
            size_bytes += len(part)
            if size_bytes > limit_bytes:
                self.abort()
                raise Fault("invalid", f"the answer is larger than {limit_bytes} bytes")
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def next(self) -> bytes:
        """Return what has arrived since, at least a byte; `b""` at the end of the body.

        Raise `Fault`: "broken" if the connection ended early, "timeout" if nothing came within
        `idle_s`, "invalid" for what is not HTTP. What arrived before is returned first.
        """
        while (data := self._ready()) is None:
            await self._change()
        return data

    def abort(self) -> None:
        """Stop reading. The connection is closed, unless it has already given all of its answer."""
        connection = self._connection
        self._pieces.clear()
        self._inflater = None
        self.failed("broken", "the answer was aborted")
        if connection is not None:
            connection.abort()

    def _ready(self) -> bytes | None:
        """Return what can be had without waiting: None if nothing, `b""` at the end."""
        if self._inflater is not None:
            return self._ready_inflated(self._inflater)
        if self._pieces:
            return self._drain()
        if self._failure is not None:
            raise Fault(*self._failure)
        return b"" if self._complete else None

    def _ready_inflated(self, inflater: Inflater) -> bytes | None:
        while self._pieces or inflater.pending:
            try:
                inflated = inflater.feed(b"" if inflater.pending else self._drain())
            except Fault as fault:
                self.abort()
                self._failure = (fault.kind, fault.message)
                raise
            if inflated:
                return inflated
        if self._failure is not None:
            raise Fault(*self._failure)
        if self._complete and inflater.cut:
            raise Fault("broken", "the compressed body ended early")
        return b"" if self._complete else None

    def _drain(self) -> bytes:
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.buffered_bytes = 0
        if self._connection is not None:
            self._connection.resume()
        return data

    async def _change(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    # What the connection tells it ---------------------------------------------------------------

    def decode(self) -> None:
        """Prepare for the body's encodings. Raise `Fault("invalid")` for one we cannot undo."""
        # `find`, because `in` for bytes tries a number first, and that is the slowest line here.
        if b"\n".join(self._raw_headers).lower().find(b"-encoding") < 0:
            return
        headers = self.headers
        content = headers.get("content-encoding", "identity").lower()
        if content in INFLATED:
            self._inflater = Inflater()
        elif content != "identity":
            raise Fault("invalid", "the answer has a content encoding we did not ask for")
        if headers.get("transfer-encoding", "chunked").lower() != "chunked":
            raise Fault("invalid", "the answer has a transfer encoding we did not ask for")

    def arrived(self, pieces: list[bytes], size_bytes: int) -> None:
        self._pieces += pieces
        self.buffered_bytes += size_bytes
        if self._waiter is not None:
            self._wake()

    def completed(self) -> None:
        # From here on the connection may be serving somebody else.
        self._connection = None
        self._complete = True
        if self._waiter is not None:
            self._wake()

    def failed(self, kind: Fault.Kind, message: str) -> None:
        self._connection = None
        self._failure = (kind, message)
        if self._waiter is not None:
            self._wake()

    def _wake(self) -> None:
        assert self._waiter is not None
        if not self._waiter.done():
            self._waiter.set_result(None)


class Connection(asyncio.Protocol):
    """A socket that carries one request at a time, and rests for `keep_alive_s` between two.

    `on_idle` is called when it may be used again, `on_lost` once when it is gone. It is `usable`
    from being made until either side closes it.
    """

    __slots__ = (
        "_complete",
        "_deadline",
        "_fires_at",
        "_keep_alive_s",
        "_loop",
        "_on_idle",
        "_on_lost",
        "_opening",
        "_parser",
        "_patience",
        "_paused",
        "_pieces",
        "_raw_headers",
        "_response",
        "_reusable",
        "_silent_bytes",
        "_timer",
        "_transport",
        "answered",
        "on_body",
        "on_header",
        "usable",
    )

    def __init__(
        self,
        *,
        keep_alive_s: float,
        on_idle: Callable[["Connection"], None],
        on_lost: Callable[["Connection"], None],
    ) -> None:
        self.usable = False
        self.answered = False
        self._keep_alive_s = keep_alive_s
        self._on_idle = on_idle
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._patience = Patience()
        self._opening: asyncio.Future[Response] | None = None
        self._response: Response | None = None
        self._silent_bytes = 0
        self._complete = False
        self._reusable = False
        self._paused = False
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = inf
        self._fires_at = inf
        # The parser calls these for every header and piece of body, without a frame of Python.
        self._raw_headers: dict[bytes, bytes] = {}
        self._pieces: list[bytes] = []
        self.on_header = self._raw_headers.__setitem__
        self.on_body = self._pieces.append
        self._parser = httptools.HttpResponseParser(self)

    async def exchange(self, head: bytes, body: bytes, patience: Patience) -> Response:
        """Send a request and return once the head of the answer is here.

        To be called when `usable`. Raise `Fault`: "timeout", "broken" or "invalid"; `answered` then
        says whether any byte came back.
        """
        assert self._transport is not None
        opening: asyncio.Future[Response] = self._loop.create_future()
        self._opening = opening
        self._patience = patience
        self._complete = self.answered = False
        self._raw_headers.clear()  # the trailers of the answer before
        self._silent_bytes = 0
        self._expect_within(patience.first_byte_s)
        if len(body) <= JOIN_BYTES_MAX:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))
        try:
            return await opening
        except asyncio.CancelledError:
            if opening.cancelled():
                self.abort()
            elif opening.exception() is None:
                # The answer came in the same turn of the loop. It may even be complete, and the
                # connection somebody else's by now: only the answer knows.
                opening.result().abort()
            raise

    def abort(self) -> None:
        """Close at once. What is still to be sent is not sent."""
        self.usable = False
        self._response = self._opening = None
        if self._transport is not None:
            self._transport.abort()

    def shut(self) -> None:
        """Close at once; an answer that is still being read fails as broken."""
        self._fail("broken", "we closed the connection")
        self.abort()

    def resume(self) -> None:
        """The answer was drained: read on, if reading had stopped."""
        if self._paused and self._transport is not None:
            self._paused = False
            self._expect_within(self._patience.idle_s)
            self._transport.resume_reading()

    # What the event loop tells it ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, not an assertion: uvloop's transports do not inherit from asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self.usable = True

    def data_received(self, data: bytes) -> None:
        if self._opening is None and self._response is None:
            # An answer to no question must not become the answer to the next one.
            self.abort()
        elif self._response is None and self._silent_bytes + len(data) > HEAD_BYTES_MAX:
            self._receive_long(data)
        else:
            self._receive(data)

    def _receive_long(self, data: bytes) -> None:
        """The head must end within its limit, wherever the read was cut."""
        left_bytes = HEAD_BYTES_MAX - self._silent_bytes
        if left_bytes:
            self.data_received(data[:left_bytes])
            self.data_received(data[left_bytes:])
        else:
            self._fail("invalid", f"the answer's headers are over {HEAD_BYTES_MAX} bytes")

    def _receive(self, data: bytes) -> None:
        self.answered = True
        self._silent_bytes += len(data)
        moved = self._response is None
        failure = None
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            failure = _failure_of(error)
        response = self._response
        if self._pieces and response is not None:
            moved = True
            self._silent_bytes = 0
            response.arrived(self._pieces, len(data))
            self._pieces.clear()
        if self._complete:
            self._finish(reusable=self._reusable and failure is None)
        elif failure is not None:
            self._fail(*failure)
        elif response is not None:
            self._go_on(response, moved=moved)

    def _go_on(self, response: Response, *, moved: bool) -> None:
        if moved:
            self._expect_within(self._patience.idle_s)
        if self._silent_bytes > HEAD_BYTES_MAX:
            # Trailers and chunk extensions could go on for ever, and the parser keeps a header.
            self._fail("invalid", f"the answer sent {HEAD_BYTES_MAX} bytes without a body")
        elif response.buffered_bytes > BUFFER_BYTES_MAX and not self._paused:
            assert self._transport is not None
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> None:
        self.usable = False
        if self._response is not None and _ends_at_eof(self._response.headers):
            self._finish(reusable=False)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio names it
        self.usable = False
        self._fail("broken", "the connection ended before the answer did")
        if self._timer is not None:
            self._timer.cancel()
        # The parser holds our methods and we hold the parser: without this, only the collector
        # would free either.
        del self._parser
        self._on_lost(self)

    def _finish(self, *, reusable: bool) -> None:
        assert self._transport is not None
        assert self._response is not None
        response, self._response = self._response, None
        response.completed()
        # An answer that overtakes its request, like an early 413, leaves the rest of the request in
        # the buffer: the next answer would be read as the answer to that.
        if reusable and not self._transport.get_write_buffer_size():
            self._expect_within(self._keep_alive_s)
            self._on_idle(self)
        else:
            self.abort()

    def _fail(self, kind: Fault.Kind, message: str) -> None:
        if self._opening is not None and not self._opening.done():
            self._opening.set_exception(Fault(kind, message))
            self.abort()
        elif self._response is not None:
            self._response.failed(kind, message)
            self.abort()

    # What the parser tells it -------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._complete:
            raise Fault("invalid", "there is more than one answer")

    def on_headers_complete(self) -> None:
        raw_headers = self._raw_headers.copy()
        self._raw_headers.clear()
        if len(raw_headers) > HEADERS_MAX:
            raise Fault("invalid", f"the answer has more than {HEADERS_MAX} headers")
        status = self._parser.get_status_code()
        if status >= 200:  # noqa: PLR2004 -- 1xx is not the answer yet
            self._begin(Response(self, status, raw_headers))

    def _begin(self, response: Response) -> None:
        response.decode()
        opening, self._opening = self._opening, None
        if opening is None or opening.done():
            raise Fault("broken", "the caller has left")
        self._response = response
        opening.set_result(response)

    def on_message_complete(self) -> None:
        if self._response is not None:
            self._complete = True
            self._reusable = self._parser.should_keep_alive()

    # Time ---------------------------------------------------------------------------------------

    def _expect_within(self, seconds: float) -> None:
        """Move the deadline. The timer is touched only if it would fire too late.

        A deadline usually moves away, thousands of times a second: the timer finds that out when it
        fires, and is set again then.
        """
        self._deadline = deadline = self._loop.time() + seconds
        if deadline < self._fires_at:
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._fires_at = self._deadline
        self._timer = self._loop.call_at(self._deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._fires_at = inf
        if self._deadline > self._loop.time():
            self._set_timer()
        elif self._opening is not None:
            self._fail("timeout", f"no answer within {self._patience.first_byte_s:g} s")
        elif self._response is None:
            self.abort()
        elif self._paused:
            # The reader is slow, not the upstream.
            self._expect_within(self._patience.idle_s)
        else:
            self._fail("timeout", f"the answer stopped for {self._patience.idle_s:g} s")


def _failure_of(error: Exception) -> tuple[Fault.Kind, str]:
    if isinstance(error.__context__, Fault):
        return error.__context__.kind, error.__context__.message
    return "invalid", "the answer is not HTTP/1.1"


def _ends_at_eof(headers: dict[str, str]) -> bool:
    return "content-length" not in headers and "transfer-encoding" not in headers
