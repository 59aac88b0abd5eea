"""A gateway in a process of its own, started and stopped as an operator does."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import requests
from calls import BASE

from fakes.scripted_server import free_port

START_S = 30.0
STOP_S = 40.0


class Server:
    """`with Server(home) as server:`; `base` is where its API is, like a `Gateway`'s."""

    def __init__(self, home: Path, database_url: str | None = None, **settings: str) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.base = self.url + BASE
        self.log = home.parent / f"server-{self.port}.log"
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("ALTYN_")},
            "ALTYN_LOG_FORMAT": "json",
            **{f"ALTYN_{name.upper()}": value for name, value in settings.items()},
        }
        if database_url is not None:
            self.environment["ALTYN_DATABASE_URL"] = database_url

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "altyn", "up", "--no-open", "--home", str(self.home)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port)],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait_until_ready()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def ask_to_stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """The exit code."""
        return self.process.wait(STOP_S)

    def stop(self) -> int:
        self.ask_to_stop()
        return self.wait()

    def kill(self) -> None:
        """As a power cut does, as far as the process can tell."""
        self.process.kill()
        self.process.wait()

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if requests.get(f"{self.url}/readyz", timeout=5).status_code == 200:
                    return
            except requests.ConnectionError:
                time.sleep(0.02)
        raise AssertionError(f"the server did not start: {self.said()}")
