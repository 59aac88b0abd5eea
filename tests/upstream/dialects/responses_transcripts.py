# ruff: noqa: E501 -- what vendors send stands on one line, as it came
"""Chats with OpenAI's Responses API: what is asked, what comes back whole and streamed, what fails."""

import json
from typing import Any

from transcript import HELLO, Choice, Transcript, told

from altyn.chat import Fault, Usage
from fakes.responses_answer import (
    call,
    citation,
    events,
    frame,
    message,
    open_thought,
    refusal,
    stream,
    thought,
    whole,
)

PRO = "openai/gpt-5.2-pro"
FORMAT = "openai-responses-v1"
USED = Usage(input_uncached=21, output_text=11, reasoning=192)
ENCRYPTED = ["reasoning.encrypted_content"]
ASKED = {"model": "m", "store": False, "max_output_tokens": 2048}


# What is asked --------------------------------------------------------------------------------


def asked(name: str, chat: dict[str, Any], **sent: Any) -> Transcript:
    """A chat whose request is looked at; the answer is always the same. Without `input` it is
    a hello, without a `temperature` the ordinary one, unless the model takes none.
    """
    chat = {"messages": HELLO, **chat}
    usual = {"input": HELLO} if chat["messages"] is HELLO else {}
    if "model" not in chat and "temperature" not in sent:
        usual["temperature"] = 0.7
    return Transcript(
        name=name,
        dialect="openai-responses",
        host="api.openai.com",
        chat=chat,
        path="/responses",
        sent={**ASKED, **usual, **sent},
        back=stream(HI) if chat.get("stream") else json.dumps(whole(HI)).encode(),
        said=(told("Hi"),),
        usage=USED,
    )


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts) if len(parts) > 1 else parts[0]}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def calling(*calls: tuple[str, str, str], **more: Any) -> dict[str, Any]:
    tool_calls = [
        {"id": number, "type": "function", "function": {"name": name, "arguments": arguments}}
        for number, name, arguments in calls
    ]
    return {"role": "assistant", "content": None, "tool_calls": tool_calls, **more}


def result(number: str, content: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": number, "content": content}


def called(number: str, name: str, arguments: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": number, "name": name, "arguments": arguments}


def answered(number: str, output: Any) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": number, "output": output}


def encrypted(data: str, index: int | None = 0, **more: Any) -> dict[str, Any]:
    return {
        "type": "reasoning.encrypted",
        "data": data,
        "id": f"altyn_rs_{data}",
        "format": FORMAT,
        "index": index,
        **more,
    }


def item(data: str) -> dict[str, Any]:
    return {"type": "reasoning", "id": f"rs_{data}", "summary": [], "encrypted_content": data}


def summary(words: str, index: int = 0) -> dict[str, Any]:
    return {"type": "reasoning.summary", "summary": words, "format": FORMAT, "index": index}


def open_detail(words: str, index: int = 0) -> dict[str, Any]:
    return {"type": "reasoning.text", "text": words, "format": FORMAT, "index": index}


HI = [message("Hi")]
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "description": "How it is", "parameters": CITY, "strict": True},
}
CLOCK = {"type": "function", "function": {"name": "clock"}}
FLAT_WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "How it is",
    "parameters": CITY,
    "strict": True,
}
FLAT_CLOCK = {
    "type": "function",
    "name": "clock",
    "parameters": {"type": "object", "properties": {}},
    "strict": False,
}
ROME = ("call_1", "weather", '{"city":"Rome"}')
OSLO = ("call_2", "weather", '{"city":"Oslo"}')
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
LINKED = {"type": "image_url", "image_url": {"url": "https://img.example/a.png", "detail": "low"}}


def out(words: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": words, "annotations": []}]
    return {"type": "message", "role": "assistant", "content": content}


def loop(*before: dict[str, Any], details: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A chat in the middle of a tool loop, with the reasoning that led to the calls."""
    turn = calling(ROME, reasoning_details=details, **more)
    return {"messages": [*before, *HELLO, turn, result("call_1", "sunny")]}


REQUESTS = [
    asked("a hello", {}),
    asked(
        "a hello as a stream, without filler against eavesdroppers",
        {"stream": True},
        stream=True,
        stream_options={"include_obfuscation": False},
    ),
    asked(
        "a model that reasons gives its reasoning in an envelope", {"model": PRO}, include=ENCRYPTED
    ),
    asked(
        "the system's first words are instructions",
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "developer", "content": "In Russian."},
                *HELLO,
            ]
        },
        instructions="Be brief.\n\nIn Russian.",
        input=HELLO,
    ),
    asked(
        "the system's words in parts are instructions too",
        {
            "messages": [
                {"role": "system", "content": [text("Be brief."), text("Be kind.")]},
                *HELLO,
            ]
        },
        instructions="Be brief.\n\nBe kind.",
        input=HELLO,
    ),
    asked(
        "the system's later words stay where they are",
        {"messages": [*HELLO, {"role": "system", "content": "Now in rhyme."}, user("Go on")]},
        input=[*HELLO, {"role": "developer", "content": "Now in rhyme."}, user("Go on")],
    ),
    asked(
        "a chat of the system alone is no empty input",
        {"messages": [{"role": "system", "content": "Say hi."}]},
        input=[{"role": "developer", "content": "Say hi."}],
    ),
    asked(
        "an image in the chat and one on the web",
        {"messages": [user(text("What is it?"), IMAGE, LINKED)]},
        input=[
            user(
                {"type": "input_text", "text": "What is it?"},
                {
                    "type": "input_image",
                    "image_url": "data:image/png;base64,AAAA",
                    "detail": "auto",
                },
                {"type": "input_image", "image_url": "https://img.example/a.png", "detail": "low"},
            )
        ],
    ),
    asked(
        "files in the chat, on the web and at the vendor",
        {
            "messages": [
                user(
                    {
                        "type": "file",
                        "file": {
                            "filename": "a.pdf",
                            "file_data": "data:application/pdf;base64,AAAA",
                        },
                    },
                    {
                        "type": "file",
                        "file": {"filename": "b.pdf", "file_data": "https://files.example/b.pdf"},
                    },
                )
            ]
        },
        input=[
            user(
                {
                    "type": "input_file",
                    "filename": "a.pdf",
                    "file_data": "data:application/pdf;base64,AAAA",
                },
                {
                    "type": "input_file",
                    "filename": "b.pdf",
                    "file_url": "https://files.example/b.pdf",
                },
            )
        ],
    ),
    asked(
        "sound",
        {
            "messages": [
                user(
                    text("Listen"),
                    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                )
            ]
        },
        input=[
            user(
                {"type": "input_text", "text": "Listen"},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            )
        ],
    ),
    asked(
        "a user's name has no place",
        {"messages": [{**HELLO[0], "name": "ann"}]},
        input=HELLO,
    ),
    asked(
        "tools lie flat and say whether they are strict",
        {"tools": [WEATHER, CLOCK]},
        tools=[FLAT_WEATHER, FLAT_CLOCK],
    ),
    asked(
        "one tool has to be called",
        {"tools": [CLOCK], "tool_choice": {"type": "function", "function": {"name": "clock"}}},
        tools=[FLAT_CLOCK],
        tool_choice={"type": "function", "name": "clock"},
    ),
    asked(
        "some tool has to be called, one at a time",
        {"tools": [CLOCK], "tool_choice": "required", "parallel_tool_calls": False},
        tools=[FLAT_CLOCK],
        tool_choice="required",
        parallel_tool_calls=False,
    ),
    asked(
        "a call and its result",
        {"messages": [*HELLO, calling(ROME), result("call_1", "sunny")], "tools": [WEATHER]},
        input=[*HELLO, called(*ROME), answered("call_1", "sunny")],
        tools=[FLAT_WEATHER],
    ),
    asked(
        "the same tool twice at once, with words before",
        {
            "messages": [
                *HELLO,
                calling(ROME, OSLO, content="Let me look."),
                result("call_1", "sun"),
                result("call_2", "snow"),
            ]
        },
        input=[
            *HELLO,
            out("Let me look."),
            called(*ROME),
            called(*OSLO),
            answered("call_1", "sun"),
            answered("call_2", "snow"),
        ],
    ),
    asked(
        "a result with an image",
        {"messages": [*HELLO, calling(ROME), result("call_1", [text("See"), IMAGE])]},
        input=[
            *HELLO,
            called(*ROME),
            answered(
                "call_1",
                [
                    {"type": "input_text", "text": "See"},
                    {
                        "type": "input_image",
                        "image_url": "data:image/png;base64,AAAA",
                        "detail": "auto",
                    },
                ],
            ),
        ],
    ),
    asked(
        "an answer in parts and a refusal of earlier",
        {
            "messages": [
                *HELLO,
                {"role": "assistant", "content": [text("One"), text("two")]},
                user("Bad"),
                {"role": "assistant", "content": None, "refusal": "No."},
                user("Good"),
            ]
        },
        input=[
            *HELLO,
            {
                "type": "message",
                "role": "assistant",
                "content": [
                    {"type": "output_text", "text": "One", "annotations": []},
                    {"type": "output_text", "text": "two", "annotations": []},
                ],
            },
            user("Bad"),
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "refusal", "refusal": "No."}],
            },
            user("Good"),
        ],
    ),
    asked(
        "an answer of nothing leaves nothing",
        {"messages": [*HELLO, {"role": "assistant", "content": ""}, user("Again")]},
        input=[*HELLO, user("Again")],
    ),
    asked(
        "reasoning goes back before the call it led to, without its summary",
        {"model": PRO, **loop(details=[summary("Hm"), encrypted("A")])},
        input=[*HELLO, item("A"), called(*ROME), answered("call_1", "sunny")],
        include=ENCRYPTED,
    ),
    asked(
        "every piece of reasoning goes back to its place",
        {
            "model": PRO,
            "messages": [
                *HELLO,
                calling(
                    ROME,
                    OSLO,
                    content="Let me look.",
                    reasoning_details=[encrypted("A", 0), encrypted("B", 2), encrypted("C", 4)],
                ),
                result("call_1", "sun"),
                result("call_2", "snow"),
            ],
        },
        input=[
            *HELLO,
            item("A"),
            out("Let me look."),
            item("B"),
            called(*ROME),
            item("C"),
            called(*OSLO),
            answered("call_1", "sun"),
            answered("call_2", "snow"),
        ],
        include=ENCRYPTED,
    ),
    asked(
        "reasoning that nothing followed is not sent",
        {
            "model": PRO,
            "messages": [
                *HELLO,
                {
                    "role": "assistant",
                    "content": "Hm.",
                    "reasoning_details": [encrypted("A", 0), encrypted("B", 2)],
                },
                user("Well?"),
                {"role": "assistant", "content": None, "reasoning_details": [encrypted("C", 0)]},
                user("Well?"),
            ],
        },
        input=[*HELLO, item("A"), out("Hm."), user("Well?"), user("Well?")],
        include=ENCRYPTED,
    ),
    asked(
        "the reasoning of other vendors is not sent",
        {
            "model": PRO,
            **loop(
                details=[
                    {
                        "type": "reasoning.text",
                        "text": "Hm",
                        "signature": "S",
                        "format": "anthropic-claude-v1",
                        "index": 0,
                    },
                    {
                        "type": "reasoning.encrypted",
                        "data": "G",
                        "format": "google-gemini-v1",
                        "index": 1,
                    },
                    {"type": "reasoning.encrypted", "data": "N"},
                ],
            ),
        },
        input=[*HELLO, called(*ROME), answered("call_1", "sunny")],
        include=ENCRYPTED,
    ),
    asked(
        "an envelope that a middleman gave is not sent",
        {"model": PRO, **loop(details=[encrypted("A", id="rs_A")])},
        input=[*HELLO, called(*ROME), answered("call_1", "sunny")],
        include=ENCRYPTED,
    ),
    asked(
        "reasoning whose place was lost goes first",
        {"model": PRO, **loop(details=[encrypted("A", None)], content="Let me look.")},
        input=[*HELLO, item("A"), out("Let me look."), called(*ROME), answered("call_1", "sunny")],
        include=ENCRYPTED,
    ),
    asked(
        "open reasoning goes back, put together",
        loop(details=[open_detail("H"), open_detail("m")]),
        input=[
            *HELLO,
            {
                "type": "reasoning",
                "summary": [],
                "content": [{"type": "reasoning_text", "text": "Hm"}],
            },
            called(*ROME),
            answered("call_1", "sunny"),
        ],
    ),
    asked(
        "an answer by a schema",
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {
                    "name": "city",
                    "schema": CITY,
                    "strict": True,
                    "description": None,
                },
            }
        },
        text={"format": {"type": "json_schema", "name": "city", "schema": CITY, "strict": True}},
    ),
    asked(
        "an answer in JSON, and a short one",
        {"response_format": {"type": "json_object"}, "verbosity": "low"},
        text={"format": {"type": "json_object"}, "verbosity": "low"},
    ),
    asked(
        "an effort alone asks for no summary",
        {"model": PRO, "reasoning_effort": "high"},
        reasoning={"effort": "high"},
        include=ENCRYPTED,
    ),
    asked(
        "reasoning asked for is told in a summary",
        {"model": PRO, "reasoning": {"effort": "xhigh"}},
        reasoning={"effort": "xhigh", "summary": "auto"},
        include=ENCRYPTED,
    ),
    asked(
        "reasoning without an effort is told in a summary too",
        {"model": PRO, "reasoning": {"enabled": True}},
        reasoning={"summary": "auto"},
        include=ENCRYPTED,
    ),
    asked(
        "reasoning that nobody wants to see is not carried",
        {"model": PRO, "reasoning": {"effort": "high", "exclude": True}},
        reasoning={"effort": "high"},
    ),
    asked(
        "reasoning switched off",
        {"model": "openai/gpt-5.2", "reasoning": {"enabled": False}},
        reasoning={"effort": "none"},
        include=ENCRYPTED,
    ),
    asked("fewer tokens than can be asked for", {"max_tokens": 1}, max_output_tokens=16),
    asked("tokens by the newer name", {"max_completion_tokens": 300}, max_output_tokens=300),
    asked(
        "probabilities",
        {"logprobs": True, "top_logprobs": 2},
        top_logprobs=2,
        include=["message.output_text.logprobs"],
    ),
    asked(
        "what has the same name there, and what has none",
        {
            "temperature": 1,
            "top_p": 0.5,
            "user": "ann",
            "stop": ["x"],
            "seed": 7,
            "presence_penalty": 1,
            "frequency_penalty": 1,
            "logit_bias": {"50256": -100},
        },
        temperature=1,
        top_p=0.5,
        user="ann",
    ),
]


# What comes back ------------------------------------------------------------------------------


def both(
    name: str,
    output: list[dict[str, Any]],
    said: Choice,
    *,
    used: Usage | None = USED,
    fault: Fault.Kind | None = None,
    before: tuple[Choice, ...] = (),
    **response: Any,
) -> list[Transcript]:
    """The same answer whole and as a stream. Of a fault, `before` is what a stream told first."""
    common: dict[str, Any] = {"dialect": "openai-responses", "fault": fault}
    spoken = () if fault else (said,)
    return [
        Transcript(
            name=name,
            back=json.dumps(whole(output, **response)).encode(),
            said=spoken,
            usage=None if fault else used,
            **common,
        ),
        Transcript(
            name=f"{name}, as a stream",
            chat={"messages": HELLO, "stream": True},
            back=stream(output, **response),
            said=before or spoken,
            usage=used,
            same_as=None if fault else name,
            **common,
        ),
    ]


def usage(input_tokens: int, output_tokens: int, **more: Any) -> dict[str, Any]:
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {
            "cached_tokens": more.get("cached", 0),
            "cache_write_tokens": more.get("written", 0),
        },
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": more.get("reasoning", 0)},
        "total_tokens": more.get("total", input_tokens + output_tokens),
    }


def sealed(data: str, number: str, index: int) -> dict[str, Any]:
    return {
        "type": "reasoning.encrypted",
        "data": data,
        "id": f"altyn_{number}",
        "format": FORMAT,
        "index": index,
    }


CITED = citation("https://example.com/a", "A", 0, 4)
CITATION = {
    "type": "url_citation",
    "url_citation": {
        "start_index": 0,
        "end_index": 4,
        "url": "https://example.com/a",
        "title": "A",
    },
}
LOGPROBS = [{"token": "Hi", "bytes": [72, 105], "logprob": -0.1234567890123, "top_logprobs": []}]
SEARCH = {
    "id": "ws_1",
    "type": "web_search_call",
    "status": "completed",
    "action": {"type": "search"},
    "content": "?",
}

ANSWERS = [
    *both("a text", [message("Hello there.")], told("Hello there.")),
    *both(
        "a text in other letters",
        [message('Привет, 🙂 «мир»\n\t\\"')],
        told('Привет, 🙂 «мир»\n\t\\"'),
    ),
    *both("a text in two parts", [message("One, ", "two.")], told("One, two.")),
    *both(
        "two messages are set apart", [message("First."), message("Then.")], told("First.\n\nThen.")
    ),
    *both("a refusal", [refusal("I cannot help.")], told(refusal="I cannot help.")),
    *both("a text and a refusal", [message("Hm."), refusal("No.")], told("Hm.", refusal="No.")),
    *both(
        "a summary of the reasoning",
        [thought("**Thinking** hard"), message("Yes.")],
        told(
            "Yes.", reasoning="**Thinking** hard", reasoning_details=[summary("**Thinking** hard")]
        ),
    ),
    *both(
        "a summary in two parts",
        [thought("One thing", "другое"), message("Yes.")],
        told(
            "Yes.",
            reasoning="One thing\n\nдругое",
            reasoning_details=[summary("One thing\n\nдругое")],
        ),
    ),
    *both(
        "two thoughts, each with its envelope",
        [
            thought("A", encrypted="gAAAA", number="rs_1"),
            message("Let me look."),
            thought("B", "C", encrypted="gBBBB", number="rs_2"),
            call("weather", '{"city":"Rome"}'),
        ],
        told(
            "Let me look.",
            calls=[("call_AAAA", "weather", '{"city":"Rome"}')],
            reasoning="A\n\nB\n\nC",
            reasoning_details=[
                summary("A"),
                sealed("gAAAA", "rs_1", 0),
                summary("B\n\nC", 2),
                sealed("gBBBB", "rs_2", 2),
            ],
            finish_reason="tool_calls",
        ),
    ),
    *both(
        "an envelope without a summary",
        [thought(encrypted="gAAAA"), message("Yes.")],
        told("Yes.", reasoning_details=[sealed("gAAAA", "rs_AAAA", 0)]),
    ),
    *both("reasoning of which nothing is told", [thought(), message("Yes.")], told("Yes.")),
    *both(
        "open reasoning",
        [open_thought("Two and two"), message("4")],
        told("4", reasoning="Two and two", reasoning_details=[open_detail("Two and two")]),
    ),
    *both(
        "open reasoning twice",
        [open_thought("Two"), message("4"), open_thought("Four"), message("8")],
        told(
            "4\n\n8",
            reasoning="Two\n\nFour",
            reasoning_details=[open_detail("Two"), open_detail("Four", 2)],
        ),
    ),
    *both(
        "one call",
        [call("weather", '{"city": "Rome"}')],
        told(calls=[("call_AAAA", "weather", '{"city": "Rome"}')], finish_reason="tool_calls"),
    ),
    *both(
        "two calls at once",
        [call("weather", '{"city": "Rome"}', "call_1"), call("clock", '{"zone": "CET"}', "call_2")],
        told(
            calls=[
                ("call_1", "weather", '{"city": "Rome"}'),
                ("call_2", "clock", '{"zone": "CET"}'),
            ],
            finish_reason="tool_calls",
        ),
    ),
    *both(
        "the same tool twice with the same arguments",
        [call("clock", '{"z": 1}', "call_1"), call("clock", '{"z": 1}', "call_2")],
        told(
            calls=[("call_1", "clock", '{"z": 1}'), ("call_2", "clock", '{"z": 1}')],
            finish_reason="tool_calls",
        ),
    ),
    *both(
        "calls around a thought keep their numbers",
        [call("f", "{}", "call_1"), thought(), message("And"), call("g", "{}", "call_2")],
        told(
            "And", calls=[("call_1", "f", "{}"), ("call_2", "g", "{}")], finish_reason="tool_calls"
        ),
    ),
    *both(
        "a call without arguments",
        [call("clock", ""), call("clock", "{}", "call_2")],
        told(
            calls=[("call_AAAA", "clock", "{}"), ("call_2", "clock", "{}")],
            finish_reason="tool_calls",
        ),
    ),
    *both(
        "arguments in other letters",
        [call("weather", '{"city": "Нижний Новгород"}')],
        told(
            calls=[("call_AAAA", "weather", '{"city": "Нижний Новгород"}')],
            finish_reason="tool_calls",
        ),
    ),
    *both(
        "a citation",
        [message("Seen there.", citations=[CITED])],
        told("Seen there.", annotations=[CITATION]),
    ),
    *both(
        "a citation of a file has no form in a chat",
        [
            message(
                "Seen.",
                citations=[{"type": "file_citation", "file_id": "f", "filename": "a", "index": 1}],
            )
        ],
        told("Seen."),
    ),
    *both(
        "probabilities of a text",
        [message("Hi", logprobs=LOGPROBS)],
        told("Hi", logprobs={"content": LOGPROBS}),
    ),
    *both("an item of a kind nobody knows", [SEARCH, message("Found.")], told("Found.")),
    *both(
        "an answer that ran out of tokens",
        [message("And so")],
        told("And so", finish_reason="length"),
        status="incomplete",
        reason="max_output_tokens",
    ),
    *both(
        "a call that ran out of tokens",
        [call("weather", '{"ci')],
        told(calls=[("call_AAAA", "weather", '{"ci')], finish_reason="length"),
        status="incomplete",
        reason="max_output_tokens",
    ),
    *both(
        "a call that was cut before its arguments",
        [{**call("weather", ""), "status": "incomplete"}],
        told(calls=[("call_AAAA", "weather", "")], finish_reason="length"),
        status="incomplete",
        reason="max_output_tokens",
    ),
    *both(
        "all tokens went into thinking",
        [thought()],
        told(finish_reason="length"),
        status="incomplete",
        reason="max_output_tokens",
    ),
    *both(
        "an answer that a filter ended",
        [message("Well,")],
        told("Well,", finish_reason="content_filter"),
        status="incomplete",
        reason="content_filter",
    ),
    *both("an answer of nothing", [], told()),
    *both(
        "tokens read from the cache",
        HI,
        told("Hi"),
        usage=usage(1000, 20, cached=600, reasoning=5),
        used=Usage(input_uncached=400, cache_read=600, output_text=15, reasoning=5),
    ),
    *both(
        "tokens written to the cache",
        HI,
        told("Hi"),
        usage=usage(1000, 20, cached=100, written=300),
        used=Usage(input_uncached=600, cache_read=100, cache_write_5m=300, output_text=20),
    ),
    *both(
        "a total that does not add up is flagged",
        HI,
        told("Hi"),
        usage=usage(10, 2, total=13),
        used=Usage(input_uncached=10, output_text=2, flagged=True),
    ),
    *both(
        "xai, a cost in ticks",
        HI,
        told("Hi"),
        usage={**usage(10, 2), "cost_in_usd_ticks": 8_370_001},
        used=Usage(input_uncached=10, output_text=2, cost_nanos=837_001),
    ),
    *both(
        "openrouter, a key of our own",
        HI,
        told("Hi"),
        usage={
            **usage(10, 2),
            "cost": 0,
            "is_byok": True,
            "cost_details": {"upstream_inference_cost": 0.0003253},
        },
        used=Usage(input_uncached=10, output_text=2, cost_nanos=325_300),
    ),
    *both("no usage", HI, told("Hi"), usage=None, used=None),
    *both("usage below nothing", HI, told("Hi"), usage=usage(-1, 2), used=Usage(refused=True)),
]


# What comes back in other ways ----------------------------------------------------------------


def streamed(
    name: str, back: bytes, *said: Choice, used: Usage | None = USED, **more: Any
) -> Transcript:
    return Transcript(
        name=name,
        dialect="openai-responses",
        chat={"messages": HELLO, "stream": True},
        back=back,
        said=said,
        usage=used,
        **more,
    )


def refused(name: str, back: bytes, kind: Fault.Kind, status: int = 200) -> Transcript:
    return Transcript(name=name, dialect="openai-responses", back=back, fault=kind, status=status)


def nameless(output: list[dict[str, Any]]) -> bytes:
    return b"".join(frame(event).partition(b"\n")[2] for event in events(output))


def data_first(output: list[dict[str, Any]]) -> bytes:
    return b"".join(frame(event, data_first=True) for event in events(output))


def only(kinds: tuple[str, ...], output: list[dict[str, Any]]) -> bytes:
    """A stream of a server that sends only events of some kinds."""
    return b"".join(frame(event) for event in events(output) if event["type"] in kinds)


def error(code: str | None, words: str, **more: Any) -> dict[str, Any]:
    return {"type": "error", "code": code, "message": words, "param": None, **more}


def broken_by(event: dict[str, Any]) -> bytes:
    """A text, and then something else than its end."""
    return b"".join(map(frame, list(events([message("part")]))[:-3])) + frame(event)


RECORDED = rb"""event: response.created
data: {"type":"response.created","response":{"id":"resp_AAAA","object":"response","created_at":1777431497,"status":"in_progress","background":false,"error":null,"incomplete_details":null,"instructions":null,"max_output_tokens":null,"model":"gpt-5.2-pro-2025-12-11","output":[],"service_tier":"auto","usage":null},"sequence_number":0}

event: response.in_progress
data: {"type":"response.in_progress","response":{"id":"resp_AAAA","object":"response","status":"in_progress","model":"gpt-5.2-pro-2025-12-11","output":[],"usage":null},"sequence_number":1}

event: response.output_item.added
data: {"type":"response.output_item.added","item":{"id":"rs_AAAA","type":"reasoning","encrypted_content":"gAAAA","summary":[]},"output_index":0,"sequence_number":2}

event: response.reasoning_summary_part.added
data: {"type":"response.reasoning_summary_part.added","item_id":"rs_AAAA","output_index":0,"summary_index":0,"part":{"type":"summary_text","text":""},"sequence_number":3}

event: response.reasoning_summary_text.delta
data: {"type":"response.reasoning_summary_text.delta","item_id":"rs_AAAA","output_index":0,"summary_index":0,"delta":"**Providing","obfuscation":"obWDa","sequence_number":4}

event: response.reasoning_summary_text.delta
data: {"type":"response.reasoning_summary_text.delta","item_id":"rs_AAAA","output_index":0,"summary_index":0,"delta":" help**","obfuscation":"obWDaxx","sequence_number":5}

event: response.reasoning_summary_text.done
data: {"type":"response.reasoning_summary_text.done","item_id":"rs_AAAA","output_index":0,"summary_index":0,"text":"**Providing help**","sequence_number":6}

event: response.reasoning_summary_part.done
data: {"type":"response.reasoning_summary_part.done","item_id":"rs_AAAA","output_index":0,"summary_index":0,"part":{"type":"summary_text","text":"**Providing help**"},"sequence_number":7}

event: response.output_item.done
data: {"type":"response.output_item.done","item":{"id":"rs_AAAA","type":"reasoning","encrypted_content":"gAAAB","summary":[{"type":"summary_text","text":"**Providing help**"}]},"output_index":0,"sequence_number":8}

event: response.output_item.added
data: {"type":"response.output_item.added","item":{"id":"msg_AAAA","type":"message","status":"in_progress","content":[],"role":"assistant"},"output_index":1,"sequence_number":9}

event: response.content_part.added
data: {"type":"response.content_part.added","content_index":0,"item_id":"msg_AAAA","output_index":1,"part":{"type":"output_text","annotations":[],"logprobs":[],"text":""},"sequence_number":10}

event: response.output_text.delta
data: {"type":"response.output_text.delta","content_index":0,"delta":"stream","item_id":"msg_AAAA","logprobs":[],"obfuscation":"fyy9Vfz7II","output_index":1,"sequence_number":11}

event: response.output_text.done
data: {"type":"response.output_text.done","content_index":0,"item_id":"msg_AAAA","logprobs":[],"output_index":1,"sequence_number":12,"text":"stream"}

event: response.content_part.done
data: {"type":"response.content_part.done","content_index":0,"item_id":"msg_AAAA","output_index":1,"part":{"type":"output_text","annotations":[],"logprobs":[],"text":"stream"},"sequence_number":13}

event: response.output_item.done
data: {"type":"response.output_item.done","item":{"id":"msg_AAAA","type":"message","status":"completed","content":[{"type":"output_text","annotations":[],"logprobs":[],"text":"stream"}],"role":"assistant"},"output_index":1,"sequence_number":14}

event: response.completed
data: {"type":"response.completed","response":{"id":"resp_AAAA","object":"response","created_at":1777431497,"status":"completed","background":false,"completed_at":1777431499,"error":null,"incomplete_details":null,"instructions":null,"max_output_tokens":null,"model":"gpt-5.2-pro-2025-12-11","output":[{"id":"rs_AAAA","type":"reasoning","encrypted_content":"gAAAB","summary":[{"type":"summary_text","text":"**Providing help**"}]},{"id":"msg_AAAA","type":"message","status":"completed","content":[{"type":"output_text","annotations":[],"logprobs":[],"text":"stream"}],"role":"assistant"}],"service_tier":"default","usage":{"input_tokens":21,"input_tokens_details":{"cached_tokens":0},"output_tokens":3,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":24}},"sequence_number":15}

"""

FINAL = ("response.created", "response.output_item.done", "response.completed")
PART = told("part", finish_reason=None)

OTHER_STREAMS = [
    streamed(
        "a stream as it was recorded",
        RECORDED,
        told(
            "stream",
            reasoning="**Providing help**",
            reasoning_details=[summary("**Providing help**"), sealed("gAAAB", "rs_AAAA", 0)],
        ),
        used=Usage(input_uncached=21, output_text=3),
    ),
    streamed("events without a name", nameless([message("Hello there.")]), told("Hello there.")),
    streamed("data before the name", data_first([message("Hello there.")]), told("Hello there.")),
    streamed("lines that end as Windows ends them", stream(HI).replace(b"\n", b"\r\n"), told("Hi")),
    streamed(
        "comments before and between",
        b": hm\n\n" + stream(HI).replace(b"\n\n", b"\n\n: hm\n\n"),
        told("Hi"),
    ),
    streamed(
        "events that nobody knows",
        b"event: keepalive\ndata: -\n\n"
        + stream(HI).replace(b"event: response.in_progress", b"event: x"),
        told("Hi"),
    ),
    streamed(
        "[DONE] at the end, as other APIs end", nameless(HI) + b"data: [DONE]\n\n", told("Hi")
    ),
    streamed(
        "calls that come only whole",
        only(FINAL, [call("f", '{"a":1}', "call_1"), call("g", "", "call_2")]),
        told(calls=[("call_1", "f", '{"a":1}'), ("call_2", "g", "{}")], finish_reason="tool_calls"),
    ),
]

FAILED = {"code": "server_error", "message": "The model broke."}
TROUBLE = [
    *both(
        "a failure",
        [message("part")],
        PART,
        status="failed",
        error=FAILED,
        fault="server",
        before=(PART,),
    ),
    *both(
        "a failure for want of a quota",
        [],
        PART,
        status="failed",
        error={"code": "rate_limit_exceeded", "message": "Slow down."},
        fault="rate_limit",
    ),
    *both(
        "a prompt that the vendor takes no answer to",
        [],
        PART,
        status="failed",
        error={"code": "invalid_prompt", "message": "It was flagged."},
        fault="bad_request",
    ),
    *both(
        "an image that cannot be read",
        [],
        PART,
        status="failed",
        error={"code": "image_parse_error", "message": "It is no image."},
        fault="bad_request",
    ),
    *both(
        "a chat too long for the model",
        [],
        PART,
        status="failed",
        error={"code": "context_length_exceeded", "message": "Too long."},
        fault="context_length",
    ),
    refused(
        "an answer that somebody cancelled",
        json.dumps(whole([], status="cancelled")).encode(),
        "server",
    ),
    refused(
        "an answer that is not there yet", json.dumps(whole([], status="queued")).encode(), "server"
    ),
    streamed(
        "an error in the middle, flat",
        broken_by(error("server_error", "Broke.")),
        PART,
        used=None,
        fault="server",
    ),
    streamed(
        "an error in the middle, nested",
        broken_by(
            {
                "type": "error",
                "error": {
                    "type": "server_error",
                    "code": "rate_limit_exceeded",
                    "message": "Slow.",
                },
            }
        ),
        PART,
        used=None,
        fault="rate_limit",
    ),
    streamed(
        "an error without a code", broken_by(error(None, "Broke.")), PART, used=None, fault="server"
    ),
    streamed(
        "an error before anything",
        frame(error("server_error", "Broke.")),
        used=None,
        fault="server",
    ),
    streamed(
        "a stream that was cut", stream([message("part")])[:-900], PART, used=None, fault="broken"
    ),
    streamed("a stream that never began", b"", used=None, fault="broken"),
    streamed(
        "a stream of something else",
        b"event: response.completed\ndata: <html>\n\n",
        used=None,
        fault="invalid",
    ),
    streamed(
        "arguments of a call that never began",
        frame({"type": "response.function_call_arguments.delta", "output_index": 3, "delta": "{"}),
        used=None,
        fault="invalid",
    ),
    streamed(
        "JSON where a stream was asked for",
        b'{"error":{"code":"server_error","message":"x"}}',
        used=None,
        fault="server",
    ),
    refused(
        "an error under 200",
        b'{"error":{"message":"Overloaded","type":"overloaded_error"}}',
        "overloaded",
    ),
    refused("no output at all", b'{"id":"resp_AAAA","status":"completed"}', "invalid"),
    refused("a web page", b"<html><title>Bad gateway</title></html>", "invalid"),
]


def refusal_of(
    code: str | None, words: str, *, kind: str = "invalid_request_error", param: str | None = None
) -> bytes:
    body = {"error": {"message": words, "type": kind, "param": param, "code": code}}
    return json.dumps(body, indent=2).encode()


REFUSALS = [
    refused(
        "400, a parameter",
        refusal_of(
            "unsupported_parameter", "Unsupported parameter: 'temperature'", param="temperature"
        ),
        "bad_request",
        400,
    ),
    refused(
        "400, too long",
        refusal_of("context_length_exceeded", "Your input exceeds the context window."),
        "context_length",
        400,
    ),
    refused(
        "400, an envelope of somebody else",
        refusal_of("invalid_encrypted_content", "The encrypted content could not be verified."),
        "bad_request",
        400,
    ),
    refused(
        "401, the key",
        refusal_of("invalid_api_key", "Incorrect API key provided: sk-w***."),
        "auth",
        401,
    ),
    refused(
        "403, the country",
        refusal_of(
            "unsupported_country_region_territory",
            "Country not supported",
            kind="request_forbidden",
        ),
        "auth",
        403,
    ),
    refused(
        "404, the model",
        refusal_of("model_not_found", "The model `x` does not exist"),
        "not_found",
        404,
    ),
    refused(
        "413, the body",
        b"<html><title>413 Request Entity Too Large</title></html>",
        "too_large",
        413,
    ),
    refused(
        "429, the minute's tokens",
        refusal_of("rate_limit_exceeded", "Rate limit reached", kind="tokens"),
        "rate_limit",
        429,
    ),
    refused(
        "429, the money",
        refusal_of(
            "insufficient_quota", "You exceeded your current quota", kind="insufficient_quota"
        ),
        "quota",
        429,
    ),
    refused("500", refusal_of(None, "The server had an error", kind="server_error"), "server", 500),
    refused(
        "502, a page of a proxy", b"<html><title>502 Bad Gateway</title></html>", "server", 502
    ),
    refused(
        "503",
        refusal_of(None, "The engine is currently overloaded", kind="server_error"),
        "overloaded",
        503,
    ),
    refused("504, nothing said", b"", "timeout", 504),
]

TRANSCRIPTS = [*REQUESTS, *ANSWERS, *OTHER_STREAMS, *TROUBLE, *REFUSALS]
