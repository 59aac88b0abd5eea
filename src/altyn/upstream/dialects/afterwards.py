"""What a provider says of one answer afterwards, to whoever has lost sight of it.

Only OpenRouter tells: `GET /generation?id=gen-…`, a second or more after the end of the answer, and
404 until then. Its native token counts are the billed ones.
"""

from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from altyn.chat import Fault, Usage
from altyn.upstream.dialects.usage import (
    NOTHING,
    CompletionDetails,
    CostDetails,
    PromptDetails,
    ReportedUsage,
    Tokens,
    count_usage,
)

OK = 200
TELLING = {"openrouter.ai"}
"""Hosts that can be asked."""


class Told(Struct, frozen=True):
    """How an answer ended, by its provider's books."""

    usage: Usage
    finish_reason: str | None


class _Generation(Struct):
    native_tokens_prompt: Tokens = None
    native_tokens_completion: Tokens = None
    native_tokens_reasoning: Tokens = None
    native_tokens_cached: Tokens = None
    native_tokens_completion_images: Tokens = None
    total_cost: Raw = NOTHING
    upstream_inference_cost: Raw = NOTHING
    is_byok: bool | None = None
    finish_reason: str | None = None


class _Answer(Struct):
    data: _Generation


def can_tell(host: str) -> bool:
    return host.lower() in TELLING


def look_up_path(upstream_id: str) -> str:
    return f"/generation?id={quote(upstream_id, safe='')}"


def read_told(status: int, body: bytes) -> Told | None:
    """What was told; None when the provider does not know it, or not yet.

    Raises `Fault("invalid")` for what cannot be read.
    """
    if status != OK:
        return None
    try:
        told = msgspec.json.decode(body, type=_Answer).data
    except msgspec.MsgspecError as error:
        raise Fault("invalid", f"the provider's record cannot be read: {error}") from None
    usage = count_usage(_as_reported(told))
    return None if usage is None else Told(usage, told.finish_reason)


def _as_reported(told: _Generation) -> ReportedUsage:
    """The same counts under the names that an answer reports them by."""
    return ReportedUsage(
        prompt_tokens=told.native_tokens_prompt,
        completion_tokens=told.native_tokens_completion,
        prompt_tokens_details=PromptDetails(cached_tokens=told.native_tokens_cached),
        completion_tokens_details=CompletionDetails(
            reasoning_tokens=told.native_tokens_reasoning,
            image_tokens=told.native_tokens_completion_images,
        ),
        cost=told.total_cost,
        is_byok=told.is_byok,
        cost_details=CostDetails(upstream_inference_cost=told.upstream_inference_cost),
    )
