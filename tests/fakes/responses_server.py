"""OpenAI with its Responses API beside its chats: real HTTP, its refusals, its encrypted reasoning.

    with FakeResponses() as fake:
        fake.says(Reply(reasoning="Hm.", tools=(("weather", "{}"),)), Reply(text="Sunny."))
        ...call fake.base_url with fake.key...

Its models that reason put every thought into an envelope, if it is asked for. An envelope that was
not made here, or that comes back without the item it led to, is refused as the vendor refuses it.
"""

import asyncio
import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import count, pairwise
from typing import Any

from fakes.openai_server import FakeOpenAI, Reply, Sender, count_tokens
from fakes.responses_answer import Item, call, events, frame, message, refusal, thought, whole

MODELS = ("gpt-5.2-pro", "gpt-4o-mini", "test-model")
REASONING = ("gpt-5", "o")
ENCRYPTED = "reasoning.encrypted_content"
OUTPUT_TOKENS_MIN = 16
MEMBERS = frozenset(
    {
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "metadata",
        "model",
        "parallel_tool_calls",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    }
)
PARTS = {
    "user": ("input_text", "input_image", "input_file"),
    "developer": ("input_text", "input_image", "input_file"),
    "system": ("input_text", "input_image", "input_file"),
    "assistant": ("output_text", "refusal"),
}
ENDS = {"length": "max_output_tokens", "content_filter": "content_filter"}


@dataclass(frozen=True, kw_only=True)
class ResponsesReply(Reply):
    """What only this API can say."""

    refusal: str = ""
    data_first: bool = False


class Refused(Exception):  # noqa: N818 -- it becomes an answer
    """A 400 in the vendor's words."""

    def __init__(self, words: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(words)
        self.body = {"message": words, "type": "invalid_request_error", "param": param}
        self.body["code"] = code

    def reply(self, status: int = 400) -> Reply:
        return Reply(status=status, body=json.dumps({"error": self.body}, indent=2).encode())


class FakeResponses(FakeOpenAI):
    def __init__(self, *, key: str = "sk-fake-key", models: tuple[str, ...] = MODELS) -> None:
        super().__init__("openai", key=key, models=models)
        self.envelopes: dict[str, str] = {}  # by what is in it, the item that it led to
        self._numbers = count(1)

    async def _answer(self, call: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        if call["path"] != "/v1/responses" or self._refuse_key(call["headers"]) is not None:
            return await super()._answer(call, writer)
        asked, reply = self._read_asked(call["body"])
        sender = Sender(writer, reply, self._gate)
        if reply.first_pause_s:
            await asyncio.sleep(reply.first_pause_s)
        if reply.wait_after == 0:
            await self._gate.wait()
        if reply.body is not None or reply.status != 200:
            return await sender.send_body(reply.body or b"")
        telling = Telling(self, asked, reply)
        self.billed.append(telling.bill)
        if asked.get("stream"):
            return await sender.send_stream(telling.stream())
        return await sender.send_body(telling.whole())

    def _read_asked(self, body: bytes) -> tuple[dict[str, Any], Reply]:
        try:
            asked = json.loads(body)
        except ValueError:
            return {}, Refused("We could not parse the JSON body of your request.").reply()
        try:
            self._check(asked)
        except Refused as refused:
            missing = refused.body["code"] == "model_not_found"
            return asked, refused.reply(404 if missing else 400)
        if self._queue:
            return asked, self._queue.popleft()
        text = json.dumps(asked["input"], ensure_ascii=False)
        return asked, next((reply for part, reply in self._rules if part in text), Reply())

    # What is refused --------------------------------------------------------------------------

    def _check(self, asked: dict[str, Any]) -> None:
        model = asked.get("model")
        if model not in self.models:
            raise Refused(f"The model `{model}` does not exist.", code="model_not_found")
        for name in asked.keys() - MEMBERS:
            raise Refused(f"Unknown parameter: '{name}'.", code="unknown_parameter", param=name)
        if not asked.get("input"):
            raise Refused("Missing required parameter: 'input'.", param="input")
        _check_limits(asked, reasons=model.startswith(REASONING))
        _check_tools(asked.get("tools", ()))
        if isinstance(asked["input"], list):
            _check_items(asked["input"])
            _check_calls(asked["input"])
            self._check_envelopes(asked["input"])

    def _check_envelopes(self, items: list[Item]) -> None:
        for item, after in pairwise([*items, {}]):
            if item.get("type") != "reasoning":
                continue
            led_to = self.envelopes.get(item.get("encrypted_content", ""))
            if led_to is None:
                raise Refused(
                    f"The encrypted content for item {item['id']} could not be verified.",
                    code="invalid_encrypted_content",
                )
            if led_to != after.get("call_id", after.get("type")):
                raise Refused(
                    f"Item '{item['id']}' of type 'reasoning' was provided without its required"
                    " following item."
                )

    def seal(self, led_to: str) -> str:
        """An envelope nobody else could make."""
        made = "gAAAA" + base64.b64encode(sha256(b"%d" % next(self._numbers)).digest() * 4).decode()
        self.envelopes[made] = led_to
        return made

    def next_number(self) -> int:
        return next(self._numbers)


def _check_limits(asked: dict[str, Any], *, reasons: bool) -> None:
    limit = asked.get("max_output_tokens")
    if limit is not None and limit < OUTPUT_TOKENS_MIN:
        raise Refused(
            "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but"
            f" got {limit} instead.",
            code="integer_below_min_value",
            param="max_output_tokens",
        )
    for name in ("temperature", "top_p") if reasons else ("reasoning",):
        if name in asked:
            raise Refused(
                f"Unsupported parameter: '{name}' is not supported with this model.",
                code="unsupported_parameter",
                param=name,
            )
    if not reasons and ENCRYPTED in asked.get("include", ()):
        raise Refused("Encrypted content is not supported with this model.", param="include")


def _check_tools(tools: list[dict[str, Any]]) -> None:
    for number, tool in enumerate(tools):
        for name in ("name", "parameters", "strict"):
            if name not in tool:
                param = f"tools[{number}].{name}"
                raise Refused(f"Missing required parameter: '{param}'.", param=param)


def _check_items(items: list[Item]) -> None:
    for number, item in enumerate(items):
        if item.get("type", "message") != "message" or isinstance(item["content"], str):
            continue
        known = PARTS[item["role"]]
        for place, part in enumerate(item["content"]):
            param = f"input[{number}].content[{place}]"
            if part["type"] not in known:
                words = f"Invalid value: '{part['type']}'. Supported values are: {known}."
                raise Refused(words, code="invalid_value", param=param)
            if not isinstance(part.get("image_url", ""), str):
                words = f"Invalid type for '{param}.image_url': expected an image URL."
                raise Refused(words, code="invalid_type", param=param)


def _check_calls(items: list[Item]) -> None:
    """Every call is answered before the next word, and nothing else is answered."""
    waiting: list[str] = []
    for item in items:
        kind = item.get("type", "message")
        if kind == "function_call":
            waiting.append(item["call_id"])
        elif kind == "function_call_output":
            if item["call_id"] not in waiting:
                number = item["call_id"]
                raise Refused(f"No tool call found for function call output with call_id {number}.")
            waiting.remove(item["call_id"])
        elif waiting and item.get("role") == "user":
            break
    if waiting:
        raise Refused(f"No tool output found for function call {waiting[0]}.")


# What is said ---------------------------------------------------------------------------------


class Telling:
    """One reply as a response, and what is billed for it."""

    def __init__(self, fake: FakeResponses, asked: dict[str, Any], reply: Reply) -> None:
        self.reply = reply
        self.output = list(_items(fake, asked, reply))
        prompt = count_tokens(json.dumps(asked["input"], ensure_ascii=False))
        prompt += count_tokens(asked.get("instructions", ""))
        reasoning = reply.reasoning_tokens
        if reasoning is None:
            reasoning = count_tokens(reply.reasoning)
        spoken = count_tokens(reply.text) if not reply.tools else 0
        spoken += sum(count_tokens(name) + count_tokens(said) for name, said in reply.tools)
        self.usage = {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": reply.cached_tokens},
            "output_tokens": spoken + reasoning,
            "output_tokens_details": {"reasoning_tokens": reasoning},
            "total_tokens": prompt + spoken + reasoning,
        }
        self.bill: dict[str, Any] = {
            "id": f"resp_{fake.next_number():04}",
            "model": asked["model"],
            "prompt_tokens": prompt,
            "completion_tokens": 0,
            "total_tokens": prompt,
            "complete": False,
            "reported": False,
        }
        self.response = {"model": f"{asked['model']}-2025-12-11", "number": self.bill["id"]}

    def whole(self) -> bytes:
        self._count()
        return json.dumps(whole(self.output, **self._end()), ensure_ascii=False).encode()

    def stream(self) -> Iterator[bytes]:
        told = list(events(self.output, **self._end()))
        first = isinstance(self.reply, ResponsesReply) and self.reply.data_first
        for event in told[:-1]:
            yield frame(event, data_first=first)
        if isinstance(self.reply.error, dict) and not self._failed:
            yield frame({"type": "error", **self.reply.error, "sequence_number": len(told)})
            return
        self._count()
        yield frame(told[-1], data_first=first)

    @property
    def _failed(self) -> bool:
        return self.reply.error_event == "response.failed"

    def _end(self) -> dict[str, Any]:
        usage = None if self.reply.usage == "absent" else self.usage
        if self._failed:
            return {**self.response, "status": "failed", "error": self.reply.error, "usage": usage}
        reason = ENDS.get(self.reply.finish_reason or "")
        status = "incomplete" if reason else "completed"
        return {**self.response, "status": status, "reason": reason, "usage": usage}

    def _count(self) -> None:
        self.bill |= {
            "completion_tokens": self.usage["output_tokens"],
            "total_tokens": self.usage["total_tokens"],
            "complete": True,
            "reported": self.reply.usage != "absent",
        }


def _items(fake: FakeResponses, asked: dict[str, Any], reply: Reply) -> Iterator[Item]:
    """A thought, if the model has any, and what it led to. A text before calls is said first."""
    said: list[Item] = [
        call(name, arguments, f"call_{fake.next_number():04}") for name, arguments in reply.tools
    ]
    if not reply.tools:
        said = [message(reply.text)]
    if isinstance(reply, ResponsesReply) and reply.refusal:
        said = [refusal(reply.refusal)]
    if asked["model"].startswith(REASONING):
        number = f"rs_{fake.next_number():04}"
        wants_summary = "summary" in asked.get("reasoning", {})
        summary = (reply.reasoning,) if reply.reasoning and wants_summary else ()
        sealed = None
        if ENCRYPTED in asked.get("include", ()):
            sealed = fake.seal(said[0].get("call_id", said[0]["type"]))
        yield thought(*summary, encrypted=sealed, number=number)
    yield from said
