"""Stands between a gateway and its PostgreSQL, and cuts the line when it would hurt most."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

PIECE_BYTES = 65536
COMMIT = b"COMMIT"


class Proxy:
    """Passes bytes on. `cut_at_next_commit` ends a connection once its COMMIT has gone through."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._address = address
        self.port = 0
        self.cuts = 0
        self.stalls = False
        """Take everything and pass nothing on, as a broken network does."""
        self._armed = False
        self._cut = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The same database, through here."""
        credentials = self._address.netloc.rpartition("@")[0]
        return urlunsplit(self._address._replace(netloc=f"{credentials}@127.0.0.1:{self.port}"))

    def cut_at_next_commit(self) -> None:
        self._cut.clear()
        self._armed = True

    async def has_cut(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._cut.wait(), seconds)
        return self._cut.is_set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._pass_on(reader, writer)
        except OSError:
            writer.close()
        finally:
            self._tasks.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection(self._address.hostname, self._address.port)
        answers = asyncio.create_task(_copy(theirs, writer))
        try:
            while data := await reader.read(PIECE_BYTES):
                if self.stalls:
                    continue
                ours.write(data)
                await ours.drain()
                if self._armed and COMMIT in data:
                    # It has been sent; whoever sent it will never hear what became of it.
                    self._armed = False
                    self.cuts += 1
                    answers.cancel()
                    writer.transport.abort()
                    self._cut.set()
                    await asyncio.sleep(0.05)
                    return
        finally:
            answers.cancel()
            ours.close()
            writer.close()

    async def close(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(PIECE_BYTES):
            writer.write(data)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def through(url: str) -> AsyncIterator[Proxy]:
    proxy = Proxy(url)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
