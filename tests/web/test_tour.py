"""The first five minutes, in a browser: from the owner's link to a paid call that adds up."""

import re
from functools import partial

import httpx
from browser import NARROW
from people import PASSWORD, Person, sign_in

from altyn.ledger.codes import make_codes
from altyn.money import NANOS_PER_UNIT
from altyn.web.ticket import issue_ticket
from altyn.web.words import Words


def call(cabinet, key, model="sandbox/lorem"):
    return httpx.post(
        f"{cabinet.base}/chat/completions",
        headers={"authorization": f"Bearer {key}"},
        json={"model": model, "messages": [{"role": "user", "content": "Привет!"}]},
    )


def create_key(page, name):
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Create the key").click()
    return page.locator("#secret").text_content()


def test_the_whole_way_takes_one_window(cabinet, open_page):
    ticket = cabinet.write(lambda tx: issue_ticket(tx, "set_up"))
    (code,) = cabinet.write(
        partial(
            make_codes,
            pepper=cabinet.seal.pepper,
            count=1,
            amount_nanos=100 * NANOS_PER_UNIT,
            source="promo",
            reason="welcome",
        )
    )
    page = open_page(Person(cabinet), f"/setup?t={ticket}")

    # 1. Come in.
    page.get_by_label("Name").fill("Olga")
    page.get_by_label("E-mail").fill("olga@example.test")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Become the owner").click()
    page.get_by_text("1 / 5").wait_for()

    # 2. A test key and a test request from its window.
    page.get_by_role("link", name="Create a test key").click()
    create_key(page, "first")
    page.get_by_role("button", name="Send a test request").click()
    page.get_by_text("200 ·").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.get_by_text("2 / 5").wait_for()

    # 3. The welcome code.
    page.locator("#tour").get_by_role("link", name="Redeem a code").click()
    page.get_by_role("textbox", name="Code").fill(code)
    page.get_by_role("button", name="Redeem").click()
    page.get_by_text("3 / 5").wait_for()
    assert page.locator(".bar .chip").text_content().endswith("$100.00")

    # 4. A live key, and the paid call that is noticed by itself.
    page.get_by_role("link", name="Create a live key").click()
    key = create_key(page, "live")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    charge = call(cabinet, key).json()["usage"]["cost"]
    page.locator("#tour").wait_for(state="detached")

    # 5. The money adds up, to the nano.
    page.reload()
    assert page.locator("#tour").count() == 0
    ((posted, used),) = cabinet.read(
        "SELECT posted_nanos, used_nanos FROM accounts a JOIN users u ON u.account_id = a.id"
        " WHERE u.email = 'olga@example.test'"
    )
    assert used == round(charge * NANOS_PER_UNIT) > 0
    assert posted == 100 * NANOS_PER_UNIT - used


def test_a_step_is_ticked_by_what_happened_and_by_nothing_else(cabinet, customer):
    def done():
        return re.search(r"(\d) / 5", customer.get("/app").text)

    assert done()[1] == "1"
    key_id, _ = customer.create_key(mode="test")
    assert done()[1] == "1"
    customer.post(f"/app/keys/{key_id}/test")
    assert done()[1] == "2"
    cabinet.deposit(customer.account_id, "10", f"tour of {customer.email}")
    assert done()[1] == "3"
    _, live = customer.create_key("live")
    assert call(cabinet, live).status_code == 200
    cabinet.wait_until_idle()
    assert done() is None


def test_the_figures_of_the_overview_are_the_sums_of_the_records(cabinet, customer):
    cabinet.deposit(customer.account_id, "10", f"figures of {customer.email}")
    _, live = customer.create_key("live")
    for _ in range(3):
        call(cabinet, live)
    call(cabinet, live, model="sandbox/none")
    cabinet.wait_until_idle()

    text = customer.get("/app").text

    ((spent, calls),) = cabinet.read(
        "SELECT SUM(charge_nanos), COUNT(*) FROM usage_records WHERE account_id = $1",
        customer.account_id,
    )
    words = Words(language="en", zone="UTC", currency="USD")
    assert f'title="{words.exact_money(spent)}">{words.short_money(spent)}' in text
    assert f"{calls} requests" in text


def test_nobody_sees_the_figures_of_another(cabinet, customer):
    cabinet.deposit(customer.account_id, "77", f"riches of {customer.email}")
    with sign_in(cabinet) as other:
        assert "$77.00" not in other.get("/app").text
    assert "$77.00" in customer.get("/app").text


def test_on_a_phone_the_words_of_a_step_are_not_squeezed_by_its_button(customer, open_page):
    page = open_page(customer, "/app", viewport=NARROW)

    widths = page.locator(".steps p").evaluate_all("all => all.map(words => words.clientWidth)")

    assert widths
    assert min(widths) > 200
