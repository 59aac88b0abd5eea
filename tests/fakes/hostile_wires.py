"""One and the same small answer in each dialect, whole and as events, for others to spoil."""

import json
from typing import Any, NamedTuple

TEXT = "Привет, мир"
PROMPT_TOKENS = 5
COMPLETION_TOKENS = 6


class Dialect(NamedTuple):
    """`events` are the datas of a stream in order, each with its name; the text is in two of them.

    `usage` is the text of the report, as it stands in `whole` and in the last report of `events`.
    """

    name: str
    whole: bytes
    events: tuple[tuple[str, bytes], ...]
    usage: bytes
    error: bytes

    @property
    def stream(self) -> bytes:
        return b"".join(event(name, data) for name, data in self.events)


def event(name: str, data: bytes) -> bytes:
    return (b"event: %b\n" % name.encode() if name else b"") + b"data: " + data + b"\n\n"


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _chat() -> Dialect:
    usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": COMPLETION_TOKENS}
    around = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m"}

    def piece(delta: dict[str, Any], reason: str | None = None) -> tuple[str, bytes]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return "", _json({**around, "choices": [choice]})

    message = {"role": "assistant", "content": TEXT}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return Dialect(
        "openai-chat",
        _json({**around, "choices": [choice], "usage": usage}),
        (
            piece({"role": "assistant", "content": TEXT[:6]}),
            piece({"content": TEXT[6:]}),
            piece({}, "stop"),
            ("", _json({**around, "choices": [], "usage": usage})),
            ("", b"[DONE]"),
        ),
        _json(usage),
        _json({"error": {"message": "no", "code": 502}}),
    )


def _responses() -> Dialect:
    usage = {"input_tokens": PROMPT_TOKENS, "output_tokens": COMPLETION_TOKENS}
    text = {"type": "output_text", "text": TEXT, "annotations": []}
    message = {"type": "message", "id": "msg_1", "role": "assistant", "content": [text]}
    whole = {"id": "resp_1", "model": "m", "status": "completed", "output": [message]}

    def piece(kind: str, **members: Any) -> tuple[str, bytes]:
        return kind, _json({"type": kind, **members})

    return Dialect(
        "openai-responses",
        _json({**whole, "usage": usage}),
        (
            piece("response.created", response={"id": "resp_1", "model": "m"}),
            piece("response.output_text.delta", output_index=0, delta=TEXT[:6]),
            piece("response.output_text.delta", output_index=0, delta=TEXT[6:]),
            piece("response.completed", response={**whole, "usage": usage}),
        ),
        _json(usage),
        _json({"error": {"message": "no", "code": "server_error"}}),
    )


def _anthropic() -> Dialect:
    usage = {"input_tokens": PROMPT_TOKENS, "output_tokens": COMPLETION_TOKENS}
    message = {"type": "message", "id": "msg_1", "model": "m", "role": "assistant"}

    def piece(kind: str, **members: Any) -> tuple[str, bytes]:
        return kind, _json({"type": kind, **members})

    def delta(text: str) -> tuple[str, bytes]:
        said = {"type": "text_delta", "text": text}
        return piece("content_block_delta", index=0, delta=said)

    content = [{"type": "text", "text": TEXT}]
    return Dialect(
        "anthropic",
        _json({**message, "content": content, "stop_reason": "end_turn", "usage": usage}),
        (
            piece("message_start", message={**message, "content": []}),
            piece("content_block_start", index=0, content_block={"type": "text", "text": ""}),
            delta(TEXT[:6]),
            delta(TEXT[6:]),
            piece("content_block_stop", index=0),
            piece("message_delta", delta={"stop_reason": "end_turn"}, usage=usage),
            piece("message_stop"),
        ),
        _json(usage),
        _json({"type": "error", "error": {"type": "api_error", "message": "no"}}),
    )


def _gemini() -> Dialect:
    usage = {"promptTokenCount": PROMPT_TOKENS, "candidatesTokenCount": COMPLETION_TOKENS}
    around = {"responseId": "r1", "modelVersion": "vendor/sonnet"}

    def said(text: str, **more: Any) -> dict[str, Any]:
        content = {"role": "model", "parts": [{"text": text}]}
        return {**around, "candidates": [{"content": content, "index": 0, **more}]}

    return Dialect(
        "gemini",
        _json({**said(TEXT, finishReason="STOP"), "usageMetadata": usage}),
        (
            ("", _json(said(TEXT[:6]))),
            ("", _json({**said(TEXT[6:], finishReason="STOP"), "usageMetadata": usage})),
        ),
        _json(usage),
        _json({"error": {"code": 500, "message": "no", "status": "INTERNAL"}}),
    )


DIALECTS = {wire.name: wire for wire in (_chat(), _responses(), _anthropic(), _gemini())}
