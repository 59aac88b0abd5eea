"""The words of a chat: what is asked, what is answered, what was used.

`ChatBody` is what a caller may send, checked by type. `Chat` is what is said to an upstream. An
answer comes back as one `Answer` or as `ChatEvent`s; both carry choices that are already in
OpenAI's shape, as bytes, so that an upstream speaking that shape is relayed without being rebuilt.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from altyn.money import Nanos

# What is asked --------------------------------------------------------------------------------


class TextPart(Struct, tag_field="type", tag="text"):
    text: str


class ImageUrl(Struct):
    url: str
    detail: Literal["low", "high", "auto"] | None = None


class ImagePart(Struct, tag_field="type", tag="image_url"):
    image_url: ImageUrl


class FileRef(Struct):
    filename: str | None = None
    file_data: str | None = None
    file_id: str | None = None


class FilePart(Struct, tag_field="type", tag="file"):
    file: FileRef


class Audio(Struct):
    data: str
    format: str


class AudioPart(Struct, tag_field="type", tag="input_audio"):
    input_audio: Audio


class RefusalPart(Struct, tag_field="type", tag="refusal"):
    refusal: str


Part = TextPart | ImagePart | FilePart | AudioPart | RefusalPart


class FunctionCall(Struct):
    name: str
    arguments: str


class ToolCall(Struct):
    id: str
    function: FunctionCall
    type: Literal["function"] = "function"


class SystemMessage(Struct, tag_field="role", tag="system"):
    content: str | list[Part]
    name: str | None = None


class DeveloperMessage(Struct, tag_field="role", tag="developer"):
    content: str | list[Part]
    name: str | None = None


class UserMessage(Struct, tag_field="role", tag="user"):
    content: str | list[Part]
    name: str | None = None


class AssistantMessage(Struct, tag_field="role", tag="assistant"):
    content: str | list[Part] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    reasoning_details: list[dict[str, Any]] | None = None


class ToolMessage(Struct, tag_field="role", tag="tool"):
    content: str | list[Part]
    tool_call_id: str


Message = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage


class Function(Struct):
    name: Annotated[str, Meta(min_length=1, max_length=64)]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(Struct):
    function: Function
    type: Literal["function"] = "function"


class NamedTool(Struct):
    name: str


class ToolChoice(Struct):
    function: NamedTool
    type: Literal["function"] = "function"


class JsonSchema(Struct):
    name: str
    description: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class ResponseFormat(Struct):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class StreamOptions(Struct):
    include_usage: bool = False
    include_obfuscation: bool | None = None


class Reasoning(Struct):
    """OpenRouter's form of asking for reasoning; `reasoning_effort` is its short form."""

    effort: str | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    exclude: bool | None = None
    enabled: bool | None = None


Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Stop = Annotated[str, Meta(max_length=1000)]
ModelName = Annotated[str, Meta(min_length=1, max_length=200)]


class ChatBody(Struct):
    """The body of `POST /chat/completions` and `POST /chat/stream`.

    `max_tokens` beyond the model's cap is refused later, where the model is known. `models` are
    tried in order when `model` cannot serve.
    """

    model: ModelName
    messages: Annotated[list[Message], Meta(min_length=1)]
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    stop: Stop | Annotated[list[Stop], Meta(max_length=16)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: dict[str, Annotated[float, Meta(ge=-100, le=100)]] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    tools: Annotated[list[Tool], Meta(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: Effort | None = None
    reasoning: Reasoning | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    user: Annotated[str, Meta(max_length=512)] | None = None
    metadata: dict[str, str] | None = None
    models: Annotated[list[ModelName], Meta(max_length=3)] | None = None


def asks_to_reason(fields: dict[str, Any]) -> bool:
    """Whether a body in chat form asks for reasoning, in either of its two ways."""
    reasoning = fields.get("reasoning") or {}
    effort = reasoning.get("effort") or fields.get("reasoning_effort")
    if effort == "none" or reasoning.get("enabled") is False:
        return False
    return bool(effort or reasoning.get("max_tokens") or reasoning.get("enabled"))


class Chat(Struct, frozen=True, kw_only=True):
    """One chat as it is said to an upstream.

    `fields` is the caller's body in chat form with only what the model takes, defaults filled in,
    without `model`, `stream` and `stream_options`: those are the dialect's to say. `reasons` if the
    model may think before it speaks.
    """

    model: str
    messages: list[Message]
    fields: dict[str, Any]
    max_tokens: int
    n: int = 1
    stream: bool = False
    reasons: bool = False


# What was used --------------------------------------------------------------------------------


class Usage(Struct, kw_only=True):
    """Tokens by disjoint kind, each 0 or more, as one provider counted one answer.

    `input_uncached + cache_read + cache_write_5m + cache_write_1h + audio_input` is the prompt,
    less `written_on_top`: tokens billed as written beside what they are billed as anyway.
    `output_text + reasoning + image` is the completion. `cost_nanos` is what the provider says the
    call cost us, where it says so. `flagged` when the provider's own total disagrees. `refused`
    when a number cannot be right, below 0 or no integer: then nothing of the report is believed.
    `partial` when the answer ended before its final count: the prompt as the provider counted it,
    the completion by our own count of what was delivered.
    """

    input_uncached: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    audio_input: int = 0
    output_text: int = 0
    reasoning: int = 0
    image: int = 0
    web_searches: int = 0
    written_on_top: int = 0
    cost_nanos: Nanos | None = None
    flagged: bool = False
    refused: bool = False
    partial: bool = False

    @property
    def input_tokens(self) -> int:
        return (
            self.input_uncached
            + self.cache_read
            + self.cache_write_5m
            + self.cache_write_1h
            + self.audio_input
            - self.written_on_top
        )

    @property
    def cache_write(self) -> int:
        return self.cache_write_5m + self.cache_write_1h

    @property
    def output_tokens(self) -> int:
        return self.output_text + self.reasoning + self.image

    @property
    def total_tokens(self) -> int:
        # Asked several times for each call: one sum, not two sums of sums.
        return (
            self.input_uncached
            + self.cache_read
            + self.cache_write_5m
            + self.cache_write_1h
            + self.audio_input
            - self.written_on_top
            + self.output_text
            + self.reasoning
            + self.image
        )


# What is answered -----------------------------------------------------------------------------


class Fault(Exception):  # noqa: N818 -- it is also a value: dialects return it, the client judges it
    """An upstream said no, or said nothing that can be read.

    `kind` decides what happens next; `message` is the vendor's text, for the operator, and for the
    caller only when the request itself was wrong. `retry_after_s` as the vendor asked for.
    """

    Kind = Literal[
        "bad_request",  # the caller's request is wrong: 400, no other route is tried
        "context_length",  # too long for this model: 400
        "too_large",  # body too large: 413
        "auth",  # the operator's key is refused: the route rests, the operator is told
        "quota",  # the operator's money at the vendor is spent
        "not_found",  # the vendor does not know the model
        "rate_limit",  # the operator's quota per minute is spent
        "overloaded",  # 503, 529
        "server",  # any other 5xx
        "timeout",  # 408, 504, 524, or our own patience ended
        "connect",  # no connection: nothing was sent
        "broken",  # the answer ended early or mid-way
        "invalid",  # an answer that is not in the dialect
    ]

    def __init__(
        self,
        kind: Kind,
        message: str = "",
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(f"{kind} {status or ''} {message}".strip())
        self.kind = kind
        self.message = message
        self.status = status
        self.retry_after_s = retry_after_s
        self.param = param
        # Filled in by the client: who said so, after how many attempts, to which errand of several.
        self.provider: str | None = None
        self.turn = 0
        self.attempts = 1
        self.began = False  # part of a whole answer had come, so the vendor bills it
        self.usage: Usage | None = None  # reported together with the failure
        self.raw = b""  # what the vendor said, word for word: for the operator's own trials

    @property
    def may_be_billed(self) -> bool:
        """Whether the vendor has worked, as far as anybody can tell, though nothing was delivered.

        A vendor's own refusal is free; one whom we stopped waiting for goes on and bills.
        """
        gave_up = self.kind == "timeout" and self.status is None
        return self.began or gave_up or self.usage is not None


class ChatEvent(Struct, gc=False):
    """One step of a streamed answer.

    `choices` is the JSON array that goes into the caller's chunk, `b""` when there is nothing to
    pass on (a usage event). `delivered_bytes` counts the UTF-8 bytes of text, reasoning and tool
    arguments in it, for an estimate if the usage never comes. `finish_reason` of its first choice
    that has one.
    """

    choices: bytes = b""
    delivered_bytes: int = 0
    finish_reason: str | None = None
    usage: Usage | None = None
    upstream_id: str | None = None
    upstream_model: str | None = None
    system_fingerprint: str | None = None


class Answer(Struct, kw_only=True):
    """A whole answer. `choices` is the JSON array of OpenAI's `chat.completion`."""

    choices: bytes
    delivered_bytes: int = 0
    finish_reason: str | None = None
    usage: Usage | None = None
    upstream_id: str | None = None
    upstream_model: str | None = None
    system_fingerprint: str | None = None


class UpstreamRequest(Struct, frozen=True, kw_only=True):
    """What a dialect wants sent: `path` is joined to the provider's base URL.

    The secret is not in here: the client adds it, so that no dialect, log or test ever holds one.
    """

    path: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
