"""What no transcript of a chat with Gemini can tell."""

import json
import time
from contextlib import suppress

import pytest
from gemini_transcripts import COUNTED, PIXEL, call, candidate, event, reply, text, vendor_json
from hypothesis import given
from hypothesis import strategies as st

from altyn.chat import Chat, Fault, Usage
from altyn.upstream.dialects import get_dialect
from altyn.upstream.sse import SseReader

GEMINI = get_dialect("gemini")


def chat(*parts, stream=False, **fields):
    messages = [{"role": "user", "content": list(parts) or "Hello"}]
    return Chat(
        model="m", messages=[], fields={"messages": messages, **fields}, max_tokens=9, stream=stream
    )


def path(upstream_model, *, stream=False):
    return GEMINI.write_request(chat(stream=stream), upstream_model=upstream_model, host="h").path


def read(*replies):
    reader = GEMINI.stream_reader()
    events = [
        reader.read(name, data)
        for name, data in SseReader().feed(b"".join(event(one) for one in replies))
    ]
    return reader, [one for one in events if one is not None]


# Asking ---------------------------------------------------------------------------------------


def test_the_key_goes_into_a_header_of_its_own():
    assert GEMINI.secret_header == ("x-goog-api-key", "{secret}")


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("gemini-2.5-pro", "/models/gemini-2.5-pro:generateContent"),
        ("models/gemini-2.5-pro", "/models/gemini-2.5-pro:generateContent"),
        ("a b/../c?key=1#x", "/models/a%20b%2F..%2Fc%3Fkey%3D1%23x:generateContent"),
    ],
)
def test_the_model_stands_in_the_path_and_can_be_nothing_else(name, sent):
    assert path(name) == sent


def test_a_stream_has_another_path_and_the_same_body():
    whole, streamed = (
        GEMINI.write_request(chat(stream=stream), upstream_model="gemini-2.5-pro", host="h")
        for stream in (False, True)
    )

    assert streamed.path == "/models/gemini-2.5-pro:streamGenerateContent?alt=sse"
    assert streamed.body == whole.body


def image(url):
    return {"type": "image_url", "image_url": {"url": url}}


@pytest.mark.parametrize(
    "part",
    [
        image("https://generativelanguage.googleapis.com/v1beta/files/abc"),
        image("https://GenerativeLanguage.GoogleAPIs.com:443/v1beta/files/abc"),
        image("https://storage.googleapis.com/bucket/secret.png"),
        image("gs://bucket/secret.png"),
        image("file:///etc/passwd"),
        image("https://generativelanguage.googleapis.com./v1beta/files/abc"),
        image("https://generativelanguage.googleapis.com\\@example.com/v1beta/files/abc"),
        image("https://generativelanguage%2Egoogleapis.com/v1beta/files/abc"),
        image("https://generativelanguage．googleapis．com/v1beta/files/abc"),
        image("https://generative\tlanguage.googleapis.com/v1beta/files/abc"),
        image("https://[::1"),
        image("https://"),
        image("nothing at all"),
        {"type": "file", "file": {"file_data": "https://storage.googleapis.com/bucket/a.pdf"}},
        {"type": "file", "file": {"file_id": "files/abc"}},
        {"type": "file", "file": {}},
    ],
    ids=str,
)
def test_a_file_that_only_the_operators_key_opens_cannot_be_named(part):
    with pytest.raises(Fault) as caught:
        GEMINI.write_request(chat(part), upstream_model="gemini-2.5-pro", host="h")

    assert caught.value.kind == "bad_request"
    assert caught.value.param.startswith("messages[0].content[0]")


@pytest.mark.parametrize(
    "url",
    [
        "https://googleapis.com.example/a.png",
        "http://notgoogleapis.com:8080/a.png?of=googleapis.com",
        "https://картинки.рф/a.png",
    ],
)
def test_any_other_address_is_handed_on_as_it_is(url):
    body = GEMINI.write_request(chat(image(url)), upstream_model="m", host="h").body

    assert json.loads(body)["contents"][0]["parts"][0]["fileData"]["fileUri"] == url


def test_a_result_names_the_last_call_of_its_id():
    def called(name):
        function = {"name": name, "arguments": "[1]"}
        return {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "0", "function": function}],
        }

    done = {"role": "tool", "tool_call_id": "0", "content": "done"}
    messages = [called("clock"), done, called("weather"), done]
    asked = Chat(model="m", messages=[], fields={"messages": messages}, max_tokens=9)

    body = json.loads(GEMINI.write_request(asked, upstream_model="gemini-2.5-pro", host="h").body)

    parts = [content["parts"][0] for content in body["contents"]]
    assert [part.popitem()[1]["name"] for part in parts] == ["clock", "clock", "weather", "weather"]


def test_a_long_history_is_written_in_little_time():
    count = 20_000
    calls = [{"id": str(n), "function": {"name": "f", "arguments": "{}"}} for n in range(count)]
    results = [{"role": "tool", "tool_call_id": str(n), "content": "x"} for n in range(count)]
    messages = [{"role": "assistant", "content": None, "tool_calls": calls}, *results[::-1]]
    asked = Chat(model="m", messages=[], fields={"messages": messages}, max_tokens=9)
    started = time.process_time()

    GEMINI.write_request(asked, upstream_model="gemini-2.5-pro", host="h")

    assert time.process_time() - started < 2


def test_a_picture_is_sent_as_it_came():
    sent = chat(image(f"data:image/png;base64,{PIXEL}"))

    body = GEMINI.write_request(sent, upstream_model="m", host="h").body

    assert PIXEL.encode() in body


# Reading --------------------------------------------------------------------------------------


def test_only_the_end_of_the_body_finishes_a_stream():
    reader, _ = read(reply(candidate(text("a"), finish="STOP")))
    before = reader.finished

    reader.end()

    assert not before
    assert reader.finished


def test_the_role_is_told_once():
    _, events = read(
        reply(candidate(text("a"))),
        reply(candidate(text("b"))),
        reply(candidate(text("c"), finish="STOP")),
    )

    assert [b'"role":"assistant"' in one.choices for one in events] == [True, False, False]


def test_an_event_names_the_vendors_id_and_the_model_that_answered():
    _, (event_,) = read(reply(candidate(text("a"), finish="STOP")))

    assert (event_.upstream_id, event_.upstream_model) == ("AAAA", "gemini-2.5-flash")


def test_usage_is_told_once_and_known_from_the_first_event_on():
    reader, events = read(reply(candidate(text("a"))), reply(candidate(text("b"))))
    halfway = reader.usage

    last = reader.read("", vendor_json(reply(candidate(finish="STOP"))))

    assert [one.usage for one in events] == [None, None]
    assert halfway == last.usage == Usage(input_uncached=18, output_text=4)


def test_an_event_that_says_nothing_to_anybody_is_skipped():
    reader, events = read({"responseId": "AAAA"}, reply(candidate(text("")), usage=None))

    assert events == []
    assert reader.usage is None


def test_a_minted_id_is_the_same_at_every_reading_and_differs_by_answer():
    again, once, other = (
        GEMINI.read_answer(
            vendor_json({**reply(candidate(call("clock"), finish="STOP")), "responseId": number})
        ).choices
        for number in ("AAAA", "AAAA", "BBBB")
    )

    assert again == once != other


def test_no_digit_of_an_argument_changes():
    sent = b'{"n": 0.10000000000000000001,"big": 12345678901234567890123}'
    back = vendor_json(reply(candidate(call("pay", {"X": 1}), finish="STOP")))

    answer = GEMINI.read_answer(back.replace(b'{"X": 1}', sent))

    (made,) = json.loads(answer.choices)[0]["message"]["tool_calls"]
    assert made["function"]["arguments"].encode() == sent.replace(b": ", b":")


@pytest.mark.parametrize(
    "usage",
    [
        {**COUNTED, "promptTokenCount": -1},
        {**COUNTED, "candidatesTokenCount": 10**10},
        {**COUNTED, "promptTokenCount": "18"},
        {**COUNTED, "thoughtsTokenCount": 1.5},
    ],
    ids=str,
)
def test_usage_that_cannot_be_right_is_refused_and_the_answer_is_not(usage):
    last = reply(candidate(text("a"), finish="STOP"), usage=usage)

    answer = GEMINI.read_answer(vendor_json(last))
    reader, (event_,) = read(last)

    assert answer.usage == event_.usage == reader.usage == Usage(refused=True)
    assert json.loads(answer.choices)[0]["message"]["content"] == "a"


WORDS = st.sampled_from(
    [
        *("candidates", "content", "parts", "text", "thought", "thoughtSignature", "functionCall"),
        *("name", "args", "id", "inlineData", "mimeType", "data", "finishReason", "index"),
        *("groundingMetadata", "citationMetadata", "logprobsResult", "promptFeedback"),
        *("blockReason", "usageMetadata", "promptTokenCount", "error", "STOP", "OTHER"),
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=25,
)


@given(value=VALUES, inside=VALUES)
def test_no_answer_is_too_odd_to_be_an_answer_or_a_fault(value, inside):
    odd = {"content": {"parts": [inside]}, "finishReason": "STOP"}
    for one in (value, inside, {"candidates": [inside]}, {"candidates": [odd]}):
        body = json.dumps(one).encode()
        with suppress(Fault):
            json.loads(GEMINI.read_answer(body).choices)
        reader = GEMINI.stream_reader()
        with suppress(Fault):
            reader.read("", body)
        assert reader.usage is None or reader.usage.total_tokens >= 0
