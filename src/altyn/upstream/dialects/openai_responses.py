"""OpenAI's Responses API: some models of OpenAI have no other way, and other vendors offer it too.

An answer is a list of items (reasoning, messages, function calls), and a stream tells how each of
them grows. They become one choice of the chat format:

* the texts of several messages, and the parts of a summary, are set apart by a blank line;
* calls are numbered from 0 in the order in which they began, whatever items stand between them;
* reasoning comes with `reasoning_details`: its summary, and the encrypted item, which the caller
  gives back unchanged; `index` is its place in the answer, see `responses_request`;
* an answer that ended for want of tokens or by a filter says so; one that failed is a `Fault`.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from altyn.chat import Answer, Chat, Fault, UpstreamRequest
from altyn.upstream.dialects import faults
from altyn.upstream.dialects.responses_request import write_body
from altyn.upstream.dialects.responses_stream import ResponseStream
from altyn.upstream.dialects.responses_wire import (
    APART,
    NO_ERROR,
    Detail,
    Item,
    Part,
    Response,
    arguments_of,
    citations,
    decode,
    encrypted_detail,
    finish_reason,
    open_detail,
    read_item,
    read_usage,
    summary_detail,
)


class WholeResponse(Response, gc=False):
    output: list[Raw] | None = None


_WHOLE = msgspec.json.Decoder(WholeResponse)
_ENCODER = msgspec.json.Encoder()


class OpenAIResponses:
    """The dialect `openai-responses`."""

    name = "openai-responses"
    secret_header = ("authorization", "Bearer {secret}")

    def write_request(self, chat: Chat, *, upstream_model: str, host: str) -> UpstreamRequest:  # noqa: ARG002 -- every host takes the same
        body = write_body(chat, upstream_model=upstream_model)
        return UpstreamRequest(path="/responses", body=_ENCODER.encode(body))

    def read_answer(self, body: bytes) -> Answer:
        response = decode(_WHOLE, body)
        if response.error not in NO_ERROR:
            raise faults.read_error_inside(body)
        if response.output is None:
            raise Fault("invalid", "the answer has no output")
        whole = _Whole()
        for raw in response.output:
            whole.take(read_item(raw))
        reason = finish_reason(response, called=bool(whole.calls))
        choice: Detail = {
            "index": 0,
            "message": whole.message(),
            "logprobs": {"content": whole.logprobs} if whole.logprobs else None,
            "finish_reason": reason,
        }
        return Answer(
            choices=_ENCODER.encode([choice]),
            delivered_bytes=whole.delivered_bytes,
            finish_reason=reason,
            usage=read_usage(response),
            upstream_id=response.id,
            upstream_model=response.model,
        )

    def stream_reader(self) -> ResponseStream:
        return ResponseStream()

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return faults.read_error(status, headers, body)


# A whole answer -------------------------------------------------------------------------------


class _Whole:
    """One message of the chat format, out of the items of an answer."""

    def __init__(self) -> None:
        self.calls: list[Detail] = []
        self.logprobs: list[Any] = []
        self.delivered_bytes = 0
        self._place = 0
        self._texts: list[str] = []
        self._refusals: list[str] = []
        self._annotations: list[Detail] = []
        self._thoughts: list[str] = []
        self._details: list[Detail] = []

    def take(self, item: Item) -> None:
        if item.type == "message":
            self._take_message(item.content or [])
        elif item.type == "function_call":
            arguments = arguments_of(item)
            self.delivered_bytes += len(arguments.encode())
            function = {"name": item.name, "arguments": arguments}
            self.calls.append({"id": item.call_id, "type": "function", "function": function})
        elif item.type == "reasoning":
            self._take_reasoning(item)
        self._place += 1

    def _take_message(self, parts: list[Part]) -> None:
        text = "".join(part.text for part in parts if part.type == "output_text")
        if text:
            self._texts.append(text)
        self._refusals += [part.refusal for part in parts if part.type == "refusal"]
        for part in parts:
            self._annotations += citations(part.annotations or ())
            self.logprobs += part.logprobs or ()

    def _take_reasoning(self, item: Item) -> None:
        summary = [part.text for part in item.summary or () if part.text]
        open_text = "".join(part.text for part in item.content or ())
        self._thoughts += summary
        if summary:
            self._details.append(summary_detail(APART.join(summary), self._place))
        if open_text:
            self._thoughts.append(open_text)
            self._details.append(open_detail(open_text, self._place))
        if item.encrypted_content:
            self._details.append(encrypted_detail(item, self._place))

    def message(self) -> Detail:
        content = APART.join(self._texts) or None
        refusal = "".join(self._refusals) or None
        message: Detail = {"role": "assistant", "content": content, "refusal": refusal}
        reasoning = APART.join(self._thoughts)
        told = (("tool_calls", self.calls), ("annotations", self._annotations))
        message |= {name: value for name, value in told if value}
        if self._details:
            message |= {"reasoning": reasoning or None, "reasoning_details": self._details}
        for text in (content, refusal, reasoning):
            self.delivered_bytes += len((text or "").encode())
        return message
