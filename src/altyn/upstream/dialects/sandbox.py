"""The sandbox: a vendor that lives inside, for learning, tests and test keys. No network, no cost.

It takes the body that `openai_chat` writes and performs what a vendor would send back, so that a
paid call runs its whole way with no provider. The same request always gets the same answer.

| Model | Answers with |
| --- | --- |
| `echo` | the last thing said to it |
| `lorem` | as many tokens of lorem ipsum as the prompt's first number says, else 100 |
| `flaky` | as `echo`, but a third of all prompts fail, always in the same way |

Words in the last prompt ask for more: `!429`, `!500`, `!slow [s]` (20 s before the first byte),
`!cut` (the connection ends mid-way), `!empty` (no tokens, no finish reason), `!tool` (call the
first tool), `!pace MS` (milliseconds between chunks).

A token is a run of up to 12 letters or digits, or one other sign, with the space before it; space
at the very end is one too. So a text never has more tokens than bytes. A prompt costs its tokens, 3
a message and 16 a picture, file or sound; tools and schemas cost the tokens of their JSON.
"""

import hashlib
import re
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field

from altyn.chat import Fault
from altyn.upstream.dialects.schema_example import example_of

LOREM_TOKENS = 100
LOREM_TOKENS_MAX = 100_000
CONTEXT_CHARACTERS = 500_000
"""Counting goes through every character, in the one process that serves everybody."""
TOKENS_PER_MESSAGE = 3
TOKENS_PER_MEDIUM = 16
ECHO_PACE_S = 0.01
LOREM_PACE_S = 0.02
SLOW_S = 20.0
ECHO_CHUNKS_MAX = 100
"""An echo of a long text comes in larger pieces rather than for minutes."""

LOREM = (
    " Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut"
    " labore et dolore magna aliqua. Ut enim ad minim veniam, quis nostrud exercitation ullamco"
    " laboris nisi ut aliquip ex ea commodo consequat. Duis aute irure dolor in reprehenderit in"
    " voluptate velit esse cillum dolore eu fugiat nulla pariatur. Excepteur sint occaecat"
    " cupidatat non proident, sunt in culpa qui officia deserunt mollit anim id est laborum."
)

JSON = {"content-type": "application/json"}
EVENTS = {"content-type": "text/event-stream"}

_TOKEN = re.compile(r"\s*(?:\w{1,12}|[^\w\s])|\s+")
_ORDER = re.compile(r"(?<!\S)!(429|500|slow|cut|empty|tool|pace)(?:[ ]+(\d{1,5}))?(?!\S)")
_NUMBER = re.compile(r"\b\d{1,6}\b")
_ENCODER = msgspec.json.Encoder()


class Performance(Struct, frozen=True, kw_only=True):
    """What a vendor sends: a head, then bytes, each after a pause in seconds.

    `steps` raises `Fault("broken")` where a real connection would be cut.
    """

    status: int
    headers: dict[str, str]
    steps: Iterator[tuple[float, bytes]]


class StreamOptions(Struct):
    include_usage: bool = False


class ToolCall(Struct, omit_defaults=True):
    id: str
    function: dict[str, Any]


class Message(Struct):
    role: str
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[ToolCall] | None = None


class Function(Struct, omit_defaults=True):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class Tool(Struct, omit_defaults=True):
    function: Function


class NamedTool(Struct):
    name: str


class ToolChoice(Struct):
    function: NamedTool


class JsonSchema(Struct, omit_defaults=True):
    schema: dict[str, Any] | None = None


class ResponseFormat(Struct, omit_defaults=True):
    type: str
    json_schema: JsonSchema | None = None


class Asked(Struct):
    """The request, as far as the sandbox looks at it."""

    model: str
    messages: Annotated[list[Message], Meta(min_length=1)]
    max_tokens: int | None = None
    n: Annotated[int, Meta(ge=1, le=128)] = 1
    stop: str | list[str] | None = None
    stream: bool = False
    stream_options: StreamOptions = field(default_factory=StreamOptions)
    tools: list[Tool] | None = None
    tool_choice: str | ToolChoice | None = None
    response_format: ResponseFormat | None = None


class Reply(Struct, kw_only=True):
    """One choice: tokens of text, or of a tool's arguments."""

    tokens: list[str]
    finish_reason: str | None
    tool: str | None = None


_ASKED = msgspec.json.Decoder(Asked)


# The performance ------------------------------------------------------------------------------


def play(body: bytes) -> Performance:
    """Answer a request as a vendor would. Never raises; the steps may."""
    try:
        asked = _ASKED.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _refusal(400, f"The request cannot be read: {error}", "invalid_request_error")
    model = asked.model.rpartition("/")[2]
    if model not in ("echo", "lorem", "flaky"):
        return _refusal(404, f"The model '{model}' does not exist.", "model_not_found")
    if sum(map(len, prompt_texts(asked))) > CONTEXT_CHARACTERS:
        said = f"The maximum context length is {CONTEXT_CHARACTERS} characters."
        return _refusal(400, said, "context_length_exceeded")
    prompt = last_text(asked.messages)
    orders = {name: int(number or -1) for name, number in _ORDER.findall(prompt)}
    if model == "flaky" and (failure := flaky_failure(prompt)):
        orders[failure] = -1
    return _trouble(orders) or _perform(asked, model=model, prompt=prompt, orders=orders)


def _perform(asked: Asked, *, model: str, prompt: str, orders: dict[str, int]) -> Performance:
    reply = _reply(asked, model=model, prompt=prompt, orders=orders)
    if reply is None:
        return _refusal(400, "The tool in tool_choice is not among tools.", "invalid_parameter")
    slow_s = 0.0
    if "slow" in orders:
        slow_s = SLOW_S if orders["slow"] < 0 else float(orders["slow"])
    script = Script(asked=asked, model=model, reply=reply, slow_s=slow_s, cut="cut" in orders)
    if not asked.stream:
        return Performance(status=200, headers={**JSON}, steps=script.whole())
    pace_s = LOREM_PACE_S if model == "lorem" else ECHO_PACE_S
    if orders.get("pace", -1) >= 0:
        pace_s = orders["pace"] * 0.001
    chunks_max = len(reply.tokens) if model == "lorem" else ECHO_CHUNKS_MAX
    steps = script.stream(pace_s=pace_s, chunks_max=chunks_max)
    return Performance(status=200, headers={**EVENTS}, steps=steps)


def _trouble(orders: dict[str, int]) -> Performance | None:
    if "429" in orders:
        refusal = _refusal(429, "The sandbox was asked for a 429.", "rate_limit_exceeded")
        refusal.headers["retry-after"] = "1"
        return refusal
    if "500" in orders:
        return _refusal(500, "The sandbox was asked for a 500.", "server_error")
    if "503" in orders:
        return _refusal(503, "The sandbox is overloaded.", "overloaded_error")
    return None


def _refusal(status: int, message: str, code: str) -> Performance:
    error = {"message": message, "type": "sandbox_error", "param": None, "code": code}
    body = _ENCODER.encode({"error": error})
    return Performance(status=status, headers={**JSON}, steps=iter([(0.0, body)]))


def flaky_failure(prompt: str) -> str | None:
    """How `flaky` fails at this prompt: a third of all prompts, in one of four ways."""
    digest = hashlib.sha256(prompt.encode(errors="replace")).digest()
    return ("429", "500", "503", "cut")[digest[1] % 4] if digest[0] % 3 == 0 else None


# What is said ---------------------------------------------------------------------------------


def _reply(asked: Asked, *, model: str, prompt: str, orders: dict[str, int]) -> Reply | None:
    """What every choice says. None if a tool is named that was not offered."""
    if "empty" in orders:
        return Reply(tokens=[], finish_reason=None)
    if _wants_call(asked, ordered="tool" in orders):
        return _call_reply(asked)
    text = _text(asked, model=model, prompt=prompt)
    for stop in [asked.stop] if isinstance(asked.stop, str) else asked.stop or ():
        text = text.partition(stop)[0] if stop else text
    return _limited(tokens_of(text), asked, finish_reason="stop")


def _wants_call(asked: Asked, *, ordered: bool) -> bool:
    """After a tool's result the answer is text, or an agent would never end."""
    if isinstance(asked.tool_choice, ToolChoice):
        return True
    if not asked.tools or asked.tool_choice == "none":
        return False
    return asked.tool_choice == "required" or (ordered and asked.messages[-1].role != "tool")


def _call_reply(asked: Asked) -> Reply | None:
    wanted = asked.tool_choice.function.name if isinstance(asked.tool_choice, ToolChoice) else None
    for tool in asked.tools or ():
        if wanted in (None, tool.function.name):
            arguments = example_of(tool.function.parameters or {"type": "object"})
            tokens = tokens_of(_json_text(arguments))
            return _limited(tokens, asked, finish_reason="tool_calls", tool=tool.function.name)
    return None


def _limited(
    tokens: list[str], asked: Asked, *, finish_reason: str, tool: str | None = None
) -> Reply:
    if asked.max_tokens is not None and len(tokens) > asked.max_tokens:
        tokens, finish_reason = tokens[: asked.max_tokens], "length"
    return Reply(tokens=tokens, finish_reason=finish_reason, tool=tool)


def _text(asked: Asked, *, model: str, prompt: str) -> str:
    text = prompt
    if model == "lorem":
        most = LOREM_TOKENS_MAX if asked.max_tokens is None else asked.max_tokens + 1
        text = lorem(min(_lorem_length(prompt), most))
    wanted = asked.response_format
    if wanted is not None and wanted.type == "json_object":
        return _json_text({"text": text})
    if wanted is not None and wanted.json_schema is not None:
        return _json_text(example_of(wanted.json_schema.schema))
    return text


def _lorem_length(prompt: str) -> int:
    number = _NUMBER.search(_ORDER.sub("", prompt))
    return int(number[0]) if number else LOREM_TOKENS


def lorem(tokens: int) -> str:
    """So many tokens of lorem ipsum."""
    return "".join(islice(cycle(tokens_of(LOREM)), tokens)).lstrip()


# Counting -------------------------------------------------------------------------------------


def tokens_of(text: str) -> list[str]:
    """The tokens of a text; joined, they are the text again."""
    return _TOKEN.findall(text)


def last_text(messages: list[Message]) -> str:
    """What was said last, by a user or as a tool's result."""
    spoken = (message for message in reversed(messages) if message.role in ("user", "tool"))
    last = next(spoken, None)
    return "" if last is None else "".join(_texts(last))


def _texts(message: Message) -> list[str]:
    if isinstance(message.content, str):
        return [message.content]
    return [str(part["text"]) for part in message.content or () if "text" in part]


def prompt_texts(asked: Asked) -> list[str]:
    """Everything in a request that is counted by its tokens."""
    texts = [text for message in asked.messages for text in _texts(message)]
    texts += [_json_text(m.tool_calls) for m in asked.messages if m.tool_calls]
    texts += [_json_text(part) for part in (asked.tools, asked.response_format) if part]
    return texts


def prompt_tokens(asked: Asked) -> int:
    """What the request costs, by the rule at the top of this module."""
    count = TOKENS_PER_MESSAGE * len(asked.messages)
    count += sum(len(tokens_of(text)) for text in prompt_texts(asked))
    for message in asked.messages:
        if isinstance(message.content, list):
            count += TOKENS_PER_MEDIUM * sum("text" not in part for part in message.content)
    return count


def _json_text(value: Any) -> str:
    return _ENCODER.encode(value).decode()


# The bytes ------------------------------------------------------------------------------------


class Script(Struct, kw_only=True):
    """A reply on its way to bytes."""

    asked: Asked
    model: str
    reply: Reply
    slow_s: float
    cut: bool

    def whole(self) -> Iterator[tuple[float, bytes]]:
        content = "".join(self.reply.tokens)
        message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": None}
        if self.reply.tool:
            message |= {"content": None, "tool_calls": [self._call(content)]}
        body = _ENCODER.encode(
            {
                **self._head("chat.completion"),
                "choices": [
                    {
                        "index": index,
                        "message": message,
                        "logprobs": None,
                        "finish_reason": self.reply.finish_reason,
                    }
                    for index in range(self.asked.n)
                ],
                "usage": self._usage(),
            }
        )
        if self.cut:
            yield self.slow_s, body[: len(body) // 2]
            raise _cut()
        yield self.slow_s, body

    def stream(self, *, pace_s: float, chunks_max: int) -> Iterator[tuple[float, bytes]]:
        tokens = self.reply.tokens
        size = -(-len(tokens) // max(chunks_max, 1)) or 1
        yield self.slow_s, self._chunks(self._first_delta(), None)
        for start in range(0, len(tokens), size):
            if self.cut and start * 2 >= len(tokens):
                break
            piece = "".join(tokens[start : start + size])
            yield pace_s, self._chunks(self._delta(piece), None)
        if self.cut:
            raise _cut()
        end = b"" if self.reply.finish_reason is None else self._end()
        if self.asked.stream_options.include_usage:
            head = self._head("chat.completion.chunk")
            end += _event({**head, "choices": [], "usage": self._usage()})
        yield 0.0, end + b"data: [DONE]\n\n"

    def _end(self) -> bytes:
        return self._chunks({}, self.reply.finish_reason)

    def _first_delta(self) -> dict[str, Any]:
        if self.reply.tool:
            call = {"index": 0, **self._call("")}
            return {"role": "assistant", "content": None, "tool_calls": [call]}
        return {"role": "assistant", "content": "", "refusal": None}

    def _delta(self, piece: str) -> dict[str, Any]:
        if self.reply.tool:
            return {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
        return {"content": piece}

    def _chunks(self, delta: dict[str, Any], finish_reason: str | None) -> bytes:
        """One chunk for each choice."""
        head = self._head("chat.completion.chunk")
        choice = {"delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return b"".join(
            _event({**head, "choices": [{"index": index, **choice}]})
            for index in range(self.asked.n)
        )

    def _call(self, arguments: str) -> dict[str, Any]:
        function = {"name": self.reply.tool, "arguments": arguments}
        return {"id": "call_sandbox", "type": "function", "function": function}

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": "chatcmpl-sandbox",
            "object": kind,
            "created": 0,  # no clock: the same request gets the same bytes
            "model": f"sandbox/{self.model}",
            "system_fingerprint": "sandbox",
        }

    def _usage(self) -> dict[str, int]:
        prompt = prompt_tokens(self.asked)
        completion = len(self.reply.tokens) * self.asked.n
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % _ENCODER.encode(chunk)


def _cut() -> Fault:
    return Fault("broken", "the sandbox was asked to cut the connection")
