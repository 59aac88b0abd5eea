"""What no transcript can tell about the dialect `anthropic`."""

import json
import re

import pytest
from anthropic_transcripts import BEGUN, HI, PING, SONNET, ending, message, start, stream, text
from hypothesis import given
from hypothesis import strategies as st
from transcript import HELLO, read_stream

from altyn.chat import Chat, Fault
from altyn.upstream.dialects import get_dialect
from altyn.upstream.dialects.anthropic.generation import find_generation
from altyn.upstream.dialects.anthropic.messages import write_call_id

ANTHROPIC = get_dialect("anthropic")


def write(messages=HELLO, **fields):
    chat = Chat(model="m", messages=[], fields={"messages": messages, **fields}, max_tokens=2048)
    return ANTHROPIC.write_request(chat, upstream_model=SONNET, host="api.anthropic.com")


def test_the_key_has_a_header_of_its_own():
    assert ANTHROPIC.secret_header == ("x-api-key", "{secret}")


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}, "input_audio"),
        ({"type": "file", "file": {"file_id": "file_011CNha8"}}, "file_data"),
        ({"type": "file", "file": {"file_data": "data:text/plain;base64,/w=="}}, "UTF-8"),
        ({"type": "image_url", "image_url": {"url": "data:image/svg+xml,<svg/>"}}, "base64"),
        ({"type": "image_url", "image_url": {"url": "data:"}}, "base64"),
    ],
)
def test_what_the_vendor_has_no_form_for_is_refused_before_it_is_sent(part, said):
    with pytest.raises(Fault, match=said) as caught:
        write([{"role": "user", "content": [part]}])

    assert caught.value.kind == "bad_request"


def test_a_tool_may_not_pass_for_an_answer():
    tool = {"type": "function", "function": {"name": "altyn_answer_in_json"}}

    with pytest.raises(Fault, match="altyn_answer_in_json is taken"):
        write(tools=[tool])


def test_the_callers_messages_are_left_as_they_are():
    messages = [*HELLO, {"role": "assistant", "content": "Well, "}]
    before = json.dumps(messages)

    write(messages, reasoning_effort="high")

    assert json.dumps(messages) == before


@pytest.mark.parametrize(
    ("name", "by_schema", "adaptively"),
    [
        ("claude-3-5-sonnet-20241022", False, False),
        ("claude-3-7-sonnet-20250219", False, False),
        ("claude-opus-4-20250514", False, False),
        ("claude-opus-4-1-20250805", False, False),
        ("claude-sonnet-4-5-20250929", True, False),
        ("claude-haiku-4-5", True, False),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", True, False),
        ("claude-sonnet-4.6", True, True),
        ("claude-opus-4-7", True, True),
        ("claude-sonnet-5", True, True),
        ("my-own-name", True, False),
    ],
)
def test_a_models_name_tells_its_generation(name, by_schema, adaptively):
    generation = find_generation(name)

    assert generation.answers_by_schema == by_schema
    assert generation.thinks_adaptively == adaptively


@given(number=st.text(min_size=1, max_size=8))
def test_any_id_of_a_call_is_said_in_letters_the_vendor_takes(number):
    assert re.fullmatch("[a-zA-Z0-9_-]+", write_call_id(number))


def test_ids_of_two_calls_stay_different():
    assert len({write_call_id(f"functions{odd}get:0") for odd in ".:/ "}) == 4


def test_nothing_is_passed_on_before_the_first_piece():
    # Until then another route can be asked.
    assert read_stream([start() + PING], ANTHROPIC, end=False) == []


def test_the_first_chunk_says_who_speaks_and_every_event_where_it_is_from():
    events = read_stream([stream(text("Hello, world"))], ANTHROPIC)

    roles = [json.loads(event.choices)[0]["delta"].get("role") for event in events]
    assert roles == ["assistant", *[None] * (len(events) - 1)]
    assert {event.upstream_id for event in events} == {"msg_01AAAA"}
    assert {event.upstream_model for event in events} == {SONNET}


def test_a_whole_answer_says_where_it_is_from():
    answer = ANTHROPIC.read_answer(message(text("Hi")))

    assert (answer.upstream_id, answer.upstream_model) == ("msg_01AAAA", SONNET)


def test_usage_before_the_end_is_the_prompt_as_counted_and_the_answer_by_our_count():
    reader = ANTHROPIC.stream_reader()
    assert reader.usage is None
    for piece in BEGUN.split(b"\n\n")[:-1]:
        reader.read("", piece.split(b"data: ")[1])

    usage = reader.usage

    assert usage.partial
    assert (usage.input_uncached, usage.output_text) == (12, 1)


def test_usage_comes_with_the_event_that_ends_the_answer():
    events = read_stream([start() + HI + ending()], ANTHROPIC)

    assert [event.usage is not None for event in events] == [False, True]
    assert events[-1].finish_reason == "stop"


def test_an_overloaded_vendor_may_say_when_to_come_back():
    fault = ANTHROPIC.read_error(529, {"retry-after": "7"}, b"")

    assert (fault.kind, fault.retry_after_s) == ("overloaded", 7.0)


@given(sent=st.binary(max_size=200))
def test_no_bytes_are_too_odd_for_a_fault(sent):
    with pytest.raises(Fault):
        ANTHROPIC.read_answer(sent)
    with pytest.raises(Fault):
        ANTHROPIC.stream_reader().read("error", sent)
