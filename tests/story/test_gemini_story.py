"""Google's own API behind the gateway, OpenAI's library in front of it: agents, faults, money."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import openai
import pytest
from books import books_agree, losses, recorded
from calls import chat, events_of, exact, text_of

from fakes.gateway import Customer, Gateway
from fakes.gemini_server import SKIP, FakeGemini, Reply, key_refused, rate_limited, refusal

MODEL = "google/gemini-3-flash-preview"
UPSTREAM_MODEL = "gemini-3-flash-preview"
KEY = "AIzaCanary0123456789abcdefghijklmnop"
FREE = "0.000000000"
BOTH = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


class Shop(NamedTuple):
    gateway: Gateway
    customer: Customer
    vendor: FakeGemini


@pytest.fixture
def google() -> Iterator[FakeGemini]:
    with FakeGemini(key=KEY) as vendor:
        yield vendor


def open_shop(gateway: Gateway, vendor: FakeGemini) -> Shop:
    gateway.add_upstream(
        # The name, not the number: so that it can be told from the gateway's own address.
        vendor.base_url.replace("127.0.0.1", "localhost"),
        MODEL,
        secret=vendor.key,
        upstream_model=UPSTREAM_MODEL,
        dialect="gemini",
    )
    return Shop(gateway, gateway.add_customer(), vendor)


@pytest.fixture
def shop(gateway: Gateway, google: FakeGemini) -> Shop:
    """On either database."""
    return open_shop(gateway, google)


@pytest.fixture
def small_shop(sqlite_gateway: Gateway, google: FakeGemini) -> Shop:
    return open_shop(sqlite_gateway, google)


# An agent -------------------------------------------------------------------------------------

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"Tells the {name}.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
    for name in ("weather", "clock")
]
TURNS = (
    Reply(
        reasoning="I need the weather of two cities.",
        calls=(("weather", {"city": "Rome"}), ("weather", {"city": "Рим"})),
    ),
    Reply(reasoning="And the time.", calls=(("clock", {}),), ids=True),
    Reply(text="It is noon in Rome, and sunny."),
)


def ask(client: openai.OpenAI, messages: list[Any], *, stream: bool) -> Any:
    """The message of one answer, read as an agent reads it."""
    asked: dict[str, Any] = {"model": MODEL, "messages": messages, "tools": TOOLS}
    if not stream:
        return client.chat.completions.create(**asked).choices[0].message
    with client.chat.completions.stream(**asked) as events:
        for _ in events:
            pass
        return events.get_final_completion().choices[0].message


def as_it_came(message: Any) -> Any:
    return message


def without_extras(message: Any) -> dict[str, Any]:
    """What is left of a message in a library that keeps only what OpenAI documents."""
    calls = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.function.name, "arguments": call.function.arguments},
        }
        for call in message.tool_calls
    ]
    return {"role": "assistant", "content": message.content, "tool_calls": calls}


def with_extras_of_calls(message: Any) -> dict[str, Any]:
    """A library that knows Google's layer for OpenAI's format, and not OpenRouter."""
    said = without_extras(message)
    for call, kept in zip(message.tool_calls, said["tool_calls"], strict=True):
        extra = (call.model_extra or {}).get("extra_content")
        if extra:
            kept["extra_content"] = extra
    return said


def run_agent(shop: Shop, keep: Any, *, stream: bool) -> tuple[list[list[str]], str]:
    """The tools that were called, turn by turn, and the last word."""
    called: list[list[str]] = []
    messages: list[Any] = [{"role": "user", "content": "Weather and time in Rome?"}]
    with openai.OpenAI(
        base_url=shop.gateway.base, api_key=shop.customer.key, max_retries=0
    ) as client:
        while (said := ask(client, messages, stream=stream)).tool_calls:
            called.append([f"{c.function.name} {c.function.arguments}" for c in said.tool_calls])
            messages.append(keep(said))
            messages += [
                {"role": "tool", "tool_call_id": c.id, "content": f"result of {c.id}"}
                for c in said.tool_calls
            ]
    return called, said.content


def signatures_sent(vendor: FakeGemini) -> list[list[str]]:
    """The signatures in each call to the vendor."""
    return [
        [
            part["thoughtSignature"]
            for content in json.loads(call["body"])["contents"]
            for part in content["parts"]
            if "thoughtSignature" in part
        ]
        for call in vendor.calls
    ]


@BOTH
@pytest.mark.parametrize("keep", [as_it_came, with_extras_of_calls])
def test_an_agent_goes_on_with_its_train_of_thought(shop: Shop, keep: Any, *, stream: bool) -> None:
    shop.vendor.says(*TURNS)

    called, answer = run_agent(shop, keep, stream=stream)

    assert called == [['weather {"city":"Rome"}', 'weather {"city":"Рим"}'], ["clock {}"]]
    assert answer == "It is noon in Rome, and sunny."
    first, second = shop.vendor.signatures
    assert signatures_sent(shop.vendor) == [[], [first], [first, second]]
    generations = books_agree(*shop)  # type: ignore[arg-type]
    assert [card["outcome"] for card in generations] == ["charged"] * 3
    assert all(card["reasoning_tokens"] for card in generations[1:])


@BOTH
def test_an_agent_whose_library_drops_signatures_gets_its_answer_too(
    shop: Shop, *, stream: bool
) -> None:
    shop.vendor.says(*TURNS)

    _, answer = run_agent(shop, without_extras, stream=stream)

    assert answer == "It is noon in Rome, and sunny."
    assert signatures_sent(shop.vendor) == [[], [SKIP], [SKIP, SKIP]]
    assert len(books_agree(*shop)) == 3  # type: ignore[arg-type]


@BOTH
def test_thoughts_are_told_as_reasoning(small_shop: Shop, *, stream: bool) -> None:
    small_shop.vendor.says(Reply(reasoning="Let me see.", text="Yes."))

    answer = chat(small_shop.gateway, small_shop.customer.key, model=MODEL, stream=stream)

    if stream:
        deltas = [e["choices"][0]["delta"] for e in events_of(answer.text)[:-1] if e["choices"]]
        assert "".join(delta.get("reasoning", "") for delta in deltas) == "Let me see."
        assert text_of(events_of(answer.text)) == "Yes."
    else:
        message = exact(answer)["choices"][0]["message"]
        assert (message["reasoning"], message["content"]) == ("Let me see.", "Yes.")
    books_agree(*small_shop)  # type: ignore[arg-type]


@BOTH
def test_a_blocked_prompt_is_told_and_its_tokens_are_charged(
    small_shop: Shop, *, stream: bool
) -> None:
    small_shop.vendor.says(Reply(blocked="PROHIBITED_CONTENT"))

    chat(small_shop.gateway, small_shop.customer.key, model=MODEL, stream=stream)

    (generation,) = books_agree(*small_shop)  # type: ignore[arg-type]
    assert (generation["finish_reason"], generation["outcome"]) == ("content_filter", "charged")
    assert (generation["completion_tokens"], generation["cost"] > FREE) == (0, True)


@BOTH
@pytest.mark.parametrize(
    ("answers", "flag"),
    [("gemini-3.8-flash", "other_model"), ("gemini-3-flash-preview-09-2026", None)],
)
def test_another_model_than_the_one_asked_for_is_flagged_and_the_price_stays(
    small_shop: Shop, *, stream: bool, answers: str, flag: str | None
) -> None:
    gateway, customer, vendor = small_shop
    vendor.says(Reply(model_version=answers))

    answer = chat(gateway, customer.key, model=MODEL, stream=stream)

    assert answer.status_code == 200
    (generation,) = books_agree(*small_shop)  # type: ignore[arg-type]
    assert generation["outcome"] == "charged"
    assert recorded(gateway, customer, "flags") == [flag]
    assert recorded(gateway, customer, "upstream_model") == [answers]


# What Google refuses --------------------------------------------------------------------------

CANARIES = f"Key {KEY} of projects/123456789 at https://api.cloud.example/x for {UPSTREAM_MODEL}"
LONG = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
FAULTS = {
    "a wrong key": (key_refused(), 503, "model_unavailable"),
    "a key that ended": (key_refused("API key expired. Renew it."), 503, "model_unavailable"),
    "a place": (
        refusal(400, "User location is not supported.", status="FAILED_PRECONDITION"),
        503,
        "model_unavailable",
    ),
    "no permission": (refusal(403, CANARIES), 503, "model_unavailable"),
    "no such model": (refusal(404, CANARIES), 503, "model_unavailable"),
    "a rate": (rate_limited("34.2s"), 503, "overloaded"),
    "overload": (refusal(503, CANARIES), 503, "overloaded"),
    "a server's fault": (refusal(500, CANARIES), 502, "upstream_error"),
    "a deadline": (refusal(504, CANARIES), 504, "upstream_timeout"),
    "a wrong request": (refusal(400, CANARIES), 400, "invalid_parameter"),
    "a long prompt": (refusal(400, LONG), 400, "context_length_exceeded"),
    "a large body": (
        refusal(400, "Request payload size exceeds the limit: 20971520 bytes."),
        413,
        "body_too_large",
    ),
    "an array": (
        Reply(status=500, body=b"[" + (refusal(500, CANARIES).body or b"") + b"]"),
        502,
        "upstream_error",
    ),
    "a bad call": (
        Reply(text="", finish_reason="MALFORMED_FUNCTION_CALL", usage="absent"),
        502,
        "upstream_error",
    ),
    "a page": (Reply(body=b"<html>busy</html>"), 502, "upstream_invalid_response"),
}


@BOTH
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_google_has_its_status_is_free_and_leaks_nothing(
    small_shop: Shop, log_lines: list[Any], *, stream: bool, name: str
) -> None:
    gateway, customer, vendor = small_shop
    reply, status, code = FAULTS[name]
    vendor.says(reply)

    answer = chat(gateway, customer.key, model=MODEL, stream=stream)

    assert (answer.status_code, exact(answer)["error"]["code"]) == (status, code)
    (generation,) = books_agree(gateway, customer)
    assert (generation["error_code"], generation["cost"]) == (code, FREE)
    told = answer.text + str(answer.headers)
    for canary in (KEY, KEY[:10], "localhost", f":{vendor.port}", "123456789", "cloud.example"):
        assert canary not in told
    assert KEY not in str(log_lines)


@BOTH
def test_google_says_in_the_body_when_to_come_back(small_shop: Shop, *, stream: bool) -> None:
    small_shop.vendor.says(rate_limited("34.2s"))

    answer = chat(small_shop.gateway, small_shop.customer.key, model=MODEL, stream=stream)

    assert answer.headers["retry-after"] == "34"


@BOTH
def test_a_refused_key_sends_the_call_to_the_next_route(
    small_shop: Shop, google: FakeGemini, *, stream: bool
) -> None:
    gateway, customer, vendor = small_shop
    with FakeGemini() as second:
        gateway.add_upstream(
            second.base_url,
            MODEL,
            secret=second.key,
            upstream_model="gemini-2.5-pro",
            priority=200,
            dialect="gemini",
        )
        vendor.says(key_refused())

        answer = chat(gateway, customer.key, model=MODEL, stream=stream)

        assert answer.status_code == 200
        books_agree(gateway, customer, second)
    assert recorded(gateway, customer, "attempts") == [2]


def test_an_error_inside_a_stream_is_told_and_free(small_shop: Shop) -> None:
    gateway, customer, vendor = small_shop
    vendor.says(Reply(error={"code": 503, "message": CANARIES, "status": "UNAVAILABLE"}))

    answer = chat(gateway, customer.key, model=MODEL, stream=True)

    *told, error, done = events_of(answer.text)
    assert (error["error"]["code"], done) == ("overloaded", "[DONE]")
    assert text_of(told)
    assert KEY not in answer.text
    (generation,) = books_agree(gateway, customer)
    assert (generation["outcome"], generation["cost"]) == ("free_broken", FREE)
    assert [reason for _, reason in losses(gateway, customer)] == ["free_broken"]


@pytest.mark.parametrize("sent_bytes", [300, 700, 1000])
def test_a_stream_that_is_cut_is_free(small_shop: Shop, sent_bytes: int) -> None:
    gateway, customer, vendor = small_shop
    vendor.says(Reply(cut_after_bytes=sent_bytes))

    answer = chat(gateway, customer.key, model=MODEL, stream=True)

    (generation,) = books_agree(gateway, customer)
    assert (generation["status"], generation["cost"]) == ("error", FREE)
    assert answer.status_code in (200, 502)


@BOTH
def test_a_file_in_googles_storage_is_refused_before_google_is_asked(
    small_shop: Shop, *, stream: bool
) -> None:
    gateway, customer, vendor = small_shop
    url = f"https://generativelanguage.googleapis.com/v1beta/files/{KEY}"
    messages = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]

    answer = chat(gateway, customer.key, model=MODEL, messages=messages, stream=stream)

    error = exact(answer)["error"]
    assert (answer.status_code, error["code"]) == (400, "invalid_parameter")
    assert error["param"] == "messages[0].content[0]"
    assert vendor.calls == []
    (generation,) = books_agree(gateway, customer)
    assert generation["cost"] == FREE


def test_the_key_goes_in_its_header_and_nowhere_else(small_shop: Shop) -> None:
    chat(small_shop.gateway, small_shop.customer.key, model=MODEL)

    (call,) = small_shop.vendor.calls
    assert call["headers"]["x-goog-api-key"] == KEY
    assert "authorization" not in call["headers"]
    assert KEY not in call["path"]
    assert KEY.encode() not in call["body"]
