import json
from itertools import pairwise

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transcript import bare, fold, last_usage, read_stream

from altyn.chat import Chat, Fault
from altyn.upstream.dialects import get_dialect
from altyn.upstream.dialects.sandbox import (
    CONTEXT_CHARACTERS,
    SLOW_S,
    flaky_failure,
    lorem,
    play,
    tokens_of,
)

SANDBOX = get_dialect("sandbox")
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
TOOLS = [
    {"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}},
    {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}},
]


def request(prompt="Hello, мир!", model="echo", *, max_tokens=2048, stream=False, **fields):
    messages = fields.pop("messages", [{"role": "user", "content": prompt}])
    chat = Chat(
        model=f"sandbox/{model}",
        messages=[],
        fields={"messages": messages, **fields},
        max_tokens=max_tokens,
        stream=stream,
    )
    return SANDBOX.write_request(chat, upstream_model=model, host="sandbox").body


def ask(*args, **fields):
    performance = play(request(*args, **fields))
    body = b"".join(piece for _, piece in performance.steps)
    if performance.status != 200:
        raise SANDBOX.read_error(performance.status, performance.headers, body)
    return SANDBOX.read_answer(body)


def stream(*args, **fields):
    performance = play(request(*args, stream=True, **fields))
    return read_stream((piece for _, piece in performance.steps), SANDBOX)


def said(answer):
    return json.loads(answer.choices)[0]["message"]


def pauses(*args, **fields):
    return [pause for pause, _ in play(request(*args, stream=True, **fields)).steps]


# What it says ---------------------------------------------------------------------------------


def test_echo_repeats_the_last_thing_said():
    messages = [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "ok"},
        {"role": "user", "content": [{"type": "text", "text": "second"}]},
    ]

    answer = ask(messages=messages)

    assert said(answer)["content"] == "second"
    assert answer.finish_reason == "stop"
    assert answer.upstream_model == "sandbox/echo"
    assert answer.system_fingerprint == "sandbox"


def test_usage_counts_the_tokens_of_the_rule():
    usage = ask("Hello, мир!").usage

    assert usage.input_tokens == 4 + 3
    assert usage.output_tokens == 4


def test_lorem_says_as_many_tokens_as_asked():
    answer = ask("Please, 17 tokens of it.", "lorem")

    assert answer.usage.output_tokens == 17
    assert said(answer)["content"].startswith("Lorem ipsum dolor sit amet,")
    assert answer.finish_reason == "stop"


def test_lorem_has_a_length_of_its_own_when_nobody_asks():
    assert ask("go on", "lorem").usage.output_tokens == 100


def test_lorem_does_not_take_the_number_of_an_order_for_its_length():
    assert ask("!pace 5 go on", "lorem").usage.output_tokens == 100


@pytest.mark.parametrize(("prompt", "model"), [("one two three four", "echo"), ("50", "lorem")])
def test_max_tokens_cuts_the_answer(prompt, model):
    answer = ask(prompt, model, max_tokens=3)

    assert answer.usage.output_tokens == 3
    assert answer.finish_reason == "length"


@pytest.mark.parametrize("stop", ["three", ["x", "three"]])
def test_stop_ends_the_answer_before_it(stop):
    answer = ask("one two three four", stop=stop)

    assert said(answer)["content"] == "one two "
    assert answer.finish_reason == "stop"


def test_n_choices_are_billed_n_times():
    answer = ask("a b", n=3)

    assert [choice["index"] for choice in json.loads(answer.choices)] == [0, 1, 2]
    assert answer.usage.output_tokens == 6


def test_a_tool_is_called_with_arguments_that_fit_its_schema():
    named = {"type": "function", "function": {"name": "weather"}}

    answer = ask(tools=TOOLS, tool_choice=named)

    call = said(answer)["tool_calls"][0]["function"]
    assert call["name"] == "weather"
    jsonschema_rs.validate(SCHEMA, json.loads(call["arguments"]))
    assert answer.finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("prompt", "choice", "called"),
    [
        ("!tool", "auto", True),
        ("!tool", None, True),
        ("hello", "auto", False),
        ("hello", "required", True),
        ("!tool", "none", False),
    ],
)
def test_a_tool_is_called_when_asked_for(prompt, choice, called):
    answer = ask(prompt, tools=TOOLS, tool_choice=choice)

    assert bool(said(answer).get("tool_calls")) is called


def test_after_a_tools_result_comes_text():
    messages = [
        {"role": "user", "content": "!tool"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "function": {}}]},
        {"role": "tool", "tool_call_id": "c", "content": "12 degrees !tool"},
    ]

    answer = ask(messages=messages, tools=TOOLS)

    assert said(answer)["content"] == "12 degrees !tool"


def test_a_tool_that_was_not_offered_cannot_be_named():
    with pytest.raises(Fault) as caught:
        ask(tools=TOOLS, tool_choice={"type": "function", "function": {"name": "nobody"}})

    assert caught.value.kind == "bad_request"


def test_structured_output_fits_its_schema():
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}

    answer = ask(response_format=wanted)

    jsonschema_rs.validate(SCHEMA, json.loads(said(answer)["content"]))


@pytest.mark.parametrize("model", ["echo", "lorem"])
def test_a_json_object_is_json(model):
    answer = ask("hi 5", model, response_format={"type": "json_object"})

    assert set(json.loads(said(answer)["content"])) == {"text"}


def test_the_same_request_gets_the_same_bytes():
    first, second = (list(play(request("hi", "lorem", stream=True)).steps) for _ in range(2))

    assert first == second


# Streams --------------------------------------------------------------------------------------

REQUESTS = [
    {"prompt": "Hello, мир! 🙂"},
    {"prompt": "40", "model": "lorem"},
    {"prompt": "a b c", "n": 3},
    {"prompt": "one two three", "max_tokens": 2},
    {"prompt": "!tool", "tools": TOOLS},
    {"prompt": "x", "response_format": {"type": "json_object"}},
    {"prompt": "word " * 400},
    {"prompt": ""},
]


@pytest.mark.parametrize("asked", REQUESTS, ids=lambda asked: str(asked)[:50])
def test_a_stream_folded_is_the_whole_answer(asked):
    whole = ask(**asked)
    events = stream(**asked)

    assert fold(events) == [bare(choice) for choice in json.loads(whole.choices)]
    assert last_usage(events) == whole.usage
    assert sum(event.delivered_bytes for event in events) == whole.delivered_bytes


def test_lorem_streams_a_token_at_its_own_pace():
    assert pauses("30", "lorem") == [0.0] + [0.02] * 30 + [0.0]


def test_a_prompt_may_choose_the_pace():
    assert pauses("30 !pace 5", "lorem") == [0.0] + [0.005] * 30 + [0.0]


def test_a_long_echo_comes_in_larger_pieces():
    assert sum(pauses("word " * 5000)) <= 1.001


def test_usage_is_sent_only_to_who_asks_for_it():
    body = json.loads(request("hi", stream=True))
    del body["stream_options"]

    sent = b"".join(piece for _, piece in play(json.dumps(body).encode()).steps)

    assert b'"usage"' not in sent


# Trouble --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "status", "kind"), [("!429", 429, "rate_limit"), ("!500", 500, "server")]
)
def test_a_prompt_may_ask_for_a_refusal(order, status, kind):
    with pytest.raises(Fault) as caught:
        ask(f"please {order} now")

    assert (caught.value.status, caught.value.kind) == (status, kind)


def test_a_429_says_when_to_come_back():
    with pytest.raises(Fault) as caught:
        ask("!429")

    assert caught.value.retry_after_s == 1.0


@pytest.mark.parametrize(("order", "seconds"), [("!slow", SLOW_S), ("!slow 3", 3.0)])
@pytest.mark.parametrize("streamed", [True, False])
def test_slow_waits_before_the_first_byte(order, seconds, streamed):
    steps = list(play(request(order, stream=streamed)).steps)

    assert steps[0][0] == seconds


@pytest.mark.parametrize("streamed", [True, False])
def test_cut_sends_a_part_and_breaks(streamed):
    sent = []

    with pytest.raises(Fault) as caught:
        sent.extend(step for step in play(request("!cut one two", stream=streamed)).steps)

    assert caught.value.kind == "broken"


def test_cut_delivers_something_first():
    steps = play(request("!cut one two three", stream=True)).steps

    sent = b"".join(next(steps)[1] for _ in range(3))

    assert fold(read_stream([sent], end=False))[0]["message"]["content"] == "!cut"


@pytest.mark.parametrize("streamed", [True, False])
def test_empty_is_an_answer_of_nothing(streamed):
    if streamed:
        events = stream("!empty")
        finish_reason, usage = events[-1].finish_reason, last_usage(events)
    else:
        answer = ask("!empty")
        finish_reason, usage = answer.finish_reason, answer.usage

    assert finish_reason is None
    assert usage.output_tokens == 0
    assert usage.input_tokens > 0


@pytest.mark.parametrize("prompt", ["it cost $!429", "!4290", "!cutting", "x!empty"])
def test_an_order_is_a_word_of_its_own(prompt):
    assert said(ask(prompt))["content"] == prompt


def test_flaky_fails_a_third_of_all_prompts_in_every_way():
    failures = [flaky_failure(str(number)) for number in range(3000)]

    assert 900 < sum(failure is not None for failure in failures) < 1100
    assert set(failures) == {None, "429", "500", "503", "cut"}


def test_flaky_does_the_same_each_time():
    failing = next(str(n) for n in range(100) if flaky_failure(str(n)) == "500")
    working = next(str(n) for n in range(100) if flaky_failure(str(n)) is None)

    assert play(request(failing, "flaky")).status == 500
    assert said(ask(working, "flaky"))["content"] == working


# Refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"model":"echo"}',
        b'{"model":"echo","messages":[]}',
        b'{"model":"echo","messages":[{"role":"user","content":7}]}',
        b'{"model":"echo","messages":[{"role":"user","content":"x"}],"n":0}',
        b"[" * 9000,
    ],
)
def test_a_request_that_cannot_be_read_is_a_400(body):
    assert play(body).status == 400


def test_an_unknown_model_is_a_404():
    with pytest.raises(Fault) as caught:
        ask(model="gpt-5")

    assert caught.value.kind == "not_found"


def test_the_context_has_an_end():
    with pytest.raises(Fault) as caught:
        ask("x" * (CONTEXT_CHARACTERS + 1))

    assert caught.value.kind == "context_length"


# Counting -------------------------------------------------------------------------------------


@given(text=st.text())
def test_tokens_joined_are_the_text_and_no_more_than_its_bytes(text):
    tokens = tokens_of(text)

    assert "".join(tokens) == text
    assert len(tokens) <= len(text.encode(errors="surrogatepass"))


@given(lengths=st.integers(0, 2000))
def test_lorem_counts_as_long_as_it_is(lengths):
    assert len(tokens_of(lorem(lengths))) == lengths


def test_a_longer_lorem_begins_like_a_shorter_one():
    assert all(lorem(b).startswith(lorem(a)) for a, b in pairwise(range(0, 300, 7)))


def test_pictures_and_tools_cost_tokens_too():
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 9999}}
    bare = ask(messages=[{"role": "user", "content": [{"type": "text", "text": "x"}]}])

    shown = ask(messages=[{"role": "user", "content": [{"type": "text", "text": "x"}, picture]}])
    tooled = ask("x", tools=TOOLS)

    assert shown.usage.input_tokens == bare.usage.input_tokens + 16
    assert tooled.usage.input_tokens > bare.usage.input_tokens + 20
