"""A server that means harm, on a free port of loopback: it says what it likes, when it likes.

with HostileServer() as hostile:
    hostile.does(say(b"HTTP/1.1 200 OK\\r\\n\\r\\n"), then=reset)
"""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain, repeat
from typing import Self

TIMEOUT_S = 20.0

Deed = Callable[["Line"], None]


class Line:
    """One connection, from the server's side."""

    def __init__(self, connection: socket.socket, server: "HostileServer") -> None:
        self.socket = connection
        self.server = server
        self.left = b""

    def hear(self) -> bytes:
        """One request, head and body. `b""` when the caller has hung up."""
        data = self.left
        while b"\r\n\r\n" not in data:
            piece = self.socket.recv(65536)
            if not piece:
                return b""
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (
                int(line[16:])
                for line in head.lower().split(b"\r\n")
                if line[:16] == b"content-length: "
            ),
            0,
        )
        while len(body) < length:
            body += self.socket.recv(65536)
        self.left = body[length:]
        return head + b"\r\n\r\n" + body[:length]

    def say(self, data: bytes) -> None:
        self.socket.sendall(data)

    def wait_until_left(self) -> None:
        while self.socket.recv(65536):
            pass

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class HostileServer:
    """Each request is met by the deed that was asked for last; every request is kept."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._deed: Deed = hang_up
        self._early: Deed | None = None
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listening.getsockname()[1]
        self._lines: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def does(self, *deeds: Deed, early: Deed | None = None) -> None:
        """The deeds are done in turn for each request; *early* before any request is read."""

        def all_of_them(line: Line) -> None:
            for deed in deeds:
                deed(line)

        self._deed, self._early = all_of_them, early
        self.requests.clear()
        self.connections = 0
        self.drop_all()

    def drop_all(self) -> None:
        """Hang up on everybody, so that no kept connection is used again."""
        for line in tuple(self._lines):
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.drop_all()
        self._thread.join(TIMEOUT_S)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(TIMEOUT_S)
        self._lines.add(connection)
        line, deed = Line(connection, self), self._deed
        try:
            with suppress(OSError):
                if self._early is not None:
                    self._early(line)
                while request := line.hear():
                    self.requests.append(request)
                    deed(line)
        finally:
            self._lines.discard(connection)
            connection.close()


# Deeds ----------------------------------------------------------------------------------------


def hang_up(line: Line) -> None:
    with suppress(OSError):
        line.socket.shutdown(socket.SHUT_RDWR)


def reset(line: Line) -> None:
    time.sleep(0.02)  # what was said before must arrive, or the reset would overtake it
    line.reset()


def be_silent(line: Line) -> None:
    """Say nothing more, for as long as the other side stays."""
    line.wait_until_left()


def say(*pieces: bytes, pause_s: float = 0.0) -> Deed:
    def deed(line: Line) -> None:
        for piece in pieces:
            line.say(piece)
            if pause_s:
                time.sleep(pause_s)

    return deed


def say_for_ever(piece: bytes, *, first: bytes = b"", pause_s: float = 0.0, times: int = 0) -> Deed:
    """*piece* again and again: until the other side has had enough, or *times*."""

    def deed(line: Line) -> None:
        endless: Iterator[bytes] = repeat(piece, times) if times else repeat(piece)
        for data in chain((first,), endless):
            line.say(data)
            if pause_s:
                time.sleep(pause_s)

    return deed


# What is said ---------------------------------------------------------------------------------


def answer(body: bytes = b"", *headers: str, status: str = "200 OK") -> bytes:
    """A whole answer of a stated length."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def head(*headers: str, status: str = "200 OK") -> bytes:
    """A head whose body ends with the connection."""
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode("latin-1")


EVENTS = head("content-type: text/event-stream", "connection: close")
CHUNKED = head("content-type: text/event-stream", "transfer-encoding: chunked")


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    return b"%x%b\r\n%b\r\n" % (len(data), extension, data)
