"""One HTTP request as the API sees it, and the answers it can give."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from altyn.errors import (
    BodyTooLargeError,
    InvalidJsonError,
    InvalidParameterError,
    KeyInUrlError,
    UnsupportedMediaTypeError,
)

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

JSON_TYPE = (b"content-type", b"application/json")
ALWAYS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
BODY_TIMEOUT_S = 30.0
KEY_MARKS = (b"sk_live_", b"sk_test_")
KEY_NAMES = frozenset({"key", "api_key", "apikey", "api-key", "access_token", "token"})


class CallerLeftError(Exception):
    """The connection closed before the request was complete. Nobody is there to answer."""


class Reply(Struct, frozen=True):
    """A whole answer."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Request:
    """Method, path, headers and body of one request; `request_id` names it from the first line."""

    __slots__ = (
        "answered",
        "headers",
        "language",
        "method",
        "path",
        "receive",
        "request_id",
        "scope",
        "send",
    )

    def __init__(
        self, scope: Mapping[str, Any], receive: Receive, send: Send, *, request_id: str
    ) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.request_id = request_id
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.language = "en"
        self.answered = False

    def check_headers(self) -> None:
        """Refuse what two readers could read differently, and keys where logs would keep them."""
        if len(self.headers) != len(self.scope["headers"]):
            names = [name for name, _ in self.scope["headers"]]
            if names.count(b"authorization") > 1:
                raise InvalidParameterError(param="Authorization", reason="header")
        if query := self.scope["query_string"]:
            if any(mark in query for mark in KEY_MARKS):
                raise KeyInUrlError
            if not KEY_NAMES.isdisjoint(name.lower() for name, _ in self.query_pairs()):
                raise KeyInUrlError

    def query_pairs(self) -> list[tuple[str, str]]:
        text: str = self.scope["query_string"].decode("latin-1")
        return parse_qsl(text, keep_blank_values=True)

    async def read_json_body(self, limit_bytes: int) -> bytes:
        """The body, if it is JSON by its header and not too large. Raises as a 413 or 415."""
        headers = self.headers
        if not headers.get(b"content-type", b"application/json").startswith(b"application/json"):
            raise UnsupportedMediaTypeError
        if headers.get(b"content-encoding", b"identity") != b"identity":
            # Unpacking would let a small request become a large one.
            raise UnsupportedMediaTypeError
        stated = headers.get(b"content-length", b"0")
        if stated.isdigit() and int(stated) > limit_bytes:
            raise BodyTooLargeError(limit_bytes=limit_bytes)
        message = await self.receive()
        if message["type"] == "http.disconnect":
            raise CallerLeftError
        if not message.get("more_body"):
            body: bytes = message.get("body", b"")
            if len(body) > limit_bytes:
                raise BodyTooLargeError(limit_bytes=limit_bytes)
            return body
        return await self._read_rest(message.get("body", b""), limit_bytes)

    async def _read_rest(self, first: bytes, limit_bytes: int) -> bytes:
        pieces, size = [first], len(first)
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                while True:
                    message = await self.receive()
                    if message["type"] == "http.disconnect":
                        raise CallerLeftError
                    pieces.append(message.get("body", b""))
                    size += len(pieces[-1])
                    if size > limit_bytes:
                        raise BodyTooLargeError(limit_bytes=limit_bytes)
                    if not message.get("more_body"):
                        return b"".join(pieces)
        except TimeoutError:
            raise InvalidJsonError(reason="the body did not arrive in 30 s") from None

    def has_left(self) -> bool:
        """Whether the caller has hung up, without waiting. Only after the body was read.

        From then on `receive` has one thing left to say; if it says it at once, they are gone.
        """
        asking = self.receive()
        try:
            asking.send(None)  # type: ignore[attr-defined]
        except StopIteration:
            return True
        asking.close()  # type: ignore[attr-defined]
        return False

    async def reply(self, reply: Reply) -> None:
        self.answered = True
        await self.send(
            {
                "type": "http.response.start",
                "status": reply.status,
                "headers": [
                    JSON_TYPE,
                    (b"content-length", str(len(reply.body)).encode()),
                    (b"x-request-id", b"req_" + self.request_id.encode()),
                    *ALWAYS,
                    *reply.headers,
                ],
            }
        )
        await self.send({"type": "http.response.body", "body": reply.body})


def json_reply(content: Any, *, status: int = 200) -> Reply:
    return Reply(status, msgspec.json.encode(content))


@lru_cache(maxsize=512)
def choose_language(accept_language: bytes | None, default: str) -> str:
    """`ru` or `en`, whichever the caller likes better; *default* if they name neither."""
    if not accept_language:
        return default
    wishes: list[tuple[float, str]] = []
    for wish in accept_language.decode("latin-1").lower().split(",")[:20]:
        name, _, quality = wish.strip().partition(";q=")
        try:
            wishes.append((-float(quality or 1), name[:2]))
        except ValueError:
            continue
    for _, name in sorted(wishes, key=lambda wish: wish[0]):
        if name in ("ru", "en"):
            return name
    return default
