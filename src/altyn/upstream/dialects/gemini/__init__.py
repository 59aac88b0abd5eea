"""Google's Gemini API: `generateContent` and `streamGenerateContent`, without a layer between.

The model stands in the path, the key in a header of its own, and a stream has no end mark.
"""

from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from altyn.chat import Answer, Chat, Fault, UpstreamRequest
from altyn.upstream.dialects import faults
from altyn.upstream.dialects.gemini.answer import GeminiStream, read_answer
from altyn.upstream.dialects.gemini.request import write_body

_ENCODER = msgspec.json.Encoder()


class Gemini:
    """The dialect `gemini`."""

    name = "gemini"
    # Never as `?key=`: addresses end up in logs.
    secret_header = ("x-goog-api-key", "{secret}")

    def write_request(self, chat: Chat, *, upstream_model: str, host: str) -> UpstreamRequest:  # noqa: ARG002 -- only Google speaks it
        model = upstream_model.removeprefix("models/")
        body = write_body(chat, upstream_model=model)
        verb = "streamGenerateContent?alt=sse" if chat.stream else "generateContent"
        return UpstreamRequest(
            path=f"/models/{quote(model, safe='')}:{verb}", body=_ENCODER.encode(body)
        )

    def read_answer(self, body: bytes) -> Answer:
        return read_answer(body)

    def stream_reader(self) -> GeminiStream:
        return GeminiStream()

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return faults.read_error(status, headers, body)
