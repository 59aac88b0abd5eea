import json

import pytest

from altyn.errors import InvalidAmountError, OperatorError, UnknownNameError

ECHO = "sandbox/echo"


def a_file(**changes):
    model = {
        "id": "house/own",
        "name": "Our own",
        "vendor": "house",
        "context_length": 4096,
        "max_output_tokens": 1024,
        "supported_parameters": ["max_tokens"],
        "cost": {"input": "1", "output": "2"},
        **changes,
    }
    return json.dumps({"schema": "altyn-catalog/1", "models": [model]})


async def card_of(do, model):
    return next(card for card in await do("catalog.list") if card["id"] == model)


async def test_the_catalog_lists_what_a_customer_pays(do):
    card = await card_of(do, ECHO)

    assert (card["input"], card["output"], card["currency"]) == ("0.1", "0.4", "USD")
    assert card["routes"] == ["sandbox"]


async def test_a_model_shows_its_price_cost_and_routes(do):
    story = await do("catalog.show", model=ECHO)

    assert story["model"]["id"] == ECHO
    assert story["price"]["input"] == "0.1"
    assert story["cost"]["output"] == "0.4"
    assert story["routes"][0]["upstream_model"] == "echo"


async def test_a_model_that_is_not_there_is_not_shown(do):
    with pytest.raises(UnknownNameError):
        await do("catalog.show", model="house/own")


async def test_an_imported_model_is_on_sale(do):
    imported = await do("catalog.import", text=a_file())

    assert (imported["models"], imported["costs_left_out"]) == (1, 0)
    assert (imported["added"], imported["changed"]) == (["house/own"], {})
    assert [(one["kind"], one["old"], one["new"]) for one in imported["changes"]] == [
        ("input", None, "1"),
        ("output", None, "2"),
    ]
    assert (await card_of(do, "house/own"))["output"] == "2"


async def test_a_cost_in_another_currency_is_left_out(do):
    cost = {"input": "1", "output": "2", "currency": "RUB"}

    imported = await do("catalog.import", text=a_file(cost=cost))

    assert imported["costs_left_out"] == 1
    assert (await card_of(do, "house/own"))["input"] is None


async def test_a_bad_file_is_told_by_model_and_field(do):
    with pytest.raises(OperatorError, match=r"house/own.*context_length"):
        await do("catalog.import", text=a_file(context_length="long"))


async def test_a_fixed_price_goes_before_cost_and_stays_in_the_books(do):
    await do("price.set", model=ECHO, prices={"input": "3", "output": "15", "cached_read": "0.3"})

    card = await card_of(do, ECHO)
    history = await do("price.list", model=ECHO)

    assert (card["input"], card["output"]) == ("3", "15")
    assert [row["kind"] for row in history] == ["cost", "sell"]
    assert history[1]["prices"]["cached_read"] == "0.3"


async def test_a_price_of_tomorrow_is_not_asked_today(do):
    await do("price.set", model=ECHO, prices={"input": "3", "output": "15"}, since="2099-01-01")

    assert (await card_of(do, ECHO))["input"] == "0.1"


async def test_nothing_is_sold_below_cost_by_accident(do):
    prices = {"input": "0.01", "output": "15"}

    with pytest.raises(OperatorError, match="below its cost"):
        await do("price.set", model=ECHO, prices=prices)
    await do("price.set", model=ECHO, prices=prices, below_cost=True)

    assert (await card_of(do, ECHO))["input"] == "0.01"


async def test_a_new_cost_moves_the_price(do):
    await do("price.set", model=ECHO, prices={"input": "1", "output": "2"}, kind="cost")

    assert (await card_of(do, ECHO))["output"] == "2"


@pytest.mark.parametrize("amount", ["three", "-1", "1e30"])
async def test_what_is_no_price_is_refused(do, amount):
    with pytest.raises(InvalidAmountError):
        await do("price.set", model=ECHO, prices={"input": amount, "output": "1"})


async def test_a_model_that_is_not_there_has_no_price(do):
    with pytest.raises(UnknownNameError):
        await do("price.set", model="house/own", prices={"input": "1", "output": "1"})


async def test_a_markup_is_put_on_every_cost(do):
    done = await do("markup.set", percent="12.5")

    card = await card_of(do, ECHO)
    story = await do("catalog.show", model=ECHO)
    assert done["percent"] == "12.5"
    assert card["input"] == "0.1125"
    assert story["markup_percent"] == "12.5"


async def test_a_discount_has_to_be_meant(do):
    with pytest.raises(OperatorError, match="--allow-loss"):
        await do("markup.set", percent="-10")
    await do("markup.set", percent="-10", below_cost=True)

    assert (await card_of(do, ECHO))["input"] == "0.09"


@pytest.mark.parametrize("percent", ["much", "1.00001", "inf", "9999999"])
async def test_what_is_no_percentage_is_refused(do, percent):
    with pytest.raises(OperatorError, match="not a markup"):
        await do("markup.set", percent=percent)
