"""Medians and the slowest: of measured times only, by the filter, and unknown is not zero."""

import asyncio
import random

import pytest

from altyn.ledger.moves import Record
from altyn.usage.record import HOUR_MS
from altyn.usage.report import Filter
from altyn.usage.speed import LIMITS_MS, SAMPLE, Times, find_speed
from fakes.books import open_books, record

START = 480_000 * HOUR_MS


@pytest.mark.parametrize(
    ("values", "half", "most"),
    [
        ([], None, None),
        ([7], 7, 7),
        ([1, 2], 1, 2),
        ([1, 2, 3], 2, 3),
        (range(1, 101), 50, 95),
        ([0, 0, 0], 0, 0),
    ],
)
def test_a_percentile_is_one_of_the_measured_times(values, half, most):
    times = Times(values)

    assert (times.within(50), times.within(95)) == (half, most)


def test_a_bar_ends_with_its_limit():
    times = Times(sorted([0, 100, 101, 60_000, 60_001, 999_999]))

    assert times.counts == [2, 1, *[0] * (len(LIMITS_MS) - 3), 1, 2]


async def test_speed_is_that_of_the_newest_calls_of_the_filter(migrated_url):
    chance = random.Random(5)
    async with open_books(migrated_url) as books:
        account, other = await books.add_account(), await books.add_account()
        key = await books.add_key(account)
        calls = [
            record(
                account,
                key,
                f"r{number:04}",
                created_at=START + number * HOUR_MS // 60,
                model=chance.choice(["a/b", "c/d"]),
                latency_ms=chance.choice([None, chance.randrange(9_000)]),
                first_token_ms=chance.choice([None, chance.randrange(900)]),
            )
            for number in range(SAMPLE + 50)
        ]
        strange = record(other, await books.add_key(other), "s", latency_ms=1, created_at=START)
        await asyncio.gather(
            *(
                books.writer.post(Record(request_id=one.request_id, record=one))
                for one in [*calls, strange]
            )
        )

        newest = await find_speed(books.database, Filter(account_id=account))
        one_model = await find_speed(books.database, Filter(account_id=account, model="c/d"))
        nothing = await find_speed(books.database, Filter(account_id=account, model="x/y"))

    of_model = [call for call in calls if call.model == "c/d"]
    for speed, expected in ((newest, calls[-SAMPLE:]), (one_model, of_model)):
        assert speed.calls == len(expected)
        assert speed.since == expected[0].created_at
        assert speed.whole.values == measured(expected, "latency_ms")
        assert speed.first_token.values == measured(expected, "first_token_ms")
    assert (nothing.calls, nothing.since, nothing.whole.within(50)) == (0, None, None)


def measured(calls, name):
    return sorted(getattr(call, name) for call in calls if getattr(call, name) is not None)
