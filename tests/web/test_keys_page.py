"""«API Ключи»: made by a form, shown once, of nobody else."""

import re
import sqlite3

import httpx
import pytest
from people import SCOPES, sign_in

from altyn.keys.key import KEY_PATTERN


def new_nonce(person):
    return re.search(r'name="nonce" value="([^"]+)"', person.get("/app/keys/new").text)[1]


def form(person, **fields):
    return {"nonce": new_nonce(person), "name": "prod", "mode": "live", "scopes": SCOPES, **fields}


def test_a_key_that_is_made_opens_the_api(cabinet, customer):
    _, secret = customer.create_key()

    answer = httpx.get(f"{cabinet.base}/key", headers={"authorization": f"Bearer {secret}"})

    assert answer.json()["name"] == "prod"


def test_the_secret_is_in_one_answer_and_nowhere_else(cabinet, customer, capfd):
    _, secret = customer.create_key("whispered")
    pages = [
        customer.get(path).text
        for path in ("/app", "/app/keys", "/app/keys/new", "/app/keys?q=whispered")
    ]
    path = cabinet.settings.database_url.removeprefix("sqlite:///")
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as store:
        dump = "\n".join(store.iterdump())
    store.close()

    told = capfd.readouterr()
    assert all(secret not in text for text in (*pages, dump, told.out, told.err))
    assert not re.search(KEY_PATTERN, "".join(pages))


def test_the_answer_with_the_secret_is_kept_by_nobody(customer):
    answer = customer.post("/app/keys", form(customer))

    assert re.search(KEY_PATTERN, answer.text)
    assert answer.headers["cache-control"] == "no-store"


def test_the_same_form_makes_one_key(cabinet, customer):
    filled = form(customer)
    first, second = (customer.post("/app/keys", filled) for _ in range(2))

    assert (first.status_code, second.status_code) == (200, 409)
    assert not re.search(KEY_PATTERN, second.text)
    assert count_keys(cabinet, customer) == 1


def test_every_rule_of_the_form_becomes_a_rule_of_the_key(cabinet, customer):
    key_id, _ = customer.create_key(
        limit="12,40",
        period="month",
        models=["sandbox/echo"],
        requests_per_minute="60",
        tokens_per_minute="1 000",
        parallel_requests="4",
        expiry="30",
        ip_ranges="203.0.113.7\n10.0.0.0/8",
        scopes=["chat", "models"],
    )

    ((*rules, expires_at),) = cabinet.read(
        "SELECT limit_nanos, limit_period, models, requests_per_minute, tokens_per_minute,"
        " parallel_requests, ip_ranges, scopes, expires_at FROM keys WHERE id = $1",
        key_id,
    )
    assert rules == [
        12_400_000_000,
        "month",
        '["sandbox/echo"]',
        60,
        1000,
        4,
        '["203.0.113.7","10.0.0.0/8"]',
        '["chat","models"]',
    ]
    assert expires_at % 86_400_000 == 0


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": ""}, "Give the key a name"),
        ({"limit": "much"}, "Write an amount"),
        ({"limit": "-1"}, "Write an amount"),
        ({"expiry": "date", "expires_on": "2001-01-01"}, "Choose a day in the future"),
        ({"expiry": "date", "expires_on": ""}, "Choose a day in the future"),
        ({"expiry": "soon"}, "Choose a day in the future"),
        ({"ip_ranges": "my house"}, "Write addresses or ranges"),
        ({"requests_per_minute": "-5"}, "Write a whole number"),
        ({"models": ["made/up"]}, "not on sale"),
        ({"scopes": []}, "Choose at least one"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_made(
    cabinet, customer, fields, said
):
    answer = customer.post("/app/keys", form(customer, limit="5") | fields)

    assert answer.status_code == 422
    assert said in answer.text
    assert count_keys(cabinet, customer) == 0


def test_what_was_written_is_still_there_beside_what_is_wrong(customer):
    answer = customer.post("/app/keys", form(customer, name="<b>mine</b>", limit="much"))

    assert 'value="&lt;b&gt;mine&lt;/b&gt;"' in answer.text
    assert 'value="much"' in answer.text


@pytest.mark.parametrize("mode", ["live", "test"])
def test_a_test_request_shows_that_a_key_works_and_costs_nothing(cabinet, customer, mode):
    key_id, _ = customer.create_key(mode=mode)

    answer = customer.post(f"/app/keys/{key_id}/test")

    assert answer.status_code == 200
    assert "200 ·" in answer.text
    assert "Hello!" in answer.text
    charged = cabinet.read("SELECT mode, charge_nanos FROM usage_records WHERE key_id = $1", key_id)
    assert [tuple(row) for row in charged] == [("test", 0)]


def test_a_revoked_key_opens_nothing_and_stays_in_the_list(cabinet, customer):
    key_id, secret = customer.create_key()

    answer = customer.post(f"/app/keys/{key_id}/revoke")

    assert answer.headers["location"] == "/app/keys"
    listed = customer.get("/app/keys").text
    assert "The key is revoked" in listed
    assert "Revoked" in listed
    cabinet.run(cabinet.app.look_for_changes())
    refused = httpx.get(f"{cabinet.base}/key", headers={"authorization": f"Bearer {secret}"})
    assert refused.json()["error"]["code"] == "revoked_api_key"
    assert "was revoked or disabled" in customer.post(f"/app/keys/{key_id}/test").text


def test_somebody_elses_key_is_not_there(cabinet, customer):
    key_id, _ = customer.create_key("secret plan")
    with sign_in(cabinet) as other:
        answers = [
            other.get(f"/app/keys/{key_id}/revoke"),
            other.post(f"/app/keys/{key_id}/revoke"),
            other.post(f"/app/keys/{key_id}/test"),
        ]
        listed = other.get("/app/keys").text

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert "secret plan" not in listed + "".join(answer.text for answer in answers)
    assert "Active" in customer.get("/app/keys").text


@pytest.mark.parametrize("key_id", ["0", "-1", "x", "99999999999999999999", "1 OR 1=1", "１"])
def test_what_is_no_key_is_not_there(customer, key_id):
    assert customer.get(f"/app/keys/{key_id}/revoke").status_code == 404


def test_the_list_is_filtered_by_its_address(customer):
    customer.create_key("alpha")
    customer.create_key("beta", mode="test")

    def shown(query):
        text = customer.get(f"/app/keys?{query}").text
        return [name for name in ("alpha", "beta") if f"<strong>{name}</strong>" in text]

    assert shown("") == ["alpha", "beta"]
    assert shown("q=ALP") == ["alpha"]
    assert shown("mode=test") == ["beta"]
    assert shown("state=revoked") == []


def count_keys(cabinet, person):
    ((count,),) = cabinet.read("SELECT COUNT(*) FROM keys WHERE account_id = $1", person.account_id)
    return count


# In a browser ------------------------------------------------------------------------------------


def test_a_key_is_made_in_a_dialog_and_stands_in_the_list_at_once(customer, open_page):
    page = open_page(customer, "/app/keys", permissions=["clipboard-read", "clipboard-write"])
    customer.create_key("older")
    page.reload()

    page.get_by_role("link", name="Create a key").click()
    page.get_by_label("Name").fill("notebook")
    page.get_by_label("Name").press("Enter")
    secret = page.locator("#secret").text_content()
    page.get_by_role("button", name="Copy").first.click()
    page.get_by_text("Copied", exact=True).wait_for()

    assert page.evaluate("navigator.clipboard.readText()") == secret
    assert page.locator("#keys tbody tr strong").all_text_contents() == ["notebook", "older"]
    assert page.locator("#keys-count").text_content() == "2 keys"
    page.keyboard.press("Escape")
    page.locator("#secret").wait_for(state="detached")
    assert secret not in page.content()


def test_closing_without_a_copy_is_asked_about_once(customer, open_page):
    page = open_page(customer, "/app/keys")
    page.get_by_role("link", name="Create a key").first.click()
    page.get_by_label("Name").fill("notebook")
    page.get_by_role("button", name="Create the key").click()
    page.locator("#secret").wait_for()

    page.keyboard.press("Escape")
    page.get_by_text("You have not copied the key").wait_for()
    page.keyboard.press("Escape")

    page.locator("#secret").wait_for(state="detached")
    assert page.locator("dialog[open]").count() == 0


def test_the_form_says_what_is_wrong_and_goes_to_the_field(customer, open_page):
    page = open_page(customer, "/app/keys", expected=("422",))
    page.get_by_role("link", name="Create a key").first.click()
    page.get_by_label("Spend limit").fill("much")
    page.get_by_role("button", name="Create the key").click()

    page.get_by_text("Give the key a name").wait_for()
    assert page.evaluate("document.activeElement.name") == "name"
    assert page.get_by_label("Spend limit").input_value() == "much"


def test_a_key_is_revoked_from_its_menu(customer, open_page):
    customer.create_key("leaked")
    page = open_page(customer, "/app/keys")

    page.get_by_role("button", name="Actions for leaked").click()
    page.get_by_role("link", name="Revoke…").click()
    page.get_by_role("button", name="Revoke").click()

    page.get_by_text("The key is revoked").wait_for()
    assert page.get_by_text("Revoked", exact=True).count() >= 1


def test_a_key_is_made_without_scripts_too(customer, open_page):
    page = open_page(customer, "/app/keys", java_script_enabled=False)
    page.get_by_role("link", name="Create a key").first.click()
    page.get_by_label("Name").fill("plain")
    page.get_by_role("button", name="Create the key").click()

    assert re.fullmatch(KEY_PATTERN, page.locator("#secret").text_content() or "")


# What becomes of a key ---------------------------------------------------------------------------


def status_of(cabinet, secret):
    cabinet.run(cabinet.app.look_for_changes())
    answer = httpx.get(f"{cabinet.base}/key", headers={"authorization": f"Bearer {secret}"})
    return answer.json().get("error", {}).get("code", answer.status_code)


def test_a_disabled_key_opens_nothing_until_it_is_enabled(cabinet, customer):
    key_id, secret = customer.create_key()

    customer.post(f"/app/keys/{key_id}/disable")
    disabled = status_of(cabinet, secret)
    customer.post(f"/app/keys/{key_id}/enable")

    assert (disabled, status_of(cabinet, secret)) == ("revoked_api_key", 200)


def rotate(person, key_id, overlap):
    nonce = re.search(
        r'name="nonce" value="([^"]+)"', person.get(f"/app/keys/{key_id}/rotate").text
    )
    answer = person.post(f"/app/keys/{key_id}/rotate", {"nonce": nonce[1], "overlap": overlap})
    return re.search(KEY_PATTERN, answer.text)[0]


def test_after_a_rotation_both_secrets_open_the_same_key_for_a_while(cabinet, customer):
    key_id, old = customer.create_key()

    new = rotate(customer, key_id, "hour")

    assert new != old
    assert (status_of(cabinet, new), status_of(cabinet, old)) == (200, 200)
    assert old[-4:] in customer.get("/app/keys").text
    cabinet.write(lambda tx: tx.execute("UPDATE keys SET old_until = 1 WHERE id = $1", key_id))
    cabinet.app.ring.forget()
    assert (status_of(cabinet, new), status_of(cabinet, old)) == (200, "expired_api_key")


def test_a_rotation_can_end_the_old_secret_at_once(cabinet, customer):
    key_id, old = customer.create_key()

    new = rotate(customer, key_id, "now")

    assert (status_of(cabinet, new), status_of(cabinet, old)) == (200, "expired_api_key")


def test_the_same_rotation_happens_once(customer):
    key_id, _ = customer.create_key()
    form = {"nonce": "the same", "overlap": "day"}

    first, second = (customer.post(f"/app/keys/{key_id}/rotate", form) for _ in range(2))

    assert (first.status_code, second.status_code) == (200, 409)
    assert not re.search(KEY_PATTERN, second.text)


def test_the_rules_of_a_key_can_be_changed(cabinet, customer):
    key_id, secret = customer.create_key(limit="5", expiry="30", ip_ranges="127.0.0.1")

    filled = customer.get(f"/app/keys/{key_id}/edit").text
    answer = customer.post(
        f"/app/keys/{key_id}/edit",
        {"name": "renamed", "limit": "7.5", "period": "day", "scopes": ["key"]},
    )

    assert 'value="5"' in filled
    assert "127.0.0.1" in filled
    assert answer.headers["location"] == "/app/keys"
    assert status_of(cabinet, secret) == 200
    ((rules),) = cabinet.read(
        "SELECT name, limit_nanos, limit_period, scopes, expires_at FROM keys WHERE id = $1", key_id
    )
    assert tuple(rules) == ("renamed", 7_500_000_000, "day", '["key"]', None)


def test_a_change_that_is_wrong_changes_nothing(cabinet, customer):
    key_id, _ = customer.create_key(limit="5")

    answer = customer.post(f"/app/keys/{key_id}/edit", {"name": "", "limit": "much"})

    assert answer.status_code == 422
    ((rules),) = cabinet.read("SELECT name, limit_nanos FROM keys WHERE id = $1", key_id)
    assert tuple(rules) == ("prod", 5_000_000_000)


@pytest.mark.parametrize("deed", ["edit", "rotate", "disable", "enable", "test", "revoke"])
def test_nobody_does_anything_with_somebody_elses_key(cabinet, customer, deed):
    key_id, secret = customer.create_key("mine")
    form = {"name": "stolen", "scopes": SCOPES, "nonce": "x", "overlap": "now"}
    with sign_in(cabinet) as other:
        assert other.post(f"/app/keys/{key_id}/{deed}", form).status_code == 404
        assert other.get(f"/app/keys/{key_id}/{deed}").status_code in (404, 405)

    assert status_of(cabinet, secret) == 200


@pytest.mark.parametrize("deed", ["edit", "rotate", "disable", "enable"])
def test_what_is_revoked_stays_so(cabinet, customer, deed):
    key_id, secret = customer.create_key()
    customer.post(f"/app/keys/{key_id}/revoke")

    answer = customer.post(f"/app/keys/{key_id}/{deed}", {"name": "x", "scopes": SCOPES})

    assert answer.status_code == 404
    assert status_of(cabinet, secret) == "revoked_api_key"


def test_a_rotated_key_shows_its_new_secret_in_the_dialog(customer, open_page):
    customer.create_key("prod")
    page = open_page(customer, "/app/keys")

    page.get_by_role("button", name="Actions for prod").click()
    page.get_by_role("link", name="New secret…").click()
    page.get_by_role("button", name="Make a new secret").click()
    secret = page.locator("#secret").text_content() or ""

    assert re.fullmatch(KEY_PATTERN, secret)
    assert page.locator("#keys tbody tr").count() == 1
    assert secret[-4:] in page.locator("#keys tbody tr").text_content()
