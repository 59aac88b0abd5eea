"""Whom to ask: shown where the operator has said so, and most of all to whoever is frozen out."""

import pytest
from browser import NARROW, assert_accessible, assert_fits, assert_russian
from people import Person, sign_in

from altyn.accounts.store import freeze_account
from fakes.gateway import Gateway

CONTACT = "help@shop.example"
PAGES = (
    "/app",
    "/app/keys",
    "/app/usage",
    "/app/billing",
    "/app/settings",
    "/app/keys/new",
    "/docs",
)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A gateway whose customers know whom to write to."""
    home = tmp_path_factory.mktemp("support") / "home"
    with Gateway(home, support_contact=CONTACT, sign_up="closed") as running:
        yield running


def freeze(house, person, *, frozen=True):
    house.write(lambda tx: freeze_account(tx, person.account_id, frozen=frozen))


@pytest.mark.parametrize("path", ["/", "/login", "/signup", "/nothing"])
def test_a_stranger_sees_whom_to_ask(house, path):
    with Person(house) as stranger:
        assert f'href="mailto:{CONTACT}"' in stranger.get(path).text


def test_a_link_is_a_link_by_name(tmp_path):
    link = "https://help.example/ask?from=altyn&you=1"
    with Gateway(tmp_path / "home", support_contact=link) as other, Person(other) as stranger:
        text = stranger.get("/login").text

    assert '<a href="https://help.example/ask?from=altyn&amp;you=1" rel="noreferrer">' in text


def test_where_nobody_is_named_nobody_is_shown(stranger):
    assert "mailto:" not in stranger.get("/login").text


def test_a_page_that_fails_names_the_request_and_whom_to_ask(house):
    with Person(house) as stranger:
        answer = stranger.get("/app/nothing")

    main = answer.text.partition("<main")[2].partition("</main>")[0]
    assert answer.headers["x-request-id"] in main
    assert CONTACT in main


def test_a_frozen_account_is_told_so_on_every_page_and_no_longer_after(house):
    with sign_in(house) as person, sign_in(house) as neighbour:
        freeze(house, person)
        told = [person.get(path).text.count("Your account is frozen") for path in PAGES]
        beside = neighbour.get("/app").text
        freeze(house, person, frozen=False)
        after = person.get("/app").text

    assert told == [1] * len(PAGES)
    assert "frozen" not in beside
    assert "frozen" not in after


def test_whoever_is_frozen_looks_takes_along_and_signs_in(house):
    with sign_in(house) as person:
        person.create_key()
        freeze(house, person)
        looks = [person.get(path).status_code for path in (*PAGES, "/app/usage.csv")]
        again = person.log_in(person.email)

    assert looks == [200] * len(looks)
    assert again.status_code == 303


def test_without_a_contact_the_banner_sends_to_whoever_runs_the_place(cabinet, customer):
    freeze(cabinet, customer)

    assert "ask whoever runs this place" in customer.get("/app").text


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_banner_reads_well_on_a_phone_in_russian(house, open_page, theme):
    with sign_in(house, language="ru") as person:
        freeze(house, person)
        page = open_page(person, "/app/keys", viewport=NARROW, color_scheme=theme)

        assert_accessible(page)
        assert_fits(page)
        assert_russian(page)
        assert page.get_by_text("Ваш счёт заморожен").is_visible()
