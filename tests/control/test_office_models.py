"""The life of a model, as the operator decides it."""

from datetime import date

import pytest

from altyn.catalog.load import load_catalog
from altyn.control.deeds import perform
from altyn.control.models import find_endings
from altyn.errors import OperatorError, UnknownNameError

OLD, NEW, THIRD = "sandbox/flaky", "sandbox/echo", "sandbox/lorem"


@pytest.fixture
def do(any_office):
    """Do a deed on either database."""

    async def do_it(deed, **arguments):
        return await perform(any_office, deed, arguments)

    return do_it


async def test_a_replacement_shows_what_the_old_names_callers_pay_from_now_on(do):
    await do("price.set", model=NEW, prices={"input": "1", "output": "4"})

    life = await do("model.replace", model=OLD, successor=NEW)

    assert (life["served_as"], life["replaced_by"]) == (NEW, NEW)
    assert [(one["kind"], one["old"], one["new"], one["percent"]) for one in life["changes"]] == [
        ("input", "0.1", "1", "900"),
        ("output", "0.4", "4", "900"),
    ]


async def test_a_chain_of_replacements_ends_at_the_last(do, any_office):
    await do("model.replace", model=OLD, successor=NEW)
    await do("model.replace", model=NEW, successor=THIRD)

    catalog = await load_catalog(any_office.database)

    assert catalog.serving(OLD) == catalog.serving(NEW) == THIRD


@pytest.mark.parametrize(("old", "new"), [(NEW, OLD), (OLD, OLD), (THIRD, OLD)])
async def test_a_circle_is_refused(do, old, new):
    await do("model.replace", model=OLD, successor=NEW)
    await do("model.replace", model=NEW, successor=THIRD)

    with pytest.raises(OperatorError, match="circle"):
        await do("model.replace", model=old, successor=new)


async def test_who_serves_another_name_is_neither_hidden_nor_retired(do):
    await do("model.replace", model=OLD, successor=NEW)

    for deed in ("model.hide", "model.retire"):
        with pytest.raises(OperatorError, match=f"{OLD} is served as {NEW}"):
            await do(deed, model=NEW)


async def test_a_hidden_model_or_one_without_a_price_cannot_replace_another(do):
    await do("model.hide", model=THIRD)
    await do("price.end", model=NEW, kind="cost")

    with pytest.raises(OperatorError, match=f"{THIRD} is hidden"):
        await do("model.replace", model=OLD, successor=THIRD)
    with pytest.raises(OperatorError, match=f"{NEW} has no price"):
        await do("model.replace", model=OLD, successor=NEW)


async def test_restoring_undoes_all_of_it(do):
    await do("model.replace", model=OLD, successor=NEW)
    await do("model.retire", model=OLD, on="2099-01-01", replaced_by=THIRD)
    hidden = await do("model.hide", model=OLD)

    restored = await do("model.restore", model=OLD)

    assert hidden["on_sale"] is False
    assert hidden["retires_at"] == "2099-01-01T00:00:00.000Z"
    assert restored == {
        "model": OLD,
        "on_sale": True,
        "served_as": None,
        "retires_at": None,
        "replaced_by": None,
        "changes": [],
    }


@pytest.mark.parametrize("deed", ["model.hide", "model.retire", "model.restore"])
async def test_a_model_nobody_knows_has_no_life(do, deed):
    with pytest.raises(UnknownNameError):
        await do(deed, model="house/none")


async def test_what_ends_within_a_month_is_told_if_somebody_serves_it(do, any_office):
    await do("route.add", model="openai/gpt-5", provider="sandbox")
    await do("route.add", model="anthropic/claude-opus-4", provider="sandbox")
    catalog = await load_catalog(any_office.database)

    told = {day: find_endings(catalog, day) for day in (date(2026, 11, 10), date(2026, 11, 11))}

    assert [one.model for one in told[date(2026, 11, 10)]] == ["anthropic/claude-opus-4"]
    assert [(one.model, one.retired) for one in told[date(2026, 11, 11)]] == [
        ("openai/gpt-5", False),
        ("anthropic/claude-opus-4", True),
    ]


async def test_what_another_model_serves_is_in_order(do, any_office):
    await do("route.add", model="openai/gpt-5", provider="sandbox")
    await do("model.replace", model="openai/gpt-5", successor=NEW)

    assert find_endings(await load_catalog(any_office.database), date(2026, 12, 31)) == []


async def test_doctor_tells_of_endings_and_of_losses(do):
    await do("route.add", model="anthropic/claude-opus-4", provider="sandbox")
    await do("price.set", model=NEW, prices={"input": "0.01", "output": "1"}, below_cost=True)

    checks = {check["name"]: check for check in await do("doctor")}

    assert "anthropic/claude-opus-4 (2026-06-15)" in checks["retired"]["found"]
    assert checks["margin"]["found"] == f"sold below cost: {NEW}"
