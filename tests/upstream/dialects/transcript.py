"""One chat with one vendor, written down: what was asked, what was sent, what came back, what it
meant. `play` runs it through the code a real call runs through: the body is decoded and accepted,
a dialect writes the request, and the vendor's bytes are read by `client.Stream` or `read_answer`.

A file `<dialect>_transcripts.py` beside this one holds a list `TRANSCRIPTS`; `test_transcripts.py`
finds it, and holds every one of them to the same promises.
"""

import json
from collections.abc import Awaitable, Iterable, Mapping
from typing import Any, TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from altyn.api.body import decode_chat
from altyn.catalog.accept import accept
from altyn.catalog.model import ReasoningRule, builtin_models
from altyn.chat import Answer, Chat, ChatEvent, Fault, UpstreamRequest, Usage
from altyn.upstream.client import Stream
from altyn.upstream.dialects import Dialect, get_dialect
from altyn.upstream.provider import Provider
from altyn.upstream.router import Router, Target
from altyn.upstream.sse import SseReader

T = TypeVar("T")
Choice = dict[str, Any]
HELLO = [{"role": "user", "content": "Hello"}]


class Transcript(Struct, frozen=True, kw_only=True):
    """`name` is a sentence. `chat` is the body of a caller's request; without a model it is one
    that takes everything. `model` is the upstream's name for it.

    `sent` is the JSON the upstream must get, at `path`, with `headers`; None: not looked at, some
    other transcript tells it. `back` is what the upstream returns, under `status`: a whole answer,
    or events if the chat asks for a stream. `said` is the folded answer, made by `told`; with a
    `fault` it is what was said before. `same_as`: the transcript of the same answer in one piece.
    """

    name: str
    dialect: str
    back: bytes
    chat: dict[str, Any] = field(default_factory=lambda: {"messages": HELLO})
    host: str = "llm.example"
    model: str = "m"
    sent: dict[str, Any] | None = None
    path: str | None = None
    headers: dict[str, str] | None = None
    status: int = 200
    back_headers: dict[str, str] = {}
    said: tuple[Choice, ...] = ()
    usage: Usage | None = None
    fault: Fault.Kind | None = None
    same_as: str | None = None

    @property
    def streams(self) -> bool:
        return bool(self.chat.get("stream"))


class Played(Struct, kw_only=True):
    """What became of a transcript. `said` is bare: see `bare`."""

    request: UpstreamRequest
    said: list[Choice] = []
    usage: Usage | None = None
    fault: Fault | None = None
    finish_reason: str | None = None
    delivered_bytes: int = 0


# What is expected -----------------------------------------------------------------------------


def told(
    content: str | None = None,
    *,
    calls: Iterable[tuple[str, str, str]] = (),
    reasoning: str | None = None,
    reasoning_details: list[dict[str, Any]] | None = None,
    finish_reason: str | None = "stop",
    index: int = 0,
    logprobs: Any = None,
    native_finish_reason: str | None = None,
    **more: Any,
) -> Choice:
    """One choice of a folded answer. `calls` are (id, name, arguments). Reasoning without details
    is expected with the plain ones that every caller reads.
    """
    if reasoning and reasoning_details is None:
        reasoning_details = [
            {"type": "reasoning.text", "text": reasoning, "format": "unknown", "index": 0}
        ]
    message = {
        "content": content,
        "tool_calls": [
            {"id": number, "function": {"name": name, "arguments": arguments}}
            for number, name, arguments in calls
        ],
        "reasoning": reasoning,
        "reasoning_details": reasoning_details,
        **more,
    }
    choice = {"index": index, "message": message, "finish_reason": finish_reason}
    return bare(
        {**choice, "logprobs": logprobs, "native_finish_reason": native_finish_reason},
    )


def bare(choice: Choice) -> Choice:
    """Only what says something: no role, nothing that is empty, and no counters of fragments."""
    message = {
        name: value
        for name, value in choice["message"].items()
        if name != "role" and value not in (None, "", [])
    }
    if "tool_calls" in message:
        message["tool_calls"] = [
            {name: value for name, value in call.items() if name not in ("index", "type")}
            for call in message["tool_calls"]
        ]
    rest = {
        name: value
        for name, value in choice.items()
        if name in ("index", "finish_reason") or value is not None
    }
    return {**rest, "message": message}


# Playing --------------------------------------------------------------------------------------


def play(transcript: Transcript, pieces: Iterable[bytes] | None = None) -> Played:
    """Run it. `pieces`: how `back` arrives, if not at once."""
    chat = chat_of(transcript)
    dialect = get_dialect(transcript.dialect)
    request = dialect.write_request(chat, upstream_model=transcript.model, host=transcript.host)
    played = Played(request=request)
    try:
        if transcript.status != 200:
            raise dialect.read_error(transcript.status, transcript.back_headers, transcript.back)
        if chat.stream and not transcript.back.lstrip().startswith(b"{"):
            _read_events(dialect, pieces or [transcript.back], played)
        else:
            # JSON where a stream was asked for is read as a whole answer: an error, one hopes.
            _read_whole(dialect, transcript.back, played)
    except Fault as fault:
        played.fault = fault
    return played


def chat_of(transcript: Transcript) -> Chat:
    """The caller's request, as far as the model takes it."""
    asked = {"model": EVERYTHING.id, **transcript.chat}
    body, fields = decode_chat(json.dumps(asked).encode())
    return accept(body, fields, MODELS[asked["model"]]).chat


def _read_whole(dialect: Dialect, back: bytes, played: Played) -> None:
    answer: Answer = dialect.read_answer(back)
    played.said = [bare(choice) for choice in json.loads(answer.choices)]
    played.usage = answer.usage
    played.finish_reason = answer.finish_reason
    played.delivered_bytes = answer.delivered_bytes


def _read_events(dialect: Dialect, pieces: Iterable[bytes], played: Played) -> None:
    stream = Stream(NOBODY, Pieces(pieces), dialect.stream_reader(), Router())
    events: list[ChatEvent] = []
    try:
        while got := at_once(stream.next()):
            events += got
    finally:
        played.said = fold(events)
        played.usage = stream.usage
        reasons = [event.finish_reason for event in events if event.finish_reason is not None]
        played.finish_reason = reasons[0] if reasons else None
        played.delivered_bytes = sum(event.delivered_bytes for event in events)


class Pieces:
    """The body of an answer that is all here."""

    status = 200
    headers: Mapping[str, str] = {}

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)

    async def next(self) -> bytes:
        return next((piece for piece in self._pieces if piece), b"")

    async def read(self, limit_bytes: int) -> bytes:
        return b"".join(self._pieces)[:limit_bytes]

    def abort(self) -> None:
        self._pieces = iter(())


def at_once(awaitable: Awaitable[T]) -> T:
    """The result of something that waits for nothing."""
    asking: Any = awaitable.__await__()
    try:
        asking.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise AssertionError("it waits")


# Streams --------------------------------------------------------------------------------------


def read_stream(
    pieces: Iterable[bytes], dialect: Dialect | None = None, *, end: bool = True
) -> list[ChatEvent]:
    """All events of a body that arrives in pieces."""
    splitter = SseReader()
    reader = (dialect or get_dialect("openai-chat")).stream_reader()
    events = []
    for piece in pieces:
        for name, data in splitter.feed(piece):
            event = reader.read(name, data)
            if event is not None:
                events.append(event)
    if end:
        reader.end()
    return events


def split(pieces: Iterable[bytes]) -> list[tuple[str, bytes]]:
    """The events a dialect's reader gets to see."""
    splitter = SseReader()
    return [event for piece in pieces for event in splitter.feed(piece)]


def last_usage(events: list[ChatEvent]) -> Usage | None:
    return next((event.usage for event in reversed(events) if event.usage is not None), None)


def fold(events: Iterable[ChatEvent]) -> list[Choice]:
    """The choices, put together as clients do it: by index, and bare."""
    folded: dict[int, Choice] = {}
    for event in events:
        for choice in json.loads(event.choices or b"[]"):
            index = choice["index"]
            _take(folded.setdefault(index, new_choice(index)), choice)
    return [bare(folded[index]) for index in sorted(folded)]


def new_choice(index: int) -> Choice:
    return {"index": index, "message": {}, "finish_reason": None}


def _take(folded: Choice, choice: Choice) -> None:
    for name, value in choice["delta"].items():
        _add(folded["message"], name, value)
    if choice["finish_reason"] is not None:
        assert folded["finish_reason"] is None, "a choice ends once"
        folded["finish_reason"] = choice["finish_reason"]
    for name in choice.keys() - {"index", "delta", "finish_reason"}:
        _add(folded, name, choice[name])


def _add(whole: dict[str, Any], name: str, value: Any) -> None:
    """Append texts and lists, fill in objects, find fragments of calls and details by index."""
    if value is None or name == "role":
        return
    known = whole.get(name)
    if name == "tool_calls":
        whole[name] = known or []
        for call in value:
            _add_call(whole[name], call)
    elif name == "reasoning_details":
        whole[name] = known or []
        for detail in value:
            _add_detail(whole[name], detail)
    elif isinstance(value, dict):
        inner = whole.setdefault(name, {})
        for key, part in value.items():
            inner.setdefault(key, None) if part is None else _add(inner, key, part)
    elif isinstance(value, str | list) and known is not None:
        whole[name] = known + value
    else:
        whole[name] = value


def _add_call(calls: list[dict[str, Any]], part: dict[str, Any]) -> None:
    call = next((known for known in calls if known["index"] == part["index"]), None)
    if call is None:
        calls.append({**part, "function": {"name": "", "arguments": ""}})
        call = calls[-1]
    call["id"] = call.get("id") or part.get("id")
    function = part.get("function") or {}
    for name in ("name", "arguments"):
        call["function"][name] += function.get(name) or ""


_GROWING = ("text", "summary")


def _add_detail(details: list[dict[str, Any]], part: dict[str, Any]) -> None:
    """Texts of the same kind at the same place are one detail in fragments."""
    last = details[-1] if details else {}
    same = (last.get("type"), last.get("index")) == (part.get("type"), part.get("index"))
    if not same or not any(name in part or "signature" in part for name in _GROWING):
        details.append(dict(part))
        return
    for name, value in part.items():
        if name in _GROWING:
            last[name] = (last.get(name) or "") + (value or "")
        elif value is not None:
            last[name] = value


# Who is asked ---------------------------------------------------------------------------------

NOBODY = Target(
    route_id=0,
    provider=Provider(
        id=0, name="nobody", dialect="", base_url="http://llm.example", secret=None, proxy_url=None
    ),
    upstream_model="m",
)

BUILTIN = {model.id: model for model in builtin_models()}

EVERYTHING = replace(
    BUILTIN["sandbox/echo"],  # takes every parameter
    id="acme/anvil",
    input_modalities=("text", "image", "file", "audio"),
    image_tokens_max=1000,
    reasoning=ReasoningRule(),
)

MODELS = {EVERYTHING.id: EVERYTHING, **BUILTIN}
