"""What the last calls of a route or a provider were like, and whether it rests.

Nothing here waits or asks the time: moments come in as seconds of a clock that never goes back.
The figures are argued for in docs/decisions/0022-routes-that-heal.md.
"""

import asyncio
import math
from collections import deque
from typing import Literal

from msgspec import Struct

from altyn.chat import Fault

LAST_CALLS = 20
FAILED_IN_A_ROW = 5
FAILED_REST_S = 15.0
FAILED_REST_MAX_S = 120.0
REFUSED_REST_S = 60.0
REFUSED_REST_MAX_S = 300.0
FORGIVEN_S = 600.0
"""A cool-down grows when a route breaks again within so long of having healed."""

RETRY_AFTER_MAX_S = 60.0
RETRIES_BURST = 20.0
RETRIES_PER_S = 1.0
RETRY_REFUND = 0.5
NEW_SHARE = 0.2
"""The share of the newest time in the average of all."""

FADING_S = 90.0
"""How fast a measured time fades, so that a route that was slow once is asked again: to a tenth in
three and a half minutes.
"""

FAILED_AS_S = 10.0
"""A failure counts as slow: a route that refuses at once must not look like the quickest."""

State = Literal["serving", "limited", "resting", "probing"]


class Breaker(Struct):
    """Lets calls through, none while it rests, then a single one that decides.

    `reason` is a kind of `Fault`, or empty while all calls go through. `limited`: it only waits
    until the vendor takes calls again, and then nothing has to be proved.
    """

    reason: Fault.Kind | Literal[""] = ""
    status: int | None = None
    rests_until: float = 0.0
    probing: bool = False
    limited: bool = False
    strikes: int = 0
    healed_at: float = 0.0

    def lets_through(self, now: float) -> bool:
        if not self.reason:
            return True
        if now < self.rests_until or self.probing:
            return False
        if self.limited:
            self.reason, self.limited = "", False
        return True

    def open(self, fault: Fault, now: float, *, first_s: float, most_s: float) -> float:
        """Rest, longer each time. Returns for how many seconds; 0 if it rests already.

        Calls that were under way when it opened fail one after the other: that is one failure.
        """
        if self.reason and not self.limited and not self.probing:
            return 0.0
        if now - self.healed_at > FORGIVEN_S and not self.reason:
            self.strikes = 0
        rest_s = min(first_s * (1 << self.strikes), most_s)
        self.strikes = min(self.strikes + 1, 16)
        self._rest(fault, now + rest_s)
        self.limited = False
        return rest_s

    def wait(self, fault: Fault, until: float) -> None:
        """Rest until the vendor takes calls again; if more than that is wrong, probe it then."""
        until = max(until, self.rests_until)
        if not self.reason or self.limited:
            self._rest(fault, until)
            self.limited = True
        else:
            self.rests_until, self.probing = until, False

    def heal(self, now: float) -> bool:
        """The probe went well. True if there was something to heal."""
        if not self.reason:
            return False
        self.reason, self.status, self.probing, self.limited = "", None, False, False
        self.rests_until, self.healed_at = 0.0, now
        return True

    def state(self, now: float) -> State:
        if not self.reason:
            return "serving"
        if self.limited:
            return "limited" if now < self.rests_until else "serving"
        return "probing" if self.probing else "resting"

    def _rest(self, fault: Fault, until: float) -> None:
        self.reason, self.status = fault.kind, fault.status
        self.rests_until, self.probing = until, False


class Times(Struct):
    """A fading average of how long something took, in seconds."""

    average_s: float = 0.0
    measured_at: float = 0.0

    def add(self, seconds: float, now: float) -> None:
        if self.measured_at:
            seconds = self.average_s + NEW_SHARE * (seconds - self.average_s)
        self.average_s, self.measured_at = seconds, now

    def faded(self, now: float) -> float:
        """0 where nothing is known: what is new is asked first."""
        if not self.measured_at:
            return 0.0
        return self.average_s * math.exp((self.measured_at - now) / FADING_S)


class House(Struct, kw_only=True):
    """A provider as this process sees it: its key, its room, its retries."""

    limit: int
    """How many calls it takes at once."""

    running: int = 0
    waiting: deque[asyncio.Future[None]]
    breaker: Breaker
    retries: float = RETRIES_BURST
    filled_at: float = 0.0

    def may_retry(self, now: float) -> bool:
        """Take one retry out of the budget, if it holds one.

        First attempts are never limited. A provider that answers gives half a retry back for each
        answer, so only one that fails for everybody runs dry: then an outage is not tripled.
        """
        filled = self.retries + (now - self.filled_at) * RETRIES_PER_S
        self.retries, self.filled_at = min(filled, RETRIES_BURST), now
        if self.retries < 1:
            return False
        self.retries -= 1
        return True


class RouteHealth(Struct, kw_only=True):
    """A route as this process sees it."""

    house: House
    breaker: Breaker
    last: deque[bool]
    failed_in_a_row: int = 0
    succeeded_at: float = 0.0
    first_event: Times
    whole: Times

    def succeeded(self, seconds: float, now: float, *, streamed: bool) -> bool:
        """True if it had rested and is healed."""
        house = self.house
        # Nearly always nothing has to be healed, and this is on the way of every call.
        healed = bool(self.breaker.reason or house.breaker.reason) and self.answered(now)
        self.last.append(True)
        self.failed_in_a_row = 0
        self.succeeded_at = now
        (self.first_event if streamed else self.whole).add(seconds, now)
        if house.retries < RETRIES_BURST:
            house.retries += RETRY_REFUND
        return healed

    def answered(self, now: float) -> bool:
        """The vendor has spoken sense, if only about a wrong request: what rested is healed."""
        healed = self.breaker.heal(now)
        if healed:
            self.last.clear()
            self.failed_in_a_row = 0
        return self.house.breaker.heal(now) or healed

    def failed(self, now: float) -> bool:
        """Count a failure. True if the route has to rest for it."""
        self.last.append(False)
        self.failed_in_a_row += 1
        self.first_event.add(FAILED_AS_S, now)
        self.whole.add(FAILED_AS_S, now)
        calls = len(self.last)
        half_failed = calls == LAST_CALLS and sum(self.last) * 2 <= calls
        return half_failed or self.failed_in_a_row >= FAILED_IN_A_ROW or self.breaker.probing


def new_house(limit: int) -> House:
    return House(limit=limit, waiting=deque(), breaker=Breaker())


def new_route_health(house: House) -> RouteHealth:
    return RouteHealth(
        house=house,
        breaker=Breaker(),
        last=deque(maxlen=LAST_CALLS),
        first_event=Times(),
        whole=Times(),
    )
