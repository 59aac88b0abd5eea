"""Whoever serves a model, its answers look the same: a customer who switches every day sees the
same members, of the same types, whole and streamed, and the same headers.

What a member holds that is null says nothing, except where OpenAI's schema requires the member.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from calls import chat, events_of, exact
from houses import MODELS, House
from vendors import FAKES, Vendor, native_vendor

ASKED = [{"role": "user", "content": "How warm is it in Rome?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
WAYS = {
    "OpenAI": ("openai/gpt-5.2", "native"),
    "OpenAI, Responses": ("openai/gpt-5.2-pro", "native"),
    "OpenRouter": ("openai/gpt-5.2", "openrouter"),
    "Anthropic": ("anthropic/claude-haiku-4.5", "native"),
    "Gemini": ("google/gemini-3-flash-preview", "native"),
    "xAI": ("x-ai/grok-3-mini-beta", "native"),
    "DashScope": ("qwen/qwen3-32b", "native"),
    "a server of one's own": ("openai/gpt-oss-120b", "native"),
    "the sandbox": ("sandbox/echo", "sandbox"),
}
"""A model and its way, for each dialect and each host that spells it in its own way."""

REQUIRED = {
    "whole": ("id", "object", "created", "model", "system_fingerprint", "choices", "usage"),
    "whole choice": ("index", "message", "logprobs", "finish_reason"),
    "message": ("role", "content", "refusal"),
    "chunk": ("id", "object", "created", "model", "system_fingerprint", "choices"),
    "chunk choice": ("index", "delta", "finish_reason"),
}
"""What is always there, null or not: OpenAI's schema of August 2026."""

EXTRAS = ("native_finish_reason", "reasoning_details", "extra_content")
"""What some vendors say beside it, to be sent back to them or read by who wants to: documented."""


class Seen(NamedTuple):
    """The members of an answer with their types, and the names of its headers."""

    members: frozenset[str]
    headers: frozenset[str]


# Asking ---------------------------------------------------------------------------------------


def hear(house: House, way: str, content: str, *, stream: bool) -> Any:
    """The same scripted content, said by one of them."""
    model_id, route = WAYS[way]
    fields: dict[str, Any] = {"messages": ASKED}
    if route == "sandbox":
        fields["messages"] = [{"role": "user", "content": "!tool" if content == "call" else "Hm"}]
    else:
        _script(house, model_id, route, content)
    if content == "call":
        fields["tools"] = [WEATHER]
    options = {"include_usage": True}
    said = chat(
        house.gateway,
        house.customer.key,
        model=model_id,
        max_tokens=300,
        stream=stream,
        stream_options=options,
        **fields,
    )
    assert said.status_code == 200, said.text
    return said


def _script(house: House, model_id: str, route: str, content: str) -> None:
    model = next(model for model in MODELS if model.id == model_id)
    vendor: Vendor = FAKES[0] if route == "openrouter" else native_vendor(model)
    fake = house.serve(model, vendor)
    fake.forget()
    fake.says(vendor.calls() if content == "call" else vendor.text("It is 21 degrees."))


# Looking --------------------------------------------------------------------------------------


def members(value: Any, at: str = "") -> Iterator[str]:
    """Each member that says something, by its path, with its type."""
    if isinstance(value, dict):
        for name, part in value.items():
            if part is not None and name not in EXTRAS:
                yield from members(part, f"{at}.{name}")
    elif isinstance(value, list):
        yield f"{at}: list"
        for part in value:
            yield from members(part, f"{at}[]")
    else:
        yield f"{at}: {type(value).__name__}"


def look_at_whole(house: House, way: str, content: str) -> Seen:
    said = hear(house, way, content, stream=False)
    answer = exact(said)
    _has(answer, "whole")
    for choice in answer["choices"]:
        _has(choice, "whole choice")
        _has(choice["message"], "message")
    return Seen(frozenset(members(answer)), _names(said))


def look_at_stream(house: House, way: str, content: str) -> Seen:
    said = hear(house, way, content, stream=True)
    *chunks, done = events_of(said.text)
    assert done == "[DONE]"
    for chunk in chunks:
        _has(chunk, "chunk")
        for choice in chunk["choices"]:
            _has(choice, "chunk choice")
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-1]["choices"] == []
    seen = frozenset(member for chunk in chunks for member in members(chunk))
    return Seen(seen, _names(said))


def _has(value: dict[str, Any], kind: str) -> None:
    missing = [name for name in REQUIRED[kind] if name not in value]
    assert not missing, f"a {kind} without {missing}"


def _names(said: Any) -> frozenset[str]:
    return frozenset(name.lower() for name in said.headers)


LOOK = {"whole": look_at_whole, "stream": look_at_stream}


@pytest.mark.parametrize("form", LOOK)
@pytest.mark.parametrize("content", ["text", "call"])
@pytest.mark.parametrize("way", [way for way in WAYS if way != "OpenAI"])
def test_an_answer_looks_the_same_whoever_gives_it(
    house: House, way: str, content: str, form: str
) -> None:
    usual = LOOK[form](house, "OpenAI", content)

    seen = LOOK[form](house, way, content)

    fingerprint = {".system_fingerprint: str"}  # of a vendor's own machine, where it tells one
    assert seen.members - fingerprint == usual.members - fingerprint
    assert seen.headers == usual.headers


@pytest.mark.parametrize("way", WAYS)
def test_usage_has_the_same_members_whole_and_streamed(house: House, way: str) -> None:
    whole = exact(hear(house, way, "text", stream=False))["usage"]
    streamed = events_of(hear(house, way, "text", stream=True).text)[-2]["usage"]

    assert sorted(members(whole)) == sorted(members(streamed))


# From one to another --------------------------------------------------------------------------

SWITCHED = [way for way in WAYS if WAYS[way][1] != "sandbox"]


@pytest.mark.parametrize("second", SWITCHED)
@pytest.mark.parametrize("first", SWITCHED)
def test_a_conversation_goes_on_with_another_model(house: House, first: str, second: str) -> None:
    said = exact(hear(house, first, "call", stream=False))["choices"][0]["message"]
    (call,) = said["tool_calls"]
    result = {"role": "tool", "tool_call_id": call["id"], "content": "21 degrees"}
    _script(house, *WAYS[second], "text")

    answer = chat(
        house.gateway,
        house.customer.key,
        model=WAYS[second][0],
        messages=[*ASKED, said, result],
        tools=[WEATHER],
        reasoning_effort="low",
    )

    assert answer.status_code == 200, answer.text
    assert exact(answer)["choices"][0]["message"]["content"] == "It is 21 degrees."
