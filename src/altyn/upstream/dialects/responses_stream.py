"""A streamed answer of OpenAI's Responses API, event by event.

Each event is named, and most only repeat what was told: those are not looked at. A text costs one
decoding of its event and one encoding of its words.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
from msgspec import Raw, Struct

from altyn.chat import ChatEvent, Fault, Usage
from altyn.upstream.dialects import faults
from altyn.upstream.dialects.responses_wire import (
    APART,
    UNREADABLE,
    Annotation,
    Detail,
    Item,
    Response,
    arguments_of,
    citations,
    encrypted_detail,
    finish_reason,
    kind_of,
    open_detail,
    read_item,
    read_usage,
    summary_detail,
)


class ResponseStep(Struct, gc=False):
    response: Response


class ItemStep(Struct, gc=False):
    item: Raw
    output_index: int = 0


class TextStep(Struct, gc=False):
    delta: str
    output_index: int = 0
    summary_index: int = 0
    logprobs: list[Any] | None = None


class AnnotationStep(Struct, gc=False):
    annotation: Annotation


_RESPONSE_STEP = msgspec.json.Decoder(ResponseStep)
_ITEM_STEP = msgspec.json.Decoder(ItemStep)
_TEXT_STEP = msgspec.json.Decoder(TextStep)
_ANNOTATION_STEP = msgspec.json.Decoder(AnnotationStep)
_ENCODER = msgspec.json.Encoder()


ITEMS_MAX = 10_000
"""Calls of one answer, or pieces of encrypted reasoning that wait for a word."""


class Call(Struct, gc=False):
    index: int
    argued: bool = False


class ResponseStream:
    """Reads one stream. `finished` at the event that holds the whole response, or the error."""

    def __init__(self) -> None:
        self.finished = False
        self.usage: Usage | None = None
        self._id: str | None = None
        self._model: str | None = None
        self._waiting = True
        self._begun = False
        self._envelopes: list[Detail] = []
        self._speaking: int | None = None
        self._thinking: tuple[int, int] | None = None
        self._calls: dict[int, Call] = {}

    def read(self, event: str, data: bytes) -> ChatEvent | None:
        try:
            take = self._STEPS.get(event or kind_of(data))
            return take(self, data) if take is not None else None
        except UNREADABLE as error:
            raise Fault("invalid", f"the answer cannot be read: {error}") from None

    def end(self) -> None:
        if not self.finished:
            raise Fault("broken", "the stream ended without its last event")

    # What is said

    def _take_text(self, data: bytes) -> ChatEvent | None:
        step = _TEXT_STEP.decode(data)
        text = step.delta
        if step.output_index != self._speaking:
            text = self._begin_message(step)
        return self._say(b'"content":', text, step.logprobs)

    def _begin_message(self, step: TextStep) -> str:
        """The text, apart from that of the message before."""
        if not step.delta:
            return ""
        first = self._speaking is None
        self._speaking = step.output_index
        return step.delta if first else APART + step.delta

    def _take_refusal(self, data: bytes) -> ChatEvent | None:
        return self._say(b'"refusal":', _TEXT_STEP.decode(data).delta)

    def _take_annotation(self, data: bytes) -> ChatEvent | None:
        cited = citations([_ANNOTATION_STEP.decode(data).annotation])
        return self._tell({"annotations": cited}) if cited else None

    # What is thought

    def _take_summary(self, data: bytes) -> ChatEvent | None:
        step = _TEXT_STEP.decode(data)
        text, place = step.delta, step.output_index
        before = self._thinking
        apart = self._apart(text, (place, step.summary_index))
        within = apart if before is not None and before[0] == place else ""
        return self._think(apart + text, summary_detail(within + text, place))

    def _take_open_reasoning(self, data: bytes) -> ChatEvent | None:
        step = _TEXT_STEP.decode(data)
        text, place = step.delta, step.output_index
        # Below 0, where no summary is.
        return self._think(self._apart(text, (-1 - place, 0)) + text, open_detail(text, place))

    def _apart(self, text: str, place: tuple[int, int]) -> str:
        """What stands between the thought before, if it was another, and this one."""
        if not text:
            return ""
        before, self._thinking = self._thinking, place
        return "" if before in (None, place) else APART

    def _think(self, text: str, detail: Detail) -> ChatEvent | None:
        if not text:
            return None
        envelopes, self._envelopes = self._envelopes, []
        said = {"reasoning": text, "reasoning_details": [*envelopes, detail]}
        return self._tell(said, len(text.encode()))

    # What is called

    def _take_arguments(self, data: bytes) -> ChatEvent | None:
        step = _TEXT_STEP.decode(data)
        call = self._calls.get(step.output_index)
        if call is None:
            raise Fault("invalid", "arguments came for a call that never began")
        if not step.delta:
            return None
        call.argued = True
        part = {"index": call.index, "function": {"arguments": step.delta}}
        return self._tell({"tool_calls": [part]}, len(step.delta.encode()))

    def _take_added(self, data: bytes) -> ChatEvent | None:
        step = _ITEM_STEP.decode(data)
        item = read_item(step.item)
        return self._begin_call(item, step.output_index) if item.type == "function_call" else None

    def _begin_call(self, item: Item, place: int, arguments: str = "") -> ChatEvent:
        if len(self._calls) >= ITEMS_MAX:
            raise Fault("invalid", f"there are more than {ITEMS_MAX} calls")
        call = self._calls[place] = Call(len(self._calls), argued=bool(arguments))
        function = {"name": item.name, "arguments": arguments}
        head = {"index": call.index, "id": item.call_id, "type": "function", "function": function}
        return self._tell({"tool_calls": [head]}, len(arguments.encode()))

    def _take_done(self, data: bytes) -> ChatEvent | None:
        """An item as it is at its end: what was not told in pieces is told now."""
        step = _ITEM_STEP.decode(data)
        item = read_item(step.item)
        if item.type == "function_call":
            return self._end_call(item, step.output_index)
        if item.type == "reasoning" and item.encrypted_content:
            if len(self._envelopes) >= ITEMS_MAX:
                raise Fault("invalid", f"{ITEMS_MAX} thoughts came without a word")
            self._waiting = True
            self._envelopes.append(encrypted_detail(item, step.output_index))
        return None

    def _end_call(self, item: Item, place: int) -> ChatEvent | None:
        call = self._calls.get(place)
        arguments = arguments_of(item)
        if call is None:
            return self._begin_call(item, place, arguments)
        if call.argued or not arguments:
            return None
        part = {"index": call.index, "function": {"arguments": arguments}}
        return self._tell({"tool_calls": [part]}, len(arguments.encode()))

    # How it begins and ends

    def _take_created(self, data: bytes) -> None:
        response = _RESPONSE_STEP.decode(data).response
        self._id, self._model = response.id, response.model

    def _take_end(self, data: bytes) -> ChatEvent | None:
        response = _RESPONSE_STEP.decode(data).response
        self.usage = usage = read_usage(response)
        reason = finish_reason(response, called=bool(self._calls))
        self.finished = True
        choices = b'[{"index":0,"delta":{%b},"finish_reason":%b}]' % (
            self._begin()[:-1],
            _ENCODER.encode(reason),
        )
        return ChatEvent(choices, 0, reason, usage, response.id, response.model)

    def _take_error(self, data: bytes) -> ChatEvent | None:
        raise faults.read_error_inside(data)

    # Telling it

    def _say(self, name: bytes, text: str, logprobs: list[Any] | None = None) -> ChatEvent | None:
        """One text, the common case: put together from bytes, for it comes by the thousand."""
        if not text:
            return None
        tail = b'},"finish_reason":null}]'
        if logprobs:
            tail = b'},"finish_reason":null,"logprobs":{"content":%b}}]' % _ENCODER.encode(logprobs)
        opening = self._begin() if self._waiting else b""
        return ChatEvent(
            b'[{"index":0,"delta":{%b%b%b%b' % (opening, name, _ENCODER.encode(text), tail),
            len(text) if text.isascii() else len(text.encode()),
            None,
            None,
            self._id,
            self._model,
        )

    def _tell(self, said: Detail, delivered_bytes: int = 0) -> ChatEvent:
        choices = b'[{"index":0,"delta":{%b%b,"finish_reason":null}]' % (
            self._begin(),
            _ENCODER.encode(said)[1:],
        )
        return ChatEvent(choices, delivered_bytes, None, None, self._id, self._model)

    def _begin(self) -> bytes:
        """What stands before the first words, and before those that a thought led to.

        An envelope waits for them: an answer that fails before its first word is another route's.
        """
        opening = b"" if self._begun else b'"role":"assistant",'
        if self._envelopes:
            opening += b'"reasoning_details":%b,' % _ENCODER.encode(self._envelopes)
        self._begun, self._waiting, self._envelopes = True, False, []
        return opening

    _STEPS: ClassVar[dict[str, Callable[["ResponseStream", bytes], ChatEvent | None]]] = {
        "response.created": _take_created,
        "response.output_text.delta": _take_text,
        "response.refusal.delta": _take_refusal,
        "response.output_text.annotation.added": _take_annotation,
        "response.reasoning_summary_text.delta": _take_summary,
        "response.reasoning_text.delta": _take_open_reasoning,
        "response.output_item.added": _take_added,
        "response.function_call_arguments.delta": _take_arguments,
        "response.output_item.done": _take_done,
        "response.completed": _take_end,
        "response.incomplete": _take_end,
        "response.failed": _take_end,
        "error": _take_error,
    }
    """By the name of the event, which its `type` repeats. All others only repeat what was told."""
