"""Somebody who calls the gateway: over HTTP as it should be, or byte by byte as it should not."""

import http.client
import json
import socket
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

TIMEOUT_S = 20
PROMPT = [{"role": "user", "content": "Say hello"}]


class Said(NamedTuple):
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = self.json["error"]
        return found

    @property
    def code(self) -> str | None:
        return self.error["code"] if self.status >= 400 else None

    @property
    def events(self) -> list[Any]:
        """The data of a stream's events; `[DONE]` as it is."""
        lines = [part[6:] for part in self.body.decode().split("\n\n") if part.startswith("data: ")]
        return [line if line == "[DONE]" else json.loads(line) for line in lines]


class Caller:
    """`caller.get("/balance")`, with one key and one language, each call on its own connection."""

    def __init__(self, url: str, key: str | None = None, **headers: str) -> None:
        self.address = urlsplit(url).netloc
        self.path = urlsplit(url).path
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            self.headers["authorization"] = f"Bearer {key}"

    def get(self, path: str, **headers: str) -> Said:
        return self.call("GET", path, None, **headers)

    def post(self, path: str, body: Any, **headers: str) -> Said:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.call("POST", path, data, **{"content_type": "application/json", **headers})

    def chat(self, path: str = "/chat/completions", **fields: Any) -> Said:
        body = {"model": "sandbox/echo", "messages": PROMPT, **fields}
        return self.post(path, {name: value for name, value in body.items() if value is not ...})

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Said:
        connection = http.client.HTTPConnection(self.address, timeout=TIMEOUT_S)
        try:
            own = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, self.path + path, body, {**self.headers, **own})
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Said(answer.status, told, answer.read())
        finally:
            connection.close()


class Wire:
    """A bare connection: what is sent is sent as it stands."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        assert address.hostname is not None
        self.socket = socket.create_connection((address.hostname, address.port), TIMEOUT_S)
        self.file = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def hear(self) -> Said:
        """One answer with a stated length, or up to the end of the connection."""
        status = int(self.file.readline().split()[1])
        headers: dict[str, str] = {}
        while line := self.file.readline().strip().decode("latin-1"):
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        length = headers.get("content-length")
        body = self.file.read() if length is None else self.file.read(int(length))
        return Said(status, headers, body)

    def is_closed(self) -> bool:
        """Wait until the other side hangs up; False if it says something instead."""
        try:
            return self.file.read(1) == b""
        except ConnectionError:
            return True
