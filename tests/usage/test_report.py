"""Totals by the hour and its ragged ends are the totals of the records, for any window."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from altyn.chat import Usage
from altyn.ledger.moves import Record
from altyn.usage.record import HOUR_MS
from altyn.usage.report import (
    DAY_MS,
    FOREVER,
    Cursor,
    Filter,
    Totals,
    group_records,
    list_records,
    sum_records,
)
from fakes.books import open_books, record

START = 20_000 * DAY_MS
SPAN = 3 * DAY_MS
RECORDS = 150


def invent(chance, account, keys, number):
    usage = Usage(
        input_uncached=chance.randrange(100),
        cache_read=chance.randrange(100),
        cache_write_5m=(written := chance.randrange(50)),
        written_on_top=chance.choice([0, written]),
        audio_input=chance.randrange(9),
        output_text=chance.randrange(100),
        reasoning=chance.randrange(100),
    )
    edge = chance.randrange(START, START + SPAN, HOUR_MS)
    return record(
        account,
        chance.choice(keys),
        f"r{number:04}",
        chance.randrange(1_000),
        mode=chance.choice(["live", "test"]),
        model=chance.choice(["a/b", "c/d"]),
        status=chance.choice(["success", "error", "cancelled"]),
        created_at=chance.choice([edge, edge - 1, edge + chance.randrange(HOUR_MS)]),
        usage=chance.choice([usage, usage, None]),
    )


class Past:
    """An account with records, and the same records in a list."""

    def __init__(self, books, account, keys, records):
        self.books = books
        self.database = books.database
        self.account = account
        self.keys = keys
        self.records = records

    def chosen(self, wanted):
        return [one for one in self.records if fits(one, wanted)]


def fits(one, wanted):
    return wanted.since <= one.created_at < wanted.until and all(
        getattr(wanted, name) in (None, getattr(one, name))
        for name in ("model", "key_id", "status", "mode")
    )


def total(records):
    known = [one.usage for one in records if one.usage is not None]
    return Totals(
        requests=len(records),
        prompt_tokens=sum(usage.input_tokens for usage in known),
        completion_tokens=sum(usage.output_tokens for usage in known),
        charge_nanos=sum(one.charge_nanos for one in records),
        uncounted=len(records) - len(known),
        succeeded=sum(one.status == "success" for one in records),
    )


@pytest.fixture
async def past(migrated_url):
    chance = random.Random(7)
    async with open_books(migrated_url) as books:
        account, other = await books.add_account(), await books.add_account()
        keys = [await books.add_key(account) for _ in range(2)]
        records = [invent(chance, account, keys, number) for number in range(RECORDS)]
        strange = record(other, await books.add_key(other), "another", created_at=START)
        await asyncio.gather(
            *(
                books.writer.post(Record(request_id=one.request_id, record=one))
                for one in [*records, strange]
            )
        )
        yield Past(books, account, keys, records)


TIMES = st.integers(START - HOUR_MS, START + SPAN + HOUR_MS) | st.integers(
    START // HOUR_MS, (START + SPAN) // HOUR_MS
).map(lambda hour: hour * HOUR_MS)


@st.composite
def filters(draw):
    return {
        "since": draw(TIMES | st.just(0)),
        "until": draw(TIMES | st.just(FOREVER)),
        "model": draw(st.sampled_from([None, "a/b", "x/y"])),
        "key_id": draw(st.sampled_from([None, 0, 1])),
        "status": draw(st.sampled_from([None, "success", "error"])),
        "mode": draw(st.sampled_from([None, "live", "test"])),
    }


def examples(number):
    """The same random examples in every run."""
    found = []

    @given(filters())
    def collect(one):
        found.append(one)

    settings(max_examples=number, database=None, derandomize=True, deadline=None)(collect)()
    return found


def as_filter(past, facts):
    key = None if facts["key_id"] is None else past.keys[facts["key_id"]]
    return Filter(account_id=past.account, **{**facts, "key_id": key})


async def test_sums_are_those_of_the_records_for_any_window(past):
    for facts in examples(60):
        wanted = as_filter(past, facts)

        assert await sum_records(past.database, wanted) == total(past.chosen(wanted)), facts


GROUPS = {
    "day": lambda one: one.created_at - one.created_at % DAY_MS,
    "hour": lambda one: one.created_at - one.created_at % HOUR_MS,
    "model": lambda one: one.model,
    "key": lambda one: one.key_id,
    "status": lambda one: one.status,
}


async def test_every_grouping_adds_up_for_any_window(past):
    for facts in examples(25):
        wanted = as_filter(past, facts)
        for group_by, part_of in GROUPS.items():
            found = dict(await group_records(past.database, wanted, group_by))

            chosen = past.chosen(wanted)
            parts = {part_of(one) for one in chosen}
            assert found == {
                part: total([one for one in chosen if part_of(one) == part]) for part in parts
            }, (group_by, facts)


async def test_days_come_newest_first_and_names_in_order(past):
    everything = Filter(account_id=past.account)

    days = [day for day, _ in await group_records(past.database, everything, "day")]
    models = [model for model, _ in await group_records(past.database, everything, "model")]

    assert days == sorted(days, reverse=True)
    assert models == ["a/b", "c/d"]


async def read_all(past, wanted, *, between=None):
    names, before = [], None
    while True:
        page = await list_records(past.database, wanted, limit=20, before=before)
        names += [row["request_id"] for row in page]
        if len(page) < 20:
            return names
        cursor = Cursor.read(str(Cursor(page[-1]["created_at"], page[-1]["request_id"])))
        before = (cursor.created_at, cursor.request_id)
        if between is not None:
            await between()


def newest_first(records):
    return [
        one.request_id
        for one in sorted(records, key=lambda one: (one.created_at, one.request_id), reverse=True)
    ]


async def test_pages_follow_each_other_without_gap_or_repetition(past):
    wanted = Filter(account_id=past.account)

    assert await read_all(past, wanted) == newest_first(past.records)


async def test_pages_are_stable_while_records_arrive(past):
    arrived = iter(range(100))

    async def arrive():
        name = f"new{next(arrived)}"
        one = record(past.account, past.keys[0], name, created_at=START + SPAN * 2)
        await past.books.writer.post(Record(request_id=name, record=one))

    wanted = Filter(account_id=past.account)

    assert await read_all(past, wanted, between=arrive) == newest_first(past.records)


async def test_pages_keep_to_their_filter(past):
    for facts in examples(10):
        wanted = as_filter(past, facts)

        assert await read_all(past, wanted) == newest_first(past.chosen(wanted))


async def test_a_page_by_its_number_skips_what_comes_before(past):
    wanted = Filter(account_id=past.account)

    page = await list_records(past.database, wanted, limit=10, skip=20)

    assert [row["request_id"] for row in page] == newest_first(past.records)[20:30]


@pytest.mark.parametrize("text", ["", "x", "&&", "MTIz", "LTEuYQ", "OTk5OTk5OTk5OTk5OTk5OTk5OTku"])
def test_a_cursor_that_is_none_is_refused(text):
    assert Cursor.read(text) is None
