"""Attempts that take too long, lose their caller or their process: over HTTP, with short clocks."""

import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from altyn.database.engine import StoreUnavailableError, now_ms
from altyn.gateway import desk as desks
from altyn.gateway import recovery
from fakes.caller import Caller
from fakes.gateway import Gateway
from fakes.openai_server import Reply

MODEL = "openai/gpt-oss-120b"
SLOW = Reply(text="word " * 60, pause_s=0.05)


@pytest.fixture
def short(tmp_path, vendor, monkeypatch):
    """`short(attempt_timeout_s="0.2")`: a gateway with these settings, that looks often."""
    monkeypatch.setattr(desks, "WATCH_S", 0.02)
    running: list[Gateway] = []

    def start(**settings: str) -> Gateway:
        gateway = Gateway(tmp_path / "short", **settings)
        gateway.start()
        running.append(gateway)
        gateway.add_upstream(vendor.base_url, MODEL, secret=vendor.key, upstream_model="test-model")
        return gateway

    yield start
    for gateway in running:
        gateway.wait_until_idle()
        gateway.verify()
        gateway.stop()


def begin(gateway: Gateway, customer, path: str = "/chat/stream") -> socket.socket:
    """Send a chat and wait until its answer has begun."""
    address = gateway.url.removeprefix("http://").split(":")
    connection = socket.create_connection((address[0], int(address[1])), 10)
    body = b'{"model":"%b","messages":[{"role":"user","content":"x"}]}' % MODEL.encode()
    connection.sendall(
        b"POST /api/v1/external%b HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (path.encode(), customer.key.encode(), len(body), body)
    )
    if path == "/chat/stream":
        assert connection.recv(10)
    return connection


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def last_record(gateway: Gateway):
    rows = gateway.read(
        "SELECT outcome, status, charge_nanos, error_code FROM usage_records"
        " ORDER BY created_at DESC LIMIT 1"
    )
    return tuple(rows[0])


def test_an_answer_that_takes_too_long_is_ended_and_free(short, vendor):
    gateway = short(attempt_timeout_s="0.3")
    alice = gateway.add_customer()
    vendor.says(SLOW)

    said = Caller(gateway.base, alice.key).chat("/chat/stream", model=MODEL)

    assert said.events[-2]["error"]["code"] == "upstream_timeout"
    assert said.events[-1] == "[DONE]"
    assert last_record(gateway) == ("free_broken", "error", 0, "upstream_timeout")


def test_a_whole_answer_that_takes_too_long_is_a_504(short, vendor):
    gateway = short(attempt_timeout_s="0.3")
    alice = gateway.add_customer()
    vendor.says(Reply(first_pause_s=5))

    said = Caller(gateway.base, alice.key).chat(model=MODEL)

    assert (said.status, said.code) == (504, "upstream_timeout")
    gateway.wait_until_idle()
    assert last_record(gateway)[0] == "free_upstream_error"


def test_who_leaves_pays_what_is_read_on_for(short, vendor):
    gateway = short()
    alice = gateway.add_customer()
    vendor.says(Reply(text="word " * 10, pause_s=0.02))

    reset(begin(gateway, alice))
    gateway.wait_until_idle()

    outcome, status, charge, _ = last_record(gateway)
    assert (outcome, status) == ("charged_cancelled", "cancelled")
    assert charge > 0
    assert vendor.billed[-1]["complete"]


def test_reading_on_ends_after_a_while_and_is_charged_by_count(short, vendor):
    gateway = short(drain_after_leave_s="0.1")
    alice = gateway.add_customer()
    vendor.says(SLOW)

    reset(begin(gateway, alice))
    gateway.wait_until_idle()

    assert last_record(gateway)[:2] == ("charged_estimated", "cancelled")


def test_only_so_many_are_read_on_at_once(short, vendor):
    gateway = short(drain_after_leave_max="1")
    alice = gateway.add_customer()
    vendor.says(SLOW, SLOW)

    connections = [begin(gateway, alice) for _ in range(2)]
    for connection in connections:
        reset(connection)
    gateway.wait_until_idle()

    outcomes = sorted(row[0] for row in gateway.read("SELECT outcome FROM usage_records"))
    assert outcomes == ["charged_cancelled", "charged_estimated"]


def test_a_reader_who_takes_nothing_counts_as_gone(short, vendor, monkeypatch):
    monkeypatch.setattr(desks, "STALL_S", 0.1)
    gateway = short()
    alice = gateway.add_customer()
    vendor.says(Reply(text=("w" * 100_000 + " ") * 300))

    connection = begin(gateway, alice)
    gateway.wait_until_idle()
    connection.close()

    outcome, status, *_ = last_record(gateway)
    assert (outcome.startswith("charged"), status) == (True, "cancelled")


def test_a_gateway_that_stops_takes_no_more_and_settles_what_runs(short, vendor):
    gateway = short(shutdown_grace_s="0.2")
    alice = gateway.add_customer()
    vendor.says(SLOW)
    connection = begin(gateway, alice)

    left = gateway.run(gateway.app.desk.close(0.2))
    refused = Caller(gateway.base, alice.key).chat()
    connection.close()

    assert left == 0
    assert (refused.status, refused.code, refused.headers["retry-after"]) == (
        503,
        "overloaded",
        "1",
    )
    assert last_record(gateway)[0] == "free_broken"
    gateway.app.desk.open = True


def test_a_settlement_is_tried_until_the_books_can_be_written(short, vendor, monkeypatch):
    monkeypatch.setattr(desks, "SETTLE_PAUSE_S", 0.01)
    gateway = short()
    alice = gateway.add_customer()
    vendor.says(Reply(text="word " * 10, pause_s=0.02))
    connection = begin(gateway, alice)
    real, refused = gateway.app.database.write, []

    async def write(work):
        if len(refused) < 3:
            refused.append(work)
            raise StoreUnavailableError("full")
        return await real(work)

    monkeypatch.setattr(gateway.app.database, "write", write)
    while connection.recv(65536):
        if last_record_or_none(gateway):
            break
    connection.close()
    gateway.wait_until_idle()

    assert len(refused) == 3
    assert last_record(gateway)[0] == "charged"


def last_record_or_none(gateway):
    return gateway.read("SELECT 1 FROM usage_records LIMIT 1")


def test_no_hold_no_call(short, vendor, monkeypatch):
    gateway = short()
    alice = gateway.add_customer()
    before = len(vendor.calls)

    async def write(_work):
        raise StoreUnavailableError("full")

    monkeypatch.setattr(gateway.app.database, "write", write)
    said = Caller(gateway.base, alice.key).chat(model=MODEL)
    monkeypatch.undo()

    assert (said.status, said.code) == (503, "overloaded")
    assert len(vendor.calls) == before


def test_a_fault_of_ours_while_serving_is_told_as_an_unreadable_answer(short, monkeypatch):
    gateway = short()
    alice = gateway.add_customer()

    async def ask(*_):
        raise ZeroDivisionError("secret words")

    monkeypatch.setattr(gateway.app.client, "ask", ask)
    said = Caller(gateway.base, alice.key).chat(model=MODEL)

    assert (said.status, said.code) == (502, "upstream_invalid_response")
    assert b"secret words" not in said.body
    gateway.wait_until_idle()
    assert last_record(gateway)[2] == 0


async def end_every_lease(tx):
    await tx.execute("UPDATE holds SET lease_expires_at = 1")


def test_an_answer_whose_hold_was_swept_meanwhile_is_free_and_says_so(short, vendor):
    gateway = short()
    alice = gateway.add_customer()
    vendor.says(Reply(text="word " * 10, wait_after=3))
    connection = begin(gateway, alice)
    gateway.write(end_every_lease)

    gateway.run(gateway.app.sweep())
    vendor.go_on()
    said = b""
    while b"[DONE]" not in said:
        said += connection.recv(65536)
    connection.close()

    assert b'"cost":0' in said
    assert last_record(gateway)[:3] == ("free_unknown", "error", 0)
    losses = gateway.read("SELECT reason FROM entries WHERE kind = 'loss'")
    assert [tuple(row) for row in losses] == [("free_unknown",)]


def test_a_whole_answer_whose_hold_was_swept_is_free_and_its_cost_a_loss(short, vendor):
    gateway = short()
    alice = gateway.add_customer()
    vendor.says(Reply(text="word " * 10, wait_after=0))
    asking = ThreadPoolExecutor().submit(Caller(gateway.base, alice.key).chat, model=MODEL)
    while not gateway.read("SELECT 1 FROM holds"):
        time.sleep(0.005)
    gateway.write(end_every_lease)

    gateway.run(gateway.app.sweep())
    vendor.go_on()

    assert asking.result(20).headers["x-request-cost"].startswith("0")
    assert last_record(gateway)[:3] == ("free_unknown", "error", 0)
    losses = gateway.read("SELECT reason FROM entries WHERE kind = 'loss'")
    assert [tuple(row) for row in losses] == [("settled_late",)]


# Recovery -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("attempt", "loses"), [("prepared", False), ("sent", True)])
def test_what_a_dead_process_left_open_is_free_and_resolved_once(gateway, attempt, loses):
    alice = gateway.add_customer("10")

    async def die(tx):
        ((dead,),) = await tx.fetch(
            "INSERT INTO workers (shard, started_at, heartbeat_at) VALUES (99, 0, 0) RETURNING id"
        )
        await tx.execute("UPDATE accounts SET held_nanos = 5000000 WHERE id = $1", alice.account_id)
        await tx.execute(
            "INSERT INTO holds (request_id, account_id, key_id, amount_nanos, state, attempt,"
            " model, price_id, provider, input_bound, delivered_bytes, streamed, worker_id,"
            " created_at, lease_expires_at) VALUES"
            " ('dead', $1, $2, 5000000, 'open', $3, 'sandbox/echo', NULL,"
            " 'sandbox', 100, 400, 1, $4, $5, $5)",
            alice.account_id,
            alice.key_id,
            attempt,
            dead,
            now_ms(),
        )

    app = gateway.app
    gateway.run(app.database.write(die))
    shelf = app.desk.shelf
    counts = [
        gateway.run(
            recovery.resolve_abandoned(app.database, app.writer, shelf.catalog, shelf.providers)
        )
        for _ in range(2)
    ]

    assert counts == [1, 0]
    record = gateway.read("SELECT outcome, status, charge_nanos, cost_nanos FROM usage_records")
    outcome, status, charge, cost = record[0]
    assert (outcome, status, charge, bool(cost)) == ("free_unknown", "error", 0, loses)
    balance = gateway.read(
        "SELECT posted_nanos, held_nanos FROM accounts WHERE id = $1", alice.account_id
    )
    assert tuple(balance[0]) == (10_000_000_000, 0)
