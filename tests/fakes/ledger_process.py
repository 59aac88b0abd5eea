"""One more process of the ledger, for tests that need two, or one that they can kill.

`python ledger_process.py rush URL ACCOUNT KEY COUNT NANOS` says `ready`, waits for a line, asks for
COUNT holds at once and says how many were granted. `loop URL ACCOUNT KEY` holds and settles until
it is killed, and says what it was promised. `sync URL ACCOUNT KEY COUNT` makes COUNT commits, one
after the other. `bump URL` says `ready`, waits for a line, commits once and says what became of it.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from altyn.database.engine import bump_revision
from altyn.errors import AltynError
from altyn.ledger.moves import NotAffordableError
from fakes.books import Books, hold, open_books, settle

LOOPS = 8


def say(words: str) -> None:
    os.write(1, f"{words}\n".encode())


async def rush(books: Books, account: int, key: int, number: int, nanos: int) -> None:
    say("ready")
    await asyncio.to_thread(sys.stdin.readline)
    asked = [
        books.writer.post(hold(account, key, f"{os.getpid()}-{place}", nanos))
        for place in range(number)
    ]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    refused = sum(isinstance(answer, NotAffordableError) for answer in answers)
    granted = sum(not isinstance(answer, BaseException) for answer in answers)
    assert granted + refused == number
    say(str(granted))


async def loop(books: Books, account: int, key: int) -> None:
    await asyncio.gather(*(hold_and_settle(books, account, key, turn) for turn in range(LOOPS)))


async def hold_and_settle(books: Books, account: int, key: int, turn: int) -> None:
    number = 0
    while True:
        number += 1
        request = f"{os.getpid()}-{turn}-{number}"
        say(f"asked {request}")
        await books.writer.post(hold(account, key, request, 10))
        say(f"held {request}")
        await books.writer.post(settle(account, key, request, turn, held=10))
        say(f"settled {request} {turn}")


async def sync(books: Books, account: int, key: int, number: int) -> None:
    before = books.writer.commits
    for place in range(number):
        await books.writer.post(hold(account, key, f"{os.getpid()}-{place}", 1))
    say(str(books.writer.commits - before))


async def bump(books: Books) -> None:
    say("ready")
    await asyncio.to_thread(sys.stdin.readline)
    try:
        await books.database.write(bump_revision)
        say("done")
    except AltynError as error:
        say(type(error).__name__)
    await asyncio.to_thread(sys.stdin.readline)


@contextmanager
def start(*words: object, under: Sequence[str] = ()) -> Iterator[Any]:
    """Run this program beside us, *under* another one if asked; it is gone afterwards."""
    tests = Path(__file__).parent.parent
    process = subprocess.Popen(
        [*under, sys.executable, __file__, *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": ":".join([str(tests), *filter(None, sys.path)])},
    )
    try:
        with process:
            yield process
            process.kill()
    finally:
        process.kill()
        process.wait()


async def main(deed: str, url: str, *numbers: str) -> None:
    async with open_books(url) as books:
        deeds = {"rush": rush, "loop": loop, "sync": sync, "bump": bump}
        await deeds[deed](books, *map(int, numbers))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
