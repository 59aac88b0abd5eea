"""«Статистика» and its files: every number is a sum of the ledger's, and nobody else's."""

import csv
import json
import re
from decimal import Decimal
from io import StringIO

import pytest
from browser import LOOKS, assert_accessible, assert_fits, assert_russian
from people import sign_in
from spender import spend

from altyn.database.engine import now_ms
from altyn.money import format_nanos, parse_nanos
from altyn.usage.report import DAY_MS
from altyn.web.words import Words

ENGLISH = Words(language="en", zone="UTC", currency="USD")
COLUMNS = {"model": "model", "key": "key_id", "status": "status", "mode": "mode"}


def rows_of(answer):
    """The rows of a CSV, by its header."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    text = answer.content.decode("utf-8-sig")
    return list(csv.DictReader(StringIO(text, newline="")))


def sums(cabinet, spender, **chosen):
    """Requests, charge, prompt and completion of the last 30 days, by SQL over the records."""
    since = now_ms() // DAY_MS * DAY_MS - 29 * DAY_MS
    where = "".join(f" AND {COLUMNS[name]} = '{value}'" for name, value in chosen.items())
    ((requests, nanos),) = cabinet.read(
        "SELECT COUNT(*), CAST(COALESCE(SUM(charge_nanos), 0) AS BIGINT) FROM usage_records"
        f" WHERE account_id = $1 AND created_at >= $2{where}",
        spender.person.account_id,
        since,
    )
    return requests, nanos


def total_row(page):
    """The numbers in the last row of the page's table."""
    foot = re.search(r"<tfoot>(.*?)</tfoot>", page.text, re.DOTALL)[1]
    cells = re.findall(r'<td class="number"[^>]*>(?:<span[^>]*>)?([^<]+)', foot)
    return [cell.strip() for cell in cells]


def bars(page):
    return json.loads(re.search(r'id="chart-data">(.*?)</script>', page.text, re.DOTALL)[1])


FILTERS = [
    {},
    {"status": "error"},
    {"status": "success"},
    {"status": "cancelled"},
    {"mode": "test"},
    {"mode": "live", "model": "openai/gpt-5-mini"},
]


@pytest.mark.parametrize("chosen", FILTERS, ids=str)
@pytest.mark.parametrize("group", ["model", "key", "status", "day"])
def test_the_total_of_the_filter_is_that_of_the_records(cabinet, spender, chosen, group):
    query = "&".join(f"{name}={value}" for name, value in chosen.items())
    page = spender.person.get(f"/app/usage?group={group}&{query}")

    requests, nanos = sums(cabinet, spender, **chosen)
    shown = total_row(page)
    assert shown[0] == ENGLISH.number(requests)
    assert Decimal(shown[4].strip("$")) == Decimal(format_nanos(nanos))


def test_everything_that_was_charged_is_what_the_ledger_took(cabinet, spender):
    page = spender.person.get("/app/usage?period=custom&from=2026-01-01&to=2027-01-01")

    ((charged,),) = cabinet.read(
        "SELECT CAST(SUM(amount_nanos) AS BIGINT) FROM entries"
        " WHERE chain_account_id = $1 AND kind = 'settle'",
        spender.person.account_id,
    )
    assert Decimal(total_row(page)[4].strip("$")) == Decimal(format_nanos(charged))


@pytest.mark.parametrize("show", ["cost", "tokens", "requests"])
@pytest.mark.parametrize("period", ["hours", "7d", "30d", "months"])
def test_the_bars_of_the_chart_add_up_to_the_total(spender, show, period):
    now = now_ms()
    days = {"hours": 1, "months": 120}.get(period)
    if days:
        first, last = (ENGLISH.address_day(at) for at in (now - days * DAY_MS, now))
        period = f"custom&from={first}&to={last}"
    page = spender.person.get(f"/app/usage?period={period}&show={show}")

    shown, drawn = total_row(page), bars(page)
    numbers = [Decimal(x) for one in drawn["series"] for x in one["values"] if x is not None]
    plain = [Decimal(cell.strip("$%").replace(",", "")) for cell in shown]
    assert (
        sum(numbers)
        == {"cost": plain[4], "requests": plain[0], "tokens": plain[2] + plain[3]}[show]
    )
    assert all(len(one["values"]) == len(drawn["labels"]) for one in drawn["series"])


@pytest.mark.parametrize("chosen", FILTERS, ids=str)
def test_the_file_by_day_adds_up_to_the_total_of_its_filter(cabinet, spender, chosen):
    query = "&".join(f"{name}={value}" for name, value in chosen.items())
    rows = rows_of(spender.person.get(f"/app/usage.csv?{query}"))

    assert (
        sum(int(row["requests"]) for row in rows),
        sum(parse_nanos(row["cost"]) for row in rows),
    ) == sums(cabinet, spender, **chosen)
    for name, value in chosen.items():
        assert {row[name] for row in rows} == {value}


@pytest.mark.parametrize("chosen", FILTERS, ids=str)
def test_the_file_of_requests_adds_up_to_the_total_of_its_filter(cabinet, spender, chosen):
    query = "&".join(f"{name}={value}" for name, value in chosen.items())
    rows = rows_of(spender.person.get(f"/app/requests.csv?{query}"))

    assert (len(rows), sum(parse_nanos(row["cost"]) for row in rows)) == sums(
        cabinet, spender, **chosen
    )
    assert len({row["request_id"] for row in rows}) == len(rows)


def test_what_nobody_knows_is_an_empty_cell_and_no_data_on_the_page(spender):
    request_id = f"req_{spender.requests['free_upstream_error']}"
    rows = rows_of(spender.person.get("/app/requests.csv?status=error"))
    (row,) = [row for row in rows if row["request_id"] == request_id]

    page = spender.person.get(f"/app/requests/{request_id}").text
    assert (row["input_uncached"], row["output_text"], row["cost"]) == ("", "", "0.000000000")
    assert "no data" in page
    assert "That is not the same as none." in page


def test_a_name_that_looks_like_a_formula_is_only_a_name(spender):
    by_day = rows_of(spender.person.get("/app/usage.csv"))
    by_request = rows_of(spender.person.get("/app/requests.csv"))

    assert {row["key"] for row in by_day} == {"prod", "'=nightly"}
    assert {row["key"] for row in by_request} == {"prod", "'=nightly"}


def test_a_file_is_what_excel_reads_in_its_language(cabinet, spender):
    spender.person.client.headers["accept-language"] = "ru"
    try:
        russian = spender.person.get("/app/requests.csv")
    finally:
        spender.person.client.headers["accept-language"] = "en"
    english = spender.person.get("/app/requests.csv")

    assert russian.content.startswith(b"\xef\xbb\xbfcreated_at;request_id;")
    assert english.content.startswith(b"\xef\xbb\xbfcreated_at,request_id,")
    name = english.headers["content-disposition"]
    assert re.fullmatch(
        r'attachment; filename="requests_\d{4}-\d\d-\d\d_\d{4}-\d\d-\d\d.csv"', name
    )


def test_a_row_leads_to_the_requests_that_it_counts(spender):
    page = spender.person.get("/app/usage?group=status").text

    for count, link in re.findall(r'href="(/app/requests\?[^"]+)"[^>]*>([\d,]+)</a>', page)[:3]:
        listed = spender.person.get(count.replace("&amp;", "&")).text
        assert f"<p>{link} request" in listed


@pytest.mark.parametrize("zone", ["Europe/Moscow", "America/New_York", "Asia/Kolkata"])
def test_days_are_the_readers_and_none_is_lost_at_their_edges(cabinet, zone):
    with sign_in(cabinet) as person:
        spender = spend(cabinet, person, calls=2)
        cabinet.write(
            lambda tx: tx.execute("UPDATE users SET zone = $2 WHERE id = $1", person.user_id, zone)
        )

        by_day = person.get("/app/usage?period=custom&from=2026-09-01&to=2027-02-01&group=day")
        rows = rows_of(person.get("/app/usage.csv?period=custom&from=2026-09-01&to=2027-02-01"))

    ((requests, nanos),) = cabinet.read(
        "SELECT COUNT(*), CAST(SUM(charge_nanos) AS BIGINT) FROM usage_records"
        " WHERE account_id = $1",
        spender.person.account_id,
    )
    assert total_row(by_day)[0] == str(requests)
    assert sum(parse_nanos(row["cost"]) for row in rows) == nanos
    assert all("T00:00:00" in row["begins_at"] for row in rows)


@pytest.mark.parametrize(
    "query",
    [
        "period=ever",
        "status=lost",
        "mode=both",
        "key=x",
        "key=99999999999999999999",
        "group=colour",
        "period=custom&from=yesterday",
        "period=custom&from=2026-02-01&to=2026-01-01",
        "period=custom&from=2001-01-01&to=2026-01-01",
        "period=custom&from=2026-01-01T10:00%2B03:00",
        "model=a%07b",
    ],
)
@pytest.mark.parametrize("path", ["/app/usage", "/app/usage.csv"])
def test_a_filter_that_cannot_be_is_said_to_be_wrong(spender, path, query):
    answer = spender.person.get(f"{path}?{query}")

    assert answer.status_code == 400
    assert "That cannot be done" in answer.text


@pytest.mark.parametrize("path", ["/app/usage", "/app/requests"])
def test_thirty_days_are_offered_where_they_are_not_shown_already(customer, path):
    assert "Show 30 days" not in customer.get(path).text
    assert "Show 30 days" in customer.get(f"{path}?period=7d").text
    assert "Show 30 days" in customer.get(f"{path}?status=error").text


def test_an_account_without_requests_is_told_what_to_do(customer):
    page = customer.get("/app/usage").text

    assert "No requests in this time" in page
    assert "<tfoot>" not in page


def test_the_speed_of_the_filter_is_that_of_its_records(cabinet, spender):
    page = spender.person.get("/app/usage?status=cancelled").text

    rows = cabinet.read(
        "SELECT latency_ms FROM usage_records WHERE account_id = $1 AND status = 'cancelled'"
        " AND created_at >= $2 ORDER BY latency_ms",
        spender.person.account_id,
        now_ms() // DAY_MS * DAY_MS - 29 * DAY_MS,
    )
    times = [latency_ms for (latency_ms,) in rows]
    half, most = times[-(-len(times) // 2) - 1], times[-(-len(times) * 95 // 100) - 1]
    assert f"half within {ENGLISH.seconds(half)} · 95% within {ENGLISH.seconds(most)}" in page
    assert f"of the newest {len(times)} request" in page


def test_a_first_token_that_nobody_saw_came_after_no_data_and_not_after_0_s(cabinet, spender):
    ((at,),) = cabinet.read(
        "SELECT created_at FROM usage_records WHERE request_id = $1",
        spender.requests["free_upstream_error"],
    )
    begins, ends = ENGLISH.address_time(at), ENGLISH.address_time(at + 60_000)
    page = spender.person.get(f"/app/usage?period=custom&from={begins}&to={ends}").text

    assert "of the newest 1 request" in page
    assert "of the first token: no data" in page
    assert '<strong>First token</strong></figcaption>\n<p class="quiet nothing">no data</p>' in page


def test_nobody_sees_anothers_numbers_whatever_they_ask_for(cabinet, spender, customer):
    key_id = spender.keys[0]
    paths = [
        f"{path}?key={key_id}&period=custom&from=2026-01-01"
        for path in ("/app/usage", "/app/usage.csv", "/app/requests", "/app/requests.csv")
    ]

    for path in paths:
        text = customer.get(path).text
        assert "prod" not in text
        assert "gpt-5-mini" not in text


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize(
    "path",
    [
        "/app/usage",
        "/app/usage?group=day&show=tokens&status=success",
        "/app/usage?period=custom&from=2026-11-01&to=2027-01-01&group=key",
        "/app/requests?mode=live",
        "/app/requests?id=nothing",
    ],
)
def test_a_page_with_numbers_is_accessible_and_fits(spender, walk_to, language, path):
    spender.person.client.headers["accept-language"] = language
    page = walk_to(spender.person, path)

    for theme, size in LOOKS[language]:
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        page.set_viewport_size(size)
        assert_accessible(page)
        assert_fits(page)
    if language == "ru":
        assert_russian(page, allowed=frozenset({"req", "chatcmpl"}))
    spender.person.client.headers["accept-language"] = "en"


def test_a_filter_changes_the_numbers_in_place_and_stays_in_the_address(spender, open_page):
    page = open_page(spender.person, "/app/usage")
    everything = page.locator("tfoot td").first.inner_text()

    page.select_option("select[name=status]", "error")
    page.wait_for_url("**status=error**")
    page.wait_for_selector(".chips .chip")

    assert page.locator("tfoot td").first.inner_text() != everything
    assert (
        page.evaluate("Chart.getChart(document.querySelector('canvas')).data.labels.length") == 30
    )
    page.go_back()
    page.wait_for_function(
        "(was) => document.querySelector('tfoot td').innerText === was", arg=everything
    )
