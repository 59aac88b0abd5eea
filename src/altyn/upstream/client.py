"""The only network: ask the first healthy route; the next only while no byte was passed on.

At most three attempts are made, each route is asked once, and where the caller names models to fall
back to, each of them keeps one attempt.

`ask` returns a whole answer, `stream` an answer that has begun: its first event is here, so that a
vendor's refusal inside a 200 still becomes a real status, or another route's turn.
"""

import asyncio
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
from altyn.upstream.listing import PATHS, PLAIN
from altyn.upstream.playback import Playback
from altyn.upstream.pool import Pool
from altyn.upstream.provider import Provider
from altyn.upstream.router import CALLER_FAULTS, Router, Target
from altyn.upstream.sse import SseReader

T = TypeVar("T")
ATTEMPTS_MAX = 3
ANSWER_BYTES_MAX = 32 * 1024 * 1024
ERROR_BYTES_MAX = 256 * 1024
RAW_BYTES_MAX = 2000
ERROR_BODY_S = 5.0
"""The status has said what matters: the words of a refusal must not keep the next route waiting."""

STREAM_BYTES_MAX = 256 * 1024 * 1024
"""All of a streamed answer. 128k tokens with twenty alternatives each are 160 MB; a stream that
goes on and on would be read for a quarter of an hour.
"""

LIGHT_BYTES = 1024 * 1024
MEMBERS_MAX = 2_000_000
"""JSON that is all brackets becomes thirty times its size in memory. Counted in large answers only:
an image of 30 MiB has a handful of members.
"""
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


class Errand(Protocol):
    """What is asked of one model, and where. Its fallbacks are errands of their own."""

    @property
    def chat(self) -> Chat: ...

    @property
    def targets(self) -> Sequence[Target]:
        """In the order in which they are asked."""
        ...

    @property
    def fastest(self) -> bool:
        """Ask the one that has been the quickest of late, whatever its place."""
        ...

    @property
    def patience(self) -> Patience: ...


class Served(Struct, kw_only=True):
    """A whole answer, who gave it, to which errand, and how many were asked."""

    answer: Answer
    target: Target
    turn: int
    attempts: int


Missed = Callable[[int, Target, Fault], None]
"""Hears of every attempt that another one has replaced: which errand's, where, and why."""


def nobody_hears(_turn: int, _target: Target, _fault: Fault) -> None:
    """For calls without money."""


class Stream:
    """An answer that has begun. Read `next` until there is none; `abort` to stop."""

    def __init__(self, target: Target, body: Body, reader: StreamReader, router: Router) -> None:
        self.target = target
        self.turn = 0
        self.attempts = 1
        self._router = router
        self._entered = False
        self._body = body
        self._reader = reader
        self._split = SseReader()
        self._first: list[ChatEvent] = []
        self._fault: Fault | None = None
        self._taken_bytes = 0

    @property
    def usage(self) -> Usage | None:
        """The usage reported so far, also one that came together with an error."""
        return self._reader.usage

    async def begin(self) -> None:
        """Wait for the first event worth passing on. Raises `Fault` if there is none."""
        self._first = await self.next()
        self._entered = True

    async def next(self) -> list[ChatEvent]:
        """What has arrived since, at least one event; none at the end of the answer.

        Raises `Fault` for an answer that does not end well.
        """
        events, self._first = self._first, []
        try:
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
        except Fault as fault:
            fault.usage = self._reader.usage
            if self._entered:
                self._router.failed(self.target, fault)
            raise
        return events

    def abort(self) -> None:
        self._body.abort()
        if self._entered:
            self._entered = False
            self._router.leave(self.target)

    def _read(self, data: bytes, events: list[ChatEvent]) -> None:
        reader = self._reader
        self._taken_bytes += len(data)
        if self._taken_bytes > STREAM_BYTES_MAX:
            raise Fault("invalid", f"the stream is longer than {STREAM_BYTES_MAX} bytes")
        try:
            for name, payload in self._split.feed(data):
                if len(payload) > LIGHT_BYTES:
                    _weigh(payload)
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

    async def ask(self, errands: Sequence[Errand], missed: Missed = nobody_hears) -> Served:
        """A whole answer to the first errand that can be done. Raises `Fault`: the last one."""
        answer, target, turn, attempts = await self._first_good(self._whole, errands, missed)
        self.router.leave(target)
        return Served(answer=answer, target=target, turn=turn, attempts=attempts)

    async def stream(self, errands: Sequence[Errand], missed: Missed = nobody_hears) -> Stream:
        """An answer that has begun; `abort` it in the end. Raises `Fault`: the last one."""
        stream, _, turn, attempts = await self._first_good(self._begun, errands, missed)
        stream.turn, stream.attempts = turn, attempts
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

    async def list_models(self, provider: Provider, patience: Patience) -> bytes:
        """The host's own list of models, as it says it. Raises `Fault` when it gives none."""
        line = self._line(provider)
        assert line.pool is not None
        path, headers = PATHS.get(provider.dialect, PLAIN)
        body = await line.pool.send("GET", line.path + path, [*line.whole, *headers], b"", patience)
        if body.status != OK:
            raise line.dialect.read_error(body.status, body.headers, await _said(body))
        try:
            return await body.read(ANSWER_BYTES_MAX)
        finally:
            body.abort()

    async def close(self) -> None:
        for pool in self._pools.values():
            await pool.close()
        self._pools.clear()
        self._lines.clear()

    # One route after the other ---------------------------------------------------------------

    async def _first_good(
        self,
        ask: Callable[[Errand, Target], Awaitable[T]],
        errands: Sequence[Errand],
        missed: Missed,
    ) -> tuple[T, Target, int, int]:
        """The first good answer; its target is left to the caller to `leave`."""
        router, clock = self.router, self.router.clock
        last: tuple[int, Target, Fault] | None = None
        attempts, others = 0, len(errands) - 1
        for turn, errand in enumerate(errands):
            # One attempt is kept for each model that is still to come.
            most = max(ATTEMPTS_MAX, len(errands)) - (others - turn)
            tried: tuple[Target, ...] = ()
            while attempts < most:
                target = await self._choose(errand, tried, retry=last is not None)
                if target is None:
                    break
                if last is not None:
                    missed(*last)
                attempts += 1
                began_s = clock()
                try:
                    result = await ask(errand, target)
                except Fault as fault:
                    router.failed(target, fault)
                    router.leave(target)
                    fault.attempts, fault.turn = attempts, turn
                    fault.provider = target.provider.name
                    last = (turn, target, fault)
                    tried += (target,)
                    if fault.kind in CALLER_FAULTS:
                        break
                except BaseException:
                    router.dropped(target)
                    router.leave(target)
                    raise
                else:
                    router.succeeded(target, clock() - began_s, streamed=errand.chat.stream)
                    return result, target, turn, attempts
        if last is None:
            raise router.why_none([target for errand in errands for target in errand.targets])
        raise last[2]

    async def _choose(
        self, errand: Errand, tried: tuple[Target, ...], *, retry: bool
    ) -> Target | None:
        fastest = errand.chat.stream if errand.fastest else None
        target = self.router.choose(errand.targets, tried=tried, fastest=fastest, retry=retry)
        if target is None and not retry:
            target = await self.router.wait_for_room(errand.targets)
        return target

    # One route -------------------------------------------------------------------------------

    async def _whole(self, errand: Errand, target: Target) -> Answer:
        line = self._line(target.provider, target.dialect)
        body = await self._send(errand.chat, line, target.upstream_model, errand.patience)
        try:
            data = await body.read(ANSWER_BYTES_MAX)
        except Fault as fault:
            fault.began = True
            raise
        finally:
            body.abort()
        return _read_whole(line, data)

    async def _begun(self, errand: Errand, target: Target) -> Stream:
        line = self._line(target.provider, target.dialect)
        body = await self._send(errand.chat, line, target.upstream_model, errand.patience)
        try:
            if body.headers.get("content-type", "").startswith(JSON):
                await _refuse_whole(line, body)
            stream = Stream(target, body, line.dialect.stream_reader(), self.router)
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
            said = await _said(body)
            fault = line.dialect.read_error(body.status, body.headers, said)
            fault.raw = said[:RAW_BYTES_MAX]
            raise fault
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
    _read_whole(line, await body.read(ANSWER_BYTES_MAX))
    raise Fault("invalid", "a whole answer came where a stream was asked for")


def _read_whole(line: Line, data: bytes) -> Answer:
    if len(data) > LIGHT_BYTES:
        _weigh(data)
    return line.dialect.read_answer(data)


def _weigh(data: bytes) -> None:
    """Raises `Fault("invalid")` for JSON that would fill the memory once it is read."""
    if data.count(b",") + data.count(b"[") + data.count(b"{") > MEMBERS_MAX:
        raise Fault("invalid", f"the answer has more than {MEMBERS_MAX} members")


async def _said(body: Body) -> bytes:
    """The body of a refusal, if it can be had, and soon."""
    try:
        async with asyncio.timeout(ERROR_BODY_S):
            return await body.read(ERROR_BYTES_MAX)
    except (Fault, TimeoutError):
        return b""
    finally:
        body.abort()
