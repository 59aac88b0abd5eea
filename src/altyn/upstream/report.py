"""How routes and providers stand, as one process tells it and as several together do."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from altyn.upstream.health import State

WORST_FIRST: tuple[State, ...] = ("resting", "probing", "limited", "serving")


class Condition(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a route or a provider stands. Times in seconds.

    `calls` are the last ones, of which `succeeded` went well; `running` are under way.
    """

    state: State = "serving"
    reason: str = ""
    status: int | None = None
    rests_s: float = 0.0
    calls: int = 0
    succeeded: int = 0
    first_event_s: float | None = None
    whole_s: float | None = None
    running: int = 0

    @property
    def success_share(self) -> float | None:
        """From 0 to 1; None where there were no calls of late."""
        return self.succeeded / self.calls if self.calls else None


class Report(Struct, frozen=True, kw_only=True):
    """What a process knows, by the ids of routes and providers."""

    at_ms: int
    routes: dict[int, Condition]
    providers: dict[int, Condition]


def merge(reports: Sequence[Report]) -> Report:
    """What several processes know: the worst state, all calls, the mean of the times."""
    return Report(
        at_ms=max((report.at_ms for report in reports), default=0),
        routes=_merge_all(report.routes for report in reports),
        providers=_merge_all(report.providers for report in reports),
    )


def combine(conditions: Sequence[Condition]) -> Condition:
    """Several as one: a provider's routes, or a route in several processes."""
    worst = min(
        conditions,
        key=lambda one: (WORST_FIRST.index(one.state), -one.rests_s),
        default=Condition(),
    )
    return Condition(
        state=worst.state,
        reason=worst.reason,
        status=worst.status,
        rests_s=worst.rests_s,
        calls=sum(one.calls for one in conditions),
        succeeded=sum(one.succeeded for one in conditions),
        first_event_s=_mean(one.first_event_s for one in conditions),
        whole_s=_mean(one.whole_s for one in conditions),
        running=sum(one.running for one in conditions),
    )


def _merge_all(parts: Iterable[dict[int, Condition]]) -> dict[int, Condition]:
    found: dict[int, list[Condition]] = {}
    for part in parts:
        for number, condition in part.items():
            found.setdefault(number, []).append(condition)
    return {number: combine(conditions) for number, conditions in found.items()}


def _mean(times: Iterable[float | None]) -> float | None:
    known = [seconds for seconds in times if seconds is not None]
    return sum(known) / len(known) if known else None
