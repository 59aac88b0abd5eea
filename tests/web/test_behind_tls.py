"""Behind a proxy with TLS: what the public address says decides, for the server sees plain http."""

import httpx
import pytest
from people import HASHED, PASSWORD

from altyn.accounts.store import add_user
from fakes.gateway import Gateway

PUBLIC = "https://ai.example.test"


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    home = tmp_path_factory.mktemp("tls") / "home"
    with Gateway(home, public_url=PUBLIC) as running:
        running.write(lambda tx: add_user(tx, "ann@example.test", password_hash=HASHED))
        yield running


def log_in(house, **headers):
    form = {"email": "ann@example.test", "password": PASSWORD}
    return httpx.post(f"{house.url}/login", data=form, headers=headers)


def test_the_session_is_bound_to_this_host_and_to_https(house):
    cookie = log_in(house, origin=PUBLIC).headers["set-cookie"]

    assert cookie.startswith("__Host-altyn_session=")
    for part in ("Secure", "HttpOnly", "Path=/", "SameSite=lax"):
        assert part in cookie
    assert "Domain" not in cookie


def test_a_session_of_plain_http_is_not_taken(house):
    secret = log_in(house, origin=PUBLIC).cookies["__Host-altyn_session"]

    plain = httpx.get(f"{house.url}/app", cookies={"altyn_session": secret})
    bound = httpx.get(f"{house.url}/app", headers={"cookie": f"__Host-altyn_session={secret}"})

    assert (plain.status_code, bound.status_code) == (303, 200)


def test_browsers_are_told_to_stay_with_https(house):
    assert "max-age" in httpx.get(f"{house.url}/").headers["strict-transport-security"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": PUBLIC}, 303),
        ({"sec-fetch-site": "same-origin"}, 303),
        ({"origin": "https://ai.example.test.evil.example"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"sec-fetch-site": "same-site", "origin": PUBLIC}, 403),
        ({}, 403),
    ],
)
def test_only_forms_of_the_public_address_are_taken(house, headers, status):
    assert log_in(house, **headers).status_code == status
