"""An answer of OpenAI's Responses API, whole and as the events that tell it, as they were recorded.

output = [thought("Hm."), message("Hello"), call("weather", "{}")]
whole(output)
b"".join(frame(event) for event in events(output))
"""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any

Item = dict[str, Any]
Event = dict[str, Any]

MODEL = "gpt-5.2-pro-2025-12-11"
USAGE = {
    "input_tokens": 21,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 203,
    "output_tokens_details": {"reasoning_tokens": 192},
    "total_tokens": 224,
}


# Items ----------------------------------------------------------------------------------------


def message(*texts: str, citations: Iterable[Item] = (), logprobs: Iterable[Item] = ()) -> Item:
    """Each text is a part of its own."""
    parts = [
        {
            "type": "output_text",
            "annotations": list(citations),
            "logprobs": list(logprobs),
            "text": text,
        }
        for text in texts
    ]
    return _message(parts)


def refusal(text: str) -> Item:
    return _message([{"type": "refusal", "refusal": text}])


def _message(parts: list[Item]) -> Item:
    return {
        "id": "msg_AAAA",
        "type": "message",
        "status": "completed",
        "content": parts,
        "role": "assistant",
    }


def thought(*summary: str, encrypted: str | None = None, number: str = "rs_AAAA") -> Item:
    item: Item = {"id": number, "type": "reasoning"}
    if encrypted is not None:
        item["encrypted_content"] = encrypted
    return item | {"summary": [{"type": "summary_text", "text": text} for text in summary]}


def open_thought(text: str, number: str = "rs_AAAA") -> Item:
    """As servers of open models tell it."""
    content = [{"type": "reasoning_text", "text": text}]
    return {"id": number, "type": "reasoning", "summary": [], "content": content}


def call(name: str, arguments: str, call_id: str = "call_AAAA") -> Item:
    return {
        "id": call_id.replace("call", "fc"),
        "type": "function_call",
        "status": "completed",
        "arguments": arguments,
        "call_id": call_id,
        "name": name,
    }


def citation(url: str, title: str, start: int, end: int) -> Item:
    return {
        "type": "url_citation",
        "end_index": end,
        "start_index": start,
        "title": title,
        "url": url,
    }


# The response ---------------------------------------------------------------------------------


def whole(
    output: list[Item],
    *,
    status: str = "completed",
    usage: dict[str, Any] | None = USAGE,
    error: dict[str, Any] | None = None,
    reason: str | None = None,
    model: str = MODEL,
    number: str = "resp_AAAA",
) -> dict[str, Any]:
    return {
        "id": number,
        "object": "response",
        "created_at": 1777431497,
        "status": status,
        "background": False,
        "completed_at": 1777431499 if status == "completed" else None,
        "error": error,
        "incomplete_details": reason and {"reason": reason},
        "instructions": None,
        "max_output_tokens": None,
        "model": model,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": "medium", "summary": None},
        "service_tier": "default",
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage,
        "metadata": {},
    }


def events(output: list[Item], **response: Any) -> Iterator[Event]:
    """All events, numbered from 0. The last is named by the status of the response."""
    end = whole(output, **response)
    begun = {**end, "status": "in_progress", "completed_at": None, "output": [], "usage": None}
    begun |= {"error": None, "incomplete_details": None, "service_tier": "auto"}
    told: list[Event] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    for place, item in enumerate(output):
        told += _item_events(place, item)
    told.append({"type": f"response.{end['status']}", "response": end})
    numbers = count()
    for event in told:
        yield {**event, "sequence_number": next(numbers)}


def frame(event: Event, *, data_first: bool = False) -> bytes:
    """`data_first` as the API is served by AWS."""
    data = f"data: {json.dumps(event, ensure_ascii=False, separators=(',', ':'))}\n"
    name = f"event: {event['type']}\n"
    return f"{data}{name}\n".encode() if data_first else f"{name}{data}\n".encode()


def stream(output: list[Item], **response: Any) -> bytes:
    return b"".join(frame(event) for event in events(output, **response))


# How an item grows ----------------------------------------------------------------------------


def _item_events(place: int, item: Item) -> Iterator[Event]:
    where = {"item_id": item["id"], "output_index": place}
    yield {"type": "response.output_item.added", "item": _begun(item), "output_index": place}
    if item["type"] == "message":
        for index, part in enumerate(item["content"]):
            yield from _part_events({**where, "content_index": index}, part)
    elif item["type"] == "reasoning":
        for index, part in enumerate(item["summary"]):
            yield from _summary_events({**where, "summary_index": index}, part)
        for index, part in enumerate(item.get("content", ())):
            kind, more = "response.reasoning_text", {**where, "content_index": index}
            yield from _deltas(kind, part["text"], "text", more)
    elif item["type"] == "function_call":
        kind = "response.function_call_arguments"
        yield from _deltas(kind, item["arguments"], "arguments", where)
    yield {"type": "response.output_item.done", "item": item, "output_index": place}


def _begun(item: Item) -> Item:
    begun = {**item, "status": "in_progress"} if "status" in item else dict(item)
    if "encrypted_content" in item:
        begun["encrypted_content"] = "not the final value"
    empty: dict[str, Any] = {"content": [], "summary": [], "arguments": ""}
    return begun | {name: value for name, value in empty.items() if name in item}


def _part_events(where: Event, part: Item) -> Iterator[Event]:
    name = "refusal" if part["type"] == "refusal" else "text"
    begun = {**part, name: ""} | ({"annotations": [], "logprobs": []} if name == "text" else {})
    yield {"type": "response.content_part.added", **where, "part": begun}
    kind = "response.refusal" if name == "refusal" else "response.output_text"
    yield from _deltas(kind, part[name], name, where, part.get("logprobs"))
    for index, annotation in enumerate(part.get("annotations", ())):
        more = {"annotation": annotation, "annotation_index": index}
        yield {"type": "response.output_text.annotation.added", **where, **more}
    yield {"type": "response.content_part.done", **where, "part": part}


def _summary_events(where: Event, part: Item) -> Iterator[Event]:
    kind = "response.reasoning_summary"
    yield {"type": f"{kind}_part.added", **where, "part": {**part, "text": ""}}
    yield from _deltas(f"{kind}_text", part["text"], "text", where)
    yield {"type": f"{kind}_part.done", **where, "part": part}


def _deltas(
    kind: str, text: str, name: str, where: Event, logprobs: list[Item] | None = None
) -> Iterator[Event]:
    """A piece for each word; the probabilities with the first."""
    for piece in re.findall(r"\s*\S+|\s+$", text):
        more: Event = {} if logprobs is None else {"logprobs": logprobs}
        yield {"type": f"{kind}.delta", **where, "delta": piece, **more}
        logprobs = None if logprobs is None else []
    yield {"type": f"{kind}.done", **where, name: text}
