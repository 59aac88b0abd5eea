"""The caller leaves: at every chunk, politely and rudely. Who pays is clear; nothing leaks."""

import asyncio
import threading
import time
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from books import books_agree, look, losses
from calls import Line, wait_until
from shops import Shop, open_shop

from altyn.gateway import desk as desk_module
from altyn.keys.store import KeyRules
from altyn.upstream import provider as provider_module
from fakes.gateway import Gateway
from fakes.openai_server import FakeOpenAI, Reply

EVENTS = 7
"""Events before the end: the role, five words, the finish reason. Then come usage and `[DONE]`."""
WHOLE_ANSWER_TOKENS = 6
WAYS = ("fin", "rst")


def leave(line: Line, way: str) -> None:
    line.leave_with_fin() if way == "fin" else line.leave_with_rst()


def wait_until_left(gateway: Gateway) -> None:
    """Until the gateway knows that its caller is gone."""
    wait_until(
        lambda: all(attempt.left_s is not None for attempt in tuple(gateway.app.desk.attempts))
    )


def connections(gateway: Gateway) -> int:
    return len(gateway._server.server_state.connections)


@pytest.fixture
def stops_on_abort(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake vendor is one of those who stop billing when the connection closes."""
    monkeypatch.setattr(provider_module, "STOPS_ON_ABORT", frozenset({"localhost"}))


def hang_up_at(
    shop: Shop,
    events: int,
    way: str,
    *,
    path: str = "/chat/stream",
    key: str = "",
    pause_s: float = 0.0,
) -> None:
    """Leave after so many events, while the vendor waits before the next one."""
    gateway, customer, vendor = shop
    vendor.stop_here()
    vendor.says(Reply(comments=0, wait_after=events, pause_s=pause_s))
    calls = len(vendor.calls)
    line = Line(gateway)
    line.ask(gateway, key or customer.key, path=path, stream=True)
    wait_until(lambda: len(vendor.calls) > calls)
    line.hear_events(events)
    leave(line, way)
    wait_until_left(gateway)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("events", range(EVENTS + 1))
def test_a_stream_left_half_way_is_read_on_and_charged_by_its_usage(
    small_shop: Shop, events: int, way: str
) -> None:
    hang_up_at(small_shop, events, way)
    small_shop.vendor.go_on()

    (generation,) = books_agree(*small_shop)
    assert (generation["outcome"], generation["status"]) == ("charged_cancelled", "cancelled")
    assert generation["completion_tokens"] == WHOLE_ANSWER_TOKENS
    assert losses(small_shop.gateway, small_shop.customer) == []


def test_the_same_on_either_database(shop: Shop) -> None:
    hang_up_at(shop, 3, "rst", path="/chat/completions")
    shop.vendor.go_on()

    (generation,) = books_agree(*shop)
    assert generation["outcome"] == "charged_cancelled"


@pytest.mark.parametrize("way", WAYS)
def test_a_stream_left_after_its_end_is_charged(small_shop: Shop, way: str) -> None:
    gateway, customer, _ = small_shop
    line = Line(gateway)
    line.ask(gateway, customer.key)
    line.hear_events(EVENTS + 2)

    leave(line, way)

    (generation,) = books_agree(*small_shop)
    assert b"[DONE]" in line.heard
    assert generation["outcome"] == "charged"


@pytest.mark.usefixtures("stops_on_abort")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("events", range(1, EVENTS + 1))
def test_where_leaving_stops_the_bill_the_call_is_stopped_and_estimated(
    small_shop: Shop, events: int, way: str
) -> None:
    hang_up_at(small_shop, events, way)

    (generation,) = books_agree(small_shop.gateway, small_shop.customer)
    assert (generation["outcome"], generation["status"]) == ("charged_estimated", "cancelled")
    assert 0 < Decimal(generation["cost"]) <= Decimal(generation["held"])
    assert generation["completion_tokens"] <= WHOLE_ANSWER_TOKENS


@pytest.mark.usefixtures("stops_on_abort")
def test_a_call_left_before_its_first_event_is_stopped_at_that_event(small_shop: Shop) -> None:
    gateway, customer, vendor = small_shop
    hang_up_at(small_shop, 0, "fin", pause_s=0.2)

    vendor.go_on()

    (generation,) = books_agree(gateway, customer)
    assert generation["outcome"] == "charged_estimated"
    assert generation["completion_tokens"] == 0
    assert Decimal(generation["cost"]) > 0


@pytest.mark.parametrize("way", WAYS)
def test_a_whole_answer_nobody_waits_for_is_charged_by_its_usage(
    small_shop: Shop, way: str
) -> None:
    gateway, customer, vendor = small_shop
    vendor.says(Reply(wait_after=0))
    line = Line(gateway)
    line.ask(gateway, customer.key, path="/chat/completions")
    wait_until(lambda: bool(vendor.calls))

    leave(line, way)
    wait_until(lambda: connections(gateway) == 0)
    vendor.go_on()

    (generation,) = books_agree(*small_shop)
    assert generation["outcome"] == "charged_cancelled"
    assert generation["completion_tokens"] == WHOLE_ANSWER_TOKENS


@pytest.mark.parametrize("way", WAYS)
def test_leaving_before_anything_is_heard_leaves_true_books(small_shop: Shop, way: str) -> None:
    gateway, customer, vendor = small_shop
    for _ in range(20):
        line = Line(gateway)
        line.ask(gateway, customer.key)
        leave(line, way)

    # Connections are taken in the order in which they came: after this one, all of them were.
    look(gateway, customer.key, "/balance")
    wait_until(lambda: connections(gateway) == 0)

    generations = books_agree(gateway, customer, vendor)
    assert len(generations) == len(vendor.billed)


def test_a_vendor_that_fails_after_the_caller_left_is_not_paid_by_the_caller(
    small_shop: Shop,
) -> None:
    gateway, customer, vendor = small_shop
    vendor.says(Reply(comments=0, wait_after=3, error={"code": 502, "message": "gone"}))
    line = Line(gateway)
    line.ask(gateway, customer.key)
    line.hear_events(3)
    line.leave_with_rst()
    wait_until_left(gateway)

    vendor.go_on()

    (generation,) = books_agree(*small_shop)
    assert generation["outcome"] == "free_broken"
    assert generation["cost"] == "0.000000000"
    assert [reason for _, reason in losses(gateway, customer)] == ["free_broken"]


def test_a_vendor_that_goes_on_for_too_long_is_stopped_and_estimated(
    openrouter: FakeOpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "WATCH_S", 0.02)
    with Gateway(tmp_path / "home", drain_after_leave_s="0.1") as gateway:
        shop = open_shop(gateway, openrouter)
        openrouter.says(Reply(comments=0, wait_after=4))
        line = Line(gateway)
        line.ask(gateway, shop.customer.key)
        line.hear_events(4)

        line.leave_with_fin()

        (generation,) = books_agree(gateway, shop.customer)
        assert generation["outcome"] == "charged_estimated"


def test_only_so_many_answers_are_read_on_at_once(openrouter: FakeOpenAI, tmp_path: Path) -> None:
    with Gateway(tmp_path / "home", drain_after_leave_max="2") as gateway:
        shop = open_shop(gateway, openrouter)
        openrouter.says(*[Reply(comments=0, wait_after=4)] * 5)
        lines = [Line(gateway) for _ in range(5)]
        for line in lines:
            line.ask(gateway, shop.customer.key)
            line.hear_events(4)

        for line in lines:
            line.leave_with_rst()
        wait_until_left(gateway)
        wait_until(lambda: len(gateway.app.desk.attempts) == 2)
        openrouter.go_on()

        outcomes = sorted(card["outcome"] for card in books_agree(gateway, shop.customer))
        assert outcomes == ["charged_cancelled"] * 2 + ["charged_estimated"] * 3


@pytest.mark.usefixtures("stops_on_abort")
def test_leaving_while_the_money_is_settled_does_not_stop_the_settlement(
    small_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, customer, _ = small_shop
    desk, gate, settling = gateway.app.desk, asyncio.Event(), threading.Event()
    settle = desk.settle

    async def settle_slowly(*ended: Any) -> Any:
        settling.set()
        await gate.wait()
        return await settle(*ended)

    monkeypatch.setattr(desk, "settle", settle_slowly)
    line = Line(gateway)
    line.ask(gateway, customer.key)
    assert settling.wait(10)

    line.leave_with_rst()
    wait_until(lambda: connections(gateway) == 0)
    gateway._loop.call_soon_threadsafe(gate.set)

    (generation,) = books_agree(*small_shop)
    assert generation["outcome"] == "charged"


# Nothing is left behind -----------------------------------------------------------------------


def open_sockets(gateway: Gateway) -> int:
    """But for the connections that rest until the next call, with both their ends in this process.

    Sockets alone: the readers of SQLite open their files when they are first needed.
    """
    resting = sum(len(pool._idle) for pool in gateway.app.client._pools.values())
    count = -2 * resting
    for path in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            count += str(path.readlink()).startswith("socket:")
    return count


def test_nothing_is_left_behind_by_those_who_left(small_shop: Shop) -> None:
    gateway, customer, vendor = small_shop
    hang_up_at(small_shop, 0, "fin")
    vendor.go_on()
    gateway.wait_until_idle()
    sockets, tasks = open_sockets(gateway), count_tasks(gateway)
    threads = threading.active_count()
    # One place: a call that did not give it back would refuse the next.
    key = gateway.add_key(customer.account_id, rules=KeyRules(parallel_requests=1))

    for number in range(30):
        hang_up_at(small_shop, number % EVENTS, WAYS[number % 2], key=key)
        vendor.go_on()
        gateway.wait_until_idle()

    wait_until(lambda: connections(gateway) == 0)
    assert gateway.app.desk.attempts == set()
    assert len(books_agree(*small_shop)) == len(vendor.calls) == 31
    wait_until(lambda: count_tasks(gateway) <= tasks)
    wait_until(lambda: open_sockets(gateway) <= sockets)
    assert threading.active_count() == threads
    assert gateway.read("SELECT * FROM holds") == []


def count_tasks(gateway: Gateway) -> int:
    async def count() -> int:
        return len(asyncio.all_tasks())

    return gateway.run(count())


# Slow readers ---------------------------------------------------------------------------------

LONG = Reply(comments=0, pause_s=0.001, text=" ".join(["x" * 10_000] * 2000))
"""20 MB: more than every buffer between the vendor and a reader who does not read. Word by word: if
the vendor writes as fast as it can, the kernel lets the gateway's own buffer grow to 32 MB.
"""


def stall(shop: Shop) -> Line:
    """Ask for a long answer and stop reading after its first words."""
    shop.vendor.says(LONG)
    line = Line(shop.gateway, receive_buffer_bytes=4096)
    line.ask(shop.gateway, shop.customer.key, max_tokens=8192)
    line.hear_events(2)
    return line


def stands_still(shop: Shop) -> bool:
    before = shop.vendor.billed[-1]["completion_tokens"]
    time.sleep(0.3)
    return shop.vendor.billed[-1]["completion_tokens"] == before


def test_a_reader_who_does_not_read_slows_the_vendor_down(small_shop: Shop) -> None:
    gateway, _, vendor = small_shop

    line = stall(small_shop)
    wait_until(lambda: stands_still(small_shop))

    assert vendor.billed[-1]["completion_tokens"] < 1500
    (attempt,) = gateway.app.desk.attempts
    assert attempt._stream._body.buffered_bytes < 2**20
    line.leave_with_rst()
    gateway.wait_until_idle(30)


def test_a_reader_who_takes_nothing_counts_as_gone(
    small_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = small_shop.gateway
    monkeypatch.setattr(desk_module, "STALL_S", 0.3)
    monkeypatch.setattr(desk_module, "WATCH_S", 0.05)

    line = stall(small_shop)
    gateway.wait_until_idle(30)

    (generation,) = books_agree(*small_shop)
    assert generation["status"] == "cancelled"
    assert generation["outcome"] == "charged_cancelled"
    # Also the connection is gone, although nobody took what was written to it.
    wait_until(lambda: connections(gateway) == 0)
    line.leave_with_rst()
