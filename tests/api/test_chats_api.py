"""`POST /chat/completions` and `POST /chat/stream`: every parameter's rule and default."""

import json

import pytest

from fakes.openai_server import FakeOpenAI

BOTH = ("/chat/completions", "/chat/stream")
SAMPLING = "openai/gpt-oss-120b"
NO_SAMPLING = "openai/gpt-5"


@pytest.fixture(scope="module")
def asked(house):
    """What the vendor behind two models is asked, as JSON, oldest first."""
    fake = FakeOpenAI(models=(SAMPLING, NO_SAMPLING, "anthropic/claude-sonnet-4.5"))
    with fake:
        house.add_upstream(fake.base_url, *fake.models, secret=fake.key)
        yield lambda: [json.loads(call["body"]) for call in fake.calls]


@pytest.mark.parametrize("path", BOTH)
def test_anonymous(house, as_, path):
    said = as_().chat(path)

    assert (said.status, said.code) == (401, "missing_api_key")


@pytest.mark.parametrize("path", BOTH)
def test_somebody_elses(house, as_, alice, bob, path):
    as_(alice.key).chat(path, user=bob.email, account_id=bob.account_id, key_id=bob.key_id)

    house.wait_until_idle()
    assert as_(bob.key).get("/balance").json["total_used"] == "0.000000000"
    assert as_(alice.key).get("/balance").json["total_used"] == "0.000001300"


def test_a_whole_answer_is_openais(house, as_, alice):
    said = as_(alice.key).chat()

    assert said.status == 200
    answer = said.json
    assert answer["id"] == f"chatcmpl-{said.headers['x-request-id'].removeprefix('req_')}"
    assert (answer["object"], answer["model"]) == ("chat.completion", "sandbox/echo")
    assert answer["choices"][0]["message"]["content"] == "Say hello"
    assert answer["usage"]["total_tokens"] == 7
    assert b'"cost":0.0000013,"currency":"USD"' in said.body


def test_a_whole_answer_tells_money_and_limits_in_its_headers(house, as_, alice):
    headers = as_(alice.key).chat().headers

    assert headers["x-request-id"].startswith("req_")
    assert headers["x-request-cost"] == "0.0000013"
    assert headers["x-balance-available"] == "9.999998700"
    assert headers["x-ratelimit-limit-requests"] == "3000"
    assert headers["x-ratelimit-remaining-requests"] == "2999"
    assert headers["x-ratelimit-reset-requests"] == "20ms"
    assert "x-ignored-parameters" not in headers


def test_a_stream_is_events_with_usage_and_an_end(house, as_, alice):
    said = as_(alice.key).chat("/chat/stream")

    assert said.status == 200
    assert said.headers["content-type"].startswith("text/event-stream")
    assert said.headers["cache-control"] == "no-cache, no-transform"
    assert said.headers["x-accel-buffering"] == "no"
    assert said.headers["x-balance-available"]
    assert "x-request-cost" not in said.headers
    *chunks, usage, done = said.events
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks) == "Say hello"
    assert (usage["choices"], usage["usage"]["total_tokens"], done) == ([], 7, "[DONE]")
    assert all("usage" not in chunk for chunk in chunks)


def test_stream_true_hides_the_usage_unless_it_is_asked_for(house, as_, alice):
    silent = as_(alice.key).chat(stream=True)
    asked = as_(alice.key).chat(stream=True, stream_options={"include_usage": True})

    assert all(event == "[DONE]" or "usage" not in event for event in silent.events)
    assert asked.events[-2]["usage"]["cost"] == 1.3e-06


def test_chat_stream_streams_whatever_is_said_of_streaming(house, as_, alice):
    said = as_(alice.key).chat("/chat/stream", stream=False)

    assert said.events[-1] == "[DONE]"


def test_stream_options_without_a_stream_mean_nothing(house, as_, alice):
    said = as_(alice.key).chat(stream_options={"include_usage": True})

    assert (said.status, said.json["object"]) == (200, "chat.completion")


def test_defaults_are_those_of_the_public_page(house, as_, alice, asked):
    as_(alice.key).chat(model=SAMPLING)

    assert (asked()[-1]["temperature"], asked()[-1]["max_tokens"]) == (0.7, 2048)


def test_what_the_caller_says_is_passed_on(house, as_, alice, asked):
    wishes = {"temperature": 1.5, "max_tokens": 7, "top_p": 0.5, "stop": ["x"], "seed": 4}

    said = as_(alice.key).chat(model=SAMPLING, **wishes)

    assert {name: asked()[-1][name] for name in wishes} == wishes
    assert "x-ignored-parameters" not in said.headers


def test_max_completion_tokens_is_the_same_as_max_tokens(house, as_, alice):
    said = as_(alice.key).chat(model="sandbox/lorem", max_completion_tokens=3)

    assert said.json["usage"]["completion_tokens"] == 3


def test_a_temperature_a_model_refuses_is_left_out_and_named_only_if_set(house, as_, alice, asked):
    silent = as_(alice.key).chat(model=NO_SAMPLING)
    loud = as_(alice.key).chat(model=NO_SAMPLING, temperature=1)

    assert all("temperature" not in body for body in asked()[-2:])
    assert "x-ignored-parameters" not in silent.headers
    assert loud.headers["x-ignored-parameters"] == "temperature"


@pytest.mark.parametrize("path", BOTH)
def test_unknown_fields_are_ignored_and_named(house, as_, alice, path):
    said = as_(alice.key).chat(path, metadata={"a": "b"}, colour="red", best_of=3)

    assert said.status == 200
    assert said.headers["x-ignored-parameters"] == "metadata, colour, best_of"


def test_names_of_unknown_fields_cannot_end_a_header(house, as_, alice):
    said = as_(alice.key).chat(**{"a\r\nset-cookie: x": 1, "имя": 2, "x" * 5000: 3})

    assert said.status == 200
    assert "set-cookie" not in said.headers
    assert len(said.headers["x-ignored-parameters"]) <= 1000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 0),
        ("temperature", 2),
        ("temperature", -0.0),
        ("max_tokens", 1),
        ("max_tokens", 8192),
        ("top_p", 0),
        ("top_p", 1),
        ("presence_penalty", -2),
        ("frequency_penalty", 2),
        ("stop", "x"),
        ("stop", ["x"] * 16),
        ("seed", 2**63 - 1),
        ("n", 1),
        ("user", "u" * 512),
        ("tools", []),
        ("temperature", None),
        ("max_tokens", None),
        ("stream", None),
    ],
)
def test_the_edge_of_a_range_is_inside(house, as_, alice, name, value):
    assert as_(alice.test_key).chat(**{name: value}).status == 200


WRONG = [
    ("temperature", -0.1),
    ("temperature", 2.1),
    ("temperature", "0.7"),
    ("temperature", True),
    ("temperature", [1]),
    ("max_tokens", 0),
    ("max_tokens", -1),
    ("max_tokens", 8193),
    ("max_tokens", 2**31),
    ("max_tokens", 2**63),
    ("max_tokens", 10**30),
    ("max_tokens", 2048.5),
    ("max_tokens", "10"),
    ("max_tokens", True),
    ("max_completion_tokens", 0),
    ("max_completion_tokens", 8193),
    ("stream", "yes"),
    ("stream", 1),
    ("stream_options", True),
    ("top_p", 1.1),
    ("top_p", -0.1),
    ("stop", 1),
    ("stop", ["x"] * 17),
    ("stop", "x" * 1001),
    ("seed", "1"),
    ("seed", 2**63),
    ("n", 0),
    ("n", 129),
    ("presence_penalty", 2.1),
    ("frequency_penalty", -2.1),
    ("logit_bias", {"1": 101}),
    ("logit_bias", [1]),
    ("logprobs", 1),
    ("top_logprobs", 21),
    ("tools", {}),
    ("tools", [{"type": "function"}]),
    ("tools", [{"type": "function", "function": {"name": ""}}]),
    ("tool_choice", "maybe"),
    ("parallel_tool_calls", "no"),
    ("response_format", "json"),
    ("response_format", {"type": "xml"}),
    ("reasoning_effort", "enormous"),
    ("reasoning", "high"),
    ("reasoning", {"max_tokens": 0}),
    ("verbosity", "loud"),
    ("user", 7),
    ("user", "u" * 513),
    ("metadata", {"a": 1}),
    ("model", 7),
    ("model", ""),
    ("model", None),
    ("messages", "hello"),
    ("messages", []),
    ("messages", {}),
    ("messages", [1]),
    ("messages", [{"role": "user"}]),
    ("messages", [{"role": "wizard", "content": "x"}]),
    ("messages", [{"content": "x"}]),
    ("messages", [{"role": "user", "content": 7}]),
    ("messages", [{"role": "user", "content": None}]),
    ("messages", [{"role": "user", "content": [{"type": "smell"}]}]),
    ("messages", [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]),
    ("messages", [{"role": "tool", "content": "x", "tool_call_id": "a"}]),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_refused_by_name(house, as_, alice, name, value):
    said = as_(alice.key).chat(**{name: value})

    assert said.status == 400
    assert said.code in {"invalid_parameter", "missing_parameter"}
    assert said.error["param"].startswith(name)
    assert said.error["request_id"] == said.headers["x-request-id"]


@pytest.mark.parametrize("name", ["model", "messages"])
def test_what_is_required_is_missed_by_name(house, as_, alice, name):
    said = as_(alice.key).chat(**{name: ...})

    assert (said.status, said.code) == (400, "missing_parameter")
    assert said.error["param"] == name


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 5000])
def test_a_number_without_an_end_is_refused_by_name(house, as_, alice, number):
    body = b'{"model":"sandbox/echo","messages":[{"role":"user","content":"x"}],"temperature":%b}'

    said = as_(alice.key).post("/chat/completions", body % number.encode())

    assert (said.status, said.code, said.error["param"]) == (
        400,
        "invalid_parameter",
        "temperature",
    )


def test_max_tokens_and_its_alias_must_agree(house, as_, alice):
    said = as_(alice.key).chat(max_tokens=1, max_completion_tokens=2)

    assert (said.status, said.code) == (400, "invalid_parameter")


SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}
PICTURE = [{"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}]


@pytest.mark.parametrize(
    ("model", "fields", "param"),
    [
        ("google/gemini-2.5-pro", {"n": 2}, "n"),
        (
            "deepseek/deepseek-v3.1-terminus",
            {"messages": [{"role": "user", "content": PICTURE}]},
            "messages[0].content[0].image_url",
        ),
        ("anthropic/claude-3.7-sonnet", {"response_format": SCHEMA}, "response_format"),
    ],
)
def test_what_would_change_the_meaning_is_refused(house, as_, alice, model, fields, param):
    said = as_(alice.test_key).chat(model=model, **fields)

    assert (said.status, said.code) == (400, "unsupported_parameter")
    assert (said.error["param"], said.error["model"]) == (param, model)


@pytest.mark.parametrize(
    "model",
    ["nobody/nothing", "a/../../b", "a#b", "a?b", "a\nb", "a\x00b", "x" * 200, "Sandbox/Echo"],
)
def test_an_unknown_model_is_not_found(house, as_, alice, model):
    said = as_(alice.key).chat(model=model)

    assert (said.status, said.code, said.error["param"]) == (404, "model_not_found", "model")


def test_a_model_without_a_route_says_what_to_do(house, as_, alice):
    said = as_(alice.key).chat(model="anthropic/claude-haiku-4.5")

    assert (said.status, said.code) == (503, "model_unavailable")
    assert "altyn route add" in said.error["message"]
    assert said.headers["retry-after"]


def test_a_test_key_calls_any_model_and_reaches_no_vendor(house, as_, alice, asked):
    before = len(asked())
    for model in ("anthropic/claude-3.5-sonnet", SAMPLING, "anthropic/claude-sonnet-4.5"):
        said = as_(alice.test_key).chat(model=model)

        assert (said.status, said.json["system_fingerprint"]) == (200, "sandbox")
        assert said.headers["x-request-cost"] == "0"
    assert len(asked()) == before
    assert as_(alice.key).get("/balance").json["balance"] == "10.000000000"


def test_every_role_and_part_is_taken(house, as_, alice):
    messages = [
        {"role": "system", "content": "s"},
        {"role": "developer", "content": [{"type": "text", "text": "d"}]},
        {"role": "user", "content": [{"type": "text", "text": "u"}, *PICTURE]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "42"},
        {
            "role": "user",
            "content": [
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:,x"}},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            ],
        },
    ]

    said = as_(alice.test_key).chat(model="google/gemini-2.5-pro", messages=messages)

    assert said.status == 200
