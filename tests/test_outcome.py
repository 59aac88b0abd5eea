"""The who-pays table, row by row: what happened, and what it comes to for everybody."""

from typing import Any

import pytest

from altyn.catalog.price import Price
from altyn.chat import Fault, Usage
from altyn.ledger.moves import Loss
from altyn.outcome import (
    Ending,
    Terms,
    Verdict,
    cost_of_missed,
    due,
    judge,
    judge_abandoned,
    judge_swept,
)

USAGE = Usage(input_uncached=100, output_text=50)
PARTIAL = Usage(input_uncached=80, output_text=40, partial=True)
NO_OUTPUT = Usage(input_uncached=100)
ESTIMATE = Usage(input_uncached=80, output_text=40)
NOTHING_SAID = Usage(input_uncached=80)

# A token of input sells for 2 nanos and costs 1; of output for 10 and 5.
SELL = Price(input=2_000_000, output=10_000_000)
COST = Price(input=1_000_000, output=5_000_000)
PRICE_OF_USAGE, COST_OF_USAGE = 700, 350
PRICE_OF_ESTIMATE, COST_OF_ESTIMATE = 560, 280


def terms(**changes: Any) -> Terms:
    agreed: dict[str, Any] = {
        "price": SELL,
        "cost_price": COST,
        "hold_nanos": 1000,
        "context_length": 1000,
        "mode": "live",
    }
    return Terms(**{**agreed, **changes})


def ending(**changes: Any) -> Ending:
    happened: dict[str, Any] = {
        "began": True,
        "usage": USAGE,
        "estimate": ESTIMATE,
        "finish_reason": "stop",
    }
    return Ending(**{**happened, **changes})


def came_to(verdict: Verdict) -> tuple[str, str, str, int, Loss | None]:
    return (
        verdict.outcome,
        verdict.status,
        verdict.state,
        verdict.charge_nanos,
        verdict.loss,
    )


def before_the_first_byte(kind: Fault.Kind) -> Ending:
    return ending(fault=Fault(kind), began=False, usage=None, finish_reason=None)


BROKEN = Fault("broken")

ROWS = {
    "refused by the vendor": (
        before_the_first_byte("bad_request"),
        ("free_refused", "error", "voided", 0, None),
    ),
    "too long for the model": (
        before_the_first_byte("context_length"),
        ("free_refused", "error", "voided", 0, None),
    ),
    "too large for the vendor": (
        before_the_first_byte("too_large"),
        ("free_refused", "error", "voided", 0, None),
    ),
    **{
        f"{kind} before the first byte": (
            before_the_first_byte(kind),
            ("free_upstream_error", "error", "voided", 0, None),
        )
        for kind in (
            "auth",
            "quota",
            "not_found",
            "rate_limit",
            "overloaded",
            "server",
            "connect",
            "broken",
            "invalid",
        )
    },
    "no answer while we waited, and it may still be billed": (
        before_the_first_byte("timeout"),
        (
            "free_upstream_error",
            "error",
            "voided",
            0,
            Loss(COST_OF_ESTIMATE, "free_upstream_error"),
        ),
    ),
    "the vendor's own timeout": (
        ending(fault=Fault("timeout", status=504), began=False, usage=None, finish_reason=None),
        ("free_upstream_error", "error", "voided", 0, None),
    ),
    "delivered after an attempt that was lost": (
        ending(missed_nanos=7),
        ("charged", "success", "settled", PRICE_OF_USAGE, Loss(7, "missed")),
    ),
    "broken after an attempt that was lost": (
        ending(fault=BROKEN, finish_reason=None, missed_nanos=7),
        ("free_broken", "error", "voided", 0, Loss(COST_OF_USAGE + 7, "free_broken")),
    ),
    "failed before the first byte, and billed": (
        ending(fault=BROKEN, began=False),
        (
            "free_upstream_error",
            "error",
            "voided",
            0,
            Loss(COST_OF_USAGE, "free_upstream_error"),
        ),
    ),
    "delivered": (ending(), ("charged", "success", "settled", PRICE_OF_USAGE, None)),
    "failed after a part, usage reported": (
        ending(fault=BROKEN, finish_reason=None),
        ("free_broken", "error", "voided", 0, Loss(COST_OF_USAGE, "free_broken")),
    ),
    "died after a part, no usage": (
        ending(fault=BROKEN, usage=None, finish_reason=None),
        ("free_broken", "error", "voided", 0, Loss(COST_OF_ESTIMATE, "free_broken")),
    ),
    "the caller had left when it died": (
        ending(fault=BROKEN, usage=None, finish_reason=None, left=True),
        ("free_broken", "error", "voided", 0, Loss(COST_OF_ESTIMATE, "free_broken")),
    ),
    "empty, no finish reason": (
        ending(usage=NO_OUTPUT, finish_reason=None),
        ("free_empty", "error", "voided", 0, Loss(100, "free_empty")),
    ),
    "empty, nothing reported": (
        ending(usage=None, estimate=NOTHING_SAID, finish_reason=None),
        ("free_empty", "error", "voided", 0, Loss(80, "free_empty")),
    ),
    "an error as a finish reason": (
        ending(finish_reason="error"),
        ("free_empty", "error", "voided", 0, Loss(COST_OF_USAGE, "free_empty")),
    ),
    "no finish reason, but an answer": (
        ending(finish_reason=None),
        ("charged", "success", "settled", PRICE_OF_USAGE, None),
    ),
    "empty because max_tokens was spent": (
        ending(usage=NO_OUTPUT, finish_reason="length"),
        ("charged", "success", "settled", 200, None),
    ),
    "max_tokens spent on reasoning alone": (
        ending(usage=Usage(input_uncached=100, reasoning=50), finish_reason="length"),
        ("charged", "success", "settled", PRICE_OF_USAGE, None),
    ),
    "stopped for safety": (
        ending(usage=NO_OUTPUT, finish_reason="content_filter"),
        ("charged", "success", "settled", 200, None),
    ),
    "the caller left, usage came": (
        ending(left=True),
        ("charged_cancelled", "cancelled", "settled", PRICE_OF_USAGE, None),
    ),
    "the caller left, no usage": (
        ending(left=True, usage=None, finish_reason=None),
        ("charged_estimated", "cancelled", "settled", PRICE_OF_ESTIMATE, None),
    ),
    "the caller left, and we cut it off before a word came": (
        ending(left=True, cut_off=True, usage=None, estimate=NOTHING_SAID, finish_reason=None),
        ("charged_estimated", "cancelled", "settled", 160, None),
    ),
    "the caller left, and we cut it off before it began": (
        ending(
            left=True,
            cut_off=True,
            began=False,
            usage=None,
            estimate=NOTHING_SAID,
            finish_reason=None,
        ),
        ("charged_estimated", "cancelled", "settled", 160, None),
    ),
    "the caller left before anything was said": (
        ending(left=True, began=False, usage=None, estimate=NOTHING_SAID, finish_reason=None),
        ("free_empty", "error", "voided", 0, None),
    ),
    "delivered, usage never reported": (
        ending(usage=None),
        ("charged_estimated", "success", "settled", PRICE_OF_ESTIMATE, None),
    ),
    "the caller left, and only the prompt was counted": (
        ending(left=True, cut_off=True, usage=PARTIAL, finish_reason=None),
        ("charged_estimated", "cancelled", "settled", PRICE_OF_ESTIMATE, None),
    ),
    "broken after a part, and only the prompt was counted": (
        ending(fault=BROKEN, usage=PARTIAL, finish_reason=None),
        ("free_broken", "error", "voided", 0, Loss(COST_OF_ESTIMATE, "free_broken")),
    ),
    "absurd usage": (
        ending(usage=Usage(input_uncached=1001, output_text=1000)),
        ("charged_estimated", "success", "settled", PRICE_OF_ESTIMATE, None),
    ),
    "twice the context is not yet absurd": (
        ending(usage=Usage(input_uncached=2000)),
        ("charged_capped", "success", "settled", 1000, Loss(3000, "charged_capped")),
    ),
    "exactly what was held": (
        ending(usage=Usage(input_uncached=500)),
        ("charged", "success", "settled", 1000, None),
    ),
    "more than was held": (
        ending(usage=Usage(input_uncached=501)),
        ("charged_capped", "success", "settled", 1000, Loss(2, "charged_capped")),
    ),
    "more than was held, and the caller left": (
        ending(usage=Usage(input_uncached=501), left=True),
        ("charged_capped", "cancelled", "settled", 1000, Loss(2, "charged_capped")),
    ),
}


@pytest.mark.parametrize(("happened", "expected"), ROWS.values(), ids=ROWS.keys())
def test_who_pays(happened, expected):
    verdict = judge(happened, terms())

    assert came_to(verdict) == expected


@pytest.mark.parametrize("happened", [row[0] for row in ROWS.values()], ids=ROWS.keys())
def test_what_is_charged_is_what_is_due(happened):
    for held in (0, 1, 699, 700, 1000, 10**6):
        verdict = judge(happened, terms(hold_nanos=held))
        price = SELL.charge(verdict.usage) if verdict.usage is not None else None

        assert due(verdict.outcome, price_nanos=price, hold_nanos=held) == verdict.charge_nanos


@pytest.mark.parametrize(
    ("outcome", "price", "expected"),
    [
        ("charged", 900, 900),
        ("charged_cancelled", 900, 900),
        ("charged_estimated", 900, 900),
        ("charged_estimated", 1001, 1000),
        ("charged_capped", 1001, 1000),
        ("charged_capped", 1000, None),
        ("charged_capped", None, None),
        ("charged", None, None),
        ("charged_estimated", None, None),
        ("free_broken", 900, 0),
        ("free_unknown", None, 0),
        ("given_away", 900, None),
    ],
)
def test_what_is_due(outcome, price, expected):
    assert due(outcome, price_nanos=price, hold_nanos=1000) == expected


def test_an_estimate_never_asks_for_more_than_was_held():
    verdict = judge(ending(usage=None), terms(hold_nanos=100))

    assert came_to(verdict) == ("charged_estimated", "success", "settled", 100, None)


@pytest.mark.parametrize("happened", [row[0] for row in ROWS.values()], ids=ROWS.keys())
def test_a_test_key_never_pays_and_loses_nobody_money(happened):
    verdict = judge(happened, terms(mode="test", hold_nanos=0))

    assert (verdict.charge_nanos, verdict.loss, verdict.state) == (0, None, "voided")


@pytest.mark.parametrize("happened", [row[0] for row in ROWS.values()], ids=ROWS.keys())
def test_nobody_ever_pays_more_than_was_held(happened):
    for held in (0, 1, 699, 10**6):
        assert judge(happened, terms(hold_nanos=held)).charge_nanos <= held


def test_a_test_call_is_told_apart_and_keeps_its_tokens():
    verdict = judge(ending(), terms(mode="test", hold_nanos=0))

    assert (verdict.outcome, verdict.status, verdict.usage) == ("free_test", "success", USAGE)


def test_a_failed_test_call_is_an_error_of_a_test():
    verdict = judge(before_the_first_byte("server"), terms(mode="test"))

    assert (verdict.outcome, verdict.status) == ("free_test", "error")


def test_the_providers_own_figure_is_what_it_costs():
    usage = Usage(input_uncached=100, output_text=50, cost_nanos=123)

    verdict = judge(ending(usage=usage), terms())

    assert verdict.cost_nanos == 123


def test_a_cost_nobody_knows_is_not_zero():
    verdict = judge(ending(), terms(cost_price=None))

    assert verdict.cost_nanos is None


def test_a_loss_nobody_can_count_is_not_booked():
    verdict = judge(ending(fault=BROKEN), terms(cost_price=None))

    assert (verdict.loss, verdict.cost_nanos) == (None, None)


@pytest.mark.parametrize(
    ("usage", "flags"),
    [
        (Usage(input_uncached=1, output_text=1, flagged=True), "totals_differ"),
        (Usage(input_uncached=10_000, output_text=1), "absurd_usage"),
        (Usage(refused=True), "absurd_usage"),
        (Usage(input_uncached=501), "above_hold"),
        (USAGE, None),
    ],
)
def test_what_the_operator_should_look_at_is_flagged(usage, flags):
    assert judge(ending(usage=usage), terms()).flags == flags


def test_a_model_that_answers_in_anothers_place_is_flagged_and_the_charge_is_as_agreed():
    usage = Usage(input_uncached=10, output_text=1)

    other = judge(ending(usage=usage, other_model=True), terms())

    assert other.flags == "other_model"
    assert other.charge_nanos == judge(ending(usage=usage), terms()).charge_nanos


def test_what_has_not_begun_is_told_so_by_nobody():
    assert Ending(estimate=ESTIMATE).began is False


def test_what_the_provider_takes_for_an_answer_nobody_paid_is_its_cost():
    broken = judge(ending(fault=BROKEN, usage=None, finish_reason=None), terms())
    refused = judge(before_the_first_byte("bad_request"), terms())

    assert broken.cost_nanos == COST_OF_ESTIMATE
    assert refused.cost_nanos is None


# An attempt that was replaced ------------------------------------------------------------------


def failed(kind: Fault.Kind, *, began: bool = False, usage: Usage | None = None) -> Fault:
    fault = Fault(kind)
    fault.began, fault.usage = began, usage
    return fault


@pytest.mark.parametrize(
    ("fault", "cost"),
    [
        (failed("connect"), 0),
        (failed("server", usage=USAGE), COST_OF_USAGE),
        (failed("timeout"), COST_OF_ESTIMATE),
        (failed("broken", began=True), COST_OF_ESTIMATE),
        (failed("broken", began=True, usage=USAGE), COST_OF_USAGE),
        (failed("broken", began=True, usage=Usage(input_uncached=10_000)), COST_OF_ESTIMATE),
    ],
    ids=str,
)
def test_a_replaced_attempt_costs_what_its_provider_takes(fault, cost):
    assert cost_of_missed(fault, ESTIMATE, terms()) == cost


def test_a_replaced_attempt_costs_nothing_that_is_known_where_the_cost_is_not():
    assert cost_of_missed(failed("timeout"), ESTIMATE, terms(cost_price=None)) == 0


def test_what_a_sweeper_took_counts_and_nothing_of_ours():
    ours = judge(ending(), terms())

    taken, voided = (judge_swept(ours, charged_nanos=nanos) for nanos in (1, 0))

    assert came_to(taken) == ("charged", "success", "settled", 1, None)
    assert came_to(voided) == ("free_unknown", "success", "expired", 0, None)


@pytest.mark.parametrize(
    ("sent", "loss"), [(False, None), (True, Loss(COST_OF_ESTIMATE, "free_unknown"))]
)
def test_an_abandoned_attempt_is_free_and_a_loss_once_something_was_sent(sent, loss):
    verdict = judge_abandoned(
        sent=sent, usage=None, finish_reason=None, estimate=ESTIMATE, terms=terms()
    )

    assert came_to(verdict) == ("free_unknown", "error", "expired", 0, loss)


@pytest.mark.parametrize(
    ("usage", "finish_reason", "outcome"),
    [
        (USAGE, "stop", "charged"),
        (USAGE, None, "charged"),
        (Usage(input_uncached=501), "stop", "charged_capped"),
        (Usage(input_uncached=5), None, "free_empty"),
        (Usage(input_uncached=10_000, output_text=1), "stop", "free_unknown"),
    ],
)
def test_an_abandoned_attempt_costs_what_its_provider_says_afterwards(
    usage, finish_reason, outcome
):
    verdict = judge_abandoned(
        sent=True, usage=usage, finish_reason=finish_reason, estimate=ESTIMATE, terms=terms()
    )

    assert verdict.outcome == outcome
    assert (verdict.charge_nanos > 0) == outcome.startswith("charged")
