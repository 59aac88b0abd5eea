"""How many tokens a chat can be, before anyone has counted them: a bound, not a guess.

Every token of the tokenizers in use stands for at least one byte of the text it was made from
(byte-level BPE, and SentencePiece with byte fallback). So a text has no more tokens than bytes,
once it is clear which text: some tokenizers normalise it first, and templates add their own.
The bound is 3 to 7 times the true count for plain text; what is not used is given back on settling.
"""

from typing import Any
from unicodedata import is_normalized, normalize

import msgspec
from msgspec import Struct

from altyn.chat import Chat

MESSAGE_TOKENS = 8
"""Around a message or a part of one. OpenAI's published figure is 3, and 1 for a name; other
templates use up to about 6."""

TOOL_TOKENS = 16
"""Around the definition of a tool, a call of it, or its result."""

SCHEMA_TOKENS = 64
"""What a host says about the form of answer that was asked for, beside the schema itself."""

OVERSHOOT_TOKENS = 16
"""How far an answer may pass the limit it was given: some upstreams do by a few tokens (recorded:
limit 10, answer 11), and the Responses API takes no limit below 16."""

BYTES_PER_TOKEN = 8
"""For an estimate in the customer's favour. Measured with o200k: English 3.4 to 4.5 bytes of UTF-8
a token, source code to 4.9, Russian to 7.2, so a broken answer is never estimated too long."""


_BARE_FIELDS = len(("role", "content"))


class CountRules(Struct, frozen=True, kw_only=True, gc=False):
    """What a model adds to the text of a chat, in tokens, at most.

    `prompt_tokens_max`: the longest prompt any host of it takes. `image_tokens_max`: one image.
    `template_tokens`: what its template says unasked. `tools_tokens`: the same when there are
    tools, or an answer in JSON that some hosts ask for by way of a tool.
    """

    prompt_tokens_max: int
    image_tokens_max: int
    template_tokens: int
    tools_tokens: int


def input_bound(chat: Chat, rules: CountRules) -> int:
    """The most tokens the prompt of this chat can be counted as.

    A longer prompt than any host takes is refused there and costs nothing, so that length is the
    bound of what cannot be bounded otherwise: files and sound.
    """
    fields = chat.fields
    tokens = rules.template_tokens
    for message in fields["messages"]:
        content = message.get("content") if len(message) == _BARE_FIELDS else None
        if type(content) is str and content.isascii():
            tokens += len(content) + MESSAGE_TOKENS
        else:
            tokens += _message_bound(message, rules)
    if "tools" in fields or "response_format" in fields:
        tokens += _forms_bound(fields, rules)
    return min(tokens, rules.prompt_tokens_max)


def output_bound(max_tokens: int) -> int:
    """The most tokens one choice of an answer can be counted as, reasoning included."""
    return max_tokens + OVERSHOOT_TOKENS


def estimated_tokens(delivered_bytes: int) -> int:
    """About how many tokens some text is, when no count will come: rather too few than too many.

    `delivered_bytes` of UTF-8, of text only; one token at least if there was anything.
    """
    return max(1, delivered_bytes // BYTES_PER_TOKEN) if delivered_bytes else 0


def _message_bound(message: dict[str, Any], rules: CountRules) -> int:
    tokens = MESSAGE_TOKENS
    for name, value in message.items():
        if name == "content":
            # A template may write the result of a tool as JSON, with its quotes escaped.
            escaped = type(value) is str and message["role"] == "tool"
            tokens += _json_bound(value) if escaped else _content_bound(value, rules)
        elif name != "role" and value is not None:
            entries = len(value) if type(value) is list else 1
            tokens += _json_bound(value) + TOOL_TOKENS * entries
    return tokens


def _content_bound(content: str | list[dict[str, Any]] | None, rules: CountRules) -> int:
    if content is None:
        return 0
    if isinstance(content, str):
        return _text_bound(content)
    return sum(_part_bound(part, rules) for part in content)


def _part_bound(part: dict[str, Any], rules: CountRules) -> int:
    """Media are never counted as text: base64 is not what the model reads."""
    match part["type"]:
        case "text":
            return _text_bound(part["text"]) + MESSAGE_TOKENS
        case "refusal":
            return _text_bound(part["refusal"]) + MESSAGE_TOKENS
        case "image_url":
            return rules.image_tokens_max + MESSAGE_TOKENS
        case _:  # a file, a film, a recording: nobody knows how long
            return rules.prompt_tokens_max


def _forms_bound(fields: dict[str, Any], rules: CountRules) -> int:
    """Tools, and the form of answer that is asked for."""
    tokens = rules.tools_tokens
    tools = fields.get("tools")
    if tools is not None:
        tokens += _json_bound(tools) + TOOL_TOKENS * len(tools)
    response_format = fields.get("response_format")
    if response_format is not None:
        tokens += _json_bound(response_format) + SCHEMA_TOKENS
    return tokens


def _text_bound(text: str) -> int:
    """Bytes of the text as it is, or as NFC or NFKC make it longer: U+FDFA is 3 bytes, then 33.

    What is in NFKC is in NFC too. Neither form is always the longer one: NFKC shortens some
    letters while both lengthen others.
    """
    if text.isascii():
        return len(text)
    length = len(text.encode())
    if is_normalized("NFKC", text):
        return length
    return max(length, len(normalize("NFC", text).encode()), len(normalize("NFKC", text).encode()))


def _json_bound(value: Any) -> int:
    """Bytes of a value as JSON however a template writes it.

    A template may put a space after each comma and colon, or each bracket on a line of its own
    (Llama's do), so each may bring a line break and an indent; or it may escape every letter that
    is not ASCII, six bytes for each UTF-16 unit.
    """
    encoded = msgspec.json.encode(value)
    brackets = encoded.count(b"{") + encoded.count(b"[")
    blanks = encoded.count(b":") + 2 * encoded.count(b",") + 4 * brackets
    if encoded.isascii():
        return len(encoded) + blanks
    text = encoded.decode()
    letters = len(text.encode("ascii", "ignore"))
    units = len(text.encode("utf-16-be")) // 2
    return max(_text_bound(text), letters + 6 * (units - letters)) + blanks
