"""Answers to callers of HTTP/1.0, who know no chunks: the end of the connection is the end.

uvicorn sends them chunks all the same, and they read the lengths as part of the answer.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

VERSION = "1.0"


def answer_without_chunks(cycle: RequestResponseCycle) -> None:
    """Let everything the application sends for this request go out as it is."""
    cycle.send = partial(_send, cycle)  # type: ignore[method-assign]


async def _send(cycle: RequestResponseCycle, message: Mapping[str, Any]) -> None:
    if cycle.flow.write_paused and not cycle.disconnected:
        await cycle.flow.drain()
    if cycle.disconnected:
        return
    if message["type"] == "http.response.start":
        cycle.response_started = True
        lines = [b"%b: %b\r\n" % header for header in message["headers"]]
        head = (STATUS_LINE[message["status"]], *lines, b"connection: close\r\n\r\n")
        cycle.transport.write(b"".join(head))
        return
    if cycle.scope["method"] != "HEAD":
        cycle.transport.write(message.get("body", b""))
    if not message.get("more_body", False):
        cycle.response_complete = True
        cycle.message_event.set()
        cycle.transport.close()
        cycle.on_response()
