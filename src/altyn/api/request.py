"""One HTTP request as the API sees it, and the answers it can give."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote_plus

import msgspec
from msgspec import Struct

from altyn.error_texts import LANGUAGES
from altyn.errors import (
    BodyTooLargeError,
    InvalidJsonError,
    InvalidParameterError,
    KeyInUrlError,
    UnsupportedMediaTypeError,
)

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

JSON = b"application/json"
ALWAYS = b"cache-control: no-store\r\nx-content-type-options: nosniff\r\n"
BODY_TIMEOUT_S = 30.0
LINE = "altyn.line"
"""Where the connection stands in the scope. `web/call.py` has to name it again."""
KEY_MARK = re.compile(r"sk_(?:live|test)_")
WISH = re.compile(
    r"\s*(?P<language>[a-z]{1,8})(?:-[a-z0-9]{1,8})*\s*(?:;\s*q=(?P<quality>[01](?:\.\d{0,3})?)\s*)?"
)
"""One language of an `Accept-Language` header, in lower case: `ru-ru;q=0.8`."""
KEY_NAMES = frozenset({"key", "api_key", "apikey", "api-key", "access_token", "token"})


def names_a_key(scope: Mapping[str, Any]) -> bool:
    """Whether a key stands in the address, where logs and browsers' histories would keep it."""
    query = unquote_plus(scope["query_string"].decode("latin-1"))
    return bool(KEY_MARK.search(scope["path"]) or KEY_MARK.search(query))


class Line(Protocol):
    """The connection behind a request, as far as ASGI has no word for it: see `protocol.py`."""

    def has_left(self) -> bool: ...

    def hang_up(self) -> None: ...

    def take_body(self) -> bytes | None: ...

    def answer(self, status: int, headers: bytes, body: bytes) -> None: ...

    def write(self, data: bytes) -> bool: ...


class CallerLeftError(Exception):
    """The connection closed before the request was complete. Nobody is there to answer."""


class Reply(Struct, frozen=True):
    """A whole answer."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    content_type: bytes = JSON


class Request:
    """Method, path, headers and body of one request; `request_id` names it from the first line."""

    __slots__ = (
        "answered",
        "headers",
        "language",
        "line",
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
        self.line: Line = scope[LINE]
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
        if KEY_MARK.search(self.path):
            raise KeyInUrlError
        if self.scope["query_string"] and any(
            name.lower() in KEY_NAMES or KEY_MARK.search(name) or KEY_MARK.search(value)
            for name, value in self.query_pairs()
        ):
            raise KeyInUrlError

    def query_pairs(self) -> list[tuple[str, str]]:
        text: str = self.scope["query_string"].decode("latin-1")
        return parse_qsl(text, keep_blank_values=True)

    async def read_json_body(self, limit_bytes: int) -> bytes:
        """The body, if it is JSON by its header and not too large. Raises as a 413 or 415."""
        headers = self.headers
        if not headers.get(b"content-type", JSON).lower().startswith(JSON):
            raise UnsupportedMediaTypeError
        if headers.get(b"content-encoding", b"identity") != b"identity":
            # Unpacking would let a small request become a large one.
            raise UnsupportedMediaTypeError
        stated = headers.get(b"content-length", b"0")
        if stated.isdigit() and int(stated) > limit_bytes:
            raise BodyTooLargeError(limit_bytes=limit_bytes)
        # A body that came with its head needs no clock; one that does not come holds a place.
        body = self.line.take_body()
        if body is not None:
            return _checked(body, 0, limit_bytes)
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                return await self._read_slowly(limit_bytes)
        except TimeoutError:
            raise InvalidJsonError(reason="slow", seconds=BODY_TIMEOUT_S) from None

    async def _read_slowly(self, limit_bytes: int) -> bytes:
        pieces: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise CallerLeftError
            pieces.append(_checked(message["body"], size, limit_bytes))
            size += len(pieces[-1])
            more = message["more_body"]
        return b"".join(pieces)

    def reply(self, reply: Reply) -> None:
        self.answered = True
        lines = [
            b"content-type: %b\r\nx-request-id: req_%b\r\n"
            % (reply.content_type, self.request_id.encode()),
            ALWAYS,
            *[b"%b: %b\r\n" % header for header in reply.headers],
        ]
        self.line.answer(reply.status, b"".join(lines), reply.body)


def _checked(piece: bytes, before: int, limit_bytes: int) -> bytes:
    """A piece of a body, after *before* bytes of it. Raises as a 413."""
    if before + len(piece) > limit_bytes:
        raise BodyTooLargeError(limit_bytes=limit_bytes)
    return piece


def json_reply(content: Any, *, status: int = 200) -> Reply:
    return Reply(status, msgspec.json.encode(content))


@lru_cache(maxsize=512)
def choose_language(accept_language: bytes | None, default: str) -> str:
    """`ru` or `en`, whichever the caller likes better; *default* if they name neither."""
    if not accept_language:
        return default
    wishes: list[tuple[float, str]] = []
    for wish in accept_language.decode("latin-1").lower().split(",")[:20]:
        found = WISH.fullmatch(wish)
        if found and float(found["quality"] or 1):
            wishes.append((-float(found["quality"] or 1), found["language"]))
    for _, language in sorted(wishes, key=lambda wish: wish[0]):
        if language in LANGUAGES:
            return language
    return default
