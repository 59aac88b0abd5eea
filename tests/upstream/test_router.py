"""Routes that rest, heal and share: with a clock that the test turns."""

import asyncio
from collections import Counter

import pytest

from altyn.chat import Fault
from altyn.upstream.health import RETRIES_BURST
from altyn.upstream.provider import Provider
from altyn.upstream.router import Router, Target


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def router(clock):
    return Router(clock)


def provider(number: int, **changes):
    given = {
        "id": number,
        "name": f"house-{number}",
        "dialect": "openai-chat",
        "base_url": f"https://{number}.test/v1",
        "secret": "sk-1",
        "proxy_url": None,
    }
    return Provider(**{**given, **changes})


def route(number: int, house: Provider | None = None, **changes) -> Target:
    return Target(
        route_id=number, provider=house or provider(number), upstream_model="m", **changes
    )


def ask(router, *targets, **how) -> Target | None:
    """Choose, and end the call at once."""
    chosen = router.choose(targets, **how)
    if chosen is not None:
        router.leave(chosen)
    return chosen


def fail(router, target, fault=None, times: int = 1) -> None:
    """So many calls that fail, as far as they are let through."""
    for _ in range(times):
        if router.choose([target]) is None:
            return
        router.failed(target, fault or Fault("server"))
        router.leave(target)


def succeed(router, target, seconds: float = 0.1, times: int = 1, *, streamed: bool = True) -> None:
    for _ in range(times):
        router.choose([target])
        router.succeeded(target, seconds, streamed=streamed)
        router.leave(target)


def is_asked(router, target) -> bool:
    return router.can_serve(target)


A, B, C = route(1), route(2), route(3)


# Order ----------------------------------------------------------------------------------------


def test_the_lowest_tier_is_asked_as_long_as_it_is_well(router):
    first, second = route(1, tier=1), route(2, tier=2)

    assert {ask(router, first, second) for _ in range(20)} == {first}
    fail(router, first, times=5)
    assert ask(router, first, second) is second


def test_equals_share_calls_by_their_weight(router):
    light, heavy = route(1, weight=1), route(2, weight=3)

    chosen = Counter(ask(router, light, heavy).route_id for _ in range(4000))

    assert chosen[2] / chosen[1] == pytest.approx(3, rel=0.2)


def test_each_target_is_chosen_once(router):
    assert ask(router, A, B, tried=(A,), retry=True) is B
    assert ask(router, A, B, tried=(A, B), retry=True) is None


def test_the_quickest_of_late_is_asked_first(router):
    succeed(router, A, 0.9)
    succeed(router, B, 0.2)

    assert {ask(router, A, B, fastest=True) for _ in range(20)} == {B}


def test_streams_and_whole_answers_are_timed_apart(router):
    succeed(router, A, 0.1, streamed=True)
    succeed(router, B, 0.5, streamed=True)
    succeed(router, A, 9.0, streamed=False)
    succeed(router, B, 2.0, streamed=False)

    assert ask(router, A, B, fastest=True) is A
    assert ask(router, A, B, fastest=False) is B


def test_a_route_nobody_has_measured_is_tried(router):
    succeed(router, A, 0.1)

    assert ask(router, A, B, fastest=True) is B


def test_a_slow_route_is_measured_again_after_a_while(router, clock):
    succeed(router, A, 2.0)
    clock.now += 300
    succeed(router, B, 0.2)

    assert ask(router, A, B, fastest=True) is A


def test_a_route_that_refuses_at_once_is_not_the_quickest(router):
    fail(router, A)
    succeed(router, B, 3.0)

    assert ask(router, A, B, fastest=True) is B


# The breaker ----------------------------------------------------------------------------------


def test_a_route_rests_after_five_failures_in_a_row(router):
    fail(router, A, times=4)
    assert is_asked(router, A)

    fail(router, A)

    assert not is_asked(router, A)
    assert ask(router, A) is None


def test_a_route_rests_when_half_of_its_last_twenty_calls_failed(router):
    for _ in range(9):
        succeed(router, A)
        fail(router, A)
    assert is_asked(router, A)

    succeed(router, A)
    fail(router, A)

    assert not is_asked(router, A)


def test_after_its_rest_one_call_is_the_probe(router, clock):
    fail(router, A, times=5)
    clock.now += 15

    assert router.choose([A]) is A
    assert [router.choose([A]) for _ in range(63)] == [None] * 63


def test_a_probe_that_goes_well_heals(router, clock):
    fail(router, A, times=5)
    clock.now += 15
    succeed(router, A)

    assert [ask(router, A) for _ in range(3)] == [A] * 3
    assert router.condition(A).state == "serving"


def test_one_failure_after_healing_is_one_failure(router, clock):
    fail(router, A, times=5)
    clock.now += 15
    succeed(router, A)

    fail(router, A)

    assert is_asked(router, A)


def test_a_request_that_was_wrong_in_itself_proves_that_the_vendor_is_well(router, clock):
    fail(router, A, times=5)
    clock.now += 15

    fail(router, A, Fault("bad_request"))

    assert router.condition(A).state == "serving"


def test_a_probe_that_was_given_up_leaves_the_next_call_to_decide(router, clock):
    fail(router, A, times=5)
    clock.now += 15
    router.choose([A])

    router.dropped(A)
    router.leave(A)

    assert router.choose([A]) is A


def test_the_rest_grows_with_each_probe_that_fails_and_has_an_end(router, clock):
    rests = []
    fail(router, A, times=5)
    for _ in range(6):
        rests.append(router.condition(A).rests_s)
        clock.now += rests[-1]
        fail(router, A)

    assert rests == [15, 30, 60, 120, 120, 120]


def test_old_trouble_is_forgiven(router, clock):
    fail(router, A, times=5)
    clock.now += 15
    succeed(router, A)
    clock.now += 601

    fail(router, A, times=5)

    assert router.condition(A).rests_s == 15


def test_calls_that_were_under_way_when_it_broke_do_not_lengthen_the_rest(router):
    running = [router.choose([A]) for _ in range(40)]

    for target in running:
        router.failed(target, Fault("server"))

    assert router.condition(A).rests_s == 15


@pytest.mark.parametrize("kind", ["bad_request", "context_length", "too_large"])
def test_no_route_is_to_blame_for_a_wrong_request(router, kind):
    fail(router, A, Fault(kind), times=50)

    assert is_asked(router, A)


def test_the_sandbox_fails_because_it_was_asked_to(router):
    sandbox = route(1, provider(1, dialect="sandbox"))

    fail(router, sandbox, Fault("auth", status=401), times=50)

    assert is_asked(router, sandbox)


# Retry-After ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked_s", "rests_s"), [(7.0, 7), (0.5, 0.5), (3600.0, 60), (None, 0), (0.0, 0)]
)
def test_a_vendor_that_says_when_is_left_alone_until_then_at_most_a_minute(
    router, clock, asked_s, rests_s
):
    fail(router, A, Fault("rate_limit", status=429, retry_after_s=asked_s))

    assert router.condition(A).rests_s == pytest.approx(rests_s)
    clock.now += rests_s
    assert [ask(router, A) for _ in range(2)] == [A, A]


def test_a_quota_that_is_spent_for_a_moment_needs_no_probe(router, clock):
    fail(router, A, Fault("rate_limit", retry_after_s=5.0))
    assert router.condition(A).state == "limited"
    clock.now += 5

    assert [router.choose([A]) for _ in range(10)] == [A] * 10


def test_a_probe_that_is_told_to_come_later_is_made_again_then(router, clock):
    fail(router, A, times=5)
    clock.now += 15
    fail(router, A, Fault("rate_limit", status=429, retry_after_s=20.0))
    assert router.choose([A]) is None
    clock.now += 20

    assert [router.choose([A]) for _ in range(2)] == [A, None]


# A provider's key -----------------------------------------------------------------------------

HOUSE = provider(9)
ONE, TWO = route(11, HOUSE), route(12, HOUSE)


@pytest.mark.parametrize(
    "fault", [Fault("auth", status=401), Fault("quota", status=402), Fault("auth", status=403)]
)
def test_a_refused_key_takes_out_every_route_of_its_provider(router, fault):
    fail(router, ONE, fault)

    assert not is_asked(router, TWO) or router.choose([TWO]) is None
    condition = router.provider_condition(HOUSE.id)
    assert (condition.state, condition.status) == ("resting", fault.status)


def test_a_403_while_another_model_is_served_is_about_that_model(router):
    succeed(router, TWO)

    fail(router, ONE, Fault("auth", status=403))

    assert router.choose([ONE]) is None
    assert router.choose([TWO]) is TWO


def test_another_provider_is_not_concerned(router):
    fail(router, ONE, Fault("auth", status=401))

    assert router.choose([ONE, B]) is B


def test_a_replaced_key_heals_at_once(router):
    fail(router, ONE, Fault("auth", status=401))
    newer = provider(9, secret="sk-2")

    router.keep([route(11, newer), route(12, newer)])

    assert router.choose([route(12, newer)]) is not None


def test_a_provider_that_was_declared_well_is_asked(router):
    fail(router, ONE, Fault("auth", status=401))
    resumed = provider(9, resumed_at=5)

    router.keep([route(11, resumed), route(12, resumed)])

    assert router.choose([route(11, resumed)]) is not None


def test_a_change_elsewhere_heals_nothing(router):
    fail(router, ONE, Fault("auth", status=401))
    fail(router, A, times=5)

    router.keep([ONE, TWO, A, B])

    assert router.choose([TWO]) is None


def test_a_provider_heals_by_a_probe_too(router, clock):
    fail(router, ONE, Fault("quota", status=402))
    clock.now += 60

    assert router.choose([ONE]) is ONE
    assert router.choose([TWO]) is None
    router.succeeded(ONE, 0.1, streamed=True)
    assert router.choose([TWO]) is TWO


def test_why_none_tells_trouble_with_keys_from_trouble_with_load(router):
    assert router.why_none([A]).kind == "overloaded"
    fail(router, ONE, Fault("auth", status=401))
    assert router.why_none([ONE, TWO]).kind == "auth"
    fail(router, A, times=5)
    fault = router.why_none([A, ONE])
    assert (fault.kind, fault.retry_after_s) == ("overloaded", 15)


# Retries --------------------------------------------------------------------------------------


def test_retries_to_a_provider_that_is_down_run_out(router):
    allowed = 0
    for _ in range(500):
        allowed += ask(router, A, B, tried=(A,), retry=True) is B

    assert allowed == RETRIES_BURST
    assert router.retries_refused == 500 - allowed


def test_first_attempts_are_never_limited(router):
    for _ in range(100):
        ask(router, A, B, tried=(A,), retry=True)

    assert ask(router, B) is B


def test_a_provider_that_answers_earns_its_retries_back(router):
    for _ in range(30):
        ask(router, A, B, tried=(A,), retry=True)

    succeed(router, B, times=2)

    assert ask(router, A, B, tried=(A,), retry=True) is B
    assert ask(router, A, B, tried=(A,), retry=True) is None


def test_a_second_gives_a_retry_back(router, clock):
    for _ in range(30):
        ask(router, A, B, tried=(A,), retry=True)

    clock.now += 1

    assert ask(router, A, B, tried=(A,), retry=True) is B
    assert ask(router, A, B, tried=(A,), retry=True) is None


def test_a_provider_without_retries_left_is_passed_over_for_one_with(router):
    for _ in range(30):
        ask(router, A, B, tried=(A,), retry=True)

    assert ask(router, A, B, C, tried=(A,), retry=True) is C


# Room -----------------------------------------------------------------------------------------

NARROW = provider(7, parallel_requests=2)
SMALL = route(21, NARROW, tier=1)


def test_a_full_provider_is_passed_over(router):
    assert [router.choose([SMALL, B]) for _ in range(3)] == [SMALL, SMALL, B]
    assert router.provider_condition(7).running == 2


def test_processes_share_the_room(clock):
    router = Router(clock, processes=2)

    assert [router.choose([SMALL]) for _ in range(2)] == [SMALL, None]


async def test_room_goes_to_those_who_wait_in_their_order(router):
    for _ in range(2):
        router.choose([SMALL])
    waiting = [asyncio.create_task(router.wait_for_room([SMALL])) for _ in range(3)]
    await asyncio.sleep(0)

    router.leave(SMALL)
    await asyncio.sleep(0.01)

    assert [task.done() for task in waiting] == [True, False, False]
    assert router.choose([SMALL]) is None  # handed over, not free
    for task in waiting[1:]:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    for _ in range(2):
        router.leave(SMALL)
    assert router.provider_condition(7).running == 0


async def test_who_waits_too_long_gets_nothing(router, monkeypatch):
    monkeypatch.setattr("altyn.upstream.router.WAIT_FOR_ROOM_S", 0.01)
    for _ in range(2):
        router.choose([SMALL])

    assert await router.wait_for_room([SMALL]) is None
    router.leave(SMALL)
    assert router.choose([SMALL]) is SMALL


async def test_nobody_waits_for_a_route_that_rests(router):
    fail(router, A, times=5)

    assert await router.wait_for_room([A]) is None


def test_calls_that_run_while_routes_change_are_counted_to_their_end(router):
    router.choose([SMALL])
    router.keep([])
    assert router.provider_condition(7).running == 1

    router.leave(SMALL)

    assert router.provider_condition(7).running == 0


def test_a_new_limit_holds_at_once(router):
    router.choose([SMALL])
    wider = route(21, provider(7, parallel_requests=3))

    router.keep([wider])

    assert [router.choose([wider]) for _ in range(3)] == [wider, wider, None]


# Telling --------------------------------------------------------------------------------------


def test_a_standing_tells_how_the_last_calls_went(router):
    succeed(router, A, 0.25, times=3)
    fail(router, A)

    condition = router.condition(A)

    assert (condition.state, condition.success_share) == ("serving", 0.75)
    assert condition.first_event_s > 0.25
    assert router.condition(B).success_share is None
