"""What no transcript of the Responses API shows: the events one by one, and input out of shape."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transcript import HELLO, read_stream

from altyn.api.body import decode_chat
from altyn.chat import Chat, Fault, Usage, UserMessage
from altyn.errors import AltynError
from altyn.upstream.dialects import get_dialect
from fakes.responses_answer import call, events, frame, message, thought, whole

RESPONSES = get_dialect("openai-responses")
OUTPUT = [thought("Hm", encrypted="gAAAA"), message("Hello there."), call("f", "{}")]
EVENTS = list(events(OUTPUT))


def told(output=OUTPUT, **response):
    return read_stream([frame(event) for event in events(output, **response)], RESPONSES)


def deltas(read):
    return [choice["delta"] for event in read for choice in json.loads(event.choices)]


def test_the_role_is_told_once_with_the_first_words():
    assert [delta.get("role") for delta in deltas(told())][:2] == ["assistant", None]
    assert sum("role" in delta for delta in deltas(told())) == 1


def test_nothing_is_told_before_the_first_words_or_thoughts():
    read = told([thought(encrypted="gAAAA"), message("Hello")])

    first = deltas(read)[0]
    assert first["content"] == "Hello"
    assert first["reasoning_details"][0]["data"] == "gAAAA"


def test_a_call_begins_with_its_name_and_nothing_else():
    first, second = (delta["tool_calls"][0] for delta in deltas(told([call("f", "{}")]))[:2])

    assert first == {
        "index": 0,
        "id": "call_AAAA",
        "type": "function",
        "function": {"name": "f", "arguments": ""},
    }
    assert second == {"index": 0, "function": {"arguments": "{}"}}


def test_every_event_names_the_upstreams_id_and_model():
    read = told()

    assert {event.upstream_id for event in read} == {"resp_AAAA"}
    assert {event.upstream_model for event in read} == {"gpt-5.2-pro-2025-12-11"}


def test_choices_are_one_line_whatever_is_said():
    read = told([message("one\ntwo\r\n\u2028three")])

    assert not any(b"\n" in event.choices or b"\r" in event.choices for event in read)


def test_usage_that_comes_with_a_failure_is_kept_for_the_books():
    reader = RESPONSES.stream_reader()
    error = {"code": "server_error", "message": "x"}
    *_, last = events([], status="failed", error=error)

    with pytest.raises(Fault):
        reader.read("response.failed", json.dumps(last).encode())

    assert reader.usage == Usage(input_uncached=21, output_text=11, reasoning=192)


def test_more_than_one_choice_cannot_be_asked_for():
    chat = Chat(
        model="m",
        messages=[UserMessage(content="Hello")],
        fields={"messages": HELLO},
        max_tokens=20,
        n=2,
    )

    with pytest.raises(Fault) as caught:
        RESPONSES.write_request(chat, upstream_model="m", host="api.openai.com")

    assert (caught.value.kind, caught.value.param) == ("bad_request", "n")


ODD = st.sampled_from([None, 7, -1, "x", [], {}, [None], {"type": 3}, True, 1.5, "\ud800"])


def replaced(value, path, odd):
    """The JSON with one of its members, found by *path*, turned into something else."""
    if not path or not isinstance(value, dict | list) or not value:
        return odd
    if isinstance(value, list):
        at = path[0] % len(value)
        return [replaced(one, path[1:], odd) if n == at else one for n, one in enumerate(value)]
    name = sorted(value)[path[0] % len(value)]
    return {**value, name: replaced(value[name], path[1:], odd)}


PATHS = st.lists(st.integers(0, 30), min_size=1, max_size=5)


def judged(read):
    """The kind of the fault that reading ends with, or None."""
    try:
        read()
    except Fault as fault:
        return fault.kind
    return None


@given(number=st.integers(0, len(EVENTS) - 1), path=PATHS, odd=ODD)
def test_no_stream_is_too_odd_to_be_judged(number, path, odd):
    sent = [json.dumps(event).encode() for event in EVENTS]
    sent[number] = json.dumps(replaced(EVENTS[number], path, odd)).encode()

    def read():
        reader = RESPONSES.stream_reader()
        for event, data in zip(EVENTS, sent, strict=True):
            step = reader.read(event["type"], data)
            assert step is None or isinstance(json.loads(step.choices), list)
        reader.end()

    assert judged(read) in (None, "invalid", "broken", "server")


@given(path=PATHS, odd=ODD)
def test_no_answer_is_too_odd_to_be_judged(path, odd):
    body = json.dumps(replaced(whole(OUTPUT), path, odd)).encode()

    assert judged(lambda: RESPONSES.read_answer(body)) in (None, "invalid", "server")


@given(path=PATHS, odd=ODD)
def test_no_history_of_reasoning_is_too_odd_to_be_left_out(path, odd):
    details = replaced(
        [
            {"type": "reasoning.encrypted", "data": "A", "id": "altyn_rs_1", "index": 0},
            {"type": "reasoning.text", "text": "A", "format": "openai-responses-v1", "index": 0},
        ],
        path,
        odd,
    )
    turn = {"role": "assistant", "content": "Hi", "reasoning_details": details}
    asked = {"model": "m", "messages": [*HELLO, turn]}
    try:
        body, fields = decode_chat(json.dumps(asked).encode())
    except AltynError:
        return
    chat = Chat(model="m", messages=body.messages, fields=fields, max_tokens=20)

    request = RESPONSES.write_request(chat, upstream_model="m", host="api.openai.com")

    assert json.loads(request.body)["input"][-1]["type"] == "message"
