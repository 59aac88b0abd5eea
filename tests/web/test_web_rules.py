"""What holds for every address: who may open it, from where, how often, with which headers."""

import pytest
from people import Person, sign_in

from altyn.web.access import ROLES
from altyn.web.rate import Limit
from altyn.web.routes import ROUTES

ACCESS = ("anybody", "signed_in", *ROLES)
POSTS = [route for route in ROUTES if route.method == "POST"]
CLOSED = [route for route in ROUTES if route.access != "anybody"]


def name_of(route):
    return f"{route.method} {route.path}"


def filled(route, value="1"):
    """The route's path with something in the places of its ids."""
    parts = [value if part.startswith("{") else part for part in route.path.split("/")]
    return "/".join(parts)


def ask(person, route, **headers):
    if route.method == "GET":
        return person.get(filled(route), **headers)
    return person.post(filled(route), **headers)


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
def test_every_route_says_who_may_open_it_and_how_often(route):
    assert route.access in ACCESS
    assert isinstance(route.limit, Limit)
    assert 0 < route.limit.per_minute <= 1000
    # Somebody who is not known can only be counted by where they come from.
    assert route.access != "anybody" or route.limit.by == "address"


def test_no_address_is_listed_twice():
    names = [name_of(route) for route in ROUTES]

    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
def test_what_belongs_to_somebody_is_not_open_to_everybody(route):
    if route.path.startswith("/app"):
        assert route.access == "signed_in"
    if route.path.startswith("/admin"):
        assert route.access in ROLES


@pytest.mark.parametrize("route", CLOSED, ids=name_of)
def test_a_stranger_is_sent_to_the_door(stranger, route):
    answer = ask(stranger, route)

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login")


@pytest.mark.parametrize("route", [route for route in CLOSED if route.access in ROLES], ids=name_of)
def test_a_customer_does_not_get_into_the_console(customer, route):
    assert ask(customer, route).status_code == 403


@pytest.mark.parametrize("route", POSTS, ids=name_of)
@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "none"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
    ids=str,
)
def test_a_form_of_another_site_does_nothing(customer, route, headers):
    answer = ask(customer, route, **headers)

    assert answer.status_code == 403
    assert "another site" in answer.text
    assert customer.get("/app").status_code == 200


@pytest.mark.parametrize("path", ["/", "/login", "/app", "/app/keys", "/nothing"])
def test_every_page_comes_with_its_policy_and_is_not_kept(customer, path):
    headers = customer.get(path).headers

    assert "script-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-request-id"].startswith("req_")


def test_the_session_cookie_cannot_be_read_by_scripts_or_sent_by_other_sites(cabinet):
    with sign_in(cabinet) as person:
        set_cookie = person.log_in(person.email).headers["set-cookie"]

    assert "HttpOnly" in set_cookie
    assert "SameSite=lax" in set_cookie
    assert "Domain" not in set_cookie


def test_an_unknown_page_is_a_page_for_people_and_json_for_programs(customer):
    for_people = customer.get("/app/nothing")
    for_programs = customer.get("/nothing", accept="application/json")

    assert (for_people.status_code, for_programs.status_code) == (404, 404)
    assert "There is no such page" in for_people.text
    assert for_programs.json()["error"]["code"] == "not_found"


def test_a_page_of_htmx_that_fails_leaves_the_old_one_alone(customer):
    answer = customer.get("/app/keys/999/revoke", hx_request="true", hx_request_type="partial")

    assert answer.status_code == 404
    assert answer.headers["hx-retarget"] == "#toaster"
    assert "<html" not in answer.text


def test_a_form_is_not_read_without_end(customer):
    answer = customer.post("/choices", {"language": "x" * 300_000})

    assert answer.status_code == 413


def test_whoever_asks_too_often_is_told_when_to_come_back(cabinet):
    with Person(cabinet) as guesser:
        statuses = [
            guesser.log_in(f"guess{number}@example.test", "wrong").status_code
            for number in range(12)
        ]
        refused = guesser.post("/login", {"email": "one@more.test"})

    assert statuses.count(422) == 10
    assert refused.status_code == 429
    assert "Too many attempts" in refused.text


# How pages look ----------------------------------------------------------------------------------


def test_the_language_is_the_links_then_the_choice_then_the_browsers(cabinet):
    with Person(cabinet, language="ru") as reader:
        by_browser = reader.get("/login").text
        reader.post("/choices", {"language": "en"})
        by_choice = reader.get("/login").text
        by_link = reader.get("/login?lang=ru").text

    assert [text.count('lang="ru" class') for text in (by_browser, by_choice, by_link)] == [1, 0, 1]


def test_a_person_keeps_their_language_in_every_browser(cabinet, customer):
    customer.post("/choices", {"language": "ru"})

    with Person(cabinet) as elsewhere:
        elsewhere.log_in(customer.email)
        assert 'lang="ru"' in elsewhere.get("/app").text


@pytest.mark.parametrize("theme", ["light", "dark", "system"])
def test_the_theme_is_in_the_page_from_the_first_byte(stranger, theme):
    stranger.post("/choices", {"theme": theme})

    assert f'class="{theme}"' in stranger.get("/").text


def test_a_made_up_choice_is_ignored(stranger):
    stranger.post("/choices", {"theme": '"><script>', "language": "xx"})

    assert 'class="system"' in stranger.get("/").text
