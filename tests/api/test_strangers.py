"""Every route, every name of somebody else, in every place a name fits: nothing of his comes back.

The matrix is made from the table of routes, so a new route is in it by itself.
"""

import json

import pytest

from altyn.api.routes import ROUTES
from altyn.keys.store import KeyRules
from fakes.caller import Caller

SAID = "bobs-canary-what-he-said"
FILTERS = (
    *("from", "to", "model", "key_id", "status", "mode", "group_by", "limit", "cursor", "page"),
    *("account_id", "account", "user", "user_id", "email", "id", "request_id", "generation"),
)
BODY = {"model": "sandbox/echo", "messages": [{"role": "user", "content": SAID}]}


@pytest.fixture(scope="module")
def names(house):
    """Bob, what he did, and every name that something of his has."""
    bob = house.add_customer("7.654321")
    caller = Caller(house.base, bob.key)
    first = caller.post("/chat/completions", BODY, idempotency_key="bobs-order-1")
    caller.post("/chat/stream", BODY, idempotency_key="bobs-order-2")
    house.wait_until_idle()
    usage = caller.get("/usage?limit=1").json
    request_id = first.headers["x-request-id"]
    bare = request_id.removeprefix("req_")
    assert usage["has_more"]
    return bob, {
        "generation": first.json["id"],
        "request": request_id,
        "bare id": bare,
        "upper case": bare.upper(),
        "key id": str(bob.key_id),
        "test key id": str(bob.test_key_id),
        "account id": str(bob.account_id),
        "email": bob.email,
        "cursor": usage["next_cursor"],
        "wildcard": "%25",
        "either": f"{bare}'%20OR%20'1'='1",
        "everything": "*",
        "array": f"{bob.key_id},{bob.test_key_id}",
    }


def leaks(said, bob, names):
    told = said.body.decode() + str(said.headers)
    private = (SAID, bob.email, bob.key[8:], "7.654321", names["generation"], names["bare id"])
    return [word for word in private if word in told]


def keys_of(house, somebody):
    """All kinds of key that he may call with."""
    return {
        "live": somebody.key,
        "test": somebody.test_key,
        "usage only": house.add_key(somebody.account_id, rules=KeyRules(scopes=("usage",))),
    }


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_nothing_of_anybody_else_comes_back(house, alice, names, route):
    bob, his = names
    for key in keys_of(house, alice).values():
        caller = Caller(house.base, key)
        for name in his.values():
            path = route.path.replace("{id}", name)
            if route.method == "POST":
                fields = {"user": name, "id": name, "account_id": name, "metadata": {"id": name}}
                body = {**BODY, "messages": [{"role": "user", "content": "mine"}], **fields}
                answers = [caller.post(path, body, idempotency_key=name[:200])]
            else:
                answers = [caller.get(path)]
                answers += [caller.get(f"{path}?{query}={name}") for query in FILTERS]
            for said in answers:
                assert said.status in {200, 400, 403, 404, 409, 429}
                assert [word for word in leaks(said, bob, his) if word not in name] == []


@pytest.mark.parametrize("kind", ["generation", "request", "bare id"])
def test_a_name_of_somebody_else_is_not_there_rather_than_forbidden(house, alice, names, kind):
    _, his = names

    said = Caller(house.base, alice.key).get(f"/generations/{his[kind]}")
    none = Caller(house.base, alice.key).get(f"/generations/{his[kind][:-1]}0")

    assert (said.status, said.code) == (none.status, none.code) == (404, "not_found")
    assert said.error["message"] == none.error["message"]


@pytest.mark.parametrize("order", ["bobs-order-1", "bobs-order-2"])
def test_the_same_order_name_is_another_order(house, alice, names, order):
    _, his = names

    said = Caller(house.base, alice.key).post("/chat/completions", BODY, idempotency_key=order)

    assert said.status == 200
    assert "idempotent-replayed" not in said.headers
    assert his["bare id"] not in said.body.decode()


def test_the_usage_of_a_key_of_somebody_else_is_no_usage(house, alice, names):
    bob, _ = names

    for query in (f"key_id={bob.key_id}", f"key_id={bob.key_id}&group_by=key"):
        usage = Caller(house.base, alice.key).get(f"/usage?{query}").json
        assert (usage["data"], usage["summary"]["requests"]) == ([], 0)


def test_a_cursor_of_somebody_else_pages_through_ones_own(house, alice, names):
    _, his = names

    page = Caller(house.base, alice.key).get(f"/usage?cursor={his['cursor']}")

    assert json.loads(page.body)["data"] == []
