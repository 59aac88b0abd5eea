"""A model ends at its vendor: what callers of the old name are told, given and charged."""

from collections.abc import Iterator

import pytest

from altyn.catalog.lifecycle import hide_model, replace_model, restore_model, retire_model
from altyn.database.engine import now_ms
from altyn.keys.store import KeyRules
from fakes.caller import Caller
from fakes.gateway import Customer, Gateway

OLD, NEW = "anthropic/claude-3.7-sonnet", "sandbox/echo"
IN_A_YEAR_MS = 365 * 24 * 3_600_000


@pytest.fixture
def alice(gateway: Gateway) -> Customer:
    return gateway.add_customer()


@pytest.fixture
def caller(gateway: Gateway, alice: Customer) -> Iterator[Caller]:
    """Somebody who calls the old name, which the operator has given to a new model."""
    gateway.write(lambda tx: replace_model(tx, OLD, NEW))
    return Caller(gateway.base, alice.key)


def test_the_old_name_is_answered_and_charged_as_its_successor(caller):
    under_the_new_name = caller.chat(model=NEW)

    said = caller.chat(model=OLD)

    assert (said.status, said.json["model"]) == (200, NEW)
    assert said.headers["x-request-cost"] == under_the_new_name.headers["x-request-cost"] != "0"


def test_every_event_of_a_stream_names_who_answers(caller):
    said = caller.chat("/chat/stream", model=OLD)

    assert {event["model"] for event in said.events[:-1]} == {NEW}


def test_the_record_stands_under_the_name_that_was_called_and_says_who_answered(caller):
    caller.chat(model=OLD)
    caller.chat(model=NEW)

    told = caller.get(f"/usage?model={OLD}").json

    assert [(one["model"], one["served_model"]) for one in told["data"]] == [(OLD, NEW)]
    assert told["summary"]["requests"] == 1
    assert caller.get("/usage?group_by=model").json["summary"]["requests"] == 2


def test_the_receipt_is_computed_by_the_successors_price(caller):
    said = caller.chat(model=OLD)

    receipt = caller.get(f"/generations/{said.json['id']}").json

    assert receipt["served_model"] == NEW
    assert [line["price"] for line in receipt["receipt"]] == ["0.0000001", "0.0000004"]


def test_the_list_of_models_says_who_answers_at_which_price(caller):
    old, new = (caller.get(f"/models/{model}").json for model in (OLD, NEW))

    assert (old["id"], old["name"], old["replaced_by"]) == (OLD, "Claude 3.7 Sonnet", NEW)
    assert (old["pricing"], old["available"]) == (new["pricing"], True)
    assert old["description"].startswith(f"Answered by {NEW}")
    assert (old["context_length"], old["retires_at"]) == (new["context_length"], "2026-02-19")


def test_of_a_chain_of_replacements_the_last_is_named(gateway, caller):
    gateway.write(lambda tx: replace_model(tx, NEW, "sandbox/lorem"))

    card = caller.get(f"/models/{OLD}").json

    assert card["replaced_by"] == "sandbox/lorem"
    assert caller.chat(model=OLD).json["model"] == "sandbox/lorem"


def test_it_is_said_in_russian_too(gateway, alice, caller):
    said = Caller(gateway.base, alice.key, accept_language="ru").get(f"/models/{OLD}")

    assert said.json["description"].startswith(f"Отвечает {NEW}")


def test_a_key_may_call_the_names_on_its_list_and_no_others(gateway, alice, caller):
    for_the_old = gateway.add_key(alice.account_id, rules=KeyRules(models=(OLD,)))
    for_the_new = gateway.add_key(alice.account_id, rules=KeyRules(models=(NEW,)))

    codes = {
        (name, model): Caller(gateway.base, key).chat(model=model).code
        for name, key in (("old", for_the_old), ("new", for_the_new))
        for model in (OLD, NEW)
    }

    assert codes == {
        ("old", OLD): None,
        ("old", NEW): "model_not_allowed",
        ("new", OLD): "model_not_allowed",
        ("new", NEW): None,
    }


def test_a_restored_name_is_its_own_model_again(gateway, caller):
    gateway.write(lambda tx: restore_model(tx, OLD))

    said = caller.chat(model=OLD)

    assert (said.status, said.code) == (404, "model_not_found")
    assert said.error["retired_at"] == "2026-02-19"


def test_a_retired_model_names_its_successor(gateway, alice):
    gateway.write(lambda tx: retire_model(tx, NEW, retires_at=now_ms(), replaced_by="house/next"))
    caller = Caller(gateway.base, alice.key)

    said = caller.chat(model=NEW)
    card = caller.get(f"/models/{NEW}").json

    assert (said.status, said.code, said.error["replaced_by"]) == (
        404,
        "model_not_found",
        "house/next",
    )
    assert "call 'house/next' instead" in said.error["message"]
    assert (card["available"], card["replaced_by"]) == (False, "house/next")
    assert card["retires_at"] in card["description"]


def test_a_model_that_will_be_retired_is_served_until_then(gateway, alice):
    then = now_ms() + IN_A_YEAR_MS
    gateway.write(lambda tx: retire_model(tx, NEW, retires_at=then, replaced_by=None))
    caller = Caller(gateway.base, alice.key)

    card = caller.get(f"/models/{NEW}").json

    assert caller.chat(model=NEW).status == 200
    assert card["available"] is True
    assert card["retires_at"] is not None


def test_a_hidden_model_is_neither_listed_nor_served(gateway, alice):
    gateway.write(lambda tx: hide_model(tx, NEW))
    caller = Caller(gateway.base, alice.key)

    listed = [card["id"] for card in caller.get("/models").json["data"]]

    assert NEW not in listed
    assert caller.chat(model=NEW).code == "model_not_found"
