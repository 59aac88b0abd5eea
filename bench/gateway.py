"""An Altyn of its own for a benchmark: set up by its command line, asked over its public API."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from fakes.postgres import free_port
from processes import BenchFailedError, Cores, clean_environ, running, wait_for

ROOT = Path(__file__).resolve().parent.parent
BASE = "/api/v1/external"
CUSTOMER = "bench@example.com"
DEPOSIT = "1000000"
START_S = 60.0
SETTLED_S = 15.0


class Gateway:
    """One installation in a home of its own; it is started and stopped once per scenario."""

    def __init__(self, home: Path, *, database_url: str | None, cores: Cores, model: str) -> None:
        self.home = home
        self.cores = cores
        self.model = model
        self.log = home.with_suffix(".log")
        self.port = free_port()
        self.key = ""
        self.exits: list[int] = []
        self.environ = clean_environ(
            PYTHONPATH=str(ROOT / "src"),
            ALTYN_HOME=str(home),
            # The limits per account are checked on every call and never reached: one account here
            # calls more than a thousand customers would.
            ALTYN_REQUESTS_PER_MINUTE="100000000",
            ALTYN_PARALLEL_REQUESTS="100000",
        )
        if database_url is not None:
            self.environ["ALTYN_DATABASE_URL"] = database_url

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{BASE}"

    def set_up(self, *, upstream_url: str) -> None:
        """A customer with money and a live key, and one route to the mock."""
        self.run("migrate")
        self.run("user", "add", CUSTOMER)
        self.run("deposit", CUSTOMER, DEPOSIT, "--reference", "bench")
        self.key = json.loads(self.run("key", "create", "--user", CUSTOMER, "--json"))["key"]
        self.environ["BENCH_UPSTREAM_KEY"] = "no-secret"
        dialect = ("--dialect", "openai-chat", "--base-url", upstream_url)
        self.run("provider", "add", "mock", *dialect, "--api-key-env", "BENCH_UPSTREAM_KEY")
        self.run("route", "add", self.model, "mock", "--upstream-model", "bench")

    def run(self, *words: str) -> str:
        """One command of the command line; what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "altyn", *words],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode:
            raise BenchFailedError(f"altyn {' '.join(words)}: {done.stderr.strip()[-2000:]}")
        return done.stdout

    @contextmanager
    def serving(self) -> Iterator[int]:
        """The process id of the running server. How it ended stands in `exits`: 0 is clean."""
        place = ("--port", str(self.port), "--home", str(self.home), "--no-open")
        command = [sys.executable, "-m", "altyn", "up", *place]
        with running(
            command, environ=self.environ, cores=self.cores.gateway, log=self.log
        ) as server:
            wait_for(self.is_ready, server, what="altyn up", log=self.log, seconds=START_S)
            yield server.pid
        self.exits.append(server.returncode)

    def is_ready(self) -> bool:
        try:
            return self.get("/readyz")[0] == 200
        except (OSError, HTTPException):
            return False

    def get(self, path: str) -> tuple[int, bytes]:
        return http_get(self.port, path, key=self.key)

    def told(self, path: str) -> dict[str, Any]:
        """A resource of the External API; amounts keep their exact digits."""
        status, body = self.get(BASE + path)
        if status != 200:
            raise BenchFailedError(f"GET {path}: {status} {body[:300].decode(errors='replace')}")
        found: dict[str, Any] = json.loads(body, parse_float=Decimal)
        return found

    def charged(self, *, calls: int) -> dict[str, Any]:
        """The summary of `GET /usage`, once it counts so many calls or our patience has ended."""
        deadline = time.monotonic() + SETTLED_S
        while True:
            summary: dict[str, Any] = self.told("/usage?status=success&limit=1")["summary"]
            if summary["requests"] >= calls or time.monotonic() > deadline:
                return summary
            time.sleep(0.2)

    def verify_ledger(self) -> str | None:
        """None when every invariant holds, else what `altyn ledger verify` said."""
        try:
            self.run("ledger", "verify")
        except BenchFailedError as error:
            return str(error)
        return None


def http_get(port: int, path: str, *, key: str = "") -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
