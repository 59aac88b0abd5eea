"""A person's own settings: they change what is theirs, and nothing of anybody else."""

import json
import re
import time

import httpx
import pytest
from people import PASSWORD, Person, sign_in
from pyotp.totp import TOTP

NEW_PASSWORD = "another good phrase"


def test_name_language_and_zone_are_kept(customer):
    form = {"name": "Anna <b>", "language": "ru", "zone": "Asia/Yekaterinburg"}

    answer = customer.post("/app/settings/profile", form)

    assert answer.headers["location"] == "/app/settings"
    text = customer.get("/app/settings").text
    assert "Anna &lt;b&gt;" in text
    assert 'lang="ru"' in text
    assert "<option selected>Asia/Yekaterinburg</option>" in text


def test_made_up_choices_are_ignored(customer):
    customer.post("/app/settings/profile", {"name": "A", "language": "xx", "zone": "Mars/Olympus"})

    assert "<option selected>UTC</option>" in customer.get("/app/settings").text


def change_password(person, old=PASSWORD, new=NEW_PASSWORD):
    return person.post("/app/settings/password", {"old_password": old, "password": new})


def test_a_changed_password_ends_every_other_session(cabinet, customer):
    with Person(cabinet) as elsewhere:
        elsewhere.log_in(customer.email)

        answer = change_password(customer)

        assert answer.headers["location"] == "/app/settings"
        assert elsewhere.get("/app").status_code == 303
        assert customer.get("/app").status_code == 200
        assert elsewhere.log_in(customer.email, NEW_PASSWORD).status_code == 303


@pytest.mark.parametrize(("old", "new"), [("wrong", NEW_PASSWORD), (PASSWORD, "short")])
def test_a_password_is_changed_only_by_whoever_knows_it_and_to_a_good_one(customer, old, new):
    assert change_password(customer, old, new).status_code == 422
    assert customer.log_in(customer.email).status_code == 303


def test_sessions_are_listed_and_ended(cabinet, customer):
    with Person(cabinet) as elsewhere:
        elsewhere.client.headers["user-agent"] = "Mozilla/5.0 (Windows NT) Firefox/140"
        elsewhere.log_in(customer.email)
        listed = customer.get("/app/settings").text
        session_id = re.search(r"/sessions/(\d+)/end", listed)[1]

        customer.post(f"/app/settings/sessions/{session_id}/end")

        assert "Firefox, Windows" in listed
        assert elsewhere.get("/app").status_code == 303
        assert customer.get("/app").status_code == 200


def test_nobody_ends_somebody_elses_session(cabinet, customer):
    ((session_id,),) = cabinet.read("SELECT id FROM sessions WHERE user_id = $1", customer.user_id)
    with sign_in(cabinet) as other:
        assert other.post(f"/app/settings/sessions/{session_id}/end").status_code == 404
        other.post("/app/settings/sessions/end")

    assert customer.get("/app").status_code == 200


# Two steps ---------------------------------------------------------------------------------------


def switch_on(person):
    """Switch the second step on; its secret and the recovery codes."""
    page = person.get("/app/settings/two-steps").text
    secret = re.search(r'id="totp-secret"[^>]*>([A-Z2-7]+)<', page)[1]
    pending = re.search(r'name="pending" value="([^"]+)"', page)[1]
    # A step ahead: the code of this one must be left for the door.
    code = TOTP(secret).generate_otp(int(time.time()) // 30 - 1)
    answer = person.post("/app/settings/two-steps", {"pending": pending, "code": code})
    assert answer.status_code == 200, answer.text
    return secret, re.findall(r"\b[a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4}\b", answer.text)


def half_way(person, email):
    answer = person.log_in(email)
    assert answer.status_code == 200
    return re.search(r'name="half" value="([^"]+)"', answer.text)[1]


def finish(person, half, code):
    return person.post("/login/code", {"half": half, "code": code})


def test_the_password_alone_opens_nothing_any_more(cabinet, customer):
    secret, _ = switch_on(customer)
    with Person(cabinet) as elsewhere:
        half = half_way(elsewhere, customer.email)
        assert elsewhere.session is None
        assert elsewhere.get("/app").status_code == 303

        wrong = finish(elsewhere, half, "000000")
        right = finish(elsewhere, half, TOTP(secret).now())

        assert (wrong.status_code, right.status_code) == (422, 303)
        assert elsewhere.get("/app").status_code == 200


def test_a_one_time_password_is_of_one_time(cabinet, customer):
    secret, _ = switch_on(customer)
    code = TOTP(secret).now()
    with Person(cabinet) as first, Person(cabinet) as thief:
        assert finish(first, half_way(first, customer.email), code).status_code == 303
        assert finish(thief, half_way(thief, customer.email), code).status_code == 422


def test_a_recovery_code_opens_once(cabinet, customer):
    _, codes = switch_on(customer)
    with Person(cabinet) as elsewhere:
        half = half_way(elsewhere, customer.email)

        opened = finish(elsewhere, half, codes[0].upper())
        again = finish(elsewhere, half, codes[0])

    assert len(codes) == len(set(codes)) == 10
    assert (opened.status_code, again.status_code) == (303, 422)
    assert "9 recovery codes left" in customer.get("/app/settings").text


def test_a_recovery_code_of_another_person_opens_nothing(cabinet, customer):
    switch_on(customer)
    with sign_in(cabinet) as other, Person(cabinet) as elsewhere:
        _, codes = switch_on(other)

        assert finish(elsewhere, half_way(elsewhere, customer.email), codes[0]).status_code == 422


@pytest.mark.parametrize("half", ["", "made-up", "AAAA"])
def test_nobody_comes_half_way_by_saying_so(stranger, half):
    assert finish(stranger, half, "000000").headers["location"] == "/login"


def test_codes_cannot_be_tried_without_end(cabinet, customer):
    switch_on(customer)
    with Person(cabinet) as guesser:
        half = half_way(guesser, customer.email)
        statuses = [finish(guesser, half, f"{number:06d}").status_code for number in range(6)]

    assert statuses == [422] * 5 + [429]


def test_the_secret_is_sealed_and_the_codes_are_digests(cabinet, customer):
    secret, codes = switch_on(customer)

    ((sealed,),) = cabinet.read("SELECT totp_sealed FROM users WHERE id = $1", customer.user_id)
    digests = cabinet.read("SELECT digest FROM recovery_codes WHERE user_id = $1", customer.user_id)
    kept = bytes(sealed) + b"".join(bytes(row[0]) for row in digests)
    assert secret.encode() not in kept
    assert all(code.encode() not in kept for code in codes)


def test_the_second_step_is_switched_off_with_the_password_only(cabinet, customer):
    switch_on(customer)

    refused = customer.post("/app/settings/two-steps/off", {"old_password": "wrong"})
    done = customer.post("/app/settings/two-steps/off", {"old_password": PASSWORD})

    assert (refused.status_code, done.status_code) == (422, 303)
    with Person(cabinet) as elsewhere:
        assert elsewhere.log_in(customer.email).status_code == 303


# One's own data ----------------------------------------------------------------------------------


def call(cabinet, key):
    body = {"model": "sandbox/echo", "messages": [{"role": "user", "content": "Hello!"}]}
    headers = {"authorization": f"Bearer {key}"}
    return httpx.post(f"{cabinet.base}/chat/completions", headers=headers, json=body)


def test_everything_about_a_person_can_be_taken_along(cabinet, customer):
    cabinet.deposit(customer.account_id, "10", f"export of {customer.email}")
    _, key = customer.create_key("mine")
    for _ in range(3):
        call(cabinet, key)
    cabinet.wait_until_idle()
    with sign_in(cabinet) as other:
        other.create_key("not mine")

    answer = customer.get("/app/settings/export")

    data = json.loads(answer.text)
    assert data["person"]["email"] == customer.email
    assert [key["name"] for key in data["keys"]] == ["mine"]
    assert len(data["requests"]) == 3
    # What was paid in, and a charge for each call; together they are the balance.
    assert len(data["entries"]) == 4
    ((posted,),) = cabinet.read(
        "SELECT posted_nanos FROM accounts WHERE id = $1", customer.account_id
    )
    assert sum(entry["nanos"] for entry in data["entries"]) == posted
    assert {entry["reason"] for entry in data["entries"]} == {None}
    assert key not in answer.text
    assert "provider" not in data["requests"][0]


def close(person, password=PASSWORD):
    return person.post("/app/settings/close", {"old_password": password})


def test_a_closed_account_opens_nothing_and_says_nothing_of_the_person(cabinet, customer):
    _, key = customer.create_key("mine")

    answer = close(customer)

    assert answer.headers["location"] == "/"
    assert customer.get("/app").status_code == 303
    cabinet.run(cabinet.app.look_for_changes())
    assert call(cabinet, key).json()["error"]["code"] == "revoked_api_key"
    assert customer.log_in(customer.email).status_code == 422
    rows = cabinet.read(
        "SELECT u.email, u.name, u.password_hash, a.name FROM users u JOIN accounts a"
        " ON a.id = u.account_id WHERE u.id = $1",
        customer.user_id,
    )
    assert customer.email not in repr([tuple(row) for row in rows])


def test_an_account_with_money_is_not_closed(cabinet, customer):
    cabinet.deposit(customer.account_id, "1", f"left of {customer.email}")

    answer = close(customer)

    assert answer.status_code == 422
    assert "still money" in answer.text
    assert customer.get("/app").status_code == 200


def test_an_account_is_not_closed_by_whoever_finds_it_open(customer):
    assert close(customer, "a guess").status_code == 422
    assert customer.get("/app").status_code == 200
