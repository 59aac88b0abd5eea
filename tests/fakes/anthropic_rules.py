"""What the Messages API refuses with 400, and in which words. Source: recorded refusals."""

import re
from collections.abc import Callable, Iterator
from typing import Any

Body = dict[str, Any]
Block = dict[str, Any]

MEMBERS = frozenset(
    {
        "model",
        "messages",
        "max_tokens",
        "system",
        "metadata",
        "stop_sequences",
        "stream",
        "temperature",
        "top_p",
        "top_k",
        "tools",
        "tool_choice",
        "thinking",
        "output_config",
        "service_tier",
        "cache_control",
    }
)
REQUIRED = ("model", "max_tokens", "messages")
ONE_SAMPLER = re.compile(r"claude-(?:opus-4-1|\w+-4-5)")
BUDGET_MIN = 1024
BREAKPOINTS_MAX = 4
CALL_ID = re.compile(r"[a-zA-Z0-9_-]+")
IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
THINKING = ("thinking", "redacted_thinking")
STRICT_VERSION = "2026-10-21"


def objection(asked: Body, *, version: str, signatures: dict[str, str]) -> str | None:
    """The first thing that is wrong with a request; None if it is taken.

    `signatures` that were given out, with the thinking they were given for.
    """
    for rule in RULES:
        for message in rule(asked):
            return message
    for message in (*_version(asked, version), *_signatures(asked, signatures)):
        return message
    return None


def blocks_of(message: Body) -> list[Block]:
    content = message.get("content")
    return [{"type": "text", "text": content}] if isinstance(content, str) else content or []


# The members of the body ----------------------------------------------------------------------


def _members(asked: Body) -> Iterator[str]:
    for name in REQUIRED:
        if name not in asked:
            yield f"{name}: Field required"
    for name in asked.keys() - MEMBERS:
        yield f"{name}: Extra inputs are not permitted"
    if not isinstance(asked["max_tokens"], int) or asked["max_tokens"] < 1:
        yield "max_tokens: Input should be greater than or equal to 1"
    if not asked["messages"]:
        yield "messages: at least one message is required"
    if "@" in str((asked.get("metadata") or {}).get("user_id", "")):
        yield "metadata.user_id: user_id appears to contain an email address"
    for text in asked.get("stop_sequences") or ():
        if not text.strip():
            yield "stop_sequences: each stop sequence must contain non-whitespace"


def _sampling(asked: Body) -> Iterator[str]:
    temperature, top_p = asked.get("temperature"), asked.get("top_p")
    if temperature is not None and not 0 <= temperature <= 1:
        yield "temperature: range: 0..1"
    if None not in (temperature, top_p) and ONE_SAMPLER.match(asked["model"]):
        yield (
            "`temperature` and `top_p` cannot both be specified for this model."
            " Please use only one."
        )
    if asked.get("thinking", {}).get("type") in ("enabled", "adaptive"):
        if temperature not in (None, 1):
            yield "`temperature` may only be set to 1 when thinking is enabled."
        if top_p is not None and top_p < 0.95:
            yield "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled."


def _thinking(asked: Body) -> Iterator[str]:
    thinking = asked.get("thinking") or {}
    if thinking.get("type") not in ("enabled", "adaptive"):
        return
    budget = thinking.get("budget_tokens", BUDGET_MIN)
    if budget < BUDGET_MIN:
        yield (
            f"thinking.enabled.budget_tokens: Input should be greater than or equal to {BUDGET_MIN}"
        )
    if budget >= asked["max_tokens"]:
        yield "`max_tokens` must be greater than `thinking.budget_tokens`."
    if asked.get("tool_choice", {}).get("type") in ("any", "tool"):
        yield "Thinking may not be enabled when tool_choice forces tool use."
    yield from _loop_without_thinking(asked["messages"])


def _loop_without_thinking(messages: list[Body]) -> Iterator[str]:
    """The turn that goes on has to begin with thinking."""
    first: tuple[int, Body] | None = None
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if message["role"] == "assistant":
            first = index, message
        elif not any(block["type"] == "tool_result" for block in blocks_of(message)):
            break
    if first is None:
        return
    found = blocks_of(first[1])[0]["type"]
    if found not in THINKING:
        yield (
            f"messages.{first[0]}.content.0.type: Expected `thinking` or `redacted_thinking`, but"
            f" found `{found}`. When `thinking` is enabled, a final `assistant` message must start"
            " with a thinking block (preceeding the lastmost set of `tool_use` and `tool_result`"
            " blocks)."
        )


def _tools(asked: Body) -> Iterator[str]:
    names = set()
    for index, tool in enumerate(asked.get("tools") or ()):
        if "input_schema" not in tool:
            yield f"tools.{index}.custom.input_schema: Field required"
        if tool["input_schema"].get("type") != "object":
            yield f"tools.{index}.custom.input_schema.type: Input should be 'object'"
        if tool["name"] in names:
            yield "tools: Tool names must be unique."
        names.add(tool["name"])
    choice = asked.get("tool_choice")
    if choice is not None and not names:
        yield "tool_choice: `tool_choice` may only be specified while providing `tools`."
    if choice is not None and choice["type"] == "tool" and choice["name"] not in names:
        yield f"tool_choice.name: Tool '{choice['name']}' not found in provided tools"


def _schema(asked: Body) -> Iterator[str]:
    form = (asked.get("output_config") or {}).get("format")
    if form is not None:
        for schema in _objects(form["schema"]):
            if schema.get("additionalProperties") is not False:
                yield (
                    "output_config.format.schema: For 'object' type, 'additionalProperties' must"
                    " be explicitly set to false"
                )


def _objects(schema: Any) -> Iterator[Body]:
    if isinstance(schema, list):
        for part in schema:
            yield from _objects(part)
    elif isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for part in schema.values():
            yield from _objects(part)


# The messages ---------------------------------------------------------------------------------


def _turns(asked: Body) -> Iterator[str]:
    messages = asked["messages"]
    for index, message in enumerate(messages):
        if message.get("role") not in ("user", "assistant"):
            yield f"messages.{index}.role: Input should be 'user' or 'assistant'"
    if messages[0]["role"] != "user":
        yield 'messages: first message must use the "user" role'
    last = blocks_of(messages[-1])
    if messages[-1]["role"] == "assistant" and last and last[-1]["type"] == "text":
        text = last[-1]["text"]
        if text != text.rstrip():
            yield "messages: final assistant content cannot end with trailing whitespace"


def _blocks(asked: Body) -> Iterator[str]:
    system = asked.get("system") or []
    for block in [{"type": "text", "text": system}] if isinstance(system, str) else system:
        if not block["text"].strip():
            yield "system: text content blocks must contain non-whitespace text"
    for index, message in enumerate(asked["messages"]):
        for number, block in enumerate(blocks_of(message)):
            for said in _block(block):
                where = f"messages.{index}.content.{number}."
                yield said if said.startswith("messages:") else where + said
    if str(asked).count("'cache_control'") > BREAKPOINTS_MAX:
        yield f"A maximum of {BREAKPOINTS_MAX} blocks with cache_control may be provided."


MEDIA = {"image": IMAGES, "document": ("application/pdf",)}
KINDS = frozenset({"text", "tool_use", "tool_result", *MEDIA, *THINKING})


def _block(block: Block) -> Iterator[str]:
    kind = block.get("type")
    if kind not in KINDS:
        yield f"type: Input tag '{kind}' found using 'type' does not match any of the expected tags"
    if kind == "text" and not block["text"].strip():
        yield "messages: text content blocks must contain non-whitespace text"
    if kind in MEDIA and block["source"]["type"] == "base64":
        known = MEDIA[kind]
        if block["source"]["media_type"] not in known:
            yield f"{kind}.source.base64.media_type: Input should be {' or '.join(known)}"
    if kind == "tool_use" and not CALL_ID.fullmatch(block["id"]):
        yield "tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
    if kind == "tool_use" and not isinstance(block["input"], dict):
        yield "tool_use.input: Input should be a valid dictionary"


def _results(asked: Body) -> Iterator[str]:
    called: list[str] = []
    for index, message in enumerate(asked["messages"]):
        blocks = blocks_of(message)
        results = [block for block in blocks if block["type"] == "tool_result"]
        for number, block in enumerate(results):
            if block["tool_use_id"] not in called:
                yield (
                    f"messages.{index}.content.{number}: unexpected `tool_use_id` found in"
                    f" `tool_result` blocks: {block['tool_use_id']}. Each `tool_result` block must"
                    " have a corresponding `tool_use` block in the previous message."
                )
        answered = {block["tool_use_id"] for block in results}
        missing = [number for number in called if number not in answered]
        if missing or (results and blocks[0]["type"] != "tool_result"):
            yield (
                f"messages.{index - 1}: `tool_use` ids were found without `tool_result` blocks"
                f" immediately after: {', '.join(missing or called)}. Each `tool_use` block must"
                " have a corresponding `tool_result` block in the next message."
            )
        called = [block["id"] for block in blocks if block["type"] == "tool_use"]


def _version(asked: Body, version: str) -> Iterator[str]:
    for name in ("temperature", "top_p", "top_k"):
        if version >= STRICT_VERSION and name in asked:
            yield f"{name}: Extra inputs are not permitted"


def _signatures(asked: Body, signatures: dict[str, str]) -> Iterator[str]:
    for index, message in enumerate(asked["messages"]):
        for number, block in enumerate(blocks_of(message)):
            known = {
                "thinking": (block.get("signature"), block.get("thinking")),
                "redacted_thinking": (block.get("data"), ""),
            }.get(block["type"])
            if known is not None and signatures.get(known[0] or "") != known[1]:
                yield (
                    f"messages.{index}.content.{number}: Invalid `signature` in `thinking` block"
                )


RULES: tuple[Callable[[Body], Iterator[str]], ...] = (
    _members,
    _turns,
    _blocks,
    _results,
    _tools,
    _schema,
    _sampling,
    _thinking,
)
"""In the order in which the vendor looks."""
