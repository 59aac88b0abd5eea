"""Prices and markups, as the operator sets them."""

import pytest

from altyn.control.deeds import perform
from altyn.errors import OperatorError, UnknownNameError

ECHO, LOREM = "sandbox/echo", "sandbox/lorem"
PRICE = {"input": "3", "output": "15"}
LATER = "2099-01-01T00:00:00.000Z"


@pytest.fixture
def do_on_both(any_office):
    """Do a deed by its name, as a command does: once on SQLite, once on PostgreSQL."""

    async def do_it(deed, **arguments):
        return await perform(any_office, deed, arguments)

    return do_it


async def figures(do, model=ECHO):
    """What everybody pays for it now."""
    story = await do("catalog.show", model=model)
    return None if story["price"] is None else (story["price"]["input"], story["price"]["output"])


def told(done):
    return [(one["group"], one["kind"], one["old"], one["new"]) for one in done["changes"]]


# Setting --------------------------------------------------------------------------------------


async def test_a_price_can_have_every_kind_and_tiers(do_on_both):
    every = {
        **PRICE,
        "cached_read": "0.3",
        "cache_write_5m": "3.75",
        "cache_write_1h": "6",
        "audio_input": "4",
        "reasoning": "16",
        "image": "30",
        "request": "0.01",
        "web_search": "0.02",
    }

    card = await do_on_both(
        "price.set", model=ECHO, prices=every, tiers=[">200000 input=6 output=22.5"]
    )

    tier = {"above_input_tokens": 200_000, "input": "6", "output": "22.5"}
    assert card["prices"] == {**every, "tiers": [tier]}


async def test_a_change_is_told_before_and_after_with_its_margin(do):
    card = await do("price.set", model=ECHO, prices={"input": "0.2", "output": "0.4"})

    [change] = card["changes"]
    assert {
        name: change[name] for name in ("kind", "old", "new", "percent", "cost", "margin_percent")
    } == {
        "kind": "input",
        "old": "0.1",
        "new": "0.2",
        "percent": "100",
        "cost": "0.1",
        "margin_percent": "50",
    }


async def test_a_dry_run_tells_the_same_and_writes_nothing(do):
    before = await do("price.history", model=ECHO)

    card = await do("price.set", model=ECHO, prices={"input": "0.01", "output": "1"}, dry_run=True)

    assert told(card) == [(None, "input", "0.1", "0.01"), (None, "output", "0.4", "1")]
    assert [loss["model"] for loss in card["losses"]] == [ECHO]
    assert (card["id"], card["state"]) == (0, "preview")
    assert await do("price.history", model=ECHO) == before


async def test_a_price_to_come_is_announced_and_not_asked_yet(do):
    card = await do("price.set", model=ECHO, prices=PRICE, since="2099-01-01")

    assert {change["effective_from"] for change in card["changes"]} == {LATER}
    assert await figures(do) == ("0.1", "0.4")


@pytest.mark.parametrize("deed", ["price.set", "markup.set"])
async def test_the_books_of_the_past_stay_as_they_were(do, deed):
    said = {"model": ECHO, "prices": PRICE} if deed == "price.set" else {"percent": "10"}

    with pytest.raises(OperatorError, match="has passed"):
        await do(deed, **said, since="2026-01-01")


async def test_a_group_has_prices_of_its_own(do):
    card = await do("price.set", model=ECHO, prices=PRICE, group="vip")

    assert told(card) == [("vip", "input", "0.1", "3"), ("vip", "output", "0.4", "15")]
    assert await figures(do) == ("0.1", "0.4")


async def test_a_fixed_price_ends_and_the_markup_decides_again(do):
    await do("markup.set", percent="50")
    await do("price.set", model=ECHO, prices=PRICE)

    ended = await do("price.end", model=ECHO)

    assert ended["prices"] is None
    assert await figures(do) == ("0.15", "0.6")


async def test_what_was_never_set_cannot_end(do):
    with pytest.raises(UnknownNameError, match="no such price"):
        await do("price.end", model=ECHO, group="vip")


async def test_the_markup_on_one_model_goes_before_the_one_on_all(do_on_both):
    await do_on_both("markup.set", percent="50")
    done = await do_on_both("markup.set", percent="100", model=ECHO)

    assert told(done) == [(None, "input", "0.15", "0.2"), (None, "output", "0.6", "0.8")]
    assert await figures(do_on_both) == ("0.2", "0.8")

    await do_on_both("markup.set", percent=None, model=ECHO)
    assert await figures(do_on_both) == ("0.15", "0.6")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"kind": "sell", "provider": "sandbox"}, "Only a cost"),
        ({"kind": "cost", "group": "vip"}, "does not depend on a group"),
        ({"group": "no name"}, "is not a name of a group"),
        ({"group": "=vip"}, "is not a name of a group"),
        ({"kind": "cost", "provider": "nobody"}, "There is no provider nobody"),
        ({"tiers": [">5"]}, "is not a tier"),
        ({"since": "soon"}, "is not a date"),
    ],
)
async def test_what_makes_no_sense_is_refused_in_a_sentence(do, words, sentence):
    with pytest.raises(OperatorError, match=sentence):
        await do("price.set", model=ECHO, prices=PRICE, **words)


# The guard ------------------------------------------------------------------------------------

LOSSES = [
    ("price.set", {"model": ECHO, "prices": {"input": "0.1", "output": "0.39"}}),
    (
        "price.set",
        {"model": ECHO, "prices": {"input": "0.1", "output": "1", "cached_read": "0.01"}},
    ),
    (
        "price.set",
        {
            "model": ECHO,
            "prices": {"input": "1", "output": "1"},
            "tiers": [">9 input=0.05 output=1"],
        },
    ),
    ("price.set", {"model": ECHO, "prices": {"input": "0.05", "output": "1"}, "group": "vip"}),
    ("price.set", {"model": ECHO, "prices": {"input": "9", "output": "9"}, "kind": "cost"}),
    (
        "price.set",
        {
            "model": ECHO,
            "prices": {"input": "9", "output": "9"},
            "kind": "cost",
            "since": "2099-01-01",
        },
    ),
    (
        "price.set",
        {
            "model": ECHO,
            "prices": {"input": "9", "output": "9"},
            "kind": "cost",
            "provider": "sandbox",
        },
    ),
    ("markup.set", {"percent": "-5"}),
    ("markup.set", {"percent": "-5", "group": "vip"}),
    ("markup.set", {"percent": "-5", "model": ECHO}),
]


@pytest.mark.parametrize(("deed", "words"), LOSSES)
async def test_a_loss_is_refused_until_it_is_meant(do, deed, words):
    await do("price.set", model=ECHO, prices={"input": "1", "output": "2"})
    history = await do("price.history", model=ECHO)

    with pytest.raises(OperatorError, match="--allow-loss"):
        await do(deed, **words)
    assert await do("price.history", model=ECHO) == history
    await do(deed, **words, below_cost=True)

    assert len(await do("price.history", model=ECHO)) == len(history) + 1


async def test_a_discount_can_be_looked_at_before_it_is_meant(do):
    done = await do("markup.set", percent="-50", dry_run=True)

    assert done["applied"] is False
    assert ECHO in {loss["model"] for loss in done["losses"]}
    assert await figures(do) == ("0.1", "0.4")


async def test_a_markup_too_large_for_any_quote_is_refused(do):
    await do("price.set", model=ECHO, prices={"input": "999999", "output": "1"}, kind="cost")

    with pytest.raises(OperatorError, match="1000000 per million"):
        await do("markup.set", percent="1000")


# History --------------------------------------------------------------------------------------


async def test_history_tells_when_why_and_by_whom(do_on_both):
    await do_on_both("price.set", model=ECHO, prices=PRICE, by="ann")
    await do_on_both("price.set", model=ECHO, prices={"input": "4", "output": "15"}, by="bob")
    await do_on_both("markup.set", percent="20", since="2099-01-01", by="cid")
    await do_on_both("markup.set", percent="20", model=LOREM)

    history = await do_on_both("price.history", model=ECHO)

    assert [(row["kind"], row["state"], row["written_by"], row["source"]) for row in history] == [
        ("cost", "in force", None, "this project"),
        ("sell", "over", "ann", "operator"),
        ("sell", "in force", "bob", "operator"),
        ("markup", "coming", "cid", "operator"),
    ]
    assert (history[3]["percent"], history[3]["effective_from"]) == ("20", LATER)
    assert all(row["written_at"] for row in history)


async def test_a_model_nobody_knows_has_no_history(do):
    with pytest.raises(UnknownNameError):
        await do("price.history", model="house/none")


@pytest.mark.parametrize("table", ["prices", "markups"])
@pytest.mark.parametrize("deed", ["UPDATE {} SET effective_from = 0", "DELETE FROM {}"])
async def test_the_database_itself_keeps_the_rows_as_they_were(any_office, do_on_both, table, deed):
    await do_on_both("markup.set", percent="1")

    async def tamper(tx):
        await tx.execute(deed.format(table))

    with pytest.raises(Exception, match="are never changed"):
        await any_office.database.write(tamper)


# As a table -----------------------------------------------------------------------------------


async def test_what_was_exported_changes_nothing_when_it_is_imported(do_on_both):
    await do_on_both(
        "price.set", model=ECHO, prices=PRICE, tiers=[">9 input=4 output=16"], group="vip"
    )
    await do_on_both("price.set", model=ECHO, prices=PRICE, since="2099-01-01")
    await do_on_both(
        "price.set", model=ECHO, prices=PRICE, kind="cost", provider="sandbox", below_cost=True
    )
    sheet = await do_on_both("price.export")

    done = await do_on_both("price.import", text=sheet["text"], apply=True)

    assert (done["lines"], done["same"], done["added"], done["changes"]) == (32, 32, [], [])
    assert await do_on_both("price.export") == sheet


async def test_an_edited_table_shows_what_it_would_do_and_then_does_it(do_on_both):
    sheet = (await do_on_both("price.export"))["text"]
    edited = sheet.replace("USD,0.1,0.4", "USD,0.05,0.4")

    shown = await do_on_both("price.import", text=edited)
    unchanged = await figures(do_on_both)
    done = await do_on_both("price.import", text=edited, apply=True, by="ann")

    assert (shown["applied"], done["applied"]) == (False, True)
    assert len(done["added"]) == len(shown["added"]) == 4
    assert told(done) == told(shown)
    assert (unchanged, await figures(do_on_both)) == (("0.1", "0.4"), ("0.05", "0.4"))
    assert (await do_on_both("price.history", model=ECHO))[-1]["written_by"] == "ann"


async def test_a_new_line_begins_now_or_on_its_day(do_on_both):
    head = "model,kind,group,from,input,output\n"
    lines = (
        f"{ECHO},sell,vip,,1,2\n{ECHO},sell,vip,2099-01-01,2,4\n{ECHO},sell,vip,2099-02-01,none,\n"
    )

    done = await do_on_both("price.import", text=head + lines, apply=True)

    history = await do_on_both("price.history", model=ECHO)
    assert len(done["added"]) == 3
    assert [row["prices"] and row["prices"]["input"] for row in history] == ["0.1", "1", "2", None]
    assert (await do_on_both("price.import", text=head + lines))["same"] == 3


async def test_a_loss_in_a_table_is_refused_whole(do):
    text = f"model,kind,input,output\n{LOREM},sell,5,5\n{ECHO},sell,0.01,5\n"

    with pytest.raises(OperatorError, match=f"{ECHO} would be sold below its cost"):
        await do("price.import", text=text, apply=True)
    assert await figures(do, LOREM) != ("5", "5")
    await do("price.import", text=text, apply=True, below_cost=True)

    assert await figures(do) == ("0.01", "5")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("house/none,sell,,,,,1,2", "Line 3: there is no model house/none"),
        (f"{ECHO},sell,,,,RUB,1,2", "Line 3: RUB is not this place's currency, USD"),
        (f"{ECHO},cost,vip,,,,1,2", "Line 3: a cost does not depend on a group"),
        (f"{ECHO},sell,a b,,,,1,2", "Line 3: 'a b' is not a name of a group"),
        (f"{ECHO},sell,,sandbox,,,1,2", "Line 3: only a cost can differ by provider"),
        (f"{ECHO},cost,,nobody,,,1,2", "Line 3: there is no provider nobody"),
        (f"{ECHO},sell,,,2026-01-01,,1,2", "Line 3, column 'from': 2026-01-01 has passed"),
        (f"{ECHO},sell,,,soon,,1,2", "Line 3, column 'from': 'soon' is not a date"),
        (f"{LOREM},sell,,,,,7,8", "Line 3: line 2 sets the same price from the same moment"),
    ],
)
async def test_a_line_that_cannot_be_is_told_by_its_number(do, line, sentence):
    head = "model,kind,group,provider,from,currency,input,output"

    with pytest.raises(OperatorError) as refusal:
        await do("price.import", text=f"{head}\n{LOREM},sell,,,,USD,5,6\n{line}\n", apply=True)

    assert sentence in str(refusal.value)
    assert await figures(do, LOREM) == ("0.1", "0.4")


# Groups of accounts ---------------------------------------------------------------------------


async def test_an_account_is_put_into_a_group_and_taken_out(do_on_both):
    await do_on_both("user.add", email="ann@example.com")
    await do_on_both("markup.set", percent="10", group="vip")

    put = await do_on_both("user.price_group", email="ann@example.com", group="vip")
    misspelt = await do_on_both("user.price_group", email="ann@example.com", group="vlp")
    taken = await do_on_both("user.price_group", email="ann@example.com", group=None)

    assert [one["priced"] for one in (put, misspelt, taken)] == [True, False, True]
    assert [user["price_group"] for user in await do_on_both("user.list")] == [None]


async def test_a_name_that_is_none_and_a_person_nobody_knows_are_refused(do):
    with pytest.raises(OperatorError, match="not a name of a group"):
        await do("user.price_group", email="ann@example.com", group="v i p")
    with pytest.raises(UnknownNameError):
        await do("user.price_group", email="ann@example.com", group="vip")
