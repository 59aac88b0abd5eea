"""Customers of a gateway under proof: they call, hang up, and remember what they were told."""

import asyncio
import json
import random
from contextlib import suppress
from decimal import Decimal
from typing import Any, Literal

from msgspec import Struct

PATH = "/api/v1/external"
PATIENCE_S = 30.0
HEAD_MAX = 1024 * 1024


class Call(Struct, kw_only=True):
    """One call, as its caller saw it. `cost_nanos` is there only for a whole answer."""

    model: str
    stream: bool
    status: int | None = None
    request_id: str | None = None
    end: Literal["whole", "left", "broken", "refused", "unheard"] = "unheard"
    cost_nanos: int | None = None
    code: str | None = None
    retry_after: str | None = None


class Callers:
    """Makes calls at one address with one key. `calls` holds them all, also those under way."""

    def __init__(
        self, key: str, models: tuple[str, ...], seed: int, *, leaving: float = 0.25
    ) -> None:
        self.key = key
        self.leaving = leaving
        self.models = models
        self.chance = random.Random(seed)
        self.calls: list[Call] = []

    async def keep_calling(self, port: int) -> None:
        """One customer: a call after the other until cancelled."""
        while True:
            call = await self.call(port)
            if call.status is None or call.status >= 400:
                await asyncio.sleep(0.02)

    async def call(self, port: int) -> Call:
        """One call; a share of them is left in the middle."""
        stream = self.chance.random() < 0.6
        call = Call(model=self.chance.choice(self.models), stream=stream)
        self.calls.append(call)
        leaves_after_s = (
            self.chance.uniform(0, 0.1) if self.chance.random() < self.leaving else None
        )
        try:
            async with asyncio.timeout(PATIENCE_S if leaves_after_s is None else leaves_after_s):
                await self._talk(port, call)
        except TimeoutError:
            call.end = "left"
        except (OSError, asyncio.IncompleteReadError, ValueError):
            call.end = "broken"
        return call

    async def _talk(self, port: int, call: Call) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=HEAD_MAX)
        try:
            writer.write(self._request(call))
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            call.status = int(head.split(" ", 2)[1])
            headers = _headers(head)
            call.retry_after = headers.get("retry-after")
            call.request_id = headers.get("x-request-id", "").removeprefix("req_") or None
            if "chunked" in headers.get("transfer-encoding", ""):
                await _hear(reader, call)
            else:
                _read_whole(await reader.readexactly(int(headers["content-length"])), call)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def _request(self, call: Call) -> bytes:
        body = json.dumps(
            {
                "model": call.model,
                "messages": [{"role": "user", "content": "say something"}],
                "max_tokens": 50,
                "stream": call.stream,
                "stream_options": {"include_usage": True} if call.stream else None,
            }
        ).encode()
        return (
            f"POST {PATH}/chat/completions HTTP/1.1\r\nhost: x\r\n"
            f"authorization: Bearer {self.key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        ).encode() + body


def _headers(head: str) -> dict[str, str]:
    lines = (line.partition(":") for line in head.split("\r\n")[1:])
    return {name.lower(): value.strip() for name, _, value in lines}


def _read_whole(body: bytes, call: Call) -> None:
    answer = json.loads(body, parse_float=Decimal)
    if call.status == 200:
        call.cost_nanos, call.end = _nanos(answer["usage"]["cost"]), "whole"
    else:
        call.code, call.end = answer["error"]["code"], "refused"


async def _hear(reader: asyncio.StreamReader, call: Call) -> None:
    """Read chunks of events to the end; an answer without its `[DONE]` is broken."""
    heard = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        heard += await reader.readexactly(size)
        await reader.readexactly(2)
    events = [line[6:] for line in heard.decode().split("\n") if line.startswith("data: ")]
    call.end = "broken"
    if not events or events[-1] != "[DONE]":
        return
    last = json.loads(events[-2], parse_float=Decimal)
    if "error" in last:
        call.code = last["error"]["code"]
    elif last.get("usage"):
        call.cost_nanos, call.end = _nanos(last["usage"]["cost"]), "whole"


def _nanos(cost: Any) -> int:
    return int(Decimal(cost).scaleb(9))
