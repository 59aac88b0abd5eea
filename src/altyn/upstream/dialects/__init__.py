"""The wire formats providers speak: bytes in, bytes out, no network, no clock, no database.

A dialect writes one request and reads one answer. What it cannot read, or what the vendor refused,
is a `Fault`; nothing else is ever raised. A body that is not an event stream, although a stream was
asked for, is read with `read_answer`: vendors answer 200 with an error as plain JSON.
"""

from collections.abc import Mapping
from typing import Protocol

from altyn.chat import Answer, Chat, ChatEvent, Fault, UpstreamRequest, Usage
from altyn.errors import UnknownNameError
from altyn.upstream.dialects.anthropic import Anthropic
from altyn.upstream.dialects.gemini import Gemini
from altyn.upstream.dialects.openai_chat import OpenAIChat
from altyn.upstream.dialects.openai_responses import OpenAIResponses


class StreamReader(Protocol):
    """The state of reading one streamed answer, an event at a time."""

    finished: bool
    """A terminal event was seen, or `end` found the answer complete."""

    @property
    def usage(self) -> Usage | None:
        """The last usage reported, also when it came together with an error that `read` raised.

        Before the end it may be `partial`, where the vendor counts the prompt first.
        """

    def read(self, event: str, data: bytes) -> ChatEvent | None:
        """Take one event of the stream. None when it holds nothing for anybody.

        Raises `Fault` for an error sent inside the stream, and for what cannot be read.
        """

    def end(self) -> None:
        """Say that the body ended. Raises `Fault("broken")` if the answer is not complete."""


class Dialect(Protocol):
    """One wire format. The methods are called in the order in which they stand here."""

    name: str

    secret_header: tuple[str, str]
    """Header name, and its value with `{secret}` for the provider's key, which no dialect sees."""

    def write_request(self, chat: Chat, *, upstream_model: str, host: str) -> UpstreamRequest:
        """Say the chat in this dialect. `host` is the provider's host name: vendors differ."""

    def read_answer(self, body: bytes) -> Answer:
        """Read a whole answer. Raises `Fault`, also for an error under status 200."""

    def stream_reader(self) -> StreamReader:
        """A fresh reader for one streamed answer."""

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        """Read an answer that is not a 200. Header names are lower case."""


DIALECTS: dict[str, Dialect] = {
    "openai-chat": OpenAIChat(name="openai-chat"),
    "openai-responses": OpenAIResponses(),
    "anthropic": Anthropic(),
    "gemini": Gemini(),
    # The sandbox is a vendor that lives inside (`sandbox.play`), and it speaks OpenAI's format.
    "sandbox": OpenAIChat(name="sandbox"),
}


def get_dialect(name: str) -> Dialect:
    """Raises `UnknownNameError`, a sentence for the operator."""
    try:
        return DIALECTS[name]
    except KeyError:
        known = ", ".join(DIALECTS)
        raise UnknownNameError(
            f"There is no dialect '{name}'. The dialects are: {known}."
        ) from None
