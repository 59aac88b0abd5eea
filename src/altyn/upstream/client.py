"""The only network: ask the first healthy route, and the next only while no byte has been passed on.

`ask` returns a whole answer, `stream` an answer that has begun: its first event is here, so that a
vendor's refusal inside a 200 still becomes a real status, or another route's turn.
"""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

from msgspec import Struct

from altyn.chat import Answer, Chat, ChatEvent, Fault, Usage
from altyn.upstream.connection import Patience
from altyn.upstream.dial import DEFAULT_PORTS, Origin
from altyn.upstream.dialects import Dialect, StreamReader, get_dialect
from altyn.upstream.playback import Playback
from altyn.upstream.pool import Pool
from altyn.upstream.provider import Provider
from altyn.upstream.router import CALLER_FAULTS, Router, Target
from altyn.upstream.sse import SseReader

T = TypeVar("T")
ATTEMPTS_MAX = 3
ANSWER_BYTES_MAX = 32 * 1024 * 1024
ERROR_BYTES_MAX = 256 * 1024
JSON = "application/json"


class Body(Protocol):
    """An answer as it arrives: from a `Pool`, or from the sandbox."""

    status: int
    headers: dict[str, str]

    async def read(self, limit_bytes: int) -> bytes: ...

    async def next(self) -> bytes: ...

    def abort(self) -> None: ...


class Served(Struct, kw_only=True):
    """A whole answer, who gave it, and how many were asked."""

    answer: Answer
    target: Target
    attempts: int


class Stream:
    """An answer that has begun. Read `events` until they end; `abort` to stop."""

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
        while not self._first:
            if not await self._read_into(self._first):
                return

    async def events(self) -> AsyncIterator[list[ChatEvent]]:
        """What arrives, as it arrives. Raises `Fault` for an answer that does not end well."""
        events = self._first
        while events:
            yield events
            events = []
            while not events and await self._read_into(events):
                pass

    def abort(self) -> None:
        self._body.abort()

    async def _read_into(self, events: list[ChatEvent]) -> bool:
        """Read what has arrived into *events*; False at the end of the answer."""
        if self._fault is not None:
            raise self._fault
        if self._reader.finished:
            return False
        data = await self._body.next()
        if not data:
            self._reader.end()
            return False
        try:
            for name, payload in self._split.feed(data):
                event = self._reader.read(name, payload)
                if event is not None:
                    events.append(event)
                if self._reader.finished:
                    break
        except Fault as fault:
            # What came before it in the same piece was delivered first.
            if not events:
                raise
            self._fault = fault
        return True


class Client:
    """Connections to every provider, and the health of every route."""

    def __init__(self, router: Router, *, ssl_context: ssl.SSLContext | None = None) -> None:
        self.router = router
        self.ssl_context = ssl_context
        self._pools: dict[Origin, Pool] = {}

    async def ask(self, chat: Chat, targets: Sequence[Target], patience: Patience) -> Served:
        """A whole answer. Raises `Fault`: of the last route asked."""

        async def ask_one(target: Target) -> Answer:
            return await self._whole(chat, target, patience)

        answer, target, attempts = await self._first_good(targets, ask_one)
        return Served(answer=answer, target=target, attempts=attempts)

    async def stream(self, chat: Chat, targets: Sequence[Target], patience: Patience) -> Stream:
        """An answer that has begun. Raises `Fault`: of the last route asked."""

        async def open_one(target: Target) -> Stream:
            return await self._begun(chat, target, patience)

        stream, _, attempts = await self._first_good(targets, open_one)
        stream.attempts = attempts
        return stream

    async def close(self) -> None:
        for pool in self._pools.values():
            await pool.close()
        self._pools.clear()

    # One route after the other ---------------------------------------------------------------

    async def _first_good(
        self, targets: Sequence[Target], ask: Callable[[Target], Awaitable[T]]
    ) -> tuple[T, Target, int]:
        last = Fault("connect", "there is no route")
        ordered = self.router.order(targets)[:ATTEMPTS_MAX]
        for attempt, target in enumerate(ordered, 1):
            try:
                result = await ask(target)
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
        dialect = get_dialect(target.provider.dialect)
        body = await self._send(chat, target, dialect, patience)
        try:
            return dialect.read_answer(await body.read(ANSWER_BYTES_MAX))
        finally:
            body.abort()

    async def _begun(self, chat: Chat, target: Target, patience: Patience) -> Stream:
        dialect = get_dialect(target.provider.dialect)
        body = await self._send(chat, target, dialect, patience)
        try:
            if body.headers.get("content-type", "").startswith(JSON):
                # A stream was asked for and JSON came: an error that calls itself a success.
                dialect.read_answer(await body.read(ANSWER_BYTES_MAX))
                raise Fault("invalid", "a whole answer came where a stream was asked for")
            stream = Stream(target, body, dialect.stream_reader())
            await stream.begin()
        except BaseException:
            body.abort()
            raise
        return stream

    async def _send(
        self, chat: Chat, target: Target, dialect: Dialect, patience: Patience
    ) -> Body:
        provider = target.provider
        request = dialect.write_request(
            chat, upstream_model=target.upstream_model, host=provider.host
        )
        if provider.dialect == "sandbox":
            body: Body = Playback(request.body)
        else:
            headers = [
                ("content-type", JSON),
                ("accept", "text/event-stream" if chat.stream else JSON),
                ("accept-encoding", "identity"),
                ("user-agent", "altyn"),
                *request.headers,
            ]
            if provider.secret:
                name, form = request.secret_header
                headers.append((name, form.format(secret=provider.secret)))
            address = urlsplit(provider.base_url)
            body = await self._pool(provider).send(
                "POST", address.path + request.path, headers, request.body, patience
            )
        if body.status != 200:
            try:
                said = await body.read(ERROR_BYTES_MAX)
            except Fault:
                said = b""
            finally:
                body.abort()
            raise dialect.read_error(body.status, body.headers, said)
        return body

    def _pool(self, provider: Provider) -> Pool:
        address = urlsplit(provider.base_url)
        origin = Origin(
            address.scheme,  # type: ignore[arg-type]  # checked when the provider was added
            address.hostname or "",
            address.port or DEFAULT_PORTS[address.scheme],
            provider.proxy_url,
        )
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = Pool(origin, ssl_context=self.ssl_context)
        return pool
