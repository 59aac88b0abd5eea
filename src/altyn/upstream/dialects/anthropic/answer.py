"""A whole message, and what it has in common with a streamed one."""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from altyn.chat import Answer, Fault
from altyn.upstream.dialects import faults
from altyn.upstream.dialects.anthropic.request import ANSWER_TOOL
from altyn.upstream.dialects.anthropic.thinking import encrypted_detail, text_detail
from altyn.upstream.dialects.anthropic.usage import Tally
from altyn.upstream.dialects.usage import NOTHING

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",  # a loop of the vendor's own tools, which nobody can ask for here
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}


# On the wire ----------------------------------------------------------------------------------


class Citation(Struct, gc=False):
    """Where a text has something from. Only a page of the web has a form at our callers."""

    type: str = ""
    url: str | None = None
    title: str | None = None
    cited_text: str | None = None


class Block(Struct, gc=False):
    """A block of an answer. Blocks of the vendor's own tools say nothing to our callers."""

    type: str
    text: str | None = None
    citations: list[Citation] | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = Raw(b"")


class StopDetails(Struct, gc=False):
    explanation: str | None = None


class Message(Struct, gc=False):
    type: str = ""
    id: str | None = None
    model: str | None = None
    content: list[Block] | None = None
    stop_reason: str | None = None
    stop_details: StopDetails | None = None
    usage: Raw = NOTHING
    error: Any = None


_MESSAGE = msgspec.json.Decoder(Message)
_ENCODER = msgspec.json.Encoder()


# Reading --------------------------------------------------------------------------------------


def read_answer(body: bytes) -> Answer:
    """Read a whole message. Raises `Fault`, also for an error under status 200."""
    message = _decode(body)
    if message.type == "error" or message.error:
        raise faults.read_error_inside(body)
    if message.content is None:
        raise Fault("invalid", "the answer has no content")
    if message.stop_reason is None:
        raise Fault("broken", "the answer has no stop_reason")
    tally, told = Tally(), Told()
    tally.take(message.usage)
    for block in message.content:
        told.take(block)
    reason = finish_reason(message.stop_reason, spoke=told.bytes > 0, called=bool(told.calls))
    refusal = refusal_of(message.stop_reason, message.stop_details)
    choice = {
        "index": 0,
        "message": told.message(refusal),
        "logprobs": None,
        "finish_reason": reason,
        "native_finish_reason": message.stop_reason,
    }
    return Answer(
        choices=_ENCODER.encode([choice]),
        delivered_bytes=told.bytes + utf8_bytes(refusal or ""),
        finish_reason=reason,
        usage=tally.usage,
        upstream_id=message.id,
        upstream_model=message.model,
    )


def _decode(body: bytes) -> Message:
    try:
        return _MESSAGE.decode(body)
    except UNREADABLE as error:
        raise Fault("invalid", f"the answer cannot be read: {error}") from None


class Told:
    """The blocks of one message, put together for the caller."""

    def __init__(self) -> None:
        self.text = ""
        self.annotations: list[dict[str, Any]] = []
        self.reasoning = ""
        self.details: list[dict[str, Any]] = []
        self.calls: list[dict[str, Any]] = []
        self.bytes = 0

    def take(self, block: Block) -> None:
        match block.type:
            case "text":
                self._say(block.text or "", block.citations or ())
            case "thinking":
                self.reasoning += block.thinking or ""
                self.bytes += utf8_bytes(block.thinking or "")
                detail = text_detail(block.thinking or "", block.signature, len(self.details))
                self.details.append(detail)
            case "redacted_thinking":
                self.details.append(encrypted_detail(block.data or "", len(self.details)))
            case "tool_use" if block.name == ANSWER_TOOL:
                self._say(read_input(block.input), ())
            case "tool_use":
                self._call(block)

    def message(self, refusal: str | None) -> dict[str, Any]:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": self.text or (None if self.calls else ""),
            "refusal": refusal,
        }
        if self.details:
            message["reasoning"] = self.reasoning or None
            message["reasoning_details"] = self.details
        if self.calls:
            message["tool_calls"] = self.calls
        if self.annotations:
            message["annotations"] = self.annotations
        return message

    def _say(self, text: str, citations: "list[Citation] | tuple[()]") -> None:
        start = len(self.text)
        self.text += text
        self.bytes += utf8_bytes(text)
        self.annotations += annotations_of(citations, start, len(self.text))

    def _call(self, block: Block) -> None:
        arguments = read_input(block.input)
        self.bytes += utf8_bytes(arguments)
        function = {"name": block.name, "arguments": arguments}
        self.calls.append({"id": block.id, "type": "function", "function": function})


# What both have in common ---------------------------------------------------------------------


def finish_reason(stop_reason: str | None, *, spoke: bool, called: bool) -> str | None:
    """The vendor's reason in OpenAI's words. None: an unknown one, and nothing was said."""
    reason = FINISH_REASONS.get(stop_reason or "")
    if reason == "tool_calls" or reason is None:
        # A forced answer ends as a call of a tool, and is none to the caller.
        return "tool_calls" if called else "stop" if spoke or reason else None
    return reason


def refusal_of(stop_reason: str | None, details: StopDetails | None) -> str | None:
    """Why the vendor would not answer, where it says so."""
    if stop_reason != "refusal" or details is None:
        return None
    return details.explanation


def annotations_of(
    citations: "list[Citation] | tuple[()]", start: int, end: int
) -> list[dict[str, Any]]:
    """Pages of the web that the text between two of its characters was taken from."""
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "url": citation.url,
                "title": citation.title or "",
                "content": citation.cited_text or "",
                "start_index": start,
                "end_index": end,
            },
        }
        for citation in citations
        if citation.url
    ]


def read_input(raw: Raw) -> str:
    """A tool's arguments as they came; none at all are an empty object."""
    try:
        text = bytes(raw).decode().strip()
    except UnicodeDecodeError as error:
        raise Fault("invalid", f"the arguments cannot be read: {error}") from None
    return "{}" if text in ("", "null") else text


def utf8_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
