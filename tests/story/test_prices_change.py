"""Prices change while calls run, servers stop and backups are made: what was agreed is charged."""

from decimal import Decimal
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from calls import MODEL, chat, exact, wait_until
from shops import Shop

from altyn.accounts.store import set_price_group
from altyn.catalog.load import set_markup
from altyn.catalog.price import Price, Tier
from fakes.caller import Caller
from fakes.gateway import Gateway
from fakes.openai_server import Reply

BEFORE = Price(input=1_000_000_000, output=2_000_000_000, request=7)
AFTER = Price(
    input=50_000_000_000,
    output=90_000_000_000,
    tiers=(Tier(input=70_000_000_000, output=1, above_input_tokens=1),),
)


def receipt_of(base: str, key: str, answer_id: str) -> dict[str, Any]:
    """The record with its lines; they add up to its cost, rounded up once to a nano."""
    told: dict[str, Any] = Caller(base, key).get(f"/generations/{answer_id}").json
    total = sum(Decimal(line["amount"]) for line in told["receipt"])
    assert 0 <= Decimal(told["cost"]) - total < Decimal("0.000000001")
    return told


def test_a_call_that_runs_is_charged_by_the_price_of_its_quote(shop: Shop) -> None:
    gateway, customer, vendor = shop
    gateway.set_price(MODEL, BEFORE)
    vendor.says(Reply(wait_after=0))
    answers: list[Any] = []
    call = Thread(target=lambda: answers.append(chat(gateway, customer.key)))
    call.start()
    wait_until(lambda: bool(gateway.read("SELECT 1 FROM holds")))

    gateway.set_price(MODEL, AFTER)
    vendor.go_on()
    call.join()

    usage = exact(answers[0])["usage"]
    cost = usage["prompt_tokens"] * 1_000 + usage["completion_tokens"] * 2_000 + 7
    told = receipt_of(gateway.base, customer.key, answers[0].json()["id"])
    assert Decimal(told["cost"]) == Decimal(cost).scaleb(-9)
    assert exact(chat(gateway, customer.key))["usage"]["cost"] > Decimal(told["cost"])


def test_a_group_pays_its_own_price_from_the_call_after_it_was_joined(shop: Shop) -> None:
    gateway, customer, _ = shop
    gateway.write(lambda tx: set_markup(tx, 1_000_000, price_group="partners"))
    everybodys = Decimal(chat(gateway, customer.key).headers["X-Request-Cost"])

    gateway.write(lambda tx: set_price_group(tx, customer.account_id, "partners"))
    partners = chat(gateway, customer.key)
    card = Caller(gateway.base, customer.key).get(f"/models/{MODEL}").json

    assert Decimal(partners.headers["X-Request-Cost"]) == 2 * everybodys
    told = receipt_of(gateway.base, customer.key, partners.json()["id"])
    assert told["receipt"][0]["price"] == card["pricing"]["prompt"]


def test_a_receipt_is_the_same_after_prices_have_changed_and_the_server_was_new(
    database_url: str, tmp_path: Path
) -> None:
    with Gateway(tmp_path / "home", database_url) as first:
        customer = first.add_customer()
        first.write(lambda tx: set_markup(tx, 333_333))
        answer = chat(first, customer.key, model="sandbox/echo").json()
        told = receipt_of(first.base, customer.key, answer["id"])
        first.set_price("sandbox/echo", AFTER)

    with Gateway(tmp_path / "home", database_url) as second:
        again = receipt_of(second.base, customer.key, answer["id"])
        newer = chat(second, customer.key, model="sandbox/echo").json()["usage"]
        second.verify()

    assert again == told
    assert newer["cost"] > answer["usage"]["cost"]


@pytest.mark.parametrize(("prompt_tokens", "rate"), [(10, 1_000), (11, 5_000)])
def test_a_tier_begins_where_its_price_says(
    small_shop: Shop, prompt_tokens: int, rate: int
) -> None:
    gateway, customer, vendor = small_shop
    tier = Tier(input=5_000_000_000, output=0, above_input_tokens=10)
    gateway.set_price(MODEL, Price(input=1_000_000_000, output=0, tiers=(tier,)))
    counted = {"completion_tokens": 1, "total_tokens": prompt_tokens + 1}
    vendor.says(Reply(usage_values={"prompt_tokens": prompt_tokens, **counted}))

    answer = chat(gateway, customer.key)

    assert Decimal(answer.headers["X-Request-Cost"]) == Decimal(prompt_tokens * rate).scaleb(-9)
