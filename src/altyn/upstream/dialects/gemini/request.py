"""A chat said in Gemini's words: contents of parts, tools as declarations, one generationConfig.

What Google takes differently from OpenAI, and refuses with 400 otherwise:

* there are two roles, `user` and `model`, and neighbours of one role are one content;
* the result of a tool is a part of the user's content and names the function, not only the call;
* a part must not be empty, and neither must be the contents;
* a call of a tool needs the thought signature it came with, from Gemini 3 on.
"""

import base64
import re
from itertools import groupby
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import msgspec

from altyn.chat import Chat, Fault
from altyn.upstream.dialects.gemini.thinking import Family, find_family, write_thinking

Fields = dict[str, Any]
Part = dict[str, Any]

SIGNATURE_FORMAT = "google-gemini-v1"
"""OpenRouter's word for the reasoning details of this vendor. A client may have joined it to itself
while it put a stream together, so only the start is looked at.
"""

NO_SIGNATURE = base64.b64encode(b"skip_thought_signature_validator").decode()
"""Stands for a signature that the history has lost, or never had: it is from another model, or the
caller's library drops what it does not know. Google takes it and reasons anew.
"""

GOOGLES = "googleapis.com"
"""Files there, and `gs://` buckets, are opened with the operator's key: no caller may name one."""

PLAIN_HOST = re.compile(r"[a-z0-9.-]+", re.IGNORECASE)

SEED_MASK = 2**31 - 1
"""Google's seed is an int32. A larger one is folded: the same seed stays the same."""

MIME_TYPES = {
    "aac": "audio/aac",
    "aiff": "audio/aiff",
    "csv": "text/csv",
    "flac": "audio/flac",
    "gif": "image/gif",
    "heic": "image/heic",
    "htm": "text/html",
    "html": "text/html",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "m4a": "audio/m4a",
    "md": "text/markdown",
    "mov": "video/quicktime",
    "mp3": "audio/mp3",
    "mp4": "video/mp4",
    "mpeg": "video/mpeg",
    "ogg": "audio/ogg",
    "pcm16": "audio/pcm",
    "pdf": "application/pdf",
    "png": "image/png",
    "txt": "text/plain",
    "wav": "audio/wav",
    "webm": "video/webm",
    "webp": "image/webp",
    "xml": "text/xml",
}
"""By the end of a file's name, or the name of an audio format."""

CALL_MODES = {"none": "NONE", "auto": "AUTO", "required": "ANY"}


def write_body(chat: Chat, *, upstream_model: str) -> Fields:
    """The body of `generateContent`. Raises `Fault("bad_request")` for a file of Google's own."""
    fields = chat.fields
    family = find_family(upstream_model)
    system, contents = _write_messages(fields["messages"], family)
    body: Fields = {}
    if system and contents:
        body["systemInstruction"] = {"parts": system}
    # There is no chat without contents: alone, the system's words are the user's.
    body["contents"] = contents or [{"role": "user", "parts": system or [{"text": ""}]}]
    if fields.get("tools"):
        body["tools"] = [{"functionDeclarations": [_write_tool(t) for t in fields["tools"]]}]
        if fields.get("tool_choice") is not None:
            body["toolConfig"] = {"functionCallingConfig": _write_choice(fields["tool_choice"])}
    body["generationConfig"] = _write_config(chat, family)
    return body


# Settings -------------------------------------------------------------------------------------

_SAME = {
    "temperature": "temperature",
    "top_p": "topP",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
    "n": "candidateCount",
}


def _write_config(chat: Chat, family: Family) -> Fields:
    fields = chat.fields
    config: Fields = {"maxOutputTokens": chat.max_tokens}
    for name, theirs in _SAME.items():
        if fields.get(name) is not None:
            config[theirs] = fields[name]
    stop = fields.get("stop")
    if stop:
        config["stopSequences"] = [stop] if isinstance(stop, str) else stop
    seed = fields.get("seed")
    if seed is not None:
        config["seed"] = seed if abs(seed) <= SEED_MASK else seed & SEED_MASK
    _write_format(config, fields.get("response_format") or {})
    thinking = write_thinking(fields, family)
    if thinking is not None:
        config["thinkingConfig"] = thinking
    return config


def _write_format(config: Fields, wanted: Fields) -> None:
    if wanted.get("type") not in ("json_object", "json_schema"):
        return
    config["responseMimeType"] = "application/json"
    schema = (wanted.get("json_schema") or {}).get("schema")
    if schema is not None:
        config["responseJsonSchema"] = schema


def _write_tool(tool: Fields) -> Fields:
    function = tool["function"]
    said = {"name": function["name"]}
    if function.get("description"):
        said["description"] = function["description"]
    if function.get("parameters"):
        said["parametersJsonSchema"] = function["parameters"]
    return said


def _write_choice(choice: str | Fields) -> Fields:
    if isinstance(choice, str):
        return {"mode": CALL_MODES[choice]}
    return {"mode": "ANY", "allowedFunctionNames": [choice["function"]["name"]]}


# Messages -------------------------------------------------------------------------------------


Calls = dict[str, tuple[int, int, str]]
"""By the id of a call, its place in the history and the function it asked for: of the last call of
that id, for some servers begin again with `call_0` in every answer.
"""


def _write_messages(messages: list[Fields], family: Family) -> tuple[list[Part], list[Fields]]:
    """The system's parts, and everybody else's as contents.

    Results side by side stand as their calls were made: where calls have no id, a tool that was
    called twice is told apart by nothing but the order.
    """
    system: list[Part] = []
    contents: list[Fields] = []
    calls: Calls = {}
    for is_result, run in groupby(enumerate(messages), lambda one: one[1]["role"] == "tool"):
        told = list(run)
        if is_result:
            told.sort(key=lambda one: calls[one[1]["tool_call_id"]])
        for index, message in told:
            role = message["role"]
            if role in ("system", "developer"):
                system += _write_content(message["content"], index)
            elif role == "assistant":
                _note_calls(calls, message, index)
                _add(contents, "model", _write_answer(message, index, family))
            elif role == "tool":
                _add(contents, "user", _write_result(message, index, calls, family))
            else:
                _add(contents, "user", _write_content(message["content"], index))
    return system, contents


def _note_calls(calls: Calls, message: Fields, index: int) -> None:
    for number, call in enumerate(message.get("tool_calls") or ()):
        calls[call["id"]] = (index, number, call["function"]["name"])


def _add(contents: list[Fields], role: str, parts: list[Part]) -> None:
    if not parts:
        return
    if contents and contents[-1]["role"] == role:
        contents[-1]["parts"] += parts
    else:
        contents.append({"role": role, "parts": parts})


def _write_answer(message: Fields, index: int, family: Family) -> list[Part]:
    """What the model said before, each part with the signature it came with."""
    signatures = _read_signatures(message)
    parts = _write_content(message.get("content") or message.get("refusal") or "", index)
    said = signatures.get(None)
    if said is not None:
        if not parts:
            parts.append({"text": ""})
        parts[-1]["thoughtSignature"] = said
    for number, call in enumerate(message.get("tool_calls") or ()):
        part: Part = {"functionCall": _write_call(call, family)}
        signature = _signature_of(call) or signatures.get(call["id"])
        # Of calls made together, only the first is signed.
        if signature is None and number == 0 and family.strict_calls:
            signature = NO_SIGNATURE
        if signature is not None:
            part["thoughtSignature"] = signature
        parts.append(part)
    return parts


def _write_call(call: Fields, family: Family) -> Fields:
    function = call["function"]
    said = {"name": function["name"], "args": _arguments(function["arguments"])}
    return {"id": call["id"], **said} if family.strict_calls else said


def _arguments(text: str) -> Fields | msgspec.Raw:
    """The arguments as they were written: not a digit of a number changes on its way back."""
    try:
        value = msgspec.json.decode(text) if text.strip() else None
    except (msgspec.DecodeError, RecursionError):
        value = text
    if value is None:
        return {}
    # A model may have written no JSON, or no object: it is quoted as it is.
    return msgspec.Raw(text.encode()) if isinstance(value, dict) else {"arguments": text}


def _read_signatures(message: Fields) -> dict[str | None, str]:
    """Thought signatures by the call they belong to; under None that of the text."""
    return {
        detail.get("id"): detail["data"]
        for detail in message.get("reasoning_details") or ()
        if str(detail.get("format")).startswith(SIGNATURE_FORMAT)
        and isinstance(detail.get("data"), str)
        and isinstance(detail.get("id"), str | None)
    }


def _signature_of(call: Fields) -> str | None:
    """A signature on the call itself, where Google's layer for OpenAI's format puts it."""
    google = call.get("extra_content")
    for name in ("google", "thought_signature"):
        google = google.get(name) if isinstance(google, dict) else None
    return google if isinstance(google, str) else None


def _write_result(message: Fields, index: int, calls: Calls, family: Family) -> list[Part]:
    """The result of a tool; pictures in it stand beside it, where every model looks at them."""
    call_id = message["tool_call_id"]
    parts = _write_content(message["content"], index)
    text = "".join(part["text"] for part in parts if "text" in part)
    said: Fields = {"name": calls[call_id][-1], "response": {"output": text}}
    response = {"id": call_id, **said} if family.strict_calls else said
    return [{"functionResponse": response}, *(part for part in parts if "text" not in part)]


# Parts ----------------------------------------------------------------------------------------


def _write_content(content: str | list[Fields], index: int) -> list[Part]:
    if isinstance(content, str):
        return [{"text": content}] if content else []
    parts = [
        _write_part(part, f"messages[{index}].content[{number}]")
        for number, part in enumerate(content)
    ]
    return [part for part in parts if part != {"text": ""}]


def _write_part(part: Fields, param: str) -> Part:
    match part["type"]:
        case "text":
            return {"text": part["text"]}
        case "refusal":
            return {"text": part["refusal"]}
        case "image_url":
            return _media(part["image_url"]["url"], param)
        case "input_audio":
            audio = part["input_audio"]
            form = audio["format"].lower()
            return _inline(MIME_TYPES.get(form, f"audio/{form}"), audio["data"])
        case _:
            return _write_file(part["file"], param)


def _write_file(file: Fields, param: str) -> Part:
    data = file.get("file_data")
    if not data:
        raise Fault("bad_request", "a file is taken as file_data only", param=f"{param}.file")
    if data.startswith(("data:", "https://", "http://")):
        return _media(data, param)
    return _inline(_mime_type(file.get("filename") or "") or "application/pdf", data)


def _media(url: str, param: str) -> Part:
    """A data URL as bytes inside the request; any other address is for Google to fetch."""
    if url.startswith("data:"):
        head, _, data = url.removeprefix("data:").partition(",")
        mime, *marks = head.split(";")
        if "base64" not in marks:
            data = base64.b64encode(unquote_to_bytes(data)).decode()
        return _inline(mime or "text/plain", data)
    if not _may_be_named(url):
        raise Fault("bad_request", "this address cannot be named here", param=param)
    mime_type = _mime_type(urlsplit(url).path)
    named = {"mimeType": mime_type} if mime_type else {}
    return {"fileData": {**named, "fileUri": url}}


def _may_be_named(url: str) -> bool:
    """An ordinary address outside of Google's storage. What two parsers could read in two ways (a
    backslash, a blank, a host in disguise) is none.
    """
    try:
        address = urlsplit(url)
        host = (address.hostname or "").encode("idna").decode()
    except ValueError:
        return False
    ordinary = address.scheme in ("http", "https") and PLAIN_HOST.fullmatch(host)
    blanks = "\\" in url or url != "".join(url.split()) or not url.isprintable()
    return bool(ordinary) and not blanks and not f".{host}".rstrip(".").endswith(f".{GOOGLES}")


def _inline(mime_type: str, data: str) -> Part:
    return {"inlineData": {"mimeType": mime_type, "data": data}}


def _mime_type(path: str) -> str | None:
    return MIME_TYPES.get(path.rpartition(".")[2].lower())
