"""Counts for `/metrics`, as plain numbers: nothing on the way of a call takes a lock."""

from collections import Counter

from altyn.chat import Fault
from altyn.gateway.attempt import Attempt
from altyn.outcome import Verdict

LATENCY_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Meter:
    """What this process has done since it started. Labels are few: never a key, user or address."""

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str, str]] = Counter()  # outcome, mode, streamed
        self.faults: Counter[tuple[str, str]] = Counter()  # provider, kind
        self.tokens: Counter[str] = Counter()  # input, output
        self.charged_nanos = 0
        self.cost_nanos = 0
        self.loss_nanos: Counter[str] = Counter()  # reason
        self.flags: Counter[str] = Counter()  # what is doubtful about a usage
        self.refusals: Counter[str] = Counter()  # error code
        self.latency: Counter[float] = Counter()  # upper bound of the bucket
        self.latency_sum_s = 0.0
        self.latency_count = 0

    def count(self, attempt: Attempt, verdict: Verdict, fault: Fault | None) -> None:
        order = attempt.order
        streamed = "stream" if order.chat.stream else "whole"
        self.calls[verdict.outcome, order.mode, streamed] += 1
        if fault is not None:
            self.faults[fault.provider or "none", fault.kind] += 1
        if verdict.usage is not None:
            self.tokens["input"] += verdict.usage.input_tokens
            self.tokens["output"] += verdict.usage.output_tokens
        self.charged_nanos += verdict.charge_nanos
        self.cost_nanos += verdict.cost_nanos or 0
        if verdict.loss is not None:
            self.loss_nanos[verdict.loss.reason] += verdict.loss.amount_nanos
        if verdict.flags is not None:
            self.flags[verdict.flags] += 1
        self._time(attempt)

    def _time(self, attempt: Attempt) -> None:
        if attempt.first_token_s is None:
            return
        seconds = attempt.first_token_s - attempt.started_s
        self.latency_sum_s += seconds
        self.latency_count += 1
        for bound in LATENCY_BUCKETS_S:
            if seconds <= bound:
                self.latency[bound] += 1
                return
