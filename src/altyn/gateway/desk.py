"""Where orders become attempts: the hold first, then the call, and the settlement at the end."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from altyn.chat import Fault
from altyn.crashpoints import reach
from altyn.database.engine import StoreUnavailableError
from altyn.errors import (
    AccountFrozenError,
    AltynError,
    InsufficientBalanceError,
    KeyLimitExceededError,
    OverloadedError,
)
from altyn.gateway.attempt import STALL_S, Attempt, Listener
from altyn.gateway.faults import to_error, words_for_the_log
from altyn.gateway.meter import Meter
from altyn.gateway.order import Order, Waits
from altyn.gateway.shelf import Shelf
from altyn.keys.limits import Slot
from altyn.ledger.moves import (
    Balance,
    FrozenError,
    Hold,
    HoldAlreadyResolvedError,
    KeyLimitReachedError,
    Lose,
    Loss,
    NotAffordableError,
    Note,
    Record,
    Resolve,
)
from altyn.ledger.writer import Writer
from altyn.money import format_nanos
from altyn.outcome import Verdict, judge_swept
from altyn.settings import Settings
from altyn.upstream.client import Client
from altyn.upstream.connection import Patience
from altyn.usage.record import UsageRecord, storable

log = structlog.get_logger("altyn.desk")
T = TypeVar("T")
CHARGED = "SELECT amount_nanos FROM entries WHERE kind = 'settle' AND ref = $1"
SETTLE_PAUSE_S = 0.2
SETTLE_PAUSE_MAX_S = 5.0
WATCH_S = 1.0


class Desk:
    """Every running attempt of this process, and what they need."""

    def __init__(self, *, settings: Settings, writer: Writer, client: Client, meter: Meter) -> None:
        self.settings = settings
        self.writer = writer
        self.client = client
        self.meter = meter
        self.shelf: Shelf | None = None
        self.attempts: set[Attempt] = set()
        self.open = True
        self.waits = _waits(settings)

    # The story --------------------------------------------------------------------------------

    async def hold(self, order: Order) -> Balance | None:
        """Set the most this order can cost aside, durably, before anything is asked of anybody.

        Raises `InsufficientBalanceError`, `KeyLimitExceededError`, `AccountFrozenError`, or
        `OverloadedError` when the books cannot be written. A test order holds nothing.
        """
        if not self.open:
            raise OverloadedError("shutting down", retry_after_s=1)
        if order.mode == "test":
            return None
        hold = Hold(
            request_id=order.request_id,
            account_id=order.caller.account.id,
            key_id=order.caller.key.id,
            amount_nanos=order.hold_nanos,
            model=order.name,
            price_id=order.rate.price_id,
            markup_ppm=order.rate.markup_ppm,
            input_bound=order.input_bound,
            streamed=order.chat.stream,
            key_window=order.key_window,
        )
        reach("admit")
        try:
            balance = await self.writer.post(hold)
        except NotAffordableError as refusal:
            raise self._not_affordable(order, refusal.balance) from None
        except KeyLimitReachedError as refusal:
            raise self._key_limit(order, refusal) from None
        except FrozenError:
            raise AccountFrozenError from None
        except HoldAlreadyResolvedError:
            raise OverloadedError("taken for dead while holding", retry_after_s=1) from None
        reach("held")
        return balance

    def take(
        self, order: Order, slot: Slot, *, listener: Listener | None, gone: Callable[[], bool]
    ) -> Attempt:
        """An attempt at what is held, to `run` or `begin` now: it settles whoever listens.

        *gone* tells, when the answer is complete, whether the caller has left meanwhile.
        """
        attempt = Attempt(self, order, slot, listener=listener, gone=gone)
        self.attempts.add(attempt)
        return attempt

    async def settle(
        self, attempt: Attempt, verdict: Verdict, fault: Fault | None
    ) -> tuple[Verdict, Balance | None]:
        """Commit what was decided. Tried until it is true: money is never forgotten for a fault.

        Returns what became true: another process may have ended the hold before.
        """
        self.attempts.discard(attempt)
        self.meter.count(attempt, verdict, fault)
        _tell(attempt, verdict, fault)
        move = _settlement(attempt.order, verdict, _record(attempt, verdict, fault))
        reach("settle")
        try:
            balance = await self._until_true(lambda: self.writer.post(move), move.request_id)
        except HoldAlreadyResolvedError:
            # A sweeper took us for dead and has booked the outcome; a second would be a double.
            log.warning("settled_by_sweeper", request_id=move.request_id)
            return await self._settled_already(move.request_id, verdict), None
        reach("settled")
        return verdict, balance

    async def _settled_already(self, request_id: str, verdict: Verdict) -> Verdict:
        """What the caller has paid, by the books; what the provider took for nothing is a loss."""
        rows = await self._until_true(
            lambda: self.writer.database.read(CHARGED, request_id), request_id
        )
        charged_nanos = rows[0][0] if rows else 0
        if not charged_nanos and verdict.cost_nanos:
            lose = Lose(request_id=request_id, loss=Loss(verdict.cost_nanos, "settled_late"))
            await self._until_true(lambda: self.writer.post(lose), request_id)
        return judge_swept(verdict, charged_nanos=charged_nanos)

    async def _until_true(self, do: Callable[[], Awaitable[T]], request_id: str) -> T:
        pause_s = SETTLE_PAUSE_S
        while True:
            try:
                return await do()
            except StoreUnavailableError as error:
                log.error("settle_waits", request_id=request_id, why=error.detail)  # noqa: TRY400 -- expected while the database is away
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, SETTLE_PAUSE_MAX_S)

    def note(self, attempt: Attempt) -> None:
        """Write down how far a streamed attempt is, for whoever has to resolve it after a crash."""
        if attempt.order.mode == "live" and attempt.target is not None:
            # The hold names the first model. Where another one serves, what a provider told later
            # would be charged at the wrong price: then it is not asked, and the answer is free.
            as_held = attempt.order is attempt.orders[0]
            self.writer.tell(
                Note(
                    request_id=attempt.order.request_id,
                    provider=attempt.target.provider.name,
                    upstream_id=storable(attempt.upstream_id) if as_held else None,
                    delivered_bytes=attempt.delivered_bytes,
                )
            )
            reach("checkpoint")

    # Watching ---------------------------------------------------------------------------------

    def may_drain(self, attempt: Attempt) -> bool:
        """Whether one more answer may be read to its end although its caller has left."""
        draining = sum(1 for other in self.attempts if other.left_s is not None)
        return draining <= self.settings.drain_after_leave_max or attempt.listener is None

    async def watch(self) -> None:
        """End what has taken too long. One look a second over all attempts, no timer for each."""
        while True:
            await asyncio.sleep(WATCH_S)
            now = time.monotonic()
            for attempt in tuple(self.attempts):
                self._watch_one(attempt, now)

    async def close(self, grace_s: float) -> int:
        """Stop intake, let attempts end, then end them; settle all. Returns how many are left."""
        self.open = False
        await _ended(self.attempts, grace_s)
        for attempt in tuple(self.attempts):
            attempt.stop(Fault("broken", "the gateway is shutting down"))
        await _ended(self.attempts, grace_s)
        try:
            await asyncio.wait_for(self.writer.drain(), timeout=grace_s)
        except TimeoutError:
            log.error("shutdown_left_money_unsettled")  # noqa: TRY400 -- a timeout has no story
        return len(self.attempts)

    def _watch_one(self, attempt: Attempt, now: float) -> None:
        if now - attempt.started_s > self.settings.attempt_timeout_s:
            attempt.stop(Fault("timeout", "the answer took too long"))
        elif attempt.left_s is not None:
            if now - attempt.left_s > self.settings.drain_after_leave_s:
                attempt.stop(None)
        elif attempt.busy_since_s is not None and now - attempt.busy_since_s > STALL_S:
            assert attempt.listener is not None
            attempt.listener.hang_up()
            attempt.leave()

    # Refusals ---------------------------------------------------------------------------------

    def _not_affordable(self, order: Order, balance: Balance) -> AltynError:
        return InsufficientBalanceError(
            required=format_nanos(order.hold_nanos),
            available=format_nanos(balance.available_nanos),
            held=format_nanos(balance.held_nanos),
            shortfall=format_nanos(order.hold_nanos - balance.available_nanos),
            currency=self.settings.currency,
            affordable_max_tokens=order.affordable_max_tokens(balance.available_nanos),
            top_up_url=self.settings.top_up_url,
        )

    def _key_limit(self, order: Order, refusal: KeyLimitReachedError) -> AltynError:
        return KeyLimitExceededError(
            limit=format_nanos(refusal.limit_nanos),
            spent=format_nanos(refusal.spent_nanos),
            required=format_nanos(order.hold_nanos),
            currency=self.settings.currency,
            period=order.caller.key.rules.limit_period,
        )


async def _ended(attempts: set[Attempt], grace_s: float) -> None:
    tasks = [attempt.task for attempt in attempts]
    if tasks:
        await asyncio.wait(tasks, timeout=grace_s)


def _settlement(order: Order, verdict: Verdict, record: UsageRecord) -> Resolve | Record:
    if order.mode == "test":
        return Record(request_id=order.request_id, record=record)
    return Resolve(
        request_id=order.request_id,
        account_id=order.caller.account.id,
        state=verdict.state,
        charge_nanos=verdict.charge_nanos,
        key_id=order.caller.key.id,
        key_window_at=order.key_window.window_at if order.key_window else None,
        loss=verdict.loss,
        record=record,
    )


def _record(attempt: Attempt, verdict: Verdict, fault: Fault | None) -> UsageRecord:
    order = attempt.order
    provider = attempt.target.provider.name if attempt.target else None
    return UsageRecord(
        request_id=order.request_id,
        account_id=order.caller.account.id,
        key_id=order.caller.key.id,
        mode=order.mode,
        model=order.name,
        served_model=order.model.id if order.model.id != order.name else None,
        created_at=order.created_at,
        status=verdict.status,
        outcome=verdict.outcome,
        streamed=order.chat.stream,
        usage=verdict.usage,
        charge_nanos=verdict.charge_nanos,
        cost_nanos=verdict.cost_nanos,
        hold_nanos=order.hold_nanos,
        price_id=order.rate.price_id,
        markup_ppm=order.rate.markup_ppm,
        provider=provider or (fault.provider if fault else None),
        upstream_model=attempt.upstream_model,
        upstream_id=attempt.upstream_id,
        latency_ms=_ms(time.monotonic() - attempt.started_s),
        first_token_ms=_ms(attempt.first_token_s - attempt.started_s)
        if attempt.first_token_s is not None
        else None,
        finish_reason=attempt.finish_reason,
        error_code=to_error(fault, order).code if fault else None,
        attempts=attempt.attempts,
        flags=verdict.flags,
    )


def _tell(attempt: Attempt, verdict: Verdict, fault: Fault | None) -> None:
    """One line for what the operator should know of; nothing for what went as it should."""
    if fault is None and verdict.flags is None and verdict.loss is None:
        return
    log.warning(
        "attempt_ended",
        request_id=attempt.order.request_id,
        model=attempt.order.model.id,
        outcome=verdict.outcome,
        provider=fault.provider if fault else None,
        kind=fault.kind if fault else None,
        status=fault.status if fault else None,
        said=words_for_the_log(fault, attempt.order) if fault else None,
        flags=verdict.flags,
        loss_nanos=verdict.loss.amount_nanos if verdict.loss else 0,
    )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _waits(settings: Settings) -> Waits:
    return Waits(
        ordinary=Patience(
            settings.connect_timeout_s, settings.first_event_timeout_s, settings.idle_timeout_s
        ),
        reasoning=Patience(
            settings.connect_timeout_s,
            settings.reasoning_first_event_timeout_s,
            # Thought that is not shown is a pause too: it may come after the first event.
            max(settings.idle_timeout_s, settings.reasoning_first_event_timeout_s),
        ),
    )
