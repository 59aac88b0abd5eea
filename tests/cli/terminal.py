"""The command line as an operator uses it: processes of its own on a home of their own."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple
from unittest import mock

import requests

from altyn.cli import main

START_S = 30
VENDOR_KEYS = "_API_KEY"


def clean_environ():
    """Ours without a setting or a vendor's key: nothing of this machine may decide a test."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("ALTYN_") and not name.endswith(VENDOR_KEYS)
    }


class Done(NamedTuple):
    """What a command printed, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


def run_here(words, stdin, environ):
    """Run a command in this process, as `altyn` would."""
    out, err, umask = io.StringIO(), io.StringIO(), os.umask(0o077)
    code = 0
    try:
        with (
            mock.patch.dict(os.environ, environ, clear=True),
            mock.patch.multiple(sys, argv=["altyn", *words], stdin=io.StringIO(stdin)),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            main()
    except SystemExit as done:
        code = done.code or 0
    finally:
        os.umask(umask)
    return Done(code, out.getvalue(), err.getvalue())


class Terminal:
    """Commands in one home, and at most one server.

    Each command is a process of its own where `processes` is true. Else it runs in this one, from
    its arguments to its exit code all the same: that is ten times as quick.
    """

    def __init__(self, home, *, processes=False):
        self.home = home
        self.processes = processes
        self.environ = clean_environ()
        self.prefix = ()
        self.server = None
        self.log = home.parent / "up.log"
        self.url = ""

    def run(self, *words, stdin="", **environ):
        words = [*words, "--home", str(self.home)]
        if self.processes:
            return self._run_process(words, stdin, self.environ | environ)
        return run_here(words, stdin, self.environ | environ)

    def _run_process(self, words, stdin, environ):
        return subprocess.run(
            [*self.prefix, sys.executable, "-m", "altyn", *words],
            env=environ,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def do(self, *words, **options):
        """A command that has to succeed; what it printed."""
        done = self.run(*words, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ask(self, *words, **options):
        """A command that prints JSON; what it says."""
        return json.loads(self.do(*words, "--json", **options))

    def refused(self, *words, **options):
        """A command that has to fail; its one sentence."""
        done = self.run(*words, **options)
        assert done.returncode == 1
        (sentence,) = done.stderr.splitlines()
        return sentence

    # The server -------------------------------------------------------------------------------

    def up(self, *words, port="0"):
        with self.log.open("w") as log:
            self.server = subprocess.Popen(
                [
                    *(sys.executable, "-m", "altyn", "up", "--no-open", "--port", port),
                    *("--home", str(self.home), *words),
                ],
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait_until_ready()

    def down(self, sign=signal.SIGTERM):
        """Stop the server; its exit code."""
        self.server.send_signal(sign)
        code = self.server.wait(60)
        self.server = None
        return code

    def chat(self, key, model="sandbox/echo", **more):
        body = {"model": model, "messages": [{"role": "user", "content": "Привет!"}], **more}
        headers = {"Authorization": f"Bearer {key}"}
        url = f"{self.url}/api/v1/external/chat/completions"
        return requests.post(url, json=body, headers=headers, timeout=20)

    def is_refused_within_a_second(self, key, code):
        """Whether calls with this key begin to be refused, and why."""
        deadline = time.monotonic() + 1
        while (answer := self.chat(key)).ok and time.monotonic() < deadline:
            time.sleep(0.02)
        return not answer.ok and answer.json()["error"]["code"] == code

    def _wait_until_ready(self):
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.server.poll() is None:
            if self._is_ready():
                return
            time.sleep(0.02)
        raise AssertionError(f"the server did not start:\n{self.log.read_text()}")

    def _is_ready(self):
        links = [word for word in self.log.read_text().split() if word.endswith("/readyz")]
        if not links:
            return False
        self.url = links[0].removesuffix("/readyz")
        try:
            return requests.get(links[0], timeout=5).ok
        except requests.ConnectionError:
            return False
