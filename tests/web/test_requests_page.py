"""«Запросы»: a list that can be paged, and each request with the reason for its price."""

import html
import re

import pytest
from browser import NARROW, WIDE, assert_accessible, assert_fits, assert_russian
from people import sign_in

from altyn.outcome import Outcome
from altyn.web.pages.receipt import OUTCOMES
from altyn.web.words import Words
from fakes.past import OUTCOMES as EVERY_OUTCOME

ENGLISH = Words(language="en", zone="UTC", currency="USD")


def show(spender, outcome):
    return spender.person.get(f"/app/requests/req_{spender.requests[outcome]}")


def test_every_outcome_that_can_be_has_its_words():
    assert set(OUTCOMES) == set(EVERY_OUTCOME)


@pytest.mark.parametrize("outcome", EVERY_OUTCOME)
def test_a_request_says_why_it_cost_what_it_did(cabinet, spender, outcome: Outcome):
    page = html.unescape(show(spender, outcome).text)

    ((nanos,),) = cabinet.read(
        "SELECT charge_nanos FROM usage_records WHERE request_id = $1", spender.requests[outcome]
    )
    assert OUTCOMES[outcome].title in page
    assert OUTCOMES[outcome].why in page
    assert bool(nanos) == ("The charge, line by line" in page)
    assert ENGLISH.exact_money(nanos) in page


@pytest.mark.parametrize("outcome", [one for one in EVERY_OUTCOME if one.startswith("charged")])
def test_the_lines_of_a_charge_add_up_to_it(cabinet, spender, outcome):
    page = show(spender, outcome).text
    table = re.search(r'<table class="table sums".*?</table>', page, re.DOTALL)[0]
    amounts = re.findall(r">(−?\$[\d.,]+)</(?:td|strong)>", table)
    *lines, charged = [amount(text) for text in amounts]

    ((nanos,),) = cabinet.read(
        "SELECT amount_nanos FROM entries WHERE kind = 'settle' AND ref = $1",
        spender.requests[outcome],
    )
    assert charged == nanos * 10**6
    if "Rounded up once" in table:
        rounded = lines.pop(-2 if "Above what was held" in table else -1)
        above = lines.pop() if "Above what was held" in table else 0
        assert 0 < rounded - sum(lines) < 10**6
        assert rounded + above == charged
    else:
        assert sum(lines) == charged


def amount(text):
    """A shown amount in millionths of a nano."""
    sign = -1 if text.startswith("−") else 1
    units, _, decimals = text.strip("−$").replace(",", "").partition(".")
    return sign * int(units + decimals.ljust(15, "0"))


def test_a_request_shows_what_was_held_charged_and_given_back(cabinet, spender):
    page = show(spender, "charged").text

    held, charged, after = cabinet.read(
        "SELECT r.hold_nanos, r.charge_nanos, e.balance_after_nanos FROM usage_records r"
        " JOIN entries e ON e.ref = r.request_id AND e.kind = 'settle' WHERE r.request_id = $1",
        spender.requests["charged"],
    )[0]
    for nanos in (held, charged, held - charged, after):
        assert f">{ENGLISH.exact_money(nanos)}" in page
    assert "Refunded" in page
    assert "slow" in page


def test_a_test_call_says_that_it_does_not_touch_the_balance(spender):
    page = show(spender, "free_test").text

    assert "a test call does not touch the balance" in page
    assert "Balance after" not in page


@pytest.mark.parametrize("prefix", ["", "req_", "chatcmpl-"])
def test_a_request_is_found_by_its_id_however_it_is_written(spender, prefix):
    request_id = spender.requests["charged"]

    answer = spender.person.get(f"/app/requests?id={prefix}{request_id}")

    assert answer.headers["location"] == f"/app/requests/req_{request_id}"


def test_somebody_elses_request_is_not_there(cabinet, spender):
    request_id = spender.requests["charged"]
    with sign_in(cabinet) as other:
        shown = other.get(f"/app/requests/req_{request_id}")
        looked_for = other.get(f"/app/requests?id=req_{request_id}")

    assert shown.status_code == 404
    assert "No request has this id" in looked_for.text
    assert "gpt-5" not in shown.text + looked_for.text


@pytest.mark.parametrize("request_id", ["0", "req_", "req_%00", "%2e%2e", "1 OR 1=1", "é"])
def test_what_is_no_request_is_not_there(spender, request_id):
    assert spender.person.get(f"/app/requests/{request_id}").status_code == 404


def read_all(person, path):
    ids, pages = [], 0
    while path:
        page = person.get(path).text
        ids += re.findall(r'href="/app/requests/req_([0-9a-f]+)"', page)
        following = re.search(r'href="([^"]+)" rel="next"', page)
        path, pages = html.unescape(following[1]) if following else "", pages + 1
    return ids, pages


@pytest.mark.parametrize("query", ["", "&status=error", "&model=openai/gpt-5-mini", "&mode=live"])
def test_pages_follow_each_other_and_show_every_request_once(cabinet, spender, query):
    ids, pages = read_all(
        spender.person, f"/app/requests?period=custom&from=2026-01-01&to=2027-01-01{query}"
    )

    where = {
        "": "",
        "&status=error": " AND status = 'error'",
        "&model=openai/gpt-5-mini": " AND model = 'openai/gpt-5-mini'",
        "&mode=live": " AND mode = 'live'",
    }[query]
    expected = cabinet.read(
        f"SELECT request_id FROM usage_records WHERE account_id = $1{where}"
        " ORDER BY created_at DESC, request_id DESC",
        spender.person.account_id,
    )
    assert ids == [request_id for (request_id,) in expected]
    assert pages == -(-len(expected) // 25)


@pytest.mark.parametrize("before", ["x", "AAAA", "-"])
def test_a_cursor_that_is_none_is_said_to_be_wrong(spender, before):
    assert spender.person.get(f"/app/requests?before={before}").status_code == 400


def test_the_text_of_a_prompt_is_nowhere_and_names_are_only_text(cabinet, customer):
    customer.create_key("<script>alert(1)</script>")

    page = customer.get("/app/requests").text

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("outcome", ["charged", "charged_capped", "free_upstream_error"])
def test_a_request_is_accessible_and_fits(spender, walk_to, language, outcome):
    spender.person.client.headers["accept-language"] = language
    page = walk_to(spender.person, f"/app/requests/req_{spender.requests[outcome]}")

    for theme, size in (("light", WIDE), ("dark", NARROW)):
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        page.set_viewport_size(size)
        assert_accessible(page)
        assert_fits(page)
    if language == "ru":
        assert_russian(page, allowed=frozenset({"slow"}))
    spender.person.client.headers["accept-language"] = "en"


@pytest.mark.parametrize("query", ["", "?status=error", "?mode=live&period=7d", "?period=today"])
def test_the_columns_over_time_add_up_to_the_total(spender, query):
    page = spender.person.get(f"/app/requests{query}").text

    table = page.split('aria-label="Requests over time"')[1].split("</table>")[0]
    counts = re.findall(r'</th><td class="number">([\d,]+)</td>', table)
    total = re.search(r"<p>([\d,]+) requests?", page)[1]
    assert sum(int(count.replace(",", "")) for count in counts) == int(total.replace(",", ""))
