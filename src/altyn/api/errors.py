"""`AltynError` to status, headers and body: the one place."""

import msgspec
import structlog

from altyn.api.request import Reply, Request
from altyn.errors import AltynError, AuthenticationError, MethodNotAllowedError

log = structlog.get_logger("altyn.api")

WORDING = frozenset(
    {"reason", "expected", "got", "low", "high", "choices", "other", "said", "allowed", "seconds"}
)
"""Facts that only fill in the sentence; the others are for programs and stand in the body."""


def error_body(error: AltynError, *, request_id: str, language: str) -> dict[str, object]:
    """The error object, as the body of an answer or the data of an event."""
    facts = {name: fact for name, fact in error.facts.items() if name not in WORDING}
    return {
        "error": {
            "message": error.message(language),
            "type": error.type,
            "code": error.code,
            "param": error.param,
            "request_id": f"req_{request_id}",
            **facts,
        }
    }


def error_reply(error: AltynError, request: Request) -> Reply:
    body = error_body(error, request_id=request.request_id, language=request.language)
    return Reply(error.status, msgspec.json.encode(body), _headers(error))


def _headers(error: AltynError) -> tuple[tuple[bytes, bytes], ...]:
    if isinstance(error, AuthenticationError):
        return ((b"www-authenticate", b'Bearer error="invalid_token"'),)
    if isinstance(error, MethodNotAllowedError):
        return ((b"allow", str(error.facts["allowed"]).encode()),)
    if (seconds := error.facts.get("retry_after_s")) is not None:
        return ((b"retry-after", str(seconds).encode()),)
    if error.status == 503:  # noqa: PLR2004 -- the contract names it
        return ((b"retry-after", b"5"),)
    return ()
