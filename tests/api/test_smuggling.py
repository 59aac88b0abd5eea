"""Heads and targets that two readers could read in two ways: one meaning, or a refusal."""

import json

import pytest

from fakes.caller import PROMPT, Caller, Wire

BASE = b"/api/v1/external"
CHAT = json.dumps({"model": "sandbox/echo", "messages": PROMPT}).encode()


def head(method, target, key=None, *lines, version=b"1.1"):
    own = (b"Authorization: Bearer " + key.encode(),) if key else ()
    first = b"%b %b HTTP/%b" % (method, target, version)
    return b"\r\n".join([first, b"Host: x", *own, *lines, b"", b""])


def tell(house, *data):
    """Send it all at once; hear as many answers as there were pieces."""
    with Wire(house.url) as wire:
        wire.send(b"".join(data))
        return [wire.hear() for _ in data]


# A body is never a request --------------------------------------------------------------------

INNER = head(b"GET", BASE + b"/balance")
REFUSALS = {
    "no key": (b"/chat/completions", (), 401),
    "an unknown path": (b"/nothing", (), 404),
    "another method": (b"/balance", (), 405),
    "a packed body": (b"/chat/completions", (b"Content-Encoding: gzip",), 415),
    "not JSON": (b"/chat/completions", (b"Content-Type: text/plain",), 415),
}


@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
def test_the_body_of_a_refused_request_is_not_the_next_one(house, alice, name, *, chunked):
    path, lines, status = REFUSALS[name]
    key = None if name == "no key" else alice.test_key
    if chunked:
        framed = (b"Transfer-Encoding: chunked",)
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(INNER), INNER)
    else:
        framed, body = (b"Content-Length: %d" % len(INNER),), INNER
    first = head(b"POST", BASE + path, key, *lines, *framed) + body
    second = head(b"GET", BASE + b"/key", alice.test_key)

    refused, answered = tell(house, first, second)

    assert refused.status == status
    assert answered.json["id"] == alice.test_key_id


@pytest.mark.parametrize(
    "line",
    [
        b"Transfer-Encoding : chunked",
        b" Transfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\n ,identity",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        b"Transfer-Encoding: identity, chunked\r\nContent-Length: 3",
        b"Content-Length: +3",
        b"Content-Length: 0x3",
        b"Content-Length: 3, 3",
        b"Content-Length: 3 3",
        b"Content-Length:",
        b"Content-Length: 99999999999999999999",
    ],
)
def test_a_length_that_can_be_read_in_two_ways_ends_the_connection(house, alice, line):
    sent = head(b"POST", BASE + b"/chat/completions", alice.test_key, line) + b"0\r\n\r\n" + INNER

    with Wire(house.url) as wire:
        wire.send(sent)
        said = wire.hear()
        assert said.status == 400
        assert wire.is_closed()


def test_a_chunk_with_an_extension_is_a_chunk(house, alice):
    lines = (b"Content-Type: application/json", b"Transfer-Encoding: chunked")
    body = b'%x;evil="a;b"\r\n%b\r\n0;x\r\n\r\n' % (len(CHAT), CHAT)

    (said,) = tell(house, head(b"POST", BASE + b"/chat/completions", alice.test_key, *lines) + body)

    assert said.status == 200


# Targets --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        b"http://x/api/v1/external/key",
        b"http://evil.test/api/v1/external/key",
        b"http://evil.test:99/api/v1/external/key",
    ],
)
def test_the_absolute_form_is_the_path_and_its_host_means_nothing(house, alice, target):
    (said,) = tell(house, head(b"GET", target, alice.test_key))

    assert (said.status, said.json["id"]) == (200, alice.test_key_id)
    assert b"evil" not in said.body


@pytest.mark.parametrize(
    "target",
    [
        b"*",
        b"x:443",
        b"http://x",
        b"http:///api/v1/external/key",
        b"//api/v1/external/key",
        b"/api/v1/external//key",
        b"/api/v1/external/./key",
        b"/api/v1/external/x/../key",
        b"/api/v1/external/%6b%65%79/",
        b"/api/v1/external\\key",
        b"/api/v1/external/key\\",
        b"/api/v1/external/key%0d%0ax:y",
        b"/api/v1/external/key%00",
        b"/api/v1/external/key%3f",
        b"/api/v1/external/KEY",
        b"/api/v1/external;/key",
        b"/api/v1/external/key/" + b"x" * 60_000,
        b"/api/v1/external/generations/" + b"a" * 60_000,
        b"/api/v1/external/models/" + b"%2e%2e%2f" * 5000,
        b"/api/v1/external/generations/..%2f..%2fkey",
        b"/api/v1/external/generations/%00",
        b"/api/v1/external/generations/x%0d%0aSet-Cookie:%20a=b",
    ],
    ids=lambda target: target[:40].decode(),
)
def test_another_target_is_another_thing_or_none(house, alice, target):
    (said,) = tell(house, head(b"GET", target, alice.test_key))

    assert said.status in {400, 404}
    assert "set-cookie" not in said.headers
    assert "x" not in said.headers
    assert len(said.body) < 1000


def test_an_encoded_letter_is_that_letter_and_asks_for_the_same_key(house, alice):
    target = b"/api/v1/%65xternal%2f%6bey"

    known, unknown = tell(house, head(b"GET", target, alice.test_key), head(b"GET", target))

    assert (known.status, unknown.status) == (200, 401)


@pytest.mark.parametrize("method", [b"HEAD", b"OPTIONS", b"TRACE", b"CONNECT", b"get", b"G ET"])
@pytest.mark.parametrize("target", [BASE + b"/balance", b"/metrics", b"/"])
def test_a_method_nobody_knows_does_nothing_and_echoes_nothing(house, alice, method, target):
    with Wire(house.url) as wire:
        wire.send(head(method, target, alice.test_key, b"X-Mine: mine"))
        wire.socket.settimeout(2)
        status = int(wire.file.readline().split()[1])
        rest = b""
        while line := wire.file.readline().strip():
            rest += line

    assert (
        status in {200, 400, 404, 405} if (method, target) == (b"HEAD", b"/") else {400, 404, 405}
    )
    assert alice.test_key.encode() not in rest
    assert b"mine" not in rest


def test_an_answer_to_head_has_no_body(house, alice):
    first = head(b"HEAD", BASE + b"/balance", alice.test_key)
    second = head(b"GET", BASE + b"/key", alice.test_key)

    with Wire(house.url) as wire:
        wire.send(first + second)
        statuses = []
        while len(statuses) < 2:
            line = wire.file.readline()
            if line.startswith(b"HTTP/1.1 "):
                statuses.append(int(line.split()[1]))

    assert statuses == [405, 200]


# Headers that come back -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        b"order-1\r\nX-Evil: 1",
        b"order-1\rX-Evil: 1",
        b"order-1\nX-Evil: 1",
        b"order-1\x00",
        b"\xff\xfe",
        b"x" * 300,
    ],
)
def test_what_is_sent_in_a_header_does_not_come_back_as_one(house, alice, value):
    lines = (
        b"Content-Type: application/json",
        b"Idempotency-Key: " + value,
        b"Accept-Language: " + value,
        b"X-Request-Id: " + value,
        b"Content-Length: %d" % len(CHAT),
    )
    sent = head(b"POST", BASE + b"/chat/completions", alice.test_key, *lines) + CHAT

    with Wire(house.url) as wire:
        wire.send(sent)
        said = wire.hear()

    assert said.status in {200, 400}
    assert "x-evil" not in said.headers
    assert said.headers["x-request-id"].startswith("req_")
    assert not any(value.decode("latin-1") in told for told in said.headers.values())


@pytest.mark.parametrize("host", [b"", b"evil.test", b"a b", b"x\x7f", b"[::1", b"x" * 5000])
def test_the_host_is_never_believed(house, alice, host):
    lines = head(b"GET", BASE + b"/models", alice.test_key).replace(b"Host: x", b"Host: " + host)

    (said,) = tell(house, lines)

    assert said.status in {200, 400}
    assert b"evil.test" not in said.body
    assert "evil.test" not in str(said.headers)


# HTTP/1.0 and connections ---------------------------------------------------------------------


@pytest.mark.parametrize("path", [b"/chat/completions", b"/chat/stream"])
def test_a_caller_of_http_1_0_is_answered_and_the_connection_ends(house, alice, path):
    lines = (b"Content-Type: application/json", b"Content-Length: %d" % len(CHAT))
    sent = head(b"POST", BASE + path, alice.test_key, *lines, version=b"1.0") + CHAT

    with Wire(house.url) as wire:
        wire.send(sent)
        said = wire.hear()
        assert wire.is_closed()

    assert said.status == 200
    assert b"Say hello" in said.body or b"[DONE]" in said.body
    assert "transfer-encoding" not in said.headers


def test_a_connection_lives_on_after_every_error(house, alice):
    requests = [
        head(b"GET", BASE + b"/nothing", alice.test_key),
        head(b"GET", BASE + b"/balance"),
        head(b"PUT", BASE + b"/balance", alice.test_key, b"Content-Length: 0"),
        head(b"POST", BASE + b"/chat/completions", alice.test_key, b"Content-Length: 1") + b"{",
        head(b"GET", b"/metrics", alice.test_key),
        head(b"GET", BASE + b"/key", alice.test_key),
    ]

    statuses = [said.status for said in tell(house, *requests)]

    assert statuses == [404, 401, 405, 400, 401, 200]


def test_a_caller_who_asks_to_close_is_closed_on(house, alice):
    with Wire(house.url) as wire:
        wire.send(head(b"GET", BASE + b"/key", alice.test_key, b"Connection: close"))
        assert wire.hear().status == 200
        assert wire.is_closed()


@pytest.mark.parametrize(
    "name", ["X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-Forwarded-Prefix"]
)
def test_no_header_changes_what_is_asked_for(house, alice, name):
    said = Caller(house.base, alice.test_key, **{name: "/api/v1/external/balance"}).get("/key")

    assert said.json["object"] == "key"
