"""What a vendor says when it refuses, and which kind of `Fault` that is.

The body comes in many shapes: nested (`{"error": {...}}`: OpenAI, Anthropic), flat (xAI, older
vLLM), in an array (Google), as a string, as FastAPI's `detail`, as HTML of a proxy, or empty. The
kind is decided by the first that knows: a telling name in the body, the text, the status.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
from msgspec import Struct

from altyn.chat import Fault

MESSAGE_MAX = 500
RETRY_AFTER_MAX_S = 3600.0
"""A vendor that asks for more is heard out for an hour, then asked again."""

Kind = Fault.Kind

STATUS_KINDS: dict[int, Kind] = {
    401: "auth",
    402: "quota",
    403: "auth",
    404: "not_found",
    405: "not_found",  # the base URL leads somewhere else: not the caller's doing
    408: "timeout",
    409: "server",  # a conflict inside the vendor; vendors' own clients retry it
    410: "not_found",
    413: "too_large",
    429: "rate_limit",
    498: "overloaded",  # Groq: flex capacity
    503: "overloaded",
    504: "timeout",
    524: "timeout",  # Cloudflare's edge
    529: "overloaded",
}

NAMED_KINDS: dict[str, Kind] = {
    "context_length_exceeded": "context_length",
    "exceed_context_size_error": "context_length",  # llama.cpp
    "input_too_large": "context_length",  # xAI
    "insufficient_quota": "quota",  # OpenAI sends it as 429
    "insufficient_balance": "quota",
    "billing_not_active": "quota",
    "billing_hard_limit_reached": "quota",
    "billing_error": "quota",  # Anthropic
    "enforced_spend_limit_reached": "quota",  # Anthropic, as 429
    "billing_disabled": "quota",  # Google sends it as 403
    "payment_required": "quota",
    "invalid_api_key": "auth",
    "api_key_invalid": "auth",  # Google sends it as 400
    "authentication": "auth",
    "authentication_error": "auth",
    "permission_denied": "auth",
    "permission_error": "auth",  # Anthropic
    "model_not_found": "not_found",
    "model_deprecated": "not_found",
    "not_found": "not_found",
    "not_found_error": "not_found",
    "rate_limit_exceeded": "rate_limit",  # Groq sends it as 413 too
    "rate_limit_error": "rate_limit",
    "overloaded_error": "overloaded",
    "provider_overloaded": "overloaded",
    "capacity_exhausted": "overloaded",
    "temporarily_unavailable": "overloaded",
    "unavailable_error": "overloaded",  # llama.cpp while it loads
    "timeout": "timeout",
    "timeout_error": "timeout",  # Anthropic
    "payload_too_large": "too_large",
    "request_too_large": "too_large",
    # Said under 403 or 404, where the status alone would put a healthy route to rest.
    "content_policy_violation": "bad_request",
    "refusal": "bad_request",
    "image_not_found": "bad_request",
    "constraint_filtered": "bad_request",
}
"""Names that say more than the status does: OpenAI's `code` and `type`, OpenRouter's
`metadata.error_type` and `availability.code`, Anthropic's `details.error_code`, Google's
`details[].reason`. Names such as `invalid_request_error` stand on errors of every status, so they
are below.
"""

VAGUE_KINDS: dict[str, Kind] = {
    "invalid_request_error": "bad_request",
    "invalid_request": "bad_request",
    "badrequesterror": "bad_request",
    "invalid_prompt": "bad_request",
    "tool_use_failed": "bad_request",
    # The Responses API, which looks at images after it has said 200.
    "bio_policy": "bad_request",
    "invalid_image": "bad_request",
    "invalid_image_format": "bad_request",
    "invalid_image_mode": "bad_request",
    "invalid_image_url": "bad_request",
    "invalid_base64_image": "bad_request",
    "image_too_large": "bad_request",
    "image_too_small": "bad_request",
    "image_file_too_large": "bad_request",
    "image_file_not_found": "bad_request",
    "image_parse_error": "bad_request",
    "image_content_policy_violation": "bad_request",
    "empty_image_file": "bad_request",
    "failed_to_download_image": "bad_request",
    "unsupported_image_media_type": "bad_request",
}
"""Asked only where there is no status: inside a stream. Anything else there is the server's."""

CONTEXT_TEXTS = (
    "maximum context length",  # OpenAI, vLLM, DeepSeek
    "maximum prompt length is",  # xAI
    "[input_too_large]",  # xAI, newer
    "prompt is too long",  # Anthropic
    "exceed context limit",  # Anthropic up to 4.1: the prompt and `max_tokens` together
    "exceeds the maximum number of tokens",  # Google
)
STARTS: dict[str, Kind] = {
    "incorrect api key provided": "auth",  # xAI
    "this organization has been disabled": "auth",  # Anthropic
    "your credit balance is too low": "quota",  # Anthropic
    "you have reached your specified api usage limits": "quota",  # Anthropic
    "api key not valid": "auth",  # Google
    "api key expired": "auth",  # Google
    "user location is not supported": "auth",  # Google: where we call from, not what is asked
    "gemini api free tier is not available": "auth",  # Google
    "request payload size exceeds": "too_large",  # Google
}
"""Said with 400, most of it the operator's trouble. Only at the start of the text: a vendor may
quote the caller in a 400, and nobody should be able to put a route to rest by what he writes.
"""
FILE_TEXTS = ("you do not have permission to access the",)
"""Google: 403 because of an address in the request, not because of our key."""
FILTER_TEXTS = ("no endpoints found that support",)
"""OpenRouter: 404 because of this request's tools or images, not because the model is gone."""
MONEY_TEXTS = (
    "available credits",
    "spending limit",
    "exceeded your current quota",
    "credits are depleted",  # Google
)
"""xAI says it under 403 and 429. Google speaks of a quota when it means calls per minute: then it
says when to come back, and money does not come back by itself.
"""


class Said(Struct, kw_only=True):
    """A vendor's refusal, out of whatever shape it came in."""

    message: str = ""
    text: str = ""
    names: tuple[str, ...] = ()
    status: int | None = None
    param: str | None = None
    retry_after_s: float | None = None
    moderated: bool = False


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """Read an answer that is not a 200. `headers` have lower-case names."""
    said = read_said(body)
    retry_after_s = read_retry_after(headers)
    if retry_after_s is None:
        retry_after_s = said.retry_after_s
    return Fault(
        judge(said, status),
        said.message,
        status=status,
        retry_after_s=retry_after_s,
        param=said.param,
    )


def read_error_inside(body: bytes) -> Fault:
    """Read an error that came under status 200: as the body, or as an event of a stream."""
    said = read_said(body)
    return Fault(
        judge(said, said.status),
        said.message,
        status=said.status,
        retry_after_s=said.retry_after_s,
        param=said.param,
    )


def judge(said: Said, status: int | None) -> Kind:
    """The kind of a refusal."""
    for name in said.names:
        if name in NAMED_KINDS:
            return NAMED_KINDS[name]
    kind = _kind_by_status(said, status)
    text = said.text.lower()
    if kind in ("bad_request", "too_large") and any(hint in text for hint in CONTEXT_TEXTS):
        return "context_length"
    if kind == "bad_request" and text.startswith(tuple(STARTS)):
        return next(STARTS[start] for start in STARTS if text.startswith(start))
    if kind in ("auth", "rate_limit") and _is_about_money(said, text):
        return "quota"
    about_request = (kind == "auth" and (said.moderated or text.startswith(FILE_TEXTS))) or (
        kind == "not_found" and text.startswith(FILTER_TEXTS)
    )
    return "bad_request" if about_request else kind


def _is_about_money(said: Said, text: str) -> bool:
    return said.retry_after_s is None and any(hint in text for hint in MONEY_TEXTS)


def _kind_by_status(said: Said, status: int | None) -> Kind:
    if status is None:
        return next((VAGUE_KINDS[name] for name in said.names if name in VAGUE_KINDS), "server")
    if status in STATUS_KINDS:
        return STATUS_KINDS[status]
    if status >= 500:  # noqa: PLR2004 -- HTTP's own line between the two sides
        return "server"
    if status >= 400:  # noqa: PLR2004
        return "bad_request"
    return "invalid"


def read_said(body: bytes) -> Said:
    """Find the words of a refusal. Never raises: what cannot be read is said as text."""
    try:
        payload = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Said(message=_plain_text(body))
    except RecursionError:
        return Said()
    error = _error_object(payload)
    metadata = _object(error.get("metadata"))
    availability = _object(error.get("availability") or metadata.get("availability"))
    details = _list(error.get("details"))
    names = (
        *(_object(detail).get("reason") for detail in details),
        metadata.get("error_type"),
        _object(error.get("details")).get("error_code"),
        availability.get("code"),
        error.get("code"),
        error.get("type"),
    )
    message = _first_text(error.get("message"), error.get("detail"))
    raw = _first_text(metadata.get("raw"))
    if raw:
        message = f"{message}: {raw}" if message else raw
    return Said(
        message=message[:MESSAGE_MAX],
        text=message,
        names=tuple(name.lower() for name in names if isinstance(name, str)),
        status=_status(error.get("status_code")) or _status(error.get("code")),
        param=_first_text(error.get("param")) or None,
        retry_after_s=_seconds(availability.get("retry_after")) or _retry_delay(details),
        moderated="reasons" in metadata or "flagged_input" in metadata,
    )


def _error_object(payload: Any) -> dict[str, Any]:
    """The object that holds the message: nested, flat, alone in an array, or made of a string."""
    if isinstance(payload, list):
        payload = payload[0] if payload else None
    if isinstance(payload, str):
        return {"message": payload}
    outer = _object(payload)
    error = outer.get("error")
    if isinstance(error, str):
        return {**outer, "message": error}
    return _object(error) or outer


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _retry_delay(details: list[Any]) -> float | None:
    """Google's RetryInfo: "34s", "0.5s". It sends no header."""
    delays = (_object(detail).get("retryDelay") for detail in details)
    delay = next((delay for delay in delays if isinstance(delay, str)), "")
    return _seconds(delay.removesuffix("s"))


def _first_text(*values: Any) -> str:
    return next((value for value in values if isinstance(value, str) and value), "")


def _status(code: Any) -> int | None:
    """An HTTP status of a failure, from 429 or "429"."""
    if isinstance(code, str) and code.isascii() and code.isdigit():
        code = int(code[:4])
    if isinstance(code, int) and 400 <= code <= 599:  # noqa: PLR2004 -- HTTP
        return code
    return None


_TITLE = re.compile(rb"<title[^>]*>([^<]*)", re.IGNORECASE)


def _plain_text(body: bytes) -> str:
    """A line of a body that is not JSON; of a web page its title, the rest is decoration."""
    start = body[:4096].lstrip()
    if start.startswith(b"<"):
        title = _TITLE.search(start)
        start = title[1] if title else b"a web page"
    return " ".join(start.decode(errors="replace").split())[:MESSAGE_MAX]


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, 0 to `RETRY_AFTER_MAX_S`, from `retry-after-ms` or `retry-after`.

    A date is measured against the vendor's own `date`, so that a clock that is wrong on either
    side does not turn a second into an hour.
    """
    milliseconds = _seconds(headers.get("retry-after-ms"), per_second=1000)
    if milliseconds is not None:
        return milliseconds
    value = headers.get("retry-after")
    if value is None:
        return None
    seconds = _seconds(value)
    if seconds is not None:
        return seconds
    try:
        until = parsedate_to_datetime(value)
        now = parsedate_to_datetime(headers["date"]) if "date" in headers else datetime.now(UTC)
        return _clamp((until - now).total_seconds())
    except (ValueError, TypeError, OverflowError):  # not a date, or one with a zone and one without
        return None


def _seconds(value: Any, *, per_second: int = 1) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return None if seconds != seconds else _clamp(seconds / per_second)  # noqa: PLR0124 -- NaN


def _clamp(seconds: float) -> float:
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_S)
