"""A mail server on loopback that takes every letter and shows it."""

import email
import socketserver
import threading
import time
from email.message import Message
from typing import Any, Self


class _Talk(socketserver.StreamRequestHandler):
    """One client: what RFC 5321 asks of a server, and nothing more."""

    def handle(self) -> None:
        server: Any = self.server
        self._say("220 fake")
        while line := self.rfile.readline():
            word = line.split()[0].upper() if line.split() else b""
            if word in (b"EHLO", b"HELO"):
                self._say("250 fake")
            elif word == b"QUIT":
                self._say("221 bye")
                return
            elif word == b"DATA":
                if server.refuses:
                    self._say("451 not now")
                    continue
                self._say("354 go on")
                server.letters.append(self._read_letter())
                self._say("250 taken")
            else:
                self._say("250 fine")

    def _read_letter(self) -> Message:
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        return email.message_from_bytes(b"".join(lines))

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


class FakeSmtp(socketserver.ThreadingTCPServer):
    """`with FakeSmtp() as server:`; `letters` in the order in which they came."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Talk)
        self.letters: list[Message] = []
        self.refuses = False
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def wait_for(self, recipient: str, timeout_s: float = 10) -> str:
        """The text of the newest letter to somebody, when it is there."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            for letter in reversed(self.letters):
                if letter["To"] == recipient:
                    payload = letter.get_payload(decode=True)
                    assert isinstance(payload, bytes)
                    return payload.decode()
            time.sleep(0.02)
        raise AssertionError(f"no letter to {recipient}")
