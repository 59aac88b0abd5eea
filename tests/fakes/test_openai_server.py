"""The fake vendor against the vendor's own SDK, and against our reader."""

import gzip
import http.client
import json

import openai
import pytest

from altyn.chat import Chat, Fault
from altyn.upstream.dialects import get_dialect
from altyn.upstream.sse import SseReader
from fakes.openai_server import STYLES, FakeOpenAI, Reply

MESSAGES = [{"role": "user", "content": "Hello there"}]
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
TWO_CALLS = (("weather", '{"city": "Rome"}'), ("clock", '{"zone": "CET"}'))
HOSTS = {
    "openai": "api.openai.com",
    "openrouter": "openrouter.ai",
    "xai": "api.x.ai",
    "deepseek": "api.deepseek.com",
    "groq": "api.groq.com",
    "dashscope": "dashscope-intl.aliyuncs.com",
}


@pytest.fixture(params=STYLES)
def fake(request):
    with FakeOpenAI(request.param) as server:
        yield server


@pytest.fixture
def openai_fake():
    with FakeOpenAI("openai") as server:
        yield server


def sdk(fake, **options):
    return openai.OpenAI(base_url=fake.base_url, api_key=fake.key, max_retries=0, **options)


def call(fake, *, streamed=True, model="test-model"):
    """One call of our dialect over a plain connection: status, headers, body."""
    chat = Chat(
        model=model,
        messages=[],
        fields={"messages": MESSAGES},
        max_tokens=50,
        stream=streamed,
    )
    host = HOSTS.get(fake.style_name, "127.0.0.1")
    request = get_dialect("openai-chat").write_request(chat, upstream_model=model, host=host)
    connection = http.client.HTTPConnection("127.0.0.1", fake.port, timeout=10)
    headers = {"authorization": f"Bearer {fake.key}", "content-type": "application/json"}
    try:
        connection.request("POST", "/v1" + request.path, request.body, headers)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def read(body):
    splitter, reader = SseReader(), get_dialect("openai-chat").stream_reader()
    events = [reader.read(name, data) for name, data in splitter.feed(body)]
    reader.end()
    return [event for event in events if event is not None], reader


def billed(fake):
    return fake.billed[-1]["prompt_tokens"], fake.billed[-1]["completion_tokens"]


# The vendor's own SDK -------------------------------------------------------------------------


def test_the_sdk_reads_a_whole_answer(fake):
    with sdk(fake) as client:
        answer = client.chat.completions.create(model="test-model", messages=MESSAGES)

    assert answer.choices[0].message.content == "Hello from the fake vendor."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == fake.billed[0]["total_tokens"]


def test_the_sdk_reads_a_stream(fake):
    with (
        sdk(fake) as client,
        client.chat.completions.create(
            model="test-model",
            messages=MESSAGES,
            stream=True,
            stream_options={"include_usage": True},
        ) as stream,
    ):
        chunks = list(stream)

    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "Hello from the fake vendor."
    assert chunks[-1].usage.total_tokens == fake.billed[0]["total_tokens"]


def test_the_sdk_puts_two_interleaved_tool_calls_together(fake):
    fake.says(Reply(tools=TWO_CALLS))

    with (
        sdk(fake) as client,
        client.chat.completions.stream(
            model="test-model", messages=MESSAGES, tools=[TOOL]
        ) as stream,
    ):
        message = stream.get_final_completion().choices[0].message

    calls = [(call.function.name, call.function.arguments) for call in message.tool_calls]
    assert calls == list(TWO_CALLS)


async def test_the_async_sdk_reads_a_stream():
    async with FakeOpenAI("openai") as fake:
        client = openai.AsyncOpenAI(base_url=fake.base_url, api_key=fake.key, max_retries=0)
        async with client:
            stream = await client.chat.completions.create(
                model="gpt-5-mini", messages=MESSAGES, stream=True
            )
            text = "".join([c.choices[0].delta.content or "" async for c in stream])

    assert text == "Hello from the fake vendor."


def test_the_sdk_lists_the_models(openai_fake):
    with sdk(openai_fake) as client:
        models = [model.id for model in client.models.list()]

    assert models == ["gpt-4o-mini", "gpt-5-mini", "test-model"]


def test_the_sdk_sees_the_vendors_refusals(openai_fake):
    with sdk(openai_fake) as client:
        create = client.chat.completions.create
        with pytest.raises(openai.NotFoundError):
            create(model="gpt-none", messages=MESSAGES)
        with pytest.raises(openai.BadRequestError, match="max_completion_tokens"):
            create(model="gpt-5-mini", messages=MESSAGES, max_tokens=5)
        with pytest.raises(openai.BadRequestError, match="messages"):
            create(model="gpt-4o-mini", messages=[])
        with pytest.raises(openai.AuthenticationError):
            client.with_options(api_key="sk-wrong").models.list()


def test_nothing_is_billed_for_a_refusal(openai_fake):
    openai_fake.says(Reply(status=503, body=b"{}"))

    status, _, _ = call(openai_fake)

    assert status == 503
    assert openai_fake.billed == []


# Our reader -----------------------------------------------------------------------------------


def test_every_style_is_read_and_counted_as_the_vendor_counts(fake):
    fake.says(Reply(text="four little words here", reasoning="Let me think", cached_tokens=1))

    _, _, body = call(fake)
    events, reader = read(body)

    text = b"".join(event.choices for event in events)
    assert b'"reasoning_details"' in text
    assert (reader.usage.input_tokens, reader.usage.output_tokens) == billed(fake)
    assert reader.usage.reasoning == 3
    assert not reader.usage.flagged


def test_every_style_of_whole_answer_is_counted_as_the_vendor_counts(fake):
    fake.says(Reply(reasoning="Let me think", cache_write_tokens=1))

    _, _, body = call(fake, streamed=False)
    usage = get_dialect("openai-chat").read_answer(body).usage

    assert (usage.input_tokens, usage.output_tokens) == billed(fake)


def test_openrouter_and_xai_say_what_the_call_cost():
    for style in ("openrouter", "xai"):
        with FakeOpenAI(style) as fake:
            _, reader = read(call(fake)[2])

        assert reader.usage.cost_nanos == 837_000


@pytest.mark.parametrize("place", ["separate", "finish", "with_choice", "second_end", "twice"])
def test_usage_is_found_wherever_it_stands(openai_fake, place):
    openai_fake.says(Reply(usage=place))

    events, reader = read(call(openai_fake)[2])

    assert reader.usage.output_tokens == billed(openai_fake)[1]
    assert [event.finish_reason for event in events if event.finish_reason] == ["stop"]


def test_usage_may_be_absent(openai_fake):
    openai_fake.says(Reply(usage="absent"))

    _, reader = read(call(openai_fake)[2])

    assert reader.usage is None
    assert openai_fake.billed[0]["reported"] is False


@pytest.mark.parametrize("done", [True, False])
def test_an_error_inside_a_stream_is_a_fault(openai_fake, done):
    error = {"message": "Overloaded", "type": "overloaded_error"}
    openai_fake.says(Reply(error=error, done=done))

    with pytest.raises(Fault) as caught:
        read(call(openai_fake)[2])

    assert caught.value.kind == "overloaded"
    assert openai_fake.billed[0]["complete"] is False


def test_an_error_may_come_with_usage_and_under_a_name(openai_fake):
    reply = Reply(error={"code": 502, "message": "x"}, error_with_usage=True, error_event="error")
    openai_fake.says(reply)

    with pytest.raises(Fault) as caught:
        read(call(openai_fake)[2])

    assert caught.value.kind == "server"


def test_a_plain_string_may_be_the_error_of_a_200(openai_fake):
    openai_fake.says(Reply(body=b'{"code": "x", "error": "no such thing"}'))

    with pytest.raises(Fault, match="no such thing"):
        get_dialect("openai-chat").read_answer(call(openai_fake, streamed=False)[2])


@pytest.mark.parametrize("reset", [True, False])
def test_a_connection_is_cut_where_asked(openai_fake, reset):
    openai_fake.says(Reply(cut_after_bytes=300, reset=reset))

    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        call(openai_fake)

    assert openai_fake.billed[0]["complete"] is False


def test_a_body_comes_in_single_bytes_when_asked(openai_fake):
    openai_fake.says(Reply(text="one two", write_bytes=1), Reply(write_bytes=1))

    events, _ = read(call(openai_fake)[2])
    whole = json.loads(call(openai_fake, streamed=False)[2])

    assert events[-1].usage.output_tokens == 2
    assert whole["object"] == "chat.completion"


@pytest.mark.parametrize("streamed", [True, False])
def test_a_body_is_squeezed_when_asked(openai_fake, streamed):
    openai_fake.says(Reply(gzip=True))

    _, headers, body = call(openai_fake, streamed=streamed)

    assert headers["content-encoding"] == "gzip"
    assert b"Hello" in gzip.decompress(body)


def test_a_huge_line_arrives_whole(openai_fake):
    openai_fake.says(Reply(text="x" * 300_000))

    events, _ = read(call(openai_fake)[2])

    assert sum(event.delivered_bytes for event in events) == 300_000


def test_blank_lines_and_comments_keep_a_connection_alive():
    with FakeOpenAI("openrouter") as fake:
        fake.says(Reply(blank_lines=3), Reply(comments=17))

        whole = call(fake, streamed=False)[2]
        streamed = call(fake)[2]

    assert whole.startswith(b"\n\n\n{")
    assert streamed.startswith(b": OPENROUTER PROCESSING\n\n" * 17)


def test_a_prompt_may_decide_the_reply(openai_fake):
    openai_fake.answers("Hello", Reply(text="matched"))

    body = json.loads(call(openai_fake, streamed=False)[2])

    assert body["choices"][0]["message"]["content"] == "matched"


def test_the_calls_are_kept_for_the_test_to_look_at(openai_fake):
    call(openai_fake)

    assert openai_fake.calls[0]["headers"]["authorization"] == "Bearer sk-fake-key"
    assert json.loads(openai_fake.calls[0]["body"])["stream_options"] == {"include_usage": True}
