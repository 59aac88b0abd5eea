"""Load on a chat endpoint: whole answers, streams, or one call after another. Loopback only.

    python bench/load.py sync --url http://127.0.0.1:8080/api/v1/external --model m --seconds 10

The key is read from `BENCH_KEY`. Prints one JSON object; times are in milliseconds. Percentiles
are of all values, sorted, not of a histogram. Every run ends: after `--seconds` or `--calls` no
call is begun, and what is under way has `--grace` seconds to end, else it counts as an error.
"""

import argparse
import asyncio
import gc
import ipaddress
import json
import os
import time
from array import array
from collections import Counter
from collections.abc import Sequence
from typing import cast
from urllib.parse import urlsplit

import httptools
import uvloop

from mock_upstream import MARK, MARK_DIGITS

PROMPT = (
    "Say in ten tokens how a gateway that keeps a durable ledger spends its time while "
    "it waits for an answer; be brief and steady."
)
ERRORS_MAX = 1000
"""A run with so many errors measures the errors; it is ended."""


class Target:
    """Where the calls go, as ready bytes."""

    def __init__(self, url: str, *, model: str, key: str, max_tokens: int, stream: bool) -> None:
        parts = urlsplit(url)
        self.host = loopback(parts.hostname)
        self.port = parts.port or 80
        body = json.dumps(
            {
                "model": model,
                "messages": [{"role": "user", "content": PROMPT}],
                "max_tokens": max_tokens,
                "stream": stream,
            },
            separators=(",", ":"),
        ).encode()
        head = (
            f"POST {parts.path.rstrip('/')}/chat/completions HTTP/1.1\r\n"
            f"host: {self.host}:{self.port}\r\nauthorization: Bearer {key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self.request = head.encode() + body


def loopback(host: str | None) -> str:
    """The address of a loopback host.

    A load generator pointed at a stranger by a slip of the finger is an attack: nothing else is
    taken.
    """
    address = "127.0.0.1" if host == "localhost" else host or ""
    try:
        if ipaddress.ip_address(address).is_loopback:
            return address
    except ValueError:
        pass
    raise SystemExit(f"{host} is not a loopback address; the load goes nowhere else.")


class Run:
    """What one run may still begin, and what it has measured; its callers report to it."""

    def __init__(self, request: bytes, *, calls_max: int | None) -> None:
        self.request = request
        self.calls_left = calls_max
        self.stopped = False
        self.in_window = False
        self.window_s = 0.0
        self.under_way = 0
        self.calls = 0
        self.chunks = 0
        self.errors: Counter[str] = Counter()
        self.first_error = ""
        self.call_ns = array("q")
        self.first_chunk_ns = array("q")
        self.chunk_ns = array("q")
        self.missing_done = 0

    @property
    def over(self) -> bool:
        return self.stopped or self.calls_left == 0

    def begin(self) -> bool:
        if self.over:
            return False
        if self.calls_left is not None:
            self.calls_left -= 1
        self.under_way += 1
        return True

    def failed(self, kind: str, said: bytes = b"") -> None:
        self.errors[kind] += 1
        self.first_error = self.first_error or f"{kind} {said[:300].decode(errors='replace')}"
        self.stopped = self.stopped or self.errors.total() >= ERRORS_MAX

    async def stop_after(self, seconds: float, *, ramp_s: float) -> None:
        """Opens the window in which chunks are measured once every stream has begun."""
        await asyncio.sleep(ramp_s)
        self.in_window = True
        opened_at = time.monotonic()
        await asyncio.sleep(seconds)
        self.in_window = False
        self.window_s = time.monotonic() - opened_at
        self.stopped = True


class Caller(asyncio.Protocol):
    """One connection that makes one call after another until the run is over."""

    transport: asyncio.Transport

    def __init__(self, run: Run) -> None:
        self.run = run
        self.parser = httptools.HttpResponseParser(self)
        self.closed = asyncio.get_running_loop().create_future()
        self.waiting = False
        self.sent_ns = 0
        self.said = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.begin()

    def begin(self) -> None:
        if not self.run.begin():
            self.transport.close()
            return
        self.waiting = True
        self.said = b""
        self.sent_ns = time.monotonic_ns()
        self.transport.write(self.run.request)

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.said = str(error).encode()
            self.transport.close()

    def on_body(self, body: bytes) -> None:
        self.said = body

    def on_message_complete(self) -> None:
        self.waiting = False
        self.run.under_way -= 1
        self.run.calls += 1
        status = self.parser.get_status_code()
        if status == 200:
            self.answered()
        else:
            self.run.failed(str(status), self.said)
        if self.parser.should_keep_alive():
            self.begin()
        else:
            self.transport.close()

    def answered(self) -> None:
        self.run.call_ns.append(time.monotonic_ns() - self.sent_ns)

    def connection_lost(self, error: Exception | None) -> None:
        if self.waiting:
            self.run.under_way -= 1
            self.run.failed("connection", self.said or str(error).encode())
        self.closed.set_result(None)


class StreamCaller(Caller):
    """As `Caller`, for streams: reads from every chunk when the mock sent it."""

    def begin(self) -> None:
        self.rest = b""
        self.begun = False
        self.error = b""
        super().begin()

    def on_body(self, body: bytes) -> None:
        now_ns = time.monotonic_ns()
        if self.rest or not body.endswith(b"\n\n"):
            body = self.whole_events(body)
        self.said = body
        at = body.find(MARK)
        if at < 0 and b'"error"' in body:
            self.error = body
        while at >= 0:
            digits = at + len(MARK)
            self.chunk_came(now_ns, int(body[digits : digits + MARK_DIGITS]))
            at = body.find(MARK, digits)

    def whole_events(self, body: bytes) -> bytes:
        """A read may end inside an event: its beginning waits for the rest."""
        body = self.rest + body
        end = body.rfind(b"\n\n") + 2 if b"\n\n" in body else 0
        self.rest = body[end:]
        return body[:end]

    def chunk_came(self, now_ns: int, sent_ns: int) -> None:
        run = self.run
        run.chunks += 1
        if run.in_window:
            run.chunk_ns.append(now_ns - sent_ns)
        if not self.begun:
            self.begun = True
            run.first_chunk_ns.append(now_ns - self.sent_ns)

    def answered(self) -> None:
        if self.error:
            self.run.failed("event", self.error)
        elif not self.said.endswith(b"data: [DONE]\n\n"):
            self.run.missing_done += 1
        else:
            super().answered()


async def keep_calling(run: Run, target: Target, caller: type[Caller], *, after_s: float) -> None:
    """One caller for the whole run; a connection that is lost is opened again."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(after_s)
    while not run.over:
        try:
            _, protocol = await loop.create_connection(
                lambda: caller(run), target.host, target.port
            )
        except OSError as error:
            run.failed("connect", str(error).encode())
            await asyncio.sleep(0.1)
            continue
        await protocol.closed


async def measure(run: Run, target: Target, options: argparse.Namespace) -> tuple[float, float]:
    """Seconds from the first call to the end of the last, or to the end of our patience; and the
    processor time they took here.
    """
    ramp_s = options.ramp if options.mode == "stream" else 0.0
    caller = StreamCaller if options.mode == "stream" else Caller
    started_at, cpu_before_s = time.monotonic(), time.process_time()
    callers = [
        asyncio.create_task(
            keep_calling(run, target, caller, after_s=ramp_s * number / options.connections)
        )
        for number in range(options.connections)
    ]
    clock = asyncio.create_task(run.stop_after(options.seconds, ramp_s=ramp_s))
    patience_s = ramp_s + options.seconds + options.grace
    _, unfinished = await asyncio.wait(callers, timeout=patience_s)
    elapsed_s = time.monotonic() - started_at
    for task in (clock, *unfinished):
        task.cancel()
    if run.under_way:
        run.errors["unfinished"] += run.under_way
    return elapsed_s, time.process_time() - cpu_before_s


# What is reported -----------------------------------------------------------------------------


def percentiles(values_ns: Sequence[int]) -> dict[str, float] | None:
    """p50, p90, p99 and the largest, in milliseconds; None where nothing was measured."""
    if not values_ns:
        return None
    ordered = sorted(values_ns)
    last = len(ordered) - 1
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {name: round(ordered[int(last * share)] / 1e6, 3) for name, share in shares.items()}


def report(run: Run, *, mode: str, elapsed_s: float, cpu_s: float) -> dict[str, object]:
    facts: dict[str, object] = {
        "mode": mode,
        "calls": run.calls,
        "calls_per_s": round(run.calls / elapsed_s, 1),
        "elapsed_s": round(elapsed_s, 3),
        "errors": dict(run.errors),
        "first_error": run.first_error,
        "call_ms": percentiles(run.call_ns),
        "load_cpu_s": round(cpu_s, 3),
    }
    if mode == "stream":
        window_s = run.window_s or elapsed_s
        facts |= {
            "chunks": run.chunks,
            "chunks_per_s": round(len(run.chunk_ns) / window_s, 1),
            "added_ms": percentiles(run.chunk_ns),
            "first_chunk_ms": percentiles(run.first_chunk_ns),
            "missing_done": run.missing_done,
        }
    return facts


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("mode", choices=("sync", "stream", "lone"))
    parser.add_argument("--url", required=True, help="what stands before /chat/completions")
    parser.add_argument("--model", default="bench")
    parser.add_argument("--connections", type=int, default=64, help="1 to 10000; 1 for lone")
    parser.add_argument("--seconds", type=float, default=10, help="how long calls are begun")
    parser.add_argument("--calls", type=int, default=None, help="at most so many calls")
    parser.add_argument("--ramp", type=float, default=1, help="streams begin within so many s")
    parser.add_argument("--grace", type=float, default=30, help="for what is under way at the end")
    parser.add_argument("--max-tokens", type=int, default=64)
    options = parser.parse_args()
    if not (0 < options.connections <= 10_000 and 0 < options.seconds <= 3600):
        parser.error("--connections from 1 to 10000, --seconds above 0 to 3600")
    if options.mode == "lone":
        options.connections = 1
    return options


def main() -> None:
    options = read_options()
    key = os.environ.get("BENCH_KEY", "none")
    target = Target(
        options.url,
        model=options.model,
        key=key,
        max_tokens=options.max_tokens,
        stream=options.mode == "stream",
    )
    # A collection here would be taken for the gateway's delay.
    gc.disable()
    run = Run(target.request, calls_max=options.calls)
    elapsed_s, cpu_s = uvloop.run(measure(run, target, options))
    print(json.dumps(report(run, mode=options.mode, elapsed_s=elapsed_s, cpu_s=cpu_s)))


if __name__ == "__main__":
    main()
