# ruff: noqa: E501 -- what vendors send stands on one line, as it came
"""Chats with vendors of OpenAI's family, as they went (ids and texts changed)."""

import json
from typing import Any

from transcript import HELLO, Transcript, told

from altyn.chat import Usage


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


def streamed(
    name: str,
    back: bytes,
    content: str | None = None,
    *,
    usage: Usage | None = None,
    **said: Any,
) -> Transcript:
    return Transcript(
        name=name,
        dialect="openai-chat",
        chat={"messages": HELLO, "stream": True},
        back=back,
        said=(told(content, **said),),
        usage=usage,
    )


STREAMS = [
    streamed(
        "openai, a tool call in fragments",
        OPENAI_TOOL_CALL,
        calls=[("call_AAAA", "get_capital", '{"country":"UK"}')],
        finish_reason="tool_calls",
        usage=Usage(input_uncached=53, output_text=15),
    ),
    streamed(
        "deepseek, reasoning and usage in the finish chunk",
        DEEPSEEK,
        content="Да 🙂",
        reasoning="Подумаем",
        usage=Usage(input_uncached=6, output_text=14, reasoning=198),
    ),
    streamed(
        "groq, a whole tool call and usage in two places",
        GROQ_WHOLE_TOOL,
        reasoning="We need",
        channel="analysis",
        calls=[("fc_AAAA", "get_something_by_name", '{"name":"example"}')],
        finish_reason="tool_calls",
        usage=Usage(input_uncached=304, output_text=26, reasoning=23),
    ),
    streamed(
        "openrouter 2026, comments first and usage without choices",
        OPENROUTER,
        content="Hello!",
        native_finish_reason="stop",
        usage=Usage(input_uncached=254, output_text=5, cost_nanos=837_000),
    ),
    streamed(
        "openrouter 2025, usage with an empty choice after the end",
        OPENROUTER_START
        + OPENROUTER_STOP
        + chunk([delta(role="assistant", content="")], usage=OPENROUTER_USAGE)
        + DONE,
        content="Hello!",
        usage=HELLO_USAGE,
    ),
    streamed(
        "openrouter 2026-08, the end comes twice",
        OPENROUTER_START
        + OPENROUTER_STOP
        + chunk([delta("stop", role="assistant", content="")], usage=OPENROUTER_USAGE)
        + DONE,
        content="Hello!",
        usage=HELLO_USAGE,
    ),
    streamed(
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
        calls=[("c", "f", "{}")],
        finish_reason="tool_calls",
    ),
    streamed(
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
        calls=[("a", "f", '{"a":1}'), ("b", "g", "{}")],
        finish_reason="tool_calls",
    ),
    streamed(
        "vllm, usage on every chunk: the last one counts",
        chunk([delta(content="a")], usage={"prompt_tokens": 3, "completion_tokens": 1})
        + chunk([delta(content="b")], usage={"prompt_tokens": 3, "completion_tokens": 2})
        + chunk([delta("stop")], usage={"prompt_tokens": 3, "completion_tokens": 3})
        + chunk([], usage={"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6})
        + DONE,
        content="ab",
        usage=Usage(input_uncached=3, output_text=3),
    ),
    streamed(
        "groq, usage only among its own extras",
        chunk([delta(content="x")])
        + chunk([delta("stop")], x_groq={"usage": {"prompt_tokens": 3, "completion_tokens": 1}})
        + DONE,
        content="x",
        usage=Usage(input_uncached=3, output_text=1),
    ),
    streamed(
        "deepseek, ended for want of resources",
        chunk([delta(content="part")]) + chunk([delta("insufficient_system_resource")]) + DONE,
        content="part",
        native_finish_reason="insufficient_system_resource",
    ),
    streamed(
        "a host that never gives a finish reason",
        chunk([delta(content="text")]) + DONE,
        content="text",
    ),
    streamed(
        "a host without [DONE]",
        chunk([delta(content="text")]) + chunk([delta("length")]),
        content="text",
        finish_reason="length",
    ),
    streamed(
        "azure, a chunk without choices first",
        chunk([], prompt_filter_results=[]) + chunk([delta("stop", content="x")]) + DONE,
        content="x",
    ),
]

UK = [("call_AAAA", "get_capital", '{"country":"UK"}')]
OPENAI_TOOL = {
    "type": "function",
    "function": {"name": "get_capital", "parameters": {"type": "object", "properties": {}}},
}
OPENAI_PAIR = [
    Transcript(
        name="openai, a tool call in one piece",
        dialect="openai-chat",
        host="api.openai.com",
        model="gpt-4o-mini",
        chat={"messages": HELLO, "tools": [OPENAI_TOOL], "max_tokens": 100},
        path="/chat/completions",
        sent={
            "model": "gpt-4o-mini",
            "messages": HELLO,
            "temperature": 0.7,
            "tools": [OPENAI_TOOL],
            "max_completion_tokens": 100,
        },
        back=rb"""{"id":"chatcmpl-AAAA","object":"chat.completion","created":1782955818,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_AAAA","type":"function","function":{"name":"get_capital","arguments":"{\"country\":\"UK\"}"}}],"refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":53,"completion_tokens":15,"total_tokens":68},"service_tier":"default","system_fingerprint":null}""",
        said=(told(calls=UK, finish_reason="tool_calls"),),
        usage=Usage(input_uncached=53, output_text=15),
    ),
    Transcript(
        name="openai, the same tool call as a stream",
        dialect="openai-chat",
        host="api.openai.com",
        model="gpt-4o-mini",
        chat={"messages": HELLO, "tools": [OPENAI_TOOL], "max_tokens": 100, "stream": True},
        path="/chat/completions",
        sent={
            "model": "gpt-4o-mini",
            "messages": HELLO,
            "temperature": 0.7,
            "tools": [OPENAI_TOOL],
            "max_completion_tokens": 100,
            "stream": True,
            "stream_options": {"include_usage": True},
        },
        back=OPENAI_TOOL_CALL,
        said=(told(calls=UK, finish_reason="tool_calls"),),
        usage=Usage(input_uncached=53, output_text=15),
        same_as="openai, a tool call in one piece",
    ),
]

TRANSCRIPTS = [*STREAMS, *OPENAI_PAIR]
