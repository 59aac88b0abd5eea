"""What no honest client sends, over real sockets: one documented 4xx, and never any money."""

import json
import socket
import struct
import threading

import pytest

from altyn.api import protocol, request
from fakes.caller import PROMPT, Caller, Wire

CHAT = b"POST /api/v1/external/chat/completions HTTP/1.1\r\nHost: x\r\n"
JSON = b"Content-Type: application/json\r\n"
BODY = json.dumps({"model": "sandbox/echo", "messages": PROMPT}).encode()
MIB = 1024 * 1024


def head(key: str, *lines: bytes) -> bytes:
    bearer = b"Authorization: Bearer " + key.encode() + b"\r\n"
    return CHAT + bearer + JSON + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def length(body: bytes) -> bytes:
    return b"Content-Length: %d" % len(body)


@pytest.fixture(autouse=True)
def nothing_is_charged(house, alice):
    """After each test: no record, no charge, no hold, nothing running."""
    yield
    house.wait_until_idle()
    account = house.read(
        "SELECT posted_nanos, held_nanos FROM accounts WHERE id = $1", alice.account_id
    )
    charged = house.read(
        "SELECT count(*) FROM usage_records WHERE account_id = $1 AND charge_nanos > 0",
        alice.account_id,
    )
    assert (tuple(account[0]), charged[0][0]) == ((10_000_000_000, 0), 0)
    assert (
        house.read("SELECT count(*) FROM holds WHERE account_id = $1", alice.account_id)[0][0] == 0
    )


def is_documented(said, code: str, status: int = 400) -> bool:
    told = (said.status, said.error["code"], said.error["request_id"])
    return told == (status, code, said.headers["x-request-id"])


# HTTP itself ----------------------------------------------------------------------------------


def test_two_authorizations_are_refused(house, alice):
    with Wire(house.url) as wire:
        wire.send(head(alice.key, b"Authorization: Bearer other", length(BODY)) + BODY)
        said = wire.hear()

    assert is_documented(said, "invalid_parameter")
    assert said.error["param"] == "Authorization"


@pytest.mark.parametrize(
    "lines",
    [
        (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        (b"Content-Length: 5", b"Content-Length: 6"),
        (b"Content-Length: -5",),
        (b"Content-Length: five",),
        (b"Transfer-Encoding: chunked, identity",),
        (b"X: a\x00b",),
        (b"X: a\rb",),
        (b"X y: a",),
        (b"\xff\xfe: a",),
    ],
)
def test_a_head_with_two_meanings_or_none_is_refused(house, alice, lines):
    with Wire(house.url) as wire:
        wire.send(head(alice.key, *lines) + b"hello")
        said = wire.hear()

    assert is_documented(said, "invalid_parameter")
    assert said.error["param"] == "headers"
    assert alice.key.encode() not in said.body


@pytest.mark.parametrize(
    "line",
    [
        b"GET /\xff HTTP/1.1",
        b"GET noslash HTTP/1.1",
        b"GET / HTTP/9.9",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0",
    ],
)
def test_what_is_not_http_is_refused(house, line):
    with Wire(house.url) as wire:
        wire.send(line + b"\r\nHost: x\r\n\r\n")
        said = wire.hear()

    assert is_documented(said, "invalid_parameter")


@pytest.mark.parametrize("piece", [1024, 200_000], ids=["bit by bit", "at once"])
def test_a_huge_head_is_refused(house, alice, piece):
    line = b"X: " + b"a" * 1000 + b"\r\n"
    huge = head(alice.key, length(BODY))[:-2] + line * 150 + b"\r\n" + BODY

    with Wire(house.url) as wire:
        for start in range(0, len(huge), piece):
            try:
                wire.send(huge[start : start + piece])
            except ConnectionError:
                break
        said = wire.hear()

    assert is_documented(said, "invalid_parameter")
    assert "65536" in said.error["message"]


def test_a_head_of_a_decent_size_is_taken(house, alice):
    with Wire(house.url) as wire:
        wire.send(head(alice.test_key, b"X: " + b"a" * 60_000, length(BODY)) + BODY)
        said = wire.hear()

    assert said.status == 200


def test_a_head_that_never_ends_is_cut(house, monkeypatch):
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_S", 0.1)

    with Wire(house.url) as wire:
        wire.send(b"GET /api HTTP/1.1\r\nX:")
        assert wire.is_closed()


def test_a_connection_that_says_nothing_is_cut(house, monkeypatch):
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_S", 0.1)

    with Wire(house.url) as wire:
        assert wire.is_closed()


@pytest.fixture
def impatient(house, monkeypatch):
    """A server that looks at its connections all the time, and keeps none that is not used."""
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_S", 0.1)
    monkeypatch.setattr(house._server.config, "timeout_keep_alive", 0.1)


@pytest.mark.usefixtures("impatient")
def test_a_connection_that_is_kept_and_not_used_is_cut(house, alice):
    with Wire(house.url) as wire:
        wire.send(head(alice.test_key, length(BODY)) + BODY)
        assert wire.hear().status == 200
        assert wire.is_closed()


@pytest.mark.usefixtures("impatient")
def test_a_connection_that_waits_for_its_answer_is_not_cut(house, alice):
    body = BODY.replace(b"Say hello", b"!slow 1")

    with Wire(house.url) as wire:
        wire.send(head(alice.test_key, length(body)) + body)
        assert wire.hear().status == 200


def test_requests_one_after_the_other_without_waiting_are_answered_in_order(house, alice):
    one = head(alice.test_key, length(BODY)) + BODY
    other = one.replace(b"Say hello", b"Say adieu")

    with Wire(house.url) as wire:
        wire.send(one + other)
        answers = [wire.hear(), wire.hear()]

    said = [answer.json["choices"][0]["message"]["content"] for answer in answers]
    assert said == ["Say hello", "Say adieu"]


@pytest.mark.parametrize("upgrade", [b"websocket", b"h2c"])
def test_nobody_is_upgraded(house, alice, upgrade):
    lines = (b"Connection: Upgrade", b"Upgrade: " + upgrade)

    with Wire(house.url) as wire:
        wire.send(head(alice.key, *lines, b"Content-Length: 0"))
        said = wire.hear()

    assert said.status == 400


# The body on its way --------------------------------------------------------------------------


def test_a_body_that_is_too_large_by_its_own_word_is_not_read(house, alice):
    with Wire(house.url) as wire:
        wire.send(head(alice.key, b"Content-Length: %d" % (100 * MIB)))
        said = wire.hear()

    assert is_documented(said, "body_too_large", 413)
    assert said.error["limit_bytes"] == 16 * MIB


def test_a_huge_body_in_chunks_is_not_kept(house, alice):
    def peak_bytes() -> int:
        with open("/proc/self/status") as status:  # noqa: PTH123 -- no file, a question
            lines = [line for line in status if line.startswith("VmRSS")]
        return int(lines[0].split()[1]) * 1024

    piece = b"%x\r\n%b\r\n" % (MIB, b" " * MIB)
    before = peak_bytes()
    with Wire(house.url) as wire:
        wire.send(head(alice.key, b"Transfer-Encoding: chunked"))
        try:
            for _ in range(100):
                wire.send(piece)
        except (ConnectionError, TimeoutError):
            pass
        said = wire.hear()
        grown = peak_bytes() - before

    assert is_documented(said, "body_too_large", 413)
    assert grown < 48 * MIB


def test_a_body_shorter_than_it_says_gets_no_answer_and_holds_nothing(house, alice):
    with Wire(house.url) as wire:
        wire.send(head(alice.key, b"Content-Length: %d" % (len(BODY) + 5)) + BODY)
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.is_closed()


def test_a_body_longer_than_it_says_is_another_request(house, alice):
    with Wire(house.url) as wire:
        wire.send(head(alice.test_key, length(BODY)) + BODY + b"garbage\r\n\r\n")
        first = wire.hear()

    assert first.status in {200, 400}


@pytest.mark.parametrize("sent", [b"", b"{"], ids=["nothing of it", "its beginning"])
def test_a_body_that_does_not_come_is_not_waited_for(house, alice, monkeypatch, sent):
    monkeypatch.setattr(request, "BODY_TIMEOUT_S", 0.1)

    with Wire(house.url) as wire:
        wire.send(head(alice.key, b"Content-Length: 100") + sent)
        said = wire.hear()

    assert is_documented(said, "invalid_json")
    assert "0.1 s" in said.error["message"]


def test_who_hangs_up_in_the_middle_of_a_body_gives_his_place_back(house, alice):
    _, complete = house.app.api._exact["/api/v1/external/chat/completions"]
    limits = complete.__self__.limits
    wire = Wire(house.url)
    wire.send(head(alice.key, b"Content-Length: 100") + b"{")
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.file.close()
    wire.socket.close()

    meter = limits._accounts
    for _ in range(500):
        if alice.account_id not in meter or not meter[alice.account_id].running:
            break
        threading.Event().wait(0.01)
    assert alice.account_id not in meter or not meter[alice.account_id].running


def test_a_body_in_many_small_pieces_is_read_whole(house, alice):
    with Wire(house.url) as wire:
        wire.send(head(alice.test_key, b"Transfer-Encoding: chunked"))
        for byte in BODY:
            wire.send(b"1\r\n%c\r\n" % byte)
        wire.send(b"0\r\n\r\n")
        said = wire.hear()

    assert said.status == 200


def test_a_broken_chunk_is_refused(house, alice):
    with Wire(house.url) as wire:
        wire.send(head(alice.key, b"Transfer-Encoding: chunked") + b"zz\r\nhello\r\n")
        said = wire.hear()

    assert is_documented(said, "invalid_parameter")


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "gzip, identity"])
def test_a_packed_body_is_refused(house, as_, alice, coding):
    said = as_(alice.key).post("/chat/completions", b"\x1f\x8b", content_encoding=coding)

    assert is_documented(said, "unsupported_media_type", 415)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
    ],
)
def test_only_json_is_read(house, as_, alice, kind, status):
    said = as_(alice.test_key).post("/chat/completions", BODY, content_type=kind)

    assert said.status == status


# What is in the body --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"{}x",
        b"nonsense",
        b"\xef\xbb\xbf{}",
        b"[]",
        b"1",
        b'"a"',
        b"null",
        b"{'a': 1}",
        b'{"a": 1,}',
        b'{"a": 0x10}',
        b'{"a": 01}',
        b'{"a": +1}',
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"a":' + b"[" * 300 + b"]" * 300 + b"}",
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\\udc00\\ud800"}',
        b'{"a":"\x00"}',
        b'{"a":"\n"}',
        '{"a":1}'.encode("utf-16"),
    ],
    ids=range(25),
)
def test_what_is_no_json_object_is_refused(house, as_, alice, body):
    said = as_(alice.key).post("/chat/completions", body)

    assert is_documented(said, "invalid_json")


def test_deep_but_bearable_json_is_taken_by_both_routes(house, as_, alice):
    deep: object = 1
    for _ in range(190):
        deep = {"a": deep}

    tool = {"type": "function", "function": {"name": "f", "parameters": deep}}
    for path in ("/chat/completions", "/chat/stream"):
        assert as_(alice.test_key).chat(path, tools=[tool], colour=deep).status in {200, 400}


ODD = ("\x00", "a\x00b", "\u202e x", "\u200b", "\ufeff", "\U0010ffff", "\u2028", "' OR 1=1--")


def test_odd_characters_pass_and_break_neither_storage(gateway):
    customer = gateway.add_customer("1")
    caller = Caller(gateway.base, customer.key)

    for content in ODD:
        messages = [{"role": "user", "content": f"say {content} now"}]
        said = caller.chat(messages=messages, user=content)
        kept = caller.get(f"/generations/{said.json['id']}")

        assert (said.status, kept.status) == (200, 200)
        assert content in said.json["choices"][0]["message"]["content"]


def test_many_members_and_many_parts_are_borne(house, as_, alice):
    many = {f"k{number}": number for number in range(100_000)}
    parts = [{"type": "text", "text": "x"}] * 10_000

    said = as_(alice.test_key).chat(**many, messages=[{"role": "user", "content": parts}])

    assert said.status == 200
    assert len(said.headers["x-ignored-parameters"]) <= 1000


def test_minus_zero_is_zero(house, as_, alice):
    body = BODY[:-1] + b',"temperature":-0,"top_p":-0.0}'

    assert as_(alice.test_key).post("/chat/completions", body).status == 200


# Paths ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/external/..%2fexternal%2fbalance",
        "/api/v1/external/../external/balance",
        "//api/v1/external/balance",
        "/api/v1/external//balance",
        "/api/v1/external/balance/",
        "/api/v1/external/balance%00",
        "/api/v1/external/balance.",
        "/api/v1/external/BALANCE",
        "/API/v1/external/balance",
        "/api/v1/external/balance;x=1",
        "/api/v1/external/bal%61nce%20",
        "/api/v1/externalbalance",
        "/api/v1/external",
        "/api/v1/external/",
        "/api/v1/external/generations/",
        "/api/v1/external/models/",
        "/api/v1/external/%c0%ae%c0%ae/balance",
    ],
)
def test_a_path_that_is_not_quite_one_finds_nothing(house, alice, path):
    said = Caller(house.url, alice.key).get(path)

    assert (said.status, said.code) in {(404, "not_found"), (404, "model_not_found")}


def test_a_host_header_changes_nothing(house, alice):
    said = Caller(house.url, alice.key, host="evil.test/x?#").get("/api/v1/external/balance")

    assert said.status == 200
    assert b"evil.test" not in said.body


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PURGE"])
def test_an_unknown_method_is_refused(house, alice, method):
    said = Caller(house.base, alice.key).call(method, "/balance")

    assert is_documented(said, "method_not_allowed", 405)


def test_no_other_origin_is_ever_invited(house, alice):
    said = Caller(house.base, alice.key, origin="https://evil.test").get("/balance")

    assert not [name for name in said.headers if name.startswith("access-control")]


# Keys in addresses ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/balance?key={key}",
        "/balance?api_key=x",
        "/balance?API_KEY=x",
        "/balance?token=x",
        "/usage?model={key}",
        "/usage?model=sk%5Flive%5Fabc",
        "/usage?{key}",
        "/models/{key}",
        "/models/sk%5Flive%5Fabc",
        "/generations/{key}",
        "/{key}",
    ],
)
def test_a_key_in_an_address_is_refused_and_not_repeated(house, as_, alice, path, capfd):
    said = as_(alice.key).get(path.format(key=alice.key))

    assert is_documented(said, "key_in_url")
    everything = f"{said.body!r}{said.headers}{capfd.readouterr()}"
    assert alice.key not in everything
    assert "sk_live_abc" not in everything
