# ruff: noqa: E501 -- what is said to a vendor, and by it, stands on one line
"""Chats with Google's Gemini API, as they go (ids and texts changed).

The vendor's JSON has a space after a colon and none after a comma, its lines end in CRLF, and its
usage counts from the beginning in every event.
"""

import base64
import json
from typing import Any

from transcript import HELLO, Transcript, told

from altyn.chat import Usage

LITE = "gemini-2.5-flash-lite"
PRO = "gemini-2.5-pro"
THREE = "gemini-3-flash-preview"
THREE_PRO = "gemini-3-pro-preview"
SIGNATURE = "EpwICpkIAdHtim9AAAA="
DUMMY = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="
PIXEL = "iVBORw0KGgo="
GROUND = "https://example.com/"


def vendor_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ": ")).encode()


def event(value: Any) -> bytes:
    return b"data: " + vendor_json(value) + b"\r\n\r\n"


def counted(
    prompt: int = 18, written: int | None = 4, thoughts: int | None = None, **more: Any
) -> dict[str, Any]:
    """`usageMetadata`, with the vendor's own total."""
    counts = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": written,
        "thoughtsTokenCount": thoughts,
    }
    known = {name: count for name, count in counts.items() if count is not None}
    tools = more.get("toolUsePromptTokenCount", 0)
    total = sum(known.values()) + tools
    return {**known, "totalTokenCount": total, **more}


COUNTED = counted()
USED = Usage(input_uncached=18, output_text=4)


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"text": said, **more}


def thought(said: str) -> dict[str, Any]:
    return {"text": said, "thought": True}


def call(
    name: str, args: Any = None, signature: str | None = None, number: str | None = None
) -> dict[str, Any]:
    said = {"name": name} if args is None else {"name": name, "args": args}
    part: dict[str, Any] = {"functionCall": {"id": number, **said} if number else said}
    return {**part, "thoughtSignature": signature} if signature else part


def candidate(
    *parts: dict[str, Any], finish: str | None = None, index: int = 0, **more: Any
) -> dict[str, Any]:
    ended = {"finishReason": finish} if finish else {}
    return {"content": {"parts": list(parts), "role": "model"}, **ended, "index": index, **more}


def reply(
    *candidates: dict[str, Any], usage: dict[str, Any] | None = COUNTED, **more: Any
) -> dict[str, Any]:
    used = {"usageMetadata": usage} if usage is not None else {}
    heard = {"candidates": list(candidates)} if candidates else {}
    return {**heard, **more, **used, "modelVersion": "gemini-2.5-flash", "responseId": "AAAA"}


# What the upstream is sent --------------------------------------------------------------------

HELLO_BACK = vendor_json(reply(candidate(text("Hello"), finish="STOP")))
SAID_HELLO = (told("Hello"),)


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "parts": list(parts)}


def model(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "model", "parts": list(parts)}


def asked(
    name: str,
    messages: Any,
    contents: Any,
    *,
    model: str = LITE,
    system: Any = None,
    config: Any = None,
    body: Any = None,
    **fields: Any,
) -> Transcript:
    """What is made of a request. The settings are the defaults unless `config` has more."""
    thinks = {} if model == LITE else {"thinkingConfig": {"includeThoughts": True}}
    settings = {"maxOutputTokens": 2048, "temperature": 0.7, **thinks, **(config or {})}
    said = {"contents": contents, **(body or {}), "generationConfig": settings}
    if system is not None:
        said["systemInstruction"] = {"parts": system}
    return Transcript(
        name=name,
        dialect="gemini",
        model=model,
        chat={"messages": messages, **fields},
        path=f"/models/{model}:generateContent",
        sent=said,
        headers={},
        back=HELLO_BACK,
        said=SAID_HELLO,
        usage=USED,
    )


def says(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def picture(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def file(**members: str) -> dict[str, Any]:
    return {"type": "file", "file": members}


HI = [user(text("Hello"))]
LOOK = {"type": "text", "text": "Look:"}


def inline(mime_type: str, data: str) -> dict[str, Any]:
    return {"inlineData": {"mimeType": mime_type, "data": data}}


def shown(name: str, part: dict[str, Any], sent: dict[str, Any]) -> Transcript:
    return asked(name, [says("user", [LOOK, part])], [user(text("Look:"), sent)])


MESSAGES = [
    asked("a plain text", HELLO, HI),
    asked(
        "system and developer are one instruction, wherever they stand",
        [says("system", "Be brief."), *HELLO, says("developer", [{"type": "text", "text": "Be kind."}])],
        HI,
        system=[text("Be brief."), text("Be kind.")],
    ),
    asked("a system's word alone is the user's", [says("system", "Say hi.")], [user(text("Say hi."))]),
    asked("a chat of nothing has a part all the same", [says("user", "")], [user(text(""))]),
    asked(
        "neighbours of one role are one content, and empty turns none",
        [*HELLO, says("user", "Anybody?"), says("assistant", ""), says("user", "Hm.")],
        [user(text("Hello"), text("Anybody?"), text("Hm."))],
    ),
    asked(
        "an earlier answer is the model's, also where it was a refusal",
        [*HELLO, says("assistant", "Hi!", name="bot"), *HELLO, says("assistant", None, refusal="No."), *HELLO],
        [*HI, model(text("Hi!")), *HI, model(text("No.")), *HI],
    ),
    asked(
        "a part that refuses is text",
        [*HELLO, says("assistant", [{"type": "refusal", "refusal": "No."}]), *HELLO],
        [*HI, model(text("No.")), *HI],
    ),
    shown("a picture inside the request", picture(f"data:image/png;base64,{PIXEL}"), inline("image/png", PIXEL)),
    shown("a picture as percent signs", picture("data:image/svg+xml;charset=utf-8,%3Csvg%2F%3E"), inline("image/svg+xml", base64.b64encode(b"<svg/>").decode())),
    shown("a picture somewhere, with its kind", picture("https://example.com/a/b.PNG?x=1"), {"fileData": {"mimeType": "image/png", "fileUri": "https://example.com/a/b.PNG?x=1"}}),
    shown("a film somewhere, of an unknown kind", picture("https://www.youtube.com/watch?v=AAAA"), {"fileData": {"fileUri": "https://www.youtube.com/watch?v=AAAA"}}),
    shown("a file as a data URL", file(file_data="data:application/pdf;base64,JVBE", filename="a.txt"), inline("application/pdf", "JVBE")),
    shown("a file as bare base64 with a name", file(file_data="YSxi", filename="table.csv"), inline("text/csv", "YSxi")),
    shown("a file without a name is a PDF", file(file_data="JVBE"), inline("application/pdf", "JVBE")),
    shown("a file somewhere", file(file_data="https://example.com/film.mp4"), {"fileData": {"mimeType": "video/mp4", "fileUri": "https://example.com/film.mp4"}}),
    shown("sound", {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}}, inline("audio/wav", "UklG")),
    shown("sound in a form nobody lists", {"type": "input_audio", "input_audio": {"data": "UklG", "format": "Opus"}}, inline("audio/opus", "UklG")),
]  # fmt: skip


# Tools

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "additionalProperties": False,
        },
        "strict": True,
    },
}
CLOCK = {"type": "function", "function": {"name": "clock"}}
DECLARED = {
    "tools": [
        {
            "functionDeclarations": [
                {
                    "name": "weather",
                    "description": "Tells the weather.",
                    "parametersJsonSchema": WEATHER["function"]["parameters"],
                },  # type: ignore[index]
                {"name": "clock"},
            ]
        }
    ]
}


def chosen(name: str, choice: Any, config: dict[str, Any]) -> Transcript:
    body = {**DECLARED, "toolConfig": {"functionCallingConfig": config}}
    return asked(name, HELLO, HI, body=body, tools=[WEATHER, CLOCK], tool_choice=choice)


def calls(*made: tuple[str, str, str], **more: Any) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": number, "type": "function", "function": {"name": name, "arguments": arguments}}
            for number, name, arguments in made
        ],
        **more,
    }


def result(number: str, content: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": number, "content": content}


def encrypted(data: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "reasoning.encrypted",
        "data": data,
        "format": "google-gemini-v1",
        "index": 0,
        **more,
    }


def response(name: str, output: str, number: str | None = None) -> dict[str, Any]:
    said = {"name": name, "response": {"output": output}}
    return {"functionResponse": {"id": number, **said} if number else said}


ROME = ("a", "weather", '{"city": "Rome", "at": 1.50}')
ROME_ARGS = {"city": "Rome", "at": 1.5}
OSLO = ("b", "weather", '{"city": "Oslo"}')
SIGNED_ROME = call("weather", ROME_ARGS, SIGNATURE, "a")
SUN = result("a", "Sun.")
SUN_BACK = user(response("weather", "Sun.", "a"))


def looped(
    name: str, made: dict[str, Any], parts: list[dict[str, Any]], *, model_name: str = THREE
) -> Transcript:
    """One call in the history, and its result."""
    back = SUN_BACK if model_name == THREE else user(response("weather", "Sun."))
    return asked(name, [*HELLO, made, SUN], [*HI, model(*parts), back], model=model_name)


TOOLS = [
    asked("tools are declared", HELLO, HI, body=DECLARED, tools=[WEATHER, CLOCK], parallel_tool_calls=True),
    chosen("no tool may be called", "none", {"mode": "NONE"}),
    chosen("a tool may be called", "auto", {"mode": "AUTO"}),
    chosen("some tool must be called", "required", {"mode": "ANY"}),
    chosen("one tool must be called", {"type": "function", "function": {"name": "clock"}}, {"mode": "ANY", "allowedFunctionNames": ["clock"]}),
    looped("a signature comes back from the details", calls(ROME, reasoning="Hm", reasoning_details=[{"type": "reasoning.text", "text": "Hm", "format": "google-gemini-v1", "index": 0}, encrypted(SIGNATURE, id="a")]), [SIGNED_ROME]),
    looped("a signature comes back from details a client joined", calls(ROME, reasoning_details=[encrypted(SIGNATURE, id="a", format="google-gemini-v1google-gemini-v1")]), [SIGNED_ROME]),
    looped(
        "a signature comes back on the call itself",
        {**calls(ROME), "tool_calls": [{**calls(ROME)["tool_calls"][0], "extra_content": {"google": {"thought_signature": SIGNATURE}}}]},
        [SIGNED_ROME],
    ),
    looped("a signature that was lost is stood in for", calls(ROME), [call("weather", ROME_ARGS, DUMMY, "a")]),
    looped("another vendor's secrets are not passed on", calls(ROME, reasoning_details=[encrypted("BBBB", id="a", format="anthropic-claude-v1"), encrypted("CCCC", format=None), {**encrypted("", id="a"), "data": 7}]), [call("weather", ROME_ARGS, DUMMY, "a")]),
    looped("a call in an extra nobody knows is a call", {**calls(ROME), "tool_calls": [{**calls(ROME)["tool_calls"][0], "extra_content": {"google": 5}}]}, [call("weather", ROME_ARGS, DUMMY, "a")]),
    looped("Gemini 2.5 gets neither ids nor stand-ins", calls(ROME), [call("weather", ROME_ARGS)], model_name=LITE),
    looped("text beside a call comes first", calls(ROME, content="Wait.", reasoning_details=[encrypted("DDDD"), encrypted(SIGNATURE, id="a")]), [text("Wait.", thoughtSignature="DDDD"), SIGNED_ROME]),
    looped("arguments that are no JSON are quoted", calls(("a", "weather", "Rome")), [call("weather", {"arguments": "Rome"}, DUMMY, "a")]),
    looped("arguments of nothing are none", calls(("a", "weather", "")), [call("weather", {}, DUMMY, "a")]),
    asked(
        "the signature of a text goes back with it, or alone",
        [*HELLO, says("assistant", "Hi!", reasoning_details=[encrypted("DDDD")]), *HELLO, says("assistant", "", reasoning_details=[encrypted("EEEE")]), *HELLO],
        [*HI, model(text("Hi!", thoughtSignature="DDDD")), *HI, model(text("", thoughtSignature="EEEE")), *HI],
        model=THREE,
    ),
    asked(
        "of two calls made together the first is signed",
        [*HELLO, calls(ROME, OSLO), SUN, result("b", "Rain.")],
        [*HI, model(call("weather", ROME_ARGS, DUMMY, "a"), call("weather", {"city": "Oslo"}, None, "b")), user(response("weather", "Sun.", "a"), response("weather", "Rain.", "b"))],
        model=THREE,
    ),
    asked(
        "results stand in the order of the calls, and what follows beside them",
        [*HELLO, calls(ROME, OSLO), result("b", "Rain."), SUN, *HELLO],
        [*HI, model(call("weather", ROME_ARGS), call("weather", {"city": "Oslo"})), user(response("weather", "Sun."), response("weather", "Rain."), text("Hello"))],
    ),
    asked(
        "a picture that a tool gives stands beside its words",
        [*HELLO, calls(ROME), result("a", [{"type": "text", "text": "Sun."}, picture(f"data:image/png;base64,{PIXEL}"), {"type": "text", "text": " Hot."}])],
        [*HI, model(call("weather", ROME_ARGS)), user(response("weather", "Sun. Hot."), inline("image/png", PIXEL))],
    ),
]  # fmt: skip


# Settings

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "additionalProperties": False,
}


def thinking(
    name: str, model_name: str, wanted: dict[str, Any] | None, **fields: Any
) -> Transcript:
    """`thinkingConfig` as it is sent; None: not at all."""
    made = asked(name, HELLO, HI, model=model_name, **fields)
    assert made.sent is not None
    settings = {k: v for k, v in made.sent["generationConfig"].items() if k != "thinkingConfig"}
    if wanted is not None:
        settings["thinkingConfig"] = wanted
    made.sent["generationConfig"] = settings
    return made


def budget(tokens: int) -> dict[str, Any]:
    return {"thinkingBudget": tokens, "includeThoughts": True}


def level(name: str) -> dict[str, Any]:
    return {"thinkingLevel": name, "includeThoughts": True}


SETTINGS = [
    asked(
        "every setting has its name",
        HELLO,
        HI,
        config={"temperature": 0.2, "maxOutputTokens": 100, "topP": 0.9, "stopSequences": ["END"], "seed": 7, "presencePenalty": 0.5, "frequencyPenalty": -0.5, "candidateCount": 2},
        temperature=0.2,
        max_tokens=100,
        top_p=0.9,
        stop="END",
        seed=7,
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        n=2,
        user="somebody",
        metadata={"a": "b"},
        verbosity="low",
        logit_bias={"5": 1},
    ),
    asked("many stops, and a seed that is too large", HELLO, HI, config={"stopSequences": ["a", "b"], "seed": 1}, stop=["a", "b"], seed=2**40 + 1),
    asked("a negative seed", HELLO, HI, config={"seed": -5}, seed=-5),
    asked("likelihoods", HELLO, HI, config={"responseLogprobs": True, "logprobs": 3}, logprobs=True, top_logprobs=3),
    asked("any JSON", HELLO, HI, config={"responseMimeType": "application/json"}, response_format={"type": "json_object"}),
    asked("JSON of a form", HELLO, HI, config={"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}, response_format={"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": SCHEMA}}),
    asked("text of no form", HELLO, HI, response_format={"type": "text"}),
    thinking("a model that thinks tells its thoughts", PRO, {"includeThoughts": True}),
    thinking("a model that thinks on request is not asked", LITE, None),
    thinking("thoughts that nobody wants", PRO, None, reasoning={"exclude": True}),
    thinking("low effort as a budget", LITE, budget(1024), reasoning_effort="low"),
    thinking("medium effort as a budget", LITE, budget(8192), reasoning={"effort": "medium"}),
    thinking("high effort as a budget", LITE, budget(24576), reasoning_effort="high"),
    thinking("the highest effort is all a model takes", PRO, budget(32768), reasoning_effort="xhigh"),
    thinking("no effort where thinking can be switched off", LITE, {"thinkingBudget": 0}, reasoning_effort="none"),
    thinking("no effort where it cannot", PRO, budget(128), reasoning_effort="none"),
    thinking("thinking switched off", "gemini-2.5-flash", {"thinkingBudget": 0}, reasoning={"enabled": False}),
    thinking("thinking switched on", LITE, budget(-1), reasoning={"enabled": True}),
    thinking("a budget within the limits", LITE, budget(512), reasoning={"max_tokens": 100}),
    thinking("a budget beyond the limits, in silence", PRO, {"thinkingBudget": 32768}, reasoning={"max_tokens": 99999, "exclude": True}),
    thinking("effort as a level", THREE, level("minimal"), reasoning_effort="minimal"),
    thinking("the highest effort as a level", THREE, level("high"), reasoning_effort="max"),
    thinking("no effort as the lowest level", THREE, level("minimal"), reasoning_effort="none"),
    thinking("a level the model does not know is the next one up", THREE_PRO, level("high"), reasoning_effort="medium"),
    thinking("the lowest level of a model that has few", THREE_PRO, level("low"), reasoning_effort="minimal"),
    thinking("a budget for a model that takes levels", THREE, level("medium"), reasoning={"max_tokens": 5000}),
    thinking("a large budget for a model that takes levels", THREE, level("high"), reasoning={"max_tokens": 99999}),
    thinking("a model nobody has heard of takes levels", "gemini-9-flash", level("low"), reasoning_effort="low"),
    thinking("a model that cannot think is told nothing", "gemma-3-27b-it", None, reasoning_effort="high"),
]  # fmt: skip


# What the upstream answers --------------------------------------------------------------------


def pair(
    name: str,
    chunks: list[dict[str, Any]],
    said: Any,
    *,
    usage: Usage | None = USED,
    whole: dict[str, Any] | None = None,
    model_name: str = LITE,
    **fields: Any,
) -> list[Transcript]:
    """The same answer in one piece and as a stream: it must be the same to the caller."""
    choices = said if isinstance(said, tuple) else (said,)
    body = {"messages": HELLO, **fields}
    path = f"/models/{model_name}"
    return [
        Transcript(name=name, dialect="gemini", model=model_name, chat=body, path=f"{path}:generateContent", back=vendor_json(whole or joined(chunks)), said=choices, usage=usage),
        Transcript(name=f"{name}, streamed", dialect="gemini", model=model_name, chat={**body, "stream": True}, path=f"{path}:streamGenerateContent?alt=sse", back=b"".join(map(event, chunks)), said=choices, usage=usage, same_as=name),
    ]  # fmt: skip


def joined(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """The events of a stream as the answer in one piece: what comes last counts, parts add up."""
    candidates: dict[int, dict[str, Any]] = {}
    answer: dict[str, Any] = {}
    for chunk in chunks:
        answer |= chunk
        for one in chunk.get("candidates", ()):
            known = candidates.setdefault(one["index"], {})
            parts = known.get("content", {}).get("parts", []) + one.get("content", {}).get(
                "parts", []
            )
            known |= {**one, "content": {"parts": parts, "role": "model"}}
    return {**answer, "candidates": list(candidates.values())} if candidates else answer


def detail(kind: str, index: int, **more: Any) -> dict[str, Any]:
    return {"type": f"reasoning.{kind}", "format": "google-gemini-v1", "index": index, **more}


def signed(number: str, name: str, arguments: str, signature: str | None = None) -> dict[str, Any]:
    """A call as the caller sees it."""
    said = {"id": number, "function": {"name": name, "arguments": arguments}}
    return (
        {**said, "extra_content": {"google": {"thought_signature": signature}}}
        if signature
        else said
    )


FIRST_COUNTED = counted(18, 1, 35)
THOUGHT_COUNTED = counted(
    18, 80, 35, promptTokensDetails=[{"modality": "TEXT", "tokenCount": 18}], serviceTier="standard"
)
THOUGHT_USED = Usage(input_uncached=18, output_text=80, reasoning=35)
TOOL_COUNTED = counted(29, 10, 202)
TOOL_USED = Usage(input_uncached=29, output_text=10, reasoning=202)
MINTED = "call_d4d8696eebf8e19b032c1388"
GROUNDED = {
    "webSearchQueries": ["rome"],
    "groundingChunks": [{"web": {"uri": GROUND, "title": "Example"}}, {"maps": {}}],
    "groundingSupports": [
        {
            "segment": {"startIndex": 9, "endIndex": 17, "text": "Рома"},
            "groundingChunkIndices": [0, 1, 9],
        },
        {"groundingChunkIndices": [0]},
    ],
}
CITED = {"citationSources": [{"startIndex": 0, "endIndex": 8, "uri": GROUND}, {"license": "MIT"}]}
LIKELY = {
    "chosenCandidates": [{"token": "Да", "logProbability": -0.1, "tokenId": 5}],
    "topCandidates": [
        {
            "candidates": [
                {"token": "Да", "logProbability": -0.1},
                {"token": "No", "logProbability": -3.5},
            ]
        }
    ],
}


def annotation(start: int, end: int, title: str) -> dict[str, Any]:
    return {
        "type": "url_citation",
        "url_citation": {"start_index": start, "end_index": end, "url": GROUND, "title": title},
    }


def token(said: str, logprob: float, **more: Any) -> dict[str, Any]:
    return {"token": said, "logprob": logprob, "bytes": list(said.encode()), **more}


ANSWERS = [
    *pair(
        "text in two pieces",
        [reply(candidate(text("1 2 3")), usage=FIRST_COUNTED), reply(candidate(text(" 4"), finish="STOP"), usage=THOUGHT_COUNTED)],
        told("1 2 3 4"),
        usage=THOUGHT_USED,
    ),
    *pair(
        "thoughts, then text, in letters of many bytes",
        [reply(candidate(thought("**План** "))), reply(candidate(thought("ясен 🙂"))), reply(candidate(text("Да "))), reply(candidate(text("🙂"), finish="STOP"))],
        told("Да 🙂", reasoning="**План** ясен 🙂", reasoning_details=[detail("text", 0, text="**План** ясен 🙂")]),
    ),
    *pair(
        "thoughts and text in one event",
        [reply(candidate(thought("a"), thought("b"), text("c"), text("d"), finish="STOP"))],
        told("cd", reasoning="ab", reasoning_details=[detail("text", 0, text="ab")]),
    ),
    *pair(
        "a call without arguments, signed, and the end after it",
        [reply(candidate(call("get_country", {}, SIGNATURE)), usage=TOOL_COUNTED), reply(candidate(text(""), finish="STOP"), usage=TOOL_COUNTED)],
        told(tool_calls=[signed(MINTED, "get_country", "{}", SIGNATURE)], reasoning_details=[detail("encrypted", 0, data=SIGNATURE, id=MINTED)], finish_reason="tool_calls"),
        usage=TOOL_USED,
        model_name=THREE_PRO,
    ),
    *pair(
        "the same tool twice, with the vendor's ids",
        [reply(candidate(call("weather", {"city": "Rome"}, SIGNATURE, "x1"), call("weather", {"city": "Рим"}, None, "x2"), finish="STOP"))],
        told(
            tool_calls=[signed("x1", "weather", '{"city":"Rome"}', SIGNATURE), signed("x2", "weather", '{"city":"Рим"}')],
            reasoning_details=[detail("encrypted", 0, data=SIGNATURE, id="x1")],
            finish_reason="tool_calls",
        ),
    ),
    *pair(
        "the same call twice without ids is two calls",
        [reply(candidate(call("clock"))), reply(candidate(call("clock"), finish="STOP"))],
        told(calls=[("call_e8fcf9b68e9f96e22e939b54", "clock", "{}"), ("call_adc7304c3c74530bd56324b4", "clock", "{}")], finish_reason="tool_calls"),
    ),
    *pair(
        "thoughts, text, a call and thoughts again",
        [reply(candidate(thought("a"))), reply(candidate(text("Wait. "))), reply(candidate(call("clock", {"n": 1.50}, SIGNATURE, "x1"))), reply(candidate(thought("b"), finish="STOP"))],
        told(
            "Wait. ",
            tool_calls=[signed("x1", "clock", '{"n":1.5}', SIGNATURE)],
            reasoning="ab",
            reasoning_details=[detail("text", 0, text="a"), detail("encrypted", 1, data=SIGNATURE, id="x1"), detail("text", 2, text="b")],
            finish_reason="tool_calls",
        ),
    ),
    *pair(
        "a signature on an empty text at the end",
        [reply(candidate(text("Hi"))), reply(candidate(text("", thoughtSignature=SIGNATURE), finish="STOP"))],
        told("Hi", reasoning_details=[detail("encrypted", 0, data=SIGNATURE)]),
    ),
    *pair("all tokens went into thoughts", [reply({"content": {"role": "model"}, "finishReason": "MAX_TOKENS", "index": 0}, usage=counted(18, None, 5))], told(finish_reason="length"), usage=Usage(input_uncached=18, reasoning=5)),
    *pair("text cut off by the limit", [reply(candidate(text("1 2"))), reply(candidate(finish="MAX_TOKENS"))], told("1 2", finish_reason="length")),
    *pair("no content at all", [reply({"finishReason": "STOP", "index": 0})], told()),
    *pair("text stopped for safety", [reply(candidate(text("How to"))), reply({"finishReason": "SAFETY", "index": 0, "safetyRatings": []})], told("How to", finish_reason="content_filter", native_finish_reason="SAFETY")),
    *pair("nothing, for the vendor will not recite", [reply({"finishReason": "RECITATION", "index": 0, "finishMessage": "It is a song."})], told(refusal="It is a song.", finish_reason="content_filter", native_finish_reason="RECITATION")),
    *pair("stopped for another reason after some text", [reply(candidate(text("Hi"))), reply(candidate(finish="OTHER"))], told("Hi", native_finish_reason="OTHER")),
    *pair("a reason nobody knows after a call", [reply(candidate(call("clock", {}, None, "x1"), finish="NEW_REASON"))], told(calls=[("x1", "clock", "{}")], finish_reason="tool_calls", native_finish_reason="NEW_REASON")),
    *pair("a prompt that is blocked", [reply(usage=counted(18, None), promptFeedback={"blockReason": "PROHIBITED_CONTENT"})], told(finish_reason="content_filter", native_finish_reason="PROHIBITED_CONTENT"), usage=Usage(input_uncached=18)),
    *pair("a prompt that is blocked with a word why", [reply(usage=None, promptFeedback={"blockReason": "SAFETY", "blockReasonMessage": "Not that."})], told(refusal="Not that.", finish_reason="content_filter", native_finish_reason="SAFETY"), usage=None),
    *pair(
        "pictures",
        [reply(candidate(text("See: "))), reply(candidate(inline("image/png", PIXEL))), reply(candidate(inline("image/jpeg", "/9j/"), inline("audio/pcm", "AAAA"), finish="STOP"), usage=counted(18, 1294, candidatesTokensDetails=[{"modality": "IMAGE", "tokenCount": 1290}]))],
        told("See: ", images=[{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}, "index": 0}, {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,/9j/"}, "index": 1}]),
        usage=Usage(input_uncached=18, output_text=4, image=1290),
    ),
    *pair(
        "sources, counted in letters and not in bytes",
        [reply(candidate(text("Это "))), reply(candidate(text("- Рома."))), reply(candidate(text(""), finish="STOP", groundingMetadata=GROUNDED))],
        told("Это - Рома.", annotations=[annotation(6, 10, "Example")]),
    ),
    *pair("sources of what is recited", [reply(candidate(text("Рома."), finish="STOP", citationMetadata=CITED))], told("Рома.", annotations=[annotation(0, 4, "")])),
    *pair("a search that found nothing", [reply(candidate(text("Рома."), finish="STOP", groundingMetadata={}))], told("Рома.")),
    *pair(
        "likelihoods of tokens",
        [reply(candidate(text("Да"), finish="STOP", logprobsResult=LIKELY))],
        told("Да", logprobs={"content": [token("Да", -0.1, top_logprobs=[token("Да", -0.1), token("No", -3.5)])], "refusal": None}),
        logprobs=True,
    ),
    *pair(
        "two candidates, interleaved",
        [reply(candidate(text("a")), candidate(text("b"), index=1)), reply(candidate(text("B"), index=1)), reply(candidate(text("A"), finish="STOP")), reply(candidate(finish="MAX_TOKENS", index=1))],
        (told("aA"), told("bB", index=1, finish_reason="length")),
        n=2,
    ),
    *pair("executed code is nobody's text", [reply(candidate({"executableCode": {"language": "PYTHON", "code": "1"}}, text("1"), finish="STOP"))], told("1")),
    *pair(
        "cached tokens are in the prompt, and so is sound",
        [reply(candidate(text("Hi"), finish="STOP"), usage=counted(1000, 4, cachedContentTokenCount=600, promptTokensDetails=[{"modality": "TEXT", "tokenCount": 700}, {"modality": "AUDIO", "tokenCount": 300}], cacheTokensDetails=[{"modality": "AUDIO", "tokenCount": 100}, {"modality": "TEXT", "tokenCount": 500}]))],
        told("Hi"),
        usage=Usage(input_uncached=200, cache_read=600, audio_input=200, output_text=4),
    ),
    *pair(
        "what tools read stands beside the prompt",
        [reply(candidate(text("Hi"), finish="STOP"), usage=counted(46, 293, 980, toolUsePromptTokenCount=1436))],
        told("Hi"),
        usage=Usage(input_uncached=46 + 1436, output_text=293, reasoning=980),
    ),
    *pair("a total that does not add up is flagged", [reply(candidate(text("Hi"), finish="STOP"), usage=counted(18, 4, totalTokenCount=99))], told("Hi"), usage=Usage(input_uncached=18, output_text=4, flagged=True)),
    *pair("more in the cache than in the prompt", [reply(candidate(text("Hi"), finish="STOP"), usage=counted(18, 4, cachedContentTokenCount=20))], told("Hi"), usage=Usage(cache_read=20, output_text=4, flagged=True)),
    *pair("no usage", [reply(candidate(text("Hi"), finish="STOP"), usage=None)], told("Hi"), usage=None),
    *pair("a usage of nothing", [reply(candidate(text("Hi"), finish="STOP"), usage={"serviceTier": "standard"})], told("Hi"), usage=None),
    *pair("usage after the end", [reply(candidate(text("Hi"), finish="STOP"), usage=None), {"usageMetadata": COUNTED}], told("Hi")),
]  # fmt: skip


def streamed(
    name: str, back: bytes, *said: Any, usage: Usage | None = USED, fault: Any = None, **more: Any
) -> Transcript:
    return Transcript(
        name=name,
        dialect="gemini",
        model=LITE,
        chat={"messages": HELLO, "stream": True},
        back=back,
        said=said,
        usage=usage,
        fault=fault,
        **more,
    )


def whole(name: str, back: bytes, fault: Any, **more: Any) -> Transcript:
    return Transcript(name=name, dialect="gemini", model=LITE, back=back, fault=fault, **more)


def error(code: int, message: str, status: str, *details: dict[str, Any]) -> dict[str, Any]:
    told_details = {"details": list(details)} if details else {}
    return {"error": {"code": code, "message": message, "status": status, **told_details}}


HALF = event(reply(candidate(text("Hal")), usage=counted(18, 1)))
HALF_USED = Usage(input_uncached=18, output_text=1)
HALF_SAID = told("Hal", finish_reason=None)
OVERLOADED = error(503, "The model is overloaded. Please try again later.", "UNAVAILABLE")
KEY_REFUSED = error(
    400,
    "API key not valid. Please pass a valid API key.",
    "INVALID_ARGUMENT",
    {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
    },
)
FAILED = [
    streamed("every event says STOP, as older models do", event(reply(candidate(text("a"), finish="STOP"))) + event(reply(candidate(text("b"), finish="STOP"))), told("ab")),
    streamed("a stream with LF alone", b"".join(event(reply(c)).replace(b"\r\n", b"\n") for c in (candidate(text("a")), candidate(text("b"), finish="STOP"))), told("ab")),
    streamed("a stream that ends in the middle", HALF, HALF_SAID, usage=HALF_USED, fault="broken"),
    streamed("a stream of which one candidate never ends", event(reply(candidate(text("a"), finish="STOP"), candidate(text("b"), index=1))), told("a"), told("b", index=1, finish_reason=None), fault="broken"),
    streamed("a stream of nothing", b"", usage=None, fault="broken"),
    streamed("an error inside a stream", HALF + event(OVERLOADED), HALF_SAID, usage=HALF_USED, fault="overloaded"),
    streamed("an error inside a stream without the word data", HALF + vendor_json(OVERLOADED) + b"\r\n", HALF_SAID, usage=HALF_USED, fault="broken"),
    streamed("a call that the model could not write", HALF + event(reply({"finishReason": "MALFORMED_FUNCTION_CALL", "index": 0, "finishMessage": "print(x)"})), HALF_SAID, fault="server"),
    streamed("a signature that is missed", event(reply({"finishReason": "MISSING_THOUGHT_SIGNATURE", "index": 0})), fault="server"),
    streamed("a reason that is no answer", event(reply({"finishReason": "OTHER", "index": 0})), fault="server"),
    streamed("what is no JSON", b"data: <html>\r\n\r\n", usage=None, fault="invalid"),
    streamed("an error in place of a stream", vendor_json(OVERLOADED), usage=None, fault="overloaded"),
    whole("a whole answer that the model could not write", vendor_json(reply({"finishReason": "MALFORMED_FUNCTION_CALL", "index": 0})), "server"),
    whole("a whole answer without an answer", vendor_json(reply()), "invalid"),
    whole("an error that calls itself a success", vendor_json(error(429, "Slow down.", "RESOURCE_EXHAUSTED")), "rate_limit"),
    whole("an error in an array that calls itself a success", vendor_json([OVERLOADED]), "overloaded"),
    whole("a web page", b"<html>", "invalid"),
    whole("arguments that are no text", HELLO_BACK.replace(b'{"text": "Hello"}', b'{"functionCall": {"name": "f","args": {"a": "\xff"}}}'), "invalid"),
    whole("sources that cannot be read", vendor_json(reply(candidate(text("a"), finish="STOP", groundingMetadata={"groundingChunks": 5}))), "invalid"),
    whole("a wrong key", vendor_json(KEY_REFUSED), "auth", status=400),
    whole("a wrong key, in an array", vendor_json([KEY_REFUSED]), "auth", status=400),
]  # fmt: skip

TRANSCRIPTS = [*MESSAGES, *TOOLS, *SETTINGS, *ANSWERS, *FAILED]
