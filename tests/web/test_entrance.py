"""Coming in: who is let in, who is not, and what neither learns on the way."""

import hashlib

import pytest
from people import PASSWORD, Person, sign_in

from altyn.accounts import password
from altyn.accounts.store import add_user
from altyn.web.ticket import issue_ticket


def test_whoever_signs_up_is_in(cabinet, stranger):
    answer = stranger.post("/signup", {"email": "Anna@Example.test", "password": PASSWORD})

    assert (answer.status_code, answer.headers["location"]) == (303, "/app")
    assert "API Keys" in stranger.get("/app").text


def test_an_address_is_used_once_whatever_its_letters(cabinet, customer, stranger):
    answer = stranger.post("/signup", {"email": customer.email.upper(), "password": PASSWORD})

    assert answer.status_code == 422
    assert stranger.session is None


@pytest.mark.parametrize(
    ("weak", "said"),
    [
        ("short", "At least 10 characters"),
        ("x" * 300, "At most 256 characters"),
        ("qwertyuiop", "first that are guessed"),
        ("0987654321", "first that are guessed"),
        ("aaaaaaaaaaaa", "first that are guessed"),
        ("Password123", "first that are guessed"),
        ("weak@example.test", "first that are guessed"),
    ],
)
def test_a_password_that_is_easy_to_guess_is_refused(stranger, weak, said):
    answer = stranger.post("/signup", {"email": "weak@example.test", "password": weak})

    assert answer.status_code == 422
    assert said in answer.text
    assert weak not in answer.text.replace("weak@example.test", "", 1)


@pytest.mark.parametrize("email", ["", "anna", "an na@example.test", "a@b@c"])
def test_what_is_no_address_is_refused_with_the_form_kept(stranger, email):
    answer = stranger.post("/signup", {"email": email, "password": PASSWORD})

    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text


def test_the_right_password_opens_and_the_wrong_one_does_not(cabinet, customer, stranger):
    refused = stranger.log_in(customer.email, "not the password")
    accepted = stranger.log_in(customer.email)

    assert (refused.status_code, accepted.status_code) == (422, 303)


def test_nobody_learns_which_addresses_have_an_account(cabinet, customer, stranger):
    wrong = stranger.log_in(customer.email, "not the password").text
    unknown = stranger.log_in("nobody@example.test", "not the password").text

    assert _without_ids(wrong, customer.email) == _without_ids(unknown, "nobody@example.test")


def test_an_unknown_address_costs_the_same_hashing(stranger, customer, monkeypatch):
    hashed = []
    real = password.is_password
    monkeypatch.setattr(
        password, "is_password", lambda *given: hashed.append(given) or real(*given)
    )

    stranger.log_in(customer.email, "not the password")
    stranger.log_in("nobody@example.test", "not the password")

    assert len(hashed) == 2
    assert hashed[0][1].split("$")[:4] == hashed[1][1].split("$")[:4]


def test_a_person_without_a_password_cannot_sign_in(cabinet, stranger):
    cabinet.write(lambda tx: add_user(tx, "bare@example.test"))

    assert stranger.log_in("bare@example.test", "").status_code == 422


def test_one_address_can_be_tried_a_few_times_a_minute(cabinet, stranger, customer):
    cabinet.app.cabinet.forget_rates()
    for _ in range(6):
        assert stranger.log_in(customer.email, "wrong").status_code == 422

    refused = stranger.log_in(customer.email, "wrong")

    assert refused.status_code == 429
    assert "Try again in" in refused.text
    assert int(refused.headers["retry-after"]) > 0


def test_an_old_scrypt_digest_opens_once_more_and_is_replaced(cabinet, stranger):
    salt = bytes(16)
    digest = hashlib.scrypt(PASSWORD.encode(), salt=salt, n=16, r=8, p=1).hex()
    old = f"scrypt$16$8$1${salt.hex()}${digest}"
    cabinet.write(lambda tx: add_user(tx, "old@example.test", password_hash=old))

    answer = stranger.log_in("old@example.test")

    assert answer.status_code == 303
    ((kept,),) = cabinet.read("SELECT password_hash FROM users WHERE email = 'old@example.test'")
    assert kept.startswith("$argon2id$")
    assert stranger.log_in("old@example.test").status_code == 303


def test_signing_out_ends_the_session_everywhere(cabinet, customer):
    cookies = dict(customer.client.cookies)
    answer = customer.post("/logout")

    assert answer.headers["location"] == "/login"
    with Person(cabinet) as thief:
        thief.client.cookies.update(cookies)
        assert thief.get("/app").headers["location"].startswith("/login")


def test_signing_in_gives_a_new_secret_and_ends_the_old_one(cabinet, customer):
    before = customer.session
    customer.log_in(customer.email)

    assert customer.session != before
    with Person(cabinet) as thief:
        thief.client.cookies.set("altyn_session", before)
        assert thief.get("/app").status_code == 303


def test_only_the_digest_of_a_session_is_stored(cabinet, customer):
    rows = cabinet.read("SELECT digest FROM sessions WHERE user_id = $1", customer.user_id)

    assert rows
    assert customer.session.encode() not in [bytes(row[0]) for row in rows]


def test_a_session_is_forgotten_in_time(cabinet, customer):
    cabinet.write(
        lambda tx: tx.execute(
            "UPDATE sessions SET expires_at = 1 WHERE user_id = $1", customer.user_id
        )
    )

    assert customer.get("/app").headers["location"] == "/login?next=/app"


def test_the_way_in_leads_back_to_the_page_that_was_wanted(cabinet, customer, stranger):
    to_login = stranger.get("/app/keys?state=active").headers["location"]
    form = {"email": customer.email, "password": PASSWORD, "next": "/app/keys?state=active"}

    assert to_login == "/login?next=/app/keys%3Fstate%3Dactive"
    assert stranger.post("/login", form).headers["location"] == "/app/keys?state=active"


@pytest.mark.parametrize(
    "place", ["https://evil.example", "//evil.example", "/\\evil.example", "evil"]
)
def test_the_way_in_leads_nowhere_else(cabinet, customer, stranger, place):
    form = {"email": customer.email, "password": PASSWORD, "next": place}

    assert stranger.post("/login", form).headers["location"] == "/app"


# The first owner --------------------------------------------------------------------------------


@pytest.fixture
def link(cabinet):
    cabinet.write(lambda tx: tx.execute("UPDATE users SET operator_role = NULL"))
    return cabinet.write(lambda tx: issue_ticket(tx, "set_up"))


def set_up(person, secret, email="owner@example.test"):
    form = {"t": secret, "email": email, "password": PASSWORD, "name": "Olga"}
    return person.post("/setup", form)


def test_the_link_from_the_terminal_makes_the_owner(cabinet, stranger, link):
    assert stranger.get(f"/setup?t={link}").status_code == 200

    answer = set_up(stranger, link)

    assert answer.headers["location"] == "/app"
    rows = cabinet.read("SELECT operator_role, name FROM users WHERE email = 'owner@example.test'")
    assert [tuple(row) for row in rows] == [("owner", "Olga")]


def test_the_link_works_once(cabinet, stranger, link):
    set_up(stranger, link)

    with Person(cabinet) as second:
        assert set_up(second, link, "second@example.test").status_code == 404
        assert second.session is None


def test_a_place_with_an_owner_gets_no_second_one_by_a_link(cabinet, stranger, link):
    with sign_in(cabinet, role="owner"):
        assert set_up(stranger, link, "third@example.test").status_code == 404


def test_a_stranger_who_took_the_owners_address_first_does_not_become_the_owner(
    cabinet, stranger, link
):
    stranger.post("/signup", {"email": "boss@example.test", "password": PASSWORD})
    key_id, _ = stranger.create_key()
    with Person(cabinet) as boss:
        answer = set_up(boss, link, "boss@example.test")
        inside = boss.get("/admin/users").status_code

    assert (answer.headers["location"], inside) == ("/app", 200)
    assert stranger.get("/admin/users").headers["location"].startswith("/login")
    assert cabinet.read("SELECT 1 FROM keys WHERE id = $1 AND revoked_at IS NOT NULL", key_id)


def test_a_made_up_link_makes_nobody_an_owner(stranger):
    assert stranger.get("/setup?t=made-up").status_code == 404
    assert set_up(stranger, "made-up").status_code == 404


def _without_ids(text, email):
    return text.replace(email, "")
