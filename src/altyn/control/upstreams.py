"""How the upstreams do, in the words in which the operator is told."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from altyn.control.office import Office, iso
from altyn.database.engine import now_ms
from altyn.ledger.workers import list_health
from altyn.upstream.report import Condition, Report, combine, merge

WORDS = {
    "auth": "our key is refused",
    "quota": "our money there is spent",
    "not_found": "the model is not known there",
    "rate_limit": "our quota is spent for now",
    "overloaded": "it is overloaded",
    "server": "it fails",
    "timeout": "it does not answer in time",
    "connect": "it cannot be reached",
    "broken": "its answers break off",
    "invalid": "its answers cannot be read",
}
SERVING = "serving"


class ConditionCard(Struct, kw_only=True):
    """How a route or a provider does now; the share is of its last calls, from 0 to 1."""

    state: str
    reason: str | None
    rests_until: str | None
    success_share: float | None
    first_event_ms: int | None
    whole_ms: int | None
    running: int


async def ask_report(office: Office) -> Report:
    """What this process knows if it serves, else what those that do have told last."""
    if office.router is not None:
        return office.router.report(now_ms())
    told = await list_health(office.database)
    return merge([msgspec.json.decode(one, type=Report) for one in told])


def describe(report: Report, conditions: Sequence[Condition], *, drained: bool) -> ConditionCard:
    """Several conditions as one condition, with the moment at which a rest ends."""
    condition = combine(conditions)
    until_ms = report.at_ms + round(condition.rests_s * 1000)
    return ConditionCard(
        state="drained" if drained else condition.state,
        reason=_reason(condition),
        rests_until=iso(until_ms) if condition.rests_s else None,
        success_share=None
        if condition.success_share is None
        else round(condition.success_share, 3),
        first_event_ms=_ms(condition.first_event_s),
        whole_ms=_ms(condition.whole_s),
        running=condition.running,
    )


def _reason(condition: Condition) -> str | None:
    if condition.state == SERVING:
        return None
    words = WORDS.get(condition.reason, condition.reason)
    return words if condition.status is None else f"{words} ({condition.status})"


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
