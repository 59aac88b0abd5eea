"""Money in: what can be paid in, once for each reference, and how much there is room for."""

import asyncio

import pytest

from altyn.errors import AlreadyExistsError, InvalidAmountError, OperatorError
from altyn.ledger.deposits import find_deposit, pay_in, read_deposit
from fakes.books import hold, settle

BILLION = 10**18


async def pay(books, account, nanos, reference="invoice 1", **more):
    return await pay_in(
        books.database,
        books.writer,
        account_id=account,
        amount_nanos=nanos,
        reference=reference,
        **more,
    )


async def posted(books, account):
    return (await books.balance(account))[0]


# What can be paid in --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "nanos"), [("10", 10**10), ("0.000000001", 1), ("1000000000", BILLION)]
)
def test_an_amount_is_read_as_it_is_written(text, nanos):
    assert read_deposit(text) == nanos


@pytest.mark.parametrize("text", ["0", "-0.000000001", "-10", "ten"])
def test_what_is_no_money_in_is_refused(text):
    with pytest.raises(InvalidAmountError):
        read_deposit(text)


def test_more_than_a_billion_at_once_is_a_slip_of_the_hand():
    with pytest.raises(OperatorError, match="than one deposit may be: 1000000000"):
        read_deposit("1000000000.000000001")


# Once for each reference ----------------------------------------------------------------------


async def test_a_deposit_is_made_once_and_said_to_be_known_after_that(books):
    account = await books.add_account()

    known = [await pay(books, account, 100) for _ in range(3)]

    assert known == [False, True, True]
    assert await posted(books, account) == 100


async def test_a_deposit_says_where_it_comes_from_and_why(books):
    account = await books.add_account()

    await pay(books, account, 100)
    await pay(books, account, 5, "gift", source="promo", reason="welcome")

    assert await books.read(
        "SELECT a.kind, e.ref, e.amount_nanos, e.reason FROM entries e"
        " JOIN accounts a ON a.id = e.debit_account_id ORDER BY e.id"
    ) == [("cash_in", "invoice 1", 100, None), ("promo", "gift", 5, "welcome")]


async def test_a_reference_is_found_with_its_account_and_its_amount(books):
    accounts = [await books.add_account() for _ in range(2)]
    for account, reference in zip(accounts, ("invoice 1", "invoice 2"), strict=True):
        await pay(books, account, account * 100, reference)

    found = [await find_deposit(books.database, f"invoice {number}") for number in (1, 2, 3)]

    assert found == [*((account, account * 100) for account in accounts), None]


async def test_a_request_of_the_same_name_is_no_deposit(books):
    account = await books.add_account(100)
    key = await books.add_key(account)
    await books.writer.post(hold(account, key, "invoice 1", 10))
    await books.writer.post(settle(account, key, "invoice 1", 10))

    known = await pay(books, account, 10)

    assert not known
    assert await posted(books, account) == 100


async def test_a_reference_of_another_deposit_adds_nothing(books):
    account, other = await books.add_account(), await books.add_account()
    await pay(books, account, 100)

    for claim in ((other, 100), (account, 101)):
        with pytest.raises(AlreadyExistsError, match="invoice 1 belongs to another deposit"):
            await pay(books, *claim)

    assert (await posted(books, account), await posted(books, other)) == (100, 0)


async def test_of_two_accounts_with_one_reference_at_once_one_is_paid(books):
    accounts = [await books.add_account() for _ in range(2)]

    answers = await asyncio.gather(
        *(pay(books, account, 100) for account in accounts), return_exceptions=True
    )

    paid = [0 if isinstance(answer, AlreadyExistsError) else 100 for answer in answers]
    assert sorted(paid) == [0, 100]
    assert [await posted(books, account) for account in accounts] == paid


# Room -----------------------------------------------------------------------------------------


async def test_all_accounts_together_hold_nine_billion_and_no_nano_more(books):
    full, other = await books.add_account(), await books.add_account()
    await pay(books, full, 9 * BILLION - 1, "all")

    await pay(books, other, 1, "the last")
    with pytest.raises(OperatorError, match="hold more than 9000000000: nothing was added"):
        await pay(books, other, 1, "too much")

    assert (await posted(books, full), await posted(books, other)) == (9 * BILLION - 1, 1)


async def test_a_deposit_that_is_there_needs_no_room(books):
    account = await books.add_account()
    await pay(books, account, 9 * BILLION)

    assert await pay(books, account, 9 * BILLION)
