"""The HTTP protocol: uvicorn's, with limits on the head of a request and errors of ours."""

import asyncio
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import httptools
import msgspec
import structlog
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from altyn.api import old_http
from altyn.api.errors import error_body
from altyn.api.request import LINE
from altyn.database.engine import new_request_id
from altyn.errors import InvalidParameterError

HEAD_BYTES_MAX = 64 * 1024
"""Request line and headers together. A body has a limit of its own."""
HEAD_TIMEOUT_S = 30.0
REFUSAL = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
    b"x-request-id: req_%b\r\nconnection: close\r\n\r\n%b"
)


ASGI = {"version": "3.0", "spec_version": "2.3"}

log = structlog.get_logger("altyn.protocol")
_serving: "set[asyncio.Task[None] | None]" = set()
"""The loop itself keeps no task alive."""


class HeadTooLargeError(Exception):
    """Raised inside the parser, which makes a 400 of it."""


class CallerLine(RequestResponseCycle):
    """One request and its answer on a connection; with what ASGI has no word for.

    uvicorn checks and writes each header of ours, and head and body in two writes. Our headers are
    made here, so one write carries them all; measured, that is a tenth of a whole call.
    """

    async def run_asgi(self, app: Any) -> None:
        """Serve it. An application that ends without an answer is a fault of ours: a 500."""
        try:
            await app(self.scope, self.receive, self.send)
        except Exception:
            log.exception("application_failed", path=self.scope["path"])
        finally:
            _serving.discard(asyncio.current_task())
            # Each holds the other: without this, only the collector would free either.
            self.scope.pop(LINE, None)  # type: ignore[misc]
        if self.response_complete or self.disconnected:
            return
        if self.response_started:
            self.transport.close()  # half an answer must not look like a whole one
        else:
            await self.send_500_response()

    def has_left(self) -> bool:
        """Whether the caller has closed the connection."""
        return self.disconnected

    def hang_up(self) -> None:
        """Close it now, without waiting for a reader to take what was written."""
        self.transport.abort()

    def take_body(self) -> bytes | None:
        """The body, if all of it is here; None where `receive` has to wait for it."""
        if self.more_body or self.disconnected:
            return None
        self.flow.resume_reading()
        body, self.body = bytes(self.body), bytearray()
        return body

    def answer(self, status: int, headers: bytes, body: bytes) -> None:
        """Give the whole answer. *headers* are complete lines, without the length."""
        if self.disconnected or self.response_started:
            return
        self.response_started = True
        self.waiting_for_100_continue = False
        ending = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
        length = b"content-length: %d\r\n" % len(body)
        if self.scope["method"] == "HEAD":
            body = b""
        self.transport.write(b"".join((STATUS_LINE[status], headers, length, ending, body)))
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def write(self, data: bytes) -> bool:
        """Write a piece of an answer that has begun; False where `send` has to wait for room."""
        if self.disconnected:
            return True
        if self.flow.write_paused or not self.chunked_encoding:
            return False
        self.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        return True


def split_target(target: bytes) -> tuple[str, bytes, bytes]:
    """A request's target as ASGI wants it: the path decoded, the path as it came, the query."""
    url = httptools.parse_url(target)
    path = url.path.decode("ascii")
    return unquote(path) if "%" in path else path, url.path, url.query or b""


_split_again = lru_cache(maxsize=256)(split_target)
SPLIT_AGAIN_BYTES = 80
"""Targets up to this long are remembered: the API has few, and others would fill the memory."""


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's parser keeps header after header for as long as they come; this one stops."""

    in_head = True
    head_since_s = 0.0
    head_bytes = 0
    piece_bytes = 0
    idle_since_s = 0.0
    cycle: CallerLine | None  # type: ignore[assignment]  # uvicorn's type forgets the None
    clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.head_since_s = self.loop.time()
        self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.clock is not None:
            self.clock.cancel()
        super().connection_lost(exc)
        self.cycle = None  # it knows us: see `CallerLine.run_asgi`

    def data_received(self, data: bytes) -> None:
        self.piece_bytes = len(data)
        super().data_received(data)
        if self.in_head:
            self.head_bytes += len(data)
            if self.head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
                self._refuse("head_too_large")

    def on_message_begin(self) -> None:
        self.in_head, self.head_bytes, self.head_since_s = True, 0, self.loop.time()
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """uvicorn's, with our limits, and without what is never used here: WebSockets, a root path,
        a limit of connections.
        """
        self.in_head = False
        # Counted header by header only when that many bytes have come at all.
        if self.head_bytes + self.piece_bytes > HEAD_BYTES_MAX:
            size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
            if size > HEAD_BYTES_MAX:
                raise HeadTooLargeError
        before, line = self.cycle, self._make_line()
        self.cycle = line
        if before is None or before.response_complete:
            self._start_asgi_task(line, self.app)
        else:  # its turn comes when that one is answered
            self.flow.pause_reading()
            self.pipeline.appendleft((line, self.app))

    def _make_line(self) -> CallerLine:
        version = self.parser.get_http_version()
        split = _split_again if len(self.url) <= SPLIT_AGAIN_BYTES else split_target
        path, raw_path, query = split(self.url)
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": ASGI,
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "method": self.parser.get_method().decode("ascii"),
            "root_path": "",
            "path": path,
            "raw_path": raw_path,
            "query_string": query,
            "headers": self.headers,
        }
        line = scope[LINE] = CallerLine(
            scope,  # type: ignore[arg-type]  # uvicorn's type has not our key
            self.transport,
            self.flow,
            self.logger,
            self.access_logger,
            False,  # noqa: FBT003 -- uvicorn's order; a log of accesses would hold every address
            [],
            asyncio.Event(),
            self.expect_100_continue,
            version != old_http.VERSION and self.parser.should_keep_alive(),
            self.on_response_complete,
        )
        if version == old_http.VERSION:
            old_http.answer_without_chunks(line)
        return line

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Serve a request in a task that the server does not know.

        What uvicorn knows it cancels when a stop takes too long, and in a whole call that would be
        the settlement. Our own stop ends whoever still asks an upstream: see `Desk.close`.
        """
        _serving.add(self.loop.create_task(cycle.run_asgi(app)))

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
