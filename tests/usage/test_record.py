"""A record is written once, with its hour, and what is not known stays unknown."""

import pytest

from altyn.chat import Usage
from altyn.ledger.moves import Record
from altyn.usage.record import HOUR_MS, TOKEN_COLUMNS
from altyn.usage.report import find_record
from fakes.books import open_books, record


@pytest.fixture
async def books(migrated_url):
    async with open_books(migrated_url) as opened:
        yield opened


@pytest.fixture
async def who(books):
    account = await books.add_account()
    return account, await books.add_key(account)


async def write(books, *records):
    for one in records:
        await books.writer.post(Record(request_id=one.request_id, record=one))


async def test_every_kind_of_token_is_kept_by_its_name(books, who):
    counts = {name: place for place, name in enumerate(TOKEN_COLUMNS, 1)}

    await write(books, record(*who, "r1", usage=Usage(**counts)))

    row = await find_record(books.database, account_id=who[0], request_id="r1")
    assert {name: row[name] for name in TOKEN_COLUMNS} == counts


async def test_what_is_not_known_is_null_and_never_0(books, who):
    await write(books, record(*who, "r1", usage=None))

    row = await find_record(books.database, account_id=who[0], request_id="r1")
    unknown = (*TOKEN_COLUMNS, "cost_nanos", "latency_ms", "first_token_ms", "finish_reason")
    assert {row[name] for name in unknown} == {None}
    assert row["charge_nanos"] == 0


async def test_records_of_an_hour_add_up_in_one_row(books, who):
    at = 5 * HOUR_MS
    times = (at, at + 1, at + HOUR_MS - 1, at + HOUR_MS)

    await write(books, *(record(*who, f"r{time}", created_at=time) for time in times))

    assert await books.read(
        "SELECT hour_at, requests, prompt_tokens, completion_tokens FROM usage_hours ORDER BY 1"
    ) == [(at, 3, 9, 12), (at + HOUR_MS, 1, 3, 4)]


async def test_a_record_without_usage_is_a_request_without_tokens(books, who):
    await write(books, record(*who, "r1", usage=None))

    sums = await books.read("SELECT requests, prompt_tokens, completion_tokens FROM usage_hours")
    assert sums == [(1, 0, 0)]


async def test_whatever_a_provider_calls_its_answer_can_be_kept(books, who):
    odd = "a\0b\U0001f600\n'"

    await write(books, record(*who, "r1", upstream_id=odd, upstream_model=odd, finish_reason=odd))

    row = await find_record(books.database, account_id=who[0], request_id="r1")
    assert row["upstream_id"] == row["upstream_model"] == row["finish_reason"]
    assert row["upstream_id"] == odd.replace("\0", "")


async def test_a_record_is_nobody_elses(books, who):
    await write(books, record(*who, "r1"))
    other = await books.add_account()

    assert await find_record(books.database, account_id=other, request_id="r1") is None
