"""Google's Gemini API on loopback: real HTTP, its checks of a request, its errors, its oddities.

    with FakeGemini() as fake:
        fake.says(Reply(calls=(("weather", {"city": "Rome"}),)), Reply(status=503))
        ...call fake.base_url with fake.key...
        assert fake.billed[0]["total_tokens"] == 12

The server is `FakeOpenAI`'s; what is asked and what is said are Google's. Every call it makes is
signed, and a Gemini 3 refuses a history in which a call has lost its signature.
"""

import asyncio
import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from fakes import openai_server
from fakes.openai_server import FakeOpenAI, Sender, count_tokens

MODELS = (
    "gemini-2.5-flash-lite",
    "gemini-2.5-pro",
    "gemini-3-flash-preview",
    "gemini-3-pro-preview",
)
KEY = "AIzaFakeKey0123456789"
BASE64URL = str.maketrans("-_", "+/")  # either alphabet is taken
SKIP = base64.b64encode(b"skip_thought_signature_validator").decode()
SCHEMA_NAMES = ("parameters", "parametersJsonSchema")
STATUSES = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
ROLES = frozenset({"user", "model"})
CONFIG = {
    "temperature": (0, 2),
    "topP": (0, 1),
    "topK": (1, 1000),
    "maxOutputTokens": (1, 65536),
    "candidateCount": (1, 8),
    "seed": (-(2**31), 2**31 - 1),
    "presencePenalty": (-2, 2),
    "frequencyPenalty": (-2, 2),
    "logprobs": (0, 20),
}
OTHER_CONFIG = frozenset(
    {
        "stopSequences",
        "responseMimeType",
        "responseSchema",
        "responseJsonSchema",
        "responseLogprobs",
        "thinkingConfig",
    }
)
MEMBERS = frozenset(
    {
        "contents",
        "systemInstruction",
        "tools",
        "toolConfig",
        "generationConfig",
        "safetySettings",
        "serviceTier",
        "cachedContent",
    }
)


@dataclass(frozen=True, kw_only=True)
class Reply(openai_server.Reply):
    """What is said to one call, in Google's parts. `finish_reason` is Google's word."""

    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    ids: bool = False
    finish_reason: str | None = "STOP"
    blocked: str | None = None
    model_version: str | None = None
    usage_more: dict[str, Any] = field(default_factory=dict)


def error(code: int, message: str, *details: dict[str, Any], status: str | None = None) -> bytes:
    """Google's own form of an error, indented as it is sent."""
    said: dict[str, Any] = {"code": code, "message": message, "status": status or STATUSES[code]}
    if details:
        said["details"] = list(details)
    return json.dumps({"error": said}, indent=2).encode()


def rate_limited(delay: str = "34s") -> Reply:
    """429 with its RetryInfo: there is no header."""
    kind = "type.googleapis.com/google.rpc."
    violation = {"quotaMetric": "generate_requests", "quotaId": "GenerateRequestsPerMinute"}
    body = error(
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        {"@type": f"{kind}QuotaFailure", "violations": [violation]},
        {"@type": f"{kind}RetryInfo", "retryDelay": delay},
    )
    return Reply(status=429, body=body)


def key_refused(message: str = "API key not valid. Please pass a valid API key.") -> Reply:
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
    }
    return Reply(status=400, body=error(400, message, info))


def refusal(code: int, message: str, *, status: str | None = None) -> Reply:
    return Reply(status=code, body=error(code, message, status=status))


class FakeGemini(FakeOpenAI):
    """`base_url` is what the operator gives: the methods are below it."""

    def __init__(
        self, *, key: str = "AIzaFakeKey0123456789", models: tuple[str, ...] = MODELS
    ) -> None:
        super().__init__("plain", key=key, models=models)
        self.signatures: dict[str, str] = {}  # by signature, the call it was given to
        self._ids = count(1)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1beta"

    async def _answer(self, call: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        address = urlsplit(call["path"])
        refused = self._refuse_key(call["headers"])
        found = re.fullmatch(r"/v1beta/models/([^/:]+):(\w+)", unquote(address.path))
        if refused is None and found is None:
            refused = refusal(404, f"Requested entity was not found: {address.path}")
        if refused is None and call["method"] == "POST" and found is not None:
            events = parse_qs(address.query).get("alt") == ["sse"]
            return await self._generate(found[1], found[2], call["body"], writer, events=events)
        refused = refused or refusal(404, "Method not found.")
        return await Sender(writer, refused, self._gate).send_body(refused.body or b"")

    async def _generate(
        self, model: str, verb: str, body: bytes, writer: asyncio.StreamWriter, *, events: bool
    ) -> bool:
        streams = verb == "streamGenerateContent"
        asked, reply = self._read_asked(model, verb, body)
        sender = Sender(writer, reply, self._gate)
        if reply.first_pause_s:
            await asyncio.sleep(reply.first_pause_s)
        if reply.wait_after == 0:
            await self._gate.wait()
        if reply.body is not None or reply.status != 200:
            told = reply.body or b""
            # Without `alt=sse` a stream is an array, its errors too.
            return await sender.send_body(b"[" + told + b"]" if streams and not events else told)
        telling = Telling(self, model, asked, reply)
        self.billed.append(telling.bill)
        if not streams:
            telling.count_everything()
            return await sender.send_body(telling.whole())
        try:
            return await sender.send_stream(telling.stream())
        except ConnectionError:
            telling.count_everything()  # Google goes on, and bills the whole answer
            raise

    def _read_asked(self, model: str, verb: str, body: bytes) -> tuple[dict[str, Any], Reply]:
        try:
            asked = camel(json.loads(body))
        except ValueError:
            return {}, refusal(400, "Invalid JSON payload received.")
        if model not in self.models or verb not in ("generateContent", "streamGenerateContent"):
            said = f"models/{model} is not found for API version v1beta"
            return asked, refusal(404, f"{said}, or is not supported for {verb}.")
        wrong = check(asked, model) or self._check_signatures(asked, model)
        if wrong is not None:
            return asked, refusal(400, wrong)
        if self._queue:
            return asked, self._queue.popleft()  # type: ignore[return-value]
        text = json.dumps(asked["contents"], ensure_ascii=False)
        return asked, next((r for part, r in self._rules if part in text), Reply())  # type: ignore[return-value, misc]

    # What Google refuses ----------------------------------------------------------------------

    def _refuse_key(self, headers: dict[str, str]) -> Reply | None:
        given = headers.get("x-goog-api-key")
        if not given:
            return refusal(403, "Method doesn't allow unregistered callers.")
        return None if given == self.key else key_refused()

    def _check_signatures(self, asked: dict[str, Any], model: str) -> str | None:
        """The first call of every turn since the user last spoke is signed, as it was given."""
        if not model.startswith("gemini-3"):
            return None
        for content in current_turn(asked["contents"]):
            calls = [part for part in content["parts"] if "functionCall" in part]
            if not calls or content["role"] != "model":
                continue
            name = calls[0]["functionCall"]["name"]
            signature = calls[0].get("thoughtSignature")
            if signature is None:
                return f"Function call is missing a thought_signature: `{name}`."
            signature = signature.translate(BASE64URL)
            if signature != SKIP and self.signatures.get(signature) != name:
                return "Corrupted thought signature."
        return None

    def sign(self, name: str) -> str:
        """A signature nobody else could make, for a call of this function."""
        made = base64.b64encode(sha256(f"{name} {next(self._ids)}".encode()).digest() * 3).decode()
        self.signatures[made] = name
        return made


OPAQUE = frozenset({"args", "response", "parameters", "parametersJsonSchema", "responseJsonSchema"})


def camel(value: Any) -> Any:
    """Google takes a name in either case; its own SDK mixes them."""
    if isinstance(value, list):
        return [camel(one) for one in value]
    if not isinstance(value, dict):
        return value
    renamed = {re.sub("_([a-z])", lambda m: m[1].upper(), name): v for name, v in value.items()}
    return {name: v if name in OPAQUE else camel(v) for name, v in renamed.items()}


def current_turn(contents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All since the user last said something of their own."""
    spoken = [
        number
        for number, content in enumerate(contents)
        if content["role"] == "user" and any("text" in part for part in content["parts"])
    ]
    return contents[spoken[-1] + 1 :] if spoken else contents


def check(asked: dict[str, Any], model: str) -> str | None:
    """The sentence Google refuses a request with, or None."""
    unknown = asked.keys() - MEMBERS
    if unknown:
        return f'Invalid JSON payload received. Unknown name "{min(unknown)}": Cannot find field.'
    contents = asked.get("contents")
    if not contents:
        return "* GenerateContentRequest.contents: contents is not specified"
    return (
        next((wrong for c in contents if (wrong := check_content(c, model))), None)
        or check_calls(contents)
        or check_config(asked.get("generationConfig") or {}, model)
        or check_tools(asked)
    )


def check_content(content: dict[str, Any], model: str) -> str | None:
    if content.get("role", "user") not in ROLES:
        return "Please use a valid role: user, model."
    if not content.get("parts"):
        return "* GenerateContentRequest.contents.parts: contents.parts must not be empty."
    for part in content["parts"]:
        if not part.keys() & {"text", "inlineData", "fileData", "functionCall", "functionResponse"}:
            return "Unable to submit request because it must have a data field."
        for name in ("functionCall", "functionResponse"):
            said = part.get(name)
            if said is None:
                continue
            if "id" in said and not model.startswith("gemini-3"):
                return f'Invalid JSON payload received. Unknown name "id" at {name}.'
            if said is not None and not isinstance(
                said.get("response", said.get("args", {})), dict
            ):
                return f"Invalid value at {name}: must be an object."
    return None


def check_calls(contents: list[dict[str, Any]]) -> str | None:
    """As many results as calls, right after them, each with the name of its function."""
    for before, content in zip([{"parts": []}, *contents], contents, strict=False):
        names = [p["functionCall"]["name"] for p in before["parts"] if "functionCall" in p]
        given = [p["functionResponse"]["name"] for p in content["parts"] if "functionResponse" in p]
        if given != names and (given or names):
            return (
                "Please ensure that the number of function response parts is equal to the number of"
                " function call parts of the function call turn."
            )
    return None


def check_config(config: dict[str, Any], model: str) -> str | None:
    unknown = config.keys() - CONFIG.keys() - OTHER_CONFIG
    if unknown:
        return f'Unknown name "{min(unknown)}" at "generation_config": Cannot find field.'
    for name, (low, high) in CONFIG.items():
        if name in config and not low <= config[name] <= high:
            return f"Unable to submit request because {name} must be in the range [{low}, {high}]."
    if len(config.get("stopSequences", ())) > 5:
        return "stop_sequences must have at most 5 elements."
    if "responseJsonSchema" in config and config.get("responseMimeType") != "application/json":
        return "response_json_schema requires response_mime_type application/json."
    return check_thinking(config.get("thinkingConfig"), model)


def check_thinking(config: dict[str, Any] | None, model: str) -> str | None:
    if config is None:
        return None
    if {"thinkingLevel", "thinkingBudget"} <= config.keys():
        return "You can only set only one of thinking budget and thinking level."
    if "thinkingLevel" in config:
        if not model.startswith("gemini-3"):
            return "Thinking level is not supported for this model."
        known = ("low", "high") if "pro" in model else ("minimal", "low", "medium", "high")
        if config["thinkingLevel"].lower() not in known:
            return f"Thinking level {config['thinkingLevel']} is not supported for this model."
    budget = config.get("thinkingBudget")
    if budget == 0 and "pro" in model:
        return "Budget 0 is invalid. This model only works in thinking mode."
    if budget == 0 and config.get("includeThoughts"):
        return "Thinking_config.include_thoughts is only enabled when thinking is enabled."
    return None


def check_tools(asked: dict[str, Any]) -> str | None:
    names = []
    for tool in asked.get("tools") or ():
        for declared in tool.get("functionDeclarations", ()):
            names.append(declared.get("name", ""))
            if not re.fullmatch(r"[A-Za-z_][\w.:-]{0,63}", names[-1]):
                return f"Invalid function name: {names[-1]}."
            if set(SCHEMA_NAMES) <= declared.keys():
                return "parameters and parameters_json_schema are mutually exclusive."
            if declared.keys() - {"name", "description", *SCHEMA_NAMES}:
                return "Invalid JSON payload received. Unknown name in function_declarations."
    calling = (asked.get("toolConfig") or {}).get("functionCallingConfig", {})
    if calling and calling.get("mode", "AUTO") not in ("AUTO", "ANY", "NONE", "VALIDATED"):
        return "Invalid value at tool_config.function_calling_config.mode."
    if set(calling.get("allowedFunctionNames", ())) - set(names):
        return "allowed_function_names should be a subset of the declared functions."
    return None


# What Google says -----------------------------------------------------------------------------


class Telling:
    """One reply turned into Google's JSON, and what is billed for it so far."""

    def __init__(self, fake: FakeGemini, model: str, asked: dict[str, Any], reply: Reply) -> None:
        self.asked = asked
        self.reply = reply
        self.model = reply.model_version or model
        thinking = asked.get("generationConfig", {}).get("thinkingConfig", {})
        self.shows_thoughts = thinking.get("includeThoughts", False)
        self.calls = [self._call(fake, name, args) for name, args in reply.calls]
        self.prompt = count_tokens(json.dumps(asked["contents"])) + count_tokens(
            json.dumps(asked.get("systemInstruction", ""))
        )
        self.thoughts = reply.reasoning_tokens
        if self.thoughts is None:
            self.thoughts = count_tokens(reply.reasoning)
        self.written = 0 if reply.calls else count_tokens(reply.text)
        self.written += sum(count_tokens(n) + count_tokens(json.dumps(a)) for n, a in reply.calls)
        self.told = 0
        self.bill: dict[str, Any] = {
            "id": "AAAA",
            "model": self.model,
            "prompt_tokens": self.prompt,
            "completion_tokens": 0,
            "total_tokens": self.prompt,
            "complete": False,
            "reported": False,
        }

    def _call(self, fake: FakeGemini, name: str, args: dict[str, Any]) -> dict[str, Any]:
        first = {"thoughtSignature": fake.sign(name)} if (name, args) == self.reply.calls[0] else {}
        number = {"id": f"fc-{next(fake._ids)}"} if self.reply.ids else {}
        return {"functionCall": {**number, "name": name, "args": args}, **first}

    def count_everything(self) -> None:
        assert self.thoughts is not None
        self.told = 0 if self.reply.blocked else self.written
        spent = 0 if self.reply.blocked else self.told + self.thoughts
        self.bill |= {
            "completion_tokens": spent,
            "total_tokens": self.prompt + spent,
            "complete": True,
            "reported": True,
        }

    def usage(self) -> dict[str, Any]:
        """Counted from the beginning, in every event; a count of nothing is left out."""
        if self.reply.usage_values is not None:
            return self.reply.usage_values
        thoughts = 0 if self.reply.blocked else self.thoughts or 0
        counts = {
            "promptTokenCount": self.prompt,
            "candidatesTokenCount": self.told,
            "totalTokenCount": self.prompt + self.told + thoughts,
            "cachedContentTokenCount": self.reply.cached_tokens,
            "thoughtsTokenCount": thoughts,
        }
        modality = [{"modality": "TEXT", "tokenCount": self.prompt}]
        known = {name: number for name, number in counts.items() if number}
        return {
            **known,
            "promptTokensDetails": modality,
            "serviceTier": "standard",
            **self.reply.usage_more,
        }

    def whole(self) -> bytes:
        if self.reply.blocked:
            return vendor_json(self._blocked())
        parts = [*self._thought_parts(), *self._said_parts()]
        return vendor_json(self._event(parts, finish=True))

    def stream(self) -> Iterator[bytes]:
        if self.reply.blocked:
            self.count_everything()
            yield event(self._blocked())
            return
        for part in self._thought_parts():
            yield event(self._event([part]))
        *pieces, last = self._said_parts() or [{"text": ""}]
        for part in pieces:
            self.told += count_tokens(part.get("text", ""))
            yield event(self._event([part]))
        if self.reply.error is not None:
            yield event({"error": self.reply.error})
            return
        self.count_everything()
        if self.reply.calls:
            yield event(self._event([last]))
            last = {"text": ""}
        yield event(self._event([last], finish=True))

    def _thought_parts(self) -> list[dict[str, Any]]:
        words = openai_server._words(self.reply.reasoning) if self.shows_thoughts else []
        return [{"text": word, "thought": True} for word in words]

    def _said_parts(self) -> list[dict[str, Any]]:
        if self.calls:
            return self.calls
        return [{"text": word} for word in openai_server._words(self.reply.text)]

    def _event(self, parts: list[dict[str, Any]], *, finish: bool = False) -> dict[str, Any]:
        candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}}
        if not any(part.get("text") or "functionCall" in part for part in parts):
            candidate = {"content": {"role": "model"}} if not self.calls else candidate
        if finish and self.reply.finish_reason is not None:
            candidate["finishReason"] = self.reply.finish_reason
        return self._frame({"candidates": [{**candidate, "index": 0}]})

    def _blocked(self) -> dict[str, Any]:
        return self._frame({"promptFeedback": {"blockReason": self.reply.blocked}})

    def _frame(self, said: dict[str, Any]) -> dict[str, Any]:
        used = {} if self.reply.usage == "absent" else {"usageMetadata": self.usage()}
        return {**said, **used, "modelVersion": self.model, "responseId": "AAAA"}


def vendor_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ": ")).encode()


def event(value: Any) -> bytes:
    return b"data: " + vendor_json(value) + b"\r\n\r\n"
