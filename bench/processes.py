"""The processes of a benchmark: started on their cores, watched in /proc, ended by their id."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
STOP_S = 45.0
"""Longer than the gateway's own grace (30 s), so that it may settle what it holds."""


class BenchFailedError(Exception):
    """The benchmark cannot go on; one sentence, and what the failing program said."""


@dataclass(frozen=True)
class Cores:
    """The gateway alone on one core; mock, load and database share the others."""

    gateway: frozenset[int]
    rest: frozenset[int]

    @property
    def shared(self) -> bool:
        return self.gateway == self.rest


def choose_cores() -> Cores:
    allowed = sorted(os.sched_getaffinity(0))
    first = frozenset(allowed[:1])
    return Cores(gateway=first, rest=frozenset(allowed[1:]) or first)


def clean_environ(**extra: str) -> dict[str, str]:
    """What a child may know of ours: no vendor's key, or the benchmark would call that vendor."""
    kept = {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ"}
    ours = {
        name: value
        for name, value in os.environ.items()
        if name in kept or name.startswith("MALLOC_")
    }
    return ours | extra


@contextmanager
def pinned(cores: frozenset[int]) -> Iterator[None]:
    """Children started inside inherit the cores: pinned from their first instruction."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    environ: Mapping[str, str],
    cores: frozenset[int],
    log: Path,
    stdout: int | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """A program for the time of the block. Ctrl-C reaches only us; we end it by its id."""
    with log.open("a") as output, pinned(cores):
        process = subprocess.Popen(
            command,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=output if stdout is None else stdout,
            stderr=output,
            text=True,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[str]) -> None:
    """SIGTERM and patience; after that its whole session, which is ours, is killed."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout:
        process.stdout.close()


def said_last(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:].strip() if log.exists() else ""


def wait_for(
    ready: Callable[[], bool],
    process: subprocess.Popen[str],
    *,
    what: str,
    log: Path,
    seconds: float,
) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BenchFailedError(f"{what} ended at once:\n{said_last(log)}")
        if ready():
            return
        time.sleep(0.05)
    raise BenchFailedError(f"{what} was not ready within {seconds:.0f} s:\n{said_last(log)}")


# What a process has used ----------------------------------------------------------------------


def stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name, which may hold anything; `[]` if it is gone."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def family(pid: int) -> list[int]:
    """The process and all below it."""
    parents: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        fields = stat(int(entry.name)) if entry.name.isdigit() else []
        if fields:
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    members = [pid]
    for member in members:
        members.extend(parents.get(member, []))
    return members


def cpu_s(pid: int) -> float:
    """User and system time of the process, its living family, and its children that have ended."""
    ticks = 0
    for member in family(pid):
        fields = stat(member)
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / TICKS_PER_S


def rss_kib(pid: int) -> int:
    """Resident memory of the family. A shared page counts for each: an upper bound."""
    return sum(resident(member) for member in family(pid))


def resident(pid: int) -> int:
    try:
        text = (PROC / str(pid) / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    lines = (line.split() for line in text.splitlines() if line.startswith("VmRSS:"))
    return next((int(words[1]) for words in lines), 0)


def filesystem(path: Path) -> str:
    """The type of the file system that holds the path, as `ext4` or `tmpfs`."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    target = path.resolve()
    holding = [words for words in mounts if target.is_relative_to(words[1])]
    return max(holding, key=lambda words: len(words[1]))[2]


def require_linux() -> None:
    if sys.platform != "linux":
        raise BenchFailedError("The benchmarks read /proc and pin cores: they need Linux.")
