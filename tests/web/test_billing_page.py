"""«Баланс»: the ledger as it is, statements that add up, a threshold that is kept."""

import csv
import gzip
import re
from io import StringIO

import pytest
from browser import LOOKS, assert_accessible, assert_fits, assert_russian
from people import sign_in

from altyn.ledger.codes import make_codes
from altyn.web.words import Words

ENGLISH = Words(language="en", zone="UTC", currency="USD")
ALWAYS = "period=custom&from=2026-01-01&to=2027-01-01"


def nanos_of(text):
    sign = -1 if text.startswith("−") else 1
    units, _, decimals = text.strip("−+$").replace(",", "").partition(".")
    return sign * int(units + decimals.ljust(9, "0"))


def cells(page):
    """Amount and balance of each row of the page's table, opening and closing balances too."""
    table = re.search(r'<table class="table entries" data-cards>.*?</table>', page, re.DOTALL)[0]
    found = []
    for row in re.findall(r"<tr.*?</tr>", table, re.DOTALL)[1:]:
        numbers = re.findall(r'<td class="number"[^>]*>(?:<span[^>]*>)?([^<]*)', row)
        found.append(tuple(nanos_of(text) if text else None for text in numbers))
    return found


def entries(cabinet, spender):
    return cabinet.read(
        "SELECT CASE WHEN credit_account_id = $1 THEN amount_nanos ELSE -amount_nanos END,"
        " balance_after_nanos, kind, ref FROM entries WHERE chain_account_id = $1"
        " ORDER BY chain_number DESC",
        spender.person.account_id,
    )


def test_the_cards_are_the_account(cabinet, spender):
    page = spender.person.get("/app/billing").text

    ((posted, held),) = cabinet.read(
        "SELECT posted_nanos, held_nanos FROM accounts WHERE id = $1", spender.person.account_id
    )
    assert f'title="{ENGLISH.exact_money(posted - held)}"' in page
    assert held == 0


@pytest.mark.parametrize("kind", ["", "deposit", "settle", "refund"])
def test_the_ledger_shows_every_entry_and_the_balance_after_it(cabinet, spender, kind):
    shown, path = [], f"/app/billing?{ALWAYS}&kind={kind}"
    while path:
        page = spender.person.get(path).text
        shown += cells(page)
        following = re.search(r'href="([^"]+)" rel="next"', page)
        path = following[1].replace("&amp;", "&") if following else ""

    assert shown == [
        (nanos, balance)
        for nanos, balance, its, _ in entries(cabinet, spender)
        if kind in ("", its)
    ]


@pytest.mark.parametrize("kind", ["", "deposit", "settle", "refund"])
def test_the_file_of_the_ledger_is_the_ledger(cabinet, spender, kind):
    answer = spender.person.get(f"/app/billing.csv?{ALWAYS}&kind={kind}")
    rows = list(csv.DictReader(StringIO(answer.content.decode("utf-8-sig"), newline="")))

    assert [(nanos_of(row["amount"].replace("-", "−")), row["reference"]) for row in rows] == [
        (nanos, ref if its == "deposit" else f"req_{ref}")
        for nanos, _, its, ref in entries(cabinet, spender)
        if kind in ("", its)
    ]
    if not kind:
        assert nanos_of(rows[0]["balance_after"]) == sum(
            nanos_of(row["amount"].replace("-", "−")) for row in rows
        )


def months(spender):
    return re.findall(
        r'"/app/billing/statements/([\d-]+)"', spender.person.get("/app/billing").text
    )


def test_a_statement_adds_up_and_the_next_one_begins_where_it_ends(spender):
    closed = 0
    for month in reversed(months(spender)):
        opening, *lines, closing = cells(
            spender.person.get(f"/app/billing/statements/{month}").text
        )

        balance = opening[1]
        assert balance == closed
        for nanos, after in lines:
            balance += nanos
            assert after == balance
        assert closing[1] == balance
        closed = balance

    assert closed == spender_posted(spender)


def spender_posted(spender):
    page = spender.person.get("/app").text
    return nanos_of(re.search(r'class="chip" href="/app/billing" title="([^"]+)"', page)[1])


def test_the_statements_of_all_months_charge_what_the_ledger_charged(cabinet, spender):
    charged = 0
    for month in months(spender):
        page = spender.person.get(f"/app/billing/statements/{month}").text
        charged += nanos_of(re.search(r'<dt>Charged</dt><dd title="([^"]+)"', page)[1])

    assert charged == -sum(
        nanos for nanos, _, kind, _ in entries(cabinet, spender) if kind == "settle"
    )


@pytest.mark.parametrize("month", ["2026-13", "2026", "x", "9999-12", "2026-1", "0001-01"])
def test_a_month_that_is_none_has_no_statement(spender, month):
    assert spender.person.get(f"/app/billing/statements/{month}").status_code == 404


@pytest.mark.parametrize("query", ["kind=gift", "before=x", "before=-1", "period=ever"])
@pytest.mark.parametrize("path", ["/app/billing"])
def test_a_filter_that_cannot_be_is_said_to_be_wrong(spender, path, query):
    assert spender.person.get(f"{path}?{query}").status_code == 400


def test_a_code_becomes_money_with_an_entry_of_its_own(cabinet, customer):
    (code,) = cabinet.write(
        lambda tx: make_codes(
            tx,
            pepper=cabinet.seal.pepper,
            count=1,
            amount_nanos=3 * 10**9,
            source="promo",
            reason="for the people of the fair",
        )
    )

    answer = customer.post("/app/redeem", {"code": code.lower(), "next": "/app/billing"})

    page = customer.get("/app/billing").text
    assert answer.headers["location"] == "/app/billing"
    assert "Code redeemed" in page
    assert cells(page) == [(3 * 10**9, 3 * 10**9)]
    assert "people of the fair" not in page


def test_notes_of_the_operator_are_not_shown(cabinet, spender):
    assert "HYPERLINK" not in spender.person.get(f"/app/billing?{ALWAYS}").text


def test_a_threshold_is_kept_and_every_page_warns_below_it(cabinet, customer):
    cabinet.deposit(customer.account_id, "5", "first")
    kept = customer.post("/app/billing/threshold", {"threshold": "7,5"})

    page = customer.get("/app/keys").text
    assert kept.headers["location"] == "/app/billing"
    assert "Less than $7.50 is available." in page
    assert 'value="7.5"' in customer.get("/app/billing").text
    cabinet.deposit(customer.account_id, "5", "second")
    assert "is available." not in customer.get("/app/keys").text
    customer.post("/app/billing/threshold", {"threshold": "11"})
    customer.post("/app/billing/threshold", {"threshold": ""})
    assert "is available." not in customer.get("/app/keys").text


@pytest.mark.parametrize("threshold", ["much", "-1", "0", "1e400", "0.0000000001"])
def test_a_threshold_that_is_no_amount_is_said_to_be_wrong(cabinet, customer, threshold):
    answer = customer.post("/app/billing/threshold", {"threshold": threshold})

    assert answer.status_code == 422
    assert "Write an amount" in answer.text
    assert f'value="{threshold}"' in answer.text


def letters_to(cabinet, person):
    """Subjects of what was written to somebody, in the box or delivered to the file."""
    path = cabinet.settings.home / "letters.txt"
    delivered = path.read_text(encoding="utf-8") if path.exists() else ""
    found = re.findall(rf"To: {re.escape(person.email)}\nSubject: (.*)", delivered)
    return found + [
        subject
        for (subject,) in cabinet.read(
            "SELECT subject FROM letters WHERE recipient = $1", person.email
        )
    ]


def test_one_letter_is_written_for_each_time_the_balance_gets_low(cabinet, customer):
    look = cabinet.app.cabinet.low_balance.go
    cabinet.deposit(customer.account_id, "5", f"{customer.email} first")
    customer.post("/app/billing/threshold", {"threshold": "7"})

    for _ in range(2):
        cabinet.run(look())
    first = letters_to(cabinet, customer)
    cabinet.deposit(customer.account_id, "5", f"{customer.email} second")
    cabinet.run(look())
    customer.post("/app/billing/threshold", {"threshold": "11"})
    cabinet.run(look())

    assert first == ["Your balance is low"]
    assert letters_to(cabinet, customer) == ["Your balance is low"] * 2


def test_an_account_that_was_never_paid_into_is_not_warned(customer):
    assert "Nothing is left" not in customer.get("/app").text


def test_a_frozen_account_is_told_so(cabinet, customer):
    cabinet.write(
        lambda tx: tx.execute(
            "UPDATE accounts SET frozen_at = 1 WHERE id = $1", customer.account_id
        )
    )

    assert "Your account is frozen" in customer.get("/app").text


def test_nobody_sees_anothers_ledger(cabinet, spender):
    with sign_in(cabinet) as other:
        texts = [
            other.get(path).text
            for path in (
                f"/app/billing?{ALWAYS}",
                f"/app/billing.csv?{ALWAYS}",
                f"/app/billing/statements/{months(spender)[0]}",
            )
        ]

    assert all("gpt-5-mini" not in text and "55.0" not in text for text in texts)
    assert cells(texts[0]) == [] if "<table" in texts[0] else True
    assert len(texts[1].splitlines()) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/app/usage",
        "/app/usage?group=hour&period=7d",
        "/app/requests",
        "/app/billing",
        "/app/billing/statements/{month}",
    ],
)
def test_pages_with_numbers_stay_light(spender, path):
    page = spender.person.get(path.format(month=months(spender)[0]))

    assert len(gzip.compress(page.content, 9)) < 20_000


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("path", ["/app/billing", "/app/billing/statements/{month}"])
def test_a_page_of_money_is_accessible_and_fits(spender, walk_to, language, path):
    spender.person.client.headers["accept-language"] = language
    page = walk_to(spender.person, path.format(month=months(spender)[0]))

    for theme, size in LOOKS[language]:
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        page.set_viewport_size(size)
        assert_accessible(page)
        assert_fits(page)
    if language == "ru":
        assert_russian(page)
    spender.person.client.headers["accept-language"] = "en"
