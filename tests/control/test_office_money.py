import asyncio

import pytest

from altyn.chat import Usage
from altyn.control.deeds import perform
from altyn.errors import AlreadyExistsError, InvalidAmountError, OperatorError, UnknownNameError
from altyn.ledger.moves import Hold, Resolve
from altyn.ledger.workers import start_worker
from altyn.usage.record import UsageRecord


@pytest.fixture
async def ann(do):
    await do("user.add", email="ann@example.com")
    return "ann@example.com"


INPUT_TOKEN = 100
"""What a token of input costs, in nanos."""


async def charge(office, request_id, nanos):
    """Somebody has called a model and paid for it."""
    ((account_id, key_id),) = await office.database.read("SELECT account_id, id FROM keys")
    ((price_id,),) = await office.database.read(
        "SELECT id FROM prices WHERE model_id = 'sandbox/echo'"
    )
    office.writer.owner = await office.database.write(start_worker)
    hold = Hold(
        request_id=request_id,
        account_id=account_id,
        key_id=key_id,
        amount_nanos=nanos,
        model="sandbox/echo",
        price_id=None,
        markup_ppm=0,
        input_bound=1,
        streamed=False,
    )
    record = UsageRecord(
        request_id=request_id,
        account_id=account_id,
        key_id=key_id,
        mode="live",
        model="sandbox/echo",
        created_at=0,
        status="success",
        outcome="charged",
        streamed=False,
        usage=Usage(input_uncached=nanos // INPUT_TOKEN),
        price_id=price_id,
        charge_nanos=nanos,
        hold_nanos=nanos,
    )
    await office.writer.post(hold)
    await office.writer.post(
        Resolve(
            request_id=request_id,
            account_id=account_id,
            state="settled",
            charge_nanos=nanos,
            record=record,
        )
    )


async def test_a_deposit_can_be_spent(do, ann):
    receipt = await do("deposit", email=ann, amount="12.34")

    assert receipt["amount"] == "12.340000000"
    assert receipt["available"] == "12.340000000"
    assert receipt["repeated"] is False


async def test_the_same_reference_is_one_deposit(do, ann):
    await do("deposit", email=ann, amount="10", reference="invoice 7")

    again = await do("deposit", email=ann, amount="10.0", reference="invoice 7")

    assert again["repeated"] is True
    assert again["balance"] == "10.000000000"


async def test_at_once_the_same_reference_is_still_one_deposit(do, ann):
    await asyncio.gather(*(do("deposit", email=ann, amount="1", reference="x") for _ in range(8)))

    balance = await do("balance", email=ann)

    assert balance["balance"] == "1.000000000"


@pytest.mark.parametrize(
    "other", [{"amount": "11"}, {"email": "bob@example.com"}], ids=["amount", "account"]
)
async def test_a_reference_of_another_deposit_is_refused(do, ann, other):
    await do("user.add", email="bob@example.com")
    await do("deposit", email=ann, amount="10", reference="invoice 7")

    with pytest.raises(AlreadyExistsError):
        await do("deposit", **{"email": ann, "amount": "10", "reference": "invoice 7", **other})

    assert (await do("balance", email=ann))["balance"] == "10.000000000"
    assert (await do("balance", email="bob@example.com"))["balance"] == "0.000000000"


@pytest.mark.parametrize("amount", ["0", "-1", "0.0000000001", "ten", "nan", "1e99", ""])
async def test_what_is_no_amount_is_not_deposited(do, ann, amount):
    with pytest.raises(InvalidAmountError):
        await do("deposit", email=ann, amount=amount)


async def test_a_slip_of_the_hand_is_not_deposited(do, ann):
    with pytest.raises(OperatorError, match="more than one deposit"):
        await do("deposit", email=ann, amount="1000000001")


async def test_all_accounts_together_stay_countable(do, ann):
    for _ in range(9):
        await do("deposit", email=ann, amount="1000000000")

    with pytest.raises(OperatorError, match="together"):
        await do("deposit", email=ann, amount="1000000000")


async def test_nobody_gets_no_deposit(do):
    with pytest.raises(UnknownNameError):
        await do("deposit", email="nobody@example.com", amount="1")


async def test_a_refund_gives_back_what_was_charged(do, office, ann):
    await do("deposit", email=ann, amount="1")
    await do("key.create", user=ann)
    await charge(office, "request-1", 300_000_000)

    receipt = await do("refund", request="req_request-1", reason="a bad answer")

    assert receipt["amount"] == "0.300000000"
    assert receipt["balance"] == "1.000000000"
    assert receipt["total_used"] == "0.000000000"


async def test_a_second_refund_of_a_request_gives_nothing(do, office, ann):
    await do("deposit", email=ann, amount="1")
    await do("key.create", user=ann)
    await charge(office, "request-1", 300_000_000)
    await do("refund", request="request-1")

    again = await do("refund", request="request-1")

    assert again["repeated"] is True
    assert again["balance"] == "1.000000000"


async def test_what_was_not_charged_cannot_be_given_back(do):
    with pytest.raises(UnknownNameError):
        await do("refund", request="request-1")


async def test_books_that_do_not_add_up_are_told(do, office, ann):
    await do("deposit", email=ann, amount="1")

    async def cheat(tx):
        await tx.execute("UPDATE accounts SET posted_nanos = 2000000000 WHERE kind = 'customer'")

    async def repent(tx):
        await tx.execute("UPDATE accounts SET posted_nanos = 1000000000 WHERE kind = 'customer'")

    await office.database.write(cheat)
    found = await do("ledger.verify")
    await office.database.write(repent)

    assert found["holds_true"] is False
    assert any(finding["invariant"] == "posted = sum of entries" for finding in found["findings"])


async def test_a_charge_that_is_not_the_price_of_its_usage_is_told(do, office, ann):
    await do("deposit", email=ann, amount="1")
    await do("key.create", user=ann)
    await charge(office, "request-1", 300_000_000)
    change = "UPDATE usage_records SET input_uncached = input_uncached + $1"

    await office.database.write(lambda tx: tx.execute(change, 1))
    found = await do("ledger.verify")
    await office.database.write(lambda tx: tx.execute(change, -1))

    assert [finding["invariant"] for finding in found["findings"]] == [
        "charge = price of its usage"
    ]


async def test_a_story_of_money_is_the_same_on_either_database(any_office):
    email = "ann@example.com"
    await perform(any_office, "user.add", {"email": email})
    await perform(any_office, "deposit", {"email": email, "amount": "2", "reference": "r"})
    await perform(any_office, "deposit", {"email": email, "amount": "2", "reference": "r"})

    balance = await perform(any_office, "balance", {"email": email})
    verified = await perform(any_office, "ledger.verify", {})

    assert balance["available"] == "2.000000000"
    assert verified == {
        "holds_true": True,
        "accounts": 1,
        "entries": 1,
        "holds": 0,
        "findings": [],
    }
