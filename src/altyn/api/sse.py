"""Write an answer as Server-Sent Events, in OpenAI's shape, to a reader who may leave any time."""

import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from altyn.api.errors import error_body
from altyn.api.request import Request
from altyn.api.wire import ChatUsage
from altyn.chat import ChatEvent
from altyn.errors import AltynError
from altyn.gateway.order import Order

DONE = b"data: [DONE]\n\n"
COMMENT = b": keep-alive\n\n"
FINGERPRINT_MAX = 200
"""Repeated in every chunk: eight MiB of it, which a provider may send, would be a bomb."""
STREAM_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
)


class EventWriter:
    """One streamed answer. The status line goes out with the first thing there is to say."""

    def __init__(
        self,
        request: Request,
        *,
        order: Order,
        headers: Callable[[Order], Sequence[tuple[bytes, bytes]]],
    ) -> None:
        self.request = request
        self.model = order.model.id
        self.created = order.created_at // 1000
        self.headers = headers(order)
        self._headers_of = headers
        self.started = False
        self.written_s = time.monotonic()
        self._head = b""

    def hear(self, events: Sequence[ChatEvent]) -> Awaitable[None] | None:
        """Pass events on, all that came together in one write; something to wait for if full."""
        if not self._head:
            self._head = self._chunk_head(events[0].system_fingerprint)
        head = self._head
        # A provider's usage is not passed on here: ours, with the cost, comes after the settlement.
        data = b"".join([head + event.choices + b"}\n\n" for event in events if event.choices])
        if not data:
            return None
        if self.started and self.request.line.write(data):
            self.written_s = time.monotonic()
            return None
        return self._write(data)

    def hang_up(self) -> None:
        self.request.line.hang_up()

    def serve_as(self, order: Order) -> None:
        self.model = order.model.id
        self.headers = self._headers_of(order)

    async def keep_alive(self) -> None:
        await self._write(COMMENT)

    async def end(self, usage: ChatUsage | None) -> None:
        """The usage, if it is to be told, and the end of the answer."""
        if usage is None:
            await self._write(DONE, more=False)
            return
        head = self._head or self._chunk_head(None)
        told = b'[],"usage":' + msgspec.json.encode(usage) + b"}\n\n"
        await self._write(head + told + DONE, more=False)

    async def fail(self, error: AltynError) -> None:
        """An error where the status line has long gone out, and the end."""
        request = self.request
        body = error_body(error, request_id=request.request_id, language=request.language)
        await self._write(b"data: " + msgspec.json.encode(body) + b"\n\n" + DONE, more=False)

    def _chunk_head(self, system_fingerprint: str | None) -> bytes:
        """The members that every chunk of this answer begins with."""
        members = {
            "id": f"chatcmpl-{self.request.request_id}",
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "system_fingerprint": _short(system_fingerprint),
        }
        return b"data: " + msgspec.json.encode(members)[:-1] + b',"choices":'

    async def _write(self, data: bytes, *, more: bool = True) -> None:
        if not self.started:
            self.started = self.request.answered = True
            await self.request.send(
                {
                    "type": "http.response.start",
                    "status": 200,
                    "headers": [
                        *STREAM_HEADERS,
                        (b"x-request-id", b"req_" + self.request.request_id.encode()),
                        *self.headers,
                    ],
                }
            )
        self.written_s = time.monotonic()
        await self.request.send({"type": "http.response.body", "body": data, "more_body": more})


def _short(fingerprint: str | None) -> str | None:
    return fingerprint if fingerprint is None or len(fingerprint) <= FINGERPRINT_MAX else None
