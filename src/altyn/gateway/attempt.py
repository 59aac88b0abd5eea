"""One call to an upstream and the money for it, in a task that nobody cancels but `stop`.

A caller who hangs up changes who listens, not what is settled. Measured: settling in the `finally`
of a response that is cancelled ran for 0 of 40 callers who hung up; in a task that goes on, for 40
of 40. A streamed attempt has a task of its own, beside the one that writes to the caller; a whole
one runs in its request's, which the server leaves alone: see `LimitedProtocol`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import structlog
from msgspec import Struct

from altyn.chat import Answer, ChatEvent, Fault, Usage
from altyn.crashpoints import reach
from altyn.errors import AltynError
from altyn.gateway.faults import to_error
from altyn.gateway.order import Order
from altyn.keys.limits import Slot
from altyn.ledger.moves import Balance
from altyn.outcome import Ending, Verdict, cost_of_missed, judge
from altyn.upstream.client import Client, Stream
from altyn.upstream.router import Target

log = structlog.get_logger("altyn.attempt")
CHECKPOINT_S = 5.0
STALL_S = 120.0
"""A reader who takes nothing for so long counts as gone."""


class Desk(Protocol):
    """Where an attempt was given, and where it is brought back: `desk.py`."""

    client: Client

    def may_drain(self, attempt: "Attempt") -> bool: ...

    def note(self, attempt: "Attempt") -> None: ...

    async def settle(
        self, attempt: "Attempt", verdict: Verdict, fault: Fault | None
    ) -> tuple[Verdict, Balance | None]: ...


class Listener(Protocol):
    """Whoever hears a streamed answer while it is written."""

    def hear(self, events: Sequence[ChatEvent]) -> Awaitable[None] | None:
        """Pass events on; something to wait for if a reader is slow. A gone one is no error."""
        ...

    def hang_up(self) -> None:
        """Close on a reader who takes nothing, which also ends the waiting in `hear`."""
        ...

    def serve_as(self, order: Order) -> None:
        """Another model than the first answers: before anything is heard of it."""
        ...


class Receipt(Struct, frozen=True):
    """How an attempt ended, after its money is settled."""

    verdict: Verdict
    balance: Balance | None
    answer: Answer | None
    error: AltynError | None


class Attempt:
    """Serve one order and settle it: `run`, or `begin` to go on beside it."""

    task: "asyncio.Task[Any]"

    def __init__(
        self,
        desk: Desk,
        order: Order,
        slot: Slot,
        *,
        listener: Listener | None,
        gone: Callable[[], bool],
    ) -> None:
        self.desk = desk
        self.gone = gone
        self.order = order
        self.orders = (order, *order.fallbacks)
        self.slot = slot
        self.listener = listener
        self.started_s = time.monotonic()
        self.first_token_s: float | None = None
        self.left_s: float | None = None
        self.busy_since_s: float | None = None  # passing something on since
        self.delivered_bytes = 0
        self.finish_reason: str | None = None
        self.target: Target | None = None
        self.upstream_id: str | None = None
        self.upstream_model: str | None = None
        self.attempts = 1
        self.stop_fault: Fault | None = None
        self.stopped = False
        self.served = False
        self._stream: Stream | None = None
        self._usage: Usage | None = None
        self._answer: Answer | None = None
        self._noted_s = 0.0
        self._missed_nanos = 0

    def leave(self) -> None:
        """The caller is gone: read on to the usage, or stop where stopping saves money."""
        if self.left_s is not None or self.served:
            return
        self.left_s = time.monotonic()
        if self._stops_on_abort() or not self.desk.may_drain(self):
            self.stop(None)

    def stop(self, fault: Fault | None) -> None:
        """End the upstream call now, as failed with *fault*; None: because nobody wants it."""
        # Once it is served, what remains is the money: a settlement is never cancelled.
        if not self.stopped and not self.served:
            self.stopped = True
            self.stop_fault = fault
            self.task.cancel()

    # The task ---------------------------------------------------------------------------------

    async def run(self) -> Receipt:
        """Serve and settle in the running task. Raises nothing but a fault of ours."""
        task = asyncio.current_task()
        assert task is not None
        self.task = task
        try:
            return await self._serve_and_settle()
        except Exception:
            log.critical("attempt_not_settled", request_id=self.order.request_id, exc_info=True)
            raise
        finally:
            self.slot.leave()

    def begin(self) -> "asyncio.Task[Receipt]":
        """Serve and settle in a task of its own."""
        self.task = task = asyncio.create_task(self.run())
        return task

    async def _serve_and_settle(self) -> Receipt:
        reach("dispatch")
        fault = await self._serve()
        reach("usage")
        self.served = True
        if self.left_s is None and self.gone():
            self.left_s = time.monotonic()
        verdict = judge(self._ending(fault), self.order.terms_at(self.target))
        self.slot.spend_tokens(verdict.usage.total_tokens if verdict.usage else 0)
        settled, balance = await self.desk.settle(self, verdict, fault)
        return Receipt(settled, balance, self._answer, self._error(fault, verdict))

    async def _serve(self) -> Fault | None:
        try:
            if self.listener is None:
                await self._ask()
            else:
                await self._relay(self.listener)
        except Fault as fault:
            if self._stream is None:  # nobody answered: it is the last one's
                self.attempts, self._usage = fault.attempts, fault.usage
                self.order = self.orders[fault.turn]
            return fault
        except asyncio.CancelledError:
            # Only `stop` cancels us. The call ends here; the money still has to be settled.
            self.task.uncancel()
            return self.stop_fault
        except Exception:
            log.exception("attempt_failed", request_id=self.order.request_id)
            return Fault("invalid", "a fault of ours while serving")
        finally:
            if self._stream is not None:
                self._stream.abort()
        return None

    async def _ask(self) -> None:
        served = await self.desk.client.ask(self.orders, self._missed)
        answer = self._answer = served.answer
        self.target, self.attempts = served.target, served.attempts
        self.order = self.orders[served.turn]
        self.first_token_s = time.monotonic()
        self._usage, self.finish_reason = answer.usage, answer.finish_reason
        self.delivered_bytes = answer.delivered_bytes
        self.upstream_id, self.upstream_model = answer.upstream_id, answer.upstream_model

    async def _relay(self, listener: Listener) -> None:
        stream = await self.desk.client.stream(self.orders, self._missed)
        self._stream = stream
        reach("first chunk")
        self.target, self.attempts = stream.target, stream.attempts
        if stream.turn:
            self.order = self.orders[stream.turn]
            listener.serve_as(self.order)
        self.first_token_s = time.monotonic()
        try:
            if self.left_s is not None and self._stops_on_abort():
                self.stopped = True  # known only now: whoever answers stops billing when we leave
                return
            while events := await stream.next():
                now_s = time.monotonic()
                self._count(events, now_s)
                if self.left_s is None and (room := listener.hear(events)) is not None:
                    self.busy_since_s = now_s
                    await room
                    self.busy_since_s = None
        finally:
            self._usage = stream.usage

    def _missed(self, turn: int, target: Target, fault: Fault) -> None:
        """An attempt failed and is replaced: what its provider takes for it is nobody's."""
        order = self.orders[turn]
        self._missed_nanos += cost_of_missed(fault, order.estimate(0), order.terms_at(target))

    def _count(self, events: Sequence[ChatEvent], now_s: float) -> None:
        for event in events:
            self.delivered_bytes += event.delivered_bytes
            if event.finish_reason is not None:
                self.finish_reason = event.finish_reason
        if self.upstream_id is None:
            self.upstream_id, self.upstream_model = events[0].upstream_id, events[0].upstream_model
        if now_s - self._noted_s > CHECKPOINT_S:
            self._noted_s = now_s
            self.desk.note(self)

    # What it comes to -------------------------------------------------------------------------

    def _ending(self, fault: Fault | None) -> Ending:
        return Ending(
            fault=fault,
            began=self.first_token_s is not None or (fault is not None and fault.began),
            left=self.left_s is not None,
            cut_off=self.stopped and fault is None,
            usage=self._usage,
            estimate=self.order.estimate(self.delivered_bytes),
            finish_reason=self.finish_reason,
            other_model=self.target is not None and self.target.passed_on_to(self.upstream_model),
            missed_nanos=self._missed_nanos,
        )

    def _error(self, fault: Fault | None, verdict: Verdict) -> AltynError | None:
        if fault is not None:
            return to_error(fault, self.order)
        if verdict.outcome == "free_empty":
            return to_error(Fault("invalid", "an empty answer"), self.order)
        return None

    def _stops_on_abort(self) -> bool:
        return self.target is not None and self.target.provider.stops_on_abort
