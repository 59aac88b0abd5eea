"""Usage as the Messages API reports it: kinds that are disjoint already, but for thinking.

* `input_tokens` is only what no cache held; read and written tokens stand beside it;
* a stream reports twice: at its start, with the split of written tokens by their time to live and
  with a placeholder for the output, and at its end, cumulative and final, with only their sum;
* thinking is inside `output_tokens`, and newer answers say how much of it there was.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from altyn.chat import Usage
from altyn.upstream.dialects.usage import NOTHING, NULL, TOKENS_MAX

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


_REPORT = msgspec.json.Decoder(ReportedUsage)


class Tally:
    """What one answer reports, from the first report to the last.

    A number that cannot be right makes it `refused`: the answer is good all the same.
    """

    def __init__(self) -> None:
        self._reported: ReportedUsage | None = None
        self._refused = False

    def take(self, report: Raw) -> None:
        """A report as it stands on the wire. A later one holds, and what it leaves out stays.

        Input grows where the vendor's own tools ran (recorded: 2293 at the start, 4714 at the end).
        """
        if report in (NOTHING, NULL):
            return
        try:
            reported = _REPORT.decode(report)
        except msgspec.ValidationError:
            self._refused = True
            return
        self._reported = reported if self._reported is None else _updated(self._reported, reported)

    @property
    def usage(self) -> Usage | None:
        """The disjoint kinds. None if nothing was counted."""
        return Usage(refused=True) if self._refused else _read_usage(self._reported)


def _updated(first: ReportedUsage, last: ReportedUsage) -> ReportedUsage:
    members = {
        name: getattr(first, name) if (told := getattr(last, name)) is None else told
        for name in ReportedUsage.__struct_fields__
    }
    return ReportedUsage(**members)


def _read_usage(reported: ReportedUsage | None) -> Usage | None:
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
