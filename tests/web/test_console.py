"""The operator's minimum: people, money by hand, codes, health. And nobody else's hands on it."""

import re

import pytest
from people import sign_in

from altyn.accounts.store import get_balance
from altyn.api.operations import Breaches
from altyn.ledger.audit import Finding
from altyn.money import NANOS_PER_UNIT

CODE = re.compile(r"[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}")


@pytest.fixture
def support(cabinet):
    with sign_in(cabinet, role="support") as person:
        yield person


def available(cabinet, person):
    return cabinet.run(get_balance(cabinet.app.database, person.account_id)).available_nanos


def nonce_of(answer):
    return re.search(r'name="nonce" value="([^"]+)"', answer.text)[1]


def credit(owner, customer, nonce=None, **fields):
    path = f"/admin/users/{customer.user_id}/credit"
    form = {"amount": "12,50", "reason": "invoice 17", "source": "cash_in", **fields}
    return owner.post(path, {**form, "nonce": nonce or nonce_of(owner.get(path))})


def make_codes(owner, **fields):
    form = {"amount": "5", "count": "2", "reason": "fair", "source": "promo", "lasts": "30"}
    nonce = nonce_of(owner.get("/admin/codes/new"))
    return owner.post("/admin/codes", {**form, **fields, "nonce": nonce})


def test_the_owner_finds_a_person_by_a_part_of_the_address(owner, customer):
    found = owner.get(f"/admin/users?q={customer.email[:9].upper()}").text
    nobody = owner.get("/admin/users?q=%25%25").text

    assert customer.email in found
    assert "Nobody is found" in nobody


def test_money_by_hand_is_an_entry_with_its_reason_and_who_made_it(cabinet, owner, customer):
    answer = credit(owner, customer)

    assert answer.headers["location"] == f"/admin/users/{customer.user_id}"
    assert available(cabinet, customer) == 12_500_000_000
    page = owner.get(f"/admin/users/{customer.user_id}").text
    assert f"invoice 17 ({owner.email})" in page
    assert "$12.50" in page


def test_the_same_form_pays_once(cabinet, owner, customer):
    nonce = nonce_of(owner.get(f"/admin/users/{customer.user_id}/credit"))
    for _ in range(2):
        credit(owner, customer, nonce)

    assert available(cabinet, customer) == 12_500_000_000


@pytest.mark.parametrize(
    "fields",
    [{"amount": "much"}, {"amount": "0"}, {"amount": "-5"}, {"reason": ""}, {"amount": "1e30"}],
    ids=str,
)
def test_what_cannot_be_paid_in_is_refused_and_adds_nothing(cabinet, owner, customer, fields):
    assert credit(owner, customer, **fields).status_code == 422
    assert available(cabinet, customer) == 0


def test_a_frozen_account_is_frozen_until_it_is_not(cabinet, owner, customer):
    def is_frozen():
        ((at,),) = cabinet.read("SELECT frozen_at FROM accounts WHERE id = $1", customer.account_id)
        return at is not None

    owner.post(f"/admin/users/{customer.user_id}/freeze")
    frozen = is_frozen()
    owner.post(f"/admin/users/{customer.user_id}/unfreeze")

    assert (frozen, is_frozen()) == (True, False)


def test_support_may_look_and_not_touch_money(cabinet, support, customer):
    assert support.get(f"/admin/users/{customer.user_id}").status_code == 200
    assert support.get(f"/admin/users/{customer.user_id}/credit").status_code == 403
    assert support.post(f"/admin/users/{customer.user_id}/freeze").status_code == 403
    assert support.post("/admin/codes").status_code == 403
    assert "Credit" not in support.get(f"/admin/users/{customer.user_id}").text


def test_a_code_is_shown_once_and_becomes_money_once(cabinet, owner, customer):
    codes = CODE.findall(make_codes(owner).text)

    answer = customer.post("/app/redeem", {"code": codes[0].lower()})
    again = customer.post("/app/redeem", {"code": codes[0]})

    assert len(codes) == 2
    assert answer.status_code == 303
    assert again.status_code == 422
    assert "redeemed before" in again.text
    assert available(cabinet, customer) == 5 * NANOS_PER_UNIT
    listed = owner.get("/admin/codes").text
    assert not CODE.search(listed)
    assert listed.count("Redeemed") == 1


def test_a_void_code_is_worth_nothing(cabinet, owner, customer):
    codes = CODE.findall(make_codes(owner, count="1").text)
    ((code_id,),) = cabinet.read("SELECT MAX(id) FROM codes")

    owner.post(f"/admin/codes/{code_id}/void")

    assert customer.post("/app/redeem", {"code": codes[0]}).status_code == 422
    assert available(cabinet, customer) == 0


def test_codes_cannot_be_guessed_quickly(customer):
    statuses = [
        customer.post("/app/redeem", {"code": f"0000-0000-{number:04d}"}).status_code
        for number in range(11)
    ]

    assert statuses == [422] * 10 + [429]


@pytest.mark.parametrize(
    "fields", [{"count": "0"}, {"count": "1001"}, {"amount": ""}, {"reason": ""}]
)
def test_codes_that_make_no_sense_are_not_made(owner, fields):
    answer = make_codes(owner, **fields)

    assert answer.status_code == 422
    assert not CODE.search(answer.text)


def test_health_says_that_the_books_add_up(owner):
    text = owner.get("/admin/health").text

    assert "It adds up." in text
    assert "SQLite, revision" in text


@pytest.mark.parametrize(
    ("findings", "advice"),
    [
        (
            [Finding("charge", "account 8 was charged 4 for 5", 8)],
            "The accounts named here are frozen",
        ),
        ([Finding("sum", "all accounts add up to 1")], "Stop selling"),
    ],
)
def test_health_says_what_the_auditor_has_found(cabinet, owner, monkeypatch, findings, advice):
    monkeypatch.setattr(cabinet.app.operations, "breaches", breaches := Breaches())
    breaches.add(findings)

    text = owner.get("/admin/health").text

    assert findings[0].sentence in text
    assert advice in text
    assert "It adds up." not in text


def test_the_console_shows_nobody_whose_id_is_made_up(owner):
    for user_id in ("0", "999999", "x", "99999999999999999999"):
        assert owner.get(f"/admin/users/{user_id}").status_code == 404
        assert owner.post(f"/admin/users/{user_id}/freeze").status_code == 404
