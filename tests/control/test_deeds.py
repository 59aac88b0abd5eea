import inspect

import pytest

from altyn.control.deeds import DEEDS
from altyn.errors import OperatorError, UnknownNameError


async def test_a_deed_nobody_knows_is_refused(do):
    with pytest.raises(UnknownNameError, match=r"user\.praise"):
        await do("user.praise", email="ann@example.com")


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"email": 7},
        {"email": "ann@example.com", "wealth": "great"},
        {"email": "ann@example.com", "operator": "king"},
    ],
    ids=["missing", "of the wrong kind", "unknown", "not a choice"],
)
async def test_arguments_that_do_not_fit_are_refused(do, arguments):
    with pytest.raises(OperatorError, match=r"user\.add cannot be done so"):
        await do("user.add", **arguments)

    assert await do("user.list") == []


@pytest.mark.parametrize("name", DEEDS)
def test_every_deed_takes_its_arguments_by_name(name):
    _, *arguments = inspect.signature(DEEDS[name]).parameters.values()

    assert all(argument.kind is inspect.Parameter.KEYWORD_ONLY for argument in arguments)


async def test_an_answer_is_plain_data(do):
    await do("user.add", email="ann@example.com")

    made = await do("key.create", user="ann@example.com", models=["sandbox/echo"])

    assert made["models"] == ["sandbox/echo"]
