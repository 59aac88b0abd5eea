"""A chat's messages as turns of user and assistant, made of blocks.

The vendor wants the turns to alternate, the user to speak first, and all results of tools in one
turn, in front of whatever else the user says.
"""

import re
from typing import Any

import msgspec
from msgspec import Struct

from altyn.upstream.dialects.anthropic.parts import write_content
from altyn.upstream.dialects.anthropic.thinking import write_thinking_blocks

Block = dict[str, Any]

OPENING = "…"
"""Said for the user where the assistant begins: the vendor refuses such a chat."""

_ODD = re.compile(r"[^a-zA-Z0-9_-]")


class Conversation(Struct):
    """What is asked: the system's words, and the turns."""

    system: list[Block]
    turns: list[Block]


def write_conversation(messages: list[Block], *, thinks: bool) -> Conversation:
    """Raises `Fault("bad_request")` for what the vendor has no form for."""
    said = Conversation([], [])
    for message in messages:
        match message["role"]:
            case "system" | "developer":
                said.system += write_content(message["content"])
            case "assistant":
                _add(said.turns, "assistant", _write_answer(message, thinks=thinks))
            case "tool":
                _add(said.turns, "user", [_write_result(message)])
            case _:
                _add(said.turns, "user", write_content(message["content"]))
    if not said.turns and said.system:
        # Some callers put everything they ask into the system message.
        return Conversation([], [{"role": "user", "content": said.system}])
    if said.turns:
        _put_in_order(said.turns)
    return said


def _add(turns: list[Block], role: str, blocks: list[Block]) -> None:
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"] += blocks
    elif blocks:
        turns.append({"role": role, "content": blocks})


def _put_in_order(turns: list[Block]) -> None:
    for turn in turns:
        if turn["role"] == "user":
            turn["content"].sort(key=_is_no_result)
    last = turns[-1]
    if last["role"] == "assistant" and last["content"][-1]["type"] == "text":
        # The vendor goes on writing where this ends, and refuses a space there.
        last["content"][-1]["text"] = last["content"][-1]["text"].rstrip()
    if turns[0]["role"] == "assistant":
        turns.insert(0, {"role": "user", "content": [{"type": "text", "text": OPENING}]})


def _is_no_result(block: Block) -> bool:
    return bool(block["type"] != "tool_result")


def _write_answer(message: Block, *, thinks: bool) -> list[Block]:
    blocks = write_thinking_blocks(message) if thinks else []
    blocks += write_content(message.get("content") or "")
    blocks += write_content(message.get("refusal") or "")
    for call in message.get("tool_calls") or ():
        function = call["function"]
        blocks.append(
            {
                "type": "tool_use",
                "id": write_call_id(call["id"]),
                "name": function["name"],
                "input": write_arguments(function["arguments"]),
            }
        )
    return blocks


def _write_result(message: Block) -> Block:
    result: Block = {
        "type": "tool_result",
        "tool_use_id": write_call_id(message["tool_call_id"]),
    }
    content = write_content(message["content"])
    if content:
        result["content"] = content
    return result


def write_call_id(call_id: str) -> str:
    """An id of any vendor in the letters this one takes; two calls of a turn stay two."""
    return _ODD.sub(lambda odd: f"_{ord(odd[0]):x}", call_id)


def write_arguments(arguments: str) -> msgspec.Raw | Block:
    """A tool's input, number for number as it was written.

    What is not an object is wrapped into one: the model sees what it wrote, and the loop goes on.
    """
    text = arguments.strip()
    if not text:
        return {}
    try:
        msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return {"unreadable": arguments}
    return msgspec.Raw(text.encode())
