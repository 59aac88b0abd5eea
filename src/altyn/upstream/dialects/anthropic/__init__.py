"""Anthropic's Messages API.

Nothing here has OpenAI's shape, so every answer is told anew: text, tool calls, thinking and
refusals, in the fields OpenAI's and OpenRouter's clients read. `request` writes, `answer` reads
whole messages, `stream` reads events; both tell the same.
"""

from collections.abc import Mapping

import msgspec

from altyn.chat import Answer, Chat, Fault, UpstreamRequest
from altyn.upstream.dialects import faults
from altyn.upstream.dialects.anthropic.answer import read_answer
from altyn.upstream.dialects.anthropic.request import write_body
from altyn.upstream.dialects.anthropic.stream import MessageStream

VERSION = "2023-06-01"
"""The long-lived one. From 2026-10-21 on, a temperature is refused even at its default."""


class Anthropic:
    """The dialect `anthropic`."""

    name = "anthropic"
    secret_header = ("x-api-key", "{secret}")

    def write_request(self, chat: Chat, *, upstream_model: str, host: str) -> UpstreamRequest:  # noqa: ARG002 -- it is one wherever it is served
        body = msgspec.json.encode(write_body(chat, upstream_model))
        headers = (("anthropic-version", VERSION),)
        return UpstreamRequest(path="/messages", body=body, headers=headers)

    def read_answer(self, body: bytes) -> Answer:
        return read_answer(body)

    def stream_reader(self) -> MessageStream:
        return MessageStream()

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return faults.read_error(status, headers, body)
