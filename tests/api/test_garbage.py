"""Reference counts free what a call leaves behind: the collector rarely runs, and then it stops
everybody. Before, each call left a cycle, and its memory was cold when it came back.
"""

import gc

import pytest

from altyn.api.protocol import CallerLine
from altyn.api.request import Request
from altyn.gateway.attempt import Attempt
from altyn.gateway.order import Order

CALLS = 20


@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("path", ["/chat/completions", "/chat/stream"])
@pytest.mark.parametrize("kind", [CallerLine, Request, Attempt, Order])
def test_a_call_leaves_nothing_to_the_collector(house, as_, alice, no_collector, path, kind):
    for _ in range(CALLS):
        as_(alice.key).chat(path)
    house.wait_until_idle()

    left = sum(isinstance(thing, kind) for thing in gc.get_objects())

    assert left <= 2, "a connection may remember the last one"
