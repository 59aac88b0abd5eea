"""Usage as the Messages API reports it: kinds that are disjoint already, but for thinking.

* `input_tokens` is only what no cache held; read and written tokens stand beside it;
* a stream reports twice: at its start, with the split of written tokens by their time to live and
  with a placeholder for the output, and at its end, cumulative and final, with only their sum;
* thinking is inside `output_tokens`, and newer answers say how much of it there was.
"""

from typing import Annotated

from msgspec import Meta, Struct

from altyn.chat import Usage
from altyn.upstream.dialects.usage import TOKENS_MAX

Tokens = Annotated[int, Meta(ge=0, le=TOKENS_MAX)] | None


class Written(Struct, gc=False):
    ephemeral_5m_input_tokens: Tokens = None
    ephemeral_1h_input_tokens: Tokens = None


class OutputDetails(Struct, gc=False):
    thinking_tokens: Tokens = None


class ServerTools(Struct, gc=False):
    web_search_requests: Tokens = None


class ReportedUsage(Struct, gc=False):
    """The `usage` object as it stands on the wire."""

    input_tokens: Tokens = None
    output_tokens: Tokens = None
    cache_read_input_tokens: Tokens = None
    cache_creation_input_tokens: Tokens = None
    cache_creation: Written | None = None
    output_tokens_details: OutputDetails | None = None
    server_tool_use: ServerTools | None = None


def updated(first: ReportedUsage, last: ReportedUsage) -> ReportedUsage:
    """What holds after a later report: each of its members that is there, and the rest of before.

    Input grows where the vendor's own tools ran (recorded: 2293 at the start, 4714 at the end).
    """
    return ReportedUsage(
        **{
            name: getattr(first, name) if (told := getattr(last, name)) is None else told
            for name in ReportedUsage.__struct_fields__
        }
    )


def read_usage(reported: ReportedUsage | None) -> Usage | None:
    """Turn a report into disjoint kinds. None if it counts nothing."""
    if reported is None or (reported.input_tokens is None and reported.output_tokens is None):
        return None
    output = reported.output_tokens or 0
    details, tools = reported.output_tokens_details, reported.server_tool_use
    thinking = min(details.thinking_tokens or 0, output) if details is not None else 0
    usage = Usage(
        input_uncached=reported.input_tokens or 0,
        cache_read=reported.cache_read_input_tokens or 0,
        output_text=output - thinking,
        reasoning=thinking,
        web_searches=(tools.web_search_requests or 0) if tools is not None else 0,
    )
    _count_written(reported, usage)
    return usage


def _count_written(reported: ReportedUsage, usage: Usage) -> None:
    """Written tokens that no split explains cost what is written for five minutes."""
    split = reported.cache_creation or Written()
    short, hour = split.ephemeral_5m_input_tokens or 0, split.ephemeral_1h_input_tokens or 0
    written = reported.cache_creation_input_tokens
    if written is None:
        written = short + hour
    usage.cache_write_1h = min(hour, written)
    usage.cache_write_5m = written - usage.cache_write_1h
    usage.flagged = short + hour > written
