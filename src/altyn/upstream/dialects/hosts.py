"""What each vendor of OpenAI's family wants said differently: a table, and how it is applied.

Every row is a refusal or a silent loss seen at that vendor. A host that is not in the table
(vLLM, llama.cpp, Ollama, anybody's server) gets the plain form, which all of them take.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from msgspec import Struct

from altyn.upstream.dialects.responses_request import is_own

Fields = dict[str, Any]
Message = dict[str, Any]
Thinking = Callable[[Fields, Fields, str | None, bool], None]


def _as_effort(body: Fields, _reasoning: Fields, effort: str | None, _stream: bool) -> None:  # noqa: FBT001 -- one signature for the table
    """`reasoning_effort`, OpenAI's word. A budget in tokens has no place there and is dropped."""
    if effort is not None:
        body["reasoning_effort"] = effort


def _as_object(body: Fields, reasoning: Fields, effort: str | None, _stream: bool) -> None:  # noqa: FBT001
    """OpenRouter takes the caller's `reasoning` as it is."""
    if reasoning:
        body["reasoning"] = reasoning
    elif effort is not None:
        body["reasoning_effort"] = effort


def _as_thinking(body: Fields, reasoning: Fields, effort: str | None, _stream: bool) -> None:  # noqa: FBT001
    """DeepSeek: on or off."""
    wanted = _wants_thinking(reasoning, effort)
    if wanted is not None:
        body["thinking"] = {"type": "enabled" if wanted else "disabled"}


def _as_enable_thinking(body: Fields, reasoning: Fields, effort: str | None, stream: bool) -> None:  # noqa: FBT001
    """DashScope: open Qwen3 models think unless told not to, and then refuse a call that does not
    stream with 400 "parameter.enable_thinking must be set to false for non-streaming calls".
    """
    if not stream:
        body["enable_thinking"] = False
        return
    wanted = _wants_thinking(reasoning, effort)
    if wanted is not None:
        body["enable_thinking"] = wanted
    if wanted and reasoning.get("max_tokens"):
        body["thinking_budget"] = reasoning["max_tokens"]


def _wants_thinking(reasoning: Fields, effort: str | None) -> bool | None:
    if effort is not None:
        return effort != "none"
    if reasoning.get("max_tokens"):
        return True
    enabled: bool | None = reasoning.get("enabled")
    return enabled


class Host(Struct, frozen=True, kw_only=True):
    """One vendor's way of taking a chat."""

    limit: str = "max_tokens"
    """The name of the limit on output tokens."""

    thinking: Thinking = _as_effort
    """How the wish for reasoning is said."""

    earlier_reasoning: str | None = None
    """The member of an assistant message in which its reasoning goes back; None: not at all."""

    developer_role: bool = False
    """Knows the role `developer`; to others it is `system`."""

    drops: frozenset[str] = frozenset()
    message_drops: frozenset[str] = frozenset()
    strict_tools: bool = True

    call_extras: bool = False
    """Reads what Google signs its calls of tools with; to strict hosts it is an unknown member."""

    null_content: bool = True


PLAIN = Host()

HOSTS: dict[str, Host] = {
    "api.openai.com": Host(
        # o-series and gpt-5 refuse max_tokens; every model there takes the newer name.
        limit="max_completion_tokens",
        developer_role=True,
        drops=frozenset({"metadata"}),  # refused unless the vendor is asked to store the chat
    ),
    "openrouter.ai": Host(
        thinking=_as_object, earlier_reasoning="reasoning_details", developer_role=True
    ),
    # Its reasoning models refuse a tool's `strict` and a message's `name`.
    "api.x.ai": Host(message_drops=frozenset({"name"}), strict_tools=False),
    # In thinking mode with tools it refuses a history without the reasoning.
    "api.deepseek.com": Host(thinking=_as_thinking, earlier_reasoning="reasoning_content"),
    "api.groq.com": Host(earlier_reasoning="reasoning", null_content=False),
    "googleapis.com": Host(call_extras=True),
    "aliyuncs.com": Host(thinking=_as_enable_thinking),
}
"""By host name; a name also stands for everything below it (`dashscope-intl.aliyuncs.com`)."""


@lru_cache(maxsize=256)
def find_host(name: str) -> Host:
    """The row for a host name, or the plain one."""
    name = name.lower()
    while name:
        if name in HOSTS:
            return HOSTS[name]
        name = name.partition(".")[2]
    return PLAIN


_ELSEWHERE = frozenset(
    {"messages", "max_tokens", "max_completion_tokens", "reasoning", "reasoning_effort", "tools"}
)


def write_fields(fields: Fields, *, host: Host, max_tokens: int, stream: bool) -> Fields:
    """The body's members except `model` and `stream`, as this host takes them.

    Members that are null are left out: to some hosts null is a wrong type.
    """
    body: Fields = {"messages": [write_message(message, host) for message in fields["messages"]]}
    for name, value in fields.items():
        if value is not None and name not in _ELSEWHERE and name not in host.drops:
            body[name] = value
    body[host.limit] = max_tokens
    if fields.get("tools"):
        body["tools"] = _write_tools(fields["tools"], host)
    reasoning = fields.get("reasoning") or {}
    effort = fields.get("reasoning_effort") or reasoning.get("effort")
    host.thinking(body, reasoning, effort, stream)
    return body


def _write_tools(tools: list[Fields], host: Host) -> list[Fields]:
    if host.strict_tools:
        return tools
    return [
        {**tool, "function": {k: v for k, v in tool["function"].items() if k != "strict"}}
        for tool in tools
    ]


_SIMPLE = frozenset({"role", "content"})
_REASONING = frozenset({"reasoning", "reasoning_content", "reasoning_details"})


def write_message(message: Message, host: Host) -> Message:
    """One message as this host takes it; the very same object if nothing has to change."""
    developer = message["role"] == "developer" and not host.developer_role
    if not developer and message.keys() <= _SIMPLE:
        return message
    said = {
        name: value
        for name, value in message.items()
        if name not in _REASONING
        and name not in host.message_drops
        and (value is not None or (name == "content" and host.null_content))
    }
    if developer:
        said["role"] = "system"
    if said.get("tool_calls") and not host.call_extras:
        said["tool_calls"] = [_without_extras(call) for call in said["tool_calls"]]
    if not _REASONING.isdisjoint(message):
        said.update(_earlier_reasoning(message, host))
    return said


def _without_extras(call: Fields) -> Fields:
    """A call that a Gemini model made, for a vendor that knows nothing of Google."""
    return {name: value for name, value in call.items() if name != "extra_content"}


def _earlier_reasoning(message: Message, host: Host) -> Message:
    """The reasoning of an earlier turn, under the name this host reads it by.

    OpenRouter wants its details back unchanged: they hold signatures. It can do nothing with those
    that OpenAI gave to us, and would refuse the call.
    """
    details: list[Fields] = message.get("reasoning_details") or []
    if host.earlier_reasoning is None:
        return {}
    if host.earlier_reasoning == "reasoning_details" and details:
        return {} if is_own(details) else {"reasoning_details": details}
    told = "".join(detail.get("text") or "" for detail in details)
    text = message.get("reasoning_content") or message.get("reasoning") or told
    name = host.earlier_reasoning.replace("reasoning_details", "reasoning")
    return {name: text} if text else {}
