"""A chat as the body of `POST /messages`."""

import re
from hashlib import blake2b
from typing import Any

from altyn.chat import Chat, Fault
from altyn.upstream.dialects.anthropic.generation import Generation, find_generation
from altyn.upstream.dialects.anthropic.messages import write_conversation
from altyn.upstream.dialects.anthropic.schema import closed
from altyn.upstream.dialects.anthropic.thinking import can_think, read_wish, write_thinking

Fields = dict[str, Any]

TEMPERATURE_MAX = 1.0
USER_ID_MAX = 256
_PLAIN_ID = re.compile(r"[\w.:-]+", re.ASCII)

ANSWER_TOOL = "altyn_answer_in_json"
"""A tool that stands for an answer in JSON, where the vendor has no other way to ask for one. What
the model puts into it is the text of the answer.
"""
ANSWER_TEXT = "Call this to answer the user. Its input is the whole answer."
NO_SCHEMA: Fields = {"type": "object", "properties": {}, "additionalProperties": True}


def write_body(chat: Chat, upstream_model: str) -> Fields:
    """Raises `Fault("bad_request")` for what the vendor has no form for."""
    fields, generation = chat.fields, find_generation(upstream_model)
    body: Fields = {"model": upstream_model, "max_tokens": chat.max_tokens}
    _write_tools(body, fields, generation)
    _write_format(body, fields, generation)
    thinks = _write_thinking(body, chat, generation)
    said = write_conversation(fields["messages"], thinks=thinks)
    if said.system:
        body["system"] = said.system
    body["messages"] = said.turns
    if not thinks:
        _write_sampling(body, fields)
    _write_rest(body, fields)
    if chat.stream:
        body["stream"] = True
    return body


def _write_thinking(body: Fields, chat: Chat, generation: Generation) -> bool:
    wish = read_wish(chat.fields)
    if wish is None:
        return False
    forced = body.get("tool_choice", {}).get("type") in ("any", "tool")
    answer_forced = forced and _is_forced_answer(body, chat.fields)
    if not can_think(
        chat.fields["messages"], max_tokens=chat.max_tokens, forced=forced and not answer_forced
    ):
        return False
    if answer_forced:
        # The vendor takes no forced tool while it thinks. The tool says of itself what it is for.
        body["tool_choice"] = {**body["tool_choice"], "type": "auto"}
        body["tool_choice"].pop("name", None)
    write_thinking(body, wish, generation, max_tokens=chat.max_tokens)
    return True


def _is_forced_answer(body: Fields, fields: Fields) -> bool:
    """Whether a tool is forced for the form of the answer only, not because the caller said so."""
    return (
        body["tools"][-1]["name"] == ANSWER_TOOL
        and fields.get("tool_choice") != "required"
        and not isinstance(fields.get("tool_choice"), dict)
    )


def _write_sampling(body: Fields, fields: Fields) -> None:
    """While it thinks, the vendor takes neither."""
    if fields.get("temperature") is not None:
        body["temperature"] = min(fields["temperature"], TEMPERATURE_MAX)
    if fields.get("top_p") is not None:
        body["top_p"] = fields["top_p"]


def _write_rest(body: Fields, fields: Fields) -> None:
    stop = fields.get("stop") or []
    sequences = [text for text in ([stop] if isinstance(stop, str) else stop) if text.strip()]
    if sequences:
        body["stop_sequences"] = sequences
    if fields.get("user"):
        body["metadata"] = {"user_id": _user_id(fields["user"])}


def _user_id(user: str) -> str:
    """The vendor refuses an e-mail address there, and long ids: those go as a digest."""
    if len(user) <= USER_ID_MAX and _PLAIN_ID.fullmatch(user):
        return user
    return blake2b(user.encode(), digest_size=16).hexdigest()


# Tools ----------------------------------------------------------------------------------------

CHOICES = {"auto": "auto", "required": "any", "none": "none"}


def _write_tools(body: Fields, fields: Fields, generation: Generation) -> None:
    tools = fields.get("tools")
    if not tools:
        return
    body["tools"] = [_write_tool(tool, generation) for tool in tools]
    alone = fields.get("parallel_tool_calls") is False
    choice = fields.get("tool_choice") or ("auto" if alone else None)
    if isinstance(choice, dict):
        body["tool_choice"] = {"type": "tool", "name": choice["function"]["name"]}
    elif choice is not None:
        body["tool_choice"] = {"type": CHOICES[choice]}
    if alone and choice != "none":
        body["tool_choice"]["disable_parallel_tool_use"] = True


def _write_tool(tool: Fields, generation: Generation) -> Fields:
    function = tool["function"]
    if function["name"] == ANSWER_TOOL:
        raise Fault("bad_request", f"The name {ANSWER_TOOL} is taken.")
    schema = function.get("parameters") or {}
    said: Fields = {"name": function["name"]}
    if function.get("description"):
        said["description"] = function["description"]
    said["input_schema"] = schema if "type" in schema else {"type": "object", **schema}
    if function.get("strict") and generation.answers_by_schema:
        said["strict"] = True
        said["input_schema"] = closed(said["input_schema"])
    cache_control = tool.get("cache_control") or function.get("cache_control")
    if cache_control:
        said["cache_control"] = cache_control
    return said


# The form of the answer -----------------------------------------------------------------------


def _write_format(body: Fields, fields: Fields, generation: Generation) -> None:
    wanted = fields.get("response_format") or {}
    if wanted.get("type") not in ("json_object", "json_schema"):
        return
    schema = (wanted.get("json_schema") or {}).get("schema")
    if schema and generation.answers_by_schema:
        body["output_config"] = {"format": {"type": "json_schema", "schema": closed(schema)}}
    else:
        _offer_answer_tool(body, schema or NO_SCHEMA)


def _offer_answer_tool(body: Fields, schema: Fields) -> None:
    """Have the answer come as the input of a tool, beside the caller's own tools if there are any.

    Where the caller forces a tool, its call is the answer, and there is nothing to put in form.
    """
    choice = body.get("tool_choice", {"type": "auto" if "tools" in body else "none"})
    if choice["type"] in ("any", "tool"):
        return
    tool = {"name": ANSWER_TOOL, "description": ANSWER_TEXT, "input_schema": schema}
    body["tools"] = [*body.get("tools", ()), tool]
    if choice["type"] == "none":
        body["tool_choice"] = {
            "type": "tool",
            "name": ANSWER_TOOL,
            "disable_parallel_tool_use": True,
        }
    else:
        body["tool_choice"] = {**choice, "type": "any"}
