"""The upstream as an attacker: whatever it says, the caller reads a documented status, nobody pays
for nothing, and nothing of it gets through.

What a connection does with bytes that are no HTTP is in `tests/upstream/test_connection.py`, and
the ways an honest vendor fails are in `test_upstream_fails.py`. This is the rest, over sockets.
"""

import gzip
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from books import books_agree, losses, recorded
from calls import MODEL, chat, events_of, exact, text_of

from altyn.database.engine import bump_revision
from altyn.gateway import desk
from altyn.upstream import client
from fakes.gateway import Customer, Gateway
from fakes.hostile_server import (
    CHUNKED,
    EVENTS,
    Deed,
    HostileServer,
    answer,
    be_silent,
    chunk,
    hang_up,
    head,
    reset,
    say,
    say_for_ever,
)
from fakes.hostile_wires import COMPLETION_TOKENS, DIALECTS, PROMPT_TOKENS, TEXT, Dialect, event

FREE = "0.000000000"
KEY = "sk-canary-hostile-0123456789"
CHAT = DIALECTS["openai-chat"]
BOTH = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
JSON = "content-type: application/json"
PATIENCE_S = 0.5
TOTAL_S = 2.0


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with little patience, for everything in this file."""
    settings = {
        "connect_timeout_s": "1",
        "first_event_timeout_s": str(PATIENCE_S),
        "reasoning_first_event_timeout_s": str(PATIENCE_S),
        "idle_timeout_s": str(PATIENCE_S),
        "attempt_timeout_s": str(TOTAL_S),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(desk, "WATCH_S", 0.05)
        patch.setattr(client, "ERROR_BODY_S", 0.1)
        with Gateway(tmp_path_factory.mktemp("hostile") / "home", **settings) as running:
            yield running
            running.wait_until_idle()
            running.verify()


@pytest.fixture(scope="module")
def hostile() -> Iterator[HostileServer]:
    with HostileServer() as server:
        yield server


@pytest.fixture(scope="module")
def models(place: Gateway, hostile: HostileServer) -> dict[str, str]:
    """A model for each dialect, all served by the one who means harm."""
    chosen = dict(
        zip(
            DIALECTS,
            (MODEL, "openai/gpt-5", "anthropic/claude-haiku-4.5", "google/gemini-2.5-flash-lite"),
            strict=True,
        )
    )
    for dialect, model in chosen.items():
        place.add_upstream(
            hostile.base_url, model, secret=KEY, upstream_model="vendor/sonnet", dialect=dialect
        )
    return chosen


@pytest.fixture
def customer(place: Gateway, models: dict[str, str]) -> Customer:
    place.app.router.keep(())  # routes that failed the test before rest no longer
    return place.add_customer("10")


def leaks_nothing(heard: Any, hostile: HostileServer) -> None:
    told = heard.text + str(heard.headers)
    for canary in (KEY, "vendor/sonnet", f":{hostile.port}", "evil", "Set-Cookie", "Traceback"):
        assert canary.lower() not in told.lower(), canary


def is_free(place: Gateway, customer: Customer, outcome: str, *, lost: bool) -> None:
    (generation,) = books_agree(place, customer)
    assert (generation["outcome"], generation["cost"]) == (outcome, FREE)
    assert bool(losses(place, customer)) == lost


# Before anything of an answer is there --------------------------------------------------------


class Attack(NamedTuple):
    """Deeds, and what the caller hears of them before any answer has begun."""

    deeds: tuple[Deed, ...]
    status: int = 502
    code: str = "upstream_invalid_response"


def refused(status: str, *headers: str, body: bytes = b"{}") -> tuple[Deed, ...]:
    return (say(answer(body, *headers, status=status)),)


DEEP = b'{"choices":' + b"[" * 200_000
UTF16 = '{"error": "x"}'.encode("utf-16")
DEATHS = {
    "it hangs up before it says anything": Attack((hang_up,), code="upstream_error"),
    "it resets before it says anything": Attack((reset,), code="upstream_error"),
    "it resets half way through the status": Attack(
        (say(b"HTTP/1.1 2"), reset), code="upstream_error"
    ),
    "it resets half way through a header": Attack(
        (say(b"HTTP/1.1 200 OK\r\nx: "), reset), code="upstream_error"
    ),
    "it is silent": Attack((be_silent,), 504, "upstream_timeout"),
    "it drips its head": Attack(
        (say_for_ever(b"x", first=b"HTTP/1.1 200 OK\r\nx: ", pause_s=0.05),),
        504,
        "upstream_timeout",
    ),
    "it is not HTTP": Attack((say(b"\x16\x03\x01 evil\r\n\r\n"), be_silent)),
    "it answers in HTTP/0.9": Attack((say(b"<html>evil</html>"), hang_up)),
    "it switches protocols": Attack(
        (say(b"HTTP/1.1 101 Go\r\nupgrade: evil\r\nconnection: upgrade\r\n\r\n"), be_silent)
    ),
    "it says continue for ever": Attack((say_for_ever(b"HTTP/1.1 100 Continue\r\n\r\n" * 100),)),
    "it sends headers for ever": Attack(
        (say_for_ever(b"x: evil\r\n" * 1000, first=b"HTTP/1.1 200 OK\r\n"),)
    ),
    "it sends one header for ever": Attack(
        (say_for_ever(b"x" * 65536, first=b"HTTP/1.1 200 OK\r\nx: "),)
    ),
    "its headers hold a NUL": Attack((say(b"HTTP/1.1 200 OK\r\nx: a\x00b\r\n\r\n"), be_silent)),
    "its headers are folded": Attack(
        (say(b"HTTP/1.1 200 OK\r\nx: a\r\n evil\r\ncontent-length: 4\r\n\r\nevil"), be_silent)
    ),
    "it has two lengths": Attack(
        (say(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}}"), be_silent)
    ),
    "it has a length and chunks": Attack(
        (say(answer(b"{}", "transfer-encoding: chunked")), be_silent)
    ),
    "it packs its body in two layers": Attack((say(answer(b"x", "content-encoding: gzip, br")),)),
    "301": Attack(refused("301 Moved", "location: http://127.0.0.1:{port}/evil")),
    "302": Attack(refused("302 Found", "location: /v1/chat/completions")),
    "303": Attack(refused("303 See Other", "location: /v1/evil")),
    "307": Attack(refused("307 Temporary", "location: http://evil.test/")),
    "308": Attack(refused("308 Permanent", "location: //evil.test/")),
    "204": Attack(refused("204 No Content", body=b"")),
    "206": Attack(refused("206 Partial", body=CHAT.whole)),
    "299": Attack(refused("299 Strange", body=CHAT.whole)),
    "600": Attack(refused("600 Beyond"), code="upstream_error"),
    "999": Attack(refused("999 Beyond"), code="upstream_error"),
    "a refusal without end": Attack(
        (say_for_ever(b"evil " * 10_000, first=head(status="500 No")),), code="upstream_error"
    ),
    "a refusal whose words do not come": Attack(
        (say(head("content-length: 1000", status="503 Busy")), be_silent), 503, "overloaded"
    ),
    "a refusal that drips": Attack(
        (say_for_ever(b"x", first=head("content-length: 1000", status="500 No"), pause_s=0.05),),
        code="upstream_error",
    ),
    "a refusal in UTF-16": Attack(refused("500 No", body=UTF16), code="upstream_error"),
    "a refusal that is not UTF-8": Attack(
        refused("429 Slow", body=b'{"error":{"message":"\xff\xfe"}}'), 503, "overloaded"
    ),
    "a refusal that is deep": Attack(refused("500 No", body=DEEP), code="upstream_error"),
    "a refusal of brackets": Attack(
        refused("500 No", body=b"[" + b"[]," * 80_000), code="upstream_error"
    ),
    "a refusal that is a bomb": Attack(
        refused("500 No", "content-encoding: gzip", body=gzip.compress(b" " * 10_000_000)),
        code="upstream_error",
    ),
}
WAITS = {
    "0": "5",
    "7": "7",
    "-1": "1",
    "1e400": "60",
    "9" * 5000: "60",
    "nan": "5",
    "0x10": "5",
    "7, 8": "5",
    "7;q=1": "5",
    "soon": "5",
    "\xff\xfe": "5",
    "Thu, 01 Jan 1970 00:00:00 GMT": "1",
    "Fri, 31 Dec 9999 23:59:59 GMT": "60",
    "Fri, 99 Foo 99999 99:99:99 +9999": "5",
    "": "5",
}


@BOTH
@pytest.mark.parametrize("name", DEATHS)
def test_no_answer_is_an_error_and_free(
    place: Gateway, hostile: HostileServer, customer: Customer, name: str, *, stream: bool
) -> None:
    attack = DEATHS[name]
    hostile.does(*attack.deeds)

    heard = chat(place, customer.key, stream=stream)

    assert (heard.status_code, exact(heard)["error"]["code"]) == (attack.status, attack.code)
    leaks_nothing(heard, hostile)
    # Who is asked and says nothing may bill it all the same.
    is_free(place, customer, "free_upstream_error", lost=attack.status == 504)
    assert len(hostile.requests) <= 1  # a redirect is not followed, a POST never sent twice


def test_what_is_said_before_the_question_is_no_answer_to_it(
    place: Gateway, hostile: HostileServer, customer: Customer
) -> None:
    """Its bytes may come before ours have left, or just after: they are thrown away or read as they
    stand, and are never what the next caller hears.
    """
    hostile.does(say(answer(CHAT.whole, JSON)), be_silent, early=say(answer(b"evil")))

    heard = chat(place, customer.key)

    assert heard.status_code == 502
    leaks_nothing(heard, hostile)
    is_free(place, customer, "free_upstream_error", lost=False)


@pytest.mark.parametrize(("wait", "told"), WAITS.items(), ids=lambda value: repr(value)[:20])
def test_the_time_to_come_back_is_within_bounds_whatever_the_vendor_says(
    place: Gateway, hostile: HostileServer, customer: Customer, wait: str, told: str
) -> None:
    hostile.does(*refused("429 Slow", f"retry-after: {wait}"))

    heard = chat(place, customer.key)

    assert (heard.status_code, heard.headers["retry-after"]) in {(503, told), (503, "1")}
    assert told != "1" or heard.headers["retry-after"] == "1"
    is_free(place, customer, "free_upstream_error", lost=False)


def test_the_next_route_is_asked_although_the_words_of_a_refusal_do_not_come(
    place: Gateway, hostile: HostileServer, customer: Customer
) -> None:
    with HostileServer() as honest:
        honest.does(say(answer(CHAT.whole, JSON)))
        name = place.add_upstream(honest.base_url, MODEL, secret=None, priority=200)
        hostile.does(say(head("content-length: 9", status="500 No")), be_silent)

        heard = chat(place, customer.key)

        place.write(_forget_the_second_route)
    assert heard.status_code == 200
    assert recorded(place, customer, "provider") == [name]


async def _forget_the_second_route(tx: Any) -> None:
    await tx.execute("DELETE FROM routes WHERE priority = 200")
    await bump_revision(tx)


# An answer that is none -----------------------------------------------------------------------


class Spoilt(NamedTuple):
    """How a good answer is spoilt, and what comes of it. `began`: the caller has part of it."""

    whole: Callable[[Dialect], bytes] | None = None
    events: Callable[[Dialect], bytes] | None = None
    code: str = "upstream_invalid_response"
    began: bool = False


def first_words(wire: Dialect) -> bytes:
    """The events up to the first that holds text."""
    names = [i for i, (_, data) in enumerate(wire.events) if "Привет".encode() in data]
    return b"".join(event(*one) for one in wire.events[: names[0] + 1])


def after_words(data: bytes) -> Callable[[Dialect], bytes]:
    return lambda wire: first_words(wire) + data


def always(data: bytes) -> Callable[[Dialect], bytes]:
    return lambda _: data


SPOILT = {
    "nothing at all": Spoilt(always(b""), always(b""), "upstream_error"),
    "a web page": Spoilt(always(b"<html>evil</html>"), None),
    "null": Spoilt(always(b"null"), always(event("", b"null"))),
    "an array": Spoilt(None, always(event("", b"[1,2]"))),
    "a number": Spoilt(always(b"1"), always(event("", b"1"))),
    "bytes": Spoilt(always(bytes(range(256))), always(event("", bytes(range(32, 256))))),
    "NULs": Spoilt(always(b"\0" * 1000), always(event("", b"\0" * 1000))),
    "UTF-16": Spoilt(lambda w: w.whole.decode().encode("utf-16"), None),
    "deep": Spoilt(always(b'{"a":' * 100_000), always(event("", b"[" * 100_000))),
    "half of it": Spoilt(lambda w: w.whole[: len(w.whole) // 2], None),
    "wrong types": Spoilt(
        always(b'{"choices":{},"output":1,"content":7,"candidates":"x"}'),
        always(event("", b'{"choices":{},"type":1,"candidates":"x"}')),
    ),
    "a text that is not UTF-8": Spoilt(
        lambda w: w.whole.replace("Привет".encode(), b"\xff\xfe"),
        lambda w: w.stream.replace("Привет".encode(), b"\xff\xfe"),
    ),
    "a lone surrogate": Spoilt(
        lambda w: w.whole.replace("Привет".encode(), rb"\ud800"),
        lambda w: w.stream.replace("Привет".encode(), rb"\ud800"),
    ),
    "garbage after some words": Spoilt(None, after_words(event("", b"{evil")), began=True),
    "a raw NUL after some words": Spoilt(
        None, after_words(event("", b'{"choices":"\0"}')), began=True
    ),
    "an end after some words": Spoilt(None, first_words, "upstream_error", began=True),
    "half a line": Spoilt(
        None, lambda w: w.stream[: len(first_words(w)) + 30], "upstream_error", began=True
    ),
    "half a letter": Spoilt(
        None,
        lambda w: w.stream[: w.stream.index("мир".encode()) + 1],
        "upstream_error",
        began=True,
    ),
    "its events without blank lines": Spoilt(
        None, lambda w: w.stream.replace(b"\n\n", b"\n"), "upstream_error"
    ),
}


def spoilt(form: str) -> list[Any]:
    return [
        pytest.param(wire, fault, id=f"{wire.name}: {name}")
        for wire in DIALECTS.values()
        for name, fault in SPOILT.items()
        if getattr(fault, form) is not None
    ]


@pytest.mark.parametrize(("wire", "fault"), spoilt("whole"))
def test_a_whole_answer_that_is_none_is_free(
    place: Gateway,
    hostile: HostileServer,
    customer: Customer,
    models: dict[str, str],
    wire: Dialect,
    fault: Spoilt,
) -> None:
    assert fault.whole is not None
    hostile.does(say(answer(fault.whole(wire), JSON)))

    heard = chat(place, customer.key, model=models[wire.name])

    code = exact(heard)["error"]["code"]
    assert (heard.status_code, code) in {(502, "upstream_invalid_response"), (502, fault.code)}
    leaks_nothing(heard, hostile)
    is_free(place, customer, "free_upstream_error", lost=False)


@pytest.mark.parametrize(("wire", "fault"), spoilt("events"))
def test_a_stream_that_is_none_is_free(
    place: Gateway,
    hostile: HostileServer,
    customer: Customer,
    models: dict[str, str],
    wire: Dialect,
    fault: Spoilt,
) -> None:
    assert fault.events is not None
    hostile.does(say(EVENTS + fault.events(wire)), hang_up)

    heard = chat(place, customer.key, model=models[wire.name], stream=True)

    if fault.began:
        *_, error, done = events_of(heard.text)
        assert (heard.status_code, done, text_of(events_of(heard.text)[:-2])) == (
            200,
            "[DONE]",
            TEXT[:6],
        )
    else:
        error = exact(heard)
        assert heard.status_code == 502
    assert error["error"]["code"] in {fault.code, "upstream_error"}
    leaks_nothing(heard, hostile)
    is_free(
        place,
        customer,
        "free_broken" if fault.began else "free_upstream_error",
        lost=fault.began,
    )


@pytest.mark.parametrize("wire", DIALECTS.values(), ids=DIALECTS)
def test_an_error_under_200_as_the_first_event_has_its_real_status(
    place: Gateway,
    hostile: HostileServer,
    customer: Customer,
    models: dict[str, str],
    wire: Dialect,
) -> None:
    hostile.does(say(EVENTS + event("error", wire.error)), hang_up)

    heard = chat(place, customer.key, model=models[wire.name], stream=True)

    assert (heard.status_code, exact(heard)["error"]["code"]) == (502, "upstream_error")
    is_free(place, customer, "free_upstream_error", lost=False)


# Odd, and good all the same -------------------------------------------------------------------


def pieces_of_one(data: bytes) -> bytes:
    return b"".join(chunk(data[i : i + 1]) for i in range(len(data))) + b"0\r\n\r\n"


GOOD: dict[str, Callable[[Dialect], tuple[Deed, ...]]] = {
    "as it should be": lambda w: (say(EVENTS + w.stream), hang_up),
    "one byte a chunk": lambda w: (say(CHUNKED + pieces_of_one(w.stream)),),
    "long chunk extensions": lambda w: (
        say(CHUNKED + chunk(w.stream, b";evil=" + b"x" * 60_000) + b"0\r\n\r\n"),
    ),
    "trailers": lambda w: (
        say(CHUNKED + chunk(w.stream) + b"0\r\nset-cookie: evil=1\r\nx-request-cost: 9\r\n\r\n"),
    ),
    "a second answer behind it": lambda w: (
        say(CHUNKED + chunk(w.stream) + b"0\r\n\r\n" + answer(b"evil")),
    ),
    "events after the end": lambda w: (say(EVENTS + w.stream + event("", b"{evil")), hang_up),
    "CR and LF": lambda w: (say(EVENTS + w.stream.replace(b"\n", b"\r\n")), hang_up),
    "CR alone": lambda w: (say(EVENTS + w.stream.replace(b"\n", b"\r")), hang_up),
    "a byte order mark": lambda w: (say(EVENTS + b"\xef\xbb\xbf" + w.stream), hang_up),
    "no blank after the colon": lambda w: (
        say(EVENTS + w.stream.replace(b"data: ", b"data:")),
        hang_up,
    ),
    "comments, fields and retries": lambda w: (
        say(EVENTS + b": evil\nretry: 1\nid: evil\0\nevil\n\n" + w.stream),
        hang_up,
    ),
    "another content type": lambda w: (say(head("content-type: image/png") + w.stream), hang_up),
    "no content type": lambda w: (say(head() + w.stream), hang_up),
    "headers of ours": lambda w: (
        say(
            head(
                "x-request-id: evil",
                "x-request-cost: evil",
                "set-cookie: evil=1",
                "access-control-allow-origin: evil",
                "www-authenticate: evil",
                "location: http://evil.test/",
            )
            + w.stream
        ),
        hang_up,
    ),
    "gzip": lambda w: (
        say(head("content-encoding: gzip") + gzip.compress(w.stream)),
        hang_up,
    ),
    "deflate without a wrapper": lambda w: (
        say(head("content-encoding: deflate") + zlib.compress(w.stream)[2:-4]),
        hang_up,
    ),
    "continues before it": lambda w: (
        say(b"HTTP/1.1 103 Hints\r\nlink: evil\r\n\r\n" * 3 + EVENTS + w.stream),
        hang_up,
    ),
}


@pytest.mark.parametrize(
    ("wire", "name"),
    [
        pytest.param(wire, name, id=f"{wire.name}: {name}")
        for wire in DIALECTS.values()
        for name in GOOD
        # Nothing in a stream of Google's says that it is over: what comes then belongs to it.
        if (wire.name, name) != ("gemini", "events after the end")
    ],
)
def test_an_odd_answer_is_charged_exactly_and_nothing_else_of_it_gets_through(
    place: Gateway,
    hostile: HostileServer,
    customer: Customer,
    models: dict[str, str],
    name: str,
    wire: Dialect,
) -> None:
    hostile.does(*GOOD[name](wire))

    heard = chat(place, customer.key, model=models[wire.name], stream=True)

    assert (heard.status_code, text_of(events_of(heard.text))) == (200, TEXT)
    assert events_of(heard.text)[-1] == "[DONE]"
    leaks_nothing(heard, hostile)
    assert heard.headers["content-type"] == "text/event-stream; charset=utf-8"
    (generation,) = books_agree(place, customer)
    assert generation["outcome"] == "charged"
    assert (generation["prompt_tokens"], generation["completion_tokens"]) == (
        PROMPT_TOKENS,
        COMPLETION_TOKENS,
    )


REPORTS = {
    "below nothing": (b'"%b":-1', b'"%b":6'),
    "beyond all sense": (b'"%b":999999999999', b'"%b":6'),
    "five thousand digits": (b'"%b":' + b"9" * 5000, b'"%b":6'),
    "1e308": (b'"%b":1e308', b'"%b":6'),
    "a fraction": (b'"%b":5.5', b'"%b":6'),
    "a text": (b'"%b":"5"', b'"%b":6'),
    "true": (b'"%b":true', b'"%b":6'),
    "a list": (b'"%b":[5]', b'"%b":6'),
    "more than the window, twice": (b'"%b":900000000', b'"%b":6'),
}


@pytest.mark.parametrize("wire", DIALECTS.values(), ids=DIALECTS)
@pytest.mark.parametrize("name", REPORTS)
def test_a_report_that_cannot_be_right_is_not_believed_and_the_answer_is_estimated(
    place: Gateway,
    hostile: HostileServer,
    customer: Customer,
    models: dict[str, str],
    name: str,
    wire: Dialect,
) -> None:
    first, second = (part.split(b":")[0].strip(b'{"') for part in wire.usage.split(b","))
    parts = REPORTS[name]
    report = b"{%b,%b}" % (parts[0] % first, parts[1] % second)
    hostile.does(say(EVENTS + wire.stream.replace(wire.usage, report)), hang_up)

    heard = chat(place, customer.key, model=models[wire.name], stream=True)

    assert heard.status_code == 200
    (generation,) = books_agree(place, customer)
    assert generation["outcome"] == "charged_estimated"
    assert FREE < generation["cost"] <= generation["held"]
    assert recorded(place, customer, "flags") == ["absurd_usage"]


@pytest.mark.parametrize("wire", DIALECTS.values(), ids=DIALECTS)
def test_a_report_that_comes_again_and_again_counts_once(
    place: Gateway,
    hostile: HostileServer,
    customer: Customer,
    models: dict[str, str],
    wire: Dialect,
) -> None:
    last = max(i for i, (_, data) in enumerate(wire.events) if wire.usage in data)
    events = list(wire.events)
    events[last:last] = [events[last]] * (5 if wire.name in ("openai-chat", "gemini") else 0)
    hostile.does(say(EVENTS + b"".join(event(*one) for one in events)), hang_up)

    chat(place, customer.key, model=models[wire.name], stream=True)

    (generation,) = books_agree(place, customer)
    assert generation["prompt_tokens"] + generation["completion_tokens"] == 11


def test_a_cost_that_is_not_text_does_not_spoil_the_answer(
    place: Gateway, hostile: HostileServer, customer: Customer
) -> None:
    report = CHAT.usage[:-1] + b',"cost":"\xff"}'
    hostile.does(say(answer(CHAT.whole.replace(CHAT.usage, report), JSON)))

    heard = chat(place, customer.key)

    assert heard.status_code == 200
    (generation,) = books_agree(place, customer)
    assert generation["outcome"] == "charged_estimated"


# Time -----------------------------------------------------------------------------------------

SLOW = {
    "silence after the head": ((say(EVENTS), be_silent), False),
    "silence after some words": ((say(EVENTS + first_words(CHAT)), be_silent), True),
    "comments for ever": ((say_for_ever(b": wait\n\n", first=EVENTS, pause_s=0.05),), False),
    "empty events for ever": ((say_for_ever(b"data: {}\n\n", first=EVENTS, pause_s=0.05),), False),
    "a line that drips": ((say_for_ever(b"x", first=EVENTS + b"data: ", pause_s=0.05),), False),
    "words that drip for ever": (
        (say_for_ever(event(*CHAT.events[1]), first=EVENTS + first_words(CHAT), pause_s=0.05),),
        True,
    ),
    "chunk extensions that drip": (
        (say_for_ever(b"x", first=CHUNKED + chunk(first_words(CHAT)) + b"1;", pause_s=0.05),),
        True,
    ),
}


@pytest.mark.parametrize("name", SLOW)
def test_a_stream_that_does_not_end_is_cut_on_time(
    place: Gateway, hostile: HostileServer, customer: Customer, name: str
) -> None:
    deeds, began = SLOW[name]
    hostile.does(*deeds)

    heard = chat(place, customer.key, stream=True)

    assert heard.elapsed.total_seconds() < TOTAL_S + 1
    error = events_of(heard.text)[-2] if began else exact(heard)
    assert heard.status_code == (200 if began else 504)
    assert error["error"]["code"] == "upstream_timeout"
    is_free(place, customer, "free_broken" if began else "free_upstream_error", lost=True)


@pytest.mark.parametrize("drips", [False, True], ids=["silent", "dripping"])
def test_a_whole_answer_that_does_not_come_is_cut_on_time(
    place: Gateway, hostile: HostileServer, customer: Customer, *, drips: bool
) -> None:
    begun = head("content-length: 9999", JSON) + b'{"choices":'
    hostile.does(
        *((say_for_ever(b" ", first=begun, pause_s=0.05),) if drips else (say(begun), be_silent))
    )

    heard = chat(place, customer.key)

    assert (heard.status_code, exact(heard)["error"]["code"]) == (504, "upstream_timeout")
    assert heard.elapsed.total_seconds() < TOTAL_S + 1
    generation = books_agree(place, customer)[0]
    assert generation["cost"] == FREE


# Nothing of one call is in the next -----------------------------------------------------------


def test_what_follows_an_answer_is_not_the_answer_to_the_next_question(
    place: Gateway, hostile: HostileServer, customer: Customer
) -> None:
    stale = answer(CHAT.whole.replace(b"chatcmpl-1", b"evil"), JSON)
    hostile.does(say(answer(CHAT.whole, JSON) + stale))

    for _ in range(3):
        heard = chat(place, customer.key)
        assert heard.status_code == 200

    assert hostile.connections == 3
    assert recorded(place, customer, "upstream_id") == ["chatcmpl-1"] * 3


def test_a_name_of_eight_megabytes_is_neither_kept_nor_repeated(
    place: Gateway, hostile: HostileServer, customer: Customer
) -> None:
    long = b"x" * 7_000_000
    first = CHAT.events[0][1].replace(b"chatcmpl-1", long)
    first = first.replace(b'"created"', b'"system_fingerprint":"%b","created"' % long[:1_000_000])
    stream = event("", first) + b"".join(event(*one) for one in CHAT.events[1:])
    hostile.does(say(EVENTS + stream), hang_up)

    heard = chat(place, customer.key, stream=True)

    assert text_of(events_of(heard.text)) == TEXT
    assert len(heard.text) < 10_000
    assert [len(name) for name in recorded(place, customer, "upstream_id")] == [200]
