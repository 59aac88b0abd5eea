"""How long answers took: medians and what the slowest waited, not an average that hides them.

Percentiles cannot be added up from sums by the hour, and the gateway has no time to keep more of
them for each call. So they are those of the newest calls of a filter, and whoever shows them says
of how many.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from msgspec import Struct

from altyn.database.engine import Database
from altyn.usage.report import Filter, list_times

SAMPLE = 1000
"""So many calls tell a 95th percentile to about one part in a hundred of the calls."""
HOURS = 24
"""A filter that fits few calls is not followed any further back than through so many of its hours.
"""
LIMITS_MS = (100, 250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000, 60_000)
"""The upper ends of the bars of a histogram; one more bar is above the last."""


class Times(Struct, frozen=True):
    """How long something took, in ms and in order. Empty where nobody knows: that is not 0."""

    values: Sequence[int] = ()

    def within(self, percent: int) -> int | None:
        """In how many ms so many percent were done: the nearest of the measured ones above."""
        rank = -(-len(self.values) * percent // 100)
        return self.values[rank - 1] if self.values else None

    @property
    def counts(self) -> list[int]:
        """How many took up to each of the limits, and how many longer than the last."""
        counts = [0] * (len(LIMITS_MS) + 1)
        for value in self.values:
            counts[bisect_left(LIMITS_MS, value)] += 1
        return counts


class Speed(Struct, frozen=True, kw_only=True):
    """Of the newest `calls` of a filter, the oldest of them at `since` (ms): how long until the
    answer was complete, and until its first token came, where that is known.
    """

    calls: int = 0
    since: int | None = None
    whole: Times = Times()
    first_token: Times = Times()


async def find_speed(database: Database, chosen: Filter) -> Speed:
    rows = await list_times(database, chosen, limit=SAMPLE, hours_max=HOURS)
    return Speed(
        calls=len(rows),
        since=rows[-1][0] if rows else None,
        whole=_times(latency_ms for _, latency_ms, _ in rows),
        first_token=_times(first_ms for _, _, first_ms in rows),
    )


def _times(found: Iterable[int | None]) -> Times:
    return Times(sorted(value for value in found if value is not None))
