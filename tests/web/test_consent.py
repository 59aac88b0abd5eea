"""The operator's terms and privacy policy: linked everywhere, agreed to once, and kept."""

import re

import pytest
from browser import NARROW, WIDE, assert_accessible, assert_fits, assert_russian
from people import PASSWORD, Person, sign_in

from fakes.gateway import Gateway

TERMS = "https://shop.example/terms?v=3&x=1"
PRIVACY = "https://shop.example/privacy"
BOTH = {"agree_terms": TERMS, "agree_privacy": PRIVACY}


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A gateway whose operator has terms and a privacy policy."""
    home = tmp_path_factory.mktemp("consent") / "home"
    with Gateway(home, terms_url=TERMS, privacy_url=PRIVACY) as running:
        yield running


@pytest.fixture
def visitor(house):
    house.app.cabinet.forget_rates()
    with Person(house) as person:
        yield person


def sign_up(person, email, **boxes):
    return person.post("/signup", {"email": email, "password": PASSWORD, **boxes})


def consents(house, email):
    rows = house.read(
        "SELECT c.document, c.url, c.agreed_at FROM consents c JOIN users u ON u.id = c.user_id"
        " WHERE u.email = $1 ORDER BY c.document",
        email,
    )
    return [tuple(row) for row in rows]


# The links ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/login", "/models", "/nothing"])
def test_a_stranger_finds_both_documents_below_the_page(visitor, path):
    foot = visitor.get(path).text.partition('<footer class="foot">')[2]

    assert 'href="https://shop.example/terms?v=3&amp;x=1" rel="noreferrer">Terms of use<' in foot
    assert 'href="https://shop.example/privacy" rel="noreferrer">Privacy policy<' in foot


def test_a_customer_finds_them_in_the_cabinet_in_their_language(house):
    with sign_in(house, language="ru") as person:
        foot = person.get("/app").text.partition('<footer class="foot">')[2]

    assert ">Условия использования<" in foot
    assert ">Политика конфиденциальности<" in foot


def test_where_no_document_is_set_nothing_is_linked_asked_or_kept(cabinet, stranger):
    shown = stranger.get("/signup").text
    answer = sign_up(stranger, "plain@example.test")

    assert "agree_" not in shown
    assert "Terms of use" not in shown
    assert answer.headers["location"] == "/app"
    assert consents(cabinet, "plain@example.test") == []


def test_one_document_is_one_box(tmp_path):
    with Gateway(tmp_path / "home", privacy_url=PRIVACY) as other, Person(other) as person:
        shown = person.get("/signup").text
        answer = sign_up(person, "one@example.test", agree_privacy=PRIVACY)
        kept = [consent[:2] for consent in consents(other, "one@example.test")]

    assert shown.count('type="checkbox"') == 1
    assert answer.headers["location"] == "/app"
    assert kept == [("privacy", PRIVACY)]


# The boxes ---------------------------------------------------------------------------------------


def test_no_box_is_ticked_beforehand(visitor):
    shown = visitor.get("/signup").text

    assert shown.count('type="checkbox"') == 2
    assert " checked" not in shown


@pytest.mark.parametrize("missing", ["agree_terms", "agree_privacy"])
def test_without_every_box_no_account_is_made(house, visitor, missing):
    boxes = {name: value for name, value in BOTH.items() if name != missing}

    answer = sign_up(visitor, "half@example.test", **boxes)

    (ticked,) = boxes
    assert answer.status_code == 422
    assert answer.text.count("An account needs your agreement to this.") == 1
    assert f'id="wrong-{missing}"' in answer.text
    assert f'aria-describedby="wrong-{missing}" aria-invalid="true"' in answer.text
    assert re.search(rf'name="{ticked}" value="[^"]+" required checked', answer.text)
    assert answer.text.count(" checked") == 1
    assert 'value="half@example.test"' in answer.text
    assert not house.read("SELECT 1 FROM users WHERE email = 'half@example.test'")


def test_a_document_that_moved_while_the_form_was_open_is_asked_for_anew(house, visitor):
    older = {**BOTH, "agree_terms": "https://shop.example/terms?v=2"}

    answer = sign_up(visitor, "late@example.test", **older)

    assert answer.status_code == 422
    assert 'id="wrong-agree_terms"' in answer.text
    assert consents(house, "late@example.test") == []


def test_what_was_agreed_to_and_when_is_kept_and_in_the_data_of_the_person(house, visitor):
    answer = sign_up(visitor, "anna@example.test", **BOTH)
    told = visitor.get("/app/settings/export").json()["consents"]

    assert answer.headers["location"] == "/app"
    assert [consent["url"] for consent in told] == [PRIVACY, TERMS]
    assert [tuple(consent.values()) for consent in told] == consents(house, "anna@example.test")
    assert all(consent["agreed_at"] > 1_700_000_000_000 for consent in told)


def test_a_consent_is_nobody_elses_to_see(house, visitor):
    sign_up(visitor, "ben@example.test", **BOTH)
    with sign_in(house) as other:
        told = other.get("/app/settings/export").json()["consents"]

    assert told == []


def test_a_closed_account_is_forgotten_with_its_consents(house, visitor):
    sign_up(visitor, "cleo@example.test", **BOTH)

    visitor.post("/app/settings/close", {"old_password": PASSWORD})

    rows = "SELECT COUNT(*) FROM consents c JOIN users u ON u.id = c.user_id"
    assert house.read(f"{rows} WHERE u.closed_at IS NOT NULL")[0][0] == 0


# In a browser ------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_form_reads_well_in_every_theme_and_width_with_and_without_mistakes(
    house, open_page, language
):
    house.app.cabinet.forget_rates()
    with Person(house, language=language) as person:
        page = open_page(person, "/signup", expected=("422",))
        for told in (0, 3):
            for theme, size in (("light", WIDE), ("dark", NARROW)):
                page.emulate_media(color_scheme=theme, reduced_motion="reduce")
                page.set_viewport_size(size)
                assert_accessible(page)
                assert_fits(page)
            assert page.get_by_role("alert").count() == told
            if language == "ru":
                assert_russian(page)
            page.locator("#email").fill("dora@example.test")
            page.locator("#password").fill(PASSWORD)
            page.get_by_role("button", name="Create" if language == "en" else "Создать").click()
            page.wait_for_load_state()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_an_account_is_made_with_the_keyboard_alone(house, open_page, scripts):
    house.app.cabinet.forget_rates()
    with Person(house) as person:
        page = open_page(person, "/signup", java_script_enabled=scripts)
        page.locator("#email").focus()
        page.keyboard.type(f"keys{scripts}@example.test")
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
        box = page.get_by_role("checkbox", name="I agree to the terms of use")
        while not box.evaluate("box => box === document.activeElement"):
            page.keyboard.press("Tab")
        page.keyboard.press("Space")
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        page.keyboard.press("Enter")
        page.wait_for_url("**/app")

    assert len(consents(house, f"keys{scripts}@example.test".lower())) == 2
