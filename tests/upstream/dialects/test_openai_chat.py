# ruff: noqa: E501 -- what vendors send stands on one line, as it came

import json

import msgspec
import pytest
from chat_transcripts import DEEPSEEK, DONE, OPENAI_TOOL_CALL, OPENROUTER, chunk, delta
from transcript import fold, read_stream, told

from altyn.chat import Chat, Fault, Usage, UserMessage
from altyn.errors import UnknownNameError
from altyn.upstream.dialects import get_dialect

CHAT = get_dialect("openai-chat")


def content_of(events):
    return fold(events)[0]["message"]["content"]


def payloads(stream: bytes) -> list[bytes]:
    return [line[6:] for line in stream.split(b"\n") if line.startswith(b"data: ")]


def answer(**changes) -> bytes:
    whole = {
        "id": "chatcmpl-AAAA",
        "object": "chat.completion",
        "model": "gpt-5-mini-2025-08-07",
        "system_fingerprint": None,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 78, "completion_tokens": 9, "total_tokens": 87},
    }
    return json.dumps({**whole, **changes}).encode()


def whole_choice(finish_reason="stop", **message):
    return {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}


# Asking ---------------------------------------------------------------------------------------


def test_a_stream_is_asked_for_with_its_usage():
    chat = Chat(
        model="m",
        messages=[UserMessage(content="hi")],
        fields={"messages": [{"role": "user", "content": "hi"}], "temperature": 0.7},
        max_tokens=20,
        stream=True,
    )

    request = CHAT.write_request(chat, upstream_model="gpt-4o-mini", host="llm.example")

    assert request.path == "/chat/completions"
    assert json.loads(request.body) == {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0.7,
        "max_tokens": 20,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_whole_answer_is_asked_for_without_a_word_about_streams():
    chat = Chat(
        model="m",
        messages=[],
        fields={"messages": [{"role": "user", "content": "hi"}]},
        max_tokens=2,
    )

    body = json.loads(CHAT.write_request(chat, upstream_model="m", host="llm.example").body)

    assert "stream" not in body
    assert "stream_options" not in body


def test_an_unknown_dialect_is_a_sentence_for_the_operator():
    with pytest.raises(UnknownNameError, match="no dialect 'soap'"):
        get_dialect("soap")


# Streams --------------------------------------------------------------------------------------


def test_choices_that_need_no_mending_are_passed_on_byte_for_byte():
    events = read_stream([OPENAI_TOOL_CALL])

    sent = [event.choices for event in events if event.choices]
    assert sent == [
        data.split(b'"choices":')[1].split(b',"usage"')[0]
        for data in payloads(OPENAI_TOOL_CALL)[:4]
    ]


def test_what_stands_outside_the_choices_does_not_reach_the_caller():
    events = read_stream([OPENAI_TOOL_CALL, OPENROUTER])

    told = b"".join(event.choices for event in events)
    assert b"obfuscation" not in told
    assert b"Amazon Bedrock" not in told


def test_an_event_names_the_upstreams_id_model_and_fingerprint():
    first = read_stream([OPENAI_TOOL_CALL])[0]

    assert first.upstream_id == "chatcmpl-AAAA"
    assert first.upstream_model == "gpt-4o-mini-2024-07-18"
    assert first.system_fingerprint == "fp_d0469e1700"


def test_reasoning_comes_under_one_name_with_its_details():
    event = read_stream([DEEPSEEK])[1]

    said = json.loads(event.choices)[0]["delta"]
    detail = {"type": "reasoning.text", "text": "Подумаем", "format": "unknown", "index": 0}
    assert said["reasoning"] == "Подумаем"
    assert said["reasoning_details"] == [detail]
    assert "reasoning_content" not in said


def test_reasoning_that_quotes_its_own_name_is_mended_all_the_same():
    text = 'the key is "reasoning_content": or "reasoning":'

    events = read_stream([chunk([delta(reasoning_content=text)]), DONE])

    said = json.loads(events[0].choices)[0]["delta"]
    assert said["reasoning"] == text
    assert said["reasoning_details"][0]["text"] == text
    assert "reasoning_content" not in said


@pytest.mark.parametrize("reasoning", ["hm", None, ""])
def test_reasoning_under_both_names_is_told_once(reasoning):
    events = read_stream([chunk([delta(reasoning=reasoning, reasoning_content="hm")]), DONE])

    assert json.loads(events[0].choices)[0]["delta"]["reasoning"] == "hm"
    assert events[0].choices.count(b'"reasoning":') == 1
    assert b"reasoning_content" not in events[0].choices
    assert events[0].delivered_bytes == 2


def test_details_of_reasoning_are_left_as_the_vendor_signed_them():
    details = [{"type": "reasoning.text", "text": "", "signature": "AAAA", "index": 0}]
    sent = delta(content="", reasoning="This", reasoning_details=details)

    events = read_stream([chunk([sent]), DONE])

    assert json.loads(events[0].choices) == [sent]


def test_encrypted_reasoning_without_text_passes_unchanged():
    sent = delta(
        reasoning=None, reasoning_details=[{"type": "reasoning.encrypted", "data": "AAAA"}]
    )

    events = read_stream([chunk([sent]), DONE], end=False)

    assert json.loads(events[0].choices) == [sent]


def test_an_unknown_finish_reason_is_kept_beside_the_known_one():
    events = read_stream([chunk([delta(content="x")]), chunk([delta("eos")]), DONE])

    choice = json.loads(events[1].choices)[0]
    assert choice["finish_reason"] == "stop"
    assert choice["native_finish_reason"] == "eos"


def test_an_empty_finish_reason_on_every_chunk_does_not_end_the_answer():
    events = read_stream([chunk([delta("", content=text)]) for text in "abc"] + [DONE])

    assert [event.finish_reason for event in events] == [None, None, None, "stop"]
    assert content_of(events) == "abc"


def test_an_answer_of_nothing_gets_no_finish_reason():
    events = read_stream([chunk([delta(role="assistant", content="")]), DONE])

    assert [event.finish_reason for event in events] == [None]


def test_an_unknown_finish_reason_of_nothing_ends_the_stream_and_says_nothing():
    events = read_stream([chunk([delta(role="assistant", content="")]), chunk([delta("eos")])])

    assert [event.finish_reason for event in events] == [None, None]
    assert json.loads(events[1].choices)[0]["finish_reason"] is None


def test_line_breaks_inside_the_json_are_taken_out():
    body = json.dumps({"id": "a", "choices": [delta(content="x\ny")]}, indent=1)
    stream = b"".join(b"data: " + line + b"\n" for line in body.encode().split(b"\n")) + b"\n"

    events = read_stream([stream, chunk([delta("stop")]), DONE])

    assert b"\n" not in events[0].choices
    assert content_of(events) == "x\ny"


def test_every_choice_of_many_is_read_and_ended():
    stream = [
        chunk([delta(content="a", index=0), delta(content="b", index=1)]),
        chunk([delta("stop", index=1)]),
        DONE,
    ]

    events = read_stream(stream)

    assert fold(events) == [told("a"), told("b", index=1)]


def test_a_delta_of_null_becomes_an_empty_one():
    events = read_stream([chunk([{"index": 0, "delta": None, "finish_reason": "stop"}]), DONE])

    assert json.loads(events[0].choices)[0]["delta"] == {}


def test_late_content_after_the_end_is_still_told():
    stream = [chunk([delta("stop", content="a")]), chunk([delta(content="b")]), DONE]

    assert content_of(read_stream(stream)) == "ab"


def test_the_reader_is_finished_only_at_done():
    reader = CHAT.stream_reader()
    for data in payloads(OPENROUTER)[:-1]:
        reader.read("", data)
    before = reader.finished

    reader.read("", b"[DONE]")

    assert not before
    assert reader.finished


def test_a_second_done_says_nothing():
    events = read_stream([chunk([delta(content="x")]), DONE, DONE])

    assert [event.finish_reason for event in events] == [None, "stop"]


@pytest.mark.parametrize("sent", [b"", chunk([delta(content="half")]), chunk([delta("")])])
def test_a_stream_that_ends_without_a_finish_reason_is_broken(sent):
    with pytest.raises(Fault) as caught:
        read_stream([sent])

    assert caught.value.kind == "broken"


@pytest.mark.parametrize(
    "data",
    [
        b"<html>busy</html>",
        b"[1]",
        b'{"choices":[{"delta":{"content":7}}]}',
        b'{"choices":{"a":1}}',
        b'{"choices":[{"delta":{"content":"\xff\xfe"}}]}',
        b'{"choices":[{"delta":{"unknown":"\xff\xfe"}}]}',
        b'{"choices":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"choices":[{"delta":',
    ],
    ids=lambda data: data[:40].decode(errors="replace"),
)
def test_what_is_not_in_the_dialect_is_invalid(data):
    with pytest.raises(Fault) as caught:
        CHAT.stream_reader().read("", data)

    assert caught.value.kind == "invalid"


def test_an_event_that_says_nothing_to_anybody_is_skipped():
    assert CHAT.stream_reader().read("ping", b'{"type":"ping"}') is None


# Errors inside --------------------------------------------------------------------------------

GROQ_ERROR = rb"""event: error
data: {"error":{"message":"Tool call validation failed: x","type":"invalid_request_error","code":"tool_use_failed","failed_generation":"{\"name\": \"x\", \"arguments\": {}}","status_code":400}}

"""


@pytest.mark.parametrize(
    ("stream", "kind", "message"),
    [
        (GROQ_ERROR, "bad_request", "Tool call validation failed: x"),
        (
            chunk([delta(content="")], error={"code": 400, "message": "Token limit reached"})
            + DONE,
            "bad_request",
            "Token limit reached",
        ),
        (
            chunk([delta("error")], error={"code": "502", "message": "Provider disconnected"}),
            "server",
            "Provider disconnected",
        ),
        (b'data: {"error":"model runner stopped"}\n\n', "server", "model runner stopped"),
        (
            b'data: {"object":"error","message":"boom","type":"InternalServerError","code":500}\n\n',
            "server",
            "boom",
        ),
        (
            b'data: {"error":{"message":"Overloaded","type":"overloaded_error"}}\n\n',
            "overloaded",
            "Overloaded",
        ),
        (
            b'data: {"error":{"message":"slow down","code":"rate_limit_exceeded"}}\n\n',
            "rate_limit",
            "slow down",
        ),
        (b'event: error\ndata: {"message":"gone"}\n\n', "server", "gone"),
        (chunk([delta("error")]), "server", "the answer finished with an error"),
    ],
)
def test_an_error_inside_a_stream_is_a_fault(stream, kind, message):
    with pytest.raises(Fault) as caught:
        read_stream([chunk([delta(content="part")]), stream])

    assert caught.value.kind == kind
    assert caught.value.message == message


def test_usage_that_comes_with_an_error_is_kept_for_the_books():
    reader = CHAT.stream_reader()
    usage = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9, "cost": 0.01}
    sent = chunk([delta("error")], error={"code": 502, "message": "x"}, usage=usage)

    with pytest.raises(Fault):
        reader.read("", payloads(sent)[0])

    assert reader.usage == Usage(input_uncached=7, output_text=2, cost_nanos=10_000_000)


def test_an_error_of_null_is_none():
    events = read_stream([chunk([delta("stop", content="x")], error=None), DONE])

    assert content_of(events) == "x"


# Whole answers --------------------------------------------------------------------------------


def test_a_whole_answer_is_passed_on_byte_for_byte():
    body = answer()

    got = CHAT.read_answer(body)

    assert got.choices == body.split(b'"choices": ')[1].split(b', "usage"')[0]
    assert got.finish_reason == "stop"
    assert got.delivered_bytes == 5
    assert got.usage == Usage(input_uncached=78, output_text=9)
    assert (got.upstream_id, got.upstream_model) == ("chatcmpl-AAAA", "gpt-5-mini-2025-08-07")


def test_blank_lines_before_a_whole_answer_are_keep_alive():
    assert CHAT.read_answer(b"\n\n \n" + answer()).finish_reason == "stop"


@pytest.mark.parametrize(
    ("choice", "finish_reason"),
    [
        (
            whole_choice("", content=None, tool_calls=[{"function": {"arguments": "{}"}}]),
            "tool_calls",
        ),
        (whole_choice(None, content="text"), "stop"),
        (whole_choice("eos", content="text"), "stop"),
        (whole_choice("content_filter", content=""), "content_filter"),
        (whole_choice(None, content=""), None),
        (whole_choice("length", content=""), "length"),
    ],
)
def test_a_whole_answer_gets_a_finish_reason_if_it_says_anything(choice, finish_reason):
    got = CHAT.read_answer(answer(choices=[choice]))

    assert got.finish_reason == finish_reason
    assert json.loads(got.choices)[0]["finish_reason"] == finish_reason


def test_the_reasoning_of_a_whole_answer_comes_under_one_name():
    choice = whole_choice(content="Да", reasoning_content="Хм")

    got = CHAT.read_answer(answer(choices=[choice]))

    said = json.loads(got.choices)[0]["message"]
    assert said["reasoning"] == "Хм"
    assert said["reasoning_details"][0]["text"] == "Хм"
    assert got.delivered_bytes == 8


@pytest.mark.parametrize(
    "body",
    [
        answer(choices=[]),
        answer(choices=None),
        b'{"id":"x"}',
        b"",
        b"<html></html>",
        b'{"choices":[{"message":',
    ],
)
def test_a_whole_answer_that_cannot_be_read_is_invalid(body):
    with pytest.raises(Fault) as caught:
        CHAT.read_answer(body)

    assert caught.value.kind == "invalid"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"error":{"code":502,"message":"Provider returned error"}}', "server"),
        (
            (
                b'{"error":{"code":400,"message":"too long","type":"exceed_context_size_error",'
                b'"n_prompt_tokens":14429,"n_ctx":8192}}'
            ),
            "context_length",
        ),
        (b'{"code":"x","error":"some text"}', "server"),
        (
            b'{"object":"error","message":"no","type":"BadRequestError","param":null,"code":400}',
            "bad_request",
        ),
        (answer(choices=[whole_choice("error", content="")]), "server"),
        (answer(error={"code": 429, "message": "slow"}), "rate_limit"),
    ],
)
def test_an_error_under_status_200_is_a_fault(body, kind):
    with pytest.raises(Fault) as caught:
        CHAT.read_answer(body)

    assert caught.value.kind == kind


def test_logprobs_survive_mending():
    logprobs = {"content": [{"token": "a", "logprob": -0.1234567890123, "bytes": [97]}]}
    choice = {**whole_choice("eos", content="a"), "logprobs": logprobs}

    got = CHAT.read_answer(answer(choices=[choice]))

    assert msgspec.json.decode(got.choices)[0]["logprobs"] == logprobs


@pytest.mark.parametrize("text", ["Hi", 'the words "refusal" and "logprobs" stand in the text'])
def test_members_that_a_server_leaves_out_are_put_in(text):
    bare = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}

    got = CHAT.read_answer(answer(choices=[bare]))

    message = {"role": "assistant", "content": text, "refusal": None}
    told = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    assert msgspec.json.decode(got.choices) == [told]
