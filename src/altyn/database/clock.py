"""The database's time, which is the only one that all processes share."""

import time
from math import inf

from altyn.database.engine import now_ms

OUTAGE_S = 40.0
"""Not heard for so long, two heartbeats: it, the line to it, or this process was away."""


class Clock:
    """Tells the database's time between two looks at it, by this machine's steady clock.

    So a clock that somebody sets, here or on another machine, moves no lease.
    """

    def __init__(self) -> None:
        self._back_s = -inf
        self._heard_s = time.monotonic()
        self._heard_ms = now_ms()

    def heard(self, database_ms: int) -> None:
        """The database has just said that it is so late."""
        now_s = time.monotonic()
        if now_s - self._heard_s > OUTAGE_S:
            self._back_s = now_s
        self._heard_s, self._heard_ms = now_s, database_ms

    def now_ms(self) -> int:
        return self._heard_ms + int((time.monotonic() - self._heard_s) * 1000)

    def outage_over_s(self) -> float:
        """How long ago the database was heard again after it had not been; inf if it always was."""
        return time.monotonic() - self._back_s
