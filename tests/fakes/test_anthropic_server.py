"""Anthropic's own library takes the fake for the vendor."""

import json

import anthropic
import pytest
import requests

from fakes.anthropic_server import MODELS, FakeAnthropic, Reply, refusal

HAIKU = MODELS[0]
"""The library warns of the others: they end soon, or have ended."""
HELLO = [{"role": "user", "content": "Hello there"}]
TOOL = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
THINKING = {"type": "enabled", "budget_tokens": 1024}
CALL = Reply(tools=(("weather", '{"city": "Rome"}'),), reasoning="Ask the tool.")


@pytest.fixture
def fake():
    with FakeAnthropic() as running:
        yield running


@pytest.fixture
def client(fake):
    base_url = fake.base_url.removesuffix("/v1")
    with anthropic.Anthropic(base_url=base_url, api_key=fake.key, max_retries=0) as opened:
        yield opened


def create(client, **fields):
    return client.messages.create(
        **{"model": HAIKU, "max_tokens": 4096, "messages": HELLO, **fields}
    )


def test_a_whole_answer_is_read(client, fake):
    answer = create(client, system="Be brief.")

    assert answer.content[0].text == "Hello from the fake vendor."
    assert answer.stop_reason == "end_turn"
    assert answer.usage.input_tokens == 5
    assert fake.billed[0]["completion_tokens"] == answer.usage.output_tokens == 6


def test_a_stream_is_read_and_tells_the_same(client, fake):
    with client.messages.stream(model=HAIKU, max_tokens=4096, messages=HELLO) as stream:
        text = "".join(stream.text_stream)
        answer = stream.get_final_message()

    assert text == answer.content[0].text == "Hello from the fake vendor."
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (2, 6)
    assert answer.stop_reason == "end_turn"


async def test_the_async_client_reads_a_stream(fake):
    base_url = fake.base_url.removesuffix("/v1")
    async with (
        anthropic.AsyncAnthropic(base_url=base_url, api_key=fake.key) as client,
        client.messages.stream(model=HAIKU, max_tokens=10, messages=HELLO) as stream,
    ):
        text = "".join([piece async for piece in stream.text_stream])

    assert text == "Hello from the fake vendor."


@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_is_called_after_thinking_and_its_result_is_used(client, fake, streamed):
    fake.says(CALL, Reply(text="21 degrees."))
    asked = {
        "model": HAIKU,
        "max_tokens": 4096,
        "thinking": THINKING,
        "tools": [TOOL],
        "messages": HELLO,
    }

    if streamed:
        with client.messages.stream(**asked) as stream:
            said = stream.get_final_message()
    else:
        said = client.messages.create(**asked)
    thought, call = said.content
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "21"}
    messages = [
        *HELLO,
        {"role": "assistant", "content": said.content},
        {"role": "user", "content": [result]},
    ]
    answer = client.messages.create(**{**asked, "messages": messages})

    assert said.stop_reason == "tool_use"
    assert (thought.thinking, call.input) == ("Ask the tool.", {"city": "Rome"})
    assert answer.content[0].text == "21 degrees."


def test_a_tool_without_arguments_gets_an_empty_object_in_a_stream(client, fake):
    fake.says(Reply(tools=(("now", ""),)))
    tool = {"name": "now", "input_schema": {"type": "object"}}

    with client.messages.stream(model=HAIKU, max_tokens=10, messages=HELLO, tools=[tool]) as stream:
        (call,) = stream.get_final_message().content

    assert call.input == {}


def test_thinking_can_be_hidden(client, fake):
    fake.says(Reply(reasoning="Secret", redacted=True))

    said = create(client, thinking=THINKING)

    assert [block.type for block in said.content] == ["redacted_thinking", "thinking", "text"]


def test_what_is_written_to_the_cache_is_read_the_next_time(client):
    control = {"type": "ephemeral", "ttl": "1h"}
    system = [{"type": "text", "text": "A very long text", "cache_control": control}]

    first, second = (create(client, system=system).usage for _ in range(2))

    assert first.cache_creation.ephemeral_1h_input_tokens == 4
    assert first.cache_creation_input_tokens == 4
    assert (second.cache_read_input_tokens, second.cache_creation_input_tokens) == (4, 0)
    assert first.input_tokens == second.input_tokens == 2


def test_tokens_are_counted_before_anything_is_asked(client, fake):
    assert client.messages.count_tokens(model=HAIKU, messages=HELLO).input_tokens == 2
    assert fake.billed == []


def test_the_models_are_listed(client):
    assert [model.id for model in client.models.list()] == list(MODELS)


def test_an_answer_names_its_request_and_its_limits(client):
    raw = client.messages.with_raw_response.create(model=HAIKU, max_tokens=9, messages=HELLO)

    assert raw.headers["request-id"].startswith("req_")
    assert raw.headers["anthropic-ratelimit-requests-remaining"] == "3999"
    assert raw.headers["anthropic-ratelimit-input-tokens-reset"].endswith("Z")


# What it refuses ------------------------------------------------------------------------------

USED = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}
GIVEN = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "21"}
BLANK = [{"role": "user", "content": [{"type": "text", "text": " "}]}]


def turn(*blocks):
    return {"role": "assistant", "content": list(blocks)}


def results(*blocks):
    return {"role": "user", "content": list(blocks)}


REFUSED = [
    ({"max_tokens": 0}, "max_tokens: Input should be greater"),
    ({"messages": []}, "at least one message"),
    ({"messages": [{"role": "system", "content": "x"}]}, "Input should be 'user' or 'assistant'"),
    ({"messages": [{"role": "assistant", "content": "x"}]}, "first message must use"),
    ({"messages": BLANK}, "non-whitespace text"),
    ({"messages": [*HELLO, {"role": "assistant", "content": "Well "}]}, "trailing whitespace"),
    ({"messages": [*HELLO, results(GIVEN)]}, "unexpected `tool_use_id`"),
    ({"messages": [*HELLO, turn(USED), *HELLO]}, "without `tool_result` blocks"),
    ({"messages": [*HELLO, turn({**USED, "id": "a:b"}), results(GIVEN)]}, "should match pattern"),
    ({"extra_body": {"temperature": 1.5}}, "temperature: range"),
    ({"extra_body": {"temperature": 0.5, "top_p": 0.5}}, "cannot both be specified"),
    ({"thinking": THINKING, "max_tokens": 1024}, "must be greater than `thinking.budget_tokens`"),
    ({"thinking": {**THINKING, "budget_tokens": 9}}, "greater than or equal to 1024"),
    ({"thinking": THINKING, "extra_body": {"temperature": 0.5}}, "may only be set to 1"),
    ({"thinking": THINKING, "tools": [TOOL], "tool_choice": {"type": "any"}}, "forces tool use"),
    (
        {"thinking": THINKING, "messages": [*HELLO, turn(USED), results(GIVEN)]},
        "Expected `thinking` or `redacted_thinking`, but found `tool_use`",
    ),
    (
        {"messages": [*HELLO, turn({"type": "thinking", "thinking": "x", "signature": "forged"})]},
        "Invalid `signature`",
    ),
    ({"tool_choice": {"type": "auto"}}, "while providing `tools`"),
    ({"tools": [{**TOOL, "input_schema": {}}]}, "should be 'object'"),
    ({"metadata": {"user_id": "ann@example.org"}}, "email address"),
    ({"stop_sequences": [" "]}, "non-whitespace"),
    ({"extra_body": {"seed": 1}}, "seed: Extra inputs are not permitted"),
]


@pytest.mark.parametrize(("fields", "said"), REFUSED)
def test_a_wrong_request_is_refused_in_the_vendors_words(client, fake, fields, said):
    with pytest.raises(anthropic.BadRequestError, match=said) as caught:
        create(client, **fields)

    assert caught.value.body["error"]["type"] == "invalid_request_error"
    assert fake.billed == []


def post(fake, body, **headers):
    head = {"x-api-key": fake.key, "anthropic-version": "2023-06-01", **headers}
    head = {name: value for name, value in head.items() if value is not None}
    return requests.post(f"{fake.base_url}/messages", json=body, headers=head, timeout=10)


BODY = {"model": HAIKU, "max_tokens": 9, "messages": HELLO}


def test_an_older_model_takes_both_samplers(fake):
    older = {**BODY, "model": "claude-opus-4-20250514", "temperature": 0.5, "top_p": 0.5}
    fake.models = (older["model"],)

    assert post(fake, older).status_code == 200


@pytest.mark.parametrize(
    ("headers", "body", "status", "said"),
    [
        ({"x-api-key": None}, BODY, 401, "x-api-key header is required"),
        ({"x-api-key": "wrong"}, BODY, 401, "invalid x-api-key"),
        ({"anthropic-version": None}, BODY, 400, "anthropic-version: header is required"),
        ({"anthropic-version": "2026-10-21"}, {**BODY, "temperature": 1}, 400, "not permitted"),
        ({}, {"model": HAIKU, "messages": HELLO}, 400, "max_tokens: Field required"),
        ({}, {**BODY, "model": "claude-2"}, 404, "model: claude-2"),
    ],
)
def test_a_wrong_head_is_refused(fake, headers, body, status, said):
    answer = post(fake, body, **headers)

    error = answer.json()
    assert answer.status_code == status
    assert error["type"] == "error"
    assert said in error["error"]["message"]
    assert error["request_id"] == answer.headers["request-id"]


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (refusal(403, "no"), anthropic.PermissionDeniedError),
        (refusal(413, "large"), anthropic.RequestTooLargeError),
        (refusal(429, "many"), anthropic.RateLimitError),
        (refusal(500, "oh"), anthropic.InternalServerError),
        (refusal(504, "slow"), anthropic.DeadlineExceededError),
        (refusal(529, "Overloaded"), anthropic.OverloadedError),
    ],
)
def test_an_error_is_the_librarys_own(client, fake, reply, kind):
    fake.says(reply)

    with pytest.raises(kind) as caught:
        create(client)

    assert caught.value.body == json.loads(reply.body)


def test_an_error_inside_a_stream_is_raised_while_reading(client, fake):
    fake.says(Reply(error={"type": "overloaded_error", "message": "Overloaded"}))
    heard = []

    with (
        pytest.raises(anthropic.APIStatusError, match="Overloaded"),
        client.messages.stream(model=HAIKU, max_tokens=9, messages=HELLO) as stream,
    ):
        heard.extend(stream.text_stream)

    assert "".join(heard) == "Hello from the fake vendor."
    assert not fake.billed[0]["reported"]
