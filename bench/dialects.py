"""What each dialect costs for a chunk: from the vendor's bytes to the caller's, without sockets.

Every piece that is read holds one event, as a vendor that writes word by word sends them. The
reader, splitter and writer are the gateway's own; only body and connection are stood in for.
"""

import asyncio
import time
from types import SimpleNamespace

from altyn.api.sse import EventWriter
from altyn.upstream.client import Stream
from altyn.upstream.dialects import get_dialect
from altyn.upstream.router import Router
from table import Row

CHUNKS = 20_000
RUNS = 5
"""The quickest of so many counts: whatever else ran on the machine only ever adds."""


def named(name: str, data: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


def unnamed(data: bytes) -> bytes:
    return b"data: %b\n\n" % data


STREAMS: dict[str, tuple[list[bytes], bytes]] = {
    "openai-chat": (
        [],
        unnamed(
            b'{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m",'
            b'"choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}]}'
        ),
    ),
    "openai-responses": (
        [
            named(
                "response.created",
                b'{"type":"response.created","sequence_number":0,"response":{"id":"resp_1",'
                b'"model":"m","status":"in_progress","output":[]}}',
            ),
            named(
                "response.output_item.added",
                b'{"type":"response.output_item.added","sequence_number":1,"output_index":0,'
                b'"item":{"id":"msg_1","type":"message","role":"assistant","content":[]}}',
            ),
        ],
        named(
            "response.output_text.delta",
            b'{"type":"response.output_text.delta","sequence_number":2,"item_id":"msg_1",'
            b'"output_index":0,"content_index":0,"delta":"word "}',
        ),
    ),
    "anthropic": (
        [
            named(
                "message_start",
                b'{"type":"message_start","message":{"id":"msg_1","type":"message","model":"m",'
                b'"role":"assistant","content":[],"stop_reason":null,'
                b'"usage":{"input_tokens":5,"output_tokens":1}}}',
            ),
            named(
                "content_block_start",
                b'{"type":"content_block_start","index":0,'
                b'"content_block":{"type":"text","text":""}}',
            ),
        ],
        named(
            "content_block_delta",
            b'{"type":"content_block_delta","index":0,'
            b'"delta":{"type":"text_delta","text":"word "}}',
        ),
    ),
    "gemini": (
        [],
        unnamed(
            b'{"candidates":[{"content":{"parts":[{"text":"word "}],"role":"model"},"index":0}],'
            b'"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":1,"totalTokenCount":6},'
            b'"modelVersion":"m","responseId":"r1"}'
        ),
    ),
}


class Body:
    """A vendor that never pauses."""

    def __init__(self, opening: list[bytes], chunk: bytes) -> None:
        self.pieces = [*opening, *[chunk] * (CHUNKS + 1)]
        self.at = 0

    async def next(self) -> bytes:
        piece = self.pieces[self.at]
        self.at += 1
        return piece


class Line:
    """A caller who takes everything at once."""

    written = 0

    def write(self, data: bytes) -> bool:
        self.written += len(data)
        return True


async def relay(name: str) -> float:
    """Seconds of CPU for `CHUNKS` chunks."""
    reader = get_dialect(name).stream_reader()
    stream = Stream(SimpleNamespace(), Body(*STREAMS[name]), reader, Router(time.monotonic))
    line = Line()
    request = SimpleNamespace(request_id="r1", line=line, language="en")
    order = SimpleNamespace(model=SimpleNamespace(id="m"), created_at=1000)
    writer = EventWriter(request, order=order, headers=lambda _: ())
    writer.started = True
    await stream.begin()
    writer.hear(await stream.next())
    started_s = time.process_time()
    for _ in range(CHUNKS):
        writer.hear(await stream.next())
    spent_s = time.process_time() - started_s
    assert line.written > CHUNKS
    return spent_s


def dialects() -> list[Row]:
    rows = []
    for name in STREAMS:
        spent_s = min(asyncio.run(relay(name)) for _ in range(RUNS))
        rows.append(Row(name, "relay: CPU per chunk, no sockets", spent_s / CHUNKS * 1e6, "us"))
    return rows
