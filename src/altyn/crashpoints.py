"""Named places around money, at which a proof ends, pauses or fails this process.

Nothing arms them but `arm`, which only tests and the programs of `prove` call: no setting and no
variable of a server reaches it, so `altyn up` cannot be made to die. Unarmed, a place costs one
look at a name.
"""

from collections.abc import Callable

POINTS = {
    "admit": "accepted, and nothing held yet",
    "held": "the hold is committed, and nothing started",
    "dispatch": "about to ask the upstream",
    "first chunk": "the upstream has begun to answer a stream",
    "checkpoint": "how far a stream is was handed to the writer",
    "usage": "the answer has ended, and what it used is known",
    "settle": "decided who pays, and nothing written",
    "settled": "the settlement is committed, and the caller has not been told",
    "batch loaded": "inside a transaction of the ledger, its accounts locked",
    "batch saved": "everything is written, and the commit not begun",
    "batch committed": "the commit is answered, and nobody has been told",
    "deposit": "money is about to come in",
    "deposited": "money has come in, and nobody has been told",
    "start": "the process is registered, and nothing swept yet",
    "sweep": "about to resolve what a dead process left open",
    "swept": "a dead process's hold is resolved",
    "unknown": "a hold is marked as unknown, and its provider not asked",
    "looked up": "the provider has told what became of it, and nothing is written",
}
"""Every place, and what is true there."""

_meet: Callable[[str], None] | None = None


def arm(meet: Callable[[str], None] | None) -> None:
    """Call *meet* with the name of each place that is reached, in whatever thread; None: nobody."""
    global _meet  # noqa: PLW0603 -- one process has one set of places
    _meet = meet


def reach(point: str) -> None:
    """Here is the place called *point*."""
    if _meet is not None:
        _meet(point)
