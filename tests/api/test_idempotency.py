"""`Idempotency-Key`: what is asked twice is answered twice and charged once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from altyn.database.engine import StoreUnavailableError
from altyn.gateway import repeats
from fakes.caller import Caller
from fakes.openai_server import Reply

MODEL = "openai/gpt-oss-120b"
BODY = {"model": "sandbox/echo", "messages": [{"role": "user", "content": "a secret phrase"}]}


def used(caller):
    return caller.get("/balance").json["total_used"]


def test_a_repeat_gets_the_first_answer_and_is_not_charged(as_, alice):
    caller = as_(alice.key)
    first = caller.post("/chat/completions", BODY, idempotency_key="order-1")
    charged_once = used(caller)

    again = caller.post("/chat/completions", BODY, idempotency_key="order-1")

    assert again.body == first.body
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["x-request-id"] == first.headers["x-request-id"]
    assert used(caller) == charged_once


def test_the_same_name_of_another_account_is_another_name(as_, alice, bob):
    hers = as_(alice.key).post("/chat/completions", BODY, idempotency_key="shared")

    his = as_(bob.key).post("/chat/completions", BODY, idempotency_key="shared")

    assert his.status == 200
    assert his.json["id"] != hers.json["id"]


def test_another_body_under_the_same_name_is_refused(as_, alice):
    caller = as_(alice.key)
    caller.post("/chat/completions", BODY, idempotency_key="order-2")

    said = caller.post("/chat/completions", {**BODY, "max_tokens": 9}, idempotency_key="order-2")

    assert (said.status, said.code) == (409, "idempotency_conflict")


def test_a_repeated_stream_is_told_where_the_first_one_is(as_, alice):
    caller = as_(alice.key)
    first = caller.post("/chat/stream", BODY, idempotency_key="stream-1")

    again = caller.post("/chat/stream", BODY, idempotency_key="stream-1")

    assert (again.status, again.code) == (409, "idempotency_conflict")
    assert again.error["first_request_id"] == first.headers["x-request-id"]


def test_a_streamed_request_that_was_charged_is_never_charged_again(as_, alice, monkeypatch):
    caller = as_(alice.key)
    caller.post("/chat/stream", BODY, idempotency_key="stream-2")
    charged_once = used(caller)
    monkeypatch.setattr(repeats, "RUNS_AT_MOST_MS", -1)

    again = caller.post("/chat/stream", BODY, idempotency_key="stream-2")

    assert again.status == 409
    assert used(caller) == charged_once


def test_after_a_failure_the_next_try_is_a_first_one(house, as_, alice, vendor):
    house.add_upstream(vendor.base_url, MODEL, secret=vendor.key, upstream_model="test-model")
    vendor.says(Reply(status=500, body=b"{}"), Reply(text="Hello"))
    caller = as_(alice.key)
    failed = caller.post("/chat/completions", BODY | {"model": MODEL}, idempotency_key="retry")

    again = caller.post("/chat/completions", BODY | {"model": MODEL}, idempotency_key="retry")

    assert failed.status == 502
    assert again.status == 200


def test_of_many_at_once_one_is_served(as_, alice):
    caller = as_(alice.key)
    slow = {**BODY, "model": "sandbox/lorem", "messages": [{"role": "user", "content": "20"}]}

    with ThreadPoolExecutor(20) as pool:
        said = list(
            pool.map(
                lambda _: caller.post("/chat/completions", slow, idempotency_key="burst"), range(20)
            )
        )

    ids = {one.json["id"] for one in said if one.status == 200}
    assert len(ids) == 1
    assert {one.status for one in said} <= {200, 409}
    assert caller.get("/usage").json["summary"]["requests"] == 1


@pytest.mark.parametrize("name", ["", " ", "x" * 256])
def test_a_name_that_cannot_be_kept_is_refused(as_, alice, name):
    said = as_(alice.key).post("/chat/completions", BODY, idempotency_key=name)

    assert (said.status, said.code) == (400, "invalid_parameter")
    assert said.error["param"] == "Idempotency-Key"


def test_the_kept_answer_is_sealed(house, as_, alice):
    as_(alice.key).post("/chat/completions", BODY, idempotency_key="sealed")

    rows = house.read("SELECT answer FROM idempotency_keys WHERE name = 'sealed'")

    assert rows[0][0]
    assert b"secret phrase" not in rows[0][0]


def test_a_paid_answer_that_cannot_be_kept_is_given_and_not_charged_again(
    house, as_, alice, monkeypatch
):
    async def fail(*_):
        raise StoreUnavailableError("the disk is full")

    monkeypatch.setattr(house.app.repeats, "keep", fail)
    caller = as_(alice.key)

    first = caller.post("/chat/completions", BODY, idempotency_key="unkept")
    charged_once = used(caller)
    again = caller.post("/chat/completions", BODY, idempotency_key="unkept")

    assert first.status == 200
    assert (again.status, again.error["first_request_id"]) == (409, first.headers["x-request-id"])
    assert used(caller) == charged_once


def test_a_charged_request_is_never_forgotten(house, as_, alice):
    caller = as_(alice.key)
    first = caller.post("/chat/stream", BODY, idempotency_key="paid")
    request_id = first.headers["x-request-id"].removeprefix("req_")

    house.run(house.app.repeats.forget(repeats.Repeat(alice.account_id, "paid", b"", request_id)))

    assert caller.post("/chat/stream", BODY, idempotency_key="paid").status == 409


def test_a_test_keys_answer_is_not_given_to_a_live_key(as_, alice):
    as_(alice.test_key).post("/chat/completions", BODY, idempotency_key="both")

    said = as_(alice.key).post("/chat/completions", BODY, idempotency_key="both")

    assert (said.status, said.code) == (409, "idempotency_conflict")


def test_it_works_on_either_database(gateway):
    customer = gateway.add_customer()
    caller = Caller(gateway.base, customer.key)
    first = caller.post("/chat/completions", BODY, idempotency_key="once")

    again = caller.post("/chat/completions", BODY, idempotency_key="once")

    assert again.body == first.body
    assert gateway.run(gateway.app.repeats.clean()) is None
