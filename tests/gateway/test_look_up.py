"""A process died with an answer under way: its provider is asked what became of it."""

import json
from collections import deque
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from altyn.catalog.lifecycle import replace_model
from altyn.catalog.price import Price
from altyn.database.engine import now_ms
from altyn.upstream.dialects import afterwards
from fakes.gateway import Gateway

MODEL = "openai/gpt-oss-120b"
HELD = 5_000_000
GENERATION = {
    "native_tokens_prompt": 100,
    "native_tokens_completion": 20,
    "total_cost": 0.0001,
    "finish_reason": "stop",
}


class Teller(ThreadingHTTPServer):
    """OpenRouter's `GET /generation`: 404 until there is something to say."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked: deque[tuple[str, str]] = deque()
        self.says: dict | None = None


class Answer(BaseHTTPRequestHandler):
    server: Teller

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["authorization"]))
        said = self.server.says
        body = json.dumps({"data": said}).encode() if said else b'{"error":{"code":404}}'
        self.send_response(200 if said else 404)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def teller(monkeypatch: pytest.MonkeyPatch) -> Iterator[Teller]:
    monkeypatch.setattr(afterwards, "TELLING", {"localhost"})
    server = Teller()
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def customer(gateway: Gateway, teller: Teller):
    """Somebody whose call was under way when another process died."""
    gateway.add_upstream(f"http://localhost:{teller.server_port}/v1", MODEL, name="router")
    alice = gateway.add_customer("10")

    async def die(tx):
        ((dead,),) = await tx.fetch(
            "INSERT INTO workers (shard, started_at, heartbeat_at) VALUES (99, 0, 0) RETURNING id"
        )
        await tx.execute(
            "UPDATE accounts SET held_nanos = $2 WHERE id = $1", alice.account_id, HELD
        )
        await tx.execute(
            "INSERT INTO holds (request_id, account_id, key_id, amount_nanos, state, attempt,"
            " model, provider, upstream_id, input_bound, delivered_bytes, streamed, worker_id,"
            " created_at, lease_expires_at) VALUES ('dead', $1, $2, $3, 'open', 'sent',"
            f" '{MODEL}', 'router', 'gen-1', 100, 400, 1, $4, $5, $6)",
            alice.account_id,
            alice.key_id,
            HELD,
            dead,
            now_ms(),
            now_ms() + 900_000,
        )

    gateway.write(die)
    return alice


def holds(gateway: Gateway):
    return [tuple(row) for row in gateway.read("SELECT request_id, state FROM holds")]


def record(gateway: Gateway):
    rows = gateway.read(
        "SELECT outcome, status, charge_nanos, cost_nanos, input_uncached, output_text, error_code"
        " FROM usage_records"
    )
    return tuple(rows[0])


def balance(gateway: Gateway, customer):
    rows = gateway.read(
        "SELECT posted_nanos, held_nanos FROM accounts WHERE id = $1", customer.account_id
    )
    return tuple(rows[0])


def price_of(gateway: Gateway, usage) -> int:
    catalog = gateway.app.desk.shelf.catalog
    return catalog.find_rate(MODEL, None, now_ms()).price.charge(usage)


def test_what_the_provider_says_is_charged_once(gateway, customer, teller):
    app = gateway.app
    gateway.run(app.sweep())
    assert holds(gateway) == [("dead", "unknown")]
    gateway.run(app.look_up())
    assert holds(gateway) == [("dead", "unknown")]

    teller.says = GENERATION
    gateway.run(app.look_up())
    gateway.run(app.look_up())
    gateway.run(app.sweep())

    charge = price_of(gateway, afterwards.Usage(input_uncached=100, output_text=20))
    assert record(gateway) == ("charged", "success", charge, 100_000, 100, 20, None)
    assert balance(gateway, customer) == (10_000_000_000 - charge, 0)
    assert teller.asked[0] == ("/v1/generation?id=gen-1", "Bearer sk-upstream-secret")


def test_a_charge_is_never_above_the_hold(gateway, customer, teller):
    teller.says = {**GENERATION, "native_tokens_completion": 100_000}

    gateway.run(gateway.app.sweep())
    gateway.run(gateway.app.look_up())

    assert record(gateway)[:3] == ("charged_capped", "success", HELD)
    assert gateway.read("SELECT reason FROM entries WHERE kind = 'loss'")[0][0] == "charged_capped"


def test_what_is_not_told_within_its_time_is_free_and_a_loss(gateway, customer, teller):
    gateway.run(gateway.app.sweep())
    gateway.run(gateway.app.look_up())
    gateway.write(lambda tx: tx.execute("UPDATE holds SET lease_expires_at = 1"))

    gateway.run(gateway.app.sweep())

    assert record(gateway)[:3] == ("free_unknown", "error", 0)
    assert balance(gateway, customer) == (10_000_000_000, 0)
    assert gateway.read("SELECT reason FROM entries WHERE kind = 'loss'")[0][0] == "free_unknown"


def test_what_is_unknown_is_asked_about_for_ten_minutes(gateway, customer, teller):
    gateway.write(lambda tx: tx.execute("UPDATE holds SET lease_expires_at = 1"))

    gateway.run(gateway.app.sweep())

    ((state, lease),) = gateway.read("SELECT state, lease_expires_at FROM holds")
    assert state == "unknown"
    assert 590_000 < lease - now_ms() < 610_000
    gateway.run(gateway.app.sweep())
    assert gateway.read("SELECT lease_expires_at FROM holds")[0][0] == lease
    gateway.write(lambda tx: tx.execute("UPDATE holds SET lease_expires_at = 1"))
    gateway.run(gateway.app.sweep())


def test_a_provider_that_cannot_be_reached_is_asked_again(gateway, customer, teller):
    gateway.run(gateway.app.sweep())
    teller.shutdown()
    teller.server_close()

    gateway.run(gateway.app.look_up())

    assert holds(gateway) == [("dead", "unknown")]
    gateway.write(lambda tx: tx.execute("UPDATE holds SET lease_expires_at = 1"))
    gateway.run(gateway.app.sweep())


def test_a_provider_that_was_removed_can_tell_nothing(gateway, customer, teller):
    gateway.run(gateway.app.sweep())
    gateway.write(lambda tx: tx.execute("UPDATE holds SET provider = 'gone'"))

    gateway.run(gateway.app.look_up())

    assert list(teller.asked) == []
    gateway.write(lambda tx: tx.execute("UPDATE holds SET lease_expires_at = 1"))
    gateway.run(gateway.app.sweep())


def test_an_answer_is_charged_by_the_price_of_its_quote(gateway, customer, teller):
    catalog = gateway.app.desk.shelf.catalog
    row = next(one for one in catalog.prices.prices if one.model_id == MODEL)
    gateway.write(
        lambda tx: tx.execute("UPDATE holds SET price_id = $1, markup_ppm = 500000", row.id)
    )
    gateway.set_price(MODEL, Price(input=1, output=1))
    gateway.write(lambda tx: replace_model(tx, MODEL, "openai/gpt-5"))
    teller.says = GENERATION

    gateway.run(gateway.app.sweep())
    gateway.run(gateway.app.look_up())

    usage = afterwards.Usage(input_uncached=100, output_text=20)
    charge = row.price.marked_up(500_000).charge(usage)
    assert record(gateway)[:3] == ("charged", "success", charge)
    ((price_id, markup, served),) = gateway.read(
        "SELECT price_id, markup_ppm, served_model FROM usage_records"
    )
    assert (price_id, markup, served) == (row.id, 500_000, None)
