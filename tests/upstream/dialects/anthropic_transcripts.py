# ruff: noqa: E501 -- what vendors send stands on one line, as it came
"""Chats with Anthropic's Messages API: as recorded, and in the vendor's own spacing."""

import base64
import json
from typing import Any

from transcript import HELLO, Transcript, told

from altyn.chat import Usage

SONNET = "claude-sonnet-4-5-20250929"
OPUS = "claude-opus-4-1-20250805"
NEWER = "claude-sonnet-4-6"
Block = dict[str, Any]
FORMAT = "anthropic-claude-v1"


# The vendor's bytes ---------------------------------------------------------------------------


def reported(input_tokens: int = 12, output_tokens: int = 34, **more: Any) -> Block:
    cached = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    split = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}
    return {
        "input_tokens": input_tokens,
        **cached,
        "cache_creation": split,
        "output_tokens": output_tokens,
        "service_tier": "standard",
        **more,
    }


def frame(content: list[Block], stop: str | None, usage: Block, **more: Any) -> Block:
    return {
        "model": SONNET,
        "id": "msg_01AAAA",
        "type": "message",
        "role": "assistant",
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": usage,
        **more,
    }


def message(
    *content: Block, stop: str | None = "end_turn", usage: Block | None = None, **more: Any
) -> bytes:
    """A whole answer."""
    return compact(frame(list(content), stop, usage or reported(), **more))


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def event(name: str, padding: int = 4, **members: Any) -> bytes:
    """One event: named, its JSON padded with spaces before the closing brace, as recorded."""
    data = compact({"type": name, **members})[:-1] + b" " * padding + b"}"
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


PING = b'event: ping\ndata: {"type": "ping"}\n\n'
STOP = event("message_stop", 9)
OVERLOADED = b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}\n\n'


def start(usage: Block | None = None, **more: Any) -> bytes:
    first = {**(usage or reported()), "output_tokens": 1, "inference_geo": "not_available"}
    first.pop("output_tokens_details", None)
    return event("message_start", message=frame([], None, first, **more))


def ending(
    stop: str | None = "end_turn", usage: Block | None = None, details: Block | None = None
) -> bytes:
    told_again = {
        k: v
        for k, v in (usage or reported()).items()
        if k not in ("cache_creation", "service_tier")
    }
    delta = {"stop_reason": stop, "stop_sequence": None}
    if details is not None:
        delta["stop_details"] = details
    return event("message_delta", 6, delta=delta, usage=told_again)


def block(index: int, content: Block) -> bytes:
    """One block of an answer, from its start to its stop."""
    kind = content["type"]
    empty = {
        "text": {"text": ""},
        "thinking": {"thinking": "", "signature": ""},
        "tool_use": {"input": {}},
    }
    opened = {**content, **empty.get(kind, {})}
    opened.pop("citations", None)
    pieces = [event("content_block_start", 10, index=index, content_block=opened)]
    pieces += [
        event("content_block_delta", 7, index=index, delta=delta) for delta in deltas(content)
    ]
    return b"".join([*pieces, event("content_block_stop", 2, index=index)])


def deltas(content: Block) -> list[Block]:
    match content["type"]:
        case "text":
            cited = [
                {"type": "citations_delta", "citation": c} for c in content.get("citations", ())
            ]
            return cited + [{"type": "text_delta", "text": part} for part in cut(content["text"])]
        case "thinking":
            said = [
                {"type": "thinking_delta", "thinking": part} for part in cut(content["thinking"])
            ]
            return [*said, {"type": "signature_delta", "signature": content["signature"]}]
        case "tool_use":
            text = compact(content["input"]).decode() if content["input"] else ""
            return [{"type": "input_json_delta", "partial_json": part} for part in ["", *cut(text)]]
    return []


def cut(text: str) -> list[str]:
    return [text[i : i + 7] for i in range(0, len(text), 7)]


def stream(
    *content: Block,
    stop: str | None = "end_turn",
    usage: Block | None = None,
    details: Block | None = None,
) -> bytes:
    """The same answer as events, with pings where they may come."""
    blocks = [block(index, part) for index, part in enumerate(content)]
    return b"".join([start(usage), PING, *blocks, PING, ending(stop, usage, details), STOP])


def text(said: str, *citations: Block) -> Block:
    return {"type": "text", "text": said, **({"citations": list(citations)} if citations else {})}


def thinking(said: str, signature: str = "EusBClsI+/=") -> Block:
    return {"type": "thinking", "thinking": said, "signature": signature}


def redacted(data: str = "EmwKAhgB") -> Block:
    return {"type": "redacted_thinking", "data": data}


def tool(name: str, number: str = "toolu_01AAAA", **arguments: Any) -> Block:
    return {"type": "tool_use", "id": number, "name": name, "input": arguments}


def detail(said: str, signature: str | None = "EusBClsI+/=", index: int = 0) -> Block:
    signed = {"signature": signature} if signature else {}
    return {"type": "reasoning.text", "text": said, **signed, "format": FORMAT, "index": index}


def hidden(data: str = "EmwKAhgB", index: int = 0) -> Block:
    return {"type": "reasoning.encrypted", "data": data, "format": FORMAT, "index": index}


def call(name: str, number: str = "toolu_01AAAA", **arguments: Any) -> tuple[str, str, str]:
    return number, name, compact(arguments).decode()


def said_once(content: str | None = None, native: str = "end_turn", **more: Any) -> tuple[Block]:
    return (told(content, native_finish_reason=native, **more),)


# Answers, whole and streamed ------------------------------------------------------------------

USAGE = Usage(input_uncached=12, output_text=34)


def both(
    name: str,
    *content: Block,
    said: tuple[Block, ...],
    stop: str | None = "end_turn",
    usage: Block | None = None,
    counted: Usage = USAGE,
    details: Block | None = None,
    **more: Any,
) -> list[Transcript]:
    """One answer, in one piece and as a stream; what is said must be the same."""
    whole = message(
        *content, stop=stop, usage=usage, **({"stop_details": details} if details else {})
    )
    asked = more.pop("chat", {"messages": HELLO})
    shared: Block = {
        "dialect": "anthropic",
        "model": SONNET,
        "said": said,
        "usage": counted,
        **more,
    }
    return [
        Transcript(name=f"{name}, whole", back=whole, chat=asked, **shared),
        Transcript(
            name=f"{name}, streamed",
            back=stream(*content, stop=stop, usage=usage, details=details),
            chat={**asked, "stream": True},
            same_as=f"{name}, whole",
            **shared,
        ),
    ]


PAGE = {
    "type": "web_search_result_location",
    "url": "https://example.org/rome",
    "title": "Rome",
    "encrypted_index": "Eo8B",
    "cited_text": "21 degrees",
}
CHARACTERS = {
    "type": "char_location",
    "cited_text": "x",
    "document_index": 0,
    "start_char_index": 0,
    "end_char_index": 1,
}
CITED = {
    "url": PAGE["url"],
    "title": "Rome",
    "content": "21 degrees",
    "start_index": 6,
    "end_index": 16,
}

ANSWERS = [
    *both("text", text("Hello, world: this is it."), said=said_once("Hello, world: this is it.")),
    *both("text of several bytes a letter", text("Привет, мир 🙂 и вам"), said=said_once("Привет, мир 🙂 и вам")),
    *both("text with quotes and line breaks", text('She said "no"\n\n\\o/ \u2028'), said=said_once('She said "no"\n\n\\o/ \u2028')),
    *both("several texts are one", text("Hello, "), text("world"), said=said_once("Hello, world")),
    *both("nothing at all", said=said_once(""), usage=reported(12, 3), counted=Usage(input_uncached=12, output_text=3)),
    *both("a stop sequence", text("1, 2"), stop="stop_sequence", said=said_once("1, 2", "stop_sequence")),
    *both("the limit was spent", text("Once upon"), stop="max_tokens", said=said_once("Once upon", "max_tokens", finish_reason="length")),
    *both(
        "the window is full",
        text("Once upon"),
        stop="model_context_window_exceeded",
        said=said_once("Once upon", "model_context_window_exceeded", finish_reason="length"),
    ),
    *both("a paused turn", text("Looking"), stop="pause_turn", said=said_once("Looking", "pause_turn")),
    *both("a reason nobody knows", text("Well"), stop="novelty", said=said_once("Well", "novelty")),
    *both("a reason nobody knows, after a call", tool("f"), stop="novelty", said=said_once(None, "novelty", calls=[call("f")], finish_reason="tool_calls")),
    *both("a reason nobody knows, and no answer", stop="novelty", said=said_once("", "novelty", finish_reason=None)),
    *both(
        "a refusal that is explained",
        text("I can"),
        stop="refusal",
        details={"type": "refusal", "category": "bio", "explanation": "It could harm."},
        said=said_once("I can", "refusal", refusal="It could harm.", finish_reason="content_filter"),
    ),
    *both("a refusal without a word", stop="refusal", said=said_once("", "refusal", finish_reason="content_filter")),
    *both(
        "one call of a tool",
        tool("weather", city="Rome", days=3),
        stop="tool_use",
        said=said_once(None, "tool_use", calls=[call("weather", city="Rome", days=3)], finish_reason="tool_calls"),
    ),
    *both(
        "a text, then a call without arguments",
        text("Let me see."),
        tool("now"),
        stop="tool_use",
        said=said_once("Let me see.", "tool_use", calls=[call("now")], finish_reason="tool_calls"),
    ),
    *both(
        "the same tool twice, and another",
        tool("weather", "toolu_1", city="Rome"),
        tool("weather", "toolu_2", city="Oslo"),
        tool("now", "toolu_3"),
        stop="tool_use",
        said=said_once(
            None,
            "tool_use",
            calls=[call("weather", "toolu_1", city="Rome"), call("weather", "toolu_2", city="Oslo"), call("now", "toolu_3")],
            finish_reason="tool_calls",
        ),
    ),
    *both(
        "numbers in arguments come digit for digit",
        tool("pay", amount=12345678901234567890, ratio=1.10),
        stop="tool_use",
        said=said_once(None, "tool_use", calls=[call("pay", amount=12345678901234567890, ratio=1.10)], finish_reason="tool_calls"),
    ),
    *both(
        "thinking, then text",
        thinking("The user greets me."),
        text("Hello!"),
        said=said_once("Hello!", reasoning="The user greets me.", reasoning_details=[detail("The user greets me.")]),
        usage=reported(12, 34, output_tokens_details={"thinking_tokens": 20}),
        counted=Usage(input_uncached=12, output_text=14, reasoning=20),
    ),
    *both(
        "thinking, text and a call",
        thinking("Weather is asked for."),
        text("I look."),
        tool("weather", city="Рим"),
        stop="tool_use",
        said=said_once(
            "I look.",
            "tool_use",
            reasoning="Weather is asked for.",
            reasoning_details=[detail("Weather is asked for.")],
            calls=[call("weather", city="Рим")],
            finish_reason="tool_calls",
        ),
    ),
    *both(
        "thinking that is not shown",
        redacted(),
        text("Hello!"),
        said=said_once("Hello!", reasoning_details=[hidden()]),
    ),
    *both(
        "thinking that is shown in part",
        thinking("One.", "c2lnMQ=="),
        redacted("RGF0YQ=="),
        thinking("Two.", "c2lnMg=="),
        text("Three."),
        said=said_once(
            "Three.",
            reasoning="One.Two.",
            reasoning_details=[detail("One.", "c2lnMQ=="), hidden("RGF0YQ==", 1), detail("Two.", "c2lnMg==", 2)],
        ),
    ),
    *both(
        "thinking of which only the signature is given",
        thinking("", "c2ln"),
        text("Hello!"),
        said=said_once("Hello!", reasoning_details=[detail("", "c2ln")]),
    ),
    *both(
        "the limit was spent on thinking",
        thinking("Hmm, hmm"),
        stop="max_tokens",
        said=said_once("", "max_tokens", reasoning="Hmm, hmm", reasoning_details=[detail("Hmm, hmm")], finish_reason="length"),
    ),
    *both(
        "a text from a page of the web",
        text("It is "),
        text("21 degrees", PAGE, CHARACTERS),
        text(" now."),
        said=said_once("It is 21 degrees now.", annotations=[{"type": "url_citation", "url_citation": CITED}]),
        usage=reported(12, 34, server_tool_use={"web_search_requests": 2, "web_fetch_requests": 0}),
        counted=Usage(input_uncached=12, output_text=34, web_searches=2),
    ),
    *both(
        "the vendor's own tools are not the caller's",
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
        {"type": "novelty", "anything": [1]},
        text("Found."),
        said=said_once("Found."),
    ),
    *both("usage that cannot be right", text("Yes"), said=said_once("Yes"), usage=reported(-1), counted=Usage(refused=True)),
    *both(
        "a cache read, and written for both times",
        text("Yes"),
        said=said_once("Yes"),
        usage=reported(
            5, 7, cache_read_input_tokens=1000, cache_creation_input_tokens=300,
            cache_creation={"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
        ),
        counted=Usage(input_uncached=5, cache_read=1000, cache_write_5m=100, cache_write_1h=200, output_text=7),
    ),
]  # fmt: skip


# Streams that are told otherwise than in one piece --------------------------------------------

RECORDED = rb"""event: message_start
data: {"type":"message_start","message":{"model":"claude-sonnet-4-20250514","id":"msg_01AAAA","type":"message","role":"assistant","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":43,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":1,"service_tier":"standard","inference_geo":"not_available"}}    }

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}          }

event: ping
data: {"type": "ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"This"}       }

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EusBClsI"}      }

event: content_block_stop
data: {"type":"content_block_stop","index":0  }

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":" streets."}        }

event: content_block_stop
data: {"type":"content_block_stop","index":1               }

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_01AAAA","name":"get_x","input":{}}     }

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":""} }

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"a\": 1}"} }

event: content_block_stop
data: {"type":"content_block_stop","index":2               }

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":43,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":282}      }

event: message_stop
data: {"type":"message_stop"         }

"""

HI = block(0, text("Hi"))
CACHED = reported(
    5, 7, cache_creation_input_tokens=300,
    cache_creation={"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
)  # fmt: skip


def streamed(name: str, back: bytes, **more: Any) -> Transcript:
    chat = {"messages": HELLO, "stream": True}
    return Transcript(name=name, dialect="anthropic", model=SONNET, chat=chat, back=back, **more)


STREAMS = [
    streamed(
        "a recorded stream",
        RECORDED,
        said=said_once(
            " streets.",
            "tool_use",
            reasoning="This",
            reasoning_details=[detail("This", "EusBClsI")],
            calls=[("toolu_01AAAA", "get_x", '{"a": 1}')],
            finish_reason="tool_calls",
        ),
        usage=Usage(input_uncached=43, output_text=282),
    ),
    streamed(
        "a recorded stream with CRLF",
        RECORDED.replace(b"\n", b"\r\n"),
        said=said_once(
            " streets.",
            "tool_use",
            reasoning="This",
            reasoning_details=[detail("This", "EusBClsI")],
            calls=[("toolu_01AAAA", "get_x", '{"a": 1}')],
            finish_reason="tool_calls",
        ),
        usage=Usage(input_uncached=43, output_text=282),
    ),
    streamed(
        "the output counted at the start is a placeholder",
        start(reported(12, 88)).replace(b'"output_tokens":1,', b'"output_tokens":88,') + HI + ending(usage=reported(12, 3)) + STOP,
        said=said_once("Hi"),
        usage=Usage(input_uncached=12, output_text=3),
    ),
    streamed(
        "input that has grown by the vendor's own tools",
        start(reported(2293)) + HI + ending(usage=reported(4714, 9)) + STOP,
        said=said_once("Hi"),
        usage=Usage(input_uncached=4714, output_text=9),
    ),
    streamed(
        "an end that counts only the output",
        start(CACHED) + HI + event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 9}) + STOP,
        said=said_once("Hi"),
        usage=Usage(input_uncached=5, cache_write_5m=100, cache_write_1h=200, output_text=9),
    ),
    streamed(
        "an end that has written more than the start",
        start(CACHED) + HI + ending(usage={**CACHED, "cache_creation_input_tokens": 350}) + STOP,
        said=said_once("Hi"),
        usage=Usage(input_uncached=5, cache_write_5m=150, cache_write_1h=200, output_text=7),
    ),
    streamed(
        "written tokens without a split",
        start({"input_tokens": 5, "cache_creation_input_tokens": 300, "output_tokens": 1}) + HI + ending(usage={"output_tokens": 9}) + STOP,
        said=said_once("Hi"),
        usage=Usage(input_uncached=5, cache_write_5m=300, output_text=9),
    ),
    streamed(
        "only the end cannot be right",
        start() + HI + ending(usage={"output_tokens": 10**10}) + STOP,
        said=said_once("Hi"),
        usage=Usage(refused=True),
    ),
    streamed(
        "two ends count once",
        start() + HI + ending(None, reported(12, 20)) + ending(usage=reported(12, 34)) + STOP,
        said=said_once("Hi"),
        usage=USAGE,
    ),
    streamed(
        "nobody counts anything",
        event("message_start", message={"id": "msg_1", "model": SONNET}) + HI + event("message_delta", delta={"stop_reason": "end_turn"}) + STOP,
        said=said_once("Hi"),
    ),
    streamed(
        "unknown events and members are passed over",
        start() + event("novelty", members=[1, {"a": None}]) + HI.replace(b'"index":0', b'"novel":{"x":1},"index":0') + ending() + STOP,
        said=said_once("Hi"),
        usage=USAGE,
    ),
    streamed("the body ends after the end of the message", start() + HI + ending(), said=said_once("Hi"), usage=USAGE),
    streamed(
        "blocks that begin with what they say",
        start()
        + event("content_block_start", index=0, content_block=thinking("So", "c2ln"))
        + event("content_block_stop", index=0)
        + event("content_block_start", index=1, content_block=text("Hi"))
        + event("content_block_stop", index=1)
        + event("content_block_start", index=2, content_block=tool("f", a=1))
        + event("content_block_stop", index=2)
        + ending("tool_use")
        + STOP,
        said=said_once("Hi", "tool_use", reasoning="So", reasoning_details=[detail("So", "c2ln")], calls=[call("f", a=1)], finish_reason="tool_calls"),
        usage=USAGE,
    ),
    streamed(
        "blocks that overlap are told apart by their index",
        start()
        + event("content_block_start", index=0, content_block=tool("f", "toolu_1"))
        + event("content_block_start", index=1, content_block=tool("g", "toolu_2"))
        + event("content_block_delta", index=1, delta={"type": "input_json_delta", "partial_json": '{"b":'})
        + event("content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": '{"a":1}'})
        + event("content_block_delta", index=1, delta={"type": "input_json_delta", "partial_json": "2}"})
        + event("content_block_stop", index=1)
        + event("content_block_stop", index=0)
        + ending("tool_use")
        + STOP,
        said=said_once(None, "tool_use", calls=[call("f", "toolu_1", a=1), call("g", "toolu_2", b=2)], finish_reason="tool_calls"),
        usage=USAGE,
    ),
]  # fmt: skip


# What goes wrong ------------------------------------------------------------------------------


def refused(name: str, status: int, kind: str, said: str, fault: Any, **more: Any) -> Transcript:
    body = compact(
        {
            "type": "error",
            "error": {"type": kind, "message": said, **more},
            "request_id": "req_01AAAA",
        }
    )
    return Transcript(
        name=name, dialect="anthropic", model=SONNET, status=status, back=body, fault=fault
    )


BEGUN = start() + block(0, text("Hi there"))
COUNTED = Usage(input_uncached=12, output_text=1, partial=True)

FAULTS = [
    refused("a request that is wrong", 400, "invalid_request_error", "messages.0.role: Input should be 'user' or 'assistant'", "bad_request"),
    refused("a prompt that is too long", 400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", "context_length"),
    refused("prompt and limit that are too long together", 400, "invalid_request_error", "input length and `max_tokens` exceed context limit: 199000 + 8192 > 200000, decrease input length or `max_tokens` and try again", "context_length"),
    refused("no money at the vendor, as it says with 400", 400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.", "quota"),
    refused("the operator's own limit is reached", 400, "invalid_request_error", "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.", "quota"),
    refused("an organization that is closed", 400, "invalid_request_error", "This organization has been disabled.", "auth"),
    refused("a key that is wrong", 401, "authentication_error", "invalid x-api-key", "auth"),
    refused("a bill that is not paid", 402, "billing_error", "There is a problem with your payment.", "quota"),
    refused("a key that may not", 403, "permission_error", "Your API key does not have permission.", "auth"),
    refused("a model that is gone", 404, "not_found_error", "model: claude-3-opus", "not_found"),
    refused("a conflict", 409, "conflict_error", "Try again.", "server"),
    refused("a body that is too large", 413, "request_too_large", "Request exceeds the maximum size", "too_large"),
    refused("too many calls", 429, "rate_limit_error", "This request would exceed your organization's rate limit", "rate_limit"),
    refused("a limit on spending", 429, "rate_limit_error", "Spend limit reached", "quota", details={"error_code": "enforced_spend_limit_reached"}),
    refused("a fault of the vendor's", 500, "api_error", "Internal server error", "server"),
    refused("too slow", 504, "timeout_error", "Request timed out", "timeout"),
    refused("overloaded", 529, "overloaded_error", "Overloaded", "overloaded"),
    Transcript(name="an error under status 200, whole", dialect="anthropic", back=compact({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}), fault="overloaded"),
    Transcript(name="not a message", dialect="anthropic", back=b'{"completion":"Hi","stop":"x"}', fault="invalid"),
    Transcript(name="a whole answer without its end", dialect="anthropic", back=message(text("Hi"), stop=None), fault="broken"),
    Transcript(name="not even JSON", dialect="anthropic", back=b"<html>", fault="invalid"),
    streamed("an error where a stream was asked for", compact({"type": "error", "error": {"type": "api_error", "message": "x"}}), fault="server"),
    streamed("an error before anything is said", start() + PING + OVERLOADED, fault="overloaded", usage=Usage(input_uncached=12, partial=True)),
    streamed("an error after a part", BEGUN + OVERLOADED, said=said_once("Hi there", None, finish_reason=None), fault="overloaded", usage=COUNTED),
    streamed("an error that names only its event", BEGUN + b'event: error\ndata: {"error":{"type":"api_error"}}\n\n', said=said_once("Hi there", None, finish_reason=None), fault="server", usage=COUNTED),
    streamed("a stream that is cut off", BEGUN, said=said_once("Hi there", None, finish_reason=None), fault="broken", usage=COUNTED),
    streamed("a stream that ends without a reason", BEGUN + ending(None) + STOP, said=said_once("Hi there", None, finish_reason=None), fault="broken", usage=USAGE),
    streamed("a stream that cannot be read", BEGUN + b"event: content_block_delta\ndata: {]\n\n", said=said_once("Hi there", None, finish_reason=None), fault="invalid", usage=COUNTED),
    streamed("a block that goes on without a beginning", start() + event("content_block_delta", index=3, delta={"type": "input_json_delta", "partial_json": "{}"}), fault="invalid", usage=Usage(input_uncached=12, partial=True)),
    streamed("a block that is not said", start() + event("content_block_start", index=0), fault="invalid", usage=Usage(input_uncached=12, partial=True)),
]  # fmt: skip


# What the vendor gets -------------------------------------------------------------------------

PNG = "data:image/png;base64,iVBORw0KGgo="
PDF = "data:application/pdf;base64,JVBERi0xLjQ="
NOTE = "data:text/markdown;base64," + base64.b64encode("# Заметка".encode()).decode()
EPHEMERAL = {"type": "ephemeral", "ttl": "1h"}
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {
    "type": "function",
    "function": {"name": "weather", "description": "The weather.", "parameters": WEATHER},
}
SENT_TOOL = {"name": "weather", "description": "The weather.", "input_schema": WEATHER}
ANSWER_TOOL = {
    "name": "altyn_answer_in_json",
    "description": "Call this to answer the user. Its input is the whole answer.",
}
OPEN = {"type": "object", "properties": {}, "additionalProperties": True}
PLACE = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "at": {"type": ["object", "null"], "properties": {}},
    },
}
CLOSED = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "at": {"type": ["object", "null"], "properties": {}, "additionalProperties": False},
    },
    "additionalProperties": False,
}
IN_SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "place", "strict": True, "schema": PLACE},
}
THINK = {"type": "enabled", "budget_tokens": 1024}


def user(*blocks: Block) -> Block:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Block) -> Block:
    return {"role": "assistant", "content": list(blocks)}


def sent(*turns: Block, model: str = SONNET, **changes: Any) -> Block:
    """The body the vendor gets; a member changed to None is not there."""
    plain = {"model": model, "max_tokens": 2048, "temperature": 0.7}
    body = {**plain, "messages": list(turns) or [user(text("Hello"))], **changes}
    return {name: value for name, value in body.items() if value is not None}


def asked(
    name: str, body: Block, *, messages: Any = HELLO, model: str = SONNET, **chat: Any
) -> Transcript:
    return Transcript(
        name=name,
        dialect="anthropic",
        model=model,
        chat={"messages": messages, **chat},
        sent=body,
        path="/messages",
        headers={"anthropic-version": "2023-06-01"},
        back=message(text("Yes")),
        said=said_once("Yes"),
        usage=USAGE,
    )


def says(role: str, content: Any, **more: Any) -> Block:
    return {"role": role, "content": content, **more}


def calls(
    *pairs: tuple[str, str], number: str = "toolu_1", content: Any = None, **more: Any
) -> Block:
    told_calls = [
        {
            "id": number if not i else f"{number}_{i}",
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }
        for i, (name, arguments) in enumerate(pairs)
    ]
    return {"role": "assistant", "content": content, "tool_calls": told_calls, **more}


def result(content: Any, number: str = "toolu_1") -> Block:
    return {"role": "tool", "tool_call_id": number, "content": content}


def sent_result(content: str | None, number: str = "toolu_1") -> Block:
    said = {"content": [text(content)]} if content else {}
    return {"type": "tool_result", "tool_use_id": number, **said}


SIGNED = {"reasoning": "Hm", "reasoning_details": [detail("Hm", "c2ln")]}
ROME = ("weather", '{"city":"Rome"}')
LOOP = [*HELLO, calls(ROME, **SIGNED), result("21")]
SENT_LOOP = [
    user(text("Hello")),
    assistant(thinking("Hm", "c2ln"), tool("weather", "toolu_1", city="Rome")),
    user(sent_result("21")),
]
SENT_UNSIGNED = [SENT_LOOP[0], assistant(tool("weather", "toolu_1", city="Rome")), SENT_LOOP[2]]

REQUESTS = [
    asked("the simplest chat", sent()),
    Transcript(
        name="a stream is asked for", dialect="anthropic", model=SONNET, chat={"messages": HELLO, "stream": True},
        sent=sent(stream=True), back=stream(text("Yes")), said=said_once("Yes"), usage=USAGE,
    ),
    asked("system and developer messages stand apart", sent(user(text("Hello"), text("More")), system=[text("Be brief."), text("Be kind."), text("Be on time.")]),
          messages=[says("system", "Be brief."), *HELLO, says("developer", [text("Be kind.")]), says("system", "Be on time."), says("user", "More")]),
    asked("a chat of only a system message", sent(user(text("Say hello."))), messages=[says("system", "Say hello.")]),
    asked("turns of one role become one", sent(user(text("a"), text("b")), assistant(text("c"), text("d")), user(text("e"))),
          messages=[says("user", "a"), says("user", "b"), says("assistant", "c"), says("assistant", "d"), says("user", "e")]),
    asked("an assistant that speaks first", sent(user(text("…")), assistant(text("Welcome!")), user(text("Hello"))),
          messages=[says("assistant", "Welcome!"), *HELLO]),
    asked("an answer that is begun has no space at its end", sent(user(text("Hello")), assistant(text("Well,"))), messages=[*HELLO, says("assistant", "Well, \n")]),
    asked("blank texts are left out", sent(user(text("Hello"))), messages=[says("user", ""), says("assistant", " "), says("user", [text("\n"), text("Hello")])]),
    asked("a refusal of before is a text", sent(user(text("Hello")), assistant(text("I won't.")), user(text("Please"))),
          messages=[*HELLO, says("assistant", None, refusal="I won't."), says("user", "Please")]),
    asked("images in the body and at an address",
          sent(user({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
                    {"type": "image", "source": {"type": "url", "url": "https://example.org/a.jpg"}},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "/9j/"}},
                    text("What is it?"))),
          messages=[says("user", [
              {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
              {"type": "image_url", "image_url": {"url": "https://example.org/a.jpg"}},
              {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,/9j/"}},
              text("What is it?")])]),
    asked("documents",
          sent(user({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQ="}, "title": "a.pdf"},
                    {"type": "document", "source": {"type": "url", "url": "https://example.org/b.pdf"}},
                    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "# Заметка"}})),
          messages=[says("user", [
              {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}},
              {"type": "file", "file": {"file_data": "https://example.org/b.pdf"}},
              {"type": "file", "file": {"file_data": NOTE}}])]),
    asked("hints for the cache stay where they are",
          sent(user({**text("Hello"), "cache_control": {"type": "ephemeral"}}), system=[{**text("Long."), "cache_control": EPHEMERAL}],
               tools=[{**SENT_TOOL, "cache_control": EPHEMERAL}]),
          messages=[says("system", [{**text("Long."), "cache_control": EPHEMERAL}]), says("user", [{**text("Hello"), "cache_control": {"type": "ephemeral"}}])],
          tools=[{**TOOL, "cache_control": EPHEMERAL}]),
    # Tools
    asked("tools, and one without a schema", sent(tools=[SENT_TOOL, {"name": "now", "input_schema": {"type": "object"}}]),
          tools=[TOOL, {"type": "function", "function": {"name": "now"}}]),
    asked("a strict tool", sent(tools=[{"name": "f", "strict": True, "input_schema": CLOSED}]),
          tools=[{"type": "function", "function": {"name": "f", "strict": True, "parameters": PLACE}}]),
    asked("a strict tool of an older model", sent(model=OPUS, tools=[{"name": "f", "input_schema": PLACE}]), model=OPUS,
          tools=[{"type": "function", "function": {"name": "f", "strict": True, "parameters": PLACE}}]),
    asked("a choice left to the model", sent(tools=[SENT_TOOL], tool_choice={"type": "auto"}), tools=[TOOL], tool_choice="auto"),
    asked("a call is wanted", sent(tools=[SENT_TOOL], tool_choice={"type": "any"}), tools=[TOOL], tool_choice="required"),
    asked("no call is wanted", sent(tools=[SENT_TOOL], tool_choice={"type": "none"}), tools=[TOOL], tool_choice="none", parallel_tool_calls=False),
    asked("a certain call is wanted", sent(tools=[SENT_TOOL], tool_choice={"type": "tool", "name": "weather"}), tools=[TOOL],
          tool_choice={"type": "function", "function": {"name": "weather"}}),
    asked("one call at a time", sent(tools=[SENT_TOOL], tool_choice={"type": "auto", "disable_parallel_tool_use": True}), tools=[TOOL], parallel_tool_calls=False),
    asked("one call at a time, and one is wanted", sent(tools=[SENT_TOOL], tool_choice={"type": "any", "disable_parallel_tool_use": True}),
          tools=[TOOL], tool_choice="required", parallel_tool_calls=False),
    asked("results come in one turn and first",
          sent(user(text("Hello")),
               assistant(text("Both."), tool("weather", "toolu_1", city="Rome"), tool("now", "toolu_1_1")),
               user(sent_result("21"), sent_result(None, "toolu_1_1"), text("Quick!"), text("And?")),
               tools=[SENT_TOOL]),
          messages=[*HELLO, calls(ROME, ("now", ""), content="Both."), says("user", "Quick!"), result("21"), result("", "toolu_1_1"), says("user", "And?")],
          tools=[TOOL]),
    asked("a result with a picture",
          sent(user(text("Hello")), assistant(tool("weather", "toolu_1", city="Rome")),
               user({"type": "tool_result", "tool_use_id": "toolu_1", "content": [text("See:"), {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}]}),
               tools=[SENT_TOOL]),
          messages=[*HELLO, calls(ROME), result([text("See:"), {"type": "image_url", "image_url": {"url": PNG}}])], tools=[TOOL]),
    asked("ids of another vendor", sent(user(text("Hello")), assistant(tool("weather", "functions_2eweather_3a0", city="Rome")), user(sent_result("21", "functions_2eweather_3a0")), tools=[SENT_TOOL]),
          messages=[*HELLO, calls(ROME, number="functions.weather:0"), result("21", "functions.weather:0")], tools=[TOOL]),
    asked("arguments that are no object",
          sent(user(text("Hello")), assistant(tool("weather", "toolu_1", unreadable='{"city": "Ro')), user(sent_result("What?")), tools=[SENT_TOOL]),
          messages=[*HELLO, calls(("weather", '{"city": "Ro')), result("What?")], tools=[TOOL]),
    # The form of the answer
    asked("an answer by a schema", sent(output_config={"format": {"type": "json_schema", "schema": CLOSED}}), response_format=IN_SCHEMA),
    asked("an answer by a schema of an older model", sent(model=OPUS, tools=[{**ANSWER_TOOL, "input_schema": PLACE}],
          tool_choice={"type": "tool", "name": "altyn_answer_in_json", "disable_parallel_tool_use": True}), model=OPUS, response_format=IN_SCHEMA),
    asked("an answer in JSON beside tools", sent(tools=[SENT_TOOL, {**ANSWER_TOOL, "input_schema": OPEN}], tool_choice={"type": "any"}),
          tools=[TOOL], response_format={"type": "json_object"}),
    asked("an answer in JSON where a call is wanted", sent(tools=[SENT_TOOL], tool_choice={"type": "any"}),
          tools=[TOOL], tool_choice="required", response_format={"type": "json_object"}),
    asked("an answer in JSON, thought about", sent(temperature=None, thinking=THINK, tools=[{**ANSWER_TOOL, "input_schema": OPEN}],
          tool_choice={"type": "auto", "disable_parallel_tool_use": True}), response_format={"type": "json_object"}, reasoning_effort="low"),
    asked("an answer as text", sent(), response_format={"type": "text"}),
    # Sampling and the rest
    asked("a limit, a temperature and a sample", sent(max_tokens=100, temperature=0.2, top_p=0.9), max_tokens=100, temperature=0.2, top_p=0.9),
    asked("a temperature beyond what there is", sent(temperature=1.0), temperature=1.8),
    asked("one thing to stop at", sent(stop_sequences=["END"]), stop="END"),
    asked("things to stop at, without the blank ones", sent(stop_sequences=["END", "FIN"]), stop=["END", "\n", "FIN"]),
    asked("only blank things to stop at", sent(), stop=["\n"]),
    asked("a user by a plain id", sent(metadata={"user_id": "user-17_a"}), user="user-17_a"),
    asked("a user by an address", sent(metadata={"user_id": "b7b49ef60b118d378cfcb0b2a2e7d6de"}), user="ann@example.org"),
    # Thinking
    asked("a little thinking", sent(temperature=None, thinking=THINK), reasoning_effort="low", temperature=0.2, top_p=0.5),
    asked("much thinking", sent(temperature=None, max_tokens=8000, thinking={"type": "enabled", "budget_tokens": 6400}), max_tokens=8000, reasoning={"effort": "high"}),
    asked("thinking is switched on", sent(temperature=None, max_tokens=8000, thinking={"type": "enabled", "budget_tokens": 4000}), max_tokens=8000, reasoning={"enabled": True}),
    asked("a budget to think with", sent(temperature=None, thinking={"type": "enabled", "budget_tokens": 1500}), reasoning={"max_tokens": 1500}),
    asked("a budget above the limit", sent(temperature=None, thinking={"type": "enabled", "budget_tokens": 2047}), reasoning={"max_tokens": 5000}),
    asked("a budget below the least", sent(temperature=None, thinking=THINK), reasoning={"max_tokens": 10}),
    asked("thinking that is not to be told", sent(temperature=None, thinking={**THINK, "display": "omitted"}), reasoning={"effort": "low", "exclude": True}),
    asked("no thinking", sent(), reasoning_effort="none"),
    asked("thinking is switched off", sent(), reasoning={"enabled": False, "effort": "high"}),
    asked("nothing is said of thinking", sent(), reasoning={"exclude": True}),
    asked("no room to think", sent(max_tokens=1024), max_tokens=1024, reasoning_effort="high"),
    asked("a newer model thinks by effort", sent(model=NEWER, temperature=None, thinking={"type": "adaptive"}, output_config={"effort": "low"}), model=NEWER, reasoning_effort="minimal"),
    asked("a newer model thinks within a budget", sent(model=NEWER, temperature=None, thinking={"type": "adaptive"}, output_config={"effort": "medium"}), model=NEWER, reasoning={"max_tokens": 900}),
    asked("a newer model thinks and answers by a schema",
          sent(model=NEWER, temperature=None, thinking={"type": "adaptive"}, output_config={"effort": "max", "format": {"type": "json_schema", "schema": CLOSED}}),
          model=NEWER, reasoning_effort="max", response_format=IN_SCHEMA),
    asked("a forced call goes before thinking", sent(tools=[SENT_TOOL], tool_choice={"type": "any"}), tools=[TOOL], tool_choice="required", reasoning_effort="high"),
    asked("an answer that is begun goes before thinking", sent(user(text("Hello")), assistant(text("Well"))), messages=[*HELLO, says("assistant", "Well")], reasoning_effort="high"),
    # Thinking from turn to turn
    asked("thinking goes back with its signature", sent(*SENT_LOOP, temperature=None, thinking=THINK, tools=[SENT_TOOL]), messages=LOOP, tools=[TOOL], reasoning_effort="low"),
    asked("thinking goes back in the pieces it came in", sent(*SENT_LOOP, temperature=None, thinking=THINK, tools=[SENT_TOOL]),
          messages=[*HELLO, calls(ROME, reasoning_details=[
              {"type": "reasoning.text", "text": "H", "format": FORMAT, "index": 0},
              {"type": "reasoning.text", "text": "m", "index": 0},
              {"type": "reasoning.text", "signature": "c2ln", "index": 0}]), result("21")],
          tools=[TOOL], reasoning_effort="low"),
    asked("thinking goes back although a client joined the format", sent(*SENT_LOOP, temperature=None, thinking=THINK, tools=[SENT_TOOL]),
          messages=[*HELLO, calls(ROME, reasoning_details=[{**detail("Hm", "c2ln"), "format": FORMAT * 3}]), result("21")], tools=[TOOL], reasoning_effort="low"),
    asked("hidden thinking goes back",
          sent(user(text("Hello")), assistant(redacted(), thinking("Hm", "c2ln"), tool("weather", "toolu_1", city="Rome")), user(sent_result("21")),
               temperature=None, thinking=THINK, tools=[SENT_TOOL]),
          messages=[*HELLO, calls(ROME, reasoning_details=[hidden(), detail("Hm", "c2ln", 1)]), result("21")], tools=[TOOL], reasoning_effort="low"),
    asked("a loop of two steps that began with thinking",
          sent(*SENT_LOOP, assistant(tool("weather", "toolu_2", city="Oslo")), user(sent_result("9", "toolu_2")), temperature=None, thinking=THINK, tools=[SENT_TOOL]),
          messages=[*LOOP, calls(("weather", '{"city":"Oslo"}'), number="toolu_2"), result("9", "toolu_2")], tools=[TOOL], reasoning_effort="low"),
    asked("a loop that began without thinking goes on without", sent(*SENT_UNSIGNED, tools=[SENT_TOOL]),
          messages=[*HELLO, calls(ROME), result("21")], tools=[TOOL], reasoning_effort="low"),
    asked("what another vendor thought stays out", sent(*SENT_UNSIGNED, tools=[SENT_TOOL]),
          messages=[*HELLO, calls(ROME, reasoning="Hm", reasoning_details=[
              {"type": "reasoning.encrypted", "data": "gAAA", "format": "openai-responses-v1", "index": 0},
              {"type": "reasoning.text", "text": "Hm", "format": "unknown", "index": 1},
              {"type": "reasoning.summary", "summary": "Hm", "index": 2}]), result("21")],
          tools=[TOOL], reasoning_effort="low"),
    asked("thinking stays out where none is asked for", sent(*SENT_UNSIGNED, tools=[SENT_TOOL]), messages=LOOP, tools=[TOOL]),
    asked("a new question after a loop without thinking may be thought about",
          sent(*SENT_UNSIGNED, assistant(text("21.")), user(text("Thanks")), temperature=None, thinking=THINK, tools=[SENT_TOOL]),
          messages=[*HELLO, calls(ROME), result("21"), says("assistant", "21."), says("user", "Thanks")], tools=[TOOL], reasoning_effort="low"),
]  # fmt: skip

JSON_ANSWERS = both(
    "an answer in JSON by way of a tool",
    tool("altyn_answer_in_json", city="Рим", n=1.50),
    stop="tool_use",
    chat={"messages": HELLO, "response_format": {"type": "json_object"}},
    said=said_once('{"city":"Рим","n":1.5}', "tool_use"),
) + both(
    "an empty answer in JSON by way of a tool",
    tool("altyn_answer_in_json"),
    stop="tool_use",
    said=said_once("{}", "tool_use"),
)

TRANSCRIPTS = [*ANSWERS, *JSON_ANSWERS, *STREAMS, *FAULTS, *REQUESTS]
