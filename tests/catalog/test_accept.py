import msgspec
import pytest

from altyn.catalog.accept import Accepted, accept
from altyn.catalog.model import Model, ReasoningRule, builtin_models
from altyn.chat import ChatBody
from altyn.errors import InvalidParameterError, UnsupportedParameterError

HELLO = [{"role": "user", "content": "Hello"}]
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
JSON_SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}

EVERYTHING = Model(
    id="acme/anvil",
    name="Anvil",
    vendor="acme",
    context_length=131072,
    max_output_tokens=16384,
    input_modalities=("text", "image", "file", "audio"),
    supported_parameters=(
        "max_tokens",
        "temperature",
        "top_p",
        "stop",
        "seed",
        "n",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "structured_outputs",
        "reasoning",
        "reasoning_effort",
        "verbosity",
    ),
    image_tokens_max=1000,
)
PLAIN = Model(
    id="acme/nail",
    name="Nail",
    vendor="acme",
    context_length=131072,
    max_output_tokens=16384,
    supported_parameters=("max_tokens",),
)


def ask(model: Model = EVERYTHING, **fields: object) -> Accepted:
    whole = {"model": model.id, "messages": HELLO} | fields
    return accept(msgspec.convert(whole, ChatBody), whole, model)


def changed(model: Model, **fields: object) -> Model:
    return msgspec.structs.replace(model, **fields)


# Defaults and limits --------------------------------------------------------------------------


def test_the_promised_defaults_are_filled_in():
    accepted = ask()

    assert accepted.chat.fields == {"messages": HELLO, "temperature": 0.7, "max_tokens": 2048}
    assert accepted.chat.max_tokens == 2048
    assert accepted.ignored == ()


def test_a_chat_carries_its_model_its_messages_and_how_it_is_answered():
    chat = ask(stream=True, n=3).chat

    assert (chat.model, chat.stream, chat.n) == ("acme/anvil", True, 3)
    assert chat.messages[0].content == "Hello"


def test_what_the_caller_chose_is_kept():
    fields = ask(temperature=0, max_tokens=8192).chat.fields

    assert (fields["temperature"], fields["max_tokens"]) == (0, 8192)


def test_null_is_the_same_as_nothing():
    names = [name for name in ChatBody.__struct_fields__ if name not in ("model", "messages")]

    accepted = ask(unheard_of=None, **dict.fromkeys(names))

    assert accepted == ask()


@pytest.mark.parametrize("param", ["max_tokens", "max_completion_tokens"])
def test_more_output_than_the_cap_is_refused_by_the_name_that_was_used(param):
    with pytest.raises(InvalidParameterError) as refusal:
        ask(**{param: 8193})

    assert refusal.value.param == param
    assert refusal.value.facts == {"reason": "range", "low": 1, "high": 8192}


def test_an_operator_can_raise_the_cap():
    model = changed(EVERYTHING, max_tokens_cap=10_000)

    assert ask(model, max_tokens=10_000).chat.max_tokens == 10_000


def test_a_model_that_gives_less_than_is_asked_gives_what_it_has():
    model = changed(EVERYTHING, max_output_tokens=4096)

    accepted = ask(model, max_tokens=8192)

    assert accepted.chat.max_tokens == accepted.chat.fields["max_tokens"] == 4096
    assert accepted.ignored == ()


def test_the_default_stays_below_a_low_cap():
    assert ask(changed(EVERYTHING, max_tokens_cap=100)).chat.max_tokens == 100


@pytest.mark.parametrize("asked", [{}, {"max_tokens": 100}])
def test_max_completion_tokens_is_another_name_for_max_tokens(asked):
    accepted = ask(max_completion_tokens=100, **asked)

    assert accepted.chat.fields["max_tokens"] == 100
    assert "max_completion_tokens" not in accepted.chat.fields
    assert accepted.ignored == ()


def test_two_different_limits_are_refused():
    with pytest.raises(InvalidParameterError) as refusal:
        ask(max_tokens=100, max_completion_tokens=200)

    assert refusal.value.facts == {"reason": "both", "other": "max_completion_tokens"}


# What is dropped and named --------------------------------------------------------------------


def test_a_model_that_refuses_a_temperature_gets_none():
    accepted = ask(PLAIN)

    assert "temperature" not in accepted.chat.fields
    assert accepted.ignored == ()


def test_a_temperature_the_caller_set_in_vain_is_named():
    assert ask(PLAIN, temperature=1).ignored == ("temperature",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("top_p", 0.5),
        ("stop", ["end"]),
        ("seed", 7),
        ("presence_penalty", 1),
        ("frequency_penalty", -1),
        ("logit_bias", {"50256": -100}),
        ("logprobs", True),
        ("top_logprobs", 2),
        ("verbosity", "low"),
        ("reasoning_effort", "low"),
        ("reasoning", {"effort": "low"}),
    ],
)
def test_a_parameter_is_passed_on_or_dropped_and_named(name, value):
    taken = ask(EVERYTHING, **{name: value})
    dropped = ask(PLAIN, **{name: value})

    assert taken.chat.fields[name] == value
    assert taken.ignored == ()
    assert name not in dropped.chat.fields
    assert dropped.ignored == (name,)


def test_the_end_user_is_passed_on_to_every_model():
    assert ask(PLAIN, user="u-1").chat.fields["user"] == "u-1"


def test_metadata_and_unknown_fields_are_named_in_the_callers_order():
    accepted = ask(plugins=[], metadata={"a": "b"}, models=["other"], transforms=[])

    assert accepted.ignored == ("plugins", "metadata", "transforms")
    assert accepted.chat.fields.keys() == {"messages", "temperature", "max_tokens"}


def test_how_the_answer_is_sent_is_never_a_field():
    accepted = ask(stream=True, stream_options={"include_usage": True})

    assert accepted.chat.fields.keys() == {"messages", "temperature", "max_tokens"}
    assert accepted.ignored == ()


def test_temperature_and_top_p_are_not_sent_together_where_that_is_refused():
    model = changed(EVERYTHING, top_p_excludes_temperature=True)

    only_top_p = ask(model, top_p=0.9)
    both = ask(model, top_p=0.9, temperature=0.5)

    assert "temperature" not in only_top_p.chat.fields
    assert only_top_p.chat.fields["top_p"] == 0.9
    assert only_top_p.ignored == ()
    assert both.chat.fields["temperature"] == 0.5
    assert both.ignored == ("top_p",)


# What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": TOOLS}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"response_format": JSON_SCHEMA}, "response_format"),
        ({"n": 2}, "n"),
    ],
)
def test_what_would_change_the_meaning_of_the_answer_is_refused(fields, param):
    assert ask(EVERYTHING, **fields).chat.fields[param] == fields[param]

    with pytest.raises(UnsupportedParameterError) as refusal:
        ask(PLAIN, **fields)

    assert refusal.value.param == param
    assert refusal.value.facts == {"model": "acme/nail"}


@pytest.mark.parametrize("fields", [{"n": 1}, {"tools": []}, {"response_format": {"type": "text"}}])
def test_what_every_model_does_anyway_is_neither_refused_nor_sent(fields):
    accepted = ask(PLAIN, **fields)

    assert accepted.chat.fields.keys() == {"messages", "max_tokens"}
    assert accepted.ignored == ()


def test_a_model_with_json_but_without_schemas_refuses_a_schema():
    model = changed(EVERYTHING, supported_parameters=("max_tokens", "response_format"))

    assert "response_format" in ask(model, response_format={"type": "json_object"}).chat.fields
    with pytest.raises(UnsupportedParameterError):
        ask(model, response_format=JSON_SCHEMA)


@pytest.mark.parametrize(
    ("part", "field"),
    [
        ({"type": "image_url", "image_url": {"url": "https://a.test/b.png"}}, "image_url"),
        ({"type": "file", "file": {"file_data": "data:;base64,"}}, "file"),
        ({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}, "input_audio"),
    ],
)
def test_media_a_model_cannot_take_are_refused_by_their_place(part, field):
    messages = [*HELLO, {"role": "user", "content": [{"type": "text", "text": "This:"}, part]}]

    assert ask(EVERYTHING, messages=messages).chat.fields["messages"] is messages
    with pytest.raises(UnsupportedParameterError) as refusal:
        ask(PLAIN, messages=messages)

    assert refusal.value.param == f"messages[1].content[1].{field}"


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "image_url", "image_url": {"url": "http://10.0.0.5/x"}}, "image_url"),
        ({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}, "image_url"),
        ({"type": "file", "file": {"file_data": "http://localhost:6379/"}}, "file"),
        ({"type": "file", "file": {"file_id": "file-of-somebody"}}, "file.file_id"),
    ],
)
def test_what_is_the_operators_cannot_be_named(part, param):
    messages = [*HELLO, {"role": "user", "content": [part]}]

    with pytest.raises((InvalidParameterError, UnsupportedParameterError)) as refusal:
        ask(EVERYTHING, messages=messages)

    assert refusal.value.param == f"messages[1].content[0].{param}"


# Tools ----------------------------------------------------------------------------------------


def test_a_choice_of_tool_goes_with_its_tools():
    fields = ask(tools=TOOLS, tool_choice="required", parallel_tool_calls=False).chat.fields

    assert fields["tools"] is TOOLS
    assert fields["tool_choice"] == "required"
    assert fields["parallel_tool_calls"] is False


def test_a_choice_of_tool_without_tools_is_dropped_and_named():
    accepted = ask(tool_choice="auto", parallel_tool_calls=True)

    assert accepted.ignored == ("tool_choice", "parallel_tool_calls")


def test_a_choice_of_tool_that_the_model_cannot_make_is_refused():
    model = changed(EVERYTHING, supported_parameters=("max_tokens", "tools"))

    with pytest.raises(UnsupportedParameterError) as refusal:
        ask(model, tools=TOOLS, tool_choice="required")

    assert refusal.value.param == "tool_choice"


def test_parallel_calls_are_dropped_and_named_where_the_model_has_no_switch():
    model = changed(EVERYTHING, supported_parameters=("max_tokens", "tools"))

    accepted = ask(model, tools=TOOLS, parallel_tool_calls=False)

    assert accepted.ignored == ("parallel_tool_calls",)


def test_the_answer_of_a_tool_follows_its_call():
    messages = [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
        {"role": "assistant", "content": "It is sunny."},
    ]

    assert ask(messages=messages).chat.fields["messages"] is messages


@pytest.mark.parametrize(
    "messages",
    [
        [*HELLO, {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}],
        [
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_2", "content": "sunny"},
        ],
    ],
)
def test_the_answer_of_a_tool_nobody_called_is_refused_by_its_place(messages):
    with pytest.raises(InvalidParameterError) as refusal:
        ask(messages=messages)

    assert refusal.value.param == "messages[1].tool_call_id"
    assert refusal.value.facts == {"reason": "unpaired"}


# Reasoning ------------------------------------------------------------------------------------


def test_both_forms_of_effort_may_say_the_same():
    fields = ask(reasoning_effort="low", reasoning={"effort": "low", "exclude": True}).chat.fields

    assert fields["reasoning"] == {"effort": "low", "exclude": True}
    assert "reasoning_effort" not in fields


def test_a_short_effort_joins_the_long_form():
    fields = ask(reasoning={"exclude": True, "effort": None}, reasoning_effort="low").chat.fields

    assert fields["reasoning"] == {"exclude": True, "effort": "low"}
    assert "reasoning_effort" not in fields


def test_two_different_efforts_are_refused():
    with pytest.raises(InvalidParameterError) as refusal:
        ask(reasoning_effort="low", reasoning={"effort": "high"})

    assert refusal.value.param == "reasoning_effort"
    assert refusal.value.facts == {"reason": "both", "other": "reasoning.effort"}


def test_both_forms_are_named_where_the_model_takes_neither():
    accepted = ask(PLAIN, reasoning_effort="low", reasoning={"exclude": True})

    assert accepted.ignored == ("reasoning", "reasoning_effort")


def test_an_effort_the_model_does_not_know_is_dropped_and_named():
    model = changed(EVERYTHING, reasoning=ReasoningRule(supported=True, efforts=("low", "high")))

    short = ask(model, reasoning_effort="minimal")
    long = ask(model, reasoning={"effort": "minimal", "exclude": True})
    alone = ask(model, reasoning={"effort": "minimal"})

    assert "reasoning_effort" not in short.chat.fields
    assert short.ignored == ("reasoning_effort",)
    assert long.chat.fields["reasoning"] == {"exclude": True}
    assert long.ignored == ("reasoning.effort",)
    assert "reasoning" not in alone.chat.fields


def test_reasoning_that_cannot_be_switched_off_stays_on_and_says_so():
    always = changed(EVERYTHING, reasoning=ReasoningRule(supported=True, mandatory=True))

    accepted = ask(always, reasoning={"enabled": False})

    assert "reasoning" not in accepted.chat.fields
    assert accepted.ignored == ("reasoning.enabled",)
    assert ask(reasoning={"enabled": False}).chat.fields["reasoning"] == {"enabled": False}


# What excludes reasoning ----------------------------------------------------------------------

BUDGETED = changed(EVERYTHING, reasoning=ReasoningRule(supported=True, budget_min=1024))


@pytest.mark.parametrize("wish", [{"reasoning_effort": "low"}, {"reasoning": {"max_tokens": 2000}}])
def test_reasoning_within_a_budget_goes_before_sampling(wish):
    accepted = ask(BUDGETED, **wish, temperature=0.5, top_p=0.5)

    assert accepted.ignored == ("temperature", "top_p")
    assert accepted.chat.fields.keys() == {"messages", "max_tokens", *wish}


def test_a_temperature_nobody_asked_for_is_not_named_as_ignored():
    accepted = ask(BUDGETED, reasoning_effort="low")

    assert accepted.ignored == ()
    assert "temperature" not in accepted.chat.fields


@pytest.mark.parametrize(
    "fields",
    [
        {"max_tokens": 1024},
        {"tools": TOOLS, "tool_choice": "required"},
        {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "weather"}}},
    ],
)
@pytest.mark.parametrize("wish", [{"reasoning_effort": "low"}, {"reasoning": {"enabled": True}}])
def test_a_forced_tool_and_too_small_a_limit_go_before_reasoning(fields, wish):
    accepted = ask(BUDGETED, **wish, **fields, temperature=0.5)

    assert accepted.ignored == tuple(wish)
    assert accepted.chat.fields["temperature"] == 0.5


@pytest.mark.parametrize(
    "wish", [{"reasoning_effort": "none"}, {"reasoning": {"enabled": False}}, {}]
)
def test_without_reasoning_nothing_is_excluded(wish):
    accepted = ask(BUDGETED, **wish, max_tokens=10, temperature=0.5, top_p=0.5)

    assert accepted.ignored == ()
    assert accepted.chat.fields["temperature"] == 0.5


def test_a_free_choice_of_tools_leaves_room_to_reason():
    accepted = ask(BUDGETED, reasoning_effort="low", tools=TOOLS, tool_choice="auto")

    assert accepted.chat.fields["reasoning_effort"] == "low"


def test_a_temperature_beyond_the_models_is_brought_down_and_named():
    model = changed(EVERYTHING, temperature_max=1.0)

    accepted = ask(model, temperature=1.5)

    assert accepted.chat.fields["temperature"] == 1.0
    assert accepted.ignored == ("temperature",)


def test_claude_takes_temperatures_up_to_one_and_reasons_within_a_budget():
    claude = {m.id: m for m in builtin_models() if m.vendor == "anthropic"}

    assert {model.temperature_max for model in claude.values()} == {1.0}
    budgets = {name: model.reasoning.budget_min for name, model in claude.items()}
    assert budgets == {**dict.fromkeys(claude, 1024), "anthropic/claude-3.5-sonnet": None}


# What may be on the bill ----------------------------------------------------------------------

CACHED_PART = {"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}
CALL_OF_A_TOOL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}
ON_REQUEST = changed(EVERYTHING, cache_writes_on_request=True)


@pytest.mark.parametrize(
    ("fields", "writes"),
    [
        ({}, False),
        ({"messages": [{"role": "user", "content": [CACHED_PART]}]}, True),
        ({"messages": [HELLO[0] | {"cache_control": {"type": "ephemeral"}}]}, True),
        ({"tools": TOOLS}, False),
        ({"tools": [TOOLS[0] | {"cache_control": {"type": "ephemeral"}}]}, True),
        ({"messages": [{"role": "user", "content": "cache_control"}]}, False),
        ({"messages": [*HELLO, {"role": "assistant", "tool_calls": [CALL_OF_A_TOOL]}]}, False),
    ],
)
def test_a_cache_is_written_only_when_it_is_asked_for_where_the_vendor_says_so(fields, writes):
    assert ask(ON_REQUEST, **fields).cache_writes is writes


def test_a_provider_may_write_its_cache_unasked_everywhere_else():
    assert ask().cache_writes


def test_a_hidden_word_is_found_in_the_decoded_body():
    raw = b'[{"role":"user","content":[{"type":"text","text":"a","cache_\\u0063ontrol":{}}]}]'

    assert ask(ON_REQUEST, messages=msgspec.json.decode(raw)).cache_writes


@pytest.mark.parametrize(
    ("part", "audio"),
    [
        ({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}, True),
        ({"type": "file", "file": {"file_data": "data:video/mp4;base64,"}}, True),
        ({"type": "image_url", "image_url": {"url": "https://a.test/b.png"}}, False),
    ],
)
def test_sound_may_come_as_audio_or_in_a_file(part, audio):
    assert ask(messages=[{"role": "user", "content": [part]}]).audio is audio
