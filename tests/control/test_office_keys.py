import pytest

from altyn.errors import OperatorError, UnknownNameError
from altyn.keys.key import digest, parse


@pytest.fixture
async def ann(do):
    await do("user.add", email="ann@example.com")
    return "ann@example.com"


async def test_the_answer_holds_the_key_and_the_database_only_its_digest(do, office, ann):
    made = await do("key.create", user=ann, name="shop")

    ((stored,),) = await office.database.read("SELECT digest FROM keys")

    assert parse(made["key"]).mode == "live"
    assert stored == digest(made["key"], office.seal.pepper)


async def test_a_list_never_shows_a_key(do, ann):
    made = await do("key.create", user=ann)

    (shown,) = await do("key.list", user=ann)

    assert "key" not in shown
    assert made["key"].startswith(shown["prefix"])
    assert made["key"].endswith(shown["last_four"])


async def test_rules_are_kept_as_they_were_given(do, ann):
    made = await do(
        "key.create",
        user=ann,
        test=True,
        limit="10.5",
        limit_period="month",
        expires="2099-01-01",
        models=["sandbox/echo"],
        ip_ranges=["203.0.113.0/24"],
        scopes=["chat", "models"],
        requests_per_minute=60,
    )

    assert made["mode"] == "test"
    assert (made["limit"], made["limit_period"]) == ("10.500000000", "month")
    assert made["expires_at"] == "2099-01-01T00:00:00.000Z"
    assert made["models"] == ["sandbox/echo"]
    assert made["ip_ranges"] == ["203.0.113.0/24"]
    assert made["scopes"] == ["chat", "models"]
    assert made["requests_per_minute"] == 60


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        ({"models": ["sandbox/eccho"]}, "no model sandbox/eccho"),
        ({"expires": "2020-01-01"}, "in the past"),
        ({"expires": "soon"}, "not a date"),
        ({"limit": "ten"}, "not an amount"),
        ({"limit_period": "month"}, "needs a limit"),
        ({"ip_ranges": ["here"]}, "not an address"),
        ({"scopes": ["all"]}, "not a scope"),
    ],
)
async def test_a_rule_that_cannot_be_kept_makes_no_key(do, ann, rules, sentence):
    with pytest.raises(OperatorError, match=sentence):
        await do("key.create", user=ann, **rules)

    assert await do("key.list") == []


async def test_nobody_gets_no_key(do):
    with pytest.raises(UnknownNameError):
        await do("key.create", user="nobody@example.com")


async def test_a_revoked_key_says_since_when(do, ann):
    made = await do("key.create", user=ann)

    revoked = await do("key.revoke", id=made["id"])

    assert revoked["revoked_at"] is not None


async def test_a_key_that_is_not_there_cannot_be_revoked(do):
    with pytest.raises(UnknownNameError):
        await do("key.revoke", id=7)
