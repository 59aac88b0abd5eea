"""What goes over the wire, as structs: answers and `openapi.json` are made from them.

Money in JSON is a decimal string; only `usage.cost`, where clients expect a number, is a JSON
number with the exact decimal digits.
"""

from typing import Literal

from msgspec import Raw, Struct

from altyn.chat import Usage
from altyn.money import Nanos, format_short


class PromptDetails(Struct):
    cached_tokens: int
    cache_write_tokens: int
    audio_tokens: int


class CompletionDetails(Struct):
    reasoning_tokens: int
    image_tokens: int


class ChatUsage(Struct, omit_defaults=True):
    """What the answer used. `estimated` when the provider reported nothing and we counted."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails
    cost: Raw
    currency: str
    estimated: bool = False


class ChatCompletion(Struct):
    """OpenAI's `chat.completion`; `choices` as the model's provider gave them."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: Raw
    usage: ChatUsage
    system_fingerprint: str | None


class Pricing(Struct):
    """Units of currency per token, per request or per image, as decimal strings."""

    currency: str
    prompt: str
    completion: str
    input_cache_read: str
    input_cache_write: str
    request: str
    image: str


class Architecture(Struct):
    input_modalities: tuple[str, ...]
    output_modalities: tuple[str, ...]


class ModelCard(Struct):
    """A model on sale. `available`: a route can serve it now."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    name: str
    description: str
    context_length: int
    max_output_tokens: int
    architecture: Architecture
    supported_parameters: tuple[str, ...]
    pricing: Pricing | None
    available: bool
    retires_at: str | None
    replaced_by: str | None


class ModelList(Struct):
    object: Literal["list"]
    data: list[ModelCard]


class BalanceCard(Struct):
    """`balance` is gross: what is set aside for running requests is shown in `held`."""

    object: Literal["balance"]
    currency: str
    balance: str
    held: str
    available: str
    total_deposited: str
    total_used: str


class UsageCard(Struct):
    """One request. Unknown numbers are null, never 0.

    `served_model`: who answered in the place of `model`, and whose price was paid; else null.
    """

    id: str
    created_at: str
    model: str
    key_id: int
    mode: Literal["live", "test"]
    status: Literal["success", "error", "cancelled"]
    stream: bool
    prompt_tokens: int | None
    cached_tokens: int | None
    cache_write_tokens: int | None
    completion_tokens: int | None
    reasoning_tokens: int | None
    total_tokens: int | None
    cost: str
    latency_ms: int | None
    time_to_first_token_ms: int | None
    finish_reason: str | None
    error_code: str | None
    outcome: str
    served_model: str | None


class UsageSummary(Struct):
    """Totals over the whole filter, not the page."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cost: str
    currency: str


class UsageList(Struct):
    object: Literal["list"]
    data: list[UsageCard]
    has_more: bool
    next_cursor: str | None
    summary: UsageSummary


class UsageGroup(Struct):
    """Totals of one day, hour, model, key or status."""

    group: str
    requests: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cost: str
    currency: str


class UsageGroups(Struct):
    object: Literal["list"]
    group_by: Literal["day", "hour", "model", "key", "status"]
    data: list[UsageGroup]
    has_more: bool
    next_cursor: str | None
    summary: UsageSummary


class ReceiptLine(Struct):
    """One kind of token, its price for one, and what it came to, before the one rounding."""

    kind: str
    quantity: int
    price: str
    amount: str


class GenerationCard(UsageCard):
    """One request in full: also what was held, and how the charge was computed."""

    object: Literal["generation"]
    request_id: str
    currency: str
    held: str
    receipt: list[ReceiptLine]


class KeyCard(Struct):
    """The calling key. `limit_remaining` is null without a limit."""

    object: Literal["key"]
    id: int
    name: str
    mode: Literal["live", "test"]
    prefix: str
    last_four: str
    currency: str
    limit: str | None
    limit_period: str | None
    limit_remaining: str | None
    limit_resets_at: str | None
    spent: str
    held: str
    models: tuple[str, ...] | None
    ip_ranges: tuple[str, ...] | None
    scopes: tuple[str, ...] | None
    requests_per_minute: int
    tokens_per_minute: int
    parallel_requests: int
    created_at: str
    expires_at: str | None


class ErrorDetail(Struct):
    """`code` is stable; some codes bring facts of their own beside these."""

    message: str
    type: str
    code: str
    param: str | None
    request_id: str


class ErrorBody(Struct):
    error: ErrorDetail


def chat_usage(usage: Usage, *, charge_nanos: Nanos, currency: str, estimated: bool) -> ChatUsage:
    """Usage in OpenAI's shape: cached tokens inside the prompt, reasoning inside the completion."""
    prompt_tokens, completion_tokens = usage.input_tokens, usage.output_tokens
    return ChatUsage(
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        total_tokens=prompt_tokens + completion_tokens,
        prompt_tokens_details=PromptDetails(
            usage.cache_read, usage.cache_write_5m + usage.cache_write_1h, usage.audio_input
        ),
        completion_tokens_details=CompletionDetails(usage.reasoning, usage.image),
        cost=Raw(format_short(charge_nanos).encode()),
        currency=currency,
        estimated=estimated,
    )
