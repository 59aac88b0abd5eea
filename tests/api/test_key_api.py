import pytest

from altyn.database.engine import now_ms
from altyn.keys.store import KeyRules


def test_anonymous(house, as_):
    said = as_().get("/key")

    assert (said.status, said.code) == (401, "missing_api_key")


def test_somebody_elses(house, as_, alice, bob):
    said = as_(alice.key).get(f"/key?id={bob.key_id}")

    assert said.json["id"] == alice.key_id


def test_a_key_without_rules_says_so(house, as_, alice):
    told = as_(alice.key).get("/key").json

    assert told.pop("created_at").endswith("Z")
    assert told == {
        "object": "key",
        "id": alice.key_id,
        "name": "live key",
        "mode": "live",
        "prefix": alice.key[:12],
        "last_four": alice.key[-4:],
        "currency": "USD",
        "limit": None,
        "limit_period": None,
        "limit_remaining": None,
        "limit_resets_at": None,
        "spent": "0.000000000",
        "held": "0.000000000",
        "models": None,
        "ip_ranges": None,
        "scopes": None,
        "requests_per_minute": 3000,
        "tokens_per_minute": 0,
        "parallel_requests": 256,
        "expires_at": None,
    }


def test_the_key_itself_is_never_told(house, as_, alice):
    said = as_(alice.key).get("/key")

    assert alice.key.encode() not in said.body


def test_every_rule_is_told(house, as_, alice):
    rules = KeyRules(
        limit_nanos=2_000_000_000,
        limit_period="day",
        expires_at=now_ms() + 3_600_000,
        models=("sandbox/echo",),
        ip_ranges=("127.0.0.0/8",),
        scopes=("key", "chat"),
        requests_per_minute=7,
        tokens_per_minute=700,
        parallel_requests=3,
    )
    key = house.add_key(alice.account_id, rules=rules)

    told = as_(key).get("/key").json

    assert told["models"] == ["sandbox/echo"]
    assert told["ip_ranges"] == ["127.0.0.0/8"]
    assert told["scopes"] == ["key", "chat"]
    assert (told["limit"], told["limit_period"]) == ("2.000000000", "day")
    assert told["limit_remaining"] == "2.000000000"
    assert told["limit_resets_at"].endswith("T00:00:00.000Z")
    assert told["expires_at"] is not None
    limits = [told[f"{name}"] for name in ("requests_per_minute", "tokens_per_minute")]
    assert [*limits, told["parallel_requests"]] == [7, 700, 3]


@pytest.mark.parametrize("period", ["day", "week", "month", "total"])
def test_what_a_limited_key_spent_is_off_its_limit(house, as_, alice, period):
    rules = KeyRules(limit_nanos=1_000_000_000, limit_period=period)
    key = house.add_key(alice.account_id, rules=rules)
    as_(key).chat()

    told = as_(key).get("/key").json

    assert (told["spent"], told["limit_remaining"]) == ("0.000001300", "0.999998700")
    assert (told["limit_resets_at"] is None) == (period == "total")


def test_a_key_without_a_limit_tells_what_it_ever_spent(house, as_, alice):
    as_(alice.key).chat()

    assert as_(alice.key).get("/key").json["spent"] == "0.000001300"


def test_a_test_key_says_it_is_one(house, as_, alice):
    told = as_(alice.test_key).get("/key").json

    assert (told["mode"], told["prefix"][:8]) == ("test", "sk_test_")
