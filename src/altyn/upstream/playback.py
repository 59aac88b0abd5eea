"""The sandbox answers here: it plays a vendor without a network, with the manners of `Response`."""

import asyncio
from collections.abc import Iterator

from altyn.chat import Fault
from altyn.upstream.dialects.sandbox import play


class Playback:
    """An answer of the sandbox, read like one of an upstream."""

    def __init__(self, body: bytes) -> None:
        performance = play(body)
        self.status = performance.status
        self.headers = performance.headers
        self._steps: Iterator[tuple[float, bytes]] = iter(performance.steps)
        self._cut = False

    async def read(self, limit_bytes: int) -> bytes:
        pieces: list[bytes] = []
        while piece := await self.next():
            pieces.append(piece)
        body = b"".join(pieces)
        if len(body) > limit_bytes:
            raise Fault("invalid", "the answer is too large")
        return body

    async def next(self) -> bytes:
        for pause_s, piece in self._steps:
            if pause_s:
                await asyncio.sleep(pause_s)
            if piece:
                return piece
        return b""

    def abort(self) -> None:
        self._steps = iter(())
