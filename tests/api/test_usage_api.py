"""`GET /usage` and `GET /generations/{id}`."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from altyn.catalog.price import Price
from fakes.caller import Caller
from fakes.gateway import Customer, Gateway

RECORD = {
    "id",
    "created_at",
    "model",
    "key_id",
    "mode",
    "status",
    "stream",
    "prompt_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "total_tokens",
    "cost",
    "latency_ms",
    "time_to_first_token_ms",
    "finish_reason",
    "error_code",
    "outcome",
    "served_model",
}
SUMMARY = {
    "requests",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cost",
    "currency",
}
CALL = "0.000001300"


@pytest.fixture
def busy(house: Gateway) -> Iterator[Customer]:
    """A customer with three live calls, one test call and one failure, in this order."""
    customer = house.add_customer("10")
    caller = Caller(house.base, customer.key)
    caller.chat()
    caller.chat(model="sandbox/lorem", max_tokens=3)
    caller.chat("/chat/stream")
    Caller(house.base, customer.test_key).chat()
    caller.chat(messages=[{"role": "user", "content": "!500"}])
    house.wait_until_idle()
    return customer


def test_anonymous(house, as_):
    for path in ("/usage", "/generations/x"):
        said = as_().get(path)

        assert (said.status, said.code) == (401, "missing_api_key")


def test_somebody_elses(house, as_, busy, bob):
    record = as_(busy.key).get("/usage").json["data"][0]

    one = as_(bob.key).get(f"/generations/{record['id']}")
    filtered = as_(bob.key).get(f"/usage?key_id={busy.key_id}")

    assert (one.status, one.code) == (404, "not_found")
    assert filtered.json["data"] == []
    assert filtered.json["summary"]["requests"] == 0


def test_every_record_of_the_account_is_listed_newest_first(house, as_, busy):
    told = as_(busy.key).get("/usage").json

    assert (told["object"], told["has_more"], told["next_cursor"]) == ("list", False, None)
    assert [record["model"] for record in told["data"]] == [
        "sandbox/echo",
        "sandbox/echo",
        "sandbox/echo",
        "sandbox/lorem",
        "sandbox/echo",
    ]
    assert all(set(record) == RECORD for record in told["data"])
    assert set(told["summary"]) == SUMMARY


def test_a_record_says_what_the_answer_said(house, as_, alice):
    answer = as_(alice.key).chat()

    record = as_(alice.key).get("/usage").json["data"][0]

    usage = answer.json["usage"]
    assert record["id"] == answer.json["id"]
    assert record["cost"] == CALL
    assert record["total_tokens"] == usage["total_tokens"] == 7
    assert (record["status"], record["outcome"], record["mode"]) == ("success", "charged", "live")
    assert (record["stream"], record["finish_reason"], record["error_code"]) == (
        False,
        "stop",
        None,
    )


def test_what_nobody_knows_is_null(house, as_, busy):
    failed = as_(busy.key).get("/usage?status=error").json["data"]

    assert len(failed) == 1
    unknown = [name for name in RECORD if name.endswith("_tokens")]
    assert {failed[0][name] for name in unknown} == {None}
    assert failed[0]["time_to_first_token_ms"] is None
    assert failed[0]["cost"] == "0.000000000"
    assert failed[0]["error_code"] == "upstream_error"


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 5),
        ("model=sandbox/lorem", 1),
        ("model=nobody/nothing", 0),
        ("status=success", 4),
        ("status=error", 1),
        ("status=cancelled", 0),
        ("mode=live", 4),
        ("mode=test", 1),
        ("from=2020-01-01", 5),
        ("to=2020-01-01", 0),
        ("from=2020-01-01T00:00:00Z&to=2099-12-31T23:59:59.5%2B03:00", 5),
        ("mode=live&status=success&model=sandbox/echo", 2),
        ("model=", 5),
    ],
)
def test_a_filter_holds_for_records_and_summary(house, as_, busy, query, count):
    told = as_(busy.key).get(f"/usage?{query}").json

    assert len(told["data"]) == count
    assert told["summary"]["requests"] == count


def test_a_key_filter_tells_keys_apart(house, as_, busy):
    told = as_(busy.key).get(f"/usage?key_id={busy.test_key_id}").json

    assert [record["mode"] for record in told["data"]] == ["test"]


def test_a_date_is_its_midnight_in_utc_and_to_is_exclusive(house, as_, busy):
    today = datetime.now(UTC).date()
    tomorrow = today + timedelta(days=1)

    assert as_(busy.key).get(f"/usage?from={tomorrow}").json["data"] == []
    assert as_(busy.key).get(f"/usage?to={tomorrow}").json["summary"]["requests"] == 5
    assert as_(busy.key).get(f"/usage?to={today}").json["data"] == []


def test_pages_follow_each_other_by_cursor_while_rows_arrive(house, as_, busy):
    caller = as_(busy.key)
    first = caller.get("/usage?limit=2").json
    caller.chat()
    second = caller.get(f"/usage?limit=2&cursor={first['next_cursor']}").json
    third = caller.get(f"/usage?limit=2&cursor={second['next_cursor']}").json

    ids = [record["id"] for page in (first, second, third) for record in page["data"]]
    assert len(ids) == len(set(ids)) == 5
    assert [page["has_more"] for page in (first, second, third)] == [True, True, False]
    assert third["next_cursor"] is None


def test_pages_can_be_asked_for_by_number(house, as_, busy):
    caller = as_(busy.key)

    pages = [caller.get(f"/usage?limit=2&page={number}").json for number in (1, 2, 3, 4)]

    assert [len(page["data"]) for page in pages] == [2, 2, 1, 0]
    assert [page["summary"]["requests"] for page in pages] == [5, 5, 5, 5]


def test_twenty_records_are_a_page(house, as_, alice):
    caller = as_(alice.test_key)
    for _ in range(21):
        caller.chat(max_tokens=1)

    told = caller.get("/usage").json

    assert (len(told["data"]), told["has_more"]) == (20, True)


@pytest.mark.parametrize(
    ("group_by", "groups"),
    [
        ("model", {"sandbox/echo": 4, "sandbox/lorem": 1}),
        ("status", {"success": 4, "error": 1}),
    ],
)
def test_totals_are_grouped(house, as_, busy, group_by, groups):
    told = as_(busy.key).get(f"/usage?group_by={group_by}").json

    assert {group["group"]: group["requests"] for group in told["data"]} == groups
    assert told["group_by"] == group_by


@pytest.mark.parametrize(("group_by", "form"), [("day", "%Y-%m-%d"), ("hour", "%Y-%m-%dT%H:")])
def test_totals_by_time_are_named_by_it(house, as_, busy, group_by, form):
    groups = as_(busy.key).get(f"/usage?group_by={group_by}").json["data"]

    assert sum(group["requests"] for group in groups) == 5
    assert all(len(datetime.now(UTC).strftime(form)) <= len(group["group"]) for group in groups)


def test_totals_by_key_are_named_by_its_number(house, as_, busy):
    groups = as_(busy.key).get("/usage?group_by=key").json["data"]

    assert {group["group"]: group["requests"] for group in groups} == {
        str(busy.key_id): 4,
        str(busy.test_key_id): 1,
    }


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("from=yesterday", "from"),
        ("from=2026-02-30", "from"),
        ("to=1764000000", "to"),
        ("to=2026-11-22T25:00", "to"),
        ("status=ok", "status"),
        ("status=Success", "status"),
        ("mode=both", "mode"),
        ("group_by=week", "group_by"),
        ("key_id=abc", "key_id"),
        ("key_id=0", "key_id"),
        ("key_id=-1", "key_id"),
        ("key_id=1e3", "key_id"),
        (f"key_id={10**30}", "key_id"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=2.5", "limit"),
        ("limit=%D9%A3", "limit"),
        ("page=0", "page"),
        ("page=100001", "page"),
        ("cursor=abc", "cursor"),
        ("cursor=MTIz", "cursor"),
        ("cursor=MS4A", "cursor"),
        ("cursor=%00", "cursor"),
        ("model=%00", "model"),
        (f"model={'a' * 201}", "model"),
        ("modell=sandbox/echo", "modell"),
        ("status=error&status=success", "status"),
    ],
)
def test_a_bad_filter_is_refused_by_name(house, as_, alice, query, param):
    said = as_(alice.key).get(f"/usage?{query}")

    assert (said.status, said.code) == (400, "invalid_parameter")
    assert said.error["param"] == param


def test_wildcards_match_nothing_but_themselves(house, as_, busy):
    for pattern in ("%25", "sandbox/%25", "sandbox/ech_", "'%20OR%201=1--"):
        assert as_(busy.key).get(f"/usage?model={pattern}").json["data"] == []


# GET /generations/{id} ------------------------------------------------------------------------


def test_one_record_is_found_by_answer_and_by_request(house, as_, alice):
    answer = as_(alice.key).chat()
    number = answer.json["id"].removeprefix("chatcmpl-")

    found = [
        as_(alice.key).get(f"/generations/{name}").json
        for name in (answer.json["id"], answer.headers["x-request-id"], number)
    ]

    assert found[0] == found[1] == found[2]
    assert found[0]["request_id"] == answer.headers["x-request-id"]


def test_the_receipt_adds_up_to_the_charge(house, as_, alice):
    answer = as_(alice.key).chat()

    told = as_(alice.key).get(f"/generations/{answer.json['id']}").json

    assert told["object"] == "generation"
    assert told["cost"] == CALL
    assert float(told["held"]) >= float(told["cost"])
    assert {line["kind"]: line["quantity"] for line in told["receipt"]} == {"input": 5, "output": 2}
    assert sum(float(line["amount"]) for line in told["receipt"]) == pytest.approx(float(CALL))


def test_a_receipt_keeps_the_price_it_was_made_with(sqlite_gateway):
    alice = sqlite_gateway.add_customer()
    caller = Caller(sqlite_gateway.base, alice.key)
    sqlite_gateway.set_markup(500_000)
    answer = caller.chat()
    before = caller.get(f"/generations/{answer.json['id']}").json

    sqlite_gateway.set_price("sandbox/echo", Price(input=10**9, output=10**9))

    after = caller.get(f"/generations/{answer.json['id']}").json
    assert after == before
    assert before["cost"] == "0.000001950"


def test_a_free_record_has_an_empty_receipt(house, as_, busy):
    failed = as_(busy.key).get("/usage?status=error").json["data"][0]

    told = as_(busy.key).get(f"/generations/{failed['id']}").json

    assert (told["receipt"], told["outcome"]) == ([], "free_upstream_error")


ODD = ("x", "chatcmpl-", "req_0", "a%00b", "%F0%9F%98%80", "a/b/c", "%25", "'%20OR%201=1")


def test_a_name_nobody_has_is_not_found_on_either_database(gateway):
    caller = Caller(gateway.base, gateway.add_customer().key)

    answers = [caller.get(f"/generations/{name}") for name in ODD]

    assert {(said.status, said.code) for said in answers} == {(404, "not_found")}


def test_both_databases_bear_odd_filters(gateway):
    caller = Caller(gateway.base, gateway.add_customer().key)
    odd = ("cursor=MS4A", "model=%00", "model=a%25'b", f"key_id={2**62}", "cursor=LTEuYQ")

    answers = [caller.get(f"/usage?{query}").status for query in odd]

    assert answers == [400, 400, 200, 200, 400]
