"""Claude, asked in its own format, by customers who know only OpenAI's.

The vendor signs what it thinks and takes it back unchanged or not at all: a loop of tool calls that
comes to its end has carried every signature round.
"""

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import openai
import pytest
from books import books_agree, losses
from calls import Line, chat, events_of, exact, text_of
from shops import NUMBERS, UPSTREAM_KEY, Shop

from altyn.upstream import provider
from fakes.anthropic_server import MODELS, OVERLOADED, FakeAnthropic, Reply, refusal
from fakes.gateway import Gateway
from fakes.openai_server import FakeOpenAI

MODEL = "anthropic/claude-haiku-4.5"
HELLO = [{"role": "user", "content": "Is Rome warmer than Oslo?"}]
BOTH = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
FREE = "0.000000000"
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    },
    {"type": "function", "function": {"name": "now"}},
]
STEPS = (
    Reply(
        reasoning="I need the weather of both cities.",
        redacted=True,
        tools=(("weather", '{"city": "Rome"}'), ("weather", '{"city": "Осло"}')),
    ),
    Reply(tools=(("now", ""),)),
    Reply(reasoning="21 is more than 9.", text="Yes: 21 degrees against 9, at noon."),
)
RESULTS = {"Rome": "21", "Осло": "9", None: "noon"}

Ask = Callable[[openai.OpenAI, list[Any]], Any]


@pytest.fixture
def claude() -> Iterator[FakeAnthropic]:
    with FakeAnthropic(key=UPSTREAM_KEY) as vendor:
        yield vendor


def open_claude(gateway: Gateway, claude: FakeAnthropic) -> Shop:
    gateway.add_upstream(
        # The name, not the number: so that it can be told from the gateway's own address.
        claude.base_url.replace("127.0.0.1", "localhost"),
        MODEL,
        name=f"cloud-{next(NUMBERS)}",
        secret=claude.key,
        upstream_model=MODELS[0],
        dialect="anthropic",
        priority=50,
    )
    return Shop(gateway, gateway.add_customer("10"), claude)


@pytest.fixture
def shop(gateway: Gateway, claude: FakeAnthropic) -> Shop:
    """On either database, in a gateway of its own."""
    return open_claude(gateway, claude)


@pytest.fixture
def small_shop(shared_gateway: Gateway, claude: FakeAnthropic) -> Iterator[Shop]:
    """For what does not depend on the database. Afterwards every invariant must hold."""
    yield open_claude(shared_gateway, claude)
    shared_gateway.wait_until_idle()
    shared_gateway.verify()
    shared_gateway.write(lambda tx: tx.execute("DELETE FROM routes WHERE model_id = $1", MODEL))


def open_client(shop: Shop) -> openai.OpenAI:
    return openai.OpenAI(base_url=shop.gateway.base, api_key=shop.customer.key, max_retries=0)


# A loop of tool calls -------------------------------------------------------------------------


def fields(messages: list[Any]) -> dict[str, Any]:
    thinking = {"reasoning": {"max_tokens": 1024}}
    return {"model": MODEL, "messages": messages, "tools": TOOLS, "extra_body": thinking}


def ask_whole(client: openai.OpenAI, messages: list[Any]) -> Any:
    return client.chat.completions.create(**fields(messages)).choices[0].message


def ask_streamed(client: openai.OpenAI, messages: list[Any]) -> Any:
    with client.chat.completions.stream(**fields(messages)) as stream:
        return stream.get_final_completion().choices[0].message


def act(client: openai.OpenAI, ask: Ask) -> list[Any]:
    """An agent as many are written: ask, call the tools, tell their results, until it answers."""
    messages: list[Any] = [{"role": "system", "content": "Be brief."}, *HELLO]
    while True:
        said = ask(client, messages)
        messages.append(said.model_dump(exclude_none=True, exclude={"parsed"}))
        if not said.tool_calls:
            return messages
        for call in said.tool_calls:
            city = json.loads(call.function.arguments).get("city")
            messages.append({"role": "tool", "tool_call_id": call.id, "content": RESULTS[city]})


@pytest.mark.parametrize("ask", [ask_whole, ask_streamed], ids=["whole", "stream"])
def test_an_agent_comes_to_its_end_with_every_thought_carried_round(shop: Shop, ask: Ask) -> None:
    shop.vendor.says(*STEPS)

    with open_client(shop) as client:
        messages = act(client, ask)

    assert messages[-1]["content"] == "Yes: 21 degrees against 9, at noon."
    assert messages[-1]["reasoning"] == "21 is more than 9."
    sent = [json.loads(call["body"]) for call in shop.vendor.calls]
    assert [body["thinking"]["type"] for body in sent] == ["enabled"] * 3
    kinds = [[block["type"] for block in turn["content"]] for turn in sent[-1]["messages"]]
    assert kinds == [
        ["text"],
        ["redacted_thinking", "thinking", "tool_use", "tool_use"],
        ["tool_result", "tool_result"],
        ["tool_use"],
        ["tool_result"],
    ]
    generations = books_agree(*shop)
    assert [generation["outcome"] for generation in generations] == ["charged"] * 3
    assert [generation["finish_reason"] for generation in generations] == [
        "stop",
        "tool_calls",
        "tool_calls",
    ]
    assert generations[0]["reasoning_tokens"] == 6


def test_a_client_that_drops_the_thoughts_is_answered_without_them(small_shop: Shop) -> None:
    small_shop.vendor.says(*STEPS)

    with open_client(small_shop) as client:
        said = ask_whole(client, HELLO)
        bare = said.model_dump(include={"role", "content", "tool_calls"})
        results = [
            {"role": "tool", "tool_call_id": call.id, "content": "21"} for call in said.tool_calls
        ]
        answer = ask_whole(client, [*HELLO, bare, *results])

    assert answer.tool_calls[0].function.arguments == "{}"
    assert "thinking" not in json.loads(small_shop.vendor.calls[-1]["body"])
    books_agree(*small_shop)


def test_another_vendor_goes_on_with_a_loop_when_anthropic_is_overloaded(small_shop: Shop) -> None:
    gateway, customer, claude = small_shop
    with FakeOpenAI("openrouter", models=(MODEL,)) as other, open_client(small_shop) as client:
        gateway.add_upstream(other.base_url, MODEL, secret=other.key, upstream_model=MODEL)
        claude.says(STEPS[0], OVERLOADED)

        said = ask_streamed(client, HELLO)
        messages = [*HELLO, said.model_dump(exclude_none=True, exclude={"parsed"})]
        messages += [
            {"role": "tool", "tool_call_id": call.id, "content": "21"} for call in said.tool_calls
        ]
        answer = ask_streamed(client, messages)

    assert answer.content == "Hello from the fake vendor."
    assert len(claude.calls) == 2
    assert len(books_agree(gateway, customer)) == 2


# Money ----------------------------------------------------------------------------------------


@BOTH
def test_a_cache_is_paid_for_as_it_is_written_and_read(shop: Shop, *, stream: bool) -> None:
    control = {"type": "ephemeral", "ttl": "1h"}
    long = {"type": "text", "text": "A very long text indeed", "cache_control": control}
    messages = [{"role": "system", "content": [long]}, *HELLO]

    for _ in range(2):
        chat(shop.gateway, shop.customer.key, model=MODEL, messages=messages, stream=stream)

    second, first = books_agree(*shop)
    assert {line["kind"]: line["quantity"] for line in first["receipt"]} == {
        "input": 6,
        "cache_write_1h": 5,
        "output": 6,
    }
    assert {line["kind"]: line["quantity"] for line in second["receipt"]} == {
        "input": 6,
        "cached_read": 5,
        "output": 6,
    }
    # 1, 2, 0.1 and 5 dollars a million tokens: nanos a token are a thousand times that.
    assert Decimal(first["cost"]) * 10**9 == 6 * 1000 + 5 * 2000 + 6 * 5000
    assert Decimal(second["cost"]) * 10**9 == 6 * 1000 + 5 * 100 + 6 * 5000


def test_who_hangs_up_pays_the_prompt_as_counted_and_what_was_delivered(
    small_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, customer, claude = small_shop
    monkeypatch.setattr(provider, "STOPS_ON_ABORT", frozenset({"localhost"}))
    claude.says(Reply(wait_after=4))
    line = Line(gateway)

    line.ask(gateway, customer.key, model=MODEL, messages=HELLO)
    line.hear_events(1)
    line.leave_with_rst()
    # Once it has stopped: what the vendor still had to say is said to nobody.
    gateway.wait_until_idle()
    claude.go_on()

    (generation,) = books_agree(*small_shop)
    assert (generation["outcome"], generation["status"]) == ("charged_estimated", "cancelled")
    assert generation["prompt_tokens"] == claude.billed[0]["prompt_tokens"] == 6
    assert generation["completion_tokens"] == 1
    assert losses(gateway, customer) == []


@BOTH
def test_a_refusal_of_the_model_is_told_and_paid(small_shop: Shop, *, stream: bool) -> None:
    details = {"type": "refusal", "category": "bio", "explanation": "It could harm."}
    small_shop.vendor.says(Reply(text="I", stop_reason="refusal", stop_details=details))

    answer = chat(
        small_shop.gateway, small_shop.customer.key, model=MODEL, messages=HELLO, stream=stream
    )

    assert "It could harm." in answer.text
    (generation,) = books_agree(*small_shop)
    assert (generation["finish_reason"], generation["outcome"]) == ("content_filter", "charged")


@BOTH
def test_an_answer_in_json_is_text_to_the_customer(small_shop: Shop, *, stream: bool) -> None:
    small_shop.vendor.says(Reply(tools=(("altyn_answer_in_json", '{"warmer": "Rome"}'),)))

    answer = chat(
        small_shop.gateway,
        small_shop.customer.key,
        model=MODEL,
        messages=HELLO,
        stream=stream,
        response_format={"type": "json_object"},
    )

    told = (
        text_of(events_of(answer.text))
        if stream
        else exact(answer)["choices"][0]["message"]["content"]
    )
    assert json.loads(told) == {"warmer": "Rome"}
    (generation,) = books_agree(*small_shop)
    assert generation["finish_reason"] == "stop"


# What goes wrong ------------------------------------------------------------------------------

SECRETS_OF_OURS = (
    f"Key {UPSTREAM_KEY} of org-AAAABBBB at https://api.cloud.example/v1"
    f" (10.1.2.3, ops@cloud.example) may not call {MODELS[0]} with this tool schema"
)
LONG = "prompt is too long: 2 tokens > 1 maximum"
NO_CREDIT = "Your credit balance is too low to access the Anthropic API."
SPENT = "You have reached your specified API usage limits."
SPEND_LIMIT = {"error_code": "enforced_spend_limit_reached"}
REFUSALS = {
    "wrong": (refusal(400, SECRETS_OF_OURS), 400, "invalid_parameter"),
    "too long": (refusal(400, LONG), 400, "context_length_exceeded"),
    "no credit": (refusal(400, NO_CREDIT), 503, "model_unavailable"),
    "spent": (refusal(400, SPENT), 503, "model_unavailable"),
    "401": (refusal(401, SECRETS_OF_OURS), 503, "model_unavailable"),
    "402": (refusal(402, SECRETS_OF_OURS), 503, "model_unavailable"),
    "403": (refusal(403, SECRETS_OF_OURS), 503, "model_unavailable"),
    "404": (refusal(404, f"model: {MODELS[0]}"), 503, "model_unavailable"),
    "409": (refusal(409, "Conflict", kind="conflict_error"), 502, "upstream_error"),
    "413": (refusal(413, SECRETS_OF_OURS), 413, "body_too_large"),
    "429": (refusal(429, SECRETS_OF_OURS), 503, "overloaded"),
    "spend limit": (refusal(429, "Limit", details=SPEND_LIMIT), 503, "model_unavailable"),
    "500": (refusal(500, SECRETS_OF_OURS), 502, "upstream_error"),
    "504": (refusal(504, SECRETS_OF_OURS), 504, "upstream_timeout"),
    "529": (OVERLOADED, 503, "overloaded"),
    "a page": (Reply(body=b"<html>Welcome</html>"), 502, "upstream_invalid_response"),
    "200 with an error": (Reply(body=refusal(529, SECRETS_OF_OURS).body), 503, "overloaded"),
}


def has_no_canary(shop: Shop, answer: Any, log_lines: list[Any]) -> None:
    told = answer.text + str(answer.headers)
    for canary in (UPSTREAM_KEY, MODELS[0], "localhost", f":{shop.vendor.port}", "cloud"):
        assert canary not in told, canary
    assert UPSTREAM_KEY not in str(log_lines)


@BOTH
@pytest.mark.parametrize("name", REFUSALS)
def test_a_fault_before_the_first_piece_is_told_by_its_status_and_is_free(
    small_shop: Shop, log_lines: list[Any], *, stream: bool, name: str
) -> None:
    gateway, customer, claude = small_shop
    reply, status, code = REFUSALS[name]
    claude.says(reply)

    answer = chat(gateway, customer.key, model=MODEL, messages=HELLO, stream=stream)

    assert (answer.status_code, exact(answer)["error"]["code"]) == (status, code)
    (generation,) = books_agree(gateway, customer)
    assert (generation["status"], generation["cost"]) == ("error", FREE)
    assert losses(gateway, customer) == []
    has_no_canary(small_shop, answer, log_lines)


def test_an_error_before_the_first_piece_of_a_stream_has_a_real_status(small_shop: Shop) -> None:
    error = {"type": "overloaded_error", "message": "Overloaded"}
    small_shop.vendor.says(Reply(text="", error=error))

    answer = chat(small_shop.gateway, small_shop.customer.key, model=MODEL, stream=True)

    assert (answer.status_code, exact(answer)["error"]["code"]) == (503, "overloaded")


@pytest.mark.parametrize(
    "reply",
    [
        Reply(error={"type": "overloaded_error", "message": SECRETS_OF_OURS}),
        Reply(cut_after_bytes=1500),
        Reply(stop_reason=None),
    ],
    ids=["an error", "a cut", "no reason"],
)
def test_a_broken_stream_is_free_and_the_prompt_is_the_operators_loss(
    small_shop: Shop, log_lines: list[Any], reply: Reply
) -> None:
    gateway, customer, claude = small_shop
    claude.says(reply)

    answer = chat(gateway, customer.key, model=MODEL, messages=HELLO, stream=True)

    events = events_of(answer.text)
    assert text_of(events[:-2]).startswith("Hello")
    assert events[-2]["error"]["type"] == "upstream_error"
    assert events[-1] == "[DONE]"
    (generation,) = books_agree(gateway, customer)
    assert (generation["outcome"], generation["cost"]) == ("free_broken", FREE)
    ((lost_nanos, reason),) = losses(gateway, customer)
    assert reason == "free_broken"
    # Six tokens of prompt at 1 dollar a million, as the vendor counted them before it began.
    assert lost_nanos > 6 * 1000
    has_no_canary(small_shop, answer, log_lines)
