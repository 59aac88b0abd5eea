"""The playground: a call like any other, by a key that nobody holds, of which nothing is kept."""

import json
import re
import sqlite3

import httpx
import pytest
from browser import NARROW, WIDE, assert_accessible, assert_fits, assert_russian
from people import SCOPES, sign_in

from altyn.keys.key import KEY_PATTERN
from altyn.keys.store import revoke_key
from fakes.gateway import Gateway

ECHO = "sandbox/echo"
FIELDS = {"model": ECHO, "messages": [{"role": "user", "content": "Good day"}], "max_tokens": 16}


@pytest.fixture(scope="module", autouse=True)
def _sandbox_is_served(cabinet):
    cabinet.add_upstream(
        "http://sandbox", ECHO, secret=None, upstream_model="echo", dialect="sandbox"
    )


@pytest.fixture
def payer(cabinet, customer):
    cabinet.deposit(customer.account_id, "5", f"for the playground {customer.account_id}")
    return customer


def call(person, mode="live", **fields):
    return person.client.post(f"/app/playground/chat?mode={mode}", json=FIELDS | fields)


def balance_of(cabinet, person):
    ((posted, held),) = cabinet.read(
        "SELECT posted_nanos, held_nanos FROM accounts WHERE id = $1", person.account_id
    )
    return posted, held


def records_of(cabinet, person):
    return [
        tuple(row)
        for row in cabinet.read(
            "SELECT u.mode, u.outcome, u.charge_nanos, k.name FROM usage_records u"
            " JOIN keys k ON k.id = u.key_id WHERE u.account_id = $1 ORDER BY u.created_at",
            person.account_id,
        )
    ]


def test_a_live_call_is_held_settled_and_attributed_to_the_account(cabinet, payer):
    before, _ = balance_of(cabinet, payer)

    answer = call(payer)

    cabinet.wait_until_idle()
    charge = round(answer.json()["usage"]["cost"] * 10**9)
    assert charge > 0
    assert balance_of(cabinet, payer) == (before - charge, 0)
    assert records_of(cabinet, payer) == [("live", "charged", charge, "Playground")]


def test_a_test_call_costs_nothing(cabinet, payer):
    before = balance_of(cabinet, payer)

    answer = call(payer, mode="test", model="anthropic/claude-sonnet-4.5")

    assert answer.json()["system_fingerprint"] == "sandbox"
    assert balance_of(cabinet, payer) == before


def test_it_streams_with_usage_at_the_end(payer):
    events = call(payer, stream=True, stream_options={"include_usage": True}).text.split("\n\n")

    assert events[-2] == "data: [DONE]"
    assert json.loads(events[-3].removeprefix("data: "))["usage"]["cost"] > 0


def test_without_money_it_is_refused_in_words_and_nothing_is_called(cabinet, customer):
    answer = call(customer)

    assert answer.status_code == 402
    assert answer.json()["error"]["code"] == "insufficient_balance"
    assert answer.json()["error"]["message"].startswith("Not enough money")
    assert records_of(cabinet, customer) == []


def test_what_is_wrong_in_the_call_is_said_by_the_api(payer):
    answer = call(payer, temperature=9)

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "temperature")


def test_the_playground_has_a_limit_a_day(tmp_path):
    with Gateway(tmp_path / "home", playground_limit="1") as gateway, sign_in(gateway) as person:
        gateway.add_upstream(
            "http://x", ECHO, secret=None, upstream_model="echo", dialect="sandbox"
        )
        gateway.deposit(person.account_id, "100", "enough")
        call(person)
        gateway.write(_spend_the_limit)

        refused = call(person)

        assert (refused.status_code, refused.json()["error"]["code"]) == (402, "key_limit_exceeded")


def test_the_owner_of_an_account_sets_what_its_playground_may_spend(payer, cabinet):
    assert "may spend $10.00 a day" in payer.get("/app/playground").text
    call(payer)
    ((key_id,),) = cabinet.read(
        "SELECT id FROM keys WHERE account_id = $1 AND prefix LIKE '%playground'",
        payer.account_id,
    )

    form = {"name": "Playground", "limit": "3", "period": "week", "scopes": SCOPES}
    assert payer.post(f"/app/keys/{key_id}/edit", form).status_code == 303

    page = payer.get("/app/playground").text
    assert "may spend $3.00 a week" in page
    assert f'href="/app/keys/{key_id}/edit"' in page


async def _spend_the_limit(tx):
    await tx.execute("UPDATE key_spends SET spent_nanos = 1000000000")


def test_no_secret_of_its_key_exists(cabinet, payer):
    pages = [payer.get("/app/playground").text, call(payer).text, payer.get("/app/keys").text]

    assert not re.search(KEY_PATTERN, "".join(pages))
    for guess in ("playground", f"playground 1 of account {payer.account_id}"):
        headers = {"authorization": f"Bearer {guess}"}
        assert httpx.get(f"{cabinet.base}/key", headers=headers).status_code == 401


def test_nobody_from_outside_can_say_who_calls(cabinet, payer):
    call(payer)

    answer = httpx.get(f"{cabinet.base}/key", headers={"altyn.caller": "1", "x-altyn-caller": "1"})

    assert answer.json()["error"]["code"] == "missing_api_key"


def test_a_revoked_key_is_followed_by_another(cabinet, payer):
    call(payer)
    cabinet.wait_until_idle()
    ((key_id,),) = cabinet.read("SELECT id FROM keys WHERE account_id = $1", payer.account_id)
    cabinet.write(lambda tx: revoke_key(tx, key_id))

    assert call(payer).status_code == 200
    count = cabinet.read("SELECT COUNT(*) FROM keys WHERE account_id = $1", payer.account_id)
    assert count[0][0] == 2


def test_a_stranger_and_another_site_call_nothing(cabinet, stranger, payer):
    elsewhere = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}

    assert call(stranger).status_code == 303
    refused = payer.client.post("/app/playground/chat?mode=live", json=FIELDS, headers=elsewhere)
    assert refused.status_code == 403
    assert records_of(cabinet, payer) == []


def test_what_became_of_a_call_is_told_to_its_own_account_only(cabinet, payer):
    request_id = call(payer).headers["x-request-id"]
    cabinet.wait_until_idle()

    own = payer.get(f"/app/playground/calls/{request_id}")
    with sign_in(cabinet) as other:
        foreign = other.get(f"/app/playground/calls/{request_id}")

    assert (own.status_code, own.json()["outcome"]) == (200, "charged")
    assert foreign.status_code == 404


def test_nothing_of_a_conversation_is_kept(cabinet, payer, capfd):
    call(payer, messages=[{"role": "user", "content": "a word like xylophonic"}])
    cabinet.wait_until_idle()

    path = cabinet.settings.database_url.removeprefix("sqlite:///")
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as store:
        dump = "\n".join(store.iterdump())
    store.close()
    told = capfd.readouterr()
    assert "xylophonic" not in dump + told.out + told.err


def test_the_code_of_a_call_that_is_none_is_refused(customer):
    assert customer.post("/app/playground/code", {"body": "[1"}).status_code == 400
    assert customer.post("/app/playground/code", {"body": "[1]"}).status_code == 400


def test_only_what_a_call_takes_is_shown_as_code(customer):
    body = json.dumps(FIELDS | {"x=__import__('os')": 1, "stream": True})

    shown = customer.post("/app/playground/code", {"body": body}).text

    assert "__import__" not in shown
    assert "/chat/stream" in shown


# In a browser ------------------------------------------------------------------------------------


def ask(page, text):
    page.get_by_label("Your message").fill(text)
    page.get_by_role("button", name="Send").click()


def told(page):
    line = page.locator("[data-told]:not([hidden])").last
    line.wait_for()
    return line.inner_text()


def test_a_conversation_tells_its_tokens_and_its_cost(cabinet, payer, open_page):
    page = open_page(payer, f"/app/playground?model={ECHO}")
    before = page.locator(".bar .chip").get_attribute("title")

    ask(page, "Good day")
    said = told(page)

    assert page.locator('[data-role="assistant"] [data-text]').inner_text() == "Good day"
    assert re.search(r"\d+ tokens in, \d+ out · \$0\.0000\d+ · first word", said)
    assert re.search(r"req_[0-9a-f]+", said)
    # Not by an expression: the page's policy forbids to evaluate one.
    page.locator(f".bar .chip:not([title='{before}'])").first.wait_for()


def test_an_answer_is_stopped_and_its_cost_is_told(cabinet, payer, open_page):
    # Until the call is settled there is no record of it to show.
    page = open_page(payer, f"/app/playground?model={ECHO}", expected=("404",))

    ask(page, "!pace 50 " + "word " * 400)
    page.locator('[data-role="assistant"] [data-text]:not(:empty)').wait_for()
    page.keyboard.press("Escape")

    page.get_by_text("Stopped. You pay for what was used").first.wait_for()
    assert "tokens in" in told(page)
    cabinet.wait_until_idle()
    ((mode, outcome, charge, _),) = records_of(cabinet, payer)
    assert mode == "live"
    assert outcome.startswith("charged")
    assert charge > 0


def test_an_error_is_told_with_its_id_and_can_be_tried_again(payer, open_page):
    page = open_page(payer, "/app/playground", expected=("502",))

    page.get_by_text("Test", exact=True).click()
    ask(page, "!500")
    page.get_by_text("The model's provider failed").wait_for()

    assert re.fullmatch(r"req_[0-9a-f]+", page.locator(".notice [data-request]").inner_text())
    page.get_by_role("button", name="Try again").click()
    page.get_by_text("The model's provider failed").wait_for()
    assert page.locator(".notice[role=alert]").count() == 1


def test_the_code_of_the_conversation_is_shown_in_five_languages(payer, open_page):
    page = open_page(payer, f"/app/playground?model={ECHO}")
    page.get_by_label("System message").fill("Be brief.")
    ask(page, "Good day")
    told(page)

    page.get_by_role("button", name="Show the code").click()
    page.locator("dialog[open] [role=tab]").first.wait_for()

    tabs = page.locator("dialog [role=tab]").all_inner_texts()
    assert tabs == ["cURL", "Python", "Python (OpenAI SDK)", "JavaScript", "PHP"]
    code = page.locator("#call-code-curl").text_content()
    assert '{"role": "system", "content": "Be brief."}' in code
    assert '{"role": "assistant", "content": "Good day"}' in code


def test_nothing_is_kept_in_the_browser(payer, open_page):
    page = open_page(payer, f"/app/playground?model={ECHO}")
    ask(page, "Good day")
    told(page)

    kept = page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}])")
    page.reload()

    assert "Good day" not in kept
    assert page.locator(".message").count() == 0


@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_conversation_is_accessible_and_speaks_one_language(cabinet, open_page, language):
    with sign_in(cabinet, language=language) as reader:
        page = open_page(reader, f"/app/playground?model={ECHO}", expected=("502",))
        page.locator("[data-try]").first.click()
        told(page)
        page.locator("#message").fill("!500")
        page.keyboard.press("Enter")
        page.locator(".notice[role=alert]").wait_for()

        for theme, size in (("light", WIDE), ("dark", NARROW)):
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            page.set_viewport_size(size)
            assert_accessible(page)
            assert_fits(page)
        if language == "ru":
            assert_russian(page, allowed=frozenset({"Enter", "Shift", "Esc"}))
