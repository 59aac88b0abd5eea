"""Which route is asked next, and which one rests.

A route rests after failures that the next call would meet too, a provider whose key is refused
rests with all its routes, and after the rest a single call, the probe, decides. A provider that
takes only so many calls at once is passed over, or waited for where there is no other.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import structlog
from msgspec import Struct

from altyn.chat import Fault
from altyn.upstream.health import (
    FAILED_REST_MAX_S,
    FAILED_REST_S,
    REFUSED_REST_MAX_S,
    REFUSED_REST_S,
    RETRIES_BURST,
    RETRY_AFTER_MAX_S,
    Breaker,
    House,
    RouteHealth,
    new_house,
    new_route_health,
)
from altyn.upstream.provider import Provider
from altyn.upstream.report import Condition, Report

log = structlog.get_logger("altyn.router")
WAIT_FOR_ROOM_S = 2.0
ALONE_S = 60.0
"""Another route of the provider that answered so recently shows that its key is good."""

EXACT_NAMES = frozenset({"gemini"})
"""Dialects whose answers bear the name that was asked for, or a longer one. Google passes a name it
has retired on to another model, at that model's prices.
"""
ALIAS = "-latest"
CALLER_FAULTS = frozenset({"bad_request", "context_length", "too_large"})
"""Faults of the request itself: no other route would take it, and none is to blame."""
KEY_FAULTS = frozenset({"auth", "quota"})
FORBIDDEN = 403
NO_LIMIT = 1_000_000_000


class Target(Struct, frozen=True, kw_only=True):
    """A route with its provider: where a model can be asked for, and in which dialect, if it is not
    the provider's.

    Of a sequence of targets, ordered by `tier`, the lowest come first, equals by their `weight`.
    """

    route_id: int
    provider: Provider
    upstream_model: str
    tier: int = 100
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


class Router:
    """The health of every route of this process.

    `processes` share what a provider takes at once between them.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, processes: int = 1) -> None:
        self.clock = clock
        self.processes = processes
        self.retries = 0
        self.retries_refused = 0
        self.changes = 0
        """Counts what an operator would want to know of: rests and recoveries."""
        self._routes: dict[int, RouteHealth] = {}
        self._targets: dict[int, Target] = {}
        self._houses: dict[int, House] = {}

    # Choosing ---------------------------------------------------------------------------------

    def choose(
        self,
        targets: Sequence[Target],
        *,
        tried: Sequence[Target] = (),
        fastest: bool | None = None,
        retry: bool = False,
    ) -> Target | None:
        """The next target, entered; None if none can be asked now. Every choice ends in `leave`.

        `fastest`: by the time to the first event of streams (True) or to whole answers (False), in
        place of tier and weight. A `retry` comes out of its provider's budget.
        """
        if not retry and fastest is None and (first := self._first(targets)) is not None:
            return first
        best = self._best(targets, tried, now := self.clock(), fastest=fastest)
        if best is None:
            return None
        if retry and not self._take_retry(best, now):
            return self.choose(targets, tried=(*tried, best), fastest=fastest, retry=True)
        self._enter(self._routes[best.route_id])
        return best

    def _first(self, targets: Sequence[Target]) -> Target | None:
        """The first target, entered, if it has no equals and nothing is wrong: nearly always."""
        target = targets[0]
        if len(targets) > 1 and targets[1].tier == target.tier:
            return None
        health = self._routes.get(target.route_id)
        if health is None or health.breaker.reason:
            return None
        house = health.house
        if house.breaker.reason or house.running >= house.limit:
            return None
        house.running += 1
        return target

    def _best(
        self,
        targets: Sequence[Target],
        tried: Sequence[Target],
        now: float,
        *,
        fastest: bool | None,
    ) -> Target | None:
        best: Target | None = None
        best_rank = 0.0
        for target in targets:
            if best is not None and fastest is None and target.tier != best.tier:
                break
            if target in tried or not self._has_room(target, now):
                continue
            rank = 0.0 if fastest is None else self._expected_s(target, now, streamed=fastest)
            if best is None:
                best, best_rank = target, rank
            elif fastest is not None:
                if rank < best_rank:
                    best, best_rank = target, rank
            else:
                # The smallest of exponential lots falls to each in proportion to its weight.
                best_rank = best_rank or random.expovariate(best.weight)
                if (rank := random.expovariate(target.weight)) < best_rank:
                    best, best_rank = target, rank
        return best

    async def wait_for_room(self, targets: Sequence[Target]) -> Target | None:
        """A target whose provider was full and has room now, entered; None after two seconds."""
        now = self.clock()
        target = next((target for target in targets if self._is_only_full(target, now)), None)
        if target is None:
            return None
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._houses[target.provider.id].waiting.append(turn)
        try:
            async with asyncio.timeout(WAIT_FOR_ROOM_S):
                await turn
        except TimeoutError:
            if turn.cancelled():
                return None  # else the room has come in the last moment
        except asyncio.CancelledError:
            if not turn.cancelled():
                self.leave(target)  # the room was ours already
            raise
        if not self.can_serve(target):
            self.leave(target)
            return None
        self._mark_probe(self._routes[target.route_id])
        return target

    def leave(self, target: Target) -> None:
        """A call has ended, however: its room goes to the one who waits longest."""
        house = self._houses[target.provider.id]
        while house.waiting:
            turn = house.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        house.running -= 1

    def why_none(self, targets: Sequence[Target]) -> Fault:
        """What to say where no target can be asked now, and for how long."""
        now = self.clock()
        breakers = []
        for target in targets:
            if (health := self._routes.get(target.route_id)) is not None:
                breakers += [one for one in (health.house.breaker, health.breaker) if one.reason]
        kinds = {breaker.reason for breaker in breakers}
        rests_s = min((breaker.rests_until - now for breaker in breakers), default=1.0)
        if kinds and kinds <= {"auth", "quota", "not_found"}:
            fault = Fault("auth", "every route was refused")
        else:
            fault = Fault(
                "overloaded", "every route rests or is full", retry_after_s=max(rests_s, 1.0)
            )
        fault.attempts = 0
        return fault

    # Learning ---------------------------------------------------------------------------------

    def succeeded(self, target: Target, seconds: float, *, streamed: bool) -> None:
        """An answer has come, or has begun: after so many seconds."""
        health = self._routes.get(target.route_id)
        if health is not None and health.succeeded(seconds, self.clock(), streamed=streamed):
            self._tell_healed(target)

    def failed(self, target: Target, fault: Fault) -> None:
        health = self._routes.get(target.route_id)
        # The sandbox fails because its caller asked it to: nobody else should meet that.
        if health is None or target.provider.dialect == "sandbox":
            return
        now = self.clock()
        if fault.kind in CALLER_FAULTS:
            if health.answered(now):
                self._tell_healed(target)
            return
        self._judge(target, health, fault, now)

    def dropped(self, target: Target) -> None:
        """A call was given up by our side: it says nothing about the route."""
        if (health := self._routes.get(target.route_id)) is not None:
            health.breaker.probing = health.house.breaker.probing = False

    def keep(self, targets: Iterable[Target]) -> None:
        """Routes or keys were changed: forget what may no longer be true of them."""
        there = {target.route_id: target for target in targets}
        for target in there.values():
            if (house := self._houses.get(target.provider.id)) is not None:
                house.limit = self._limit(target.provider)
        for route_id, old in list(self._targets.items()):
            new = there.get(route_id)
            if new is not None and _is_same(old, new):
                self._targets[route_id] = new
                continue
            del self._routes[route_id], self._targets[route_id]
            if new is not None and not _has_same_key(old.provider, new.provider):
                # The house itself stays: it counts the calls that still run.
                house = self._houses[old.provider.id]
                house.breaker, house.retries = Breaker(), RETRIES_BURST

    # Telling ----------------------------------------------------------------------------------

    def can_serve(self, target: Target) -> bool:
        """Whether the route does not rest, or is due for its probe."""
        health = self._routes.get(target.route_id)
        if health is None:
            return True
        now = self.clock()
        return now >= max(health.house.breaker.rests_until, health.breaker.rests_until)

    def condition(self, target: Target) -> Condition:
        """How a route stands, or its provider where that is what keeps it from serving."""
        health = self._routes.get(target.route_id)
        return Condition() if health is None else _route_condition(health, self.clock())

    def provider_condition(self, provider_id: int) -> Condition:
        """How a provider stands: its key, and how many calls it runs."""
        house = self._houses.get(provider_id)
        return Condition() if house is None else _house_condition(house, self.clock())

    def report(self, at_ms: int) -> Report:
        """Everything this process knows."""
        now = self.clock()
        return Report(
            at_ms=at_ms,
            routes={
                number: _route_condition(health, now) for number, health in self._routes.items()
            },
            providers={
                number: _house_condition(house, now) for number, house in self._houses.items()
            },
        )

    # Inside -----------------------------------------------------------------------------------

    def _has_room(self, target: Target, now: float) -> bool:
        health = self._routes.get(target.route_id)
        if health is None:
            health = self._meet(target)
        house = health.house
        return (
            house.running < house.limit
            and (not house.breaker.reason or house.breaker.lets_through(now))
            and (not health.breaker.reason or health.breaker.lets_through(now))
        )

    def _is_only_full(self, target: Target, now: float) -> bool:
        health = self._routes.get(target.route_id)
        return (
            health is not None
            and health.house.running >= health.house.limit
            and health.house.breaker.lets_through(now)
            and health.breaker.lets_through(now)
        )

    def _meet(self, target: Target) -> RouteHealth:
        house = self._houses.get(target.provider.id)
        if house is None:
            house = self._houses[target.provider.id] = new_house(self._limit(target.provider))
        health = self._routes[target.route_id] = new_route_health(house)
        self._targets[target.route_id] = target
        return health

    def _limit(self, provider: Provider) -> int:
        if provider.parallel_requests is None:
            return NO_LIMIT
        return max(1, provider.parallel_requests // self.processes)

    def _enter(self, health: RouteHealth) -> None:
        health.house.running += 1
        self._mark_probe(health)

    def _mark_probe(self, health: RouteHealth) -> None:
        if health.house.breaker.reason:
            health.house.breaker.probing = True
        if health.breaker.reason:
            health.breaker.probing = True

    def _expected_s(self, target: Target, now: float, *, streamed: bool) -> float:
        health = self._routes[target.route_id]
        return (health.first_event if streamed else health.whole).faded(now)

    def _take_retry(self, target: Target, now: float) -> bool:
        if self._routes[target.route_id].house.may_retry(now):
            self.retries += 1
            return True
        self.retries_refused += 1
        return False

    def _judge(self, target: Target, health: RouteHealth, fault: Fault, now: float) -> None:
        house, kind = health.house, fault.kind
        if kind == "rate_limit" and fault.retry_after_s:
            # The vendor is well and says when: that is no failure to count.
            health.breaker.wait(fault, now + min(fault.retry_after_s, RETRY_AFTER_MAX_S))
            house.breaker.probing = False
            return
        must_rest = health.failed(now)
        if kind in KEY_FAULTS and not self._is_alone(target, fault, now):
            rest_s = house.breaker.open(
                fault, now, first_s=REFUSED_REST_S, most_s=REFUSED_REST_MAX_S
            )
            self._tell_rests("provider_refused", target, fault, rest_s)
            return
        house.breaker.probing = False
        if kind in KEY_FAULTS or kind == "not_found":
            rest_s = health.breaker.open(
                fault, now, first_s=REFUSED_REST_S, most_s=REFUSED_REST_MAX_S
            )
            self._tell_rests("route_refused", target, fault, rest_s)
        elif must_rest:
            rest_s = health.breaker.open(
                fault, now, first_s=FAILED_REST_S, most_s=FAILED_REST_MAX_S
            )
            self._tell_rests("route_rests", target, fault, rest_s)
        elif fault.retry_after_s:
            health.breaker.wait(fault, now + min(fault.retry_after_s, RETRY_AFTER_MAX_S))

    def _is_alone(self, target: Target, fault: Fault, now: float) -> bool:
        """Whether a 403 is about this model alone: the key has just served another one.

        Otherwise a customer who asks for the one model the operator may not use would take all of
        that provider's models from everybody.
        """
        if fault.status != FORBIDDEN:
            return False
        house = self._routes[target.route_id].house
        return any(
            health.house is house and now - health.succeeded_at < ALONE_S
            for route_id, health in self._routes.items()
            if route_id != target.route_id and health.succeeded_at
        )

    def _tell_rests(self, event: str, target: Target, fault: Fault, rest_s: float) -> None:
        if not rest_s:
            return
        self.changes += 1
        log.warning(
            event,
            provider=target.provider.name,
            model=target.upstream_model,
            kind=fault.kind,
            status=fault.status,
            rests_s=rest_s,
        )

    def _tell_healed(self, target: Target) -> None:
        self.changes += 1
        log.info("route_healed", provider=target.provider.name, model=target.upstream_model)


def _route_condition(health: RouteHealth, now: float) -> Condition:
    house = health.house.breaker
    breaker = house if house.state(now) != "serving" else health.breaker
    return Condition(
        **_rest(breaker, now),
        calls=len(health.last),
        succeeded=sum(health.last),
        first_event_s=health.first_event.average_s or None,
        whole_s=health.whole.average_s or None,
    )


def _house_condition(house: House, now: float) -> Condition:
    return Condition(**_rest(house.breaker, now), running=house.running)


def _rest(breaker: Breaker, now: float) -> dict[str, Any]:
    state = breaker.state(now)
    if state == "serving":
        return {}
    rests_s = max(breaker.rests_until - now, 0.0)
    reason, status = breaker.reason, breaker.status
    return {"state": state, "reason": reason, "status": status, "rests_s": rests_s}


def _is_same(old: Target, new: Target) -> bool:
    return old.upstream_model == new.upstream_model and _has_same_key(old.provider, new.provider)


def _has_same_key(old: Provider, new: Provider) -> bool:
    """Whether it is the same door with the same key, and nobody has said that it is mended."""
    return (old.id, old.base_url, old.secret, old.proxy_url, old.resumed_at) == (
        new.id,
        new.base_url,
        new.secret,
        new.proxy_url,
        new.resumed_at,
    )
