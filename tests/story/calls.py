"""Calls as plain programs make them: over HTTP, or byte by byte over a socket."""

import json
import socket
import struct
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import urlsplit

import requests

from fakes.gateway import Gateway

MODEL = "anthropic/claude-3.5-sonnet"
HELLO = [{"role": "user", "content": "Привет!"}]
BASE = "/api/v1/external"


def chat(gateway: Gateway, key: str, *, path: str = "/chat/completions", **fields: Any) -> Any:
    """One call, answered whole; a stream too is read to its end."""
    body = {"model": MODEL, "messages": HELLO, **fields}
    return requests.post(
        gateway.base + path, json=body, headers={"Authorization": f"Bearer {key}"}, timeout=30
    )


def exact(response: Any) -> Any:
    """JSON with its numbers as they are written."""
    return json.loads(response.text, parse_float=Decimal)


def events_of(text: str) -> list[Any]:
    """The data of every event, decoded; `[DONE]` as it stands. Comments are left out."""
    lines = [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line, parse_float=Decimal) for line in lines]


def text_of(events: list[Any]) -> str:
    return "".join(
        choice["delta"].get("content") or ""
        for event in events
        if event != "[DONE]"
        for choice in event.get("choices", ())
    )


def write_request(gateway: Gateway, key: str, *, path: str, **fields: Any) -> bytes:
    """The bytes of one call."""
    body = json.dumps({"model": MODEL, "messages": HELLO, **fields}).encode()
    head = (
        f"POST {BASE}{path} HTTP/1.1",
        f"Host: {urlsplit(gateway.url).netloc}",
        f"Authorization: Bearer {key}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join([*head, "", ""]).encode() + body


def wait_until(true: Callable[[], bool], timeout_s: float = 10) -> None:
    """Until something that another thread does has happened."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.002)


class Line:
    """A caller on a bare socket, who can leave as rudely as sockets allow."""

    opened: ClassVar[list["Line"]] = []
    """Every one of a test, for the fixture that closes what is still open."""

    def __init__(self, gateway: Gateway, *, receive_buffer_bytes: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.socket.settimeout(20)
        address = urlsplit(gateway.url)
        self.socket.connect((address.hostname, address.port))
        self.heard = b""
        self.opened.append(self)

    def ask(self, gateway: Gateway, key: str, *, path: str = "/chat/stream", **fields: Any) -> None:
        self.socket.sendall(write_request(gateway, key, path=path, **fields))

    def hear_events(self, count: int) -> None:
        """Listen until so many events have come, or the other side has closed."""
        while self.heard.count(b"data: ") < count:
            data = self.socket.recv(65536)
            if not data:
                return
            self.heard += data

    def leave_with_fin(self) -> None:
        self.socket.close()

    def leave_with_rst(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()
