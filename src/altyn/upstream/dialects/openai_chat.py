"""OpenAI's chat completions, the format most vendors and servers speak.

Choices are already in the shape our callers read, so they are relayed as the bytes they came in:
each chunk is decoded only for what has to be known (how much was delivered, the finish reason, the
usage), and rebuilt only where a host strays:

* reasoning under `reasoning_content`, or without details, becomes `reasoning` with
  `reasoning_details`, whichever host it came from;
* a finish reason nobody knows, or none, becomes `stop` or `tool_calls` if something was said; the
  host's own word stays in `native_finish_reason`;
* line breaks inside the JSON are taken out, for the caller's event is one line;
* members that OpenAI's schema requires of a whole answer are put in where a server leaves them out.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct, field

from altyn.chat import Answer, Chat, ChatEvent, Fault, UpstreamRequest, Usage
from altyn.upstream.dialects import faults
from altyn.upstream.dialects.hosts import find_host, write_fields
from altyn.upstream.dialects.usage import NOTHING, NULL, read_usage

# On the wire ----------------------------------------------------------------------------------


class Function(Struct, gc=False):
    arguments: str | None = None


class ToolCall(Struct, gc=False):
    function: Function | None = None


class Said(Struct, gc=False):
    """A message, or a part of one. Only what has to be known; the bytes carry the rest."""

    content: str | None = None
    tool_calls: list[ToolCall] | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    reasoning_details: list[Any] | None = None
    refusal: str | None = None


_NOTHING_SAID = Said()


class StreamedChoice(Struct, gc=False):
    said: Said | None = field(name="delta", default=None)
    finish_reason: str | None = None
    index: int = 0


class WholeChoice(Struct, gc=False):
    said: Said | None = field(name="message", default=None)
    finish_reason: str | None = None
    index: int = 0


class GroqExtra(Struct, gc=False):
    usage: Raw = NOTHING


class Chunk(Struct, gc=False):
    """A chunk of a stream or a whole answer: around the choices they are the same."""

    choices: Raw = Raw(b"")
    id: str | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    usage: Raw = NULL
    error: Any = None
    x_groq: GroqExtra | None = None


class Flat(Struct, gc=False):
    object: Any = None


_FLAT = msgspec.json.Decoder(Flat)
_CHUNK = msgspec.json.Decoder(Chunk)
_STREAMED = msgspec.json.Decoder(list[StreamedChoice])
_WHOLE = msgspec.json.Decoder(list[WholeChoice])
_LOOSE = msgspec.json.Decoder(list[dict[str, Any]])
_ENCODER = msgspec.json.Encoder()

_SPLICE = (
    b'"reasoning_details":[{"type":"reasoning.text","text":%b,"format":"unknown","index":0}],'
    b'"reasoning":'
)

FINISH_REASONS = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
REFUSAL, LOGPROBS = b'"refusal"', b'"logprobs"'
"""Null as they mostly are, OpenAI's schema has them in every whole answer, and typed clients insist
on it. Many servers leave them out. Within a text such a name stands with backslashes.
"""

CHOICES_MAX = 128
"""As many as a caller can ask for."""

EMPTY_MAX = len(b"null")
"""No choice fits into so few bytes: `[]`, `null`, or nothing at all."""

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

Read = TypeVar("Read")


# Asking ---------------------------------------------------------------------------------------


class OpenAIChat:
    """The dialect `openai-chat`, and what the sandbox speaks."""

    secret_header = ("authorization", "Bearer {secret}")

    def __init__(self, *, name: str) -> None:
        self.name = name

    def write_request(self, chat: Chat, *, upstream_model: str, host: str) -> UpstreamRequest:
        fields = write_fields(
            chat.fields, host=find_host(host), max_tokens=chat.max_tokens, stream=chat.stream
        )
        body = {"model": upstream_model, **fields}
        if chat.stream:
            # Usage is what the money is counted from: asked for whether the caller wants it or not.
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return UpstreamRequest(path="/chat/completions", body=_ENCODER.encode(body))

    def read_answer(self, body: bytes) -> Answer:
        chunk = _read_chunk(body)
        if chunk.error:
            raise faults.read_error_inside(body)
        choices = bytes(chunk.choices)
        if not choices:
            _refuse_flat_error(chunk, body)
            raise Fault("invalid", "the answer has no choices")
        answer = Answer(
            choices=choices,
            usage=_usage_of(chunk),
            upstream_id=chunk.id,
            upstream_model=chunk.model,
            system_fingerprint=chunk.system_fingerprint,
        )
        _read_whole_choices(answer)
        return answer

    def stream_reader(self) -> "ChatStream":
        return ChatStream()

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return faults.read_error(status, headers, body)


# A whole answer -------------------------------------------------------------------------------


def _read_whole_choices(answer: Answer) -> None:
    parsed = _decode(_WHOLE, answer.choices)
    if not parsed:
        raise Fault("invalid", "the answer has no choices")
    astray = b"\n" in answer.choices or REFUSAL not in answer.choices
    astray = astray or LOGPROBS not in answer.choices
    for choice in parsed:
        said = choice.said or _NOTHING_SAID
        answer.delivered_bytes += delivered_bytes(said)
        reason = choice.finish_reason
        if reason not in FINISH_REASONS:
            _refuse_error(reason)
            reason = _finish_reason(spoke=delivered_bytes(said) > 0, called=bool(said.tool_calls))
            astray = True
        answer.finish_reason = answer.finish_reason or reason
        astray = astray or not _is_plain(said)
    if astray:
        answer.choices = _ENCODER.encode(
            [_mended_whole(c) for c in _decode(_LOOSE, answer.choices)]
        )


def _mended_whole(choice: dict[str, Any]) -> dict[str, Any]:
    said = choice.get("message") or {"role": "assistant", "content": None}
    called = bool(said.get("tool_calls"))
    _mend_reasoning(said)
    spoke = any(said.get(name) for name in ("content", "refusal", "reasoning"))
    choice["finish_reason"] = choice.get("finish_reason") or None
    _mend_unknown_finish(choice, _finish_reason(spoke=spoke, called=called))
    choice["message"] = {"role": "assistant", "content": None, "refusal": None, **said}
    return {"logprobs": None, **choice}


# A streamed answer ----------------------------------------------------------------------------


class ChatStream:
    """Reads one stream. `finished` at `[DONE]`, or when the body ended after a finish reason."""

    def __init__(self) -> None:
        self.finished = False
        self.usage: Usage | None = None
        self._seen: set[int] = set()
        self._called: set[int] = set()
        self._ended: set[int] = set()
        self._delivered = 0

    def read(self, event: str, data: bytes) -> ChatEvent | None:
        if data.startswith(b"[DONE]"):
            return self._close()
        chunk = _read_chunk(data)
        usage = None
        if chunk.usage != NULL or chunk.x_groq is not None:
            usage = _usage_of(chunk)
            self.usage = usage or self.usage
        if chunk.error or event == "error":
            raise faults.read_error_inside(data)
        choices = bytes(chunk.choices)
        step = ChatEvent(choices, 0, None, usage, chunk.id, chunk.model, chunk.system_fingerprint)
        if len(choices) > EMPTY_MAX:
            self._take(step)
        else:
            step.choices = b""
            _refuse_flat_error(chunk, data)
        return step if step.choices or usage is not None else None

    def end(self) -> None:
        if not self.finished and not self._ended:
            raise Fault("broken", "the stream ended without a finish reason")
        self.finished = True

    def _take(self, step: ChatEvent) -> None:
        """Count what the choices deliver. Most chunks are plain, and are passed on as they came."""
        parsed = _decode(_STREAMED, step.choices)
        plain = len(parsed) > 0 and not self._ended and b"\n" not in step.choices
        delivered = 0
        for choice in parsed:
            said = choice.said or _NOTHING_SAID
            delivered += delivered_bytes(said)
            if choice.index not in self._seen:
                self._seen.add(choice.index)
                if len(self._seen) > CHOICES_MAX:
                    raise Fault("invalid", f"there are more than {CHOICES_MAX} choices")
            if said.tool_calls:
                self._called.add(choice.index)
            if choice.finish_reason is not None or not _is_plain(said):
                plain = False
        step.delivered_bytes = delivered
        self._delivered += delivered
        if not plain:
            self._look_closely(step, parsed)

    def _look_closely(self, step: ChatEvent, parsed: list[StreamedChoice]) -> None:
        if len(parsed) == 1 and not self._ended and (spliced := _spliced(step.choices, parsed[0])):
            step.choices = spliced
            return
        late = self._ended.copy()
        astray = not parsed or b"\n" in step.choices
        for choice in parsed:
            if choice.index in late or not _is_plain(choice.said or _NOTHING_SAID):
                astray = True
            if choice.finish_reason is not None:
                astray = not self._end_choice(choice, step) or astray
        if astray:
            self._mend(step, late)

    def _end_choice(self, choice: StreamedChoice, step: ChatEvent) -> bool:
        """Note a finish reason. False if it cannot be passed on as it is.

        An empty one says nothing: some hosts put it on every chunk.
        """
        reason = choice.finish_reason
        if not reason:
            return False
        _refuse_error(reason)
        self._ended.add(choice.index)
        if reason in FINISH_REASONS:
            step.finish_reason = step.finish_reason or reason
        return reason in FINISH_REASONS

    def _mend(self, step: ChatEvent, late: set[int]) -> None:
        """The slow way, for the few chunks that need it."""
        told = [c for c in _decode(_LOOSE, step.choices) if not _is_repeated_end(c, late)]
        for choice in told:
            choice["delta"] = choice.get("delta") or {}
            _mend_reasoning(choice["delta"])
            called = choice.get("index", 0) in self._called
            choice["finish_reason"] = choice.get("finish_reason") or None
            if choice["finish_reason"]:
                spoke = self._delivered > 0
                _mend_unknown_finish(choice, _finish_reason(spoke=spoke, called=called))
        step.finish_reason = next((c["finish_reason"] for c in told if c["finish_reason"]), None)
        step.choices = _ENCODER.encode(told) if told else b""

    def _close(self) -> ChatEvent | None:
        """`[DONE]`. Choices that said something and were never ended are ended here."""
        self.finished = True
        open_choices = sorted(self._seen - self._ended)
        if not open_choices or not (self._delivered or self._called):
            return None
        told: list[dict[str, Any]] = [
            {
                "index": index,
                "delta": {},
                "finish_reason": _finish_reason(spoke=True, called=index in self._called),
            }
            for index in open_choices
        ]
        self._ended.update(open_choices)
        return ChatEvent(_ENCODER.encode(told), finish_reason=told[0]["finish_reason"])


# What both have in common ---------------------------------------------------------------------


def _read_chunk(data: bytes) -> Chunk:
    try:
        return _CHUNK.decode(data)
    except UNREADABLE as error:
        raise Fault("invalid", f"the answer cannot be read: {error}") from None


def _decode(decoder: msgspec.json.Decoder[list[Read]], choices: bytes) -> list[Read]:
    try:
        if not choices.isascii():
            choices.decode()  # members we do not know go to the caller unread: let them be text
        return decoder.decode(choices)
    except UNREADABLE as error:
        raise Fault("invalid", f"the choices cannot be read: {error}") from None


def _usage_of(chunk: Chunk) -> Usage | None:
    """Groq reports the same usage in two places, other hosts in one: it counts once."""
    report = chunk.usage
    if report == NULL and chunk.x_groq is not None:
        report = chunk.x_groq.usage
    return read_usage(report, model=chunk.model)


def delivered_bytes(said: Said) -> int:
    """UTF-8 bytes of text, reasoning, refusal and tool arguments."""
    text = said.content
    count = 0 if text is None else len(text) if text.isascii() else len(text.encode())
    if said.tool_calls is not None:
        for call in said.tool_calls:
            if call.function is not None and call.function.arguments:
                count += len(call.function.arguments.encode())
    thought = said.reasoning or said.reasoning_content
    if thought:
        count += len(thought.encode())
    if said.refusal:
        count += len(said.refusal.encode())
    return count


def _is_plain(said: Said) -> bool:
    """Nothing in it has to be spelled in another way."""
    if said is _NOTHING_SAID or said.reasoning_content:
        return False
    return not said.reasoning or bool(said.reasoning_details)


def _refuse_flat_error(chunk: Chunk, data: bytes) -> None:
    """Without choices and without usage it may be an older vLLM's error, which stands bare."""
    if chunk.usage == NULL and _is_flat_error(data):
        raise faults.read_error_inside(data)


def _is_flat_error(data: bytes) -> bool:
    try:
        return bool(_FLAT.decode(data).object == "error")
    except UNREADABLE as error:
        raise Fault("invalid", f"the answer cannot be read: {error}") from None


def _is_repeated_end(choice: dict[str, Any], late: set[int]) -> bool:
    """OpenRouter ends a choice twice: again, empty, together with the usage."""
    delta = choice.get("delta") or {}
    return choice.get("index", 0) in late and not any(
        value for name, value in delta.items() if name != "role"
    )


def _spliced(choices: bytes, choice: StreamedChoice) -> bytes:
    """Mend the reasoning of one choice within its bytes, or answer `b""` if that is not safe.

    A reasoning model sends thousands of such chunks, and this costs a third of rebuilding them. The
    name with bare quotes around it cannot stand inside a JSON string, so once is once.
    """
    said = choice.said
    if said is None or choice.finish_reason is not None or b"\n" in choices:
        return b""
    name = b'"reasoning_content":' if said.reasoning_content else b'"reasoning":'
    if choices.count(name) != 1 or choices.count(b'"reasoning') != 1:
        return b""
    text = said.reasoning_content or said.reasoning
    return choices.replace(name, _SPLICE % _ENCODER.encode(text)) if text else b""


def _mend_reasoning(said: dict[str, Any]) -> None:
    """One spelling, OpenRouter's, so that a caller reads every model alike."""
    text = said.get("reasoning") or said.pop("reasoning_content", None)
    said.pop("reasoning_content", None)
    if not text:
        return
    said["reasoning"] = text
    if not said.get("reasoning_details"):
        detail = {"type": "reasoning.text", "text": text, "format": "unknown", "index": 0}
        said["reasoning_details"] = [detail]


def _refuse_error(reason: str | None) -> None:
    if reason == "error":
        raise Fault("server", "the answer finished with an error")


def _finish_reason(*, spoke: bool, called: bool) -> str | None:
    """The finish reason where the host gave none that is known. None: there was no answer."""
    if called:
        return "tool_calls"
    return "stop" if spoke else None


def _mend_unknown_finish(choice: dict[str, Any], instead: str | None) -> None:
    """Put a finish reason that callers know in place of one they do not."""
    if choice["finish_reason"] not in FINISH_REASONS:
        choice["native_finish_reason"] = (
            choice.get("native_finish_reason") or choice["finish_reason"]
        )
        choice["finish_reason"] = instead
