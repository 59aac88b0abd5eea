"""Ctrl+K: by a few letters to whatever this person may open, and to nothing else."""

import re

import pytest
from browser import NARROW, WIDE, assert_accessible, assert_fits, assert_russian
from people import sign_in

from altyn.web.menu import MENU
from altyn.web.render import has_page


@pytest.fixture(scope="module")
def reader(cabinet):
    """Somebody with a live and a test key, and a call."""
    cabinet.app.cabinet.forget_rates()
    with sign_in(cabinet) as person:
        person.create_key("payroll")
        person.test_key_id, _ = person.create_key("trials", mode="test")
        person.post(f"/app/keys/{person.test_key_id}/test")
        cabinet.wait_until_idle()
        yield person


def found(person, wanted):
    page = person.client.get("/app/go", params={"q": wanted}).text
    return re.findall(r'<li><a class="plain" href="([^"]+)"', page.split('id="found"')[1])


def last_four(cabinet, person, name):
    ((last,),) = cabinet.read(
        "SELECT last_four FROM keys WHERE account_id = $1 AND name = $2", person.account_id, name
    )
    return last


def test_a_key_is_found_by_its_name_and_by_its_last_four(cabinet, reader):
    last = last_four(cabinet, reader, "payroll")

    assert found(reader, "PAYR") == [f"/app/keys?q={last}"]
    assert f"/app/keys?q={last}" in found(reader, last)
    assert "payroll" in reader.get(found(reader, "payroll")[0]).text


def test_nobody_finds_the_keys_and_calls_of_another(cabinet, reader, customer):
    ((request_id,),) = cabinet.read(
        "SELECT request_id FROM usage_records WHERE account_id = $1", reader.account_id
    )

    assert found(reader, f"req_{request_id}") == [f"/app/requests/req_{request_id}"]
    assert found(customer, f"req_{request_id}") == []
    assert found(customer, "payroll") == []


def test_models_and_pages_are_found_by_their_names(reader):
    assert "/models/openai/gpt-5-mini" in found(reader, "gpt mini")
    assert found(reader, "usage")[0] == "/app/usage"


def test_a_page_is_found_in_the_readers_language_and_in_english(cabinet):
    with sign_in(cabinet, language="ru") as person:
        assert found(person, "статис") == ["/app/usage"]
        assert found(person, "usage") == ["/app/usage"]


def test_pages_of_the_house_are_for_the_house(customer, owner):
    assert found(customer, "redeem codes") == []
    assert found(owner, "redeem codes") == ["/admin/codes"]


def test_every_page_of_the_menu_exists():
    assert all(has_page(entry.path) for group in MENU for entry in group.entries)


def test_the_first_is_gone_to_without_scripts(reader):
    answer = reader.get("/app/go?q=usage&first=1")

    assert (answer.status_code, answer.headers["location"]) == (303, "/app/usage")
    assert "Nothing is called that." in reader.get("/app/go?q=zzz&first=1").text


def press_ctrl_k(page, key):
    """As a keyboard of some language sends it."""
    page.evaluate(
        "(key) => document.body.dispatchEvent(new KeyboardEvent('keydown',"
        " {ctrlKey: true, code: 'KeyK', key, bubbles: true, cancelable: true}))",
        key,
    )


def test_the_keyboard_is_enough(reader, open_page):
    page = open_page(reader, "/app")

    page.keyboard.press("Control+k")
    page.get_by_role("searchbox", name="Where to").wait_for()
    page.keyboard.type("payr")
    page.get_by_role("link", name="payroll").wait_for()
    assert page.locator("#found-count").inner_text() == "1 place found"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")

    page.wait_for_url("**/app/keys?q=*")
    page.keyboard.press("Control+k")
    page.get_by_role("searchbox", name="Where to").wait_for()
    page.keyboard.type("balance")
    page.keyboard.press("Enter")  # before anything is found: the server finds it
    page.wait_for_url("**/app/billing")


@pytest.mark.parametrize(("theme", "size"), [("dark", WIDE), ("light", NARROW)])
def test_the_window_is_accessible_fits_and_opens_on_a_russian_keyboard(
    cabinet, open_page, theme, size
):
    with sign_in(cabinet, language="ru") as person:
        page = open_page(person, "/app", viewport=size, color_scheme=theme)
        press_ctrl_k(page, "л")
        page.get_by_role("searchbox").wait_for()

        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        assert_accessible(page)
        assert_fits(page)
        assert_russian(page)
        page.keyboard.press("Escape")
        page.get_by_role("searchbox").wait_for(state="detached")


def test_live_or_test_stays_in_the_address_from_page_to_page(reader, open_page):
    page = open_page(reader, "/app/usage")
    assert not page.get_by_text("Test mode").is_visible()

    page.locator(".segments").get_by_text("Test", exact=True).click()
    page.wait_for_url("**mode=test**")
    assert page.get_by_text("Test mode").is_visible()
    page.get_by_role("link", name="Requests", exact=True).first.click()
    page.wait_for_url("**/app/requests?mode=test")
    page.get_by_role("link", name="API Keys").first.click()
    page.wait_for_url("**/app/keys?mode=test")

    assert page.locator("#keys tbody tr").count() == 1
    assert page.get_by_text("Test mode").is_visible()


def test_the_mode_filters_every_page_that_shows_calls(reader):
    for path in ("/app/usage", "/app/requests"):
        assert "sandbox/" in reader.get(f"{path}?mode=test").text
        assert "No requests in this time" in reader.get(f"{path}?mode=live").text
    assert "payroll" not in reader.get("/app/keys?mode=test").text
    assert "trials" not in reader.get("/app/keys?mode=live").text
