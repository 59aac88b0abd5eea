import json
import unicodedata

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from altyn.chat import Chat, Message
from altyn.upstream.count import CountRules, estimated_tokens, input_bound, output_bound

RULES = CountRules(
    prompt_tokens_max=100_000, image_tokens_max=1_000, template_tokens=0, tools_tokens=300
)


def bound(*messages: dict[str, object], rules: CountRules = RULES, **fields: object) -> int:
    typed = msgspec.convert(list(messages), list[Message])
    fields |= {"messages": list(messages)}
    return input_bound(Chat(model="a/b", messages=typed, fields=fields, max_tokens=1), rules)


def user(content: object) -> dict[str, object]:
    return {"role": "user", "content": content}


def framed(tokens: int) -> int:
    return tokens + 8


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("Hello", 5),
        ("Привет", 12),
        ("你好", 6),
        ("😀", 4),
        ("\ufdfa", 33),  # NFKC makes one ligature eighteen letters
        ("\u0958", 6),  # NFC takes it apart
        ("\uff21" * 8 + "\U0001d160", 36),  # NFKC shortens what NFC leaves, both lengthen the note
    ],
)
def test_a_text_is_bounded_by_its_longest_form_in_bytes(text, tokens):
    assert bound(user(text)) == framed(tokens)


@given(st.text(max_size=50))
def test_no_form_of_a_text_has_more_bytes_than_the_bound(text):
    forms = [text, *(unicodedata.normalize(form, text) for form in ("NFC", "NFKC"))]

    assert bound(user(text)) >= framed(max(len(form.encode()) for form in forms))


def test_each_message_and_the_template_have_their_own_tokens():
    rules = msgspec.structs.replace(RULES, template_tokens=128)

    tokens = bound({"role": "system", "content": "Be brief."}, user("Hello"), rules=rules)

    assert tokens == 128 + framed(9) + framed(5)


def test_the_parts_of_a_message_are_counted_each():
    parts = [{"type": "text", "text": "Привет"}, {"type": "text", "text": "a"}]

    assert bound(user(parts)) == framed(framed(12) + framed(1))


def test_an_image_is_counted_as_an_image_and_not_as_its_base64():
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 50_000}}

    assert bound(user([image])) == framed(framed(1_000))


@pytest.mark.parametrize(
    "part",
    [
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    ],
)
def test_what_has_no_known_length_is_as_long_as_a_prompt_can_be(part):
    assert bound(user([part])) == 100_000


def test_no_prompt_is_longer_than_a_host_takes():
    assert bound(user("a" * 200_000)) == 100_000


def test_a_refusal_that_is_sent_back_is_counted():
    part = {"type": "refusal", "refusal": "No."}

    assert bound({"role": "assistant", "content": [part]}) == framed(framed(3))


def test_a_name_is_counted():
    assert bound(user("Hello") | {"name": "Anna"}) > bound(user("Hello")) + 4


def test_calls_of_tools_and_their_results_are_counted():
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "x" * 100}}
    assistant = {"role": "assistant", "content": None, "tool_calls": [call, call]}
    result = {"role": "tool", "tool_call_id": "c1", "content": "y" * 50}

    tokens = bound(assistant, result)

    assert tokens >= 2 * (16 + 100) + 50 + 8 + 8


def test_calls_of_tools_may_stand_without_a_content():
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "x" * 100}}

    without = bound({"role": "assistant", "tool_calls": [call]})

    assert without == bound({"role": "assistant", "content": None, "tool_calls": [call]})


def test_the_result_of_a_tool_may_be_escaped():
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}
    assistant = {"role": "assistant", "content": None, "tool_calls": [call]}

    quotes = bound(assistant, {"role": "tool", "tool_call_id": "c", "content": '"' * 50})
    letters = bound(assistant, {"role": "tool", "tool_call_id": "c", "content": "a" * 50})

    assert quotes == letters + 50


def test_reasoning_that_is_sent_back_is_counted():
    message = {
        "role": "assistant",
        "content": "a",
        "reasoning": "b" * 100,
        "reasoning_details": [{"type": "reasoning.encrypted", "data": "c" * 1_000}],
    }

    assert bound(message) >= 1_100


def test_what_no_type_knows_is_counted_too():
    assert bound(user("Hello") | {"unheard_of": "x" * 500}) >= 500


def test_nothing_said_is_nothing_counted():
    message = {"role": "assistant", "content": None, "name": None}

    assert bound(message) == framed(0)


TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Погода в городе",
        "parameters": {
            "type": "object",
            "properties": {"units": {"enum": [1, 2, 3, [], {}]}, "город": {"type": "string"}},
        },
    },
}


def test_tools_are_counted_with_what_a_host_says_about_them():
    tokens = bound(user("a"), tools=[TOOL])

    assert tokens >= framed(1) + 300 + 16 + len(msgspec.json.encode([TOOL]))


@pytest.mark.parametrize("options", [{}, {"indent": 0}, {"ensure_ascii": False}])
def test_tools_are_counted_however_a_template_writes_them(options):
    written = json.dumps([TOOL], **options)

    assert bound(user("a"), tools=[TOOL]) - framed(1) - 300 >= len(written.encode())


def test_a_schema_of_the_answer_is_counted():
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}

    tokens = bound(user("a"), response_format=form)

    assert tokens >= framed(1) + 300 + 64 + len(msgspec.json.encode(form))


def test_an_answer_may_pass_its_limit_a_little():
    assert output_bound(10) >= 11
    assert output_bound(1) >= 16


@pytest.mark.parametrize(
    ("delivered_bytes", "tokens"), [(0, 0), (1, 1), (7, 1), (16, 2), (17, 2), (8_000, 1_000)]
)
def test_an_estimate_is_rather_too_low(delivered_bytes, tokens):
    assert estimated_tokens(delivered_bytes) == tokens
