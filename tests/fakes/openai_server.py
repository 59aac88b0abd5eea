"""A vendor of OpenAI's family on loopback: real HTTP, the vendor's refusals, the vendor's oddities.

    with FakeOpenAI("groq") as fake:
        fake.says(Reply(text="Hello", reasoning="hm"), Reply(status=503))
        ...call fake.base_url with fake.key...
        assert fake.billed[0]["total_tokens"] == 12

It runs in a thread with an event loop of its own, so that it serves tests of either colour. What
it counted is in `billed`, a row a call: the provider's own word, to compare a ledger with.
"""

import asyncio
import gzip
import json
import re
import socket
import struct
import threading
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

MODELS = ("gpt-4o-mini", "gpt-5-mini", "test-model")
CREATED = 1_782_955_817
HEAD_MAX = 64 * 1024

Place = Literal["separate", "finish", "with_choice", "second_end", "twice", "every", "absent"]


@dataclass(frozen=True, kw_only=True)
class Style:
    """The habits of one vendor."""

    usage: Place = "separate"
    usage_always: bool = False
    reasoning_name: str = "reasoning_content"
    reasoning_outside: bool = False
    refuses_max_tokens: bool = False
    tools_whole: bool = False
    comments: int = 0
    stops_when_left: bool = True
    thinks_only_streamed: bool = False
    extra: dict[str, Any] = field(default_factory=dict)


STYLES: dict[str, Style] = {
    "plain": Style(),
    "openai": Style(refuses_max_tokens=True, extra={"service_tier": "default", "obfuscation": "x"}),
    "openrouter": Style(
        usage_always=True, reasoning_name="reasoning", comments=3, extra={"provider": "Fake Cloud"}
    ),
    "xai": Style(reasoning_outside=True),
    "deepseek": Style(usage="finish", usage_always=True),
    "groq": Style(
        usage="finish",
        usage_always=True,
        reasoning_name="reasoning",
        tools_whole=True,
        stops_when_left=False,
    ),
    "dashscope": Style(thinks_only_streamed=True),
    "vllm": Style(usage="every"),
}


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What is said to one call. Everything that is not asked for is as the style has it."""

    text: str = "Hello from the fake vendor."
    tools: tuple[tuple[str, str], ...] = ()
    reasoning: str = ""
    reasoning_tokens: int | None = None
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    cost: str = "0.000837"
    finish_reason: str | None = "auto"
    usage: Place | None = None
    usage_values: dict[str, Any] | None = None
    done: bool = True

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """Sent as it is, instead of everything above."""

    error: dict[str, Any] | str | None = None
    """Sent inside a stream, after the text; with `error_event` under a name."""
    error_event: str = ""
    error_with_usage: bool = False

    comments: int | None = None
    blank_lines: int = 0
    first_pause_s: float = 0.0
    pause_s: float = 0.0
    wait_after: int | None = None
    """Send so many pieces, then nothing until `go_on`. 0: not even the head of the answer."""

    cut_after_bytes: int | None = None
    reset: bool = False
    gzip: bool = False
    write_bytes: int | None = None


def count_tokens(text: str) -> int:
    return len(re.findall(r"\w+|[^\w\s]", text))


class FakeOpenAI:
    def __init__(
        self,
        style: str = "plain",
        *,
        key: str = "sk-fake-key",
        models: tuple[str, ...] = MODELS,
        root: str = "/v1",
    ) -> None:
        self.root = root
        self.style = STYLES[style]
        self.style_name = style
        self.key = key
        self.models = models
        self.calls: list[dict[str, Any]] = []
        self.billed: list[dict[str, Any]] = []
        self.port = 0
        self._queue: deque[Reply] = deque()
        self._rules: list[tuple[str, Reply]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._gate = asyncio.Event()

    # For tests -------------------------------------------------------------------------------

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.root}"

    def says(self, *replies: Reply) -> None:
        """The next calls get these, in order."""
        self._queue.extend(replies)

    def forget(self) -> None:
        """Nothing is queued any more."""
        self._queue.clear()

    def answers(self, prompt: str, reply: Reply) -> None:
        """Every call whose body holds *prompt* gets this, when nothing is queued."""
        self._rules.append((prompt, reply))

    def go_on(self) -> None:
        """Let every reply that waits, or is to wait, be said to its end."""
        self._loop.call_soon_threadsafe(self._gate.set)

    def stop_here(self) -> None:
        """Replies that are to wait do so again, after a `go_on`."""
        self._loop.call_soon_threadsafe(self._gate.clear)

    def start(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()

    # The server ------------------------------------------------------------------------------

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=HEAD_MAX)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _hang_up(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                while await self._serve_one(reader, writer):
                    pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip().split("\r\n")
        method, path, _ = first.split(" ")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        call = {"method": method, "path": path, "headers": headers, "body": body}
        self.calls.append(call)
        return await self._answer(call, writer)

    async def _answer(self, call: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        method, path = call["method"], call["path"]
        refusal = self._refuse_key(call["headers"])
        if refusal is None and path == f"{self.root}/models":
            refusal = Reply(body=json.dumps(self._model_list()).encode())
        if refusal is None and (method, path) != ("POST", f"{self.root}/chat/completions"):
            refusal = _refusal(404, f"Unknown request URL: {method} {path}.", code="unknown_url")
        if refusal is not None:
            return await Sender(writer, refusal, self._gate).send_body(refusal.body or b"")
        return await self._chat(call["body"], writer)

    def _model_list(self) -> dict[str, Any]:
        data = [
            {"id": m, "object": "model", "created": CREATED, "owned_by": "fake"}
            for m in self.models
        ]
        return {"object": "list", "data": data}

    async def _chat(self, body: bytes, writer: asyncio.StreamWriter) -> bool:
        asked, reply = self._read(body)
        sender = Sender(writer, reply, self._gate)
        if reply.first_pause_s:
            await asyncio.sleep(reply.first_pause_s)
        if reply.wait_after == 0:
            await self._gate.wait()
        if reply.body is not None or reply.status != 200:
            return await sender.send_body(reply.body or b"")
        telling = Telling(self.style, self.style_name, asked, reply)
        self.billed.append(telling.bill)
        if not asked.get("stream"):
            telling.count_everything()
            return await sender.send_body(b"\n" * reply.blank_lines + telling.whole())
        try:
            return await sender.send_stream(telling.stream())
        except ConnectionError:
            if not self.style.stops_when_left:
                telling.count_everything()
            raise

    def _read(self, body: bytes) -> tuple[dict[str, Any], Reply]:
        try:
            asked = json.loads(body)
        except ValueError:
            return {}, _refusal(400, "We could not parse the JSON body of your request.")
        refusal = self._refuse_request(asked)
        if refusal is not None:
            return asked, refusal
        if self._queue:
            return asked, self._queue.popleft()
        text = json.dumps(asked["messages"], ensure_ascii=False)
        return asked, next((reply for part, reply in self._rules if part in text), Reply())

    # The vendor's refusals -------------------------------------------------------------------

    def _refuse_key(self, headers: dict[str, str]) -> Reply | None:
        given = headers.get("authorization", "")
        if not given:
            return _refusal(401, "You didn't provide an API key.")
        if given != f"Bearer {self.key}":
            return _refusal(401, "Incorrect API key provided: sk-w***.", code="invalid_api_key")
        return None

    def _refuse_request(self, asked: dict[str, Any]) -> Reply | None:
        model = asked.get("model")
        if not isinstance(model, str):
            return _refusal(400, "you must provide a model parameter")
        if model not in self.models:
            said = f"The model `{model}` does not exist or you do not have access to it."
            return _refusal(404, said, code="model_not_found")
        if not isinstance(asked.get("messages"), list) or not asked["messages"]:
            said = "Missing required parameter: 'messages'."
            return _refusal(400, said, code="missing_required_parameter", param="messages")
        new_model = model.startswith(("gpt-5", "o"))
        if self.style.refuses_max_tokens and new_model and "max_tokens" in asked:
            said = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
            return _refusal(400, said, code="unsupported_parameter", param="max_tokens")
        thinks = model.startswith("qwen3") and asked.get("enable_thinking") is not False
        if self.style.thinks_only_streamed and thinks and not asked.get("stream"):
            said = "parameter.enable_thinking must be set to false for non-streaming calls"
            return _refusal(400, said, code="invalid_parameter_error")
        return None


def _refusal(
    status: int, message: str, *, code: str | None = None, param: str | None = None
) -> Reply:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return Reply(status=status, body=json.dumps({"error": error}, indent=4).encode())


class Telling:
    """One reply turned into JSON, and what the vendor bills for it so far."""

    def __init__(self, style: Style, name: str, asked: dict[str, Any], reply: Reply) -> None:
        self.style = style
        self.name = name
        self.asked = asked
        self.reply = reply
        self.place = reply.usage or style.usage
        self.prompt = sum(count_tokens(str(m.get("content") or "")) for m in asked["messages"])
        self.reasoning = reply.reasoning_tokens
        if self.reasoning is None:
            self.reasoning = count_tokens(reply.reasoning)
        self.output = count_tokens(reply.text) + sum(
            count_tokens(name) + count_tokens(arguments) for name, arguments in reply.tools
        )
        self.bill: dict[str, Any] = {
            "id": "chatcmpl-AAAA",
            "model": asked["model"],
            "prompt_tokens": self.prompt,
            "completion_tokens": 0,
            "total_tokens": self.prompt,
            "complete": False,
            "reported": False,
        }

    def count_everything(self) -> None:
        assert self.reasoning is not None
        self._count(self.output + self.reasoning - self.bill["completion_tokens"])
        self.bill["complete"] = True

    def _count(self, tokens: int) -> None:
        self.bill["completion_tokens"] += tokens
        self.bill["total_tokens"] += tokens

    def usage(self) -> dict[str, Any]:
        self.bill["reported"] = True
        if self.reply.usage_values is not None:
            return self.reply.usage_values
        assert self.reasoning is not None
        inside = 0 if self.style.reasoning_outside else self.reasoning
        usage: dict[str, Any] = {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.output + inside,
            "total_tokens": self.prompt + self.output + self.reasoning,
            "prompt_tokens_details": {
                "cached_tokens": self.reply.cached_tokens,
                "cache_write_tokens": self.reply.cache_write_tokens,
            },
            "completion_tokens_details": {"reasoning_tokens": self.reasoning},
        }
        if self.name == "openrouter":
            usage |= {"cost": float(self.reply.cost), "is_byok": False}
        if self.name == "xai":
            usage |= {"cost_in_usd_ticks": 8_370_000, "num_sources_used": 0}
        if self.name == "deepseek":
            usage["prompt_cache_hit_tokens"] = self.reply.cached_tokens
            usage["prompt_cache_miss_tokens"] = self.prompt - self.reply.cached_tokens
        return usage

    def finish_reason(self) -> str | None:
        if self.reply.finish_reason != "auto":
            return self.reply.finish_reason
        return "tool_calls" if self.reply.tools else "stop"

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": "chatcmpl-AAAA",
            "object": kind,
            "created": CREATED,
            "model": self.asked["model"],
            "system_fingerprint": "fp_fake",
            **self.style.extra,
        }

    # A whole answer

    def whole(self) -> bytes:
        message: dict[str, Any] = {"role": "assistant", "content": self.reply.text, "refusal": None}
        if self.reply.reasoning:
            message[self.style.reasoning_name] = self.reply.reasoning
        if self.reply.tools:
            message["content"] = None
            message["tool_calls"] = [
                _call(index, name, arguments, streamed=False)
                for index, (name, arguments) in enumerate(self.reply.tools)
            ]
        choice = {"index": 0, "message": message, "finish_reason": self.finish_reason()}
        answer = {**self._head("chat.completion"), "choices": [choice]}
        if self.place != "absent":
            answer["usage"] = self.usage()
        return json.dumps(answer, ensure_ascii=False).encode()

    # A streamed one

    def stream(self) -> Iterator[bytes]:
        comments = self.style.comments if self.reply.comments is None else self.reply.comments
        for _ in range(comments):
            yield b": OPENROUTER PROCESSING\n\n"
        yield self._chunk({"role": "assistant", "content": None if self.reply.tools else ""})
        for delta, tokens in self._deltas():
            self._count(tokens)
            yield self._chunk(delta)
        if self.reply.error is not None:
            yield self._error()
        else:
            self.count_everything()
            yield from self._closing()
        if self.reply.done:
            yield b"data: [DONE]\n\n"

    def _deltas(self) -> Iterator[tuple[dict[str, Any], int]]:
        for piece in _words(self.reply.reasoning):
            yield {self.style.reasoning_name: piece, "content": None}, count_tokens(piece)
        if not self.reply.tools:
            for piece in _words(self.reply.text):
                yield {"content": piece}, count_tokens(piece)
        elif self.style.tools_whole:
            for index, (name, arguments) in enumerate(self.reply.tools):
                yield {"tool_calls": [_call(index, name, arguments)]}, count_tokens(arguments)
        else:
            yield from self._tool_fragments()

    def _tool_fragments(self) -> Iterator[tuple[dict[str, Any], int]]:
        """All calls open first, then their arguments come in turns: by index, not by id."""
        for index, (name, _) in enumerate(self.reply.tools):
            yield {"tool_calls": [_call(index, name, "")]}, count_tokens(name)
        halves = [(a[: len(a) // 2], a[len(a) // 2 :]) for _, a in self.reply.tools]
        for half in (0, 1):
            for index, parts in enumerate(halves):
                fragment = {"index": index, "function": {"arguments": parts[half]}}
                yield {"tool_calls": [fragment]}, 0

    def _closing(self) -> Iterator[bytes]:
        reason = self.finish_reason()
        wanted = self.style.usage_always or self._asked_for_usage()
        place = self.place if wanted else "absent"
        usage = None if place == "absent" else self.usage()
        at_end = usage if place in ("finish", "twice", "every") else None
        yield self._chunk({}, finish_reason=reason, usage=at_end)
        if place in ("separate", "twice", "every"):
            yield self._chunk(None, usage=usage)
        elif place == "with_choice":
            yield self._chunk({"role": "assistant", "content": ""}, usage=usage)
        elif place == "second_end":
            delta = {"role": "assistant", "content": ""}
            yield self._chunk(delta, finish_reason=reason, usage=usage)

    def _asked_for_usage(self) -> bool:
        return bool((self.asked.get("stream_options") or {}).get("include_usage"))

    def _chunk(
        self,
        delta: dict[str, Any] | None,
        *,
        finish_reason: str | None = None,
        usage: dict[str, Any] | None = None,
    ) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        chunk = {
            **self._head("chat.completion.chunk"),
            "choices": [] if delta is None else [choice],
        }
        if usage is None and self.place == "every":
            running = {name: self.bill[name] for name in ("prompt_tokens", "completion_tokens")}
            usage = {**running, "total_tokens": self.bill["total_tokens"]}
        if usage is not None or self._asked_for_usage():
            chunk["usage"] = usage
        if self.name == "groq" and usage is not None:
            chunk["x_groq"] = {"id": "req_AAAA", "usage": usage}
        return _event(chunk)

    def _error(self) -> bytes:
        self.bill["waived"] = self.name == "openrouter"
        chunk: dict[str, Any] = {"error": self.reply.error}
        if self.reply.error_with_usage:
            choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
            chunk = {**self._head("chat.completion.chunk"), "choices": [choice], **chunk}
            chunk["usage"] = self.usage()
        name = f"event: {self.reply.error_event}\n" if self.reply.error_event else ""
        return name.encode() + _event(chunk)


def _call(index: int, name: str, arguments: str, *, streamed: bool = True) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    call = {"id": f"call_{index:04}", "type": "function", "function": function}
    return {"index": index, **call} if streamed else call


def _words(text: str) -> list[str]:
    return re.findall(r"\s*\S+|\s+$", text)


def _event(chunk: dict[str, Any]) -> bytes:
    return (
        b"data: " + json.dumps(chunk, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"
    )


class Sender:
    """Puts a reply on the wire, with the trouble that was asked for."""

    def __init__(self, writer: asyncio.StreamWriter, reply: Reply, gate: asyncio.Event) -> None:
        self.writer = writer
        self.reply = reply
        self.gate = gate
        self.left = reply.cut_after_bytes

    async def send_body(self, body: bytes) -> bool:
        """A body with its length. True if the connection can serve another call."""
        if self.reply.gzip:
            body = gzip.compress(body)
        await self._send_head("application/json", f"content-length: {len(body)}")
        return await self._send_bytes(body)

    async def send_stream(self, pieces: Iterator[bytes]) -> bool:
        """A body in chunks, one for each piece."""
        await self._send_head("text/event-stream; charset=utf-8", "transfer-encoding: chunked")
        squeeze = zlib.compressobj(wbits=31) if self.reply.gzip else None
        for number, piece in enumerate(pieces):
            if number and number == self.reply.wait_after:
                await self.gate.wait()
            if squeeze is not None:
                piece = squeeze.compress(piece) + squeeze.flush(zlib.Z_SYNC_FLUSH)  # noqa: PLW2901
            if not await self._send_chunks(piece):
                return False
            if self.reply.pause_s:
                await asyncio.sleep(self.reply.pause_s)
        if squeeze is not None:
            await self._send_chunks(squeeze.flush())
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()
        return True

    async def _send_head(self, kind: str, framing: str) -> None:
        lines = [f"HTTP/1.1 {self.reply.status} Fake", f"content-type: {kind}", framing]
        if self.reply.gzip:
            lines.append("content-encoding: gzip")
        lines += ["x-request-id: req_fake"]
        lines += [f"{name}: {value}" for name, value in self.reply.headers.items()]
        self.writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        await self.writer.drain()

    async def _send_chunks(self, piece: bytes) -> bool:
        size = self.reply.write_bytes or len(piece) or 1
        for start in range(0, len(piece), size):
            part = piece[start : start + size]
            if self.left is not None and len(part) > self.left:
                part = part[: self.left]
            self.writer.write(b"%x\r\n%b\r\n" % (len(part), part) if part else b"")
            await self.writer.drain()
            if not self._goes_on(len(part)):
                return False
        return True

    async def _send_bytes(self, body: bytes) -> bool:
        size = self.reply.write_bytes or len(body) or 1
        if self.left is not None:
            body = body[: self.left]
        for start in range(0, len(body), size):
            self.writer.write(body[start : start + size])
            await self.writer.drain()
        return self._goes_on(len(body))

    def _goes_on(self, sent: int) -> bool:
        """False, and the connection gone, once as many bytes went out as the reply allows."""
        if self.left is None:
            return True
        self.left -= sent
        if self.left > 0:
            return True
        if self.reply.reset:
            raw = self.writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.writer.transport.abort()
        else:
            self.writer.close()
        return False
