"""Thinking: whether to ask for it, how much, and how it is carried from turn to turn.

Thinking comes with a signature, and inside a loop of tool calls the vendor wants it back
unchanged. Callers get it as `reasoning_details`, in OpenRouter's form, and send it back in them.
"""

from typing import Any

from msgspec import Struct

from altyn.chat import asks_to_reason
from altyn.upstream.dialects.anthropic.generation import Generation

Fields = dict[str, Any]
Block = dict[str, Any]

FORMAT = "anthropic-claude-v1"
"""OpenRouter's name for these signatures: a loop may begin there and go on here, or the other way
round. A client that folds a stream may have joined it to itself, so only the beginning counts.
"""

BUDGET_MIN = 1024
BUDGET_MAX = 128_000

SHARES = {"minimal": 10, "low": 20, "medium": 50, "high": 80, "xhigh": 95, "max": 95}
"""Percent of `max_tokens` that an effort may think for. Source: OpenRouter's documentation."""

EFFORTS = {"minimal": "low"}
"""Efforts under another name where thinking is adaptive; the rest are called alike."""


class Wish(Struct, frozen=True):
    """How a caller wants the model to think."""

    effort: str
    budget: int | None
    """At most so many tokens; it goes before the effort."""

    hidden: bool
    """Think, but do not tell."""


def read_wish(fields: Fields) -> Wish | None:
    """None: no thinking is asked for, which is what every model does by itself."""
    if not asks_to_reason(fields):
        return None
    reasoning = fields.get("reasoning") or {}
    effort = reasoning.get("effort") or fields.get("reasoning_effort") or "medium"
    return Wish(effort, reasoning.get("max_tokens"), bool(reasoning.get("exclude")))


def can_think(messages: list[Block], *, max_tokens: int, forced: bool) -> bool:
    """Whether the vendor takes this chat with thinking on; else it is said without.

    It refuses too small a limit, a forced tool, an answer that has been begun for it, and a loop
    of tool calls that began without signed thinking: with another vendor, or with a client that
    does not send `reasoning_details` back.
    """
    if max_tokens <= BUDGET_MIN or forced:
        return False
    loop = _open_loop(messages)
    if not loop:
        return True
    return messages[-1]["role"] != "assistant" and bool(write_thinking_blocks(loop[0]))


def _open_loop(messages: list[Block]) -> list[Block]:
    """What the assistant has said in the turn that goes on: tools have answered, or it began."""
    said: list[Block] = []
    answered = messages[-1]["role"] == "assistant"
    for message in reversed(messages):
        if message["role"] == "assistant":
            if not answered:
                return []
            said.append(message)
        elif message["role"] == "user" and said:
            break
        answered = answered or message["role"] == "tool"
    return said[::-1]


def write_thinking(body: Fields, wish: Wish, generation: Generation, *, max_tokens: int) -> None:
    """Ask for thinking, in the words of the model's generation."""
    thinking: Fields
    if generation.thinks_adaptively:
        thinking = {"type": "adaptive"}
        effort = _effort(wish, max_tokens)
        body.setdefault("output_config", {})["effort"] = EFFORTS.get(effort, effort)
    else:
        thinking = {"type": "enabled", "budget_tokens": _budget(wish, max_tokens)}
    if wish.hidden:
        thinking["display"] = "omitted"
    body["thinking"] = thinking


def _budget(wish: Wish, max_tokens: int) -> int:
    wanted = wish.budget or max_tokens * SHARES[wish.effort] // 100
    return min(max(wanted, BUDGET_MIN), BUDGET_MAX, max_tokens - 1)


def _effort(wish: Wish, max_tokens: int) -> str:
    """The least effort whose share holds the budget."""
    budget = wish.budget
    if budget is None:
        return wish.effort
    fitting = (name for name, share in SHARES.items() if max_tokens * share // 100 >= budget)
    return next(fitting, "max")


# From turn to turn ----------------------------------------------------------------------------


def write_thinking_blocks(message: Block) -> list[Block]:
    """The thinking of an earlier turn as it was given; what another vendor signed is left out."""
    blocks: list[Block] = []
    for detail in _joined(message.get("reasoning_details") or []):
        kind, signature, data = (detail.get(name) for name in ("type", "signature", "data"))
        if not _is_ours(detail.get("format"), signed=bool(signature)):
            continue
        if kind == "reasoning.text" and signature:
            text = detail.get("text") or ""
            blocks.append({"type": "thinking", "thinking": text, "signature": signature})
        elif kind == "reasoning.encrypted" and data:
            blocks.append({"type": "redacted_thinking", "data": data})
    return blocks


def _joined(details: list[Block]) -> list[Block]:
    """Details put together where a client sends them back in the pieces they came in."""
    whole: list[Block] = []
    for detail in details:
        last = whole[-1] if whole else {}
        if _goes_on(last, detail):
            last["text"] = (last.get("text") or "") + (detail.get("text") or "")
            last["signature"] = detail.get("signature")
        else:
            whole.append(dict(detail))
    return whole


def _goes_on(last: Block, detail: Block) -> bool:
    index = detail.get("index")
    return (
        index is not None
        and index == last.get("index")
        and detail.get("type") == last.get("type") == "reasoning.text"
        and not last.get("signature")
    )


def _is_ours(form: object, *, signed: bool) -> bool:
    if form is None:
        return signed
    return isinstance(form, str) and form.startswith(FORMAT)


def text_detail(text: str, signature: str | None, index: int) -> Block:
    """Thinking, as a caller gets it."""
    detail: Block = {"type": "reasoning.text", "text": text}
    if signature:
        detail["signature"] = signature
    return detail | {"format": FORMAT, "index": index}


def encrypted_detail(data: str, index: int) -> Block:
    """Thinking that the vendor does not show."""
    return {"type": "reasoning.encrypted", "data": data, "format": FORMAT, "index": index}
