"""The history checker: what it must accept, and what it must not."""

import pytest

from altyn.prove.history import Operation, find_order


def deposit(nanos, began, ended, answer):
    return Operation(kind="deposit", nanos=nanos, began=began, ended=ended, answer=answer)


def hold(nanos, began, ended, answer):
    return Operation(kind="hold", nanos=nanos, began=began, ended=ended, answer=answer)


def settle(charge, held, began, ended, answer):
    return Operation(
        kind="settle", nanos=charge, held=held, began=began, ended=ended, answer=answer
    )


def read(began, ended, answer):
    return Operation(kind="read", began=began, ended=ended, answer=answer)


PAID = deposit(100, 0, 1, (100, 0))


def test_one_after_the_other_is_an_order():
    history = [PAID, hold(10, 2, 3, (100, 10)), settle(4, 10, 4, 5, (96, 0))]

    assert find_order(history) == [0, 1, 2]


def test_what_overlaps_may_have_happened_either_way():
    history = [PAID, hold(60, 2, 9, (100, 60)), hold(60, 3, 8, None)]

    assert find_order(history) == [0, 1, 2]
    assert find_order([PAID, hold(60, 2, 9, None), hold(60, 3, 8, (100, 60))]) == [0, 2, 1]


def test_what_nobody_was_told_of_may_have_happened_or_not():
    lost = Operation(kind="hold", nanos=10, began=2)

    assert find_order([PAID, lost, read(5, 6, (100, 0))]) is not None
    assert find_order([PAID, lost, read(5, 6, (100, 10))]) is not None


@pytest.mark.parametrize(
    "history",
    [
        [PAID, read(2, 3, (99, 0))],
        [PAID, hold(60, 2, 3, (100, 60)), hold(60, 4, 5, (100, 120))],
        [PAID, hold(10, 2, 3, None)],
        [PAID, deposit(5, 2, 3, (105, 0)), read(4, 5, (100, 0))],
        [PAID, settle(10, 0, 2, 9, (90, 0)), settle(10, 0, 3, 8, (90, 0))],
        [PAID, Operation(kind="deposit", nanos=5, began=7), read(2, 3, (105, 0))],
    ],
    ids=["wrong", "overdrawn", "refused for nothing", "lost", "seen twice", "before it was asked"],
)
def test_what_cannot_have_been_is_refused(history):
    assert find_order(history) is None


def test_a_long_history_with_many_at_once_is_quick():
    history, posted = [], 0
    for turn in range(100):
        for place in range(4):
            posted += 1
            history.append(deposit(1, turn, turn + 0.9 + place / 100, (posted, 0)))

    assert find_order(history) == list(range(400))
