"""Limits over HTTP: of an account and of a key, requests, tokens and requests at once."""

import threading

import pytest

from altyn.database.engine import Transaction, bump_revision
from altyn.keys.store import KeyRules
from fakes.caller import Caller
from fakes.openai_server import Reply

MODEL = "openai/gpt-oss-120b"
OF_ACCOUNT = ("requests_per_minute", "tokens_per_minute", "parallel_requests")


def limit_account(gateway, account_id: int, **limits: int) -> None:
    async def change(tx: Transaction) -> None:
        for name, value in limits.items():
            assert name in OF_ACCOUNT
            await tx.execute(f"UPDATE accounts SET {name} = $2 WHERE id = $1", account_id, value)
        await bump_revision(tx)

    gateway.write(change)


@pytest.fixture(params=["account", "key"])
def limited(request, house, alice):
    """`limited(requests_per_minute=2)`: a key of a customer with this limit, or of its own."""

    def limit(**limits: int) -> str:
        if request.param == "key":
            return house.add_key(alice.account_id, rules=KeyRules(**limits))
        limit_account(house, alice.account_id, **limits)
        return alice.key

    return limit


def test_one_request_too_many_is_refused(house, as_, limited):
    key = limited(requests_per_minute=2)

    answers = [as_(key).chat() for _ in range(3)]

    assert [said.status for said in answers] == [200, 200, 429]
    refused = answers[2]
    assert refused.error["type"] == "rate_limit_error"
    assert (refused.code, refused.error["limit"], refused.error["unit"]) == (
        "rate_limit_exceeded",
        2,
        "requests",
    )
    assert 1 <= int(refused.headers["retry-after"]) <= 30


def test_the_headers_count_down(house, as_, limited):
    key = limited(requests_per_minute=3)

    answers = [as_(key).chat().headers for _ in range(2)]

    assert [h["x-ratelimit-limit-requests"] for h in answers] == ["3", "3"]
    assert [h["x-ratelimit-remaining-requests"] for h in answers] == ["2", "1"]
    assert answers[0]["x-ratelimit-reset-requests"] in {"20s", "19.99s", "20.01s"}


def test_tokens_count_once_they_are_used(house, as_, limited):
    key = limited(tokens_per_minute=10)

    answers = [as_(key).chat() for _ in range(3)]
    house.wait_until_idle()

    assert [said.status for said in answers] == [200, 200, 429]
    assert (answers[2].error["limit"], answers[2].error["unit"]) == (10, "tokens")


def test_one_request_at_once_too_many_is_refused(house, as_, limited, vendor):
    house.add_upstream(vendor.base_url, MODEL, secret=vendor.key, upstream_model="test-model")
    vendor.says(Reply(text="a " * 20, pause_s=0.05))
    key = limited(parallel_requests=1)
    first = threading.Thread(target=lambda: as_(key).chat("/chat/stream", model=MODEL))

    first.start()
    while not house.app.desk.attempts:
        threading.Event().wait(0.005)
    second = as_(key).chat()
    first.join()
    house.wait_until_idle()
    third = as_(key).chat()

    assert (second.status, second.code) == (429, "too_many_concurrent_requests")
    assert (second.error["limit"], second.headers["retry-after"]) == (1, "1")
    assert third.status == 200


def test_a_refused_request_gives_its_place_back(house, as_, limited):
    key = limited(parallel_requests=1)

    answers = [as_(key).chat(temperature="x").status for _ in range(3)]

    assert answers == [400, 400, 400]


def test_reading_is_not_limited(house, as_, limited):
    key = limited(requests_per_minute=1)
    as_(key).chat()

    assert [as_(key).get("/balance").status for _ in range(5)] == [200] * 5


def test_without_a_limit_there_are_no_headers_of_it(make_gateway):
    free = make_gateway(requests_per_minute="0", parallel_requests="0")
    alice = free.add_customer()

    headers = Caller(free.base, alice.key).chat().headers

    assert not [name for name in headers if name.startswith("x-ratelimit")]
