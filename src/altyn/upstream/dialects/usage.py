"""Usage in OpenAI's shape, as every host spells it, read into disjoint kinds.

What the hosts disagree about, each seen in recorded traffic or in the vendor's schema:

* cached and written tokens are inside `prompt_tokens`; for Google's models behind OpenRouter what
  is written is billed on top of the same tokens as read or put in (recorded: 2168 in the prompt,
  2161 read and written; the bill is 7 at the price of input, 2161 read and 2161 written);
* reasoning is inside `completion_tokens`, except at xAI, where only the total tells;
* OpenRouter recorded 11 tokens of reasoning in a completion of 10: the completion is the bill;
* rejected predictions and spoken output are inside `completion_tokens` and are charged as output;
* OpenRouter says its cost in USD, xAI in ticks of 1e-10 USD; nobody else says it.

A number that cannot be right (below 0, no integer, beyond any context) makes the whole report
`refused`: the answer is good all the same, so it is delivered and charged by our own count.
"""

from decimal import Decimal, InvalidOperation
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from altyn.chat import Usage
from altyn.money import Nanos, nanos_rounded_up

TOKENS_MAX = 10**9
"""More tokens than any context window holds: a counter that went wrong."""

COST_MAX_USD = 10**6
TICKS_PER_NANO = 10
"""xAI: 1e10 ticks are 1 USD."""

Tokens = Annotated[int, Meta(ge=0, le=TOKENS_MAX)] | None
Ticks = Annotated[int, Meta(ge=0, le=COST_MAX_USD * 10**10)] | None
NOTHING = Raw(b"")
NULL = Raw(b"null")
WRITES_ON_TOP = "google/"
"""How OpenRouter names the models for which written tokens are billed beside read ones."""


class PromptDetails(Struct, gc=False):
    cached_tokens: Tokens = None
    cache_write_tokens: Tokens = None
    audio_tokens: Tokens = None


class CompletionDetails(Struct, gc=False):
    reasoning_tokens: Tokens = None
    image_tokens: Tokens = None


class CostDetails(Struct, gc=False):
    upstream_inference_cost: Raw = NOTHING


class ServerTools(Struct, gc=False):
    web_search_requests: Tokens = None


class ReportedUsage(Struct, gc=False):
    """The `usage` object as it stands on the wire. Decoding refuses what is below 0, beyond
    `TOKENS_MAX` or not an integer. Costs stay raw text: a float would lose digits of money.
    """

    prompt_tokens: Tokens = None
    completion_tokens: Tokens = None
    total_tokens: Tokens = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    prompt_cache_hit_tokens: Tokens = None
    prompt_cache_miss_tokens: Tokens = None
    cost: Raw = NOTHING
    is_byok: bool | None = None
    cost_details: CostDetails | None = None
    cost_in_usd_ticks: Ticks = None
    server_tool_use_details: ServerTools | None = None


_NO_PROMPT_DETAILS = PromptDetails()
_NO_COMPLETION_DETAILS = CompletionDetails()
_REPORT = msgspec.json.Decoder(ReportedUsage)


def read_usage(report: Raw, *, model: str | None = None) -> Usage | None:
    """Turn a report, as it stands on the wire, into disjoint kinds. None if it counts nothing.

    `model` as the answer names it. Never fails: what cannot be right comes back as `refused`.
    """
    if report in (NOTHING, NULL):
        return None
    try:
        reported = _REPORT.decode(report)
    except msgspec.ValidationError:
        return Usage(refused=True)
    return count_usage(reported, model=model)


def count_usage(reported: ReportedUsage, *, model: str | None = None) -> Usage | None:
    """The same for a report that is decoded already."""
    if reported.prompt_tokens is None and reported.completion_tokens is None:
        return None
    try:
        usage = Usage(cost_nanos=_cost(reported))
    except (InvalidOperation, UnicodeDecodeError):
        return Usage(refused=True)
    _count_prompt(reported, usage, on_top=model is not None and model.startswith(WRITES_ON_TOP))
    _count_completion(reported, usage)
    if reported.server_tool_use_details is not None:
        usage.web_searches = reported.server_tool_use_details.web_search_requests or 0
    total = reported.total_tokens
    usage.flagged = total is not None and total != usage.total_tokens
    return usage


def _count_prompt(reported: ReportedUsage, usage: Usage, *, on_top: bool) -> None:
    details = reported.prompt_tokens_details or _NO_PROMPT_DETAILS
    usage.cache_read = reported.prompt_cache_hit_tokens or details.cached_tokens or 0
    usage.cache_write_5m = details.cache_write_tokens or 0
    usage.written_on_top = usage.cache_write_5m if on_top else 0
    rest = (reported.prompt_tokens or 0) - usage.cache_read - usage.cache_write_5m
    rest = max(rest + usage.written_on_top, 0)
    # Audio that was read from the cache is already counted there.
    usage.audio_input = min(details.audio_tokens or 0, rest)
    usage.input_uncached = rest - usage.audio_input


def _count_completion(reported: ReportedUsage, usage: Usage) -> None:
    details = reported.completion_tokens_details or _NO_COMPLETION_DETAILS
    completion = reported.completion_tokens or 0
    reasoning = details.reasoning_tokens or 0
    if reasoning and _total_without_reasoning(reported) + reasoning == reported.total_tokens:
        completion += reasoning
    usage.reasoning = min(reasoning, completion)
    usage.image = min(details.image_tokens or 0, completion - usage.reasoning)
    usage.output_text = completion - usage.reasoning - usage.image


def _total_without_reasoning(reported: ReportedUsage) -> int:
    return (reported.prompt_tokens or 0) + (reported.completion_tokens or 0)


def _cost(reported: ReportedUsage) -> Nanos | None:
    """What the call cost us. With a key of our own (BYOK) `cost` is only OpenRouter's fee."""
    if reported.cost_in_usd_ticks is not None:
        return -(-reported.cost_in_usd_ticks // TICKS_PER_NANO)
    if reported.cost is NOTHING:
        return None
    cost = _read_amount(reported.cost)
    if cost is None:
        return None
    if reported.cost_details is not None and reported.is_byok:
        cost += _read_amount(reported.cost_details.upstream_inference_cost) or 0
    return nanos_rounded_up(cost)


def _read_amount(raw: Raw) -> Decimal | None:
    """Raises `InvalidOperation` for what is no amount, or none that a call can cost."""
    text = bytes(raw).decode().strip('"')
    if text in ("", "null"):
        return None
    amount = Decimal(text)
    if not amount.is_finite() or not 0 <= amount <= COST_MAX_USD:
        raise InvalidOperation
    return amount
