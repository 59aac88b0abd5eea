import gc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from altyn.errors import RateLimitExceededError, TooManyConcurrentRequestsError
from altyn.keys.limits import Limits, Rates, format_reset

NO_LIMITS = Rates()


class Clock:
    def __init__(self):
        self.now = 1_000_000.25

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def limits(clock):
    return Limits(clock=clock)


def enter(limits, account=NO_LIMITS, key=None, *, account_id=1, key_id=10):
    return limits.enter_local(account_id=account_id, account=account, key_id=key_id, key=key)


def call(limits, account=NO_LIMITS, key=None, **ids):
    """One whole request that is over at once."""
    slot = enter(limits, account, key, **ids)
    slot.leave()
    return slot


def test_a_minute_of_requests_is_admitted_and_the_next_refused(limits):
    rates = Rates(requests_per_minute=7)
    for _ in range(7):
        call(limits, rates)

    with pytest.raises(RateLimitExceededError) as refused:
        call(limits, rates)

    assert refused.value.facts == {"limit": 7, "unit": "requests", "retry_after_s": 9}


def test_requests_come_back_evenly(limits, clock):
    rates = Rates(requests_per_minute=60)
    for _ in range(60):
        call(limits, rates)

    clock.now += 1

    call(limits, rates)
    with pytest.raises(RateLimitExceededError):
        call(limits, rates)


@pytest.mark.parametrize("limit", [1, 3, 7, 20, 59, 100, 3000, 9_973])
def test_who_comes_back_after_retry_after_is_admitted(limits, clock, limit):
    rates = Rates(requests_per_minute=limit)
    for _ in range(limit):
        call(limits, rates)
    with pytest.raises(RateLimitExceededError) as refused:
        call(limits, rates)

    clock.now += refused.value.facts["retry_after_s"]

    call(limits, rates)


@settings(max_examples=50)
@given(
    limit=st.integers(1, 50),
    pauses=st.lists(st.floats(0, 5), min_size=1, max_size=150),
)
def test_never_more_than_the_limit_and_its_refill_are_admitted(limit, pauses):
    clock = Clock()
    limits, rates = Limits(clock=clock), Rates(requests_per_minute=limit)
    began, admitted = clock.now, 0

    for pause in pauses:
        clock.now += pause
        try:
            call(limits, rates)
        except RateLimitExceededError:
            continue
        admitted += 1

    assert admitted <= limit + limit * (clock.now - began) / 60 + 1e-3


def test_accounts_do_not_share_a_limit(limits):
    rates = Rates(requests_per_minute=1)
    call(limits, rates, account_id=1)

    slot = call(limits, rates, account_id=2)

    assert slot.remaining_requests == 0


def test_keys_of_an_account_share_its_limit(limits):
    rates = Rates(requests_per_minute=1)
    call(limits, rates, key_id=10)

    with pytest.raises(RateLimitExceededError):
        call(limits, rates, key_id=11)


def test_a_request_that_its_key_refuses_takes_nothing_from_the_account(limits):
    account, key = Rates(requests_per_minute=2), Rates(requests_per_minute=1)
    call(limits, account, key)
    with pytest.raises(RateLimitExceededError):
        call(limits, account, key)

    slot = call(limits, account)

    assert slot.remaining_requests == 0


def test_a_request_that_its_account_refuses_takes_nothing_from_the_key(limits, clock):
    account, key = Rates(parallel_requests=1), Rates(requests_per_minute=1)
    running = enter(limits, account)
    with pytest.raises(TooManyConcurrentRequestsError):
        enter(limits, account, key)
    running.leave()

    slot = call(limits, account, key)

    assert slot.limit_requests == 1


def test_without_limits_everything_is_admitted(limits):
    slots = [enter(limits) for _ in range(10_000)]

    assert {slot.limit_requests for slot in slots} == {0}
    assert {slot.remaining_requests for slot in slots} == {0}
    assert {slot.reset_requests_s for slot in slots} == {0}


def test_tokens_are_counted_after_the_answer(limits):
    rates = Rates(tokens_per_minute=1000)
    slot = enter(limits, rates)
    slot.spend_tokens(1500)
    slot.leave()

    with pytest.raises(RateLimitExceededError) as refused:
        call(limits, rates)

    assert refused.value.facts == {"limit": 1000, "unit": "tokens", "retry_after_s": 30}


def test_tokens_come_back_evenly(limits, clock):
    rates = Rates(tokens_per_minute=1000)
    slot = enter(limits, rates)
    slot.spend_tokens(1500)
    slot.leave()

    clock.now += 30.1

    call(limits, rates)


def test_tokens_of_a_key_count_for_its_account_too(limits):
    account, key = Rates(tokens_per_minute=100), Rates(tokens_per_minute=100_000)
    slot = enter(limits, account, key, key_id=10)
    slot.spend_tokens(100)

    with pytest.raises(RateLimitExceededError):
        enter(limits, account, key_id=11)


def test_one_request_more_than_the_parallel_limit_is_refused(limits):
    rates = Rates(parallel_requests=2)
    slots = [enter(limits, rates) for _ in range(2)]

    with pytest.raises(TooManyConcurrentRequestsError) as refused:
        enter(limits, rates)

    assert refused.value.facts == {"limit": 2, "retry_after_s": 1}
    assert len(slots) == 2


def test_a_place_that_is_left_is_free(limits):
    rates = Rates(parallel_requests=1)
    enter(limits, rates).leave()

    enter(limits, rates).leave()


def test_leaving_twice_frees_one_place(limits):
    rates = Rates(parallel_requests=2)
    first, second = enter(limits, rates), enter(limits, rates)
    first.leave()
    first.leave()

    third = enter(limits, rates)
    with pytest.raises(TooManyConcurrentRequestsError):
        enter(limits, rates)

    second.leave()
    third.leave()


def test_a_request_that_dies_without_leaving_frees_its_place(limits):
    rates = Rates(parallel_requests=1)
    slot = enter(limits, rates, rates)
    del slot
    gc.collect()

    enter(limits, rates, rates).leave()


def test_the_headers_tell_of_the_account(limits):
    slot = call(limits, Rates(requests_per_minute=600))

    assert slot.limit_requests == 600
    assert slot.remaining_requests == 599
    assert slot.reset_requests_s == pytest.approx(0.1)


def test_the_headers_tell_of_the_key_where_it_is_tighter(limits):
    slot = call(limits, Rates(requests_per_minute=600), Rates(requests_per_minute=5))

    assert (slot.limit_requests, slot.remaining_requests) == (5, 4)


def test_the_headers_tell_of_the_account_where_it_is_tighter(limits):
    account, key = Rates(requests_per_minute=5), Rates(requests_per_minute=600)

    slot = call(limits, account, key)

    assert (slot.limit_requests, slot.remaining_requests) == (5, 4)


def test_the_headers_count_down_to_nothing(limits):
    rates = Rates(requests_per_minute=7)

    remaining = [call(limits, rates).remaining_requests for _ in range(7)]

    assert remaining == [6, 5, 4, 3, 2, 1, 0]


def test_a_raised_limit_holds_from_the_next_request(limits):
    call(limits, Rates(requests_per_minute=1))

    slot = call(limits, Rates(requests_per_minute=1000))

    assert (slot.limit_requests, slot.remaining_requests) == (1000, 998)


def test_a_lowered_limit_does_not_forget_what_was_used(limits):
    for _ in range(10):
        call(limits, Rates(requests_per_minute=1000))

    with pytest.raises(RateLimitExceededError):
        call(limits, Rates(requests_per_minute=10))


def test_a_debt_of_tokens_is_paid_at_the_new_pace(limits, clock):
    slot = enter(limits, Rates(tokens_per_minute=100))
    slot.spend_tokens(1000)
    slot.leave()
    clock.now += 1

    call(limits, Rates(tokens_per_minute=100_000))


def test_a_limit_that_is_lifted_holds_nobody_back(limits):
    call(limits, Rates(requests_per_minute=1))

    assert call(limits).limit_requests == 0


def test_workers_that_cannot_ask_each_other_each_enforce_their_part(clock):
    limits = Limits(clock=clock, workers=4)
    rates = Rates(requests_per_minute=100, parallel_requests=8)
    slots = [enter(limits, rates) for _ in range(2)]
    with pytest.raises(TooManyConcurrentRequestsError):
        enter(limits, rates)
    for slot in slots:
        slot.leave()
    for _ in range(23):
        call(limits, rates)

    with pytest.raises(RateLimitExceededError) as refused:
        call(limits, rates)

    assert refused.value.facts["limit"] == 100


def test_a_limit_smaller_than_the_number_of_workers_is_not_never(clock):
    limits = Limits(clock=clock, workers=4)

    call(limits, Rates(requests_per_minute=1, tokens_per_minute=1, parallel_requests=1))


def test_those_who_stopped_calling_are_forgotten(limits, clock):
    rates = Rates(requests_per_minute=60)
    for number in range(20_000):
        clock.now += 0.01
        call(limits, rates, rates, account_id=number, key_id=number)

    assert len(limits) < 1000


def test_those_who_still_run_are_remembered(limits, clock):
    rates = Rates(parallel_requests=1)
    running = enter(limits, rates, account_id=0)
    for number in range(1, 1000):
        clock.now += 60
        call(limits, rates, account_id=number)

    with pytest.raises(TooManyConcurrentRequestsError):
        enter(limits, rates, account_id=0)

    running.leave()


class StoreThatIsDown:
    async def enter(self, **_):
        return None


async def test_while_the_store_is_down_the_process_decides_alone(clock):
    limits = Limits(clock=clock, store=StoreThatIsDown())
    ids = {"account_id": 1, "account": Rates(parallel_requests=1), "key_id": 10}
    slot = await limits.enter(**ids)

    with pytest.raises(TooManyConcurrentRequestsError):
        await limits.enter(**ids)

    slot.leave()


async def test_without_a_store_the_process_decides_alone(limits):
    slot = await limits.enter(account_id=1, account=Rates(requests_per_minute=3), key_id=10)

    assert slot.remaining_requests == 2
    slot.leave()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0ms"),
        (0, "0ms"),
        (0.0001, "1ms"),
        (0.02, "20ms"),
        (0.12, "120ms"),
        (1, "1s"),
        (8.64, "8.64s"),
        (59.5, "59.5s"),
        (60, "1m0s"),
        (60.2, "1m1s"),
        (360, "6m0s"),
    ],
)
def test_a_reset_is_written_as_openai_writes_it(seconds, text):
    assert format_reset(seconds) == text
