"""What customer, ledger and vendor say about the same calls must be the same, to the nano.

Every story ends with `books_agree(gateway, customer, vendor)`.
"""

import json
from collections import Counter
from decimal import ROUND_CEILING, Decimal
from typing import Any

import requests

from altyn.money import parse_nanos
from fakes.gateway import Customer, Gateway
from fakes.openai_server import FakeOpenAI

PAGE = 3
"""Small pages, so that paging is walked through as well."""
REPORTED = ("charged", "charged_cancelled", "charged_capped")

Card = dict[str, Any]


def look(gateway: Gateway, key: str, path: str, **query: Any) -> Any:
    """An answer of the API with its numbers as they are written: no float touches money."""
    response = requests.get(
        gateway.base + path, params=query, headers={"Authorization": f"Bearer {key}"}, timeout=20
    )
    assert response.status_code == 200, response.text
    return json.loads(response.text, parse_float=Decimal)


def list_usage(gateway: Gateway, key: str) -> tuple[list[Card], Card]:
    """Every usage record, page by page, and the summary."""
    cards: list[Card] = []
    query: dict[str, Any] = {"limit": PAGE}
    while True:
        page = look(gateway, key, "/usage", **query)
        cards += page["data"]
        if not page["has_more"]:
            return cards, page["summary"]
        query["cursor"] = page["next_cursor"]


def books_agree(
    gateway: Gateway, customer: Customer, vendor: FakeOpenAI | None = None
) -> list[Card]:
    """Compare all five tellings of the same calls. Returns the generations, the newest first."""
    gateway.wait_until_idle()
    gateway.verify()
    cards, summary = list_usage(gateway, customer.key)
    generations = [_generation(gateway, customer, card) for card in cards]
    _summary_is_the_sum(cards, summary)
    _balance_is_what_is_left(gateway, customer, cards)
    _ledger_has_each_charge_once(gateway, customer, cards)
    for generation in generations:
        _receipt_adds_up(generation)
    if vendor is not None:
        _vendor_counted_the_same(generations, vendor)
    return generations


def _generation(gateway: Gateway, customer: Customer, card: Card) -> Card:
    """The record in full, found by either of its names; it says what the list says."""
    found: Card = look(gateway, customer.key, f"/generations/{card['id']}")
    by_request = look(gateway, customer.key, f"/generations/{found['request_id']}")
    assert found == by_request
    assert {name: found[name] for name in card} == card
    return found


def _summary_is_the_sum(cards: list[Card], summary: Card) -> None:
    assert summary["requests"] == len(cards)
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        assert summary[name] == sum(card[name] or 0 for card in cards), name
    assert parse_nanos(summary["cost"]) == _charged(cards)


def _balance_is_what_is_left(gateway: Gateway, customer: Customer, cards: list[Card]) -> None:
    money = {
        name: parse_nanos(amount)
        for name, amount in look(gateway, customer.key, "/balance").items()
        if name not in ("object", "currency")
    }
    assert money["held"] == 0
    assert money["balance"] == money["available"] >= 0
    assert money["total_used"] == _charged(cards)
    assert money["balance"] == money["total_deposited"] - money["total_used"]


def _ledger_has_each_charge_once(gateway: Gateway, customer: Customer, cards: list[Card]) -> None:
    rows = gateway.read(
        "SELECT ref, amount_nanos FROM entries WHERE kind = 'settle' AND debit_account_id = $1",
        customer.account_id,
    )
    charges = {card["id"]: parse_nanos(card["cost"]) for card in cards}
    assert len(rows) == len({ref for ref, _ in rows})
    assert {f"chatcmpl-{ref}": nanos for ref, nanos in rows} == {
        name: nanos for name, nanos in charges.items() if nanos
    }


def _receipt_adds_up(generation: Card) -> None:
    cost = parse_nanos(generation["cost"])
    total = sum((Decimal(line["amount"]) for line in generation["receipt"]), Decimal())
    nanos = int((total * 10**9).to_integral_value(rounding=ROUND_CEILING))
    if generation["outcome"] in ("charged_capped", "charged_estimated"):
        assert cost == min(nanos, parse_nanos(generation["held"]))
    else:
        assert cost == nanos


def _vendor_counted_the_same(generations: list[Card], vendor: FakeOpenAI) -> None:
    ours = Counter(
        (generation["prompt_tokens"], generation["completion_tokens"])
        for generation in generations
        if generation["outcome"] in REPORTED and not generation["model"].startswith("sandbox/")
    )
    theirs = Counter(
        (bill["prompt_tokens"], bill["completion_tokens"])
        for bill in vendor.billed
        if bill["reported"] and bill["complete"]
    )
    assert ours == theirs


def losses(gateway: Gateway, customer: Customer) -> list[tuple[int, str]]:
    """What the operator lost by this customer's calls, and why, in the order it was booked."""
    rows = gateway.read(
        "SELECT e.amount_nanos, e.reason FROM entries e"
        " JOIN usage_records u ON u.request_id = e.ref"
        " WHERE e.kind = 'loss' AND u.account_id = $1 ORDER BY e.id",
        customer.account_id,
    )
    return [(nanos, reason) for nanos, reason in rows]


def recorded(gateway: Gateway, customer: Customer, column: str) -> list[Any]:
    """What the operator can read in the records of this customer."""
    rows = gateway.read(
        f"SELECT {column} FROM usage_records WHERE account_id = $1", customer.account_id
    )
    return [value for (value,) in rows]


def _charged(cards: list[Card]) -> int:
    return sum(parse_nanos(card["cost"]) for card in cards)
