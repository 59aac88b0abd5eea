"""Codes: made once, redeemed once, whoever comes first and however it was typed."""

import asyncio
from functools import partial

import pytest

from altyn.database.engine import now_ms
from altyn.errors import OperatorError, UnknownNameError
from altyn.ledger import codes as codes_module
from altyn.ledger.codes import (
    Code,
    UsedCodeError,
    digest,
    has_codes,
    list_codes,
    make_codes,
    redeem,
    shown,
    void_code,
)
from altyn.money import NANOS_PER_UNIT

PEPPER = bytes(32)
FIVE = 5 * NANOS_PER_UNIT


async def make(books, count=1, **rules):
    rules = {"amount_nanos": FIVE, "source": "promo", "reason": "welcome", **rules}
    return await books.database.write(partial(make_codes, pepper=PEPPER, count=count, **rules))


async def use(books, code, account):
    return await redeem(books.database, books.writer, code=code, account_id=account, pepper=PEPPER)


async def balance(books, account):
    rows = await books.database.read("SELECT posted_nanos FROM accounts WHERE id = $1", account)
    return rows[0][0]


async def test_a_code_becomes_money(books):
    account = await books.add_account()
    (code,) = await make(books)

    redeemed = await use(books, code, account)

    assert await balance(books, account) == FIVE
    assert (redeemed.state, redeemed.redeemed_by) == ("redeemed", account)
    assert len(code) == 12


async def test_a_code_is_redeemed_once_even_by_the_same_person(books):
    account = await books.add_account()
    (code,) = await make(books)
    await use(books, code, account)

    with pytest.raises(UsedCodeError):
        await use(books, code, account)

    assert await balance(books, account) == FIVE


async def test_of_two_who_come_at_once_one_gets_it(books):
    accounts = [await books.add_account() for _ in range(2)]
    (code,) = await make(books)

    results = await asyncio.gather(
        *(use(books, code, account) for account in accounts), return_exceptions=True
    )

    assert sorted(type(result).__name__ for result in results) == ["Code", "UsedCodeError"]
    assert sum([await balance(books, account) for account in accounts]) == FIVE


@pytest.mark.parametrize(
    "typed",
    [
        shown,
        str.lower,
        lambda code: f" {shown(code).lower()} ",
        lambda code: code.replace("0", "O"),
    ],
    ids=["with dashes", "in small letters", "with blanks", "with a letter O"],
)
async def test_it_does_not_matter_how_a_code_is_typed(sqlite_books, typed):
    account = await sqlite_books.add_account()
    (code,) = await make(sqlite_books)

    await use(sqlite_books, typed(code), account)

    assert await balance(sqlite_books, account) == FIVE


@pytest.mark.parametrize("code", ["", "0000-0000-0000", "x" * 10_000, "'; DROP TABLE codes"])
async def test_what_is_no_code_is_not_found(sqlite_books, code):
    account = await sqlite_books.add_account()
    await make(sqlite_books)

    with pytest.raises(UnknownNameError):
        await use(sqlite_books, code, account)


async def test_a_code_that_has_run_out_or_was_voided_is_not_found(sqlite_books):
    account = await sqlite_books.add_account()
    (late,) = await make(sqlite_books, expires_at=now_ms() - 1)
    (voided,) = await make(sqlite_books)
    newest = (await list_codes(sqlite_books.database, limit=1))[0]
    await sqlite_books.database.write(partial(void_code, code_id=newest.id))

    for code in (late, voided):
        with pytest.raises(UnknownNameError):
            await use(sqlite_books, code, account)

    assert await balance(sqlite_books, account) == 0


async def test_to_void_a_code_touches_no_other_and_happens_once(sqlite_books):
    account = await sqlite_books.add_account()
    (kept,) = await make(sqlite_books)
    await make(sqlite_books)
    newest = (await list_codes(sqlite_books.database, limit=1))[0]

    voided_at = []
    for _ in range(2):
        await sqlite_books.database.write(partial(void_code, code_id=newest.id))
        voided_at += await sqlite_books.read("SELECT voided_at FROM codes WHERE id = $1", newest.id)
        await asyncio.sleep(0.002)

    assert voided_at[0] == voided_at[1]
    await use(sqlite_books, kept, account)


async def test_a_code_may_be_worth_a_single_nano(sqlite_books):
    account = await sqlite_books.add_account()
    (code,) = await make(sqlite_books, amount_nanos=1)

    await use(sqlite_books, code, account)

    assert await balance(sqlite_books, account) == 1


async def test_only_digests_are_stored(sqlite_books):
    (code,) = await make(sqlite_books)

    rows = await sqlite_books.database.read("SELECT * FROM codes")

    assert code not in repr([tuple(row) for row in rows])
    assert digest(code, PEPPER) != digest(code, bytes(31) + b"\x01")
    assert len(digest(code, PEPPER)) == 32


async def test_the_list_says_what_became_of_each(books):
    account = await books.add_account()
    codes = await make(books, count=3)
    await use(books, codes[0], account)

    listed = await list_codes(books.database, limit=2)
    rest = await list_codes(books.database, limit=2, before=listed[-1].id)

    assert [code.state for code in (*listed, *rest)] == ["open", "open", "redeemed"]
    assert [code.last_four for code in (*listed, *rest)] == [code[-4:] for code in codes[::-1]]


async def test_a_house_knows_whether_it_has_made_codes(sqlite_books):
    before = await sqlite_books.database.write(has_codes)
    await make(sqlite_books)

    assert [before, await sqlite_books.database.write(has_codes)] == [False, True]


@pytest.mark.parametrize("rules", [{"count": 0}, {"count": 1001}, {"amount_nanos": 0}], ids=str)
async def test_what_makes_no_sense_is_refused(sqlite_books, rules):
    with pytest.raises(OperatorError):
        await make(sqlite_books, **rules)


async def test_as_many_codes_at_once_as_can_be_and_no_more(sqlite_books, monkeypatch):
    monkeypatch.setattr(codes_module, "COUNT_MAX", 3)

    assert len(await make(sqlite_books, count=3)) == 3
    with pytest.raises(OperatorError, match="1 to 3 codes"):
        await make(sqlite_books, count=4)


@pytest.mark.parametrize(("now", "state"), [(4, "open"), (5, "expired"), (6, "expired")])
def test_a_code_has_run_out_at_its_moment(monkeypatch, now, state):
    monkeypatch.setattr(codes_module, "now_ms", lambda: now)
    facts = dict.fromkeys(Code.__struct_fields__)

    assert Code(**{**facts, "expires_at": 5}).state == state
