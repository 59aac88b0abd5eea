"""What OpenAI's Responses API sends, as structs, and what whole and streamed answers share."""

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct

from altyn.chat import Fault, Usage
from altyn.upstream.dialects import faults
from altyn.upstream.dialects.responses_request import FORMAT, OWN_ID
from altyn.upstream.dialects.usage import (
    NOTHING,
    CompletionDetails,
    CostDetails,
    PromptDetails,
    ReportedUsage,
    Ticks,
    Tokens,
    count_usage,
)


class Kind(Struct, gc=False):
    type: str = ""


class Annotation(Struct, gc=False):
    type: str = ""
    url: str | None = None
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class Part(Struct, gc=False):
    """A part of a message, of a summary or of open reasoning."""

    type: str = ""
    text: str = ""
    refusal: str = ""
    annotations: list[Annotation] | None = None
    logprobs: list[Any] | None = None


class Item(Struct, gc=False):
    """One item of the output, of the kinds we know."""

    type: str = ""
    id: str | None = None
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    status: str | None = None
    content: list[Part] | None = None
    summary: list[Part] | None = None
    encrypted_content: str | None = None


class Incomplete(Struct, gc=False):
    reason: str | None = None


class ReportedTokens(Struct, gc=False):
    """What `ReportedUsage` holds, under this API's names."""

    input_tokens: Tokens = None
    input_tokens_details: PromptDetails | None = None
    output_tokens: Tokens = None
    output_tokens_details: CompletionDetails | None = None
    total_tokens: Tokens = None
    cost: Raw = NOTHING
    is_byok: bool | None = None
    cost_details: CostDetails | None = None
    cost_in_usd_ticks: Ticks = None


class Response(Struct, gc=False):
    id: str | None = None
    model: str | None = None
    status: str | None = None
    error: Raw = NOTHING
    incomplete_details: Incomplete | None = None
    usage: Raw = NOTHING


_KIND = msgspec.json.Decoder(Kind)
_ITEM = msgspec.json.Decoder(Item)
_REPORT = msgspec.json.Decoder(ReportedTokens)

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
KNOWN_ITEMS = frozenset({"message", "function_call", "reasoning"})
NO_ERROR = (NOTHING, Raw(b"null"))
APART = "\n\n"

Read = TypeVar("Read")
Detail = dict[str, Any]


def decode(decoder: msgspec.json.Decoder[Read], data: bytes | Raw) -> Read:
    try:
        return decoder.decode(data)
    except UNREADABLE as error:
        raise Fault("invalid", f"the answer cannot be read: {error}") from None


def kind_of(data: bytes) -> str:
    """The type of an event that came without a name. Some hosts end with `[DONE]`: no event."""
    return "" if data.startswith(b"[DONE]") else _KIND.decode(data).type


def read_item(raw: Raw) -> Item:
    """An item; of an unknown kind only the kind, for its members may mean anything."""
    kind = decode(_KIND, raw).type
    return decode(_ITEM, raw) if kind in KNOWN_ITEMS else Item(type=kind)


def arguments_of(item: Item) -> str:
    """The arguments of a call. Of one that needs none, callers read `{}` as JSON, not nothing; but
    a call that was cut off must not look as if it were ready to be made.
    """
    return item.arguments or ("" if item.status == "incomplete" else "{}")


def finish_reason(response: Response, *, called: bool) -> str:
    """Raises `Fault` for an answer that failed, or that is none yet."""
    if response.error not in NO_ERROR:
        raise faults.read_error_inside(bytes(response.error))
    if response.status == "incomplete":
        details = response.incomplete_details
        filtered = details is not None and details.reason == "content_filter"
        return "content_filter" if filtered else "length"
    if response.status != "completed":
        raise Fault("server", f"the answer is {str(response.status)[:50]}, not completed")
    return "tool_calls" if called else "stop"


def read_usage(response: Response) -> Usage | None:
    if response.usage in NO_ERROR:
        return None
    try:
        reported = _REPORT.decode(response.usage)
    except msgspec.ValidationError:
        return Usage(refused=True)
    return count_usage(
        ReportedUsage(
            prompt_tokens=reported.input_tokens,
            prompt_tokens_details=reported.input_tokens_details,
            completion_tokens=reported.output_tokens,
            completion_tokens_details=reported.output_tokens_details,
            total_tokens=reported.total_tokens,
            cost=reported.cost,
            is_byok=reported.is_byok,
            cost_details=reported.cost_details,
            cost_in_usd_ticks=reported.cost_in_usd_ticks,
        ),
        model=response.model,
    )


def citations(annotations: Iterable[Annotation]) -> list[Detail]:
    """Only addresses on the web have a form in the chat format."""
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "start_index": one.start_index,
                "end_index": one.end_index,
                "url": one.url,
                "title": one.title,
            },
        }
        for one in annotations
        if one.type == "url_citation"
    ]


def summary_detail(text: str, place: int) -> Detail:
    return {"type": "reasoning.summary", "summary": text, "format": FORMAT, "index": place}


def open_detail(text: str, place: int) -> Detail:
    return {"type": "reasoning.text", "text": text, "format": FORMAT, "index": place}


def encrypted_detail(item: Item, place: int) -> Detail:
    return {
        "type": "reasoning.encrypted",
        "data": item.encrypted_content,
        "id": f"{OWN_ID}{item.id or ''}",
        "format": FORMAT,
        "index": place,
    }
