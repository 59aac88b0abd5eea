"""The inventory of doors: each says who may come in, what for and how often, and it is true.

A route, an endpoint or a deed that is not in it fails the build: decide first, then open. The
cabinet's addresses say the same of themselves in `web/routes.py`.
"""

from typing import NamedTuple

import pytest

from altyn.api.routes import ROUTES
from altyn.control.deeds import DEEDS
from altyn.keys.store import SCOPES, KeyRules
from fakes.caller import Caller
from fakes.gateway import Gateway


class Door(NamedTuple):
    """`auth`: what has to be shown. `scope`: what it opens. `limit`: what keeps a flood out."""

    auth: str
    scope: str
    limit: str


KEY, TOKEN, NOBODY, OWNER = "key", "metrics token", "nobody", "owner of the home"
RATES, PARALLEL_READERS, ONE_LOOK = "rates of key and account", "four readers", "constant work"

API = {
    "POST /chat/completions": Door(KEY, "chat", RATES),
    "POST /chat/stream": Door(KEY, "chat", RATES),
    "GET /models": Door(KEY, "models", ONE_LOOK),
    "GET /models/{id}": Door(KEY, "models", ONE_LOOK),
    "GET /balance": Door(KEY, "balance", PARALLEL_READERS),
    "GET /usage": Door(KEY, "usage", PARALLEL_READERS),
    "GET /generations/{id}": Door(KEY, "usage", PARALLEL_READERS),
    "GET /key": Door(KEY, "key", PARALLEL_READERS),
}
OPERATIONS = {
    "/healthz": Door(NOBODY, "that it lives", ONE_LOOK),
    "/readyz": Door(NOBODY, "that it can take calls, or why not", ONE_LOOK),
    "/metrics": Door(TOKEN, "counts", ONE_LOOK),
    "/openapi.json": Door(NOBODY, "the description", ONE_LOOK),
}
READS = frozenset(
    {
        *("user.list", "key.list", "balance", "ledger.verify", "provider.list", "route.list"),
        *("catalog.list", "catalog.show", "price.list", "price.history", "price.export"),
        *("backup", "doctor", "provider.test"),
    }
)
CHANGES = frozenset(
    {
        *("user.add", "user.freeze", "user.unfreeze", "user.price_group"),
        *("key.create", "key.revoke", "deposit", "refund"),
        *("provider.add", "provider.set", "provider.drain", "provider.resume"),
        *("provider.import", "provider.remove"),
        *("route.add", "route.strategy", "route.remove", "catalog.import"),
        *("model.replace", "model.retire", "model.hide", "model.restore"),
        *("price.set", "price.end", "price.import", "markup.set"),
    }
)
CONTROL = {name: Door(OWNER, "looks", "one person") for name in READS} | {
    name: Door(OWNER, "changes", "one person") for name in CHANGES
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with Gateway(tmp_path_factory.mktemp("inventory") / "home", requests_per_minute="2") as running:
        yield running


def test_every_route_of_the_api_is_declared():
    assert {f"{route.method} {route.path}" for route in ROUTES} == set(API)
    assert {f"{route.method} {route.path}": route.scope for route in ROUTES} == {
        name: door.scope for name, door in API.items()
    }


def test_every_endpoint_of_the_operators_is_declared(place):
    assert set(place.app.operations.paths) == set(OPERATIONS)


def test_every_deed_of_the_control_door_is_declared():
    assert set(DEEDS) == set(CONTROL)
    assert not READS & CHANGES


def ask(place, name, key=None, **headers):
    method, path = name.split(" ")
    body = b"{}" if method == "POST" else None
    return Caller(place.base, key, **headers).call(method, path.replace("{id}", "x"), body)


@pytest.mark.parametrize("name", API)
def test_a_route_opens_to_a_key_with_its_scope_and_to_nothing_else(place, name):
    alice, door = place.add_customer(), API[name]
    others = tuple(scope for scope in SCOPES if scope != door.scope)
    wrong = place.add_key(alice.account_id, rules=KeyRules(scopes=others))
    right = place.add_key(alice.account_id, rules=KeyRules(scopes=(door.scope,)))
    elsewhere = {
        "x_api_key": alice.key,
        "api_key": alice.key,
        "cookie": f"key={alice.key}; session={alice.key}",
        "proxy_authorization": f"Bearer {alice.key}",
    }

    assert ask(place, name).status == 401
    assert ask(place, name, **elsewhere).status == 401
    assert ask(place, name, authorization=f"Basic {alice.key}").status == 401
    assert ask(place, name, place.app.operations.metrics_token).status == 401
    assert ask(place, name, wrong).code == "insufficient_scope"
    assert ask(place, name, right).status in {200, 400, 404}


@pytest.mark.parametrize("name", API)
def test_a_route_is_limited_as_it_says(place, name):
    customer = place.add_customer()

    codes = {ask(place, name, customer.key).code for _ in range(5)}

    assert ("rate_limit_exceeded" in codes) == (API[name].limit == RATES)


@pytest.mark.parametrize("path", OPERATIONS)
def test_an_endpoint_opens_as_it_says(place, path):
    alice = place.add_customer()
    token = place.app.operations.metrics_token
    opens = {
        "nobody": Caller(place.url).get(path).status,
        "key": Caller(place.url, alice.key).get(path).status,
        "token": Caller(place.url, token).get(path).status,
    }

    closed = 401 if OPERATIONS[path].auth == TOKEN else 200
    assert opens == {"nobody": closed, "key": closed, "token": 200}


@pytest.mark.parametrize("deed", sorted(CONTROL))
def test_no_deed_can_be_asked_for_over_http(place, deed):
    token = place.app.operations.metrics_token
    for path in (f"/{deed}", f"/control/{deed}", f"/api/v1/external/{deed}"):
        said = Caller(place.url, token).post(path, {"deed": deed, "arguments": {}})
        assert said.status in {403, 404, 405}
