"""System calls of a process, watched or made to fail, where strace is installed and may do it."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

CANNOT = "strace is not installed, or may not trace here"
END_S = 5.0


class CannotTraceError(Exception):
    """There is no strace, or the system does not let it look into other processes."""


def find_strace() -> str | None:
    """Where it is, if it may watch what it starts itself."""
    strace = shutil.which("strace")
    if strace is None or subprocess.run([strace, "-o", os.devnull, "true"], check=False).returncode:
        return None
    return strace


def _end(strace: "subprocess.Popen[bytes]") -> None:
    """Let it go of what it traces. Of a process that was killed just now it would wait for the
    first thread, for ever: the system tells that one's end only after all others'.
    """
    strace.send_signal(signal.SIGINT)
    try:
        strace.wait(END_S)
    except subprocess.TimeoutExpired:
        strace.kill()


class Failures:
    """How many system calls were made to fail; known when the context has ended."""

    def __init__(self) -> None:
        self.count = 0


@contextmanager
def failing(pid: int, calls: str, *, when: str = "1+") -> Iterator[Failures]:
    """Let these system calls of a running process end in EIO, of each thread those of *when*.

    That is strace's word: `3` is the third one alone, `3+` each from the third on. The process may
    be killed meanwhile. Raises `CannotTraceError`.
    """
    strace = find_strace()
    if strace is None:
        raise CannotTraceError
    failures = Failures()
    with tempfile.NamedTemporaryFile() as trace:
        words = [strace, "-f", "-p", str(pid), "-o", trace.name, "-e", f"trace={calls}"]
        inject = f"inject={calls}:error=EIO:when={when}"
        with subprocess.Popen([*words, "-e", inject], stderr=subprocess.PIPE) as process:
            assert process.stderr is not None
            if b"attached" not in process.stderr.readline():
                raise CannotTraceError
            try:
                yield failures
            finally:
                _end(process)
        failures.count = trace.read().count(b"(INJECTED)")
