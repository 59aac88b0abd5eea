import pytest

from altyn.errors import (
    InvalidParameterError,
    ModelNotAllowedError,
    ModelNotFoundError,
    ModelNotPricedError,
    ModelUnavailableError,
    UnsupportedParameterError,
)
from fakes.orders import ORDINARY, REASONING, make_caller, make_shelf, take

WRONG_IN_EVERY_WAY = {"model": "openai/gpt-5", "n": 2, "max_tokens": 10**6}


def test_a_model_nobody_sells_is_refused_first():
    with pytest.raises(ModelNotFoundError):
        take(model="nobody/x", caller=make_caller(models=()), n=2)


def test_a_model_the_key_may_not_call_is_refused_before_its_price_is_looked_at():
    with pytest.raises(ModelNotAllowedError):
        take(caller=make_caller(models=("a/b",)), shelf=make_shelf(priced=False))


def test_a_model_without_a_price_is_refused_before_its_parameters_are():
    with pytest.raises(ModelNotPricedError):
        take(**WRONG_IN_EVERY_WAY, shelf=make_shelf(priced=False, routed=False))


def test_wrong_parameters_are_refused_before_a_missing_route():
    with pytest.raises((InvalidParameterError, UnsupportedParameterError)):
        take(**WRONG_IN_EVERY_WAY, shelf=make_shelf(routed=False))


def test_a_model_without_a_route_is_unavailable():
    with pytest.raises(ModelUnavailableError) as refusal:
        take(model="openai/gpt-5", shelf=make_shelf(routed=False))

    assert refusal.value.facts == {"model": "openai/gpt-5", "retry_after_s": 60}


def test_a_long_wrong_name_is_not_told_in_full():
    with pytest.raises(ModelNotFoundError) as refusal:
        take(model="x" * 200)

    assert refusal.value.facts["model"] == "x" * 100


def test_a_live_order_goes_to_its_routes():
    order = take(model="openai/gpt-5")

    assert [target.provider.name for target in order.targets] == ["vendor"]
    assert order.mode == "live"


@pytest.mark.parametrize("model", ["openai/gpt-5", "anthropic/claude-opus-4", "sandbox/echo"])
def test_a_test_order_never_goes_to_a_vendor(model):
    order = take(model=model, caller=make_caller("test"))

    assert [target.provider.dialect for target in order.targets] == ["sandbox"]
    assert (order.hold_nanos, order.terms.mode) == (0, "test")


def test_a_test_order_for_a_sandbox_model_gets_that_one():
    names = [
        take(model=model, caller=make_caller("test")).targets[0].upstream_model
        for model in ("sandbox/lorem", "openai/gpt-5")
    ]

    assert names == ["lorem", "echo"]


def test_without_a_sandbox_a_test_key_gets_nothing():
    with pytest.raises(ModelUnavailableError):
        take(caller=make_caller("test"), shelf=make_shelf(sandbox=False))


def test_the_hold_is_the_most_it_can_cost():
    order = take(max_tokens=10)

    price = order.rate.price
    least = price.quote(
        input_tokens_bound=order.input_bound,
        output_tokens_max=10,
        n=1,
        cache_writes=False,
        audio=False,
    )
    assert order.hold_nanos >= least > 0


def test_more_tokens_and_more_choices_hold_more():
    one = take(max_tokens=10).hold_nanos

    assert take(max_tokens=20).hold_nanos > one
    assert take(max_tokens=10, n=2).hold_nanos > one


def test_a_model_that_thinks_is_given_more_time():
    assert take(model="openai/gpt-5").patience == REASONING
    assert take(model="anthropic/claude-3.5-sonnet").patience == ORDINARY


def test_affordable_tokens_are_affordable_and_one_more_is_not():
    order = take(max_tokens=8192)
    money = take(max_tokens=100).hold_nanos

    tokens = order.affordable_max_tokens(money)

    assert tokens == 100
    assert take(max_tokens=tokens + 1).hold_nanos > money


def test_nothing_is_affordable_for_nothing():
    assert take().affordable_max_tokens(0) is None


def test_affordable_is_never_above_the_models_cap():
    assert take().affordable_max_tokens(10**15) == 8192


def test_a_spend_limit_has_its_window():
    window = take(caller=make_caller(limit_nanos=5, limit_period="day")).key_window

    assert (window.key_id, window.limit_nanos, window.window_at % 86_400_000) == (7, 5, 0)
    assert take().key_window is None
