"""What `/metrics` says, made from the plain counts of `gateway/meter.py` when somebody asks."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from altyn.gateway.desk import Desk
from altyn.gateway.meter import LATENCY_BUCKETS_S


def exposition(desk: Desk, *, breaches: int) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Counts(desk, breaches))
    return generate_latest(registry)


class _Counts(Collector):
    def __init__(self, desk: Desk, breaches: int) -> None:
        self.desk = desk
        self.breaches = breaches

    def collect(self) -> Iterator[Metric]:
        yield from self._calls()
        yield from self._money()
        yield from self._routing()
        yield from self._now()

    def _calls(self) -> Iterator[Metric]:
        meter = self.desk.meter
        calls = CounterMetricFamily(
            "altyn_calls", "Ended calls", labels=("outcome", "mode", "form")
        )
        for labels, count in meter.calls.items():
            calls.add_metric(labels, count)
        faults = CounterMetricFamily(
            "altyn_upstream_faults", "Upstream failures", labels=("provider", "kind")
        )
        for names, count in meter.faults.items():
            faults.add_metric(names, count)
        refusals = CounterMetricFamily("altyn_refusals", "Refused requests", labels=("code",))
        for code, count in meter.refusals.items():
            refusals.add_metric((code,), count)
        tokens = CounterMetricFamily("altyn_tokens", "Tokens counted", labels=("direction",))
        for direction, count in meter.tokens.items():
            tokens.add_metric((direction,), count)
        yield from (calls, faults, refusals, tokens, self._latency())

    def _latency(self) -> Metric:
        meter = self.desk.meter
        buckets, below = [], 0
        for bound in LATENCY_BUCKETS_S:
            below += meter.latency[bound]
            buckets.append((str(bound), float(below)))
        buckets.append(("+Inf", float(meter.latency_count)))
        family = HistogramMetricFamily(
            "altyn_first_event_seconds", "Time to the first event, or to a whole answer"
        )
        family.add_metric((), buckets, meter.latency_sum_s)
        return family

    def _money(self) -> Iterator[Metric]:
        meter = self.desk.meter
        yield CounterMetricFamily(
            "altyn_charged_nanos", "Charged to customers", value=meter.charged_nanos
        )
        yield CounterMetricFamily("altyn_cost_nanos", "Taken by providers", value=meter.cost_nanos)
        losses = CounterMetricFamily(
            "altyn_operator_loss_nanos", "Taken by providers, paid by nobody", labels=("reason",)
        )
        for reason, nanos in meter.loss_nanos.items():
            losses.add_metric((reason,), nanos)
        doubts = CounterMetricFamily(
            "altyn_doubtful_usage", "Calls whose usage should be looked at", labels=("flag",)
        )
        for flag, count in meter.flags.items():
            doubts.add_metric((flag,), count)
        yield from (losses, doubts)

    def _routing(self) -> Iterator[Metric]:
        router, shelf = self.desk.client.router, self.desk.shelf
        up = GaugeMetricFamily(
            "altyn_provider_up", "0 while a provider refuses our key", labels=("provider",)
        )
        running = GaugeMetricFamily(
            "altyn_provider_calls", "Calls a provider runs now", labels=("provider",)
        )
        for name, provider in (shelf.providers if shelf else {}).items():
            condition = router.provider_condition(provider.id)
            up.add_metric((name,), float(condition.state == "serving"))
            running.add_metric((name,), condition.running)
        targets = () if shelf is None else shelf.all_targets()
        resting = sum(not router.can_serve(target) for target in targets)
        yield from (up, running)
        yield GaugeMetricFamily("altyn_routes_resting", "Routes not asked now", value=resting)
        yield CounterMetricFamily(
            "altyn_retries", "Attempts after a failed one", value=router.retries
        )
        yield CounterMetricFamily(
            "altyn_retries_refused",
            "Retries not made: the budget was spent",
            value=router.retries_refused,
        )

    def _now(self) -> Iterator[Metric]:
        attempts = self.desk.attempts
        draining = sum(1 for attempt in attempts if attempt.left_s is not None)
        writer = self.desk.writer
        yield GaugeMetricFamily("altyn_attempts", "Attempts running", value=len(attempts))
        yield GaugeMetricFamily(
            "altyn_attempts_draining", "Attempts whose caller has left", value=draining
        )
        yield CounterMetricFamily("altyn_commits", "Commits of the ledger", value=writer.commits)
        yield CounterMetricFamily("altyn_moves", "Moves in those commits", value=writer.moves)
        yield GaugeMetricFamily(
            "altyn_ledger_breaches", "Invariants found broken", value=self.breaches
        )
