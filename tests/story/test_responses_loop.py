"""A program that calls tools, on a model that only OpenAI's Responses API serves.

It is OpenAI's own library with nothing but our address and a key. What the model thought between
two calls travels encrypted through the program, and back to the vendor, who refuses any other.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import openai
import pytest
from books import books_agree, losses
from calls import HELLO, chat, events_of

from altyn.catalog.route import add_route
from altyn.money import parse_nanos
from altyn.upstream.dialects.hosts import HOSTS, find_host
from altyn.upstream.provider import add_provider
from fakes.gateway import Customer, Gateway
from fakes.openai_server import FakeOpenAI, Reply
from fakes.responses_server import FakeResponses, ResponsesReply

MODEL = "openai/gpt-5.2-pro"
UPSTREAM_MODEL = "gpt-5.2-pro"
ROME, OSLO = ("weather", '{"city": "Rome"}'), ("weather", '{"city": "Oslo"}')
TURNS = (
    Reply(reasoning="Two cities.", reasoning_tokens=64, tools=(ROME, OSLO), cached_tokens=3),
    Reply(reasoning="Now the time.", reasoning_tokens=128, tools=(("clock", ""),)),
    Reply(text="Sun in Rome, snow in Oslo, at noon.", reasoning_tokens=0),
)
TOLD = {"Rome": "sun", "Oslo": "snow"}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    },
    {"type": "function", "function": {"name": "clock"}},
]


class Shop(NamedTuple):
    gateway: Gateway
    customer: Customer
    vendor: FakeResponses


@pytest.fixture
def vendor() -> Iterator[FakeResponses]:
    with FakeResponses() as fake:
        yield fake


@pytest.fixture
def shop(gateway: Gateway, vendor: FakeResponses) -> Shop:
    return open_shop(gateway, vendor)


@pytest.fixture
def small_shop(sqlite_gateway: Gateway, vendor: FakeResponses) -> Shop:
    """For what does not depend on the database."""
    return open_shop(sqlite_gateway, vendor)


def open_shop(gateway: Gateway, vendor: FakeResponses) -> Shop:
    """The vendor's ordinary dialect is another; the route to this model has its own."""

    async def connect(tx: Any) -> None:
        await add_provider(
            tx,
            gateway.seal,
            name="openai",
            dialect="openai-chat",
            base_url=vendor.base_url,
            secret=vendor.key,
        )
        await add_route(
            tx,
            model_id=MODEL,
            provider="openai",
            upstream_model=UPSTREAM_MODEL,
            dialect="openai-responses",
        )

    gateway.write(connect)
    return Shop(gateway, gateway.add_customer("10"), vendor)


def open_client(shop: Shop) -> openai.OpenAI:
    return openai.OpenAI(base_url=shop.gateway.base, api_key=shop.customer.key, max_retries=0)


def ask_whole(client: openai.OpenAI, messages: list[Any]) -> dict[str, Any]:
    answer = client.chat.completions.create(
        model=MODEL, messages=messages, tools=TOOLS, extra_body={"reasoning": {"effort": "high"}}
    )
    return answer.choices[0].message.model_dump(exclude_none=True)


def ask_stream(client: openai.OpenAI, messages: list[Any]) -> dict[str, Any]:
    """The message put together from its chunks, as a careful program does."""
    said: dict[str, Any] = {"role": "assistant", "content": "", "reasoning_details": []}
    calls: list[dict[str, Any]] = []
    for chunk in client.chat.completions.create(
        model=MODEL,
        messages=messages,
        tools=TOOLS,
        stream=True,
        extra_body={"reasoning": {"effort": "high"}},
    ):
        for choice in chunk.choices:
            delta = choice.delta.model_dump(exclude_none=True)
            said["content"] += delta.get("content", "")
            said["reasoning_details"] += delta.get("reasoning_details", [])
            for part in delta.get("tool_calls", []):
                if part["index"] == len(calls):
                    calls.append({**part, "function": {"name": "", "arguments": ""}})
                for name, text in part["function"].items():
                    calls[part["index"]]["function"][name] += text
    return said | ({"tool_calls": calls} if calls else {})


def use(name: str, arguments: str) -> str:
    asked = json.loads(arguments)
    return TOLD[asked["city"]] if name == "weather" else "noon"


def work(client: openai.OpenAI, ask: Any) -> tuple[str, list[Any]]:
    """Ask until there is nothing to call any more: what was said at last, and all before it."""
    messages: list[Any] = [{"role": "user", "content": "What is it like?"}]
    while True:
        said = ask(client, messages)
        if "tool_calls" not in said:
            return said["content"], messages
        messages.append(said)
        for call in said["tool_calls"]:
            result = use(**call["function"])
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})


@pytest.mark.parametrize("ask", [ask_whole, ask_stream])
def test_a_loop_of_tools_keeps_its_reasoning_and_its_books(shop: Shop, ask: Any) -> None:
    shop.vendor.says(*TURNS)

    with open_client(shop) as client:
        text, messages = work(client, ask)

    generations = books_agree(*shop)
    assert text == TURNS[-1].text
    assert [m["content"] for m in messages if m["role"] == "tool"] == ["sun", "snow", "noon"]
    assert [g["reasoning_tokens"] for g in generations] == [0, 128, 64]
    assert [g["cached_tokens"] for g in generations] == [0, 0, 3]


def test_every_envelope_comes_back_to_the_vendor_before_its_call(small_shop: Shop) -> None:
    small_shop.vendor.says(*TURNS)

    with open_client(small_shop) as client:
        work(client, ask_stream)

    sent = json.loads(small_shop.vendor.calls[-1]["body"])["input"]
    envelopes = [item["encrypted_content"] for item in sent if item.get("type") == "reasoning"]
    assert envelopes == list(small_shop.vendor.envelopes)[:2]
    assert [item.get("type", "message") for item in sent] == [
        "message",
        "reasoning",
        "function_call",
        "function_call",
        "function_call_output",
        "function_call_output",
        "reasoning",
        "function_call",
        "function_call_output",
    ]


def test_reasoning_is_told_to_who_asks_for_it(small_shop: Shop) -> None:
    small_shop.vendor.says(TURNS[0])

    with open_client(small_shop) as client:
        said = ask_whole(client, [{"role": "user", "content": "What is it like?"}])

    assert said["reasoning"] == "Two cities."
    assert [detail["type"] for detail in said["reasoning_details"]] == [
        "reasoning.summary",
        "reasoning.encrypted",
    ]


@pytest.fixture
def like_openrouter(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is on loopback is spoken to as OpenRouter is, which takes reasoning back."""
    monkeypatch.setitem(HOSTS, "127.0.0.1", HOSTS["openrouter.ai"])
    find_host.cache_clear()
    yield
    find_host.cache_clear()


@pytest.mark.usefixtures("like_openrouter")
def test_a_loop_goes_on_by_another_route_which_gets_no_envelope_of_the_first(
    small_shop: Shop,
) -> None:
    small_shop.vendor.says(TURNS[1], Reply(status=503, body=b""))
    with FakeOpenAI("openrouter", models=("openai/gpt-5.2-pro",)) as middleman:
        small_shop.gateway.add_upstream(
            middleman.base_url, MODEL, secret=middleman.key, priority=200
        )

        with open_client(small_shop) as client:
            text, _ = work(client, ask_stream)

    sent = json.loads(middleman.calls[-1]["body"])
    generations = books_agree(small_shop.gateway, small_shop.customer)
    assert text == "Hello from the fake vendor."
    assert "gAAAA" not in json.dumps(sent["messages"])
    assert [generation["outcome"] for generation in generations] == ["charged", "charged"]


BROKEN = {"code": "server_error", "message": "The model broke."}
FLAGGED = {"code": "invalid_prompt", "message": "It was flagged."}


def failed(error: dict[str, str]) -> Reply:
    return Reply(text="", error=error, error_event="response.failed")


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(status=401, body=b'{"error":{"code":"invalid_api_key"}}'), "503 model_unavailable"),
        (Reply(status=429, body=b'{"error":{"code":"rate_limit_exceeded"}}'), "503 overloaded"),
        (Reply(status=500, body=b""), "502 upstream_error"),
        (Reply(status=503, body=b""), "503 overloaded"),
        (Reply(body=b"<html>"), "502 upstream_invalid_response"),
        (failed(BROKEN), "502 upstream_error"),
        (failed(FLAGGED), "400 invalid_parameter"),
    ],
    ids=["key", "quota", "server", "busy", "html", "failed", "flagged"],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_fault_before_the_first_word_is_a_status_and_costs_nothing(
    small_shop: Shop, reply: Reply, expected: str, *, stream: bool
) -> None:
    small_shop.vendor.says(reply)

    with open_client(small_shop) as client, pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model=MODEL, messages=HELLO, stream=stream)

    (generation,) = books_agree(small_shop.gateway, small_shop.customer)
    assert f"{caught.value.status_code} {caught.value.code}" == expected
    assert small_shop.vendor.key not in caught.value.response.text
    assert "127.0.0.1" not in caught.value.response.text
    assert parse_nanos(generation["cost"]) == 0


def test_a_failure_after_some_words_is_told_inside_the_stream_and_the_answer_is_free(
    small_shop: Shop,
) -> None:
    small_shop.vendor.says(Reply(text="Half a", error=BROKEN, error_event="response.failed"))

    answer = chat(small_shop.gateway, small_shop.customer.key, model=MODEL, stream=True)

    *_, error, done = events_of(answer.text)
    (generation,) = books_agree(small_shop.gateway, small_shop.customer)
    assert (error["error"]["code"], done) == ("upstream_error", "[DONE]")
    assert (generation["outcome"], parse_nanos(generation["cost"])) == ("free_broken", 0)
    ((lost, reason),) = losses(small_shop.gateway, small_shop.customer)
    assert (lost > 0, reason) == (True, "free_broken")


def test_a_refusal_is_told_as_one_and_paid_as_an_answer(small_shop: Shop) -> None:
    small_shop.vendor.says(ResponsesReply(text="", refusal="I cannot help."))

    with open_client(small_shop) as client:
        answer = client.chat.completions.create(model=MODEL, messages=HELLO)

    message = answer.choices[0].message
    assert (message.content, message.refusal) == (None, "I cannot help.")
    books_agree(*small_shop)


def test_an_answer_that_ran_out_of_tokens_says_so(small_shop: Shop) -> None:
    small_shop.vendor.says(Reply(text="And so", finish_reason="length"))

    with open_client(small_shop) as client:
        answer = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=1)

    assert answer.choices[0].finish_reason == "length"
    assert json.loads(small_shop.vendor.calls[-1]["body"])["max_output_tokens"] == 16
    books_agree(*small_shop)
