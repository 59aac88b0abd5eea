"""A streamed message: its events, one by one, as chunks in OpenAI's shape.

Nothing is passed on before the first piece of the answer: until then another route can be asked.
An event that delivers text is decoded once and costs one small encoding; the rest is rare.
"""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from altyn.chat import ChatEvent, Fault, Usage
from altyn.upstream.count import estimated_tokens
from altyn.upstream.dialects import faults
from altyn.upstream.dialects.anthropic.answer import (
    UNREADABLE,
    Block,
    Citation,
    Message,
    StopDetails,
    annotations_of,
    finish_reason,
    read_input,
    refusal_of,
    utf8_bytes,
)
from altyn.upstream.dialects.anthropic.request import ANSWER_TOOL
from altyn.upstream.dialects.anthropic.thinking import FORMAT, encrypted_detail
from altyn.upstream.dialects.anthropic.usage import Tally
from altyn.upstream.dialects.usage import NOTHING, NULL


class Delta(Struct, gc=False):
    """What a `content_block_delta` or a `message_delta` adds."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    signature: str | None = None
    citation: Citation | None = None
    stop_reason: str | None = None
    stop_details: StopDetails | None = None


class Event(Struct, gc=False):
    type: str = ""
    index: int = 0
    delta: Delta | None = None
    content_block: Block | None = None
    message: Message | None = None
    usage: Raw = NOTHING


_EVENT = msgspec.json.Decoder(Event)
_ENCODER = msgspec.json.Encoder()
_encode = _ENCODER.encode

HEAD = b'[{"index":0,"delta":{'
ROLE = b'"role":"assistant",'
TAIL = b'},"finish_reason":null}]'
THOUGHT = (
    HEAD
    + b'"reasoning":%(text)b,"reasoning_details":[{"type":"reasoning.text","text":%(text)b'
    + b',"index":%(number)d}]'
    + TAIL
)


OPEN_MAX = 1000
"""Blocks that began and did not end. The vendor has one at a time."""


class Open(Struct):
    """A block that has begun. `number` counts the blocks of its kind."""

    block: Block
    number: int
    start: int
    began: bool = False
    citations: list[Citation] = msgspec.field(default_factory=list)


class MessageStream:
    """Reads one stream. `finished` at `message_stop`, or at the end after a `stop_reason`."""

    def __init__(self) -> None:
        self.finished = False
        self._id: str | None = None
        self._model: str | None = None
        self._tally = Tally()
        self._counted = False
        self._open: dict[int, Open] = {}
        self._role = ROLE
        self._ended = False
        self._delivered = 0
        self._characters = 0
        self._details = 0
        self._calls = 0

    @property
    def usage(self) -> Usage | None:
        """As the vendor counted it; before its end, its input and the output by our own count."""
        usage = self._tally.usage
        if usage is not None and not self._counted and not usage.refused:
            usage.output_text = estimated_tokens(self._delivered)
            usage.reasoning = 0
            usage.partial = True
        return usage

    def read(self, event: str, data: bytes) -> ChatEvent | None:
        try:
            said = _EVENT.decode(data)
        except UNREADABLE as error:
            raise Fault("invalid", f"the answer cannot be read: {error}") from None
        match said.type:
            case "content_block_delta":
                return self._go_on(said.index, said.delta or Delta())
            case "content_block_start":
                return self._begin(said.index, said.content_block)
            case "content_block_stop":
                return self._stop(said.index)
            case "message_start":
                self._start(said.message or Message())
            case "message_delta":
                return self._end_message(said.delta or Delta(), said.usage)
            case "message_stop":
                self._close()
            case "error":
                raise faults.read_error_inside(data)
            case _ if event == "error":
                raise faults.read_error_inside(data)
        return None

    def end(self) -> None:
        if not self.finished and not self._ended:
            raise Fault("broken", "the stream ended without a stop_reason")
        self.finished = True

    # The message ------------------------------------------------------------------------------

    def _start(self, message: Message) -> None:
        self._id, self._model = message.id, message.model
        self._tally.take(message.usage)

    def _end_message(self, delta: Delta, usage: Raw) -> ChatEvent | None:
        self._tally.take(usage)
        self._counted = self._counted or usage not in (NOTHING, NULL)
        if delta.stop_reason is None or self._ended:
            return None
        self._ended = True
        spoke = self._delivered > 0
        reason = finish_reason(delta.stop_reason, spoke=spoke, called=self._calls > 0)
        refusal = refusal_of(delta.stop_reason, delta.stop_details)
        said: dict[str, Any] = {"role": "assistant"} if self._role else {}
        if refusal is not None:
            said["refusal"] = refusal
        choice = {
            "index": 0,
            "delta": said,
            "finish_reason": reason,
            "native_finish_reason": delta.stop_reason,
        }
        step = self._step(_encode([choice]), utf8_bytes(refusal or ""))
        step.finish_reason, step.usage = reason, self.usage
        return step

    def _close(self) -> None:
        if not self._ended:
            raise Fault("broken", "the message ended without a stop_reason")
        self.finished = True

    # Its blocks -------------------------------------------------------------------------------

    def _begin(self, index: int, block: Block | None) -> ChatEvent | None:
        if block is None:
            raise Fault("invalid", "a block began without saying what it is")
        if len(self._open) >= OPEN_MAX:
            raise Fault("invalid", f"there are more than {OPEN_MAX} open blocks")
        opened = self._open[index] = Open(block, 0, self._characters)
        match block.type:
            case "text" if block.text:
                return self._say(block.text)
            case "thinking":
                opened.number = self._count_detail()
                return self._think(opened, block.thinking, block.signature)
            case "redacted_thinking":
                detail = encrypted_detail(block.data or "", self._count_detail())
                return self._tell({"reasoning_details": [detail]})
            case "tool_use" if block.name != ANSWER_TOOL:
                opened.number, self._calls = self._calls, self._calls + 1
                function = {"name": block.name, "arguments": ""}
                return self._call(opened, {"id": block.id, "type": "function"}, function)
        return None

    def _go_on(self, index: int, delta: Delta) -> ChatEvent | None:
        if delta.text is not None:
            return self._say(delta.text) if delta.text else None
        opened = self._open.get(index)
        if opened is None:
            raise Fault("invalid", "a block goes on that has not begun")
        if delta.partial_json is not None:
            return self._write_input(opened, delta.partial_json)
        if delta.citation is not None:
            opened.citations.append(delta.citation)
            return None
        return self._think(opened, delta.thinking, delta.signature)

    def _stop(self, index: int) -> ChatEvent | None:
        opened = self._open.pop(index, None)
        if opened is None:
            return None
        if opened.block.type == "tool_use" and not opened.began:
            return self._write_input(opened, read_input(opened.block.input))
        cited = opened.citations + (opened.block.citations or [])
        annotations = annotations_of(cited, opened.start, self._characters)
        return self._tell({"annotations": annotations}) if annotations else None

    def _count_detail(self) -> int:
        self._details += 1
        return self._details - 1

    # What is delivered ------------------------------------------------------------------------

    def _say(self, text: str) -> ChatEvent:
        self._characters += len(text)
        choices = b'%b%b"content":%b%b' % (HEAD, self._role, _encode(text), TAIL)
        return self._step(choices, utf8_bytes(text))

    def _think(self, opened: Open, text: str | None, signature: str | None) -> ChatEvent | None:
        """The name of the format comes once a block: clients join the texts of equal members."""
        if not text and not signature:
            return None
        if text and opened.began and not signature:
            return self._think_on(text, opened.number)
        detail: dict[str, Any] = {"type": "reasoning.text", "text": text or ""}
        if signature:
            detail["signature"] = signature
        if not opened.began:
            opened.began = True
            detail["format"] = FORMAT
        detail["index"] = opened.number
        said: dict[str, Any] = {"reasoning": text} if text else {}
        return self._tell({**said, "reasoning_details": [detail]}, utf8_bytes(text or ""))

    def _think_on(self, text: str, number: int) -> ChatEvent:
        """What most pieces of thinking are; there are thousands of them."""
        return self._step(THOUGHT % {b"text": _encode(text), b"number": number}, utf8_bytes(text))

    def _write_input(self, opened: Open, text: str) -> ChatEvent | None:
        if not text:
            return None
        opened.began = True
        if opened.block.type != "tool_use":
            return None  # a tool of the vendor's own
        if opened.block.name == ANSWER_TOOL:
            return self._say(text)
        return self._call(opened, {}, {"arguments": text})

    def _call(
        self, opened: Open, head: dict[str, Any], function: dict[str, str | None]
    ) -> ChatEvent:
        call = {"index": opened.number, **head, "function": function}
        return self._tell({"tool_calls": [call]}, utf8_bytes(function["arguments"] or ""))

    def _tell(self, said: dict[str, Any], delivered_bytes: int = 0) -> ChatEvent:
        choices = b"%b%b%b%b" % (HEAD, self._role, _encode(said)[1:-1], TAIL)
        return self._step(choices, delivered_bytes)

    def _step(self, choices: bytes, delivered_bytes: int) -> ChatEvent:
        self._role = b""
        self._delivered += delivered_bytes
        return ChatEvent(choices, delivered_bytes, None, None, self._id, self._model)
