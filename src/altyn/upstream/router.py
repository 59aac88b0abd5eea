"""Which route is asked first, and which one rests.

A route rests (cools down) after a failure that the next call would meet too: a refused key for a
minute, a spent quota for as long as the vendor says, and any route that fails half of its last
calls for fifteen seconds. When every route rests, they are asked all the same: a doubtful route is
better than a certain refusal.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Sequence

from msgspec import Struct

from altyn.chat import Fault
from altyn.upstream.provider import Provider

LAST_CALLS = 20
FAILED_HALF_S = 15.0
REFUSED_KEY_S = 60.0
RETRY_AFTER_MAX_S = 60.0
EXACT_NAMES = frozenset({"gemini"})
"""Dialects whose answers bear the name that was asked for, or a longer one. Google passes a name it
has retired on to another model, at that model's prices.
"""
ALIAS = "-latest"
CALLER_FAULTS = frozenset({"bad_request", "context_length", "too_large"})
"""Faults of the request itself: no other route would take it, and none is to blame."""


class Target(Struct, frozen=True, kw_only=True):
    """A route with its provider: where a model can be asked for, and in which dialect, if it is not
    the provider's.
    """

    route_id: int
    provider: Provider
    upstream_model: str
    priority: int = 100
    weight: int = 1
    dialect: str | None = None

    def passed_on_to(self, answered: str | None) -> bool:
        """Whether another model answered, by the name on the answer. False where that is not known:
        most vendors answer under names of their own making.
        """
        asked = self.upstream_model.removeprefix("models/")
        if answered is None or asked.endswith(ALIAS):
            return False
        speaks = self.dialect or self.provider.dialect
        return speaks in EXACT_NAMES and not answered.startswith(asked)


class Health(Struct):
    """What a route's last calls were like. Times are of the monotonic clock."""

    last: deque[bool]
    rests_until: float = 0.0
    reason: str = ""


class Router:
    """The health of every route of this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._health: dict[int, Health] = {}

    def order(self, targets: Sequence[Target]) -> list[Target]:
        """Lower priority numbers first; inside one, by chance according to weight; resting last."""
        if len(targets) == 1:
            return list(targets)
        now = self.clock()
        return sorted(
            targets,
            key=lambda target: (self._rests(target, now), target.priority, _lot(target.weight)),
        )

    def succeeded(self, target: Target) -> None:
        if (health := self._health.get(target.route_id)) is not None:
            health.last.append(True)
            health.rests_until = 0.0

    def failed(self, target: Target, fault: Fault) -> None:
        if fault.kind in CALLER_FAULTS:
            return
        health = self._health.setdefault(target.route_id, Health(deque(maxlen=LAST_CALLS)))
        health.last.append(False)
        rest_s = _rest_s(health, fault)
        if rest_s:
            health.rests_until = self.clock() + rest_s
            health.reason = fault.kind

    def resting(self, route_id: int) -> str | None:
        """Why a route rests now, or None."""
        health = self._health.get(route_id)
        return health.reason if health and health.rests_until > self.clock() else None

    def forget(self) -> None:
        """Routes or keys were changed: what was learned about them may no longer be true."""
        self._health.clear()

    def _rests(self, target: Target, now: float) -> bool:
        health = self._health.get(target.route_id)
        return health is not None and health.rests_until > now


def _rest_s(health: Health, fault: Fault) -> float:
    if fault.kind in ("auth", "quota", "not_found"):
        return REFUSED_KEY_S
    if fault.retry_after_s:
        return min(fault.retry_after_s, RETRY_AFTER_MAX_S)
    calls = len(health.last)
    half_failed = calls == LAST_CALLS and sum(health.last) * 2 <= calls
    return FAILED_HALF_S if half_failed else 0.0


def _lot(weight: int) -> float:
    # The smallest of exponential lots falls to each in proportion to its weight.
    return random.expovariate(max(weight, 1))
