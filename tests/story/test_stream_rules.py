"""What a reader of Server-Sent Events may rely on."""

import threading
from typing import Any

import pytest
from books import books_agree, look
from calls import Line, chat, events_of, text_of, wait_until
from shops import Shop

from altyn.api import chat as chat_module
from altyn.money import parse_nanos
from fakes.openai_server import Reply

ASKED = {"stream": True, "stream_options": {"include_usage": True}}


def stream(shop: Shop, *, path: str = "/chat/completions", **fields: Any) -> list[Any]:
    answer = chat(shop.gateway, shop.customer.key, path=path, **{"stream": True, **fields})
    assert answer.status_code == 200, answer.text
    return events_of(answer.text)


def usages(events: list[Any]) -> list[Any]:
    return [event for event in events if event != "[DONE]" and event.get("usage") is not None]


def test_the_headers_keep_proxies_from_collecting(small_shop: Shop) -> None:
    answer = chat(small_shop.gateway, small_shop.customer.key, stream=True)

    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache, no-transform"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["x-balance-available"]
    assert answer.headers["x-ratelimit-limit-requests"] == "3000"
    assert "x-request-cost" not in answer.headers


def test_the_id_of_the_answer_and_of_the_request_find_the_same_record(small_shop: Shop) -> None:
    answer = chat(small_shop.gateway, small_shop.customer.key, stream=True)

    (generation,) = books_agree(*small_shop)
    assert events_of(answer.text)[0]["id"] == generation["id"]
    assert answer.headers["x-request-id"] == generation["request_id"]


def test_the_end_is_told_once_and_last(small_shop: Shop) -> None:
    events = stream(small_shop)

    assert events[-1] == "[DONE]"
    assert events.count("[DONE]") == 1
    assert text_of(events) == "Hello from the fake vendor."


def test_usage_is_hidden_unless_asked_for(small_shop: Shop) -> None:
    assert usages(stream(small_shop)) == []


@pytest.mark.parametrize(
    ("path", "fields"), [("/chat/completions", ASKED), ("/chat/stream", {"stream": False})]
)
def test_usage_comes_once_alone_and_before_the_end(
    small_shop: Shop, path: str, fields: dict[str, Any]
) -> None:
    events = stream(small_shop, path=path, **fields)

    (told,) = usages(events)
    assert told["choices"] == []
    assert events[-2] is told
    (generation,) = books_agree(*small_shop)
    assert parse_nanos(str(told["usage"]["cost"])) == parse_nanos(generation["cost"])
    assert told["usage"]["total_tokens"] == generation["total_tokens"]


@pytest.mark.parametrize("place", ["finish", "with_choice", "second_end", "twice", "every"])
def test_usage_comes_once_however_the_vendor_tells_it(small_shop: Shop, place: Any) -> None:
    small_shop.vendor.says(Reply(usage=place))

    events = stream(small_shop, **ASKED)

    assert len(usages(events)) == 1
    reasons = [c["finish_reason"] for e in events[:-1] for c in e["choices"] if c["finish_reason"]]
    assert reasons == ["stop"]
    books_agree(*small_shop)


def test_both_addresses_stream_the_same_events(small_shop: Shop) -> None:
    one = stream(small_shop, path="/chat/stream")
    other = stream(small_shop, **ASKED)

    def same(events: list[Any]) -> list[Any]:
        return [e if e == "[DONE]" else {**e, "id": "", "created": 0} for e in events]

    assert same(one) == same(other)


def test_the_status_line_waits_for_the_first_event(small_shop: Shop) -> None:
    gateway, customer, vendor = small_shop
    vendor.says(Reply(comments=2, wait_after=2))
    line = Line(gateway)
    line.ask(gateway, customer.key)
    wait_until(lambda: bool(vendor.calls))
    line.socket.settimeout(0.3)

    with pytest.raises(TimeoutError):
        line.socket.recv(1)

    line.socket.settimeout(20)
    vendor.go_on()
    line.hear_events(1)
    assert line.heard.startswith(b"HTTP/1.1 200")
    line.leave_with_fin()
    books_agree(*small_shop)


def test_silence_is_filled_with_comments(small_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_module, "QUIET_S", 0.1)
    gateway, customer, vendor = small_shop
    vendor.says(Reply(comments=0, wait_after=0))
    line = Line(gateway)
    line.ask(gateway, customer.key)

    while line.heard.count(b": keep-alive") < 2:
        line.heard += line.socket.recv(4096)
    vendor.go_on()
    line.hear_events(9)

    assert line.heard.startswith(b"HTTP/1.1 200")
    events = events_of(line.heard.decode().split("\r\n\r\n", 1)[1])
    assert text_of(events) == "Hello from the fake vendor."
    line.leave_with_fin()
    books_agree(*small_shop)


def test_a_failure_after_a_comment_is_told_inside_the_stream(
    small_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_module, "QUIET_S", 0.1)
    gateway, customer, vendor = small_shop
    vendor.says(Reply(wait_after=0, status=500, body=b"{}"))
    threading.Timer(0.5, vendor.go_on).start()

    answer = chat(gateway, customer.key, stream=True)

    events = events_of(answer.text)
    assert answer.status_code == 200
    assert events[-2]["error"]["code"] == "upstream_error"
    assert events[-1] == "[DONE]"
    (generation,) = books_agree(*small_shop)
    assert generation["outcome"] == "free_upstream_error"


def test_the_money_is_settled_when_the_end_is_told(shop: Shop) -> None:
    gateway, customer, _ = shop
    line = Line(gateway)
    line.ask(gateway, customer.key)

    line.hear_events(9)
    balance = look(gateway, customer.key, "/balance")
    page = look(gateway, customer.key, "/usage")

    told = usages(events_of(line.heard.decode().split("\r\n\r\n", 1)[1]))[0]["usage"]
    assert balance["held"] == "0.000000000"
    assert parse_nanos(balance["total_used"]) == parse_nanos(str(told["cost"])) > 0
    assert page["summary"]["requests"] == 1
    line.leave_with_fin()
    books_agree(*shop)
