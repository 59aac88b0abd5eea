"""What an upstream's fault means to the caller.

An upstream's 401, 402, 403 and 429 are about the operator's key and quota, which all callers share:
they become 502 and 503, and what the vendor said goes to the log. Only a request that was wrong in
itself comes back as 400, in the vendor's words without anybody's keys or addresses.
"""

import re
from collections.abc import Iterator, Sequence

from altyn.chat import Fault, Message, TextPart
from altyn.errors import (
    AltynError,
    BodyTooLargeError,
    ContextLengthExceededError,
    InvalidParameterError,
    ModelUnavailableError,
    OverloadedError,
    UpstreamFailedError,
    UpstreamInvalidResponseError,
    UpstreamTimeoutError,
)
from altyn.gateway.order import Order
from altyn.upstream.router import CALLER_FAULTS

SAID_MAX = 300
PARAM_MAX = 100
QUOTED_MIN = 16
"""So many letters of the caller's own in a row are a quotation."""
RETRY_AFTER_S = 5
RETRY_LATER_S = 60
VENDOR_BODY_BYTES = 20_000_000
"""What vendors that say so take at the least; ours is smaller, so this is rare."""
SECRETIVE = re.compile(
    r"\b(?:sk|pk|rk|xai|gsk|hf|fw|pplx|nvapi|org|proj|user|req|acct|team)[-_][A-Za-z0-9_\-*.]{4,}"
    r"|\b(?:AIza|AKIA|ya29\.|eyJ)[\w.-]+|\bprojects?[ /]\d+|[A-Za-z0-9_-]{32,}"
    r"|[a-z]+://\S+|\S+@\S+\.\S+|\b\d{1,3}(?:\.\d{1,3}){3}\b|\b(?:[0-9a-f]{1,4}:){3,}[0-9a-f:]*"
    r"|\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|net|org|ai|io|dev|cloud|internal|local)\b",
    re.ASCII | re.IGNORECASE,
)
"""Keys, account and request names, addresses: theirs or ours, never the caller's business. What is
long and looks like nothing is taken for a key.
"""


def to_error(fault: Fault, order: Order) -> AltynError:
    """The error the caller gets."""
    detail = str(fault)
    match fault.kind:
        case "bad_request":
            return InvalidParameterError(
                param=_harmless(fault.param, order)[:PARAM_MAX] if fault.param else None,
                reason="upstream",
                said=_harmless(fault.message, order),
            )
        case "context_length":
            return ContextLengthExceededError(
                param="messages", context_length=order.model.context_length
            )
        case "too_large":
            return BodyTooLargeError(limit_bytes=VENDOR_BODY_BYTES)
        case "auth" | "quota" | "not_found":
            return ModelUnavailableError(detail, model=order.model.id, retry_after_s=RETRY_LATER_S)
        case "rate_limit" | "overloaded":
            return OverloadedError(detail, retry_after_s=_retry_after_s(fault))
        case "timeout":
            return UpstreamTimeoutError(detail)
        case "invalid":
            return UpstreamInvalidResponseError(detail)
        case _:
            return UpstreamFailedError(detail)


def words_for_the_log(fault: Fault, order: Order) -> str | None:
    """What the upstream said, for the operator: no secret of his, and no word of the caller's.

    A refusal of the request itself quotes the request; any other is cut where it begins to.
    """
    if fault.kind in CALLER_FAULTS:
        return None
    text = _without_secrets(fault.message, order)
    asked = "\n".join(_texts(order.chat.messages))
    for start in range(0, len(text) - QUOTED_MIN + 1, QUOTED_MIN // 2):
        if text[start : start + QUOTED_MIN] in asked:
            while start and text[start - 1 : start + QUOTED_MIN] in asked:
                start -= 1  # noqa: PLW2901 -- back to where the quotation begins
            return f"{text[:start]}…"
    return text


def _texts(messages: Sequence[Message]) -> Iterator[str]:
    for message in messages:
        if isinstance(message.content, str):
            yield message.content
        for part in message.content if isinstance(message.content, list) else ():
            if isinstance(part, TextPart):
                yield part.text


def _retry_after_s(fault: Fault) -> int:
    if fault.retry_after_s is None:
        return RETRY_AFTER_S
    return max(1, min(RETRY_LATER_S, round(fault.retry_after_s)))


def _harmless(text: str, order: Order) -> str:
    text = _without_secrets(text, order)
    for target in order.candidates:
        text = text.replace(target.provider.host, "…") if target.provider.host else text
        # The customer asked for our name of the model and should read that.
        text = text.replace(target.upstream_model, order.model.id)
    return SECRETIVE.sub("…", text)[:SAID_MAX]


def _without_secrets(text: str, order: Order) -> str:
    for target in order.candidates:
        if target.provider.secret:
            text = text.replace(target.provider.secret, "…")
    return text
