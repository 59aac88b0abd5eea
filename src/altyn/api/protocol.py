"""The HTTP protocol: uvicorn's, with limits on the head of a request and errors of ours."""

import asyncio

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

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


class HeadTooLargeError(Exception):
    """Raised inside the parser, which makes a 400 of it."""


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's parser keeps header after header for as long as they come; this one stops."""

    in_head = True
    head_since_s = 0.0
    head_bytes = 0
    piece_bytes = 0
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
        self.scope["altyn.hang_up"] = self.transport.abort  # type: ignore[typeddict-unknown-key]

    def on_headers_complete(self) -> None:
        self.in_head = False
        # Counted header by header only when that many bytes have come at all.
        if self.head_bytes + self.piece_bytes > HEAD_BYTES_MAX:
            size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
            if size > HEAD_BYTES_MAX:
                raise HeadTooLargeError
        super().on_headers_complete()

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
    # that is sent a letter at a time, and the connection that says nothing at all.

    def _look_later(self) -> None:
        self.clock = self.loop.call_later(HEAD_TIMEOUT_S, self._look)

    def _look(self) -> None:
        if self.in_head and self.loop.time() - self.head_since_s >= HEAD_TIMEOUT_S:
            self.transport.close()
        else:
            self._look_later()
