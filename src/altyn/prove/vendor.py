"""A vendor on loopback that keeps books of its own: what it served, and what it would bill.

It speaks OpenAI's chat format over real HTTP, whole and as events, and tells afterwards what became
of an answer, as OpenRouter does. What it says a call used is what the customer must have paid.
"""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

from msgspec import Struct, field

MODEL = "their-model"
WORDS_MAX = 12
PAUSE_MAX_S = 0.02
NOT_YET = 0.3
"""How often a look-up is answered with 404 although the answer has ended."""


class Bill(Struct):
    """One answer, by the vendor's count."""

    prompt: int
    began_s: float = field(default_factory=time.monotonic)
    completion: int = 0
    ended: bool = False
    """Nothing more will be written: it was complete, or its reader has gone."""

    complete: bool = False


class Vendor:
    """Serve with `serving`; `bills` are by the id of the answer."""

    def __init__(self, seed: int = 0) -> None:
        self.chance = random.Random(seed)
        self.bills: dict[str, Bill] = {}
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    await self._answer(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, target, _ = head.split(" ", 2)
        lines = [line.partition(":") for line in head.lower().split("\r\n")]
        length = next((int(value) for name, _, value in lines if name == "content-length"), 0)
        body = await reader.readexactly(length)
        if method == "GET":
            await self._tell(target, writer)
            return
        asked = json.loads(body)
        name = f"gen-{len(self.bills)}-{self.chance.getrandbits(32):08x}"
        bill = self.bills[name] = Bill(prompt=self.chance.randrange(1, 9))
        try:
            await (self._stream if asked.get("stream") else self._whole)(name, bill, writer)
        finally:
            bill.ended = True

    async def _whole(self, name: str, bill: Bill, writer: asyncio.StreamWriter) -> None:
        bill.completion = self.chance.randrange(1, WORDS_MAX)
        await asyncio.sleep(self.chance.uniform(0, PAUSE_MAX_S))
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": "word " * bill.completion},
            "finish_reason": "stop",
        }
        bill.complete = True
        await _send(writer, 200, {"id": name, "choices": [choice], "usage": _usage(bill)})

    async def _stream(self, name: str, bill: Bill, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        for _ in range(self.chance.randrange(1, WORDS_MAX)):
            bill.completion += 1
            await _send_event(writer, _chunk(name, {"content": "word "}, None))
            await asyncio.sleep(self.chance.uniform(0, PAUSE_MAX_S))
        await _send_event(writer, _chunk(name, {}, "stop"))
        bill.complete = True
        await _send_event(writer, {"id": name, "choices": [], "usage": _usage(bill)})
        data = b"data: [DONE]\n\n"
        writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data))
        await writer.drain()

    async def _tell(self, target: str, writer: asyncio.StreamWriter) -> None:
        (name,) = parse_qs(urlsplit(target).query).get("id", [""])
        bill = self.bills.get(name)
        if bill is None or not bill.ended or self.chance.random() < NOT_YET:
            await _send(writer, 404, {"error": {"code": 404, "message": "not found"}})
            return
        told = {
            "id": name,
            "native_tokens_prompt": bill.prompt,
            "native_tokens_completion": bill.completion,
            "total_cost": 0.000001,
            "finish_reason": "stop" if bill.complete else None,
            "cancelled": not bill.complete,
        }
        await _send(writer, 200, {"data": told})


@asynccontextmanager
async def serving(vendor: Vendor) -> AsyncIterator[Vendor]:
    server = await asyncio.start_server(vendor._serve, "127.0.0.1", 0)  # noqa: SLF001 -- its own module
    vendor.port = server.sockets[0].getsockname()[1]
    try:
        yield vendor
    finally:
        server.close()
        for task in tuple(vendor._tasks):  # noqa: SLF001 -- as above
            task.cancel()
        await asyncio.gather(*vendor._tasks, return_exceptions=True)  # noqa: SLF001 -- as above


def _usage(bill: Bill) -> dict[str, int]:
    return {
        "prompt_tokens": bill.prompt,
        "completion_tokens": bill.completion,
        "total_tokens": bill.prompt + bill.completion,
    }


def _chunk(name: str, delta: dict[str, str], finish_reason: str | None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": name, "object": "chat.completion.chunk", "choices": [choice]}


async def _send(writer: asyncio.StreamWriter, status: int, content: dict[str, Any]) -> None:
    body = json.dumps(content).encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n"
    writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()


async def _send_event(writer: asyncio.StreamWriter, content: dict[str, Any]) -> None:
    data = b"data: " + json.dumps(content).encode() + b"\n\n"
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))
    await writer.drain()
