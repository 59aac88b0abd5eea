# ruff: noqa: E501 -- what vendors send stands on one line, as it came
"""Chats with each host of OpenAI's family: how it is asked, what it says whole and streamed, how it fails."""

import json
from typing import Any

from chat_transcripts import DONE, chunk, delta
from transcript import HELLO, Choice, Transcript, told

from altyn.chat import Fault, Usage

OPENAI = "api.openai.com"
OPENROUTER = "openrouter.ai"
XAI = "api.x.ai"
DEEPSEEK = "api.deepseek.com"
DASHSCOPE = "dashscope-intl.aliyuncs.com"
GROQ = "api.groq.com"
TOGETHER = "api.together.xyz"
OWN = "10.0.0.7"  # vLLM, llama.cpp, Ollama: an operator's own server

CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": CITY, "strict": True}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
DETAILS = [
    {
        "type": "reasoning.text",
        "text": "Hm",
        "signature": "S",
        "format": "anthropic-claude-v1",
        "index": 0,
    }
]
SEALED_FOR_US = [
    {"type": "reasoning.summary", "summary": "Hm", "format": "openai-responses-v1", "index": 0},
    {
        "type": "reasoning.encrypted",
        "data": "A",
        "id": "altyn_rs_1",
        "format": "openai-responses-v1",
        "index": 0,
    },
]
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}
TURN = {"role": "assistant", "content": None, "tool_calls": [CALL]}
LOOP = {
    "messages": [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "Hello", "name": "ann"},
        {**TURN, "reasoning": "Hm", "reasoning_details": DETAILS},
        RESULT,
    ],
    "tools": [WEATHER],
    "reasoning_effort": "low",
    "stream": True,
}
STREAMED = {"stream": True, "stream_options": {"include_usage": True}}
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
USED = Usage(input_uncached=9, output_text=4)


# How it is asked ------------------------------------------------------------------------------


def asked(name: str, host: str, chat: dict[str, Any], **sent: Any) -> Transcript:
    """A chat whose request is looked at; the answer is always the same."""
    chat = {"messages": HELLO, **chat}
    usual: dict[str, Any] = {"model": "m", "messages": chat["messages"], "temperature": 0.7}
    usual["max_completion_tokens" if host == OPENAI else "max_tokens"] = 2048
    if chat.get("stream"):
        usual |= STREAMED
    stream = chunk([delta(content="Hi")]) + chunk([delta("stop")]) + chunk([], usage=USAGE) + DONE
    return Transcript(
        name=name,
        dialect="openai-chat",
        host=host,
        chat=chat,
        path="/chat/completions",
        sent={**usual, **sent},
        back=stream if chat.get("stream") else whole([choice(content="Hi")]),
        said=(told("Hi"),),
        usage=USED,
    )


def choice(finish_reason: str | None = "stop", index: int = 0, **message: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": None, **message}
    return {"index": index, "message": message, "finish_reason": finish_reason}


def whole(choices: list[dict[str, Any]], usage: Any = USAGE, **more: Any) -> bytes:
    frame = {"id": "chatcmpl-AAAA", "object": "chat.completion", "created": 1, "model": "m"}
    return json.dumps({**frame, "choices": choices, "usage": usage, **more}).encode()


def loop(role: str, *, name: str | None = "ann", **turn: Any) -> list[dict[str, Any]]:
    """The messages of `LOOP` as a host gets them."""
    named = {} if name is None else {"name": name}
    before = {key: value for key, value in TURN.items() if key not in turn or turn[key] is not None}
    return [
        {"role": role, "content": "Be brief."},
        {"role": "user", "content": "Hello", **named},
        {**before, **{key: value for key, value in turn.items() if value is not None}},
        RESULT,
    ]


PLAIN_LOOP = {"messages": loop("system"), "tools": [WEATHER], "reasoning_effort": "low"}
LAX_WEATHER = {"type": "function", "function": {"name": "weather", "parameters": CITY}}
PICTURES = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is it?"},
            {
                "type": "image_url",
                "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"},
            },
            {"type": "image_url", "image_url": {"url": "https://img.example/a.png"}},
        ],
    }
]
PAPERS = [
    {
        "role": "user",
        "content": [
            {
                "type": "file",
                "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"},
            },
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        ],
    }
]
BY_SCHEMA = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY, "strict": True}}

REQUESTS = [
    asked(
        "openai, a loop of tools goes on without its reasoning",
        OPENAI,
        LOOP,
        messages=loop("developer"),
        tools=[WEATHER],
        reasoning_effort="low",
    ),
    asked(
        "openrouter, a loop of tools goes on with its signed reasoning",
        OPENROUTER,
        LOOP,
        messages=loop("developer", reasoning_details=DETAILS),
        tools=[WEATHER],
        reasoning_effort="low",
    ),
    asked(
        "openrouter, an envelope that openai gave to us is not sent",
        OPENROUTER,
        {"messages": [*HELLO, {**TURN, "reasoning_details": SEALED_FOR_US}, RESULT]},
        messages=[*HELLO, TURN, RESULT],
    ),
    asked(
        "xai, neither names nor strict tools",
        XAI,
        LOOP,
        messages=loop("system", name=None),
        tools=[LAX_WEATHER],
        reasoning_effort="low",
    ),
    asked(
        "deepseek, a loop of tools goes on with its reasoning in the open",
        DEEPSEEK,
        LOOP,
        messages=loop("system", reasoning_content="Hm"),
        tools=[WEATHER],
        thinking={"type": "enabled"},
    ),
    asked(
        "dashscope, thinking is switched on in a stream",
        DASHSCOPE,
        LOOP,
        messages=loop("system"),
        tools=[WEATHER],
        enable_thinking=True,
    ),
    asked(
        "groq, nothing that is null",
        GROQ,
        LOOP,
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello", "name": "ann"},
            {"role": "assistant", "tool_calls": [CALL], "reasoning": "Hm"},
            RESULT,
        ],
        tools=[WEATHER],
        reasoning_effort="low",
    ),
    asked("together, the plain form", TOGETHER, LOOP, **PLAIN_LOOP),
    asked("an own server gets the plain form", OWN, LOOP, **PLAIN_LOOP),
    asked("openai, images in the chat and on the web", OPENAI, {"messages": PICTURES}),
    asked("openrouter, images in the chat and on the web", OPENROUTER, {"messages": PICTURES}),
    asked("vllm, images in the chat and on the web", OWN, {"messages": PICTURES}),
    asked("openai, a file and sound", OPENAI, {"messages": PAPERS}),
    asked("openrouter, a file and sound", OPENROUTER, {"messages": PAPERS}),
    asked("dashscope, a whole answer comes without thinking", DASHSCOPE, {}, enable_thinking=False),
    asked(
        "dashscope, a budget for thinking",
        DASHSCOPE,
        {"reasoning": {"max_tokens": 500}, "stream": True},
        enable_thinking=True,
        thinking_budget=500,
    ),
    asked(
        "deepseek, thinking is switched off",
        DEEPSEEK,
        {"reasoning_effort": "none"},
        thinking={"type": "disabled"},
    ),
    asked(
        "openrouter, reasoning as it was asked for",
        OPENROUTER,
        {"reasoning": {"max_tokens": 500, "exclude": True}},
        reasoning={"max_tokens": 500, "exclude": True},
    ),
    asked(
        "openai, everything that has one name everywhere",
        OPENAI,
        {
            "n": 2,
            "seed": 7,
            "stop": ["x"],
            "top_p": 0.5,
            "temperature": 1,
            "logprobs": True,
            "top_logprobs": 3,
            "presence_penalty": 0.5,
            "frequency_penalty": -0.5,
            "logit_bias": {"50256": -100},
            "response_format": BY_SCHEMA,
            "verbosity": "low",
            "user": "ann",
        },
        n=2,
        seed=7,
        stop=["x"],
        top_p=0.5,
        temperature=1,
        logprobs=True,
        top_logprobs=3,
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        logit_bias={"50256": -100},
        response_format=BY_SCHEMA,
        verbosity="low",
        user="ann",
    ),
    asked(
        "vllm, one tool has to be called",
        OWN,
        {
            "tools": [LAX_WEATHER],
            "tool_choice": {"type": "function", "function": {"name": "weather"}},
            "parallel_tool_calls": False,
        },
        tools=[LAX_WEATHER],
        tool_choice={"type": "function", "function": {"name": "weather"}},
        parallel_tool_calls=False,
    ),
]


# What comes back ------------------------------------------------------------------------------


def both(
    name: str,
    host: str,
    choices: list[dict[str, Any]],
    chunks: list[bytes],
    *said: Choice,
    usage: Any = USAGE,
    used: Usage | None = USED,
    **more: Any,
) -> list[Transcript]:
    """The same answer whole and as a stream."""
    return [
        Transcript(
            name=name,
            dialect="openai-chat",
            host=host,
            back=whole(choices, usage, **more),
            said=said,
            usage=used,
        ),
        Transcript(
            name=f"{name}, as a stream",
            dialect="openai-chat",
            host=host,
            chat={"messages": HELLO, "stream": True},
            back=b"".join([*chunks, chunk([], usage=usage, **more) if usage else b"", DONE]),
            said=said,
            usage=used,
            same_as=name,
        ),
    ]


def part(index: int, arguments: str, **head: str) -> dict[str, Any]:
    function = {"arguments": arguments} | ({"name": head.pop("name")} if "name" in head else {})
    return {"index": index, **head, "function": function}


def called(number: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": number, "type": "function", "function": {"name": name, "arguments": arguments}}


CITATION = {
    "type": "url_citation",
    "url_citation": {
        "start_index": 0,
        "end_index": 4,
        "url": "https://example.com/a",
        "title": "A",
    },
}
LOGPROBS = {
    "content": [
        {"token": "Hi", "logprob": -0.1234567890123, "bytes": [72, 105], "top_logprobs": []}
    ]
}
SIGNED = [
    {
        "type": "reasoning.text",
        "text": "Think",
        "format": "anthropic-claude-v1",
        "index": 0,
        "signature": "S",
    }
]
SEALED = [
    {
        "type": "reasoning.encrypted",
        "data": "AAAA",
        "id": "rs_1",
        "format": "openai-responses-v1",
        "index": 0,
    }
]
PICTURE = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}, "index": 0}]

ANSWERS = [
    *both(
        "openai, a refusal",
        OPENAI,
        [choice(refusal="I cannot help.")],
        [
            chunk([delta(role="assistant", content=None, refusal="I ")]),
            chunk([delta(refusal="cannot help.")]),
            chunk([delta("stop")]),
        ],
        told(refusal="I cannot help."),
    ),
    *both(
        "openai, two choices",
        OPENAI,
        [choice(content="One"), choice("length", 1, content="Two")],
        [
            chunk([delta(content="One")]),
            chunk([delta(content="Tw", index=1)]),
            chunk([delta("stop")]),
            chunk([delta(content="o", index=1)]),
            chunk([delta("length", index=1)]),
        ],
        told("One"),
        told("Two", index=1, finish_reason="length"),
    ),
    *both(
        "openai, probabilities",
        OPENAI,
        [{**choice(content="Hi"), "logprobs": LOGPROBS}],
        [
            chunk([{**delta(content="Hi"), "logprobs": LOGPROBS}]),
            chunk([{**delta("stop"), "logprobs": None}]),
        ],
        told("Hi", logprobs=LOGPROBS),
    ),
    *both(
        "openai, a citation",
        OPENAI,
        [choice(content="Seen", annotations=[CITATION])],
        [
            chunk([delta(content="Seen")]),
            chunk([delta(annotations=[CITATION])]),
            chunk([delta("stop")]),
        ],
        told("Seen", annotations=[CITATION]),
    ),
    *both(
        "openai, a filter",
        OPENAI,
        [choice("content_filter", content="Well")],
        [chunk([delta(content="Well")]), chunk([delta("content_filter")])],
        told("Well", finish_reason="content_filter"),
    ),
    *both(
        "openai, cached tokens and a prediction that failed",
        OPENAI,
        [choice(content="Hi")],
        [chunk([delta(content="Hi")]), chunk([delta("stop")])],
        told("Hi"),
        usage={
            "prompt_tokens": 2006,
            "completion_tokens": 300,
            "total_tokens": 2306,
            "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "rejected_prediction_tokens": 120},
        },
        used=Usage(input_uncached=86, cache_read=1920, output_text=300),
    ),
    *both(
        "openrouter, reasoning with its signature",
        OPENROUTER,
        [choice(content="Yes", reasoning="Think", reasoning_details=SIGNED)],
        [
            chunk(
                [
                    delta(
                        role="assistant",
                        content="",
                        reasoning="Think",
                        reasoning_details=[
                            {
                                "type": "reasoning.text",
                                "text": "Think",
                                "format": "anthropic-claude-v1",
                                "index": 0,
                            }
                        ],
                    )
                ]
            ),
            chunk(
                [
                    delta(
                        role="assistant",
                        content="",
                        reasoning=None,
                        reasoning_details=[
                            {
                                "type": "reasoning.text",
                                "text": "",
                                "signature": "S",
                                "format": "anthropic-claude-v1",
                                "index": 0,
                            }
                        ],
                    )
                ]
            ),
            chunk([delta(role="assistant", content="Yes")]),
            chunk([delta("stop", role="assistant", content="")]),
        ],
        told("Yes", reasoning="Think", reasoning_details=SIGNED),
        usage={**USAGE, "cost": 0.00124995, "is_byok": False},
        used=Usage(input_uncached=9, output_text=4, cost_nanos=1_249_950),
        provider="Anthropic",
    ),
    *both(
        "openrouter, encrypted reasoning before a call",
        OPENROUTER,
        [
            choice(
                "tool_calls",
                reasoning=None,
                reasoning_details=SEALED,
                tool_calls=[called("call_1", "f", "{}")],
            )
        ],
        [
            chunk([delta(role="assistant", content="", reasoning=None, reasoning_details=SEALED)]),
            chunk(
                [
                    delta(
                        role="assistant",
                        content=None,
                        tool_calls=[part(0, "{}", id="call_1", name="f")],
                    )
                ]
            ),
            chunk([delta("tool_calls", role="assistant", content="")]),
        ],
        told(calls=[("call_1", "f", "{}")], reasoning_details=SEALED, finish_reason="tool_calls"),
        usage={
            **USAGE,
            "cost": 0,
            "is_byok": True,
            "cost_details": {"upstream_inference_cost": 0.0003253},
        },
        used=Usage(input_uncached=9, output_text=4, cost_nanos=325_300),
    ),
    *both(
        "openrouter, a picture that was drawn",
        OPENROUTER,
        [choice(content="Here", images=PICTURE)],
        [
            chunk([delta(content="Here")]),
            chunk([delta(content="", images=PICTURE)]),
            chunk([delta("stop")]),
        ],
        told("Here", images=PICTURE),
    ),
    *both(
        "xai, reasoning counted outside, and a cost in ticks",
        XAI,
        [choice(content="4", reasoning_content="Two and two")],
        [
            chunk([delta(role="assistant", reasoning_content="Two ")]),
            chunk([delta(reasoning_content="and two")]),
            chunk([delta(content="4")]),
            chunk([delta("stop")]),
        ],
        told("4", reasoning="Two and two"),
        usage={
            "prompt_tokens": 1889,
            "completion_tokens": 52,
            "total_tokens": 2102,
            "completion_tokens_details": {"reasoning_tokens": 161},
            "cost_in_usd_ticks": 8_370_000,
        },
        used=Usage(input_uncached=1889, output_text=52, reasoning=161, cost_nanos=837_000),
    ),
    *both(
        "xai, calls end with an empty reason",
        XAI,
        [choice("", tool_calls=[called("c", "f", '{"a":1}')])],
        [chunk([delta(tool_calls=[part(0, '{"a":1}', id="c", name="f")])]), chunk([delta("")])],
        told(calls=[("c", "f", '{"a":1}')], finish_reason="tool_calls"),
    ),
    *both(
        "deepseek, reasoning and a prompt that was cached",
        DEEPSEEK,
        [choice(content="Да", reasoning_content="Подумаем")],
        [
            chunk([delta(content=None, reasoning_content="Поду")]),
            chunk([delta(content=None, reasoning_content="маем")]),
            chunk([delta(content="Да", reasoning_content=None)]),
            chunk([delta("stop", content="", reasoning_content=None)]),
        ],
        told("Да", reasoning="Подумаем"),
        usage={
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "total_tokens": 120,
            "prompt_cache_hit_tokens": 64,
            "prompt_cache_miss_tokens": 36,
            "completion_tokens_details": {"reasoning_tokens": 15},
        },
        used=Usage(input_uncached=36, cache_read=64, output_text=5, reasoning=15),
    ),
    *both(
        "dashscope, thinking first",
        DASHSCOPE,
        [choice(content="Hi", reasoning_content="Hm")],
        [
            chunk([delta(role="assistant", content=None, reasoning_content="Hm")]),
            chunk([delta(content="Hi", reasoning_content=None)]),
            chunk([delta("stop", content="")]),
        ],
        told("Hi", reasoning="Hm"),
    ),
    *both(
        "groq, reasoning by its other name",
        GROQ,
        [choice(content="Hi", reasoning="We need")],
        [
            chunk([delta(role="assistant", content=None)], x_groq={"id": "req_AAAA"}),
            chunk([delta(reasoning="We need")]),
            chunk([delta(content="Hi")]),
            chunk([delta("stop")], usage=USAGE),
        ],
        told("Hi", reasoning="We need"),
    ),
    *both(
        "together, a reason of its own to end",
        TOGETHER,
        [choice("eos", content="Hi")],
        [chunk([delta(content="Hi")]), chunk([delta("eos")])],
        told("Hi", native_finish_reason="eos"),
    ),
    *both(
        "vllm, the same tool twice at once",
        OWN,
        [
            choice(
                "tool_calls", tool_calls=[called("a", "f", '{"x":1}'), called("b", "f", '{"x":1}')]
            )
        ],
        [
            chunk(
                [delta(tool_calls=[part(0, "", id="a", name="f"), part(1, "", id="b", name="f")])]
            ),
            chunk([delta(tool_calls=[part(0, '{"x"'), part(1, '{"x":1}')])]),
            chunk([delta(tool_calls=[part(0, ":1}")])]),
            chunk([delta("tool_calls")]),
        ],
        told(calls=[("a", "f", '{"x":1}'), ("b", "f", '{"x":1}')], finish_reason="tool_calls"),
    ),
    *both(
        "llama.cpp, its timings",
        OWN,
        [choice(content="Hi")],
        [
            chunk([delta(role="assistant", content=None)]),
            chunk([delta(content="Hi")]),
            chunk([delta("stop")], timings={"predicted_ms": 1.5}),
        ],
        told("Hi"),
        timings={"predicted_ms": 1.5},
    ),
    *both(
        "ollama, a call without arguments",
        OWN,
        [choice("tool_calls", content="", tool_calls=[called("call_1", "f", "{}")])],
        [
            chunk(
                [
                    delta(
                        role="assistant",
                        content="",
                        tool_calls=[part(0, "{}", id="call_1", name="f")],
                    )
                ]
            ),
            chunk([delta("tool_calls", role="assistant", content="")]),
        ],
        told(calls=[("call_1", "f", "{}")], finish_reason="tool_calls"),
        system_fingerprint="fp_ollama",
    ),
    *both(
        "an answer without usage",
        OWN,
        [choice(content="Hi")],
        [chunk([delta(content="Hi")]), chunk([delta("stop")])],
        told("Hi"),
        usage=None,
        used=None,
    ),
    Transcript(
        name="deepseek, blank lines keep a whole answer alive",
        dialect="openai-chat",
        host=DEEPSEEK,
        back=b"\n\n\n" + whole([choice(content="Hi")]),
        said=(told("Hi"),),
        usage=USED,
    ),
]


# How it fails ---------------------------------------------------------------------------------


def refused(
    name: str, host: str, status: int, body: dict[str, Any], kind: Fault.Kind, **headers: str
) -> Transcript:
    return Transcript(
        name=name,
        dialect="openai-chat",
        host=host,
        back=json.dumps(body).encode(),
        status=status,
        back_headers=headers,
        fault=kind,
    )


def broken(
    name: str, host: str, ending: bytes, kind: Fault.Kind, used: Usage | None = None
) -> Transcript:
    return Transcript(
        name=name,
        dialect="openai-chat",
        host=host,
        chat={"messages": HELLO, "stream": True},
        back=chunk([delta(content="part")]) + ending,
        said=(told("part", finish_reason=None),),
        usage=used,
        fault=kind,
    )


FAILURES = [
    refused(
        "openai, the money is spent",
        OPENAI,
        429,
        {
            "error": {
                "message": "You exceeded your current quota",
                "type": "insufficient_quota",
                "code": "insufficient_quota",
            }
        },
        "quota",
    ),
    refused(
        "openrouter, no credits",
        OPENROUTER,
        402,
        {"error": {"code": 402, "message": "Insufficient credits."}},
        "quota",
    ),
    refused(
        "openrouter, a moderator",
        OPENROUTER,
        403,
        {
            "error": {
                "code": 403,
                "message": "Flagged",
                "metadata": {"reasons": ["violence"], "flagged_input": "x"},
            }
        },
        "bad_request",
    ),
    refused(
        "openrouter, its provider is busy",
        OPENROUTER,
        502,
        {
            "error": {
                "code": 502,
                "message": "Provider returned error",
                "metadata": {"raw": "busy", "provider_name": "Google"},
            }
        },
        "server",
    ),
    refused(
        "openrouter, an error under 200",
        OPENROUTER,
        200,
        {"error": {"code": 429, "message": "Provider returned error"}},
        "rate_limit",
    ),
    refused(
        "xai, an error that is a string",
        XAI,
        400,
        {
            "code": "Client specified an invalid argument",
            "error": "Incorrect API key provided: xa***",
        },
        "auth",
    ),
    refused(
        "xai, a prompt too long",
        XAI,
        400,
        {
            "code": "x",
            "error": "This model's maximum prompt length is 131072 but the request contains 200000 tokens.",
        },
        "context_length",
    ),
    refused(
        "deepseek, no money",
        DEEPSEEK,
        402,
        {
            "error": {
                "message": "Insufficient Balance",
                "type": "unknown_error",
                "code": "invalid_request_error",
            }
        },
        "quota",
    ),
    refused(
        "dashscope, thinking in a whole answer",
        DASHSCOPE,
        400,
        {
            "error": {
                "code": "invalid_parameter_error",
                "message": "parameter.enable_thinking must be set to false for non-streaming calls",
                "type": "invalid_request_error",
            }
        },
        "bad_request",
    ),
    refused(
        "groq, more in a request than in a minute",
        GROQ,
        413,
        {
            "error": {
                "message": "Request too large",
                "type": "tokens",
                "code": "rate_limit_exceeded",
            }
        },
        "rate_limit",
    ),
    refused(
        "together, overloaded", TOGETHER, 529, {"error": {"message": "overloaded"}}, "overloaded"
    ),
    refused(
        "vllm, a flat error",
        OWN,
        400,
        {
            "object": "error",
            "message": "This model's maximum context length is 8192 tokens.",
            "type": "BadRequestError",
            "code": 400,
        },
        "context_length",
    ),
    refused(
        "llama.cpp, too long under 200",
        OWN,
        200,
        {"error": {"code": 400, "message": "too long", "type": "exceed_context_size_error"}},
        "context_length",
    ),
    refused(
        "llama.cpp, still loading",
        OWN,
        503,
        {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}},
        "overloaded",
    ),
    refused(
        "ollama, no such model",
        OWN,
        404,
        {"error": {"message": "model 'x' not found", "type": "not_found_error", "code": None}},
        "not_found",
    ),
    broken(
        "openai, an error in the middle",
        OPENAI,
        b'data: {"error":{"message":"The server had an error","type":"server_error","code":null}}\n\n',
        "server",
    ),
    broken(
        "openrouter, an error in the middle, with its usage",
        OPENROUTER,
        chunk(
            [delta("error", content="")],
            error={"code": "502", "message": "Provider disconnected"},
            usage=USAGE,
        ),
        "server",
        USED,
    ),
    broken(
        "groq, a named error",
        GROQ,
        b'event: error\ndata: {"error":{"message":"Tool call validation failed","type":"invalid_request_error","code":"tool_use_failed","status_code":400}}\n\n',
        "bad_request",
    ),
    broken(
        "vllm, an error and then the end",
        OWN,
        b'data: {"error":{"message":"boom","type":"InternalServerError","code":500}}\n\n' + DONE,
        "server",
    ),
    broken("a stream that was cut", OWN, b'data: {"choices":[{"index":0,', "broken"),
]

TRANSCRIPTS = [*REQUESTS, *ANSWERS, *FAILURES]
