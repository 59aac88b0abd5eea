"""An upstream that costs almost nothing: OpenAI's chat completions on loopback, from ready bytes.

    python bench/mock_upstream.py --port 0 --chunks 250 --pace-ms 20

The chosen port is printed as one JSON line. Every streamed chunk carries the moment it was sent
(`MARK` and 19 digits of `time.monotonic_ns()`, one clock for all processes of a machine), so that
the load can say how long a chunk was under way. `GET /counts` tells what was served, to be compared
with what was charged.
"""

import argparse
import asyncio
import gc
import json
import signal
import time
from typing import cast

import httptools
import uvloop

MARK = b"@ns"
MARK_DIGITS = 19
PROMPT_TOKENS = 20
COMPLETION_TOKENS = 10
TICK_S = 0.001

JSON_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
STREAMED = b'"stream":true'
STREAMED_SPACED = b'"stream": true'


# What is answered -----------------------------------------------------------------------------


def written(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def usage(completion_tokens: int) -> dict[str, int]:
    return {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": completion_tokens,
        "total_tokens": PROMPT_TOKENS + completion_tokens,
    }


def completion_template() -> bytes:
    """A whole answer with its head; `%016d` stands for its number, as every answer has its own."""
    message = {"role": "assistant", "content": "Ten tokens of a steady answer.", "refusal": None}
    body = written(
        {
            "id": "chatcmpl-" + "0" * 16,
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": "bench",
            "choices": [
                {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
            ],
            "usage": usage(COMPLETION_TOKENS),
        }
    )
    return JSON_HEAD % len(body) + body.replace(b"0" * 16, b"%016d")


def event(number: int, choices: list[dict[str, object]], **fields: object) -> bytes:
    """One event of the stream with that number, framed as one chunk of HTTP."""
    head = {"id": f"chatcmpl-s{number:015d}", "object": "chat.completion.chunk"}
    fields = {**head, "created": 1_700_000_000, "model": "bench", "choices": choices, **fields}
    return framed(written(fields))


def framed(payload: bytes) -> bytes:
    data = b"data: " + payload + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(data), data)


def choice(delta: dict[str, str], finish_reason: str | None = None) -> dict[str, object]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def chunk_template(number: int, **delta: str) -> bytes:
    """A chunk with content; `%019d` stands for the moment it is sent."""
    blank = "0" * MARK_DIGITS
    content = f"{MARK.decode()}{blank} "
    return event(number, [choice({**delta, "content": content})]).replace(blank.encode(), b"%019d")


def ending(number: int, completion_tokens: int) -> bytes:
    """The last chunk, the usage chunk, `[DONE]` and the end of the body, in one piece."""
    last = event(number, [choice({}, "stop")])
    total = event(number, [], usage=usage(completion_tokens))
    return last + total + framed(b"[DONE]") + b"0\r\n\r\n"


# How it is paced and counted ------------------------------------------------------------------


class Counts:
    """What was served to the end, for the comparison with what was charged."""

    def __init__(self) -> None:
        self.calls = 0
        self.calls_cut = 0
        self.chunks = 0
        self.prompt_tokens = 0
        self.completion_tokens = 0

    def served(self, completion_tokens: int) -> None:
        self.calls += 1
        self.prompt_tokens += PROMPT_TOKENS
        self.completion_tokens += completion_tokens


class Wheel:
    """Paces every stream with one timer: a slot for each millisecond of the pace.

    A wheel that turns late skips no chunk: the streams only become slower, and `late_ms` tells
    that the mock, not the gateway, was the limit.
    """

    def __init__(self, pace_ms: int) -> None:
        self.slots: list[list[Connection]] = [[] for _ in range(pace_ms)]
        self.next_slot = 0
        self.turned = 0
        self.late_ms = 0
        self.started_at = 0.0

    def start(self) -> None:
        self.started_at = asyncio.get_running_loop().time()
        self.turn()

    def add(self, connection: "Connection") -> None:
        """Slots are filled in turn, so that the chunks of a second are spread evenly over it."""
        self.slots[self.next_slot].append(connection)
        self.next_slot = (self.next_slot + 1) % len(self.slots)

    def turn(self) -> None:
        loop = asyncio.get_running_loop()
        due = int((loop.time() - self.started_at) / TICK_S) + 1
        late = max(0, due - self.turned - len(self.slots))
        self.late_ms += late
        for tick in range(self.turned + late, due):
            self.send(tick % len(self.slots))
        self.turned = due
        # Not call_at: the loop waits whole milliseconds, and would spin through a part of one.
        loop.call_later(TICK_S, self.turn)

    def send(self, index: int) -> None:
        connections = self.slots[index]
        ended = False
        for connection in connections:
            if connection.left:
                connection.send_chunk()
            ended = ended or not connection.left
        if ended:
            self.slots[index] = [connection for connection in connections if connection.left]


class Mock:
    """How this mock answers, and what it has served."""

    def __init__(self, *, delay_s: float, chunks: int, pace_ms: int) -> None:
        self.delay_s = delay_s
        self.chunks = chunks
        self.wheel = Wheel(pace_ms)
        self.counts = Counts()
        self.completion = completion_template()
        self.streams = 0

    def told(self) -> bytes:
        return written(vars(self.counts) | {"late_ms": self.wheel.late_ms})


class Connection(asyncio.Protocol):
    """One connection of a caller: HTTP/1.1 with keep-alive, one request at a time.

    `left` counts the chunks its stream still has to send, 0 when there is no stream.
    """

    transport: asyncio.Transport

    def __init__(self, mock: Mock) -> None:
        self.mock = mock
        self.parser = httptools.HttpRequestParser(self)
        self.path = b""
        self.body = b""
        self.number = 0
        self.left = 0
        self.template = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, _error: Exception | None) -> None:
        if self.left:
            self.left = 0
            self.mock.counts.calls_cut += 1

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.close()

    def on_url(self, url: bytes) -> None:
        self.path = url
        self.body = b""

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        if self.path.endswith(b"/chat/completions"):
            if self.mock.delay_s:
                asyncio.get_running_loop().call_later(self.mock.delay_s, self.answer)
            else:
                self.answer()
        elif self.path == b"/counts":
            told = self.mock.told()
            self.transport.write(JSON_HEAD % len(told) + told)
        else:
            self.transport.write(NOT_FOUND)

    def answer(self) -> None:
        if self.transport.is_closing():
            self.mock.counts.calls_cut += 1
        elif STREAMED in self.body or STREAMED_SPACED in self.body:
            self.begin_stream()
        else:
            self.mock.counts.served(COMPLETION_TOKENS)
            self.transport.write(self.mock.completion % self.mock.counts.calls)

    def begin_stream(self) -> None:
        """The first chunk goes out at once: the time to the first token is then the gateway's."""
        self.mock.streams += 1
        self.number = self.mock.streams
        first = chunk_template(self.number, role="assistant")
        self.transport.write(STREAM_HEAD + first % time.monotonic_ns())
        self.mock.counts.chunks += 1
        self.template = chunk_template(self.number)
        self.left = self.mock.chunks - 1
        self.mock.wheel.add(self)

    def send_chunk(self) -> None:
        self.left -= 1
        self.transport.write(self.template % time.monotonic_ns())
        self.mock.counts.chunks += 1
        if not self.left:
            self.transport.write(ending(self.number, self.mock.chunks))
            self.mock.counts.served(self.mock.chunks)


# The program ----------------------------------------------------------------------------------


async def serve(mock: Mock, port: int) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(lambda: Connection(mock), "127.0.0.1", port, backlog=4096)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    mock.wheel.start()
    await stop.wait()
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--delay-ms", type=int, default=0, help="before an answer begins")
    parser.add_argument("--chunks", type=int, default=250, help="of one stream, 2 or more")
    parser.add_argument("--pace-ms", type=int, default=20, help="between two chunks of a stream")
    options = parser.parse_args()
    if options.chunks < 2 or options.pace_ms < 1 or options.delay_ms < 0:
        parser.error("--chunks from 2, --pace-ms from 1, --delay-ms from 0")
    # A collection would stop every stream at once, and be taken for the gateway's delay.
    gc.disable()
    mock = Mock(delay_s=options.delay_ms / 1000, chunks=options.chunks, pace_ms=options.pace_ms)
    uvloop.run(serve(mock, options.port))


if __name__ == "__main__":
    main()
