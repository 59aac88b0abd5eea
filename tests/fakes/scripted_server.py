"""A server that says exactly the bytes it is told to, on a free port of loopback."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress


class ScriptedServer:
    def __init__(self, script: "Script") -> None:
        self.script = script
        self.port = 0
        self.connections = 0
        self.requests: list[bytes] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.asked = asyncio.Event()
        """Some request has been read."""
        self.hung_up = asyncio.Event()
        """Some client has closed its end."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                await self.script(self, reader, writer)
        finally:
            self.tasks.discard(task)
            writer.transport.abort()

    async def read_request(self, reader: asyncio.StreamReader) -> bytes:
        """Read one request, head and body; raise IncompleteReadError when the client hangs up."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length: "):
                    head += await reader.readexactly(int(line[16:]))
        except (asyncio.IncompleteReadError, ConnectionError):
            self.hung_up.set()
            raise
        self.requests.append(head)
        self.asked.set()
        return head


Script = Callable[[ScriptedServer, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator:
    scripted = ScriptedServer(script)
    server = await asyncio.start_server(scripted.serve, "127.0.0.1", 0, ssl=tls)
    scripted.port = server.sockets[0].getsockname()[1]
    try:
        yield scripted
    finally:
        server.close()
        for task in list(scripted.tasks):
            task.cancel()
        await asyncio.gather(*scripted.tasks)
        await server.wait_closed()


def saying(*pieces: bytes, pause_s: float = 0.002, then: str = "keep") -> Script:
    """Answer every request with these pieces, then `keep`, `close`, `reset` or `hang`."""

    async def script(server, reader, writer):
        while True:
            await server.read_request(reader)
            for index, piece in enumerate(pieces):
                if index:
                    await asyncio.sleep(pause_s)
                writer.write(piece)
            await writer.drain()
            if then == "close":
                return
            if then == "reset":
                await asyncio.sleep(0.02)
                reset(writer)
                return
            if then == "hang":
                await server.read_request(reader)

    return script


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with a RST instead of a FIN."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def chunked(*chunks: bytes, head: str = "") -> bytes:
    """A chunked answer, complete."""
    start = f"HTTP/1.1 200 OK\r\n{head}transfer-encoding: chunked\r\n\r\n".encode()
    return start + b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in chunks) + b"0\r\n\r\n"


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]
