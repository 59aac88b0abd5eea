"""The fake of OpenAI's Responses API against OpenAI's own SDK."""

import openai
import pytest

from fakes.openai_server import Reply
from fakes.responses_server import FakeResponses, ResponsesReply

HELLO = "Hello there"
MODEL = "gpt-5.2-pro"
ENVELOPES = ["reasoning.encrypted_content"]
WEATHER = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}
ROME = (("weather", '{"city": "Rome"}'),)


@pytest.fixture
def fake():
    with FakeResponses() as server:
        yield server


@pytest.fixture
def client(fake):
    with openai.OpenAI(base_url=fake.base_url, api_key=fake.key, max_retries=0) as opened:
        yield opened


def create(client, **fields):
    return client.responses.create(**{"model": MODEL, "input": HELLO, "store": False, **fields})


def kinds(response):
    return [item.type for item in response.output]


# Answers --------------------------------------------------------------------------------------


def test_the_sdk_reads_a_whole_answer(client, fake):
    answer = create(client, instructions="Be brief.")

    assert answer.output_text == "Hello from the fake vendor."
    assert answer.status == "completed"
    assert answer.usage.total_tokens == fake.billed[0]["total_tokens"]


def test_the_sdk_reads_a_stream_numbered_from_nothing(client, fake):
    with create(client, stream=True) as stream:
        events = list(stream)

    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text == "Hello from the fake vendor."
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].type == "response.completed"
    assert events[-1].response.usage.total_tokens == fake.billed[0]["total_tokens"]


def test_the_sdk_puts_a_stream_together(client, fake):
    fake.says(Reply(reasoning="One moment.", tools=(*ROME, *ROME)))

    with client.responses.stream(
        model=MODEL, input=HELLO, tools=[WEATHER], reasoning={"summary": "auto"}, include=ENVELOPES
    ) as stream:
        answer = stream.get_final_response()

    assert kinds(answer) == ["reasoning", "function_call", "function_call"]
    assert answer.output[0].summary[0].text == "One moment."
    assert answer.output[0].encrypted_content in fake.envelopes
    assert [(c.name, c.arguments) for c in answer.output[1:]] == [*ROME, *ROME]


def test_a_loop_of_tools_goes_on_with_its_reasoning(client, fake):
    fake.says(Reply(tools=ROME), Reply(text="Sunny."))
    first = create(client, tools=[WEATHER], include=ENVELOPES)
    result = {
        "type": "function_call_output",
        "call_id": first.output[1].call_id,
        "output": "sunny",
    }

    second = create(
        client,
        tools=[WEATHER],
        include=ENVELOPES,
        input=[{"role": "user", "content": HELLO}, *first.output, result],
    )

    assert second.output_text == "Sunny."


@pytest.mark.parametrize(
    ("finish_reason", "reason"),
    [("length", "max_output_tokens"), ("content_filter", "content_filter")],
)
def test_an_answer_may_be_incomplete(client, fake, finish_reason, reason):
    fake.says(Reply(finish_reason=finish_reason))

    answer = create(client)

    assert answer.status == "incomplete"
    assert answer.incomplete_details.reason == reason


def test_the_sdk_reads_a_refusal(client, fake):
    fake.says(ResponsesReply(refusal="I cannot help."))

    answer = create(client)

    assert answer.output[-1].content[0].refusal == "I cannot help."


def test_the_sdk_reads_events_whose_data_comes_before_their_name(client, fake):
    fake.says(ResponsesReply(text="Hello", data_first=True))

    with create(client, stream=True) as stream:
        text = "".join(e.delta for e in stream if e.type == "response.output_text.delta")

    assert text == "Hello"


def test_an_answer_may_fail(client, fake):
    error = {"code": "server_error", "message": "The model broke."}
    fake.says(Reply(error=error, error_event="response.failed"))

    answer = create(client)

    assert answer.status == "failed"
    assert answer.error.message == "The model broke."


BROKEN = {"code": "server_error", "message": "Broke.", "param": None}


def test_the_sdk_tells_of_an_error_inside_a_stream(client, fake):
    fake.says(Reply(error=BROKEN))

    with create(client, stream=True) as stream:
        *_, last = stream

    assert (last.type, last.message) == ("error", "Broke.")


def test_the_sdk_raises_for_an_error_that_is_nested(client, fake):
    fake.says(Reply(error={"error": BROKEN}))

    with create(client, stream=True) as stream, pytest.raises(openai.APIError, match="Broke"):
        list(stream)


# Refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_output_tokens": 15}, "max_output_tokens"),
        ({"temperature": 0.5}, "temperature"),
        ({"extra_body": {"stop": ["x"]}}, "stop"),
        ({"extra_body": {"n": 2}}, "n"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools[0].name"),
        ({"model": "gpt-4o-mini", "include": ENVELOPES}, "include"),
        ({"model": "gpt-4o-mini", "reasoning": {"effort": "low"}}, "reasoning"),
        (
            {"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]},
            "input[0].content[0]",
        ),
        (
            {
                "input": [
                    {
                        "role": "user",
                        "content": [{"type": "input_image", "image_url": {"url": "x"}}],
                    }
                ]
            },
            "input[0].content[0]",
        ),
    ],
    ids=str,
)
def test_what_the_vendor_refuses_is_refused(client, fields, param):
    with pytest.raises(openai.BadRequestError) as caught:
        create(client, **fields)

    assert caught.value.param == param


CALLED = {"type": "function_call", "call_id": "call_9", "name": "weather", "arguments": "{}"}
ANSWERED = {"type": "function_call_output", "call_id": "call_9", "output": "sunny"}
FORGED = {"type": "reasoning", "id": "rs_9", "summary": [], "encrypted_content": "gAAAAforged"}


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([ANSWERED], "No tool call found"),
        ([CALLED], "No tool output found"),
        ([FORGED, CALLED, ANSWERED], "could not be verified"),
    ],
)
def test_a_history_that_does_not_hold_together_is_refused(client, items, words):
    with pytest.raises(openai.BadRequestError, match=words):
        create(client, input=[{"role": "user", "content": HELLO}, *items])


def test_reasoning_without_what_it_led_to_is_refused(client, fake):
    fake.says(Reply(tools=ROME))
    first = create(client, tools=[WEATHER], include=ENVELOPES)

    with pytest.raises(openai.BadRequestError, match="without its required following item"):
        create(client, input=[first.output[0], {"role": "user", "content": HELLO}])


def test_a_wrong_key_and_an_unknown_model_are_refused(client, fake):
    with pytest.raises(openai.NotFoundError):
        create(client, model="gpt-9")
    with (
        openai.OpenAI(base_url=fake.base_url, api_key="sk-wrong", max_retries=0) as other,
        pytest.raises(openai.AuthenticationError),
    ):
        create(other)


def test_chats_are_answered_beside_it(client):
    answer = client.chat.completions.create(
        model="test-model", messages=[{"role": "user", "content": HELLO}]
    )

    assert answer.choices[0].message.content == "Hello from the fake vendor."
