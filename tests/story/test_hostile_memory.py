"""The upstream sends without end: the server's memory, looked at from outside, stays bounded."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from calls import MODEL
from server import Server

from fakes.gateway import Customer, Gateway
from fakes.hostile_server import (
    CHUNKED,
    EVENTS,
    Deed,
    HostileServer,
    answer,
    chunk,
    hang_up,
    head,
    say,
    say_for_ever,
)
from fakes.hostile_wires import DIALECTS, event

MIB = 1024 * 1024
GROWN_MAX = 96 * MIB
"""A whole answer may have 32 MiB and is there twice while its pieces are joined: measured, 59."""

MODELS = dict(
    zip(
        DIALECTS,
        (MODEL, "openai/gpt-5", "anthropic/claude-haiku-4.5", "google/gemini-2.5-flash-lite"),
        strict=True,
    )
)
CHAT = DIALECTS["openai-chat"]


class Place(NamedTuple):
    server: Server
    customer: Customer
    hostile: HostileServer


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A server in a process of its own. Afterwards its books, opened again, must hold."""
    home = tmp_path_factory.mktemp("memory") / "home"
    with HostileServer() as hostile:
        with Gateway(home) as office:
            customer = office.add_customer("100")
            for dialect, model in MODELS.items():
                office.add_upstream(
                    hostile.base_url, model, upstream_model="vendor/m", dialect=dialect
                )
        settings = {"idle_timeout_s": "2", "attempt_timeout_s": "30"}
        with Server(home, **settings) as server:
            for dialect in DIALECTS:  # what is loaded once is no leak
                be_good(server, customer, hostile, dialect)
            yield Place(server, customer, hostile)
            assert server.stop() == 0
        with Gateway(home) as again:
            again.verify()


def ask(server: Server, customer: Customer, **fields: Any) -> requests.Response:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], **fields}
    key = {"Authorization": f"Bearer {customer.key}"}
    return requests.post(f"{server.base}/chat/completions", json=body, headers=key, timeout=60)


def be_good(server: Server, customer: Customer, hostile: HostileServer, dialect: str) -> None:
    """Two right answers, so that the route does not come to rest for the wrong ones."""
    hostile.does(say(answer(DIALECTS[dialect].whole)))
    for _ in range(2):
        assert ask(server, customer, model=MODELS[dialect]).status_code == 200


def resident_bytes(server: Server, which: str) -> int:
    """`VmRSS`, now, or `VmHWM`, the most since `forget_the_peak`."""
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith(which)]
    return int(line.split()[1]) * 1024


def forget_the_peak(server: Server) -> None:
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5", encoding="ascii")


def packed(unpacked: bytes, times: int) -> bytes:
    """A gzip body of *times* the same, made without holding it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(unpacked) for _ in range(times)) + packer.flush()


JSON = head("content-type: application/json")
PIECE = b"x" * MIB
GIB_IN_MIB = 1024
OPEN_BLOCK = b'{"type":"content_block_start","index":%d,"content_block":{"type":"text","text":"x"}}'
CALL = b'{"type":"response.output_item.added","output_index":%d,"item":{"type":"function_call"}}'
CANDIDATE = b'{"candidates":[{"index":%d,"content":{"parts":[{"text":"x"}]}}]}'
CHOICE = b'{"choices":[{"index":%d,"delta":{"content":"x"}}]}'
ENDLESS: dict[str, Callable[[], tuple[str, bool, tuple[Deed, ...]]]] = {
    "a line of a GiB": lambda: (
        "openai-chat",
        True,
        (say_for_ever(PIECE, first=EVENTS + b"data: ", times=GIB_IN_MIB),),
    ),
    "a comment of a GiB": lambda: (
        "openai-chat",
        True,
        (say_for_ever(PIECE, first=EVENTS + b": ", times=GIB_IN_MIB),),
    ),
    "an event of endless lines": lambda: (
        "openai-chat",
        True,
        (say_for_ever(b"data:\n" * 100_000, first=EVENTS, times=GIB_IN_MIB),),
    ),
    "a whole answer of a GiB": lambda: (
        "openai-chat",
        False,
        (say_for_ever(PIECE, first=JSON, times=GIB_IN_MIB),),
    ),
    "a chunk of a GiB by its own word": lambda: (
        "openai-chat",
        False,
        (say_for_ever(PIECE, first=CHUNKED + b"40000000\r\n", times=GIB_IN_MIB),),
    ),
    "a gzip bomb": lambda: (
        "openai-chat",
        False,
        (say(answer(packed(b" " * MIB, 512), "content-encoding: gzip")),),
    ),
    "a gzip bomb of events": lambda: (
        "openai-chat",
        True,
        (say(head("content-encoding: gzip") + packed(b": x\n" * 100_000, 512)), hang_up),
    ),
    "a million empty gzip members": lambda: (
        "openai-chat",
        False,
        (say(head("content-encoding: gzip") + gzip.compress(b"") * 1_000_000), hang_up),
    ),
    "thirty MiB of brackets": lambda: (
        "openai-chat",
        False,
        (say(answer(b'{"error":[' + b"[]," * (10 * MIB) + b"0]}")),),
    ),
    "seven MiB of brackets in an event": lambda: (
        "openai-chat",
        True,
        (say(EVENTS + event("", b'{"error":[' + b"[]," * (2 * MIB) + b"0]}")), hang_up),
    ),
    "a fingerprint of a MiB before many small pieces": lambda: (
        "openai-chat",
        True,
        (
            say(
                EVENTS
                + event(
                    "", CHOICE[:-1].replace(b"%d", b"0") + b',"system_fingerprint":"%b"}' % PIECE
                )
                + event("", CHOICE % 0) * 20_000
            ),
            hang_up,
        ),
    ),
    "choices without number": lambda: (
        "openai-chat",
        True,
        (say(EVENTS + b"".join(event("", CHOICE % n) for n in range(200_000))), hang_up),
    ),
    "blocks that never end": lambda: (
        "anthropic",
        True,
        (say(EVENTS + b"".join(event("", OPEN_BLOCK % n) for n in range(200_000))), hang_up),
    ),
    "calls without number": lambda: (
        "openai-responses",
        True,
        (say(EVENTS + b"".join(event("", CALL % n) for n in range(200_000))), hang_up),
    ),
    "candidates without number": lambda: (
        "gemini",
        True,
        (say(EVENTS + b"".join(event("", CANDIDATE % n) for n in range(200_000))), hang_up),
    ),
    "a refusal of a GiB": lambda: (
        "openai-chat",
        False,
        (say_for_ever(PIECE, first=head(status="500 No"), times=GIB_IN_MIB),),
    ),
    "trailers of a GiB": lambda: (
        "openai-chat",
        True,
        (say_for_ever(b"x: y\r\n" * 10_000, first=CHUNKED + chunk(b": x\n\n") + b"0\r\n"),),
    ),
}
"""Made when its turn comes: whoever only imports this file waits for no bomb."""


@pytest.mark.parametrize("name", ENDLESS)
def test_memory_is_bounded_whatever_is_sent(place: Place, name: str) -> None:
    dialect, stream, deeds = ENDLESS[name]()
    be_good(*place, dialect)
    place.hostile.does(*deeds)
    before = resident_bytes(place.server, "VmRSS")
    forget_the_peak(place.server)

    heard = ask(place.server, place.customer, model=MODELS[dialect], stream=stream)

    grown = resident_bytes(place.server, "VmHWM") - before
    assert grown < GROWN_MAX, f"{grown / MIB:.0f} MiB"
    assert heard.status_code == 502 or '"error":{' in heard.text
    assert len(heard.content) < 8 * MIB
    assert heard.elapsed.total_seconds() < 20


def test_the_others_are_served_meanwhile(place: Place) -> None:
    """The bombs are behind us; the server still answers at once and remembers nothing of them."""
    balance = requests.get(
        f"{place.server.base}/balance",
        headers={"Authorization": f"Bearer {place.customer.key}"},
        timeout=5,
    )

    assert balance.status_code == 200
    assert balance.json()["held"] == "0.000000000"
