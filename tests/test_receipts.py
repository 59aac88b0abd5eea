"""Every wrong charge is found by its price alone, and right ones of every outcome are not."""

from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import structs

from altyn import receipts
from altyn.catalog.load import add_builtin_models, add_price, load_catalog, set_markup
from altyn.catalog.price import Price, Tier
from altyn.chat import Usage
from altyn.database.engine import now_ms
from altyn.ledger.audit import EVERYBODY, Auditor, Stretch, verify
from altyn.prove.forgery import forge
from altyn.receipts import charges_equal_their_prices
from altyn.usage.record import HOUR_MS, TOKEN_COLUMNS
from fakes.books import MODEL, Books, hold, open_books, record, settle
from fakes.past import OUTCOMES, Past

INVARIANT = "charge = price of its usage"

# Nanos per token: 1 of input, 10 of output, and from 201 tokens of prompt on 2 and 20.
PRICE = Price(
    input=1_000_000,
    output=10_000_000,
    cached_read=100_000,
    cache_write_5m=1_250_000,
    cache_write_1h=2_000_000,
    audio_input=4_000_000,
    reasoning=11_000_000,
    image=40_000_000,
    request=7,
    web_search=500,
    tiers=(Tier(above_input_tokens=200, input=2_000_000, output=20_000_000),),
)
USAGE = Usage(
    input_uncached=100,
    cache_read=10,
    cache_write_5m=8,
    cache_write_1h=5,
    audio_input=3,
    output_text=50,
    reasoning=9,
    image=2,
    web_searches=1,
)
CHARGE = 100 + 1 + 10 + 10 + 12 + 500 + 99 + 80 + 7 + 500
MARKUP_PPM = 200_000


class Counter:
    """Somebody with money, who is charged as a test says."""

    def __init__(self, books: Books, price_id: int) -> None:
        self.books = books
        self.price_id = price_id
        self.account = self.key = 0

    async def welcome(self) -> int:
        """The next customer, whom the next charges are of."""
        self.account = await self.books.add_account(10**9)
        self.key = await self.books.add_key(self.account)
        return self.account

    async def charge(
        self, request: str, nanos: int, *, usage: Usage = USAGE, held: int = 10**6, **more: Any
    ) -> None:
        facts = {"usage": usage, "price_id": self.price_id, "markup_ppm": 0, **more}
        move = settle(self.account, self.key, request, nanos, held=held)
        noted = record(self.account, self.key, request, nanos, held=held, **facts)
        await self.books.writer.post(hold(self.account, self.key, request, held))
        await self.books.writer.post(structs.replace(move, record=noted))

    async def wrong(self, stretch: Stretch = EVERYBODY) -> list[str]:
        found = await charges_equal_their_prices(self.books.database, stretch)
        return [finding.sentence for finding in found]

    async def wrong_requests(self, stretch: Stretch = EVERYBODY) -> list[str]:
        """The requests that are named."""
        return [
            sentence.partition("request ")[2].partition(" was charged ")[0]
            for sentence in await self.wrong(stretch)
        ]


@pytest.fixture
async def counter(migrated_url):
    """A shop with one price; the ledger itself must hold afterwards, whatever was charged."""
    async with open_books(migrated_url) as books:
        await books.database.write(add_builtin_models)
        price_id = await books.database.write(
            lambda tx: add_price(tx, model_id=MODEL, kind="sell", price=PRICE)
        )
        counter = Counter(books, price_id)
        await counter.welcome()
        yield counter
        assert await books.findings() == ()


# Right charges --------------------------------------------------------------------------------


@pytest.mark.parametrize("markup_ppm", [0, MARKUP_PPM])
async def test_charges_of_every_outcome_give_no_finding(counter, markup_ppm):
    database = counter.books.database
    await database.write(lambda tx: set_markup(tx, markup_ppm))
    desk = SimpleNamespace(shelf=SimpleNamespace(catalog=await load_catalog(database)))
    past = Past(desk, counter.books.writer, account_id=counter.account)
    await past.pay_in(10**10, at=now_ms() - 2 * HOUR_MS)

    await past.every_outcome(at=now_ms() - HOUR_MS, key_id=counter.key)

    found = await database.read("SELECT outcome, charge_nanos, markup_ppm FROM usage_records")
    assert {outcome for outcome, _, _ in found} == set(OUTCOMES)
    assert sum(charge > 0 for _, charge, _ in found) == 4
    assert {markup for _, _, markup in found} == {markup_ppm}
    assert (await verify(database, charges_equal_their_prices)).findings == ()


async def test_every_kind_of_token_has_its_price(counter):
    await counter.charge("h1", CHARGE)

    assert await counter.wrong() == []


async def test_a_markup_is_on_every_price(counter):
    # Each price of a million tokens rises by a fifth, and so do those of a call and a search.
    usage = Usage(input_uncached=100, output_text=50, web_searches=1)

    await counter.charge("h1", 120 + 600 + 9 + 600, usage=usage, markup_ppm=MARKUP_PPM)
    await counter.charge("h2", 100 + 500 + 7 + 500, usage=usage, markup_ppm=None)

    assert await counter.wrong() == []


async def test_who_served_under_another_name_is_paid_by_its_own_price(counter):
    await counter.charge("h1", CHARGE, model="an/old-name", served_model=MODEL)

    assert await counter.wrong() == []


async def test_a_long_prompt_is_charged_by_its_tier(counter):
    for name, tokens, charge in (("h1", 200, 207), ("h2", 201, 409)):
        await counter.charge(name, charge, usage=Usage(input_uncached=tokens))

    assert await counter.wrong() == []


async def test_an_estimate_is_cut_at_its_hold_and_a_price_above_it_too(counter):
    for outcome in ("charged_estimated", "charged_capped"):
        await counter.charge(outcome, CHARGE - 1, held=CHARGE - 1, outcome=outcome)

    assert await counter.wrong() == []


async def test_a_price_that_changes_afterwards_is_no_breach(counter):
    await counter.charge("h1", CHARGE)

    async def change(tx):
        await add_price(tx, model_id=MODEL, kind="sell", price=Price(input=9, output=9))
        await add_price(tx, model_id=MODEL, kind="sell", price=None)
        await set_markup(tx, 7 * MARKUP_PPM)

    await counter.books.database.write(change)

    assert await counter.wrong() == []


# Wrong charges --------------------------------------------------------------------------------

WRONG = {
    "a nano more": {"nanos": CHARGE + 1},
    "a nano less": {"nanos": CHARGE - 1},
    "nothing for an answer": {"nanos": 0},
    "a nano more for one who left": {"nanos": CHARGE + 1, "outcome": "charged_cancelled"},
    "an estimate above the price": {"nanos": CHARGE + 1, "outcome": "charged_estimated"},
    "an estimate below both": {"nanos": CHARGE - 1, "outcome": "charged_estimated"},
    "the hold, where the price was below it": {
        "nanos": CHARGE + 1,
        "held": CHARGE + 1,
        "outcome": "charged_capped",
    },
    "the price, said to be above the hold": {
        "nanos": CHARGE,
        "held": CHARGE,
        "outcome": "charged_capped",
    },
    "less than the hold, where the price was above": {
        "nanos": CHARGE - 2,
        "held": CHARGE - 1,
        "outcome": "charged_capped",
    },
    "something for a failure": {"nanos": 1, "outcome": "free_broken"},
    "something in a test": {"nanos": CHARGE, "outcome": "free_test"},
    "an outcome nobody knows": {"nanos": CHARGE, "outcome": "given_away"},
    "the price without its markup": {"nanos": CHARGE, "markup_ppm": MARKUP_PPM},
    "a markup below nothing": {"nanos": CHARGE, "markup_ppm": -1_000_001},
    "tokens nobody counted": {"nanos": CHARGE, "usage": None},
    "no price": {"nanos": CHARGE, "price_id": None},
    "a price that is not there": {"nanos": CHARGE, "price_id": 10**6},
    "another model's price": {"nanos": CHARGE, "model": "sandbox/lorem"},
    "the price of who did not serve": {"nanos": CHARGE, "served_model": "sandbox/lorem"},
    "the short prompt's price": {
        "nanos": 201 + 7,
        "usage": Usage(input_uncached=201),
    },
    "tokens on top, counted in the prompt": {
        "nanos": 402 + 7,
        "usage": Usage(input_uncached=201, written_on_top=1),
    },
}


async def test_every_wrong_charge_is_found(counter):
    for name, told in WRONG.items():
        await counter.charge(f"before {name}", CHARGE)
        await counter.charge(name, **told)
        await counter.welcome()

    assert await counter.wrong_requests() == list(WRONG)


async def test_each_kind_of_token_counts(counter):
    kinds = TOKEN_COLUMNS[:9]

    for kind in kinds:
        usage = structs.replace(USAGE, **{kind: getattr(USAGE, kind) + 1})
        await counter.charge(kind, CHARGE, usage=usage)
        await counter.welcome()

    assert await counter.wrong_requests() == list(kinds)


async def test_a_token_that_was_taken_out_of_a_record_does_not_stop_the_audit(counter):
    await counter.charge("h1", CHARGE)
    await counter.books.change("UPDATE usage_records SET cache_read = NULL")

    (sentence,) = await counter.wrong()

    assert sentence.endswith("0.000001319, its usage and price come to nothing that can be told")


async def test_a_price_that_ends_another_tells_no_charge(counter):
    counter.price_id = await counter.books.database.write(
        lambda tx: add_price(tx, model_id=MODEL, kind="sell", price=None)
    )
    await counter.charge("h1", CHARGE)

    assert len(await counter.wrong()) == 1


async def test_a_changed_price_is_found_by_what_was_charged_before(counter):
    await counter.charge("h1", CHARGE)
    assert await counter.wrong() == []
    await counter.books.change(
        "DROP TRIGGER prices_refuse_update"
        if counter.books.database.kind == "sqlite"
        else "ALTER TABLE prices DISABLE TRIGGER ALL"
    )
    dearer = structs.replace(PRICE, request=PRICE.request + 1)
    await counter.books.change(
        "UPDATE prices SET document = $1 WHERE id = $2", dearer.document, counter.price_id
    )

    (sentence,) = await counter.wrong()

    assert sentence == (
        f"account {counter.account}: request h1 was charged 0.000001319, its usage and price come"
        " to 0.000001320"
    )


async def test_a_charge_that_is_forged_in_every_row_and_hash_is_found(counter):
    await counter.charge("h1", CHARGE)
    await counter.charge("h2", CHARGE)
    for statement in FORGERS[counter.books.database.kind]:
        await counter.books.change(statement)

    await counter.books.database.write(lambda tx: forge(tx, counter.account))

    assert await counter.books.read(
        "SELECT charge_nanos FROM usage_records ORDER BY request_id"
    ) == [(CHARGE - 1,), (CHARGE,)]
    assert (await verify(counter.books.database)).findings == ()
    (finding,) = (await verify(counter.books.database, charges_equal_their_prices)).findings
    assert (finding.invariant, finding.account_id) == (INVARIANT, counter.account)


FORGERS = {
    "sqlite": ("DROP TRIGGER entries_refuse_update",),
    "postgresql": ("ALTER TABLE entries DISABLE TRIGGER ALL",),
}


# Pages and stretches --------------------------------------------------------------------------


async def test_every_page_is_read_and_each_account_named_once(counter, monkeypatch):
    monkeypatch.setattr(receipts, "PAGE", 2)
    for customer, too_much in (("ann", 1), ("bob", 0), ("cid", 1)):
        for number in (1, 2):
            await counter.charge(f"{customer}-{number}", CHARGE)
        for number in (3, 4):
            await counter.charge(f"{customer}-{number}", CHARGE + too_much)
        await counter.welcome()

    assert await counter.wrong_requests() == ["ann-3", "cid-3"]


async def test_only_the_stretch_is_read(counter):
    accounts = []
    for name in ("h1", "h2", "h3", "h4"):
        accounts.append(await counter.welcome())
        await counter.charge(name, CHARGE + 1)

    assert await counter.wrong_requests(Stretch(accounts[0], accounts[2])) == ["h2", "h3"]


async def test_the_auditor_finds_a_wrong_charge_in_its_turn(counter):
    await counter.charge("h1", CHARGE - 1)

    found = await Auditor(counter.books.database, charges_equal_their_prices).look()

    assert [(one.invariant, one.account_id) for one in found] == [(INVARIANT, counter.account)]
    assert await Auditor(counter.books.database).look() == []
