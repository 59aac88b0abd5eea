"""What Gemini sends, as far as it has to be known, and its usage in disjoint kinds.

The same object is a whole answer and an event of a stream. Its usage stays raw until it is asked
for: it comes with every event, and counts from the beginning each time.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct, field

from altyn.chat import Fault, Usage

TOKENS_MAX = 10**9
"""More tokens than any context window holds: a counter that went wrong."""

Tokens = Annotated[int, Meta(ge=0, le=TOKENS_MAX)] | None
NOTHING = Raw(b"")

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Wire(Struct, gc=False, rename="camel"):
    """Members that are not named here are ignored."""


class FunctionCall(Wire):
    name: str
    args: Raw = NOTHING
    id: str | None = None


class Blob(Wire):
    mime_type: str = ""
    data: str = ""


class Part(Wire):
    text: str | None = None
    thought: bool = False
    thought_signature: str | None = None
    function_call: FunctionCall | None = None
    inline_data: Blob | None = None


class Content(Wire):
    parts: list[Part] = field(default_factory=list)


class Candidate(Wire):
    content: Content | None = None
    finish_reason: str | None = None
    index: int = 0
    finish_message: str | None = None
    grounding_metadata: Raw = NOTHING
    citation_metadata: Raw = NOTHING
    logprobs_result: Raw = NOTHING

    @property
    def parts(self) -> list[Part]:
        return self.content.parts if self.content is not None else []


class Feedback(Wire):
    block_reason: str | None = None
    block_reason_message: str | None = None


class Reply(Wire):
    candidates: list[Candidate] = field(default_factory=list)
    usage_metadata: Raw = NOTHING
    model_version: str | None = None
    response_id: str | None = None
    prompt_feedback: Feedback | None = None
    error: Any = None


_REPLY = msgspec.json.Decoder(Reply)


def read_reply(data: bytes) -> Reply:
    """Raises `Fault("invalid")` for what is not in the dialect."""
    try:
        return _REPLY.decode(data)
    except UNREADABLE as error:
        raise Fault("invalid", f"the answer cannot be read: {error}") from None


# Usage ----------------------------------------------------------------------------------------


class ModalityCount(Wire):
    modality: str = ""
    token_count: Tokens = None


class UsageMetadata(Wire):
    """Thoughts stand beside the candidates, cached tokens inside the prompt, and what tools read
    beside the prompt.
    """

    prompt_token_count: Tokens = None
    cached_content_token_count: Tokens = None
    tool_use_prompt_token_count: Tokens = None
    candidates_token_count: Tokens = None
    thoughts_token_count: Tokens = None
    total_token_count: Tokens = None
    prompt_tokens_details: list[ModalityCount] = field(default_factory=list)
    cache_tokens_details: list[ModalityCount] = field(default_factory=list)
    candidates_tokens_details: list[ModalityCount] = field(default_factory=list)


_USAGE = msgspec.json.Decoder(UsageMetadata | None)


def read_usage(raw: Raw) -> Usage | None:
    """Disjoint kinds of one report; None if it counts nothing.

    Never fails: what cannot be right comes back as `refused`, for the answer is good all the same.
    """
    if raw is NOTHING:
        return None
    try:
        reported = _USAGE.decode(raw)
    except msgspec.ValidationError:
        return Usage(refused=True)
    if reported is None or (
        reported.prompt_token_count is None and reported.candidates_token_count is None
    ):
        return None
    return _count(reported)


def _count(reported: UsageMetadata) -> Usage:
    prompt = reported.prompt_token_count or 0
    cached = reported.cached_content_token_count or 0
    fresh = max(prompt - cached, 0)
    heard = _of(reported.prompt_tokens_details, "AUDIO")
    # Sound that was read from the cache is already counted there.
    audio = min(max(heard - _of(reported.cache_tokens_details, "AUDIO"), 0), fresh)
    written = reported.candidates_token_count or 0
    image = min(_of(reported.candidates_tokens_details, "IMAGE"), written)
    usage = Usage(
        input_uncached=fresh - audio + (reported.tool_use_prompt_token_count or 0),
        cache_read=cached,
        audio_input=audio,
        output_text=written - image,
        reasoning=reported.thoughts_token_count or 0,
        image=image,
    )
    total = reported.total_token_count
    usage.flagged = total is not None and total != usage.total_tokens
    return usage


def _of(details: list[ModalityCount], modality: str) -> int:
    return sum(d.token_count or 0 for d in details if d.modality == modality)
