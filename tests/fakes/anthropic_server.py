"""Anthropic's Messages API on loopback: real HTTP, its checks of a request, its errors.

    with FakeAnthropic() as fake:
        fake.says(Reply(tools=(("weather", '{"city":"Rome"}'),), reasoning="Hm"), OVERLOADED)
        ...call fake.base_url with fake.key...
        assert fake.billed[0]["total_tokens"] == 12

The server is `FakeOpenAI`'s; what is asked and what is said are Anthropic's. Thinking is told only
to who asks for it, and is signed: a signature it has not given out, or thinking that was changed,
is refused. A prefix that ends with `cache_control` is written to a cache once, and then read.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from typing import Any

from fakes import openai_server
from fakes.anthropic_rules import blocks_of, objection
from fakes.openai_server import FakeOpenAI, Sender, count_tokens

MODELS = ("claude-haiku-4-5-20251001", "claude-sonnet-4-5-20250929", "claude-opus-4-1-20250805")
Block = dict[str, Any]
BODY_MAX = 32 * 1024 * 1024
STATUSES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
LIMITS = {
    f"anthropic-ratelimit-{what}-{which}": value
    for what in ("requests", "input-tokens", "output-tokens")
    for which, value in (
        ("limit", "4000"),
        ("remaining", "3999"),
        ("reset", "2026-11-25T12:00:00Z"),
    )
}


@dataclass(frozen=True, kw_only=True)
class Reply(openai_server.Reply):
    """What is said to one call. `tools` and `reasoning` become blocks; `content` says others."""

    stop_reason: str | None = "auto"
    stop_details: dict[str, Any] | None = None
    redacted: bool = False
    content: tuple[Block, ...] = ()
    pings: int = 1


def refusal(status: int, message: str, *, kind: str | None = None, **more: Any) -> Reply:
    error = {"type": kind or STATUSES[status], "message": message, **more}
    said = {"type": "error", "error": error, "request_id": "req_011CFake"}
    return Reply(status=status, body=json.dumps(said).encode())


OVERLOADED = refusal(529, "Overloaded")


class FakeAnthropic(FakeOpenAI):
    def __init__(self, *, key: str = "sk-ant-fake-key", models: tuple[str, ...] = MODELS) -> None:
        super().__init__("plain", key=key, models=models)
        self.signatures: dict[str, str] = {}
        self.cache: set[str] = set()
        self._numbers = count(1)

    async def _answer(self, call: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        reply = self._refuse_head(call)
        if reply is None and call["path"] == "/v1/models":
            reply = Reply(body=json.dumps(self._model_list()).encode())
        asked: Block = {}
        if reply is None:
            asked, reply = self._read_body(call)
        if reply is None and call["path"] == "/v1/messages/count_tokens":
            counted = {"input_tokens": sum(count_tokens(text) for text, _ in prompt_of(asked))}
            reply = Reply(body=json.dumps(counted).encode())
        if reply is None:
            reply = self._next_reply(asked)
        return await self._say(asked, reply, writer)

    def _model_list(self) -> dict[str, Any]:
        data = [{"type": "model", "id": model, "display_name": model} for model in self.models]
        return {"data": data, "has_more": False, "first_id": None, "last_id": None}

    async def _say(self, asked: Block, reply: Reply, writer: asyncio.StreamWriter) -> bool:
        sender = AnthropicSender(writer, reply, self._gate)
        if reply.first_pause_s:
            await asyncio.sleep(reply.first_pause_s)
        if reply.wait_after == 0:
            await self._gate.wait()
        if reply.body is not None or reply.status != 200:
            return await sender.send_body(reply.body or b"")
        telling = Telling(asked, reply, self)
        self.billed.append(telling.bill)
        if asked.get("stream"):
            return await sender.send_stream(telling.stream())
        telling.count_everything()
        return await sender.send_body(telling.whole())

    # What it refuses -------------------------------------------------------------------------

    def _refuse_head(self, call: dict[str, Any]) -> Reply | None:
        headers, path = call["headers"], call["path"]
        given = headers.get("x-api-key") or headers.get("authorization", "")[len("Bearer ") :]
        if not given:
            return refusal(401, "x-api-key header is required")
        if given != self.key:
            return refusal(401, "invalid x-api-key")
        if "anthropic-version" not in headers:
            return refusal(400, "anthropic-version: header is required")
        if path not in ("/v1/messages", "/v1/messages/count_tokens", "/v1/models"):
            return refusal(404, "Not Found")
        if len(call["body"]) > BODY_MAX:
            return refusal(413, "Request exceeds the maximum size")
        return None

    def _read_body(self, call: dict[str, Any]) -> tuple[Block, Reply | None]:
        try:
            asked: Block = json.loads(call["body"])
        except ValueError as error:
            return {}, refusal(400, f"The request body is not valid JSON: {error}")
        counting = call["path"].endswith("count_tokens")
        wrong = objection(
            {"max_tokens": 4096, **asked} if counting else asked,
            version=call["headers"]["anthropic-version"],
            signatures=self.signatures,
        )
        if wrong is not None:
            return asked, refusal(400, wrong)
        if asked["model"] not in self.models:
            return asked, refusal(404, f"model: {asked['model']}")
        return asked, None

    def _next_reply(self, asked: Block) -> Reply:
        if self._queue:
            return self._queue.popleft()
        text = json.dumps(asked["messages"], ensure_ascii=False)
        return next((reply for part, reply in self._rules if part in text), Reply())

    # What it keeps ---------------------------------------------------------------------------

    def sign(self, thinking: str) -> str:
        """A signature for a thought, or the data of one that is not shown."""
        number = next(self._numbers)
        signature = sha256(f"{number} {thinking}".encode()).hexdigest() + "=="
        self.signatures[signature] = thinking
        return signature

    def next_id(self, prefix: str) -> str:
        return f"{prefix}_01Fake{next(self._numbers):04}"


class AnthropicSender(Sender):
    async def _send_head(self, kind: str, framing: str) -> None:
        lines = [f"{name}: {value}" for name, value in LIMITS.items()]
        framing = "\r\n".join([framing, "request-id: req_011CFake", *lines])
        await super()._send_head(kind, framing)


# Counting -------------------------------------------------------------------------------------


def prompt_of(asked: Block) -> list[tuple[str, str | None]]:
    """The texts of a prompt in the vendor's order, each with the time to live of a breakpoint."""
    system = asked.get("system") or []
    blocks = [*(asked.get("tools") or ())]
    blocks += [{"type": "text", "text": system}] if isinstance(system, str) else system
    for message in asked["messages"]:
        blocks += blocks_of(message)
    return [(_text_of(block), _time_to_live(block)) for block in blocks]


def _text_of(block: Block) -> str:
    bare = {k: v for k, v in block.items() if k not in ("cache_control", "type", "source")}
    return bare["text"] if bare.keys() == {"text"} else json.dumps(bare, ensure_ascii=False)


def _time_to_live(block: Block) -> str | None:
    control = block.get("cache_control")
    return control.get("ttl", "5m") if control else None


class Telling:
    """One reply turned into JSON, and what the vendor bills for it so far."""

    def __init__(self, asked: Block, reply: Reply, fake: FakeAnthropic) -> None:
        self.asked = asked
        self.reply = reply
        self.blocks = list(reply.content) or self._usual_blocks(fake)
        self.id = fake.next_id("msg")
        self.input, self.read, self.written = self._count_prompt(fake.cache)
        self.thinking = sum(
            count_tokens(b["thinking"]) for b in self.blocks if b["type"] == "thinking"
        )
        prompt = self.input + self.read + sum(self.written.values())
        self.bill: dict[str, Any] = {
            "id": self.id,
            "model": asked["model"],
            "prompt_tokens": prompt,
            "completion_tokens": 0,
            "total_tokens": prompt,
            "complete": False,
            "reported": False,
        }

    def _usual_blocks(self, fake: FakeAnthropic) -> list[Block]:
        blocks: list[Block] = []
        thinking = self.asked.get("thinking") or {}
        if self.reply.reasoning and thinking.get("type") in ("enabled", "adaptive"):
            if self.reply.redacted:
                blocks.append({"type": "redacted_thinking", "data": fake.sign("")})
            told = "" if thinking.get("display") == "omitted" else self.reply.reasoning
            signature = fake.sign(told)
            blocks.append({"type": "thinking", "thinking": told, "signature": signature})
        if self.reply.text and not self.reply.tools:
            blocks.append({"type": "text", "text": self.reply.text})
        for name, arguments in self.reply.tools:
            number = fake.next_id("toolu")
            parsed = json.loads(arguments or "{}")
            blocks.append({"type": "tool_use", "id": number, "name": name, "input": parsed})
        return blocks

    def _count_prompt(self, cache: set[str]) -> tuple[int, int, dict[str, int]]:
        """Tokens that no cache holds, that are read, and that are written, by time to live."""
        texts = prompt_of(self.asked)
        read = covered = 0
        written = {"5m": 0, "1h": 0}
        counts = [count_tokens(text) for text, _ in texts]
        for end, (_, time_to_live) in enumerate(texts, 1):
            if time_to_live is None:
                continue
            prefix = self.asked["model"] + json.dumps([text for text, _ in texts[:end]])
            if prefix in cache:
                read = sum(counts[:end])
            else:
                written[time_to_live] += sum(counts[covered:end])
                cache.add(prefix)
            covered = end
        return sum(counts[covered:]), read, written

    def count_everything(self) -> None:
        total = sum(tokens_of(block) for block in self.blocks)
        self._count(total - self.bill["completion_tokens"])
        self.bill["complete"] = True

    def _count(self, tokens: int) -> None:
        self.bill["completion_tokens"] += tokens
        self.bill["total_tokens"] += tokens

    def usage(self) -> Block:
        self.bill["reported"] = True
        if self.reply.usage_values is not None:
            return self.reply.usage_values
        return {
            "input_tokens": self.input,
            "cache_creation_input_tokens": sum(self.written.values()),
            "cache_read_input_tokens": self.read,
            "output_tokens": self.bill["completion_tokens"],
            "output_tokens_details": {"thinking_tokens": self.thinking},
        }

    def _split(self) -> Block:
        split = {f"ephemeral_{ttl}_input_tokens": count for ttl, count in self.written.items()}
        return {"cache_creation": split, "service_tier": "standard"}

    def stop_reason(self) -> str | None:
        if self.reply.stop_reason != "auto":
            return self.reply.stop_reason
        return "tool_use" if any(b["type"] == "tool_use" for b in self.blocks) else "end_turn"

    def _message(self, content: list[Block], stop_reason: str | None, usage: Block) -> Block:
        return {
            "model": self.asked["model"],
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": None,
            "usage": usage,
        }

    # A whole answer

    def whole(self) -> bytes:
        message = self._message(self.blocks, self.stop_reason(), {**self.usage(), **self._split()})
        if self.reply.stop_details is not None:
            message["stop_details"] = self.reply.stop_details
        return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()

    # A streamed one

    def stream(self) -> Iterator[bytes]:
        first = {**self.usage(), "output_tokens": 1, **self._split()}
        first.pop("output_tokens_details", None)
        self.bill["reported"] = False
        yield event("message_start", message=self._message([], None, first))
        for _ in range(self.reply.pings):
            yield b'event: ping\ndata: {"type": "ping"}\n\n'
        for index, block in enumerate(self.blocks):
            opened = {**block, **OPENED.get(block["type"], {})}
            yield event("content_block_start", index=index, content_block=opened)
            for delta in deltas_of(block):
                self._count(count_tokens(delta.get("text") or delta.get("thinking") or ""))
                yield event("content_block_delta", index=index, delta=delta)
            yield event("content_block_stop", index=index)
        yield from self._closing()

    def _closing(self) -> Iterator[bytes]:
        if self.reply.error is not None:
            said = json.dumps({"type": "error", "error": self.reply.error})
            yield f"event: error\ndata: {said}\n\n".encode()
            return
        self.count_everything()
        delta: Block = {"stop_reason": self.stop_reason(), "stop_sequence": None}
        if self.reply.stop_details is not None:
            delta["stop_details"] = self.reply.stop_details
        yield event("message_delta", delta=delta, usage=self.usage())
        if self.reply.done:
            yield event("message_stop")


OPENED: dict[str, Block] = {
    "text": {"text": ""},
    "thinking": {"thinking": "", "signature": ""},
    "tool_use": {"input": {}},
}


def tokens_of(block: Block) -> int:
    match block["type"]:
        case "text":
            return count_tokens(block["text"])
        case "thinking":
            return count_tokens(block["thinking"])
        case "tool_use":
            return count_tokens(block["name"]) + count_tokens(json.dumps(block["input"]))
    return 0


def deltas_of(block: Block) -> Iterator[Block]:
    match block["type"]:
        case "text":
            for piece in openai_server._words(block["text"]):
                yield {"type": "text_delta", "text": piece}
        case "thinking":
            for piece in openai_server._words(block["thinking"]):
                yield {"type": "thinking_delta", "thinking": piece}
            yield {"type": "signature_delta", "signature": block["signature"]}
        case "tool_use":
            # Without arguments there may be one empty piece, or none.
            text = json.dumps(block["input"]) if block["input"] else ""
            for piece in ("", text[: len(text) // 2], text[len(text) // 2 :]):
                yield {"type": "input_json_delta", "partial_json": piece}


def event(name: str, **members: Any) -> bytes:
    """Named, and its JSON padded with spaces: more after some events than after others."""
    data = json.dumps({"type": name, **members}, ensure_ascii=False, separators=(",", ":"))
    padding = " " * (len(data) % 15)
    return f"event: {name}\ndata: {data[:-1]}{padding}}}\n\n".encode()
