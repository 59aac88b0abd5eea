"""The table of contents is true: every route in it is served, declared and closed to others."""

import pytest

from altyn.api.openapi import ANSWERS
from altyn.api.routes import BASE, ROUTES
from altyn.keys.store import SCOPES

CONTRACT = {
    ("POST", "/chat/completions", "chat", True),
    ("POST", "/chat/stream", "chat", True),
    ("GET", "/models", "models", False),
    ("GET", "/models/{id}", "models", False),
    ("GET", "/balance", "balance", False),
    ("GET", "/usage", "usage", False),
    ("GET", "/generations/{id}", "usage", False),
    ("GET", "/key", "key", False),
}


def test_the_routes_are_those_of_the_contract():
    declared = {(route.method, route.path, route.scope, route.paid) for route in ROUTES}

    assert declared == CONTRACT


def test_what_is_served_is_what_is_declared(house):
    api = house.app.api

    served = {(method, path) for path, (method, _) in api._exact.items()}
    served |= {(method, f"{path}{{id}}") for path, (method, _) in api._of_one.items()}

    assert served == {(route.method, f"{BASE}{route.path}") for route in ROUTES}


def test_every_route_has_a_scope_a_key_can_have_and_a_description():
    assert {route.scope for route in ROUTES} == set(SCOPES)
    assert {route.path for route in ROUTES} == set(ANSWERS)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_every_route_asks_for_its_scope(house, as_, alice, route, monkeypatch):
    asked = []
    doorkeeper = next(iter(house.app.api._exact.values()))[1].__self__.doorkeeper
    real = doorkeeper.authenticate

    async def authenticate(request, scope):
        asked.append(scope)
        return await real(request, scope)

    monkeypatch.setattr(doorkeeper, "authenticate", authenticate)
    as_(alice.key).call(route.method, route.path.replace("{id}", "x"), None)

    assert asked == [route.scope]


def test_only_paid_routes_create_records(house, as_, alice):
    for route in ROUTES:
        if not route.paid:
            as_(alice.key).get(route.path.replace("{id}", "x"))

    count = house.read("SELECT count(*) FROM usage_records WHERE account_id = $1", alice.account_id)
    assert count[0][0] == 0


def test_nobody_reaches_anything_of_anybody_else(house, as_, alice, bob):
    """Two customers, every route that takes a name, every name there is."""
    answers = {who: as_(who.key).chat() for who in (alice, bob)}
    house.wait_until_idle()
    names = {
        who: (
            answers[who].json["id"],
            answers[who].headers["x-request-id"],
            answers[who].json["id"].removeprefix("chatcmpl-"),
            str(who.account_id),
            str(who.key_id),
            who.email.replace("@", "%40"),
        )
        for who in (alice, bob)
    }

    for reader, owner in ((alice, bob), (bob, alice)):
        for name in names[owner]:
            for path in (f"/generations/{name}", f"/models/{name}"):
                assert as_(reader.key).get(path).status == 404
            for filtered in ("key_id", "account_id", "user", "model"):
                said = as_(reader.key).get(f"/usage?{filtered}={name}")
                assert said.status == 400 or said.json["data"] == []
            assert as_(reader.key).get(f"/key?id={name}").json["id"] == reader.key_id
        for name in names[reader][:3]:
            assert as_(reader.key).get(f"/generations/{name}").status == 200


def test_a_body_cannot_name_another_payer(house, as_, alice, bob):
    columns = ("account_id", "key_id", "price_group", "cost", "charge_nanos", "mode", "frozen_at")

    said = as_(alice.key).chat(**dict.fromkeys(columns, bob.account_id))

    assert said.headers["x-ignored-parameters"] == ", ".join(columns)
    assert as_(bob.key).get("/usage").json["data"] == []
