"""The only network: ask the first healthy route; the next only while no byte was passed on.

`ask` returns a whole answer, `stream` an answer that has begun: its first event is here, so that a
vendor's refusal inside a 200 still becomes a real status, or another route's turn.
"""

import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

from msgspec import Struct

from altyn.chat import Answer, Chat, ChatEvent, Fault, Usage
from altyn.upstream.connection import Patience
from altyn.upstream.dial import DEFAULT_PORTS, Origin
from altyn.upstream.dialects import Dialect, StreamReader, get_dialect
from altyn.upstream.dialects.afterwards import Told, look_up_path, read_told
from altyn.upstream.playback import Playback
from altyn.upstream.pool import Pool
from altyn.upstream.provider import Provider
from altyn.upstream.router import CALLER_FAULTS, Router, Target
from altyn.upstream.sse import SseReader

T = TypeVar("T")
ATTEMPTS_MAX = 3
ANSWER_BYTES_MAX = 32 * 1024 * 1024
ERROR_BYTES_MAX = 256 * 1024
OK = 200
JSON = "application/json"


class Body(Protocol):
    """An answer as it arrives: from a `Pool`, or from the sandbox."""

    status: int

    @property
    def headers(self) -> Mapping[str, str]:
        """By lower-case names."""
        ...

    async def read(self, limit_bytes: int) -> bytes: ...

    async def next(self) -> bytes: ...

    def abort(self) -> None: ...


class Served(Struct, kw_only=True):
    """A whole answer, who gave it, and how many were asked."""

    answer: Answer
    target: Target
    attempts: int


class Stream:
    """An answer that has begun. Read `next` until there is none; `abort` to stop."""

    def __init__(self, target: Target, body: Body, reader: StreamReader) -> None:
        self.target = target
        self.attempts = 1
        self._body = body
        self._reader = reader
        self._split = SseReader()
        self._first: list[ChatEvent] = []
        self._fault: Fault | None = None

    @property
    def usage(self) -> Usage | None:
        """The usage reported so far, also one that came together with an error."""
        return self._reader.usage

    async def begin(self) -> None:
        """Wait for the first event worth passing on. Raises `Fault` if there is none."""
        self._first = await self.next()

    async def next(self) -> list[ChatEvent]:
        """What has arrived since, at least one event; none at the end of the answer.

        Raises `Fault` for an answer that does not end well.
        """
        events, self._first = self._first, []
        while not events:
            if self._fault is not None:
                raise self._fault
            if self._reader.finished:
                break
            data = await self._body.next()
            if not data:
                self._reader.end()
                break
            self._read(data, events)
        return events

    def abort(self) -> None:
        self._body.abort()

    def _read(self, data: bytes, events: list[ChatEvent]) -> None:
        reader = self._reader
        try:
            for name, payload in self._split.feed(data):
                event = reader.read(name, payload)
                if event is not None:
                    events.append(event)
                if reader.finished:
                    return
        except Fault as fault:
            # What came before it in the same piece was delivered first.
            if not events:
                raise
            self._fault = fault


class Client:
    """Connections to every provider, and the health of every route."""

    def __init__(self, router: Router, *, ssl_context: ssl.SSLContext | None = None) -> None:
        self.router = router
        self.ssl_context = ssl_context
        self._pools: dict[Origin, Pool] = {}
        self._lines: dict[tuple[int, str | None], Line] = {}

    async def ask(self, chat: Chat, targets: Sequence[Target], patience: Patience) -> Served:
        """A whole answer. Raises `Fault`: of the last route asked."""
        answer, target, attempts = await self._first_good(self._whole, chat, targets, patience)
        return Served(answer=answer, target=target, attempts=attempts)

    async def stream(self, chat: Chat, targets: Sequence[Target], patience: Patience) -> Stream:
        """An answer that has begun. Raises `Fault`: of the last route asked."""
        stream, _, attempts = await self._first_good(self._begun, chat, targets, patience)
        stream.attempts = attempts
        return stream

    async def look_up(
        self, provider: Provider, upstream_id: str, patience: Patience
    ) -> Told | None:
        """What a provider that can tell says afterwards of one answer; None while it does not.

        Raises `Fault` when it cannot be asked.
        """
        line = self._line(provider)
        assert line.pool is not None
        path = line.path + look_up_path(upstream_id)
        body = await line.pool.send("GET", path, list(line.whole), b"", patience)
        return read_told(body.status, await _said(body))

    async def close(self) -> None:
        for pool in self._pools.values():
            await pool.close()
        self._pools.clear()
        self._lines.clear()

    # One route after the other ---------------------------------------------------------------

    async def _first_good(
        self,
        ask: Callable[[Chat, Target, Patience], Awaitable[T]],
        chat: Chat,
        targets: Sequence[Target],
        patience: Patience,
    ) -> tuple[T, Target, int]:
        last = Fault("connect", "there is no route")
        ordered = self.router.order(targets)[:ATTEMPTS_MAX]
        for attempt, target in enumerate(ordered, 1):
            try:
                result = await ask(chat, target, patience)
            except Fault as fault:
                self.router.failed(target, fault)
                fault.attempts = attempt
                fault.provider = target.provider.name
                if fault.kind in CALLER_FAULTS:
                    raise
                last = fault
            else:
                self.router.succeeded(target)
                return result, target, attempt
        raise last

    # One route -------------------------------------------------------------------------------

    async def _whole(self, chat: Chat, target: Target, patience: Patience) -> Answer:
        line = self._line(target.provider, target.dialect)
        body = await self._send(chat, line, target.upstream_model, patience)
        try:
            data = await body.read(ANSWER_BYTES_MAX)
        except Fault as fault:
            fault.began = True
            raise
        finally:
            body.abort()
        return line.dialect.read_answer(data)

    async def _begun(self, chat: Chat, target: Target, patience: Patience) -> Stream:
        line = self._line(target.provider, target.dialect)
        body = await self._send(chat, line, target.upstream_model, patience)
        try:
            if body.headers.get("content-type", "").startswith(JSON):
                await _refuse_whole(line, body)
            stream = Stream(target, body, line.dialect.stream_reader())
            await stream.begin()
        except BaseException:
            body.abort()
            raise
        return stream

    async def _send(
        self, chat: Chat, line: "Line", upstream_model: str, patience: Patience
    ) -> Body:
        request = line.dialect.write_request(chat, upstream_model=upstream_model, host=line.host)
        if line.pool is None:
            body: Body = Playback(request.body)
        else:
            headers = [*(line.events if chat.stream else line.whole), *request.headers]
            body = await line.pool.send(
                "POST", line.path + request.path, headers, request.body, patience
            )
        if body.status != OK:
            raise line.dialect.read_error(body.status, body.headers, await _said(body))
        return body

    def _line(self, provider: Provider, own_dialect: str | None = None) -> "Line":
        line = self._lines.get((provider.id, own_dialect))
        if line is None or line.provider is not provider:
            line = self._make_line(provider, own_dialect or provider.dialect)
            self._lines[provider.id, own_dialect] = line
        return line

    def _make_line(self, provider: Provider, dialect_name: str) -> "Line":
        dialect = get_dialect(dialect_name)
        if provider.dialect == "sandbox":
            return Line(provider, dialect, provider.host, None, "", (), ())
        address = urlsplit(provider.base_url)
        origin = Origin(
            address.scheme,  # type: ignore[arg-type]  # checked when the provider was added
            provider.host,
            address.port or DEFAULT_PORTS[address.scheme],
            provider.proxy_url,
        )
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = Pool(origin, ssl_context=self.ssl_context)
        headers: Headers = (("content-type", JSON), ("user-agent", "altyn"))
        if provider.secret:
            name, form = dialect.secret_header
            headers += ((name, form.format(secret=provider.secret)),)
        return Line(
            provider,
            dialect,
            provider.host,
            pool,
            address.path,
            (*headers, ("accept", JSON)),
            (*headers, ("accept", "text/event-stream")),
        )


Headers = tuple[tuple[str, str], ...]


class Line(Struct, frozen=True):
    """What is the same for every call of a provider in a dialect, worked out once. Holds the
    secret.
    """

    provider: Provider
    dialect: Dialect
    host: str
    pool: Pool | None
    path: str
    whole: Headers
    events: Headers

    def __repr__(self) -> str:
        return f"Line({self.provider})"


async def _refuse_whole(line: Line, body: Body) -> None:
    """A stream was asked for and JSON came: an error that calls itself a success."""
    line.dialect.read_answer(await body.read(ANSWER_BYTES_MAX))
    raise Fault("invalid", "a whole answer came where a stream was asked for")


async def _said(body: Body) -> bytes:
    """The body of a refusal, if it can be had."""
    try:
        return await body.read(ERROR_BYTES_MAX)
    except Fault:
        return b""
    finally:
        body.abort()
