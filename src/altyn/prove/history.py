"""Is there an order in which one after the other could have done what all did at once?

Each client writes down when it asked, when it was answered, and what balance it was told. If no
serial order of an account's moves explains every answer, and none of them happens before it was
asked or after it was answered, then somebody was told something that was never true.
"""

from collections.abc import Sequence
from math import inf
from typing import Literal

from msgspec import Struct

Balance = tuple[int, int]
"""Posted and held, in nanos."""


class Operation(Struct, frozen=True, kw_only=True):
    """One move of one account, as whoever asked for it knows it."""

    kind: Literal["deposit", "hold", "settle", "refund", "read"]
    nanos: int = 0
    """What comes in, is held, is charged or given back."""

    held: int = 0
    """Of a settlement: the whole hold that ends."""

    began: float
    ended: float = inf
    """Never: nobody was told whether it happened."""

    answer: Balance | None = None
    """The balance after it; None if it was refused, or nobody was told."""

    @property
    def is_unknown(self) -> bool:
        return self.ended == inf


def apply(balance: Balance, operation: Operation) -> Balance | None:
    """The balance after it; None where the ledger has to refuse it."""
    posted, held = balance
    match operation.kind:
        case "deposit" | "refund":
            return posted + operation.nanos, held
        case "hold":
            return (posted, held + operation.nanos) if posted - held >= operation.nanos else None
        case "settle":
            return posted - operation.nanos, held - operation.held
        case _:
            return balance


def find_order(operations: Sequence[Operation], begin: Balance = (0, 0)) -> list[int] | None:
    """One order, by the numbers of the operations, that explains everything; None without one.

    What nobody was told of may have happened at any time after it was asked, or never.
    """
    everything = (1 << len(operations)) - 1
    known = sum(1 << number for number, one in enumerate(operations) if not one.is_unknown)
    seen: set[tuple[int, Balance]] = set()
    # Depth first, with a stack of our own: a history is longer than Python's may be.
    stack: list[tuple[int, Balance, tuple[int, ...]]] = [(everything, begin, ())]
    while stack:
        left, balance, order = stack.pop()
        if not left & known:
            return list(order)
        if (left, balance) in seen:
            continue
        seen.add((left, balance))
        for number in _may_be_next(operations, left):
            after = _after(balance, operations[number])
            if after is not None:
                stack.append((left & ~(1 << number), after, (*order, number)))
    return None


def _may_be_next(operations: Sequence[Operation], left: int) -> list[int]:
    """Whatever began before anything that is left has ended; the first that ended comes last."""
    numbers = [number for number in range(len(operations)) if left >> number & 1]
    first_end = min(operations[number].ended for number in numbers)
    able = [number for number in numbers if operations[number].began <= first_end]
    return sorted(able, key=lambda number: -operations[number].ended)


def _after(balance: Balance, operation: Operation) -> Balance | None:
    """The balance if it happens now and its answer fits; None if it cannot happen now."""
    after = apply(balance, operation)
    if operation.is_unknown:
        return balance if after is None else after
    if after is None:
        return balance if operation.answer is None else None
    return after if after == operation.answer else None
