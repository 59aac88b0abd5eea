"""Two people cannot see or touch anything of each other: over every address and every id."""

import httpx
import pytest
from people import sign_in

from altyn.web.routes import ROUTES

OWN = [route for route in ROUTES if route.access == "signed_in"]
WITH_IDS = [route for route in OWN if "{" in route.path and "{example}" not in route.path]
"""An example of the documentation is everybody's."""

MARK = "of-anna-alone"


@pytest.fixture(scope="module")
def anna(cabinet):
    """Somebody who has one of everything: a key, a session, money, a paid request, an entry."""
    cabinet.app.cabinet.forget_rates()
    with sign_in(cabinet) as person:
        person.key_id, key = person.create_key(f"key {MARK}")
        cabinet.deposit(person.account_id, "7.77", f"deposit {MARK}")
        httpx.post(
            f"{cabinet.base}/chat/completions",
            headers={"authorization": f"Bearer {key}"},
            json={"model": "sandbox/echo", "messages": [{"role": "user", "content": "Hello!"}]},
        ).raise_for_status()
        cabinet.wait_until_idle()
        yield person


@pytest.fixture(scope="module")
def ids(cabinet, anna):
    """Anna's id for each name that stands in a path. A new name has to be told here."""

    def one(sql):
        return cabinet.read(sql, anna.account_id)[0][0]

    request_id = one("SELECT request_id FROM usage_records WHERE account_id = $1")
    entry_id = one("SELECT id FROM entries WHERE chain_account_id = $1 ORDER BY id LIMIT 1")
    ((session_id,),) = cabinet.read("SELECT id FROM sessions WHERE user_id = $1", anna.user_id)
    return {
        "key_id": anna.key_id,
        "session_id": session_id,
        "request_id": f"req_{request_id}",
        "entry_id": entry_id,
        "month": "2026-01",
    }


@pytest.fixture
def boris(cabinet):
    with sign_in(cabinet) as person:
        yield person


def filled(route, ids):
    names = [part.strip("{}") for part in route.path.split("/") if part.startswith("{")]
    path = route.path
    for name in names:
        path = path.replace(f"{{{name}}}", str(ids[name.partition(":")[0]]))
    return path


def state_of(cabinet, anna):
    """Everything of Anna's that somebody could touch."""
    return [
        [tuple(row) for row in cabinet.read(sql, value)]
        for sql, value in (
            ("SELECT * FROM keys WHERE account_id = $1", anna.account_id),
            ("SELECT posted_nanos, held_nanos FROM accounts WHERE id = $1", anna.account_id),
            ("SELECT id, digest FROM sessions WHERE user_id = $1", anna.user_id),
            ("SELECT email, name, password_hash FROM users WHERE id = $1", anna.user_id),
            ("SELECT id FROM entries WHERE chain_account_id = $1", anna.account_id),
        )
    ]


@pytest.mark.parametrize("route", WITH_IDS, ids=lambda route: f"{route.method} {route.path}")
def test_what_has_an_id_of_somebody_else_is_not_there(cabinet, anna, boris, ids, route):
    before, path = state_of(cabinet, anna), filled(route, ids)
    form = {"name": "x", "scopes": ["chat"], "nonce": "0" * 20, "overlap": "now"}

    answer = boris.get(path) if route.method == "GET" else boris.post(path, form)

    # A month belongs to nobody: whose it is, the session says.
    assert answer.status_code == 404 or "{month}" in route.path
    assert MARK not in answer.text
    assert state_of(cabinet, anna) == before


@pytest.mark.parametrize(
    "route",
    [route for route in OWN if route.method == "GET" and "{" not in route.path],
    ids=lambda route: route.path,
)
def test_no_page_of_one_shows_anything_of_the_other(anna, boris, route):
    text = boris.get(route.path).text

    assert MARK not in text
    assert anna.email not in text
    assert "7.77" not in text


@pytest.mark.parametrize(
    "query", ["key={key_id}", "key_id={key_id}", "q=of-anna", "request={request_id}"]
)
@pytest.mark.parametrize(
    "path", ["/app", "/app/keys", "/app/usage", "/app/requests", "/app/billing"]
)
def test_no_filter_reaches_into_another_account(anna, boris, ids, path, query):
    text = boris.get(f"{path}?{query.format(**ids)}").text

    assert MARK not in text.replace('value="of-anna', "")
    assert "7.77" not in text
