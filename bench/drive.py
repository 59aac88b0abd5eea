"""Starts the mock and the load as programs of their own, and says what a run cost each side."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway import http_get
from processes import BenchFailedError, Cores, clean_environ, cpu_s, rss_kib, running, said_last

HERE = Path(__file__).resolve().parent
SAMPLE_S = 0.5


@dataclass(frozen=True)
class Size:
    """How long and how wide the runs are."""

    seconds: float = 10
    connections: int = 64
    streams: int = 1000
    chunks: int = 250
    pace_ms: int = 20
    lone_calls: int = 2000


@dataclass(frozen=True)
class Mock:
    """A running mock upstream."""

    pid: int
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def counts(self) -> dict[str, int]:
        found: dict[str, int] = json.loads(http_get(self.port, "/counts")[1])
        return found


@contextmanager
def mock_upstream(size: Size, *, cores: Cores, folder: Path) -> Iterator[Mock]:
    log = folder / "mock.log"
    shape = ("--chunks", str(size.chunks), "--pace-ms", str(size.pace_ms))
    command = [sys.executable, str(HERE / "mock_upstream.py"), *shape]
    with running(
        command, environ=clean_environ(), cores=cores.rest, log=log, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        line = process.stdout.readline()
        if not line:
            raise BenchFailedError(f"The mock upstream did not start:\n{said_last(log)}")
        yield Mock(process.pid, json.loads(line)["port"])


@dataclass(frozen=True)
class Target:
    """Who is called: the gateway, a peer, or the mock itself. `pid` is the process that is watched,
    `others` are the ones that share the cores of the load.
    """

    url: str
    pid: int
    others: tuple[int, ...]
    model: str
    key: str = "none"


@dataclass(frozen=True)
class Loaded:
    """What the load reports, and what the run cost."""

    facts: dict[str, Any]
    target_cpu_s: float
    others_busy: float
    """Share of their cores that load, mock and database took: near 1, they were the limit."""

    rss_before_kib: int
    rss_peak_kib: int

    @property
    def failures(self) -> int:
        errors: dict[str, int] = self.facts["errors"]
        missing: int = self.facts.get("missing_done", 0)
        return missing + sum(errors.values())


def drive(mode: str, target: Target, *, cores: Cores, folder: Path, **options: float) -> Loaded:
    """One run of `load.py`; its options are given by name."""
    log = folder / "load.log"
    command = [sys.executable, str(HERE / "load.py"), mode, "--url", target.url]
    command += ["--model", target.model]
    for name, value in options.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    before_s, others_before_s = cpu_s(target.pid), sum(map(cpu_s, target.others))
    rss_before = rss_kib(target.pid)
    with running(
        command,
        environ=clean_environ(BENCH_KEY=target.key),
        cores=cores.rest,
        log=log,
        stdout=subprocess.PIPE,
    ) as process:
        rss_peak = watched(process, lambda: rss_kib(target.pid))
        assert process.stdout
        said = process.stdout.read()
    if process.returncode:
        raise BenchFailedError(f"The load ended with {process.returncode}:\n{said_last(log)}")
    facts = json.loads(said)
    others_s = sum(map(cpu_s, target.others)) - others_before_s + facts["load_cpu_s"]
    return Loaded(
        facts=facts,
        target_cpu_s=cpu_s(target.pid) - before_s,
        others_busy=others_s / (facts["elapsed_s"] * len(cores.rest)),
        rss_before_kib=rss_before,
        rss_peak_kib=max(rss_before, rss_peak),
    )


def watched(process: subprocess.Popen[str], figure: Callable[[], int]) -> int:
    """The largest value of the figure while the process runs."""
    peak = 0
    while process.poll() is None:
        peak = max(peak, figure())
        time.sleep(SAMPLE_S)
    return peak
