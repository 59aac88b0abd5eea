"""The vendor fails, in every way seen: what the caller reads, and who pays.

A vendor's key, host and name for the model are nobody's business but the operator's.
"""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from books import books_agree, losses, recorded
from calls import MODEL, chat, events_of, exact, text_of
from shops import UPSTREAM_KEY, UPSTREAM_MODEL, Shop, open_shop

from fakes.gateway import Gateway
from fakes.openai_server import FakeOpenAI, Reply
from fakes.scripted_server import free_port

FREE = "0.000000000"
BOTH = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
EVENTS = {"content-type": "text/event-stream"}


def said(message: str, **more: Any) -> bytes:
    return json.dumps({"error": {"message": message, **more}}).encode()


class Refusal(NamedTuple):
    """What a vendor says before anything is delivered, and what our caller gets to hear."""

    reply: Reply
    status: int
    code: str
    outcome: str = "free_upstream_error"
    retry_after: str | None = None


SECRETS_OF_OURS = (
    f"Key {UPSTREAM_KEY} of org-AAAABBBB at https://api.cloud.example/v1"
    f" (10.1.2.3, ops@cloud.example) may not call {UPSTREAM_MODEL} with this tool schema"
)
REFUSALS = {
    "400": Refusal(
        Reply(status=400, body=said(SECRETS_OF_OURS, param="tools")),
        400,
        "invalid_parameter",
        "free_refused",
    ),
    "context": Refusal(
        Reply(status=400, body=said("Too long.", code="context_length_exceeded")),
        400,
        "context_length_exceeded",
        "free_refused",
    ),
    "413": Refusal(Reply(status=413, body=said("Large.")), 413, "body_too_large", "free_refused"),
    "401": Refusal(Reply(status=401, body=said(SECRETS_OF_OURS)), 503, "model_unavailable"),
    "402": Refusal(Reply(status=402, body=said(SECRETS_OF_OURS)), 503, "model_unavailable"),
    "403": Refusal(Reply(status=403, body=said(SECRETS_OF_OURS)), 503, "model_unavailable"),
    "404": Refusal(Reply(status=404, body=said(SECRETS_OF_OURS)), 503, "model_unavailable"),
    "429": Refusal(
        Reply(status=429, body=said(SECRETS_OF_OURS), headers={"retry-after": "7"}),
        503,
        "overloaded",
        retry_after="7",
    ),
    "500": Refusal(Reply(status=500, body=said(SECRETS_OF_OURS)), 502, "upstream_error"),
    "500 without a word": Refusal(Reply(status=500), 502, "upstream_error"),
    "503": Refusal(Reply(status=503, body=said("Busy.")), 503, "overloaded", retry_after="5"),
    "529": Refusal(Reply(status=529, body=said("Busy.")), 503, "overloaded", retry_after="5"),
    "a page": Refusal(
        Reply(body=b"<html><title>Welcome</title></html>"), 502, "upstream_invalid_response"
    ),
    "a page that says so": Refusal(
        Reply(body=b"<html><title>Welcome</title></html>", headers={"content-type": "text/html"}),
        502,
        "upstream_error",
    ),
    "200 with an error": Refusal(
        Reply(body=said(SECRETS_OF_OURS, code=429)), 503, "overloaded", retry_after="5"
    ),
    "200 with another error": Refusal(
        Reply(body=said(SECRETS_OF_OURS, code=502)), 502, "upstream_error"
    ),
}


def has_no_canary(shop: Shop, answer: Any, log_lines: list[Any]) -> None:
    """Neither the answer nor its headers name the upstream; not even the log holds its key."""
    told = answer.text + str(answer.headers)
    for canary in (UPSTREAM_KEY, UPSTREAM_MODEL, "localhost", f":{shop.vendor.port}", "cloud"):
        assert canary not in told, canary
    assert UPSTREAM_KEY not in str(log_lines)


@BOTH
@pytest.mark.parametrize("name", [name for name in REFUSALS if name != "a page that says so"])
def test_a_refusal_before_the_first_byte_is_told_by_its_status_and_is_free(
    small_shop: Shop, log_lines: list[Any], *, stream: bool, name: str
) -> None:
    gateway, customer, vendor = small_shop
    refusal = REFUSALS[name]
    vendor.says(refusal.reply)

    answer = chat(gateway, customer.key, stream=stream)

    assert (answer.status_code, exact(answer)["error"]["code"]) == (refusal.status, refusal.code)
    if refusal.retry_after is not None:
        assert answer.headers["retry-after"] == refusal.retry_after
    (generation,) = books_agree(gateway, customer)
    assert (generation["outcome"], generation["status"]) == (refusal.outcome, "error")
    assert (generation["error_code"], generation["cost"]) == (refusal.code, FREE)
    assert losses(gateway, customer) == []
    has_no_canary(small_shop, answer, log_lines)


def test_a_web_page_in_place_of_a_stream_is_an_error(small_shop: Shop) -> None:
    small_shop.vendor.says(REFUSALS["a page that says so"].reply)

    answer = chat(small_shop.gateway, small_shop.customer.key, stream=True)

    assert answer.status_code == 502
    (generation,) = books_agree(small_shop.gateway, small_shop.customer)
    assert (generation["outcome"], generation["cost"]) == ("free_upstream_error", FREE)


def test_what_the_vendor_says_of_a_wrong_request_is_passed_on(small_shop: Shop) -> None:
    small_shop.vendor.says(REFUSALS["400"].reply)

    error = exact(chat(small_shop.gateway, small_shop.customer.key))["error"]

    assert "may not call" in error["message"]
    assert "with this tool schema" in error["message"]
    assert MODEL in error["message"]
    assert error["param"] == "tools"
    for secret in ("org-", "api.cloud", "10.1.2.3", "ops@"):
        assert secret not in error["message"]


def test_what_the_caller_wrote_is_not_logged_when_a_vendor_quotes_it(
    small_shop: Shop, log_lines: list[Any]
) -> None:
    small_shop.vendor.says(Reply(status=400, body=said("Cannot read 'my private words'.")))

    chat(small_shop.gateway, small_shop.customer.key)

    assert "my private words" not in str(log_lines)


@BOTH
def test_a_vendor_that_is_not_there_is_free(
    sqlite_gateway: Gateway, log_lines: list[Any], *, stream: bool
) -> None:
    port = free_port()
    sqlite_gateway.add_upstream(f"http://localhost:{port}/v1", MODEL, secret=UPSTREAM_KEY)
    customer = sqlite_gateway.add_customer()

    answer = chat(sqlite_gateway, customer.key, stream=stream)

    assert (answer.status_code, exact(answer)["error"]["code"]) == (502, "upstream_error")
    assert "localhost" not in answer.text
    assert str(port) not in answer.text
    (generation,) = books_agree(sqlite_gateway, customer)
    assert (generation["outcome"], generation["cost"]) == ("free_upstream_error", FREE)
    assert losses(sqlite_gateway, customer) == []
    assert UPSTREAM_KEY not in str(log_lines)


@pytest.fixture
def impatient_shop(openrouter: FakeOpenAI, tmp_path: Path) -> Iterator[Shop]:
    """A gateway that waits for a vendor's first byte, or its next, a fifth of a second."""
    patience = {"first_event_timeout_s": "0.2", "idle_timeout_s": "0.2"}
    with Gateway(tmp_path / "home", **patience) as gateway:
        yield open_shop(gateway, openrouter)
        openrouter.go_on()


@BOTH
def test_a_vendor_that_says_nothing_is_a_timeout_and_free(
    impatient_shop: Shop, *, stream: bool
) -> None:
    gateway, customer, vendor = impatient_shop
    vendor.says(Reply(wait_after=0))

    answer = chat(gateway, customer.key, stream=stream)

    assert (answer.status_code, exact(answer)["error"]["code"]) == (504, "upstream_timeout")
    (generation,) = books_agree(gateway, customer)
    assert (generation["outcome"], generation["cost"]) == ("free_upstream_error", FREE)


def test_a_vendor_that_falls_silent_half_way_is_told_inside_the_stream(
    impatient_shop: Shop,
) -> None:
    gateway, customer, vendor = impatient_shop
    vendor.says(Reply(comments=0, wait_after=4))

    answer = chat(gateway, customer.key, stream=True)

    ends_with_error(answer, "upstream_timeout")
    (generation,) = books_agree(gateway, customer)
    assert (generation["outcome"], generation["cost"]) == ("free_broken", FREE)
    assert [reason for _, reason in losses(gateway, customer)] == ["free_broken"]


# Inside a stream ------------------------------------------------------------------------------


def ends_with_error(answer: Any, code: str) -> None:
    """The error as an event of its own, then the end, under a status that has long gone out."""
    events = events_of(answer.text)
    assert answer.status_code == 200
    assert events[-1] == "[DONE]"
    assert events[-2]["error"]["code"] == code
    assert events[-2]["error"]["request_id"] == answer.headers["x-request-id"]


def test_an_error_as_the_first_event_has_its_real_status(
    small_shop: Shop, log_lines: list[Any]
) -> None:
    gateway, customer, vendor = small_shop
    event = b"data: " + said(SECRETS_OF_OURS, code=429) + b"\n\ndata: [DONE]\n\n"
    vendor.says(Reply(body=event, headers=EVENTS))

    answer = chat(gateway, customer.key, stream=True)

    assert (answer.status_code, exact(answer)["error"]["code"]) == (503, "overloaded")
    (generation,) = books_agree(gateway, customer)
    assert (generation["outcome"], generation["cost"]) == ("free_upstream_error", FREE)
    has_no_canary(small_shop, answer, log_lines)


@pytest.mark.parametrize("with_usage", [False, True])
def test_a_later_error_is_told_inside_the_stream_and_the_answer_is_free(
    small_shop: Shop, log_lines: list[Any], *, with_usage: bool
) -> None:
    gateway, customer, vendor = small_shop
    error = {"message": SECRETS_OF_OURS, "code": 502}
    vendor.says(Reply(error=error, error_with_usage=with_usage))

    answer = chat(gateway, customer.key, stream=True)

    ends_with_error(answer, "upstream_error")
    assert text_of(events_of(answer.text)[:-2]) == "Hello from the fake vendor."
    (generation,) = books_agree(gateway, customer)
    assert (generation["outcome"], generation["cost"]) == ("free_broken", FREE)
    ((lost, reason),) = losses(gateway, customer)
    assert lost > 0
    assert reason == "free_broken"
    has_no_canary(small_shop, answer, log_lines)


@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
@pytest.mark.parametrize("sent_bytes", [1, 60, 200, 330, 460, 700, 1200, 1500])
def test_a_stream_that_is_cut_anywhere_is_free(
    small_shop: Shop, log_lines: list[Any], sent_bytes: int, *, reset: bool
) -> None:
    gateway, customer, vendor = small_shop
    vendor.says(Reply(comments=0, cut_after_bytes=sent_bytes, reset=reset))

    answer = chat(gateway, customer.key, stream=True)

    (generation,) = books_agree(gateway, customer)
    assert generation["cost"] == FREE
    if answer.status_code == 200:
        ends_with_error(answer, "upstream_error")
        assert generation["outcome"] == "free_broken"
        assert [reason for _, reason in losses(gateway, customer)] == ["free_broken"]
    else:
        assert (answer.status_code, generation["outcome"]) == (502, "free_upstream_error")
        assert losses(gateway, customer) == []
    has_no_canary(small_shop, answer, log_lines)


@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
@pytest.mark.parametrize("sent_bytes", [1, 50, 400])
def test_a_whole_answer_that_is_cut_is_free_and_the_operators_loss(
    small_shop: Shop, sent_bytes: int, *, reset: bool
) -> None:
    gateway, customer, vendor = small_shop
    vendor.says(Reply(cut_after_bytes=sent_bytes, reset=reset))

    answer = chat(gateway, customer.key)

    assert (answer.status_code, exact(answer)["error"]["code"]) == (502, "upstream_error")
    (generation,) = books_agree(gateway, customer)
    assert (generation["outcome"], generation["cost"]) == ("free_broken", FREE)
    assert [reason for _, reason in losses(gateway, customer)] == ["free_broken"]


def test_a_stream_that_ends_without_a_word_of_its_end_is_charged(small_shop: Shop) -> None:
    gateway, customer, vendor = small_shop
    vendor.says(Reply(done=False))

    answer = chat(gateway, customer.key, stream=True)

    assert events_of(answer.text)[-1] == "[DONE]"
    (generation,) = books_agree(*small_shop)
    assert generation["outcome"] == "charged"


@BOTH
def test_an_empty_answer_is_an_error_and_free(small_shop: Shop, *, stream: bool) -> None:
    gateway, customer, vendor = small_shop
    vendor.says(Reply(text="", finish_reason=None))

    answer = chat(gateway, customer.key, stream=stream)

    if stream and answer.status_code == 200:
        ends_with_error(answer, "upstream_invalid_response")
    else:
        assert exact(answer)["error"]["code"] == "upstream_invalid_response"
    (generation,) = books_agree(gateway, customer)
    assert (generation["outcome"], generation["cost"]) == ("free_empty", FREE)
    assert [reason for _, reason in losses(gateway, customer)] == ["free_empty"]


# Usage that cannot be right -------------------------------------------------------------------


def counted(prompt_tokens: int, completion_tokens: int) -> dict[str, int]:
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }


@BOTH
def test_an_answer_without_usage_is_estimated(small_shop: Shop, *, stream: bool) -> None:
    gateway, customer, vendor = small_shop
    vendor.says(Reply(usage="absent"))

    answer = chat(gateway, customer.key, stream=stream, stream_options={"include_usage": True})

    (generation,) = books_agree(gateway, customer)
    assert generation["outcome"] == "charged_estimated"
    assert 0 < Decimal(generation["cost"]) <= Decimal(generation["held"])
    told = events_of(answer.text)[-2] if stream else exact(answer)
    assert told["usage"]["estimated"] is True
    assert told["usage"]["cost"] == Decimal(generation["cost"])


@BOTH
@pytest.mark.parametrize(
    "usage",
    [
        counted(500_000, 6),
        counted(-5, 6),
        counted(5, 10**18),
        {"prompt_tokens": "5", "completion_tokens": 6},
        {"prompt_tokens": 5.5, "completion_tokens": 6},
        {**counted(5, 6), "cost": -1},
    ],
    ids=str,
)
def test_usage_that_cannot_be_right_is_refused_and_the_answer_is_not(
    small_shop: Shop, *, stream: bool, usage: dict[str, Any]
) -> None:
    gateway, customer, vendor = small_shop
    vendor.says(Reply(usage_values=usage))

    answer = chat(gateway, customer.key, stream=stream)

    assert answer.status_code == 200
    said = text_of(events_of(answer.text)) if stream else exact(answer)["choices"][0]["message"]
    assert "Hello from the fake vendor." in (said if stream else said["content"])
    (generation,) = books_agree(gateway, customer)
    assert generation["outcome"] == "charged_estimated"
    assert 0 < Decimal(generation["cost"]) <= Decimal(generation["held"])
    assert generation["prompt_tokens"] < 100
    assert recorded(gateway, customer, "flags") == ["absurd_usage"]
    assert gateway.app.desk.meter.flags["absurd_usage"] > 0


@BOTH
def test_nobody_pays_more_than_was_held_and_the_rest_is_the_operators_loss(
    small_shop: Shop, *, stream: bool
) -> None:
    gateway, customer, vendor = small_shop
    vendor.says(Reply(usage_values=counted(90_000, 9_000)))

    answer = chat(gateway, customer.key, stream=stream)

    assert answer.status_code == 200
    (generation,) = books_agree(gateway, customer)
    assert generation["outcome"] == "charged_capped"
    assert generation["cost"] == generation["held"]
    ((lost, reason),) = losses(gateway, customer)
    full_price = sum(Decimal(line["amount"]) for line in generation["receipt"])
    assert lost == (full_price - Decimal(generation["held"])) * 10**9
    assert reason == "charged_capped"


# Another route --------------------------------------------------------------------------------


@pytest.fixture
def second() -> Iterator[FakeOpenAI]:
    with FakeOpenAI("plain", models=("second-name",)) as vendor:
        yield vendor


@pytest.fixture
def two_routes(small_shop: Shop, second: FakeOpenAI) -> Shop:
    small_shop.gateway.add_upstream(
        second.base_url, MODEL, secret=second.key, upstream_model="second-name", priority=200
    )
    return small_shop


@BOTH
@pytest.mark.parametrize("name", ["401", "404", "429", "500", "529", "200 with an error", "a page"])
def test_another_route_takes_over_before_the_first_byte(
    two_routes: Shop, second: FakeOpenAI, *, stream: bool, name: str
) -> None:
    gateway, customer, vendor = two_routes
    vendor.says(REFUSALS[name].reply)

    answer = chat(gateway, customer.key, stream=stream)

    assert answer.status_code == 200
    (generation,) = books_agree(gateway, customer, second)
    assert (generation["outcome"], generation["cost"] > FREE) == ("charged", True)
    assert recorded(gateway, customer, "attempts") == [2]
    assert len(second.billed) == 1


@BOTH
def test_no_other_route_is_asked_for_a_wrong_request(
    two_routes: Shop, second: FakeOpenAI, *, stream: bool
) -> None:
    gateway, customer, vendor = two_routes
    vendor.says(REFUSALS["400"].reply)

    answer = chat(gateway, customer.key, stream=stream)

    assert answer.status_code == 400
    assert second.calls == []
    books_agree(gateway, customer)


def test_no_other_route_is_asked_once_a_byte_was_passed_on(
    two_routes: Shop, second: FakeOpenAI
) -> None:
    gateway, customer, vendor = two_routes
    vendor.says(Reply(comments=0, cut_after_bytes=700))

    answer = chat(gateway, customer.key, stream=True)

    ends_with_error(answer, "upstream_error")
    assert second.calls == []
    books_agree(gateway, customer)


def test_when_all_routes_fail_the_last_one_is_told(two_routes: Shop, second: FakeOpenAI) -> None:
    gateway, customer, vendor = two_routes
    vendor.says(REFUSALS["401"].reply)
    second.says(REFUSALS["429"].reply)

    answer = chat(gateway, customer.key)

    assert (answer.status_code, exact(answer)["error"]["code"]) == (503, "overloaded")
    (generation,) = books_agree(gateway, customer)
    assert generation["cost"] == FREE
