from collections.abc import Iterator

import pytest

from altyn.catalog.price import Price
from altyn.database.engine import Transaction, bump_revision, now_ms
from fakes.caller import Caller
from fakes.gateway import Gateway

FIELDS = {
    "id",
    "object",
    "created",
    "owned_by",
    "name",
    "description",
    "context_length",
    "max_output_tokens",
    "architecture",
    "supported_parameters",
    "pricing",
    "available",
    "retires_at",
    "replaced_by",
}
PRICING = {
    "currency",
    "prompt",
    "completion",
    "input_cache_read",
    "input_cache_write",
    "request",
    "image",
}


@pytest.fixture
def fresh(sqlite_gateway: Gateway) -> Iterator[Gateway]:
    """A gateway of its own, for what changes the catalog for everybody."""
    return sqlite_gateway


@pytest.mark.parametrize("path", ["/models", "/models/sandbox/echo"])
def test_anonymous(house, as_, path):
    said = as_().get(path)

    assert (said.status, said.code) == (401, "missing_api_key")


def test_somebody_elses_prices_are_not_shown(fresh):
    alice, bob = fresh.add_customer(), fresh.add_customer()

    async def favour(tx: Transaction) -> None:
        await tx.execute(
            "UPDATE accounts SET price_group = 'friends' WHERE id = $1", bob.account_id
        )
        await tx.execute(
            "INSERT INTO markups (price_group, parts_per_million, effective_from, created_at)"
            " VALUES ('friends', 1000000, 0, $1)",
            now_ms(),
        )
        await bump_revision(tx)

    fresh.write(favour)

    prices = [
        Caller(fresh.base, who.key).get("/models/sandbox/lorem").json["pricing"]["prompt"]
        for who in (alice, bob)
    ]
    assert float(prices[1]) == pytest.approx(2 * float(prices[0]))


def test_every_model_on_sale_is_listed_whole(house, as_, alice):
    said = as_(alice.key).get("/models")

    assert said.json["object"] == "list"
    assert len(said.json["data"]) == 29
    for card in said.json["data"]:
        assert set(card) == FIELDS
        assert set(card["pricing"]) == PRICING
        assert set(card["architecture"]) == {"input_modalities", "output_modalities"}
        assert card["object"] == "model"


def test_one_model_is_as_in_the_list(house, as_, alice):
    caller = as_(alice.key)

    one = caller.get("/models/anthropic/claude-sonnet-4.5").json

    assert one in caller.get("/models").json["data"]


def test_a_price_is_a_decimal_string_for_one_token(house, as_, alice):
    pricing = as_(alice.key).get("/models/anthropic/claude-sonnet-4.5").json["pricing"]

    assert (pricing["currency"], pricing["prompt"], pricing["completion"]) == (
        "USD",
        "0.000003",
        "0.000015",
    )


def test_an_unknown_model_is_not_found(house, as_, alice):
    said = as_(alice.key).get("/models/nobody/nothing")

    assert (said.status, said.code) == (404, "model_not_found")
    assert said.error["model"] == "nobody/nothing"


@pytest.mark.parametrize(
    ("wish", "word"),
    [("ru", "Быстрая"), ("en", "Quick"), ("ru-RU,ru;q=0.9,en;q=0.8", "Быстрая"), ("", "Quick")],
)
def test_a_description_is_in_the_language_asked_for(house, as_, alice, wish, word):
    said = as_(alice.key, accept_language=wish).get("/models/google/gemini-3-flash-preview")

    assert said.json["description"].startswith(word)


def test_a_model_without_a_route_is_on_sale_but_not_available(house, as_, alice):
    caller = as_(alice.key)

    assert caller.get("/models/anthropic/claude-3.5-sonnet").json["available"] is False
    assert caller.get("/models/sandbox/echo").json["available"] is True


def test_to_a_test_key_everything_is_available(house, as_, alice):
    cards = as_(alice.test_key).get("/models").json["data"]

    assert all(card["available"] for card in cards)


def test_a_model_becomes_available_with_its_route(fresh, vendor):
    alice = fresh.add_customer()
    fresh.add_upstream(vendor.base_url, "openai/gpt-5", secret=vendor.key)

    said = Caller(fresh.base, alice.key).get("/models/openai/gpt-5")

    assert said.json["available"] is True


def test_a_new_price_is_shown_at_once(fresh):
    alice = fresh.add_customer()
    fresh.set_price("openai/gpt-5", Price(input=7_000_000, output=9_000_000, request=5))

    pricing = Caller(fresh.base, alice.key).get("/models/openai/gpt-5").json["pricing"]

    assert (pricing["prompt"], pricing["completion"]) == ("0.000000007", "0.000000009")
    assert pricing["request"] == "0.000000005"
