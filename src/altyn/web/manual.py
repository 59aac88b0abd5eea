"""What the documentation tells in tables: parameters, filters, headers, codes, and sample answers.

The texts of the first four parameters are those of the public page. Tests hold each table against
what the API takes and gives.
"""

import re

from msgspec import Struct

from altyn.error_texts import MESSAGES
from altyn.errors import AltynError
from altyn.gateway.refusals import list_api_errors
from altyn.web.texts import N_


class Entry(Struct, frozen=True):
    """A line of a table. `kind` is a word of JSON, or empty."""

    name: str
    kind: str
    text: str


FIRST_PARAMETERS = (
    Entry("model", "string", N_("ID of the model (required)")),
    Entry("messages", "array", N_("Array of messages (required)")),
    Entry("temperature", "float", N_("0-2, 0.7 by default")),
    Entry("max_tokens", "integer", N_("1-8192, 2048 by default")),
)

MORE_PARAMETERS = (
    Entry("max_completion_tokens", "integer", N_("Another name of `max_tokens`")),
    Entry("models", "array", N_("Up to 3 more models, tried in order when the first cannot serve")),
    Entry("stream", "boolean", N_("Answer with events, as `/chat/stream` does")),
    Entry("stream_options", "object", N_("`include_usage`: send the event with usage and cost")),
    Entry("top_p", "float", N_("0 to 1; instead of `temperature`")),
    Entry("stop", "string, array", N_("Up to 16 texts at which the answer ends")),
    Entry("seed", "integer", N_("For answers that repeat, where the model can")),
    Entry("n", "integer", N_("1 to 128 answers; each is paid for")),
    Entry("presence_penalty", "float", N_("-2 to 2")),
    Entry("frequency_penalty", "float", N_("-2 to 2")),
    Entry("logit_bias", "object", N_("-100 to 100 by token")),
    Entry("logprobs", "boolean", N_("Tell the probabilities of tokens")),
    Entry("top_logprobs", "integer", N_("0 to 20")),
    Entry("tools", "array", N_("Up to 128 functions that the model may ask for")),
    Entry("tool_choice", "string, object", N_("`none`, `auto`, `required`, or one function")),
    Entry("parallel_tool_calls", "boolean", N_("Whether several may be asked for at once")),
    Entry("response_format", "object", N_("`text`, `json_object` or `json_schema`")),
    Entry("reasoning_effort", "string", N_("How hard to think: `none`, `minimal`, `low` … `max`")),
    Entry(
        "reasoning",
        "object",
        N_("The longer form: `effort`, `max_tokens`, `exclude`, `enabled`"),
    ),
    Entry("verbosity", "string", N_("`low`, `medium` or `high`")),
    Entry("user", "string", N_("Your name for who asks, up to 512 characters; passed on")),
    Entry("metadata", "object", N_("Accepted, not passed on")),
)

USAGE_FILTERS = (
    Entry("from", "string", N_("Date (midnight UTC) or time, inclusive")),
    Entry("to", "string", N_("Date or time, exclusive")),
    Entry("model", "string", N_("Only this model")),
    Entry("key_id", "integer", N_("Only this key")),
    Entry("status", "string", N_("`success`, `error` or `cancelled`")),
    Entry("mode", "string", N_("`live` or `test`")),
    Entry(
        "group_by",
        "string",
        N_("Totals by `day`, `hour`, `model`, `key` or `status`"),
    ),
    Entry("limit", "integer", N_("1 to 100 records on a page, 20 by default")),
    Entry("cursor", "string", N_("`next_cursor` of the page before; right while records come")),
    Entry("page", "integer", N_("Number of the page from 1, instead of a cursor")),
)

HEADERS = (
    Entry("X-Request-Id", "", N_("The name of the request; support finds the call by it")),
    Entry(
        "X-Request-Cost", "", N_("What a whole answer cost; a stream says it in its usage event")
    ),
    Entry("X-Balance-Available", "", N_("What is available after the call")),
    Entry(
        "X-RateLimit-Limit-Requests", "", N_("Requests a minute: the tightest limit that applies")
    ),
    Entry("X-RateLimit-Remaining-Requests", "", N_("How many of them are left")),
    Entry("X-RateLimit-Reset-Requests", "", N_("When all are back: `20ms`, `1.5s`, `6m0s`")),
    Entry("X-Ignored-Parameters", "", N_("Names from your request that were left out")),
    Entry("Retry-After", "", N_("Seconds to wait, with 429 and 503")),
)

TROUBLE = (
    Entry("!429", "", N_("the provider is overloaded")),
    Entry("!500", "", N_("the provider fails")),
    Entry("!slow", "", N_("a slow answer")),
    Entry("!cut", "", N_("an answer that breaks off")),
    Entry("!empty", "", N_("an empty answer")),
)


class ErrorLine(Struct, frozen=True):
    """A code that a caller can meet. In `text` the names of facts, and commands, are `marked`."""

    status: int
    type: str
    code: str
    text: str


FACT = re.compile(r"\{(\w+)[^}]*\}")
QUOTED = re.compile(r"«([^»`а-яё]+)»", re.IGNORECASE)


def error_lines(language: str) -> list[ErrorLine]:
    """The table of codes, from the errors themselves."""
    return [
        ErrorLine(error.status, error.type, error.code, _marked(MESSAGES[error.code][language]))
        for error in sorted(list_api_errors(), key=_place)
    ]


def _marked(text: str) -> str:
    return QUOTED.sub(r"`\1`", FACT.sub(r"`\1`", text))


def _place(error: type[AltynError]) -> tuple[int, str]:
    return error.status, error.code


SAMPLES = {
    "answer": """\
{
  "id": "chatcmpl-01a203e5d4f3d65e9e0ef6d0326f",
  "object": "chat.completion",
  "created": 1795361723,
  "model": "sandbox/echo",
  "choices": [{
    "index": 0,
    "message": {"role": "assistant", "content": "Hello!", "refusal": null},
    "logprobs": null,
    "finish_reason": "stop"
  }],
  "usage": {
    "prompt_tokens": 5,
    "completion_tokens": 2,
    "total_tokens": 7,
    "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "image_tokens": 0},
    "cost": 0.0000013,
    "currency": "USD"
  },
  "system_fingerprint": "sandbox"
}""",
    "events": """\
data: {"id":"chatcmpl-01a2…","choices":[{"index":0,"delta":{"content":"Hello!"}}]}

data: {"id":"chatcmpl-01a2…","choices":[],"usage":{"total_tokens":7, … "cost":0.0000013}}

data: [DONE]""",
    "balance": """\
{
  "object": "balance",
  "currency": "USD",
  "balance": "12.340000000",
  "held": "0.012000000",
  "available": "12.328000000",
  "total_deposited": "20.000000000",
  "total_used": "7.660000000"
}""",
    "usage": """\
{
  "object": "list",
  "data": [{
    "id": "chatcmpl-01a203e5d4f3d65e9e0ef6d0326f",
    "created_at": "2026-11-22T15:35:23.635Z",
    "model": "sandbox/echo",
    "key_id": 1,
    "mode": "live",
    "status": "success",
    "stream": false,
    "prompt_tokens": 5,
    "cached_tokens": 0,
    "cache_write_tokens": 0,
    "completion_tokens": 2,
    "reasoning_tokens": 0,
    "total_tokens": 7,
    "cost": "0.000001300",
    "latency_ms": 640,
    "time_to_first_token_ms": 210,
    "finish_reason": "stop",
    "error_code": null,
    "outcome": "charged",
    "served_model": null
  }],
  "has_more": false,
  "next_cursor": null,
  "summary": {
    "requests": 1,
    "prompt_tokens": 5,
    "completion_tokens": 2,
    "total_tokens": 7,
    "cost": "0.000001300",
    "currency": "USD"
  }
}""",
    "error": """\
{"error": {
  "message": "Not enough money: …",
  "type": "billing_error",
  "code": "insufficient_balance",
  "param": null,
  "request_id": "req_01a203e5d571aead1e90319a4212",
  "required": "0.003209000",
  "available": "0.000500000",
  "held": "0.000000000",
  "shortfall": "0.002709000",
  "currency": "USD",
  "affordable_max_tokens": 1227,
  "top_up_url": "https://ai.example.com/billing"
}}""",
}
"""Answers as they look; `events` is what comes by the wire, the others are JSON."""
