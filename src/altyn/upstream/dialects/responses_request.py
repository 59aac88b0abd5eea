"""A chat as OpenAI's Responses API takes it: a list of items in place of messages.

What differs from the chat format, each a refusal or a silent loss there:

* a tool's `strict` left out means true, which rewrites the schema: it is always said;
* fewer than `OUTPUT_TOKENS_MIN` tokens of output cannot be asked for;
* chats are kept for a month unless `store` is false; without the vendor's store its reasoning is
  carried by whoever asks, encrypted, and each piece stands directly before the item it led to;
* there is one choice, and no `stop`, `seed`, `logit_bias` or penalties.
"""

from collections import deque
from typing import Any

from altyn.chat import (
    AssistantMessage,
    Chat,
    DeveloperMessage,
    Fault,
    FilePart,
    ImagePart,
    Message,
    Part,
    RefusalPart,
    SystemMessage,
    TextPart,
    ToolCall,
    ToolMessage,
)

Fields = dict[str, Any]
Item = dict[str, Any]

FORMAT = "openai-responses-v1"
"""What `reasoning_details` of this API are marked with. Only those can be sent back to it."""

OWN_ID = "altyn_"
"""How the id of an envelope begins that came to us directly. OpenRouter hands out envelopes of the
same format, sealed for its own account: whoever gets a stranger's refuses the whole call, and the
route of a conversation may change from one call to the next.
"""

OUTPUT_TOKENS_MIN = 16
"""The vendor refuses less. What it may say more is within `count.OVERSHOOT_TOKENS`."""

_SAME = ("temperature", "top_p", "parallel_tool_calls", "metadata", "user", "top_logprobs")


def write_body(chat: Chat, *, upstream_model: str) -> Fields:
    """Raises `Fault("bad_request")` where leaving something out would change what is answered."""
    if chat.n > 1:
        raise Fault("bad_request", "This model gives one choice for each request.", param="n")
    fields = chat.fields
    instructions, messages = _split_instructions(chat.messages)
    body: Fields = {"model": upstream_model, "store": False}
    if instructions:
        body["instructions"] = instructions
    body["input"] = [item for message in messages for item in write_items(message)]
    body["max_output_tokens"] = max(chat.max_tokens, OUTPUT_TOKENS_MIN)
    body |= {name: fields[name] for name in _SAME if fields.get(name) is not None}
    body |= {
        name: value
        for name, value in (
            ("tools", [_tool(tool) for tool in fields.get("tools") or ()]),
            ("tool_choice", _tool_choice(fields.get("tool_choice"))),
            ("text", _text(fields)),
            ("reasoning", _reasoning(fields)),
            ("include", _include(chat)),
        )
        if value
    }
    if chat.stream:
        body |= {"stream": True, "stream_options": {"include_obfuscation": False}}
    return body


def is_own(details: list[Fields]) -> bool:
    """Whether reasoning was told by this API to us, so that nobody else can read its envelopes."""
    return any(str(detail.get("id") or "").startswith(OWN_ID) for detail in details)


# What was said before -------------------------------------------------------------------------


def _split_instructions(messages: list[Message]) -> tuple[str, list[Message]]:
    """The system's words before the first of anybody else, and the rest, which is never empty."""
    said: list[str] = []
    for index, message in enumerate(messages):
        text = _plain_text(message) if _is_instruction(message) else None
        if text is None:
            return "\n\n".join(said), messages[index:]
        said.append(text)
    return "", messages


def _is_instruction(message: Message) -> bool:
    return isinstance(message, SystemMessage | DeveloperMessage)


def _plain_text(message: Message) -> str | None:
    if message.content is None or isinstance(message.content, str):
        return message.content
    texts = [part.text for part in message.content if isinstance(part, TextPart)]
    return "\n\n".join(texts) if len(texts) == len(message.content) else None


def write_items(message: Message) -> list[Item]:
    """One message as items of the input."""
    if isinstance(message, AssistantMessage):
        return _assistant_items(message)
    content = _input_content(message.content)
    if isinstance(message, ToolMessage):
        return [
            {
                "type": "function_call_output",
                "call_id": message.tool_call_id,
                "output": content,
            }
        ]
    return [{"role": "developer" if _is_instruction(message) else "user", "content": content}]


def _input_content(content: str | list[Part]) -> str | list[Item]:
    return content if isinstance(content, str) else [_input_part(part) for part in content]


def _input_part(part: Part) -> Item:
    if isinstance(part, TextPart):
        return {"type": "input_text", "text": part.text}
    if isinstance(part, RefusalPart):
        return {"type": "input_text", "text": part.refusal}
    if isinstance(part, ImagePart):
        image = part.image_url
        return {"type": "input_image", "image_url": image.url, "detail": image.detail or "auto"}
    if isinstance(part, FilePart):
        return _input_file(part)
    sound = part.input_audio
    return {"type": "input_audio", "input_audio": {"data": sound.data, "format": sound.format}}


def _input_file(part: FilePart) -> Item:
    file = part.file
    data = file.file_data
    is_address = data is not None and data.startswith(("https://", "http://"))
    told = {
        "filename": file.filename,
        "file_url" if is_address else "file_data": data,
    }
    return {"type": "input_file", **{name: value for name, value in told.items() if value}}


# What the model said before -------------------------------------------------------------------


def _assistant_items(message: AssistantMessage) -> list[Item]:
    """Text and calls in order, and each piece of reasoning at the place it had among them.

    Reasoning that nothing follows is refused there ("without its required following item").
    """
    said = deque(_said_items(message))
    items: list[Item] = []
    for place, thought in _thoughts(message.reasoning_details or ()):
        while said and len(items) < place:
            items.append(said.popleft())
        if not said:
            break
        items.append(thought)
    return [*items, *said]


def _said_items(message: AssistantMessage) -> list[Item]:
    content = _output_content(message)
    items: list[Item] = []
    if content:
        items.append({"type": "message", "role": "assistant", "content": content})
    return items + [_function_call(call) for call in message.tool_calls or ()]


def _output_content(message: AssistantMessage) -> list[Item]:
    parts: list[Part] = []
    if isinstance(message.content, str):
        parts = [TextPart(message.content)] if message.content else []
    elif message.content is not None:
        parts = list(message.content)
    if message.refusal:
        parts.append(RefusalPart(message.refusal))
    return [
        {"type": "refusal", "refusal": part.refusal}
        if isinstance(part, RefusalPart)
        else {"type": "output_text", "text": part.text, "annotations": []}
        for part in parts
        if isinstance(part, TextPart | RefusalPart)
    ]


def _function_call(call: ToolCall) -> Item:
    return {
        "type": "function_call",
        "call_id": call.id,
        "name": call.function.name,
        "arguments": call.function.arguments,
    }


def _thoughts(details: Any) -> list[tuple[int, Item]]:
    """Reasoning items with their places in the answer they come from, in order.

    Other vendors' reasoning is left out, and an envelope that a middleman gave: the keys to them
    are theirs.
    """
    found: dict[int, Item] = {}
    for detail in details:
        if detail.get("format") != FORMAT:
            continue
        place = detail.get("index")
        place = place if isinstance(place, int) else 0
        data, text = detail.get("data"), detail.get("text")
        if isinstance(data, str) and data:
            if is_own([detail]):
                found[place] = {**_thought(detail), "encrypted_content": data}
        elif isinstance(text, str) and "encrypted_content" not in found.get(place, ()):
            # In the open, as servers of open models tell it, and perhaps in fragments.
            part = {"type": "reasoning_text", "text": ""}
            thought = found.setdefault(place, {**_thought(detail), "content": [part]})
            thought["content"][0]["text"] += text
    return sorted(found.items())


def _thought(detail: Fields) -> Item:
    number = str(detail.get("id") or "").removeprefix(OWN_ID)
    return {"type": "reasoning", **({"id": number} if number else {}), "summary": []}


# What is wanted -------------------------------------------------------------------------------


def _tool(tool: Fields) -> Fields:
    function = tool["function"]
    told = {
        "type": "function",
        "name": function["name"],
        "parameters": function.get("parameters") or {"type": "object", "properties": {}},
        "strict": bool(function.get("strict")),
    }
    if function.get("description"):
        told["description"] = function["description"]
    return told


def _tool_choice(choice: Any) -> Any:
    if isinstance(choice, dict):
        return {"type": "function", "name": choice["function"]["name"]}
    return choice


def _text(fields: Fields) -> Fields:
    text: Fields = {}
    wanted = fields.get("response_format")
    if wanted:
        text["format"] = {"type": wanted["type"], **_schema(wanted.get("json_schema"))}
    if fields.get("verbosity"):
        text["verbosity"] = fields["verbosity"]
    return text


def _schema(schema: Fields | None) -> Fields:
    return {name: value for name, value in (schema or {}).items() if value is not None}


def _reasoning(fields: Fields) -> Fields:
    """A summary is asked for only with `reasoning`: the vendor refuses it to some operators."""
    asked: Fields = fields.get("reasoning") or {}
    effort = fields.get("reasoning_effort") or asked.get("effort")
    if effort is None and asked.get("enabled") is False:
        effort = "none"
    said = {"effort": effort} if effort else {}
    if asked and not asked.get("exclude") and effort != "none":
        said["summary"] = "auto"
    return said


def _include(chat: Chat) -> list[str]:
    include = []
    if chat.reasons and not (chat.fields.get("reasoning") or {}).get("exclude"):
        include.append("reasoning.encrypted_content")
    if chat.fields.get("logprobs"):
        include.append("message.output_text.logprobs")
    return include
