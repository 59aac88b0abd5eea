"""How long the cabinet's pages take for an account with very many records, on SQLite.

`PYTHONPATH=src:tests:tests/web python bench/cabinet.py [RECORDS]` fills a database of its own, asks
each page as a browser would and prints the median and the 95th of a hundred answers, in ms, and the
processor's time for one, the asking included: on a busy machine only that can be compared.

`python bench/cabinet.py beside [RECORDS] [SECONDS]` tells whether paid calls wait for the pages:
one call after the other, first alone, then while somebody opens two of these pages a second, then
as many as come, and alone again. Callers and reader are programs of their own. Prints the p50 and
p99 of the calls, in ms.
"""

import json
import os
import random
import select
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from people import Person, sign_in

from altyn.database.engine import now_ms
from fakes.gateway import Gateway

DAYS = 30
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
TIMES = 100
MODELS = tuple(f"vendor/model-{number}" for number in range(8))
STATUSES = ("success",) * 97 + ("error", "error", "cancelled")
PAGES = (
    "/app",
    "/app/go?q=model",
    "/app/usage",
    "/app/usage?mode=live",
    "/app/usage?group=day&show=tokens&period=7d",
    "/app/usage?group=key&model=vendor/model-1",
    "/app/usage?period=today",
    "/app/requests",
    "/app/requests?status=error",
    "/app/requests?status=cancelled&model=vendor/model-7",
    "/app/requests?model=vendor/rare",
    "/app/billing",
    "/app/billing?kind=deposit",
    "/app/billing/statements/{month}",
    "/app/requests/req_{request}",
)


def records(count: int, account: int, keys: list[int]) -> Iterator[tuple[Any, ...]]:
    """Requests in the order of time, evenly over the days, a few of them of a rare model."""
    chance, start = random.Random(3), now_ms() - DAYS * DAY_MS
    for number in range(count):
        at = start + number * (DAYS * DAY_MS - HOUR_MS) // count
        status = chance.choice(STATUSES)
        key = chance.randrange(len(keys))
        # A program calls a few models, not all of them.
        model = "vendor/rare" if number % 50_000 == 7 else MODELS[key * 2 + chance.randrange(2)]
        charge = 0 if status == "error" else chance.randrange(1_000, 900_000)
        tokens = (None, None) if status == "error" else (chance.randrange(9_000), 300)
        name = f"{at:012x}{number:016x}"
        yield (name, account, keys[key], model, at, status, *tokens, charge)


def fill(path: Path, count: int, account: int, keys: list[int]) -> str:
    """Write records, hours and a chain of entries past the ledger; the id of a record in it."""
    connection = sqlite3.connect(path)
    connection.executemany(
        "INSERT INTO usage_records (request_id, account_id, key_id, mode, model, created_at,"
        " status, outcome, streamed, input_uncached, output_text, charge_nanos, hold_nanos,"
        " attempts, latency_ms, cache_read, cache_write_5m, cache_write_1h, audio_input, reasoning,"
        " image, web_searches, written_on_top) VALUES (?1, ?2, ?3, 'live', ?4, ?5, ?6,"
        " CASE ?6 WHEN 'error' THEN 'free_broken' WHEN 'cancelled' THEN 'charged_cancelled'"
        " ELSE 'charged' END, 0, ?7, ?8, ?9, ?9, 1, 900, 0, 0, 0, 0, 0, 0, 0, 0)",
        records(count, account, keys),
    )
    connection.execute(
        "INSERT INTO usage_hours SELECT account_id, created_at - created_at % 3600000, key_id,"
        " model, mode, status, COUNT(*), SUM(COALESCE(input_uncached, 0)),"
        " SUM(COALESCE(output_text, 0)), SUM(charge_nanos), SUM(input_uncached IS NULL)"
        " FROM usage_records WHERE account_id = ? GROUP BY 1, 2, 3, 4, 5, 6",
        (account,),
    )
    ((posted, length),) = connection.execute(
        "SELECT posted_nanos, chain_length FROM accounts WHERE id = ?", (account,)
    )
    connection.execute(
        "INSERT INTO entries (at, debit_account_id, credit_account_id, amount_nanos, kind, ref,"
        " chain_account_id, chain_number, balance_after_nanos) SELECT created_at, ?1, (SELECT"
        " MIN(id) FROM accounts WHERE kind = 'revenue'), charge_nanos, 'settle', request_id, ?1,"
        " ?2 + ROW_NUMBER() OVER w, ?3 - SUM(charge_nanos) OVER w FROM usage_records"
        " WHERE account_id = ?1 AND charge_nanos > 0 WINDOW w AS (ORDER BY created_at, request_id)",
        (account, length, posted),
    )
    connection.execute(
        "UPDATE accounts SET chain_length = ?2 + (SELECT COUNT(*) FROM entries WHERE"
        " chain_account_id = ?1 AND kind = 'settle'), posted_nanos = ?3 - (SELECT"
        " SUM(amount_nanos) FROM entries WHERE chain_account_id = ?1 AND kind = 'settle')"
        " WHERE id = ?1",
        (account, length, posted),
    )
    connection.execute(
        "UPDATE accounts SET posted_nanos = posted_nanos + (SELECT SUM(amount_nanos) FROM entries"
        " WHERE chain_account_id = ? AND kind = 'settle') WHERE id = (SELECT MIN(id) FROM accounts"
        " WHERE kind = 'revenue')",
        (account,),
    )
    connection.commit()
    ((request,),) = connection.execute("SELECT MAX(request_id) FROM usage_records")
    connection.close()
    return str(request)


@contextmanager
def filled(count: int) -> Iterator[tuple[Gateway, Person, str, list[str]]]:
    """A gateway, a customer with so many records, a live key of theirs, and pages to ask for."""
    limits = {"requests_per_minute": "100000000", "parallel_requests": "100000"}
    with (
        tempfile.TemporaryDirectory() as folder,
        Gateway(Path(folder) / "home", **limits) as gateway,
        sign_in(gateway) as person,
    ):
        gateway.deposit(person.account_id, "1000000", "bench")
        made = [person.create_key(f"key {number}") for number in range(4)]
        path = Path(gateway.settings.database_url.removeprefix("sqlite:///"))
        request = fill(path, count, person.account_id, [key_id for key_id, _ in made])
        month = time.strftime("%Y-%m", time.gmtime(now_ms() / 1000 - 15 * 86_400))
        pages = [page.format(month=month, request=request) for page in PAGES]
        yield gateway, person, made[0][1], pages


def measure(count: int) -> None:
    with filled(count) as (gateway, person, _, pages):
        for address in pages:
            gateway.app.cabinet.forget_rates()
            spent_ms, bytes_, worked_s = [], 0, time.process_time()
            for _ in range(TIMES):
                started_s = time.perf_counter()
                answer = person.get(address)
                spent_ms.append((time.perf_counter() - started_s) * 1000)
                assert answer.status_code == 200, (address, answer.status_code)
                bytes_ = len(answer.content)
            worked_ms = (time.process_time() - worked_s) * 1000 / TIMES
            spent_ms.sort()
            middle, high = spent_ms[TIMES // 2], spent_ms[TIMES * 95 // 100]
            print(
                f"{address:52} p50 {middle:6.1f}  p95 {high:6.1f}  cpu {worked_ms:5.1f} ms"
                f"  {bytes_ // 1024:4} KB",
                flush=True,
            )


# Beside paid calls ----------------------------------------------------------------------------


READERS = {"alone": None, "two pages a second": 0.5, "as many as come": 0.0, "alone again": None}
"""For how long, in s, somebody rests between two pages; None: nobody is there."""


def measure_beside(count: int, seconds: float) -> None:
    """Paid calls with nobody at the pages, with somebody, and with nobody again."""
    with filled(count) as (gateway, person, key, pages):
        call(gateway, key, seconds=1)
        for name, pause_s in READERS.items():
            reader = browse(person, pages, pause_s) if pause_s is not None else None
            told = call(gateway, key, seconds=seconds)
            opened = stop(reader) if reader is not None else "no pages"
            times = told["call_ms"]
            print(
                f"{name:24} p50 {times['p50']:7.2f}  p99 {times['p99']:7.2f} ms"
                f"  {told['calls']:6} calls, {sum(told['errors'].values())} errors; {opened}",
                flush=True,
            )


def call(gateway: Gateway, key: str, *, seconds: float) -> dict[str, Any]:
    """One paid call to the sandbox after the other, by a program of its own."""
    load = (sys.executable, str(Path(__file__).with_name("load.py")), "lone", "--url", gateway.base)
    done = subprocess.run(
        [*load, "--model", "sandbox/echo", "--seconds", str(seconds)],
        env={**os.environ, "BENCH_KEY": key},
        stdout=subprocess.PIPE,
        check=True,
        timeout=seconds + 60,
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def browse(person: Person, pages: list[str], pause_s: float) -> subprocess.Popen[str]:
    words = [sys.executable, __file__, "browse", person.gateway.url, str(pause_s), *pages]
    environ = {**os.environ, "BENCH_SESSION": person.session or ""}
    reader = subprocess.Popen(
        words, env=environ, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert reader.stdout is not None
    reader.stdout.readline()  # it has begun
    return reader


def stop(reader: subprocess.Popen[str]) -> str:
    opened, _ = reader.communicate("enough\n", timeout=60)
    return opened.strip()


def open_pages(url: str, pause_s: float, pages: list[str]) -> None:
    """Somebody who opens a page, rests, and opens the next, until anything is said to them. A page
    that is refused because they are too quick for a person is waited for.
    """
    cookies = {"altyn_session": os.environ["BENCH_SESSION"]}
    spent_ms: list[float] = []
    enough = select.poll()
    enough.register(sys.stdin, select.POLLIN)
    with httpx.Client(base_url=url, cookies=cookies, timeout=60) as client:
        print("begun", flush=True)
        while not enough.poll(pause_s * 1000):
            started_s = time.perf_counter()
            answer = client.get(pages[len(spent_ms) % len(pages)])
            if answer.status_code == 429:
                time.sleep(0.05)
                continue
            assert answer.status_code == 200, (answer.url, answer.status_code)
            spent_ms.append((time.perf_counter() - started_s) * 1000)
    middle = sorted(spent_ms)[len(spent_ms) // 2] if spent_ms else 0
    print(f"{len(spent_ms)} pages opened, p50 {middle:.1f} ms")


def main(words: list[str]) -> None:
    if words[:1] == ["browse"]:
        open_pages(words[1], float(words[2]), words[3:])
    elif words[:1] == ["beside"]:
        numbers = [*words[1:], *("1000000", "10")[len(words) - 1 :]]
        measure_beside(int(numbers[0]), float(numbers[1]))
    else:
        measure(int(words[0]) if words else 1_000_000)


if __name__ == "__main__":
    main(sys.argv[1:])
