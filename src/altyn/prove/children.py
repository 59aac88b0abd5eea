"""Processes to kill: forked, so that a round costs milliseconds, and heard through a pipe.

What a child says in whole lines before it dies was true before it died.
"""

import asyncio
import ctypes
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress

PIECE_BYTES = 65536
PR_SET_PDEATHSIG = 1


class Say:
    """A child's way to talk to its parent, line by line, and to wait for a word of it."""

    def __init__(self, saying: int, hearing: int) -> None:
        self._saying = saying
        self._hearing = hearing

    def __call__(self, line: str) -> None:
        os.write(self._saying, line.encode() + b"\n")

    def wait(self) -> None:
        os.read(self._hearing, PIECE_BYTES)


class Child:
    """One forked process. `lines` holds all it has said."""

    def __init__(self, pid: int, pipe: int, telling: int) -> None:
        self.pid = pid
        self._telling = telling
        self.lines: list[str] = []
        self.ended = False
        self._pipe = pipe
        self._rest = b""

    def hear(self, seconds: float, *, until: str | None = None) -> bool:
        """Listen for so long, or until it has said this line; False when it has ended before."""
        deadline = time.monotonic() + seconds
        while not self.ended and not (until is not None and until in self.lines):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._pipe], [], [], left)[0]:
                break
            self._take(os.read(self._pipe, PIECE_BYTES))
        return until in self.lines if until is not None else not self.ended

    def tell(self, word: str) -> None:
        """What `Say.wait` waits for."""
        os.write(self._telling, word.encode())

    def kill_now(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def kill(self) -> None:
        """SIGKILL, and hear what it had still said."""
        self.kill_now()
        while not self.ended:
            self._take(os.read(self._pipe, PIECE_BYTES))
        os.waitpid(self.pid, 0)
        os.close(self._pipe)
        os.close(self._telling)

    def _take(self, data: bytes) -> None:
        if not data:
            self.ended = True
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.lines += [line.decode() for line in lines]


def fork(live: Callable[[Say], Awaitable[None]]) -> Child:
    """Run *live* in a process of its own. It never returns there."""
    hearing, saying = os.pipe()
    word, telling = os.pipe()
    pid = os.fork()
    if pid:
        os.close(saying)
        os.close(word)
        return Child(pid, hearing, telling)
    os.close(hearing)
    os.close(telling)
    say = Say(saying, word)
    try:
        asyncio.run(_live(live, say))
    except BaseException:  # noqa: BLE001 -- told to the parent; a child never gets back into its code
        say("violation the process failed: " + traceback.format_exc().replace("\n", " / "))
    finally:
        os._exit(0)


async def _live(live: Callable[[Say], Awaitable[None]], say: Say) -> None:
    await live(say)


def die(_point: str = "") -> None:
    """`kill -9` of ourselves: nothing after this line runs, in no thread."""
    os.kill(os.getpid(), signal.SIGKILL)


def end_with_parent() -> None:
    """A proof that fails in the middle leaves nothing behind; where the system can see to it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
