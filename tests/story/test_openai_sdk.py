"""OpenAI's own libraries, pointed at the gateway by nothing but `base_url` and the key."""

import json
import os
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import pytest
from books import books_agree
from calls import HELLO, MODEL
from pydantic import BaseModel
from shops import Shop

from altyn.keys.store import KeyRules
from fakes.openai_server import Reply

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
CALL = (("weather", '{"city": "Rome"}'),)
SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "place",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
            "required": ["city", "degrees"],
            "additionalProperties": False,
        },
    },
}


class Place(BaseModel):
    city: str
    degrees: int


def open_client(shop: Shop, key: str | None = None) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=shop.gateway.base, api_key=key or shop.customer.key, max_retries=0
    )


@pytest.fixture
def client(small_shop: Shop) -> Iterator[openai.OpenAI]:
    with open_client(small_shop) as opened:
        yield opened


def create(client: openai.OpenAI, **fields: Any) -> Any:
    return client.chat.completions.create(**{"model": MODEL, "messages": HELLO, **fields})


# Answers --------------------------------------------------------------------------------------


def test_a_whole_answer_is_read(client: openai.OpenAI, small_shop: Shop) -> None:
    answer = create(client)

    assert answer.choices[0].message.content == "Hello from the fake vendor."
    assert answer.model == MODEL
    assert answer.usage.total_tokens == small_shop.vendor.billed[0]["total_tokens"]
    books_agree(*small_shop)


def test_the_cost_is_exact_in_the_text_of_the_answer(
    client: openai.OpenAI, small_shop: Shop
) -> None:
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO)

    told = json.loads(raw.text, parse_float=Decimal)["usage"]
    (generation,) = books_agree(*small_shop)
    assert told["cost"] == Decimal(generation["cost"]) == Decimal(raw.headers["x-request-cost"])
    assert told["currency"] == "USD"


@pytest.mark.parametrize("include_usage", [True, False])
def test_a_stream_is_read_with_usage_only_if_asked(
    client: openai.OpenAI, small_shop: Shop, *, include_usage: bool
) -> None:
    options = {"stream_options": {"include_usage": True}} if include_usage else {}

    with create(client, stream=True, **options) as stream:
        chunks = list(stream)

    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "Hello from the fake vendor."
    told = [chunk.usage for chunk in chunks if chunk.usage is not None]
    assert len(told) == include_usage
    (generation,) = books_agree(*small_shop)
    if told:
        assert told[0].total_tokens == generation["total_tokens"]


async def test_the_async_client_reads_whole_and_streamed_answers(small_shop: Shop) -> None:
    gateway, customer, _ = small_shop
    client = openai.AsyncOpenAI(base_url=gateway.base, api_key=customer.key, max_retries=0)

    async with client:
        whole = await client.chat.completions.create(model=MODEL, messages=HELLO)
        stream = await client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
        text = "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])

    assert whole.choices[0].message.content == text == "Hello from the fake vendor."
    assert len(books_agree(*small_shop)) == 2


def test_a_tool_is_called_and_its_result_is_used(client: openai.OpenAI, small_shop: Shop) -> None:
    small_shop.vendor.says(Reply(tools=CALL), Reply(text="21 degrees in Rome."))

    said = create(client, tools=[TOOL]).choices[0].message
    (call,) = said.tool_calls
    result = {"role": "tool", "tool_call_id": call.id, "content": "21 degrees"}
    answer = create(client, tools=[TOOL], messages=[*HELLO, said, result])

    assert (call.function.name, call.function.arguments) == CALL[0]
    assert answer.choices[0].message.content == "21 degrees in Rome."
    assert len(books_agree(*small_shop)) == 2


def test_a_streamed_tool_call_is_put_together(client: openai.OpenAI, small_shop: Shop) -> None:
    small_shop.vendor.says(Reply(tools=CALL))

    with client.chat.completions.stream(model=MODEL, messages=HELLO, tools=[TOOL]) as stream:
        message = stream.get_final_completion().choices[0].message

    (call,) = message.tool_calls
    assert (call.function.name, call.function.arguments) == CALL[0]
    books_agree(*small_shop)


def test_an_answer_follows_a_json_schema(client: openai.OpenAI, small_shop: Shop) -> None:
    answer = create(client, model="sandbox/echo", response_format=SCHEMA)

    place = json.loads(answer.choices[0].message.content)
    assert isinstance(place["city"], str)
    assert isinstance(place["degrees"], int)
    books_agree(*small_shop)


def test_an_answer_is_parsed_into_a_class_of_the_customers(
    client: openai.OpenAI, small_shop: Shop
) -> None:
    answer = client.chat.completions.parse(
        model="sandbox/echo", messages=HELLO, response_format=Place
    )

    assert isinstance(answer.choices[0].message.parsed, Place)
    books_agree(*small_shop)


def test_two_streamed_calls_of_one_tool_are_told_apart_and_answered(
    client: openai.OpenAI, small_shop: Shop
) -> None:
    twice = (*CALL, ("weather", '{"city": "Rīga"}'))
    small_shop.vendor.says(Reply(tools=twice), Reply(text="It is warmer in Rome."))

    with client.chat.completions.stream(model=MODEL, messages=HELLO, tools=[TOOL]) as stream:
        said = stream.get_final_completion().choices[0].message
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": call.function.arguments}
        for call in said.tool_calls
    ]
    answer = create(client, tools=[TOOL], messages=[*HELLO, said, *results])

    assert [(call.function.name, call.function.arguments) for call in said.tool_calls] == [*twice]
    assert answer.choices[0].message.content == "It is warmer in Rome."
    assert len(books_agree(*small_shop)) == 2


def test_the_models_are_listed_and_one_is_retrieved(client: openai.OpenAI) -> None:
    listed = [card.id for card in client.models.list()]

    one = client.models.retrieve("sandbox/echo")

    assert MODEL in listed
    assert one.id == "sandbox/echo"


# Refusals -------------------------------------------------------------------------------------


def refused(client: openai.OpenAI, kind: type[openai.APIStatusError], **fields: Any) -> Any:
    with pytest.raises(kind) as caught:
        create(client, **fields)
    assert caught.value.request_id.startswith("req_")
    return caught.value


def test_a_wrong_key_is_an_authentication_error(small_shop: Shop) -> None:
    with open_client(small_shop, "sk_live_wrong") as client:
        error = refused(client, openai.AuthenticationError)

    assert (error.status_code, error.code) == (401, "invalid_api_key")


def test_a_limit_is_a_rate_limit_error_that_says_when_to_come_back(small_shop: Shop) -> None:
    rules = KeyRules(requests_per_minute=1)
    key = small_shop.gateway.add_key(small_shop.customer.account_id, rules=rules)
    with open_client(small_shop, key) as client:
        create(client)

        error = refused(client, openai.RateLimitError)

    assert (error.status_code, error.code) == (429, "rate_limit_exceeded")
    assert 1 <= int(error.response.headers["retry-after"]) <= 60


def test_an_unknown_model_is_a_not_found_error(client: openai.OpenAI) -> None:
    error = refused(client, openai.NotFoundError, model="nobody/nothing")

    assert (error.status_code, error.code, error.param) == (404, "model_not_found", "model")


def test_a_wrong_parameter_is_a_bad_request_error(client: openai.OpenAI) -> None:
    error = refused(client, openai.BadRequestError, temperature=3)

    assert (error.code, error.param) == ("invalid_parameter", "temperature")


def test_an_empty_purse_is_a_402(small_shop: Shop) -> None:
    poor = small_shop.gateway.add_customer("0")
    with open_client(small_shop, poor.key) as client:
        error = refused(client, openai.APIStatusError)

    assert (error.status_code, error.code, error.type) == (
        402,
        "insufficient_balance",
        "billing_error",
    )


def test_a_model_without_a_route_is_a_503(client: openai.OpenAI) -> None:
    error = refused(client, openai.InternalServerError, model="openai/gpt-5")

    assert (error.status_code, error.code) == (503, "model_unavailable")
    assert int(error.response.headers["retry-after"]) >= 1


@pytest.mark.parametrize("stream", [False, True])
def test_an_error_of_the_vendor_reaches_the_client_before_the_first_chunk(
    client: openai.OpenAI, small_shop: Shop, *, stream: bool
) -> None:
    small_shop.vendor.says(Reply(status=500, body=b"{}"))

    error = refused(client, openai.InternalServerError, stream=stream)

    assert (error.status_code, error.code) == (502, "upstream_error")
    books_agree(*small_shop)


def test_an_error_inside_a_stream_is_raised_while_reading(
    client: openai.OpenAI, small_shop: Shop
) -> None:
    small_shop.vendor.says(Reply(error={"code": 502, "message": "gone"}))
    chunks = []

    with pytest.raises(openai.APIError) as caught, create(client, stream=True) as stream:
        chunks.extend(stream)

    assert chunks
    assert caught.value.code == "upstream_error"
    (generation,) = books_agree(*small_shop)
    assert generation["outcome"] == "free_broken"


# JavaScript -----------------------------------------------------------------------------------


def run_node(folder: Path, shop: Shop, scenario: str, *, key: str = "", model: str = MODEL) -> Any:
    done = subprocess.run(
        ["node", "sdk.mjs", scenario, model],
        cwd=folder,
        env={
            **os.environ,
            "GATEWAY_URL": shop.gateway.base,
            "GATEWAY_KEY": key or shop.customer.key,
        },
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout, parse_float=Decimal)


@pytest.mark.parametrize("scenario", ["whole", "stream"])
def test_the_javascript_client_reads_an_answer(
    node_folder: Path, small_shop: Shop, scenario: str
) -> None:
    told = run_node(node_folder, small_shop, scenario)

    (generation,) = books_agree(*small_shop)
    assert told["text"] == "Hello from the fake vendor."
    assert told["usage"]["total_tokens"] == generation["total_tokens"]
    assert told["usage"]["cost"] == Decimal(generation["cost"])


def test_the_javascript_client_uses_a_tool(node_folder: Path, small_shop: Shop) -> None:
    small_shop.vendor.says(Reply(tools=CALL), Reply(text="21 degrees in Rome."))

    told = run_node(node_folder, small_shop, "toolLoop")

    assert told == {"called": "weather", "text": "21 degrees in Rome."}
    assert len(books_agree(*small_shop)) == 2


@pytest.mark.parametrize("scenario", ["runTools", "runToolsStreamed"])
def test_the_javascript_clients_own_loop_runs_a_tool(
    node_folder: Path, small_shop: Shop, scenario: str
) -> None:
    small_shop.vendor.says(Reply(tools=CALL), Reply(text="21 degrees in Rome."))

    told = run_node(node_folder, small_shop, scenario)

    generations = books_agree(*small_shop)
    tokens = sum(generation["total_tokens"] for generation in generations)
    assert told == {"called": ["Rome"], "text": "21 degrees in Rome.", "tokens": tokens}
    assert len(generations) == 2


def test_the_javascript_client_lists_the_models(node_folder: Path, small_shop: Shop) -> None:
    told = run_node(node_folder, small_shop, "modelsListed")

    assert MODEL in told["listed"]
    assert told["one"] == "sandbox/echo"


@pytest.mark.parametrize(
    ("key", "model", "expected"),
    [
        ("sk_live_wrong", MODEL, ("AuthenticationError", 401, "invalid_api_key")),
        ("", "nobody/nothing", ("NotFoundError", 404, "model_not_found")),
        ("", "openai/gpt-5", ("InternalServerError", 503, "model_unavailable")),
    ],
)
def test_the_javascript_client_knows_our_errors(
    node_folder: Path, small_shop: Shop, key: str, model: str, expected: tuple[Any, ...]
) -> None:
    told = run_node(node_folder, small_shop, "failure", key=key, model=model)

    assert (told["name"], told["status"], told["code"]) == expected
    assert told["requestId"].startswith("req_")
