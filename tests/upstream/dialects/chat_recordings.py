# ruff: noqa: E501 -- what vendors send stands on one line, as it came
"""Streams as vendors sent them (ids and texts changed), and what a caller makes of them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from altyn.chat import ChatEvent, Usage
from altyn.upstream.dialects import Dialect, get_dialect
from altyn.upstream.sse import SseReader


@dataclass(frozen=True)
class Recording:
    name: str
    stream: bytes
    content: str = ""
    reasoning: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)
    finish_reason: str | None = "stop"
    usage: Usage | None = None


@dataclass
class Folded:
    """One choice, put together as a client does it: by index."""

    content: str = ""
    reasoning: str = ""
    calls: dict[int, dict[str, str]] = field(default_factory=dict)
    finish_reasons: list[str] = field(default_factory=list)

    def take(self, choice: dict[str, Any]) -> None:
        delta = choice["delta"]
        self.content += delta.get("content") or ""
        self.reasoning += delta.get("reasoning") or ""
        for call in delta.get("tool_calls") or ():
            known = self.calls.setdefault(call["index"], {"name": "", "arguments": ""})
            known["name"] += call["function"].get("name") or ""
            known["arguments"] += call["function"].get("arguments") or ""
        if choice["finish_reason"] is not None:
            self.finish_reasons.append(choice["finish_reason"])

    @property
    def pairs(self) -> list[tuple[str, str]]:
        return [(call["name"], call["arguments"]) for _, call in sorted(self.calls.items())]


def read_stream(
    pieces: Iterable[bytes], dialect: Dialect | None = None, *, end: bool = True
) -> list[ChatEvent]:
    """All events of a body that arrives in pieces."""
    splitter = SseReader()
    reader = (dialect or get_dialect("openai-chat")).stream_reader()
    events = []
    for piece in pieces:
        for name, data in splitter.feed(piece):
            event = reader.read(name, data)
            if event is not None:
                events.append(event)
    if end:
        reader.end()
    return events


def fold(events: list[ChatEvent], index: int = 0) -> Folded:
    folded = Folded()
    for event in events:
        for choice in json.loads(event.choices or b"[]"):
            if choice["index"] == index:
                folded.take(choice)
    return folded


def last_usage(events: list[ChatEvent]) -> Usage | None:
    return next((event.usage for event in reversed(events) if event.usage is not None), None)


def chunk(choices: Any, **more: Any) -> bytes:
    """One event of a stream, in the usual frame."""
    frame = {"id": "chatcmpl-AAAA", "object": "chat.completion.chunk", "model": "m"}
    return b"data: " + json.dumps({**frame, "choices": choices, **more}).encode() + b"\n\n"


def delta(finish_reason: str | None = None, index: int = 0, **said: Any) -> dict[str, Any]:
    return {"index": index, "delta": said, "finish_reason": finish_reason}


DONE = b"data: [DONE]\n\n"

OPENAI_TOOL_CALL = rb"""data: {"id":"chatcmpl-AAAA","object":"chat.completion.chunk","created":1782955817,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_d0469e1700","choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_AAAA","type":"function","function":{"name":"get_capital","arguments":""}}],"refusal":null},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"C63r"}

data: {"id":"chatcmpl-AAAA","object":"chat.completion.chunk","created":1782955817,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_d0469e1700","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\""}}]},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"qfQVOwfh62oUst"}

data: {"id":"chatcmpl-AAAA","object":"chat.completion.chunk","created":1782955817,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_d0469e1700","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"country\":\"UK\"}"}}]},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"UqdZk18gUR"}

data: {"id":"chatcmpl-AAAA","object":"chat.completion.chunk","created":1782955817,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_d0469e1700","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"tool_calls"}],"usage":null,"obfuscation":"VskHzNI7KMRUodI"}

data: {"id":"chatcmpl-AAAA","object":"chat.completion.chunk","created":1782955817,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_d0469e1700","choices":[],"usage":{"prompt_tokens":53,"completion_tokens":15,"total_tokens":68,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"obfuscation":"khVgg3RsaN"}

data: [DONE]

"""

DEEPSEEK = r"""data: {"id":"33be18fc-AAAA","object":"chat.completion.chunk","created":1752169304,"model":"deepseek-reasoner","system_fingerprint":"fp_AAAA","choices":[{"index":0,"delta":{"role":"assistant","content":null,"reasoning_content":""},"logprobs":null,"finish_reason":null}]}

: keep-alive

data: {"id":"33be18fc-AAAA","object":"chat.completion.chunk","created":1752169304,"model":"deepseek-reasoner","system_fingerprint":"fp_AAAA","choices":[{"index":0,"delta":{"content":null,"reasoning_content":"Подумаем"},"logprobs":null,"finish_reason":null}]}

data: {"id":"33be18fc-AAAA","object":"chat.completion.chunk","created":1752169304,"model":"deepseek-reasoner","system_fingerprint":"fp_AAAA","choices":[{"index":0,"delta":{"content":"Да 🙂","reasoning_content":null},"logprobs":null,"finish_reason":null}]}

data: {"id":"33be18fc-AAAA","object":"chat.completion.chunk","created":1752169304,"model":"deepseek-reasoner","system_fingerprint":"fp_AAAA","choices":[{"index":0,"delta":{"content":"","reasoning_content":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":6,"completion_tokens":212,"total_tokens":218,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":198},"prompt_cache_hit_tokens":0,"prompt_cache_miss_tokens":6}}

data: [DONE]

""".encode()

GROQ_WHOLE_TOOL = rb"""data: {"id":"chatcmpl-AAAA","object":"chat.completion.chunk","created":1771434740,"model":"openai/gpt-oss-120b","system_fingerprint":"fp_caa2017b29","choices":[{"index":0,"delta":{"role":"assistant","content":null},"logprobs":null,"finish_reason":null}],"x_groq":{"id":"req_AAAA","seed":1}}

data: {"id":"chatcmpl-AAAA","object":"chat.completion.chunk","created":1771434740,"model":"openai/gpt-oss-120b","system_fingerprint":"fp_caa2017b29","choices":[{"index":0,"delta":{"reasoning":"We need","channel":"analysis"},"logprobs":null,"finish_reason":null}]}

data: {"id":"chatcmpl-AAAA","object":"chat.completion.chunk","created":1771434740,"model":"openai/gpt-oss-120b","system_fingerprint":"fp_caa2017b29","choices":[{"index":0,"delta":{"tool_calls":[{"id":"fc_AAAA","type":"function","function":{"name":"get_something_by_name","arguments":"{\"name\":\"example\"}"},"index":0}]},"logprobs":null,"finish_reason":null}]}

data: {"id":"chatcmpl-AAAA","object":"chat.completion.chunk","created":1771434740,"model":"openai/gpt-oss-120b","system_fingerprint":"fp_caa2017b29","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"tool_calls"}],"x_groq":{"id":"req_AAAA","usage":{"queue_time":0.00491786,"prompt_tokens":304,"prompt_time":0.01460151,"completion_tokens":49,"completion_time":0.11216431,"total_tokens":353,"total_time":0.12676582,"completion_tokens_details":{"reasoning_tokens":23}}},"usage":{"queue_time":0.00491786,"prompt_tokens":304,"prompt_time":0.01460151,"completion_tokens":49,"completion_time":0.11216431,"total_tokens":353,"total_time":0.12676582,"completion_tokens_details":{"reasoning_tokens":23}}}

data: [DONE]

"""

OPENROUTER = rb""": OPENROUTER PROCESSING

: OPENROUTER PROCESSING

data: {"id":"gen-1773012759-AAAA","object":"chat.completion.chunk","created":1773012759,"model":"anthropic/claude-4.6-sonnet-20260217","provider":"Amazon Bedrock","choices":[{"index":0,"delta":{"content":"Hello!","role":"assistant"},"finish_reason":null,"native_finish_reason":null}]}

data: {"id":"gen-1773012759-AAAA","object":"chat.completion.chunk","created":1773012759,"model":"anthropic/claude-4.6-sonnet-20260217","provider":"Amazon Bedrock","choices":[{"index":0,"delta":{"content":"","role":"assistant"},"finish_reason":"stop","native_finish_reason":"stop"}]}

data: {"id":"gen-1773012759-AAAA","object":"chat.completion.chunk","created":1773012759,"model":"anthropic/claude-4.6-sonnet-20260217","provider":"Amazon Bedrock","choices":[],"usage":{"prompt_tokens":254,"completion_tokens":5,"total_tokens":259,"cost":0.000837,"is_byok":false,"prompt_tokens_details":{"cached_tokens":0,"cache_write_tokens":0,"audio_tokens":0,"video_tokens":0},"cost_details":{"upstream_inference_cost":0.000837,"upstream_inference_prompt_cost":0.000762,"upstream_inference_completions_cost":0.000075},"completion_tokens_details":{"reasoning_tokens":0,"image_tokens":0,"audio_tokens":0}}}

data: [DONE]

"""

OPENROUTER_USAGE = {"prompt_tokens": 254, "completion_tokens": 5, "total_tokens": 259}
OPENROUTER_START = chunk([delta(role="assistant", content="Hello!")])
OPENROUTER_STOP = chunk([delta("stop", role="assistant", content="")])
HELLO_USAGE = Usage(input_uncached=254, output_text=5)

RECORDINGS = [
    Recording(
        "openai, a tool call in fragments",
        OPENAI_TOOL_CALL,
        calls=[("get_capital", '{"country":"UK"}')],
        finish_reason="tool_calls",
        usage=Usage(input_uncached=53, output_text=15),
    ),
    Recording(
        "deepseek, reasoning and usage in the finish chunk",
        DEEPSEEK,
        content="Да 🙂",
        reasoning="Подумаем",
        usage=Usage(input_uncached=6, output_text=14, reasoning=198),
    ),
    Recording(
        "groq, a whole tool call and usage in two places",
        GROQ_WHOLE_TOOL,
        reasoning="We need",
        calls=[("get_something_by_name", '{"name":"example"}')],
        finish_reason="tool_calls",
        usage=Usage(input_uncached=304, output_text=26, reasoning=23),
    ),
    Recording(
        "openrouter 2026, comments first and usage without choices",
        OPENROUTER,
        content="Hello!",
        usage=Usage(input_uncached=254, output_text=5, cost_nanos=837_000),
    ),
    Recording(
        "openrouter 2025, usage with an empty choice after the end",
        OPENROUTER_START
        + OPENROUTER_STOP
        + chunk([delta(role="assistant", content="")], usage=OPENROUTER_USAGE)
        + DONE,
        content="Hello!",
        usage=HELLO_USAGE,
    ),
    Recording(
        "openrouter 2026-08, the end comes twice",
        OPENROUTER_START
        + OPENROUTER_STOP
        + chunk([delta("stop", role="assistant", content="")], usage=OPENROUTER_USAGE)
        + DONE,
        content="Hello!",
        usage=HELLO_USAGE,
    ),
    Recording(
        "xai, an empty finish reason after a tool call",
        chunk(
            [
                delta(
                    tool_calls=[
                        {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
                    ]
                )
            ]
        )
        + chunk([delta("")])
        + DONE,
        calls=[("f", "{}")],
        finish_reason="tool_calls",
    ),
    Recording(
        "two calls interleaved by index",
        chunk(
            [
                delta(
                    tool_calls=[{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]
                )
            ]
        )
        + chunk(
            [
                delta(
                    tool_calls=[{"index": 1, "id": "b", "function": {"name": "g", "arguments": ""}}]
                )
            ]
        )
        + chunk([delta(tool_calls=[{"index": 0, "function": {"arguments": '{"a":'}}])])
        + chunk([delta(tool_calls=[{"index": 1, "function": {"arguments": "{}"}}])])
        + chunk([delta(tool_calls=[{"index": 0, "function": {"arguments": "1}"}}])])
        + chunk([delta("tool_calls")])
        + DONE,
        calls=[("f", '{"a":1}'), ("g", "{}")],
        finish_reason="tool_calls",
    ),
    Recording(
        "vllm, usage on every chunk: the last one counts",
        chunk([delta(content="a")], usage={"prompt_tokens": 3, "completion_tokens": 1})
        + chunk([delta(content="b")], usage={"prompt_tokens": 3, "completion_tokens": 2})
        + chunk([delta("stop")], usage={"prompt_tokens": 3, "completion_tokens": 3})
        + chunk([], usage={"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6})
        + DONE,
        content="ab",
        usage=Usage(input_uncached=3, output_text=3),
    ),
    Recording(
        "groq, usage only among its own extras",
        chunk([delta(content="x")])
        + chunk([delta("stop")], x_groq={"usage": {"prompt_tokens": 3, "completion_tokens": 1}})
        + DONE,
        content="x",
        usage=Usage(input_uncached=3, output_text=1),
    ),
    Recording(
        "deepseek, ended for want of resources",
        chunk([delta(content="part")]) + chunk([delta("insufficient_system_resource")]) + DONE,
        content="part",
    ),
    Recording(
        "a host that never gives a finish reason",
        chunk([delta(content="text")]) + DONE,
        content="text",
    ),
    Recording(
        "a host without [DONE]",
        chunk([delta(content="text")]) + chunk([delta("length")]),
        content="text",
        finish_reason="length",
    ),
    Recording(
        "azure, a chunk without choices first",
        chunk([], prompt_filter_results=[]) + chunk([delta("stop", content="x")]) + DONE,
        content="x",
    ),
]
