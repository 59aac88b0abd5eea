"""Who pays for which outcome: one table, decided without doing anything.

The rows stand in `docs/explanation/who-pays.md`; `tests/test_outcome.py` plays them.
"""

from typing import Literal

from msgspec import Struct, structs

from altyn.catalog.price import Price
from altyn.chat import Fault, Usage
from altyn.ledger.moves import HoldState, Loss
from altyn.money import Nanos

Outcome = Literal[
    "charged",
    "charged_cancelled",
    "charged_estimated",
    "charged_capped",
    "free_refused",
    "free_upstream_error",
    "free_broken",
    "free_empty",
    "free_unknown",
    "free_test",
]
Status = Literal["success", "error", "cancelled"]

REFUSED = frozenset({"bad_request", "context_length", "too_large"})
ABSURD_FACTOR = 2
"""Usage of more than twice the model's context is a fault of the provider's counting."""


class Ending(Struct, kw_only=True):
    """How an attempt ended. Everything the verdict depends on, and nothing else."""

    fault: Fault | None = None
    """What the upstream did wrong; None when it ended its answer as it should."""

    began: bool = False
    """Part of an answer has arrived."""

    left: bool = False
    """The caller was gone before the end."""

    cut_off: bool = False
    """We ended the answer ourselves, because the caller had left."""

    usage: Usage | None = None
    """As the provider reported it, or the part of it that came; None when there was none."""

    estimate: Usage
    """Input and delivered output, counted by us: for answers whose usage nobody reports."""

    finish_reason: str | None = None

    other_model: bool = False
    """The provider let another model answer than the one it was asked for."""

    missed_nanos: Nanos = 0
    """What providers took for attempts that another one has replaced: see `cost_of_missed`."""


class Terms(Struct, frozen=True, kw_only=True):
    """What was agreed before the attempt."""

    price: Price
    cost_price: Price | None
    hold_nanos: Nanos
    context_length: int
    mode: Literal["live", "test"]


class Verdict(Struct, frozen=True, kw_only=True):
    """What the customer pays, what the operator loses, and what the record says."""

    outcome: Outcome
    status: Status
    state: HoldState
    charge_nanos: Nanos = 0
    cost_nanos: Nanos | None = None
    loss: Loss | None = None
    usage: Usage | None = None
    flags: str | None = None


def judge(ending: Ending, terms: Terms) -> Verdict:
    """Decide one request: its last attempt by the table, and the attempts before it, which cost the
    customer nothing.
    """
    verdict = _judge_last(ending, terms)
    if not ending.missed_nanos or terms.mode == "test":
        return verdict
    loss = verdict.loss or Loss(0, "missed")
    return structs.replace(verdict, loss=Loss(loss.amount_nanos + ending.missed_nanos, loss.reason))


def cost_of_missed(fault: Fault, estimate: Usage, terms: Terms) -> Nanos:
    """What the provider takes for an attempt that failed with *fault* and was replaced.

    Its own usage if it told one; else *estimate* of the prompt, where it may bill at all.
    """
    usage, _ = _believable(fault.usage, terms)
    if not fault.may_be_billed:
        return 0
    return _cost(usage or estimate, terms) or 0


def _judge_last(ending: Ending, terms: Terms) -> Verdict:
    """The rows are asked in order; the first that fits decides."""
    usage, flags = _believable(ending.usage, terms)
    flags = flags or ("other_model" if ending.other_model else None)
    cost_nanos = _cost(usage, terms)
    status: Status = "cancelled" if ending.left else "success"
    if ending.fault is not None and not ending.began:
        refused = ending.fault.kind in REFUSED
        outcome: Outcome = "free_refused" if refused else "free_upstream_error"
        return _free(outcome, "error", ending, terms, usage=usage, flags=flags)
    if ending.fault is not None:
        return _free("free_broken", "error", ending, terms, usage=usage, flags=flags)
    if _is_empty(ending, usage):
        return _free("free_empty", "error", ending, terms, usage=usage, flags=flags)
    counted = usage or ending.estimate
    if terms.mode == "test":
        return Verdict(outcome="free_test", status=status, state="voided", usage=counted)
    charge_nanos = terms.price.charge(counted)
    if usage is None or usage.partial:
        # Our own count may be wrong, so it never asks for more than was held, and nobody loses.
        return Verdict(
            outcome="charged_estimated",
            status=status,
            state="settled",
            charge_nanos=min(charge_nanos, terms.hold_nanos),
            cost_nanos=_cost(counted, terms),
            usage=counted,
            flags=flags,
        )
    if charge_nanos > terms.hold_nanos:
        return Verdict(
            outcome="charged_capped",
            status=status,
            state="settled",
            charge_nanos=terms.hold_nanos,
            cost_nanos=cost_nanos,
            loss=Loss(charge_nanos - terms.hold_nanos, "charged_capped"),
            usage=usage,
            flags="above_hold",
        )
    return Verdict(
        outcome="charged_cancelled" if ending.left else "charged",
        status=status,
        state="settled",
        charge_nanos=charge_nanos,
        cost_nanos=cost_nanos,
        usage=usage,
        flags=flags,
    )


def judge_abandoned(
    *, sent: bool, usage: Usage | None, finish_reason: str | None, estimate: Usage, terms: Terms
) -> Verdict:
    """The process died. What the provider says afterwards decides; where it says nothing, nobody
    knows what was delivered, and the customer pays nothing.
    """
    if _believable(usage, terms)[0] is not None:
        ending = Ending(began=True, usage=usage, finish_reason=finish_reason, estimate=estimate)
        return judge(ending, terms)
    loss = _loss("free_unknown", estimate, terms) if sent else None
    return Verdict(outcome="free_unknown", status="error", state="expired", loss=loss)


def judge_swept(verdict: Verdict, *, charged_nanos: Nanos) -> Verdict:
    """Somebody else has ended the hold: what they took counts, and nothing of ours."""
    if charged_nanos:
        return structs.replace(verdict, charge_nanos=charged_nanos)
    return structs.replace(verdict, outcome="free_unknown", state="expired", charge_nanos=0)


def due(outcome: str, *, price_nanos: Nanos | None, hold_nanos: Nanos) -> Nanos | None:
    """What the table takes for usage that comes to *price_nanos*: so any charge can be checked.

    None where no charge is right: nobody knows the price, no row is called so, or a hold is said
    to have been too small that was not.
    """
    if outcome.startswith("free_"):
        return 0
    if price_nanos is None:
        return None
    if outcome in ("charged", "charged_cancelled"):
        return price_nanos
    if outcome == "charged_estimated":
        return min(price_nanos, hold_nanos)
    if outcome == "charged_capped" and price_nanos > hold_nanos:
        return hold_nanos
    return None


def _is_empty(ending: Ending, usage: Usage | None) -> bool:
    if ending.cut_off:
        return False  # nothing was said yet, but who leaves early has asked all the same
    if ending.finish_reason is not None and ending.finish_reason != "error":
        return False
    output = usage.output_tokens if usage is not None else ending.estimate.output_tokens
    return output == 0 or ending.finish_reason == "error"


def _believable(usage: Usage | None, terms: Terms) -> tuple[Usage | None, str | None]:
    if usage is None:
        return None, None
    if usage.refused or usage.total_tokens > ABSURD_FACTOR * terms.context_length:
        return None, "absurd_usage"
    return usage, "totals_differ" if usage.flagged else None


def _free(
    outcome: Outcome,
    status: Status,
    ending: Ending,
    terms: Terms,
    *,
    usage: Usage | None,
    flags: str | None,
) -> Verdict:
    """The customer pays nothing. If the provider has worked, or may have, the operator does."""
    billed = ending.began or (ending.fault is not None and ending.fault.may_be_billed)
    spent = usage if usage is not None else ending.estimate if billed else None
    loss = _loss(outcome, spent, terms) if spent is not None else None
    return Verdict(
        outcome=outcome if terms.mode == "live" else "free_test",
        status=status,
        state="voided",
        cost_nanos=loss.amount_nanos if loss else None,
        loss=loss,
        usage=usage,
        flags=flags,
    )


def _loss(outcome: Outcome, usage: Usage, terms: Terms) -> Loss | None:
    cost_nanos = _cost(usage, terms)
    if not cost_nanos or terms.mode == "test":
        return None
    return Loss(cost_nanos, outcome)


def _cost(usage: Usage | None, terms: Terms) -> Nanos | None:
    """What the provider takes: its own figure where it gives one."""
    if usage is None:
        return None
    if usage.cost_nanos is not None:
        return usage.cost_nanos
    return terms.cost_price.charge(usage) if terms.cost_price is not None else None
