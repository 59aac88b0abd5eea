"""Upstreams of a simulation: what they say is drawn from the seed, and they keep books too."""

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct, structs

from altyn.chat import Fault
from altyn.upstream.client import Client, Line
from altyn.upstream.connection import Patience
from altyn.upstream.provider import Provider
from altyn.upstream.router import Router

WORDS_MAX = 6
KINDS = (
    ("whole", 12),
    ("cut", 2),
    ("no usage", 1),
    ("absurd", 1),
    ("empty", 1),
    ("error inside", 1),
    ("refused", 1),
    ("away", 2),
)
"""What an upstream does with a call, and how often."""


class Bill(Struct):
    """One answer by the upstream's own count."""

    kind: str
    prompt: int
    completion: int = 0
    ended: bool = False
    reported: bool = False
    """Its usage was sent to the end."""


class Vendors:
    """All upstreams of one seed. `bills` are by the id of the answer."""

    def __init__(self, chance: random.Random, fault: Callable[[], bool]) -> None:
        self.chance = chance
        self.fault = fault
        self.healthy = False
        self.bills: dict[str, Bill] = {}

    def take(self, *, stream: bool) -> "Answer":
        kinds, weights = zip(*KINDS, strict=True)
        kind = "whole" if self.healthy else self.chance.choices(kinds, weights)[0]
        if kind == "away":
            raise Fault(
                self.chance.choice(("connect", "timeout", "broken")), "a fault of the proof"
            )
        name = f"gen-{len(self.bills)}"
        bill = Bill(kind, self.chance.randrange(1, 9))
        if kind != "refused":
            self.bills[name] = bill
        return Answer(self, name, bill, stream=stream)

    def tell(self, name: str) -> bytes | None:
        """What a look-up is answered with; None while nothing is known."""
        bill = self.bills.get(name)
        if bill is None or not bill.ended or self.chance.random() < 0.3:
            return None
        told = {
            "native_tokens_prompt": bill.prompt,
            "native_tokens_completion": bill.completion,
            "finish_reason": "stop" if bill.kind == "whole" else None,
        }
        return json.dumps({"data": told}).encode()


class Answer:
    """One answer as it arrives, with the manners of a pool's."""

    def __init__(self, vendors: Vendors, name: str, bill: Bill, *, stream: bool) -> None:
        self.vendors = vendors
        self.name = name
        self.bill = bill
        self.status = vendors.chance.choice((400, 401, 429, 500)) if bill.kind == "refused" else 200
        self.stream = stream and self.status == 200
        self.headers: Mapping[str, str] = {
            "content-type": "text/event-stream" if self.stream else "application/json"
        }
        self._pieces = self._events() if self.stream else [self._whole()]

    async def read(self, limit_bytes: int) -> bytes:  # noqa: ARG002 -- these are small
        pieces = []
        while piece := await self.next():
            pieces.append(piece)
        return b"".join(pieces)

    async def next(self) -> bytes:
        await asyncio.sleep(self.vendors.chance.choice((0, 0, 0.01, 0.3)))
        if self.vendors.fault():
            self.abort()
            raise Fault("broken", "a fault of the proof")
        if not self._pieces:
            self._finish()
            return b""
        piece = self._pieces.pop(0)
        if piece == b"cut":
            self.abort()
            raise Fault("broken", "cut by the proof")
        self._count(piece)
        return piece

    def abort(self) -> None:
        self.bill.ended = True
        self._pieces = []

    def _finish(self) -> None:
        self.bill.ended = True

    def _count(self, piece: bytes) -> None:
        """The upstream bills what it has written."""
        self.bill.completion += piece.count(b'"word ') if self.stream else self._written
        if b'"usage"' in piece:
            self.bill.reported = True

    def _usage(self, completion: int) -> dict[str, int] | None:
        if self.bill.kind == "no usage":
            return None
        prompt = 10**8 if self.bill.kind == "absurd" else self.bill.prompt
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }

    def _whole(self) -> bytes:
        bill, chance = self.bill, self.vendors.chance
        self._written = 0
        if bill.kind == "refused":
            return b'{"error":{"message":"refused by the proof"}}'
        if bill.kind == "error inside":
            return b'{"error":{"message":"overloaded","code":529}}'
        if bill.kind == "cut":
            return b"cut"
        self._written = 0 if bill.kind == "empty" else chance.randrange(1, WORDS_MAX)
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": "word " * self._written},
            "finish_reason": None if bill.kind == "empty" else "stop",
        }
        answer: dict[str, Any] = {"id": self.name, "choices": [choice]}
        usage = self._usage(self._written)
        return json.dumps({**answer, "usage": usage} if usage else answer).encode()

    def _events(self) -> list[bytes]:
        count = 0 if self.bill.kind == "empty" else self.vendors.chance.randrange(1, WORDS_MAX)
        pieces = [self._event({"content": "word "}, None) for _ in range(count)]
        if self.bill.kind == "cut":
            return [*pieces, b"cut"]
        if self.bill.kind == "error inside":
            return [*pieces, b'data: {"error":{"message":"overloaded","code":529}}\n\n']
        pieces.append(self._event({}, None if self.bill.kind == "empty" else "stop"))
        usage = self._usage(count)
        if usage is not None:
            pieces.append(_data({"id": self.name, "choices": [], "usage": usage}))
        pieces.append(b"data: [DONE]\n\n")
        # Some arrive together, as they do on a network.
        if self.vendors.chance.random() < 0.5:
            pieces[-2:] = [b"".join(pieces[-2:])]
        return pieces

    def _event(self, delta: dict[str, str], finish_reason: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return _data({"id": self.name, "choices": [choice]})


def _data(content: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(content).encode() + b"\n\n"


class Told:
    """The answer to a look-up."""

    def __init__(self, body: bytes | None) -> None:
        self.status = 404 if body is None else 200
        self.headers: Mapping[str, str] = {}
        self._body = body or b""

    async def read(self, limit_bytes: int) -> bytes:  # noqa: ARG002 -- as above
        return self._body

    def abort(self) -> None: ...


class ScriptedPool:
    """In the place of a pool of connections: nothing leaves this process."""

    def __init__(self, vendors: Vendors) -> None:
        self.vendors = vendors

    async def send(
        self,
        method: str,
        target: str,
        headers: Any,  # noqa: ARG002 -- a pool's manners
        body: bytes,
        patience: Patience,  # noqa: ARG002 -- as above
    ) -> Any:
        await asyncio.sleep(self.vendors.chance.choice((0, 0.01, 0.2)))
        if self.vendors.fault():
            raise Fault("connect", "a fault of the proof")
        if method == "GET":
            return Told(self.vendors.tell(target.partition("id=")[2]))
        return self.vendors.take(stream=json.loads(body).get("stream", False))


class ScriptedClient(Client):
    """The real client, whose lines all lead to the scripted vendors."""

    def __init__(self, router: Router, vendors: Vendors) -> None:
        super().__init__(router)
        self.vendors = vendors

    def _make_line(self, provider: Provider, dialect_name: str) -> Line:
        line = super()._make_line(provider, dialect_name)
        return structs.replace(line, pool=ScriptedPool(self.vendors))
