"""`models`: another one serves when the first cannot, and its price is paid."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from books import books_agree, losses
from calls import Line, chat, events_of, exact, text_of, wait_until

from altyn.catalog.price import Price
from altyn.keys.store import KeyRules
from fakes.gateway import Customer, Gateway
from fakes.openai_server import FakeOpenAI, Reply

CHEAP, DEAR, THIRD = "openai/gpt-oss-120b", "anthropic/claude-3.5-sonnet", "qwen/qwen3-32b"
BOTH = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
A_TOKEN = {CHEAP: 1_000, DEAR: 50_000, THIRD: 2_000}
"""Nanos for a token, of the prompt as of the answer."""

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


class Shops:
    """A vendor for each model."""

    def __init__(self, gateway: Gateway, vendors: dict[str, FakeOpenAI]) -> None:
        self.gateway, self.vendors = gateway, vendors
        for number, (model, vendor) in enumerate(vendors.items()):
            gateway.add_upstream(
                vendor.base_url, model, secret=vendor.key, upstream_model=f"theirs-{number}"
            )
            nanos = A_TOKEN[model] * 10**6
            gateway.set_price(model, Price(input=nanos, output=nanos))
            vendor.answers("", Reply(text=model, usage_values=USAGE))

    def calls(self) -> list[int]:
        return [len(vendor.calls) for vendor in self.vendors.values()]

    def fails(self, model: str, reply: Reply) -> None:
        self.vendors[model].says(reply)


@pytest.fixture
def vendors() -> Iterator[dict[str, FakeOpenAI]]:
    fakes = {
        model: FakeOpenAI(models=(f"theirs-{number}",)).start()
        for number, model in enumerate(A_TOKEN)
    }
    yield fakes
    for fake in fakes.values():
        fake.go_on()
        fake.stop()


@pytest.fixture
def shops(sqlite_gateway: Gateway, vendors: dict[str, FakeOpenAI]) -> Shops:
    return Shops(sqlite_gateway, vendors)


@pytest.fixture
def customer(sqlite_gateway: Gateway) -> Customer:
    return sqlite_gateway.add_customer()


def answered_by(answer: Any, *, stream: bool) -> tuple[str, str]:
    """The model that the answer names, and the one that wrote it."""
    if stream:
        events = events_of(answer.text)
        assert {event["model"] for event in events if event != "[DONE]"} == {events[0]["model"]}
        return events[0]["model"], text_of(events)
    whole = exact(answer)
    return whole["model"], whole["choices"][0]["message"]["content"]


TROUBLE = {
    "an outage": Reply(status=500),
    "a limit": Reply(status=429),
    "a spent quota": Reply(status=402),
    "a model that is gone": Reply(status=404),
    "a prompt too long": Reply(
        status=400, body=b'{"error":{"message":"x","code":"context_length_exceeded"}}'
    ),
    "a refusal": Reply(
        status=403, body=b'{"error":{"message":"flagged","metadata":{"reasons":["violence"]}}}'
    ),
    "a wrong request": Reply(status=400),
}


@BOTH
@pytest.mark.parametrize("trouble", TROUBLE)
def test_the_next_model_serves_and_its_price_is_paid(
    shops: Shops, customer: Customer, trouble: str, *, stream: bool
) -> None:
    shops.fails(CHEAP, TROUBLE[trouble])

    answer = chat(shops.gateway, customer.key, model=CHEAP, models=[DEAR], stream=stream)

    assert answered_by(answer, stream=stream) == (DEAR, DEAR)
    (generation,) = books_agree(shops.gateway, customer)
    assert generation["model"] == DEAR
    assert float(generation["cost"]) == 15 * A_TOKEN[DEAR] / 10**9
    assert losses(shops.gateway, customer) == []


def test_it_is_so_on_both_databases(gateway: Gateway, vendors: dict[str, FakeOpenAI]) -> None:
    shops = Shops(gateway, vendors)
    customer = gateway.add_customer()
    shops.fails(DEAR, Reply(status=500))

    answer = chat(gateway, customer.key, model=DEAR, models=[CHEAP], stream=True)

    assert answered_by(answer, stream=True) == (CHEAP, CHEAP)
    (generation,) = books_agree(gateway, customer)
    assert float(generation["cost"]) == 15 * A_TOKEN[CHEAP] / 10**9


def test_the_first_model_that_can_serve_is_paid(shops: Shops, customer: Customer) -> None:
    answer = chat(shops.gateway, customer.key, model=CHEAP, models=[DEAR])

    assert answered_by(answer, stream=False) == (CHEAP, CHEAP)
    (generation,) = books_agree(shops.gateway, customer)
    assert float(generation["cost"]) == 15 * A_TOKEN[CHEAP] / 10**9


def test_models_alone_name_the_first_too(shops: Shops, customer: Customer) -> None:
    shops.fails(CHEAP, Reply(status=500))
    body = {"model": CHEAP, "models": [CHEAP, THIRD, DEAR]}

    answer = chat(shops.gateway, customer.key, **body)

    assert answered_by(answer, stream=False) == (THIRD, THIRD)
    assert shops.calls() == [1, 0, 1]


def test_the_money_for_the_dearest_has_to_be_there(shops: Shops) -> None:
    poor = shops.gateway.add_customer("0.005")
    alone = chat(shops.gateway, poor.key, model=CHEAP, max_tokens=100)

    refused = chat(shops.gateway, poor.key, model=CHEAP, models=[DEAR], max_tokens=100)

    assert (alone.status_code, refused.status_code) == (200, 402)
    tokens = exact(refused)["error"]["affordable_max_tokens"]
    fits = chat(shops.gateway, poor.key, model=CHEAP, models=[DEAR], max_tokens=tokens)
    assert fits.status_code == 200
    books_agree(shops.gateway, poor)


def test_an_attempt_that_broke_off_costs_the_operator_at_its_own_models_price(
    shops: Shops, customer: Customer
) -> None:
    shops.fails(CHEAP, Reply(cut_after_bytes=60))

    answer = chat(shops.gateway, customer.key, model=CHEAP, models=[DEAR])

    assert answered_by(answer, stream=False) == (DEAR, DEAR)
    (generation,) = books_agree(shops.gateway, customer)
    assert float(generation["cost"]) == 15 * A_TOKEN[DEAR] / 10**9
    assert [reason for _, reason in losses(shops.gateway, customer)] == ["missed"]


@BOTH
def test_when_all_fail_the_last_error_is_told_and_nothing_charged(
    shops: Shops, customer: Customer, *, stream: bool
) -> None:
    shops.fails(CHEAP, Reply(status=500))
    shops.fails(DEAR, Reply(status=429, headers={"retry-after": "9"}))

    answer = chat(shops.gateway, customer.key, model=CHEAP, models=[DEAR], stream=stream)

    assert (answer.status_code, exact(answer)["error"]["code"]) == (503, "overloaded")
    assert answer.headers["retry-after"] == "9"
    (generation,) = books_agree(shops.gateway, customer)
    assert (generation["outcome"], generation["cost"]) == ("free_upstream_error", "0.000000000")


def test_after_the_first_word_no_other_model_is_asked(shops: Shops, customer: Customer) -> None:
    shops.fails(CHEAP, Reply(error={"message": "broken", "code": 502}))

    answer = chat(shops.gateway, customer.key, model=CHEAP, models=[DEAR], stream=True)

    assert events_of(answer.text)[-2]["error"]["code"] == "upstream_error"
    assert shops.calls() == [1, 0, 0]
    (generation,) = books_agree(shops.gateway, customer)
    assert (generation["model"], generation["outcome"]) == (CHEAP, "free_broken")


def test_every_model_must_be_allowed_for_the_key(shops: Shops, customer: Customer) -> None:
    key = shops.gateway.add_key(customer.account_id, rules=KeyRules(models=(CHEAP,)))

    answer = chat(shops.gateway, key, model=CHEAP, models=[CHEAP, DEAR])

    error = exact(answer)["error"]
    assert (answer.status_code, error["code"], error["param"]) == (
        403,
        "model_not_allowed",
        "models[1]",
    )
    assert shops.calls() == [0, 0, 0]


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize(
    ("models", "status", "code", "param"),
    [
        (["nobody/sells-this"], 404, "model_not_found", "models[0]"),
        ([CHEAP, f"{DEAR}:free"], 400, "invalid_parameter", "models[1]"),
        ([1], 400, "invalid_parameter", "models[0]"),
        ("x", 400, "invalid_parameter", "models"),
        ([CHEAP, DEAR, THIRD, "a/b"], 400, "invalid_parameter", "models"),
        ([""], 400, "invalid_parameter", "models[0]"),
    ],
)
def test_a_wrong_list_is_refused_by_its_place(
    shops: Shops,
    customer: Customer,
    models: Any,
    status: int,
    code: str,
    param: str,
    language: str,
) -> None:
    answer = requests.post(
        f"{shops.gateway.base}/chat/completions",
        json={"model": CHEAP, "models": models, "messages": [{"role": "user", "content": "x"}]},
        headers={"Authorization": f"Bearer {customer.key}", "Accept-Language": language},
        timeout=20,
    )

    error = exact(answer)["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param)
    assert error["message"].isascii() == (language == "en")


def test_a_model_that_cannot_take_the_request_is_passed_over(
    shops: Shops, customer: Customer
) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    messages = [{"role": "user", "content": [picture]}]

    seen = chat(shops.gateway, customer.key, model=THIRD, models=[DEAR], messages=messages)
    alone = chat(shops.gateway, customer.key, model=THIRD, messages=messages)

    assert answered_by(seen, stream=False)[0] == DEAR
    assert exact(alone)["error"]["code"] == "unsupported_parameter"


def test_what_the_serving_model_ignores_is_named(shops: Shops, customer: Customer) -> None:
    shops.fails(CHEAP, Reply(status=500))

    answer = chat(
        shops.gateway, customer.key, model=CHEAP, models=[DEAR], reasoning_effort="low", stream=True
    )

    assert "reasoning_effort" in answer.headers["x-ignored-parameters"]


def test_a_test_key_is_answered_by_the_sandbox_whatever_it_names(
    shops: Shops, customer: Customer
) -> None:
    answer = chat(shops.gateway, customer.test_key, model=CHEAP, models=[DEAR])

    assert answer.status_code == 200
    assert shops.calls() == [0, 0, 0]


def test_after_a_crash_no_model_is_charged_at_the_price_of_another(
    shops: Shops, customer: Customer
) -> None:
    """The hold names the first model: what is told afterwards of the second is not asked for."""
    slow = Reply(text="word " * 8, wait_after=6, usage_values=USAGE)
    told = {}
    for first in (CHEAP, DEAR):
        shops.vendors[CHEAP].says(*([slow] if first is CHEAP else []))
        shops.vendors[DEAR].says(*([Reply(status=500)] if first is DEAR else []))
        shops.vendors[CHEAP].says(*([slow] if first is DEAR else []))
        line = Line(shops.gateway)
        line.ask(shops.gateway, customer.key, model=first, models=[CHEAP])
        line.hear_events(2)
        wait_until(lambda: bool(noted(shops.gateway)))
        told[first] = noted(shops.gateway)[0][0]
        shops.vendors[CHEAP].go_on()
        shops.gateway.wait_until_idle()
        shops.vendors[CHEAP].stop_here()

    assert told[CHEAP] is not None
    assert told[DEAR] is None


def noted(gateway: Gateway) -> Any:
    return gateway.read("SELECT upstream_id FROM holds WHERE attempt = 'sent'")
