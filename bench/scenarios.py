"""What is measured, and against which aim. Each scenario meets a freshly started gateway."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from drive import Loaded, Mock, Size, Target, drive, mock_upstream
from gateway import Gateway
from processes import Cores, rss_kib, said_last
from table import Row, at_least, below, exactly

WARM_UP_CALLS = 10
SATURATED = 0.9
"""From this share of their cores on, mock, load and database may be the limit."""

LATE_MS = 100
CHUNKS_PER_S = 40_000


@dataclass
class Bench:
    """One gateway on one database with its mock, and what was found so far."""

    database: str
    gateway: Gateway
    mock: Mock
    size: Size
    cores: Cores
    folder: Path
    database_pid: int | None = None
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def target(self, pid: int) -> Target:
        others = (self.mock.pid, self.database_pid) if self.database_pid else (self.mock.pid,)
        gateway = self.gateway
        return Target(gateway.url, pid, others, model=gateway.model, key=gateway.key)

    def warm_up(self, pid: int) -> None:
        self.drive("lone", pid, calls=WARM_UP_CALLS, seconds=10)

    def drive(self, mode: str, pid: int, **options: float) -> Loaded:
        target = self.target(pid)
        return drive(mode, target, cores=self.cores, folder=self.folder, **options)

    def add_common(self, name: str, loaded: Loaded) -> None:
        """No call may fail, and the reader must know when the other side was the limit."""
        self.rows.append(exactly(self.database, f"{name}: failed calls", loaded.failures, 0))
        if loaded.failures:
            self.notes.append(f"{self.database} {name}: {loaded.facts['first_error']}")
        if loaded.others_busy > SATURATED:
            self.notes.append(
                f"{self.database} {name}: load, mock and database were busy "
                f"{loaded.others_busy:.0%} of the time; the gateway may be faster than this."
            )


def idle(bench: Bench, pid: int) -> None:
    mebibytes = rss_kib(pid) / 1024
    bench.rows.append(below(bench.database, "idle: memory", mebibytes, 120, "MiB"))


def lone(bench: Bench, pid: int) -> None:
    """What the gateway adds to one call at a time: its latency less that of the mock alone.

    The mock that is called directly is another one: this one's calls must all have been charged.
    """
    options = {"calls": bench.size.lone_calls, "seconds": 60}
    with mock_upstream(bench.size, cores=bench.cores, folder=bench.folder) as mock:
        straight = Target(mock.url, mock.pid, (), model="bench")
        alone = drive("lone", straight, cores=bench.cores, folder=bench.folder, **options)
    loaded = bench.drive("lone", pid, **options)
    bench.add_common("lone call", loaded)
    if not loaded.facts["call_ms"]:
        return
    for share in ("p50", "p99"):
        added = loaded.facts["call_ms"][share] - alone.facts["call_ms"][share]
        what = f"lone call: added {share}"
        if share == "p50" and bench.database == "sqlite":
            bench.rows.append(below(bench.database, what, added, 2, "ms"))
        else:
            bench.rows.append(Row(bench.database, what, added, "ms"))


def sync(bench: Bench, pid: int) -> None:
    size = bench.size
    loaded = bench.drive("sync", pid, seconds=size.seconds, connections=size.connections)
    bench.add_common("sync", loaded)
    if not loaded.facts["call_ms"]:
        return
    facts, on = loaded.facts, bench.database
    per_s = facts["calls_per_s"]
    bench.rows += [
        at_least(on, "sync: calls, the floor", per_s, 5_000, "1/s"),
        at_least(on, "sync: calls", per_s, 12_000, "1/s"),
        Row(on, "sync: p50", facts["call_ms"]["p50"], "ms"),
        below(on, "sync: p99", facts["call_ms"]["p99"], 10, "ms"),
        Row(on, "sync: gateway CPU per call", loaded.target_cpu_s / facts["calls"] * 1e6, "us"),
        Row(on, "sync: gateway core busy", busy(loaded), "%"),
    ]


def stream(bench: Bench, pid: int) -> None:
    size = bench.size
    late_before_ms = bench.mock.counts()["late_ms"]
    loaded = bench.drive(
        "stream",
        pid,
        seconds=size.seconds,
        connections=size.streams,
        max_tokens=size.chunks,
        grace=30 + size.chunks * size.pace_ms / 1000,
    )
    bench.add_common("stream", loaded)
    late_ms = bench.mock.counts()["late_ms"] - late_before_ms
    if late_ms > LATE_MS:
        bench.notes.append(
            f"{bench.database} stream: the mock fell {late_ms} ms behind its pace, and offered "
            "fewer chunks than it should."
        )
    if not loaded.facts["added_ms"]:
        return
    facts, on = loaded.facts, bench.database
    grown_kib = (loaded.rss_peak_kib - loaded.rss_before_kib) / size.streams
    offered, per_s = size.streams * 1000 / size.pace_ms, facts["chunks_per_s"]
    bench.rows += [
        Row(on, "stream: offered chunks", offered, "1/s"),
        at_least(on, "stream: chunks", per_s, CHUNKS_PER_S, "1/s")
        if offered >= CHUNKS_PER_S
        else Row(on, "stream: chunks", per_s, "1/s"),
        Row(on, "stream: added p50 per chunk", facts["added_ms"]["p50"], "ms"),
        below(on, "stream: added p99 per chunk", facts["added_ms"]["p99"], 20, "ms"),
        Row(on, "stream: first chunk p50", facts["first_chunk_ms"]["p50"], "ms"),
        Row(on, "stream: first chunk p99", facts["first_chunk_ms"]["p99"], "ms"),
        Row(on, "stream: gateway CPU per chunk", loaded.target_cpu_s / facts["chunks"] * 1e6, "us"),
        Row(on, "stream: gateway core busy", busy(loaded), "%"),
        below(on, "stream: memory per stream", grown_kib, 100, "KiB"),
    ]


def busy(loaded: Loaded) -> float:
    share: float = 100 * loaded.target_cpu_s / loaded.facts["elapsed_s"]
    return share


Scenario = Callable[[Bench, int], None]
SCENARIOS: dict[str, Scenario] = {"lone": lone, "sync": sync, "stream": stream}


def measure(bench: Bench, names: list[str]) -> None:
    """The scenarios in turn, then whether every call that was served was charged, once."""
    for name in names:
        with bench.gateway.serving() as pid:
            if name == names[0]:
                idle(bench, pid)
            bench.warm_up(pid)
            SCENARIOS[name](bench, pid)
    with bench.gateway.serving():
        compare_charges(bench)
    check_end(bench)


def compare_charges(bench: Bench) -> None:
    served = bench.mock.counts()
    charged = bench.gateway.charged(calls=served["calls"])
    held = str(bench.gateway.told("/balance")["held"])
    bench.rows += [
        exactly(bench.database, "charged calls = served", charged["requests"], served["calls"]),
        exactly(
            bench.database,
            "charged tokens = served",
            charged["total_tokens"],
            served["prompt_tokens"] + served["completion_tokens"],
        ),
        exactly(bench.database, "money still held", float(held), 0.0),
    ]


def check_end(bench: Bench) -> None:
    """Every server that was stopped had nothing left, and the ledger it left behind is whole."""
    unclean = sum(status != 0 for status in bench.gateway.exits)
    bench.rows.append(exactly(bench.database, "stops that were not clean", unclean, 0))
    if unclean:
        bench.notes.append(f"{bench.database}: {said_last(bench.gateway.log)}")
    broken = bench.gateway.verify_ledger()
    verdict = "holds" if broken is None else "broken"
    bench.rows.append(exactly(bench.database, "altyn ledger verify", verdict, "holds"))
    if broken is not None:
        bench.notes.append(broken)
