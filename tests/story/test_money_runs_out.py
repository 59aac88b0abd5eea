"""A balance worth k calls serves exactly k, however many ask at once; the others are told why."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from books import books_agree, look
from calls import MODEL, chat, exact, wait_until
from server import Server
from shops import Shop, open_shop

from altyn.accounts.store import freeze_account
from altyn.catalog.price import Price
from altyn.keys.store import KeyRules
from altyn.money import parse_nanos
from fakes.gateway import Gateway
from fakes.openai_server import FakeOpenAI, Reply
from fakes.postgres import TemporaryPostgres

AT_ONCE = 64
AFFORDABLE = 5
FEE = "0.01"
PER_CALL = Price(input=0, output=0, request=parse_nanos(FEE))
"""What is held is what is charged: so many calls, and not one more, whoever comes first."""


def ask_at_once(calls: list[tuple[Gateway, str]], **fields: Any) -> list[Any]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(lambda call: chat(*call, **fields), calls))


def count(answers: list[Any]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


@pytest.fixture
def poor_shop(gateway: Gateway, openrouter: FakeOpenAI) -> Shop:
    """Somebody with money for exactly so many calls."""
    shop = open_shop(gateway, openrouter, balance=str(Decimal(FEE) * AFFORDABLE))
    gateway.set_price(MODEL, PER_CALL)
    return shop


@pytest.mark.parametrize("stream", [False, True])
def test_exactly_as_many_calls_succeed_as_the_balance_is_worth(
    poor_shop: Shop, *, stream: bool
) -> None:
    gateway, customer, vendor = poor_shop

    answers = ask_at_once([(gateway, customer.key)] * AT_ONCE, stream=stream)

    assert count(answers) == {200: AFFORDABLE, 402: AT_ONCE - AFFORDABLE}
    assert len(books_agree(*poor_shop)) == len(vendor.billed) == AFFORDABLE
    assert look(gateway, customer.key, "/balance")["available"] == "0.000000000"


def test_what_is_held_for_others_cannot_be_spent_and_the_refusal_says_so(
    poor_shop: Shop,
) -> None:
    gateway, customer, vendor = poor_shop
    vendor.says(*[Reply(wait_after=0)] * AFFORDABLE)

    with ThreadPoolExecutor(AFFORDABLE) as pool:
        running = [pool.submit(chat, gateway, customer.key) for _ in range(AFFORDABLE)]
        wait_until(lambda: len(vendor.calls) == AFFORDABLE)
        refused = chat(gateway, customer.key)
        balance = look(gateway, customer.key, "/balance")
        vendor.go_on()

    error = exact(refused)["error"]
    assert refused.status_code == 402
    assert error["code"] == "insufficient_balance"
    assert (error["required"], error["available"]) == ("0.010000000", "0.000000000")
    assert (error["held"], error["shortfall"]) == ("0.050000000", "0.010000000")
    assert error["affordable_max_tokens"] is None
    assert error["top_up_url"].startswith("http")
    assert (balance["balance"], balance["held"]) == ("0.050000000", "0.050000000")
    assert [future.result().status_code for future in running] == [200] * AFFORDABLE
    books_agree(*poor_shop)


def test_the_affordable_max_tokens_are_affordable(gateway: Gateway, openrouter: FakeOpenAI) -> None:
    shop = open_shop(gateway, openrouter, balance="0.02")
    refused = exact(chat(gateway, shop.customer.key, max_tokens=8000))["error"]

    affordable = refused["affordable_max_tokens"]
    one_more = chat(gateway, shop.customer.key, max_tokens=affordable + 1)
    served = chat(gateway, shop.customer.key, max_tokens=affordable)

    assert 1 <= affordable < 8000
    assert one_more.status_code == 402
    assert served.status_code == 200
    books_agree(*shop)


def test_a_spend_limit_of_a_key_holds_in_parallel_too(
    gateway: Gateway, openrouter: FakeOpenAI
) -> None:
    shop = open_shop(gateway, openrouter)
    gateway.set_price(MODEL, PER_CALL)
    limit = parse_nanos(FEE) * AFFORDABLE
    key = gateway.add_key(shop.customer.account_id, rules=KeyRules(limit_nanos=limit))

    answers = ask_at_once([(gateway, key)] * AT_ONCE)

    assert count(answers) == {200: AFFORDABLE, 402: AT_ONCE - AFFORDABLE}
    error = next(exact(answer)["error"] for answer in answers if answer.status_code == 402)
    assert (error["code"], error["limit"]) == ("key_limit_exceeded", "0.050000000")
    assert chat(gateway, shop.customer.key).status_code == 200
    books_agree(*shop)


def test_a_frozen_account_may_look_but_not_call_and_what_runs_is_settled(shop: Shop) -> None:
    gateway, customer, vendor = shop
    vendor.says(Reply(wait_after=0))

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(chat, gateway, customer.key)
        wait_until(lambda: bool(vendor.calls))
        gateway.write(lambda tx: freeze_account(tx, customer.account_id))
        refused = chat(gateway, customer.key)
        vendor.go_on()

    assert refused.status_code == 403
    assert exact(refused)["error"]["code"] == "account_frozen"
    assert running.result().status_code == 200
    (generation,) = books_agree(*shop)
    assert generation["outcome"] == "charged"


# Two nodes on one PostgreSQL ------------------------------------------------------------------


@pytest.fixture
def shared_url(postgres: TemporaryPostgres, tmp_path: Path) -> str:
    return postgres.make_database(f"shared_{abs(hash(str(tmp_path))) % 10**8}")


@pytest.fixture
def home_of_both(tmp_path: Path) -> Path:
    """One home, for both nodes must share the secret that keys are digested with."""
    return tmp_path / "home"


def test_two_nodes_do_not_spend_the_same_money(
    shared_url: str, home_of_both: Path, openrouter: FakeOpenAI
) -> None:
    with Gateway(home_of_both, shared_url) as one:
        shop = open_shop(one, openrouter, balance=str(Decimal(FEE) * AFFORDABLE))
        one.set_price(MODEL, PER_CALL)
        with Gateway(home_of_both, shared_url) as two:
            answers = ask_at_once([(one, shop.customer.key), (two, shop.customer.key)] * 32)

            two.wait_until_idle()
            assert count(answers) == {200: AFFORDABLE, 402: AT_ONCE - AFFORDABLE}
            assert len(books_agree(*shop)) == AFFORDABLE


def test_two_processes_do_not_spend_the_same_money(
    shared_url: str, home_of_both: Path, openrouter: FakeOpenAI
) -> None:
    with Gateway(home_of_both, shared_url) as office:
        shop = open_shop(office, openrouter, balance=str(Decimal(FEE) * AFFORDABLE))
        office.set_price(MODEL, PER_CALL)

        with Server(home_of_both, shared_url) as one, Server(home_of_both, shared_url) as two:
            calls: list[Any] = [(one, shop.customer.key), (two, shop.customer.key)] * 32
            answers = ask_at_once(calls)
            ends = (one.stop(), two.stop())

        assert ends == (0, 0)
        assert count(answers) == {200: AFFORDABLE, 402: AT_ONCE - AFFORDABLE}
        assert len(books_agree(*shop)) == AFFORDABLE
