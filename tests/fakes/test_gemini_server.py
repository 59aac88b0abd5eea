"""The fake Gemini against Google's own SDK, and what it refuses as Google does."""

import http.client
import json

import pytest
from google import genai
from google.genai import errors, types

from fakes.gemini_server import FakeGemini, Reply, key_refused, rate_limited, refusal

FLASH = "gemini-3-flash-preview"
LITE = "gemini-2.5-flash-lite"
WEATHER = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="weather",
            description="Tells the weather.",
            parameters_json_schema={"type": "object", "properties": {"city": {"type": "string"}}},
        )
    ]
)
CALLS = (("weather", {"city": "Rome"}), ("weather", {"city": "Рим"}))


@pytest.fixture
def fake():
    with FakeGemini() as server:
        yield server


@pytest.fixture
def client(fake):
    with open_client(fake) as opened:
        yield opened


def open_client(fake, key=None):
    options = types.HttpOptions(
        base_url=f"http://127.0.0.1:{fake.port}",
        api_version="v1beta",
        timeout=20_000,
        retry_options=types.HttpRetryOptions(attempts=1),
    )
    return genai.Client(api_key=key or fake.key, http_options=options)


def post(fake, path, body, **headers):
    """A call without the SDK, which would never make it."""
    connection = http.client.HTTPConnection("127.0.0.1", fake.port, timeout=10)
    sent = {"x-goog-api-key": fake.key, "content-type": "application/json", **headers}
    try:
        connection.request("POST", path, json.dumps(body).encode(), sent)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def ask(fake, body, model=LITE):
    status, said = post(fake, f"/v1beta/models/{model}:generateContent", body)
    return status, json.loads(said)


# Google's own SDK -----------------------------------------------------------------------------


def test_the_sdk_reads_a_whole_answer(fake, client):
    fake.says(Reply(reasoning="Hm."))
    config = types.GenerateContentConfig(
        system_instruction="Be brief.",
        temperature=0.5,
        max_output_tokens=50,
        thinking_config=types.ThinkingConfig(include_thoughts=True),
    )

    answer = client.models.generate_content(model=LITE, contents="Hello", config=config)

    assert answer.text == "Hello from the fake vendor."
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert [part.text for part in answer.candidates[0].content.parts if part.thought] == ["Hm."]
    assert answer.usage_metadata.total_token_count == fake.billed[0]["total_tokens"]
    assert answer.usage_metadata.thoughts_token_count == 2


def test_the_sdk_reads_a_stream_whose_usage_grows(fake, client):
    events = list(client.models.generate_content_stream(model=LITE, contents="Hello"))

    assert "".join(event.text or "" for event in events) == "Hello from the fake vendor."
    counts = [event.usage_metadata.total_token_count for event in events]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1] == fake.billed[0]["total_tokens"]


@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
async def test_the_async_sdk_reads_a_stream(fake, client):
    stream = await client.aio.models.generate_content_stream(model=LITE, contents="Hello")

    text = "".join([event.text or "" async for event in stream])
    await client.aio.aclose()

    assert text == "Hello from the fake vendor."


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_the_sdk_calls_tools_and_sends_signatures_back(fake, client, streamed):
    fake.says(Reply(calls=CALLS, ids=True), Reply(text="Sun."))
    config = types.GenerateContentConfig(tools=[WEATHER])
    contents = [types.Content(role="user", parts=[types.Part(text="Weather?")])]
    if streamed:
        events = list(
            client.models.generate_content_stream(model=FLASH, contents=contents, config=config)
        )
        parts = [part for event in events for part in event.candidates[0].content.parts or ()]
        parts = [part for part in parts if part.function_call]
    else:
        answer = client.models.generate_content(model=FLASH, contents=contents, config=config)
        parts = answer.candidates[0].content.parts
    results = [
        types.Part(
            function_response=types.FunctionResponse(
                id=part.function_call.id, name="weather", response={"output": "Sun"}
            )
        )
        for part in parts
    ]
    contents += [
        types.Content(role="model", parts=parts),
        types.Content(role="user", parts=results),
    ]

    last = client.models.generate_content(model=FLASH, contents=contents, config=config)

    assert [dict(part.function_call.args) for part in parts] == [args for _, args in CALLS]
    assert [bool(part.thought_signature) for part in parts] == [True, False]
    assert last.text == "Sun."


def test_the_sdk_sees_a_blocked_prompt(fake, client):
    fake.says(Reply(blocked="SAFETY"))

    answer = client.models.generate_content(model=LITE, contents="Hello")

    assert answer.prompt_feedback.block_reason == types.BlockedReason.SAFETY
    assert not answer.candidates
    assert answer.usage_metadata.prompt_token_count == fake.billed[0]["prompt_tokens"]


@pytest.mark.parametrize(
    ("reply", "code", "status"),
    [
        (key_refused(), 400, "INVALID_ARGUMENT"),
        (rate_limited(), 429, "RESOURCE_EXHAUSTED"),
        (refusal(503, "The model is overloaded."), 503, "UNAVAILABLE"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_the_sdk_raises_what_google_refuses(fake, client, reply, code, status, streamed):
    fake.says(reply)

    generate = client.models.generate_content_stream if streamed else client.models.generate_content

    with pytest.raises(errors.APIError) as caught:
        list(generate(model=LITE, contents="Hello"))

    assert (caught.value.code, caught.value.status) == (code, status)


def test_the_sdk_raises_an_error_inside_a_stream(fake, client):
    fake.says(Reply(error={"code": 503, "message": "gone", "status": "UNAVAILABLE"}))
    heard = []

    with pytest.raises(errors.ServerError) as caught:
        heard.extend(client.models.generate_content_stream(model=LITE, contents="Hello"))

    assert caught.value.code == 503


def test_the_sdk_is_told_of_a_wrong_key(fake):
    with open_client(fake, "AIzaWrong") as client, pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model=LITE, contents="Hello")

    assert caught.value.code == 400
    assert caught.value.details["error"]["details"][0]["reason"] == "API_KEY_INVALID"


# What it refuses ------------------------------------------------------------------------------

HELLO = {"role": "user", "parts": [{"text": "Hello"}]}
CALL = {"functionCall": {"name": "weather", "args": {}}}
RESULT = {"functionResponse": {"name": "weather", "response": {"output": "Sun"}}}


def with_config(**config):
    return {"contents": [HELLO], "generationConfig": config}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"contents": []}, "contents is not specified"),
        ({"contents": [HELLO], "messages": []}, 'Unknown name "messages"'),
        ({"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, "valid role"),
        ({"contents": [{"role": "user", "parts": []}]}, "must not be empty"),
        ({"contents": [{"role": "user", "parts": [{}]}]}, "must have a data field"),
        ({"contents": [HELLO, {"role": "model", "parts": [CALL]}, HELLO]}, "number of function"),
        ({"contents": [HELLO, {"role": "user", "parts": [RESULT]}]}, "number of function"),
        (with_config(temperature=2.5), "temperature must be in the range"),
        (with_config(candidateCount=9), "candidateCount must be in the range"),
        (with_config(seed=2**31), "seed must be in the range"),
        (with_config(maxTokens=5), 'Unknown name "maxTokens"'),
        (with_config(stopSequences=["a"] * 6), "at most 5"),
        (with_config(responseJsonSchema={}), "requires response_mime_type"),
        (with_config(thinkingConfig={"thinkingLevel": "low"}), "not supported"),
        (with_config(thinkingConfig={"thinkingLevel": "low", "thinkingBudget": 5}), "only one of"),
        (
            with_config(thinkingConfig={"thinkingBudget": 0, "includeThoughts": True}),
            "only enabled when thinking",
        ),
        (
            {"contents": [HELLO], "tools": [{"functionDeclarations": [{"name": "5 x"}]}]},
            "Invalid function name",
        ),
        (
            {"contents": [HELLO], "tools": [{"functionDeclarations": [{"name": "x", "strict": 1}]}]},  # noqa: E501
            "Unknown name",
        ),
        (
            {
                "contents": [HELLO],
                "toolConfig": {"functionCallingConfig": {"allowedFunctionNames": ["x"]}},
            },
            "subset",
        ),
    ],
)  # fmt: skip
def test_a_wrong_request_is_refused_in_googles_words(fake, body, words):
    status, said = ask(fake, body)

    assert (status, said["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert words in said["error"]["message"]
    assert fake.billed == []


@pytest.mark.parametrize("signature", [None, "AAAA"])
def test_a_call_without_its_signature_is_refused_by_gemini_3(fake, signature):
    call = {**CALL, "thoughtSignature": signature} if signature else CALL
    contents = [HELLO, {"role": "model", "parts": [call]}, {"role": "user", "parts": [RESULT]}]

    assert ask(fake, {"contents": contents}, FLASH)[0] == 400
    assert ask(fake, {"contents": [*contents, HELLO]}, FLASH)[0] == 200  # an earlier turn
    assert ask(fake, {"contents": contents}, LITE)[0] == 200


def test_older_models_refuse_the_id_of_a_call(fake):
    call = {"functionCall": {"id": "x", "name": "weather", "args": {}}}
    contents = [HELLO, {"role": "model", "parts": [call]}, {"role": "user", "parts": [RESULT]}]

    assert ask(fake, {"contents": contents})[0] == 400


def test_a_key_in_the_address_is_no_key(fake):
    path = f"/v1beta/models/{LITE}:generateContent?key={fake.key}"

    status, _ = post(fake, path, {"contents": [HELLO]}, **{"x-goog-api-key": ""})

    assert status == 403


def test_an_unknown_model_is_not_found(fake):
    assert ask(fake, {"contents": [HELLO]}, "gemini-0")[0] == 404


def test_a_stream_that_fails_before_it_begins_is_an_array_unless_events_were_asked_for(fake):
    path = f"/v1beta/models/{LITE}:streamGenerateContent"
    fake.says(rate_limited(), rate_limited())

    _, array = post(fake, path, {"contents": [HELLO]})
    _, single = post(fake, f"{path}?alt=sse", {"contents": [HELLO]})

    assert json.loads(array)[0]["error"]["code"] == 429
    assert json.loads(single)["error"]["details"][1]["retryDelay"] == "34s"


def test_its_bytes_are_as_google_writes_them(fake):
    path = f"/v1beta/models/{LITE}:streamGenerateContent?alt=sse"
    fake.says(Reply(text="1 2", model_version="gemini-3.8-flash"))

    _, body = post(fake, path, {"contents": [HELLO]})

    first, last, end = body.split(b"\r\n\r\n")
    assert first.startswith(
        b'data: {"candidates": [{"content": {"parts": [{"text": "1"}],"role": "model"},"index": 0}]'
        b',"usageMetadata": {'
    )
    assert b'"finishReason": "STOP"' in last
    assert b'"modelVersion": "gemini-3.8-flash","responseId": "AAAA"}' in last
    assert end == b""
