"""How a route or a provider does, as columns of a table."""

from typing import Any

CONDITION = ("state", "reason", "rests_until", "success", "first_event_ms")


def in_words(now: dict[str, Any]) -> dict[str, Any]:
    """The columns `CONDITION`: a share as per cent, a whole answer's time where none streamed."""
    share = now["success_share"]
    first_event_ms, whole_ms = now["first_event_ms"], now["whole_ms"]
    return {
        "state": now["state"],
        "reason": now["reason"],
        "rests_until": now["rests_until"],
        "success": None if share is None else f"{share * 100:.0f} %",
        "first_event_ms": whole_ms if first_event_ms is None else first_event_ms,
    }
