"""The HTTP protocol: uvicorn's, with limits on the head of a request and errors of ours."""

import asyncio
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from altyn.api import old_http
from altyn.api.errors import error_body
from altyn.database.engine import new_request_id
from altyn.errors import InvalidParameterError

HEAD_BYTES_MAX = 64 * 1024
"""Request line and headers together. A body has a limit of its own."""
HEAD_TIMEOUT_S = 30.0
REFUSAL = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
    b"x-request-id: req_%b\r\nconnection: close\r\n\r\n%b"
)


_serving: "set[asyncio.Task[None] | None]" = set()
"""The loop itself keeps no task alive."""


class HeadTooLargeError(Exception):
    """Raised inside the parser, which makes a 400 of it."""


class CallerLine:
    """What ASGI has no word for: the connection behind one request, looked at without waiting.

    uvicorn checks and writes each header of ours, and head and body in two writes. Our headers are
    made here, so one write carries them all; measured, that is a tenth of a whole call.
    """

    __slots__ = ("cycle",)

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self.cycle = cycle

    def has_left(self) -> bool:
        """Whether the caller has closed the connection."""
        return self.cycle.disconnected

    def hang_up(self) -> None:
        """Close it now, without waiting for a reader to take what was written."""
        self.cycle.transport.abort()

    def take_body(self) -> bytes | None:
        """The body, if all of it is here; None where `receive` has to wait for it."""
        cycle = self.cycle
        if cycle.more_body or cycle.disconnected:
            return None
        cycle.flow.resume_reading()
        body, cycle.body = bytes(cycle.body), bytearray()
        return body

    def answer(self, status: int, headers: bytes, body: bytes) -> None:
        """Give the whole answer. *headers* are complete lines, without the length."""
        cycle = self.cycle
        if cycle.disconnected or cycle.response_started:
            return
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        ending = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
        length = b"content-length: %d\r\n" % len(body)
        if cycle.scope["method"] == "HEAD":
            body = b""
        cycle.transport.write(b"".join((STATUS_LINE[status], headers, length, ending, body)))
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()

    def write(self, data: bytes) -> bool:
        """Write a piece of an answer that has begun; False where `send` has to wait for room."""
        cycle = self.cycle
        if cycle.disconnected:
            return True
        if cycle.flow.write_paused or not cycle.chunked_encoding:
            return False
        cycle.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        return True


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's parser keeps header after header for as long as they come; this one stops."""

    in_head = True
    head_since_s = 0.0
    head_bytes = 0
    piece_bytes = 0
    idle_since_s = 0.0
    clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Whoever listens to uvicorn's logger would get every address, and a key may stand in one.
        self.access_log = False
        self.head_since_s = self.loop.time()
        self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.clock is not None:
            self.clock.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self.piece_bytes = len(data)
        super().data_received(data)
        if self.in_head:
            self.head_bytes += len(data)
            if self.head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
                self._refuse("head_too_large")

    def on_message_begin(self) -> None:
        self.in_head, self.head_bytes, self.head_since_s = True, 0, self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self.in_head = False
        # Counted header by header only when that many bytes have come at all.
        if self.head_bytes + self.piece_bytes > HEAD_BYTES_MAX:
            size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
            if size > HEAD_BYTES_MAX:
                raise HeadTooLargeError
        super().on_headers_complete()
        if self.cycle is not None:
            self.scope["altyn.line"] = CallerLine(self.cycle)  # type: ignore[typeddict-unknown-key]
            if self.scope["http_version"] == old_http.VERSION:
                old_http.answer_without_chunks(self.cycle)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Serve a request in a task that the server does not know.

        What uvicorn knows it cancels when a stop takes too long, and in a whole call that would be
        the settlement. Our own stop ends whoever still asks an upstream: see `Desk.close`.
        """
        task = self.loop.create_task(self._serve(cycle, app))
        _serving.add(task)

    async def _serve(self, cycle: RequestResponseCycle, app: Any) -> None:
        try:
            await cycle.run_asgi(app)
        finally:
            _serving.discard(asyncio.current_task())

    def on_response_complete(self) -> None:
        """uvicorn's, but for the timer: it would set one for each answer and cancel it again."""
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self.idle_since_s = self.loop.time()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 -- ours says the same, as JSON
        self._refuse("http")

    def _refuse(self, reason: str) -> None:
        request_id = new_request_id()
        error = InvalidParameterError(param="headers", reason=reason, limit_bytes=HEAD_BYTES_MAX)
        body = msgspec.json.encode(error_body(error, request_id=request_id, language="en"))
        # Where an answer is under way already, a second would be taken for its end.
        if not self.cycle or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(REFUSAL % (len(body), request_id.encode(), body))
        self.transport.close()

    # One timer for each connection, not for each request: a look every half minute finds the head
    # that is sent a letter at a time, the connection that says nothing at all, and the one that is
    # kept but not used.

    def _look_later(self) -> None:
        self.clock = self.loop.call_later(HEAD_TIMEOUT_S, self._look)

    def _look(self) -> None:
        now = self.loop.time()
        if self.in_head:
            late = now - self.head_since_s >= HEAD_TIMEOUT_S
        else:
            idle = self.cycle is None or self.cycle.response_complete
            late = idle and now - self.idle_since_s >= self.timeout_keep_alive
        if late:
            self.transport.close()
        else:
            self._look_later()
