import pytest

from altyn.upstream.dialects.hosts import PLAIN, find_host, write_fields, write_message

USER = {"role": "user", "content": "hi"}
PLAIN_HOST = "llm.example"
OPENAI = "api.openai.com"
OPENROUTER = "openrouter.ai"
XAI = "api.x.ai"
DEEPSEEK = "api.deepseek.com"
GROQ = "api.groq.com"
DASHSCOPE = "dashscope-intl.aliyuncs.com"
DETAILS = [{"type": "reasoning.text", "text": "Hm", "signature": "AAAA", "index": 0}]


def written(host, *, stream=True, max_tokens=100, **fields):
    return write_fields(
        {"messages": [USER], **fields},
        host=find_host(host),
        max_tokens=max_tokens,
        stream=stream,
    )


def message(host, **said):
    return write_message({"role": "assistant", "content": "x", **said}, find_host(host))


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (OPENAI, "max_completion_tokens"),
        (OPENROUTER, "max_tokens"),
        (GROQ, "max_tokens"),
        (PLAIN_HOST, "max_tokens"),
        ("127.0.0.1", "max_tokens"),
        ("API.OpenAI.com", "max_completion_tokens"),
        ("api.openai.com.evil.example", "max_tokens"),
    ],
)
def test_the_limit_has_the_name_its_host_knows(host, name):
    body = written(host, max_tokens=7, max_completion_tokens=9)

    assert body[name] == 7
    assert {"max_tokens", "max_completion_tokens"} & body.keys() == {name}


def test_what_is_below_a_known_name_is_that_host():
    assert find_host("dashscope-us.aliyuncs.com") is find_host(DASHSCOPE)
    assert find_host("aliyuncs.com.example") is PLAIN


@pytest.mark.parametrize(
    ("host", "asked", "said"),
    [
        (PLAIN_HOST, {"reasoning": {"effort": "high"}}, {"reasoning_effort": "high"}),
        (PLAIN_HOST, {"reasoning_effort": "low"}, {"reasoning_effort": "low"}),
        (PLAIN_HOST, {"reasoning": {"max_tokens": 99, "exclude": True, "enabled": True}}, {}),
        (PLAIN_HOST, {}, {}),
        (OPENROUTER, {"reasoning": {"max_tokens": 9}}, {"reasoning": {"max_tokens": 9}}),
        (OPENROUTER, {"reasoning_effort": "low"}, {"reasoning_effort": "low"}),
        (DEEPSEEK, {"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        (DEEPSEEK, {"reasoning": {"effort": "high"}}, {"thinking": {"type": "enabled"}}),
        (DEEPSEEK, {"reasoning": {"enabled": False}}, {"thinking": {"type": "disabled"}}),
        (DEEPSEEK, {}, {}),
        (
            DASHSCOPE,
            {"reasoning": {"max_tokens": 512}},
            {"enable_thinking": True, "thinking_budget": 512},
        ),
        (DASHSCOPE, {"reasoning_effort": "none"}, {"enable_thinking": False}),
        (DASHSCOPE, {}, {}),
    ],
)
def test_the_wish_for_reasoning_is_said_as_the_host_reads_it(host, asked, said):
    body = written(host, **asked)

    del body["messages"], body["max_tokens"]
    assert body == said


def test_dashscope_does_not_think_in_a_call_that_does_not_stream():
    body = written(DASHSCOPE, stream=False, reasoning_effort="high")

    assert body["enable_thinking"] is False


def test_members_that_are_null_are_left_out():
    assert "stop" not in written(PLAIN_HOST, stop=None)


def test_members_the_model_takes_are_passed_on():
    body = written(PLAIN_HOST, temperature=0.5, stop=["x"], n=2, top_k=40)

    assert (body["temperature"], body["stop"], body["n"], body["top_k"]) == (0.5, ["x"], 2, 40)


def test_metadata_stays_here_where_the_vendor_would_refuse_it():
    assert "metadata" not in written(OPENAI, metadata={"a": "b"})
    assert written(OPENROUTER, metadata={"a": "b"})["metadata"] == {"a": "b"}


def test_xai_gets_tools_without_strict_and_messages_without_names():
    tool = {"type": "function", "function": {"name": "f", "strict": True, "parameters": {}}}

    body = written(XAI, tools=[tool])

    assert body["tools"] == [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    assert message(XAI, name="Bob") == {"role": "assistant", "content": "x"}


def test_other_hosts_get_tools_and_names_as_they_are():
    tool = {"type": "function", "function": {"name": "f", "strict": True}}

    assert written(OPENAI, tools=[tool])["tools"] == [tool]
    assert message(OPENAI, name="Bob")["name"] == "Bob"


@pytest.mark.parametrize(
    ("host", "role"), [(OPENAI, "developer"), (OPENROUTER, "developer"), (GROQ, "system")]
)
def test_a_developer_message_is_a_system_message_where_developers_are_unknown(host, role):
    sent = write_message({"role": "developer", "content": "be kind"}, find_host(host))

    assert sent == {"role": role, "content": "be kind"}


@pytest.mark.parametrize(
    ("host", "said"),
    [
        (OPENAI, {}),
        (PLAIN_HOST, {}),
        (OPENROUTER, {"reasoning_details": DETAILS}),
        (DEEPSEEK, {"reasoning_content": "Hm"}),
        (GROQ, {"reasoning": "Hm"}),
    ],
)
def test_earlier_reasoning_goes_back_under_the_hosts_own_name(host, said):
    sent = message(host, reasoning="Hm", reasoning_details=DETAILS)

    assert sent == {"role": "assistant", "content": "x", **said}


def test_earlier_reasoning_is_found_in_its_details_alone():
    assert message(DEEPSEEK, reasoning_details=DETAILS)["reasoning_content"] == "Hm"


def test_earlier_reasoning_without_details_goes_to_openrouter_as_text():
    assert message(OPENROUTER, reasoning="Hm")["reasoning"] == "Hm"


@pytest.mark.parametrize(("host", "kept"), [(OPENAI, True), (GROQ, False)])
def test_the_null_content_beside_tool_calls_is_kept_where_null_is_allowed(host, kept):
    sent = message(host, content=None, tool_calls=[{"id": "c"}], refusal=None)

    assert ("content" in sent) is kept
    assert "refusal" not in sent
    assert sent["tool_calls"] == [{"id": "c"}]


def test_a_simple_message_is_not_copied():
    assert write_message(USER, PLAIN) is USER


@pytest.mark.parametrize(
    ("host", "passed_on"),
    [
        (OPENAI, False),
        (GROQ, False),
        (PLAIN_HOST, False),
        ("generativelanguage.googleapis.com", True),
    ],
)
def test_googles_signature_on_a_call_goes_to_google_alone(host, passed_on):
    call = {"id": "a", "type": "function", "function": {"name": "clock", "arguments": "{}"}}
    signed = {**call, "extra_content": {"google": {"thought_signature": "AAAA"}}}

    said = message(host, tool_calls=[call, signed])

    assert said["tool_calls"] == [call, signed if passed_on else call]
