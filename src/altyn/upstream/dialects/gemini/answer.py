"""What Gemini answers, told in OpenAI's shape: whole, or an event at a time.

One `Telling` for each candidate knows what was told of it before; a whole answer is told in one
step by the same code that tells a stream, so that a stream put together is the whole answer.
"""

from hashlib import blake2b
from typing import Any

import msgspec

from altyn.chat import Answer, ChatEvent, Fault, Usage
from altyn.upstream.dialects import faults
from altyn.upstream.dialects.gemini.extras import read_annotations, read_logprobs
from altyn.upstream.dialects.gemini.request import SIGNATURE_FORMAT
from altyn.upstream.dialects.gemini.wire import (
    NOTHING,
    UNREADABLE,
    Candidate,
    FunctionCall,
    Part,
    Reply,
    read_reply,
    read_usage,
)

FINISH_REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
}
"""What is not here is `stop` if something was said, and else an error."""

PLAIN_REASONS = frozenset({"STOP", "MAX_TOKENS"})

FAILURES = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
        "MALFORMED_RESPONSE",
    }
)
"""The model failed, whatever it said before: another route may do better."""

CANDIDATES_MAX = 128
GROUNDINGS_MAX = 100
"""Sources come with the last event or with a few: each time the whole text is looked at again."""

CALL_ID_BYTES = 12

_TEXT = b'[{"index":%d,"delta":{"content":%b},"finish_reason":null}]'
_ENCODER = msgspec.json.Encoder()

Said = dict[str, Any]


# Whole ----------------------------------------------------------------------------------------


def read_answer(body: bytes) -> Answer:
    """Raises `Fault`, also for an error under status 200."""
    if body.lstrip()[:1] == b"[":
        raise faults.read_error_inside(body)  # only errors come in an array
    reply = read_reply(body)
    if reply.error:
        raise faults.read_error_inside(body)
    answer = Answer(
        choices=b"",
        usage=read_usage(reply.usage_metadata),
        upstream_id=reply.response_id,
        upstream_model=reply.model_version,
    )
    choices = [_whole_choice(candidate, reply, answer) for candidate in reply.candidates]
    if not choices:
        choices = [_blocked(reply, "message")]
        answer.delivered_bytes = _refusal_bytes(reply)
    answer.finish_reason = next((c["finish_reason"] for c in choices if c["finish_reason"]), None)
    answer.choices = _ENCODER.encode(choices)
    return answer


def _whole_choice(candidate: Candidate, reply: Reply, answer: Answer) -> Said:
    telling = Telling(candidate.index)
    choice = telling.tell(candidate, reply.response_id)
    message = {"role": "assistant", "content": None, "refusal": None, **choice.pop("delta")}
    for call in message.get("tool_calls", ()):
        del call["index"]
    answer.delivered_bytes += telling.delivered_bytes
    return {"index": choice.pop("index"), "message": message, "logprobs": None, **choice}


def _blocked(reply: Reply, member: str) -> Said:
    """The prompt was refused: no candidate, and the prompt is counted all the same."""
    feedback = reply.prompt_feedback
    if feedback is None or feedback.block_reason is None:
        raise Fault("invalid", "the answer has no candidates")
    refusal = feedback.block_reason_message or None
    return {
        "index": 0,
        member: {"role": "assistant", "content": None, "refusal": refusal},
        "logprobs": None,
        "finish_reason": "content_filter",
        "native_finish_reason": feedback.block_reason,
    }


def _refusal_bytes(reply: Reply) -> int:
    told = reply.prompt_feedback and reply.prompt_feedback.block_reason_message
    return len((told or "").encode())


# Streamed -------------------------------------------------------------------------------------


class GeminiStream:
    """Reads one stream. Nothing in it says that it is over, so `end` decides: every candidate has
    a finish reason, or the prompt was blocked.
    """

    def __init__(self) -> None:
        self.finished = False
        self._tellings: dict[int, Telling] = {}
        self._usage = NOTHING
        self._blocked = False

    @property
    def usage(self) -> Usage | None:
        """The last report, which counts from the beginning of the answer."""
        return read_usage(self._usage)

    def read(self, event: str, data: bytes) -> ChatEvent | None:
        reply = read_reply(data)
        if reply.usage_metadata is not NOTHING:
            self._usage = reply.usage_metadata
        if reply.error or event == "error":
            raise faults.read_error_inside(data)
        step = ChatEvent(upstream_id=reply.response_id, upstream_model=reply.model_version)
        if reply.candidates:
            self._tell(reply, step)
        elif reply.prompt_feedback is not None and reply.prompt_feedback.block_reason is not None:
            self._blocked = True
            step.choices = _ENCODER.encode([_blocked(reply, "delta")])
            step.delivered_bytes = _refusal_bytes(reply)
            step.finish_reason = "content_filter"
        # It is worked out once, where it can be the last one; all before are part of it.
        if step.finish_reason is not None or not reply.candidates:
            step.usage = read_usage(self._usage)
        return step if step.choices or step.usage is not None else None

    def end(self) -> None:
        tellings = self._tellings.values()
        if not self._blocked and not (tellings and all(t.ended for t in tellings)):
            raise Fault("broken", "the stream ended without a finish reason")
        self.finished = True

    def _tell(self, reply: Reply, step: ChatEvent) -> None:
        if len(reply.candidates) == 1 and self._tell_text(reply.candidates[0], step):
            return
        choices = []
        for candidate in reply.candidates:
            telling = self._telling(candidate.index)
            before = telling.delivered_bytes
            choice = telling.tell(candidate, reply.response_id)
            step.delivered_bytes += telling.delivered_bytes - before
            step.finish_reason = step.finish_reason or choice["finish_reason"]
            if choice["delta"] or choice["finish_reason"]:
                choices.append(choice)
        if choices:
            step.choices = _ENCODER.encode(choices)

    def _tell_text(self, candidate: Candidate, step: ChatEvent) -> bool:
        """Most events: one piece of text and nothing else. False if it is more than that."""
        telling = self._tellings.get(candidate.index)
        parts = candidate.parts
        if telling is None or len(parts) != 1 or candidate.finish_reason is not None:
            return False
        part = parts[0]
        text = part.text
        if not text or part.thought or part.thought_signature is not None:
            return False
        step.choices = _TEXT % (candidate.index, _ENCODER.encode(text))
        step.delivered_bytes = telling.hear(text)
        telling.text.append(text)
        return True

    def _telling(self, index: int) -> "Telling":
        telling = self._tellings.get(index)
        if telling is None:
            if len(self._tellings) >= CANDIDATES_MAX:
                raise Fault("invalid", f"there are more than {CANDIDATES_MAX} candidates")
            telling = self._tellings[index] = Telling(index)
        return telling


# One candidate --------------------------------------------------------------------------------


class Telling:
    """What was told of one candidate so far."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.ended = False
        self.delivered_bytes = 0
        self.text: list[str] = []
        self._calls = 0
        self._images = 0
        self._details = 0
        self._groundings = 0
        self._thinking = False  # the last detail holds thoughts, and more of them belong there
        self._begun = False

    def tell(self, candidate: Candidate, response_id: str | None) -> Said:
        """The next choice of a stream. Raises `Fault` for an answer that ends in failure."""
        delta: Said = {}
        for part in candidate.parts:
            self._tell_part(delta, part, response_id)
        self._tell_sources(delta, candidate)
        choice: Said = {"index": self.index, "delta": delta, "finish_reason": None}
        if candidate.logprobs_result is not NOTHING:
            choice["logprobs"] = read_logprobs(candidate.logprobs_result)
        if candidate.finish_reason and not self.ended:
            self._end(choice, candidate)
        if (delta or choice["finish_reason"]) and not self._begun:
            self._begun = True
            choice["delta"] = {"role": "assistant", **delta}
        return choice

    def hear(self, text: str) -> int:
        """Count what is delivered: its UTF-8 bytes."""
        size_bytes = len(text) if text.isascii() else len(text.encode())
        self.delivered_bytes += size_bytes
        return size_bytes

    def _tell_part(self, delta: Said, part: Part, response_id: str | None) -> None:
        call_id = None
        if part.text:
            self.hear(part.text)
            if part.thought:
                self._tell_thought(delta, part.text)
            else:
                self.text.append(part.text)
                delta["content"] = delta.get("content", "") + part.text
        if part.function_call is not None:
            call_id = self._tell_call(delta, part, part.function_call, response_id)
        if part.inline_data is not None and part.inline_data.mime_type.startswith("image/"):
            url = f"data:{part.inline_data.mime_type};base64,{part.inline_data.data}"
            image = {"type": "image_url", "image_url": {"url": url}, "index": self._images}
            self._images += 1
            delta.setdefault("images", []).append(image)
        if part.thought_signature:
            self._tell_signature(delta, part.thought_signature, call_id)

    def _tell_thought(self, delta: Said, text: str) -> None:
        delta["reasoning"] = delta.get("reasoning", "") + text
        details = delta.setdefault("reasoning_details", [])
        if self._thinking and details:
            details[-1]["text"] += text
            return
        if not self._thinking:
            self._details += 1
        self._thinking = True
        details.append(self._detail({"type": "reasoning.text", "text": text}))

    def _tell_signature(self, delta: Said, signature: str, call_id: str | None) -> None:
        detail = {"type": "reasoning.encrypted", "data": signature}
        self._details += 1
        self._thinking = False
        said = self._detail({**detail, "id": call_id} if call_id else detail)
        delta.setdefault("reasoning_details", []).append(said)

    def _detail(self, said: Said) -> Said:
        """Indexes run without a gap in the order of first mention: clients file by them."""
        return {**said, "format": SIGNATURE_FORMAT, "index": self._details - 1}

    def _tell_call(
        self, delta: Said, part: Part, call: FunctionCall, response_id: str | None
    ) -> str:
        arguments = _arguments(call)
        self.hear(arguments)
        call_id = call.id or self._mint_id(call.name, arguments, response_id)
        said: Said = {
            "index": self._calls,
            "id": call_id,
            "type": "function",
            "function": {"name": call.name, "arguments": arguments},
        }
        if part.thought_signature:
            # Twice, here and in the details: clients send back the one or the other.
            said["extra_content"] = {"google": {"thought_signature": part.thought_signature}}
        self._calls += 1
        delta.setdefault("tool_calls", []).append(said)
        return call_id

    def _mint_id(self, name: str, arguments: str, response_id: str | None) -> str:
        """An id where Google sent none: of this call of this answer, and always the same."""
        what = f"{response_id}\n{self.index}\n{self._calls}\n{name}\n{arguments}"
        return "call_" + blake2b(what.encode(), digest_size=CALL_ID_BYTES).hexdigest()

    def _tell_sources(self, delta: Said, candidate: Candidate) -> None:
        grounding, citations = candidate.grounding_metadata, candidate.citation_metadata
        if (grounding is NOTHING and citations is NOTHING) or self._groundings == GROUNDINGS_MAX:
            return
        self._groundings += 1
        if annotations := read_annotations(grounding, citations, "".join(self.text)):
            delta["annotations"] = annotations

    def _end(self, choice: Said, candidate: Candidate) -> None:
        native = candidate.finish_reason
        spoke = bool(self.text or self._calls or self._images)
        reason = FINISH_REASONS.get(native or "")
        if native in FAILURES or (reason is None and not spoke):
            raise Fault("server", f"the answer finished with {str(native)[:50]}")
        if reason in (None, "stop"):
            reason = "tool_calls" if self._calls else "stop"
        choice["finish_reason"] = reason
        if native not in PLAIN_REASONS:
            choice["native_finish_reason"] = native
        if reason == "content_filter" and candidate.finish_message:
            choice["delta"]["refusal"] = candidate.finish_message
            self.hear(candidate.finish_message)
        self.ended = True


def _arguments(call: FunctionCall) -> str:
    """The arguments in one line, their numbers digit for digit as they came."""
    try:
        text = msgspec.json.format(bytes(call.args), indent=-1).decode() if call.args else ""
    except UNREADABLE as error:
        raise Fault("invalid", f"the arguments cannot be read: {error}") from None
    return "{}" if text in ("", "null") else text
