"""A customer's past: calls of every outcome as `outcome.judge` decides them, told to the ledger."""

import random
from itertools import count
from typing import Any, get_args
from unittest import mock

from altyn.chat import Fault, Usage
from altyn.database.clock import Clock
from altyn.database.engine import now_ms
from altyn.gateway.desk import Desk
from altyn.ledger.moves import Deposit, Hold, Record, Refund, Resolve
from altyn.ledger.writer import Writer
from altyn.money import Nanos
from altyn.outcome import Ending, Outcome, Terms, Verdict, judge, judge_abandoned
from altyn.usage.record import UsageRecord

MODELS = ("openai/gpt-5-mini", "anthropic/claude-sonnet-4.5", "google/gemini-2.5-pro")
HOLD: Nanos = 2_000_000_000
SMALL_HOLD: Nanos = 1_000
CONTEXT = 1_000_000
NOTHING = Usage()
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
FAULTS = {
    "free_refused": Fault("bad_request", "no"),
    "free_upstream_error": Fault("server", "down"),
    "free_broken": Fault("broken", "cut"),
}
ERRORS = {
    "free_refused": "invalid_parameter",
    "free_upstream_error": "upstream_error",
    "free_broken": "upstream_error",
    "free_unknown": "internal_error",
}


class Past:
    """What happened to one account. Moments are milliseconds, and the ledger writes them down as
    they are given: time went by here as the test says.
    """

    def __init__(self, desk: Desk, writer: Writer, *, account_id: int, seed: int = 7) -> None:
        self.desk = desk
        self.writer = writer
        self.account_id = account_id
        self.chance = random.Random(seed)
        self._numbers = count(1)

    async def pay_in(self, nanos: Nanos, *, at: int, reason: str = "") -> None:
        await self._post(
            Deposit(
                account_id=self.account_id,
                amount_nanos=nanos,
                reference=f"pay-{self.account_id}-{next(self._numbers)}",
                reason=reason,
            ),
            at=at,
        )

    async def call(self, outcome: Outcome, *, at: int, key_id: int, model: str = MODELS[0]) -> str:
        """One request that ends with *outcome*; its id."""
        request_id = f"{at:012x}{self.chance.getrandbits(64):016x}"
        hold_nanos = SMALL_HOLD if outcome == "charged_capped" else HOLD
        record = self._record(outcome, request_id, at, key_id, model, hold_nanos)
        if outcome == "free_test":
            await self._post(Record(request_id=request_id, record=record[0]), at=at)
            return request_id
        # Now, whenever it was: a hold of long ago would be swept before it is resolved.
        await self.writer.post(
            Hold(
                request_id=request_id,
                account_id=self.account_id,
                key_id=key_id,
                amount_nanos=hold_nanos,
                model=model,
                price_id=record[0].price_id,
                markup_ppm=0,
                input_bound=1,
                streamed=False,
            )
        )
        verdict = record[1]
        await self._post(
            Resolve(
                request_id=request_id,
                account_id=self.account_id,
                state=verdict.state,
                charge_nanos=verdict.charge_nanos,
                loss=verdict.loss,
                record=record[0],
            ),
            at=at,
        )
        return request_id

    async def give_back(self, request_id: str, nanos: Nanos, *, at: int, reason: str = "") -> None:
        await self._post(
            Refund(
                account_id=self.account_id,
                amount_nanos=nanos,
                request_id=request_id,
                reason=reason,
            ),
            at=at,
        )

    async def every_outcome(self, *, at: int, key_id: int) -> dict[Outcome, str]:
        """One request of each outcome, a minute apart."""
        return {
            outcome: await self.call(
                outcome,
                at=at + number * 60_000,
                key_id=key_id,
                model=MODELS[number % len(MODELS)],
            )
            for number, outcome in enumerate(OUTCOMES)
        }

    async def days(
        self, days: range, *, day_ms: int, now: int, keys: list[int], calls: int
    ) -> None:
        """Some calls on each day, most of which go well, none of them later than *now*."""
        for day in days:
            start = now - now % day_ms - day * day_ms
            moments = [
                start + self.chance.randrange(day_ms)
                for _ in range(self.chance.randrange(calls // 2, calls * 3 // 2))
            ]
            for at in sorted(moment for moment in moments if moment < now):
                outcome = self.chance.choices(OUTCOMES, (160, 4, 2, 1, 3, 4, 2, 1, 1, 12))[0]
                await self.call(
                    outcome,
                    at=at,
                    key_id=self.chance.choice(keys),
                    model=self.chance.choices(MODELS, (5, 2, 3))[0],
                )

    # Inside -----------------------------------------------------------------------------------

    async def _post(self, move: Any, *, at: int) -> None:
        with mock.patch.object(Clock, "now_ms", return_value=at):
            await self.writer.post(move)

    def _record(
        self, outcome: Outcome, request_id: str, at: int, key_id: int, model: str, hold: Nanos
    ) -> tuple[UsageRecord, Verdict]:
        assert self.desk.shelf is not None
        rate = self.desk.shelf.catalog.find_rate(model, None, now_ms())
        assert rate is not None, model
        terms = Terms(
            price=rate.price,
            cost_price=rate.cost_price,
            hold_nanos=hold,
            context_length=CONTEXT,
            mode="test" if outcome == "free_test" else "live",
        )
        verdict = self._verdict(outcome, terms)
        assert verdict.outcome == outcome
        free = outcome in ("free_refused", "free_upstream_error")
        latency_ms = self.chance.randrange(300, 9_000)
        record = UsageRecord(
            request_id=request_id,
            account_id=self.account_id,
            key_id=key_id,
            mode=terms.mode,
            model=model,
            created_at=at,
            status=verdict.status,
            outcome=verdict.outcome,
            streamed=self.chance.random() < 0.5,
            usage=verdict.usage,
            charge_nanos=verdict.charge_nanos,
            cost_nanos=verdict.cost_nanos,
            hold_nanos=0 if terms.mode == "test" else hold,
            price_id=rate.price_id,
            markup_ppm=rate.markup_ppm,
            provider="fake",
            latency_ms=latency_ms,
            first_token_ms=None if free else latency_ms // 4,
            finish_reason="stop" if verdict.status == "success" else None,
            error_code=ERRORS.get(outcome),
            attempts=1,
        )
        return record, verdict

    def _verdict(self, outcome: Outcome, terms: Terms) -> Verdict:
        usage = Usage(
            input_uncached=self.chance.randrange(50, 6_000),
            cache_read=self.chance.choice([0, 0, self.chance.randrange(1_000, 20_000)]),
            output_text=self.chance.randrange(20, 1_500),
            reasoning=self.chance.choice([0, self.chance.randrange(900)]),
        )
        if outcome == "free_unknown":
            return judge_abandoned(
                sent=True, usage=None, finish_reason=None, estimate=usage, terms=terms
            )
        reported = {
            "charged_estimated": None,
            "free_refused": None,
            "free_upstream_error": None,
            "free_empty": Usage(input_uncached=12),
        }.get(outcome, usage)
        ending = Ending(
            fault=FAULTS.get(outcome),
            began=outcome not in ("free_refused", "free_upstream_error"),
            left=outcome == "charged_cancelled",
            usage=reported,
            estimate=NOTHING if outcome == "free_empty" else usage,
            finish_reason=None if outcome == "free_empty" else "stop",
        )
        return judge(ending, terms)
