"""Addresses that a caller names in a prompt: passed on where the dialect has a place for them, and
never looked up, let alone fetched, by the gateway.
"""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from books import books_agree
from calls import chat, exact

from fakes.gateway import Gateway
from fakes.hostile_server import HostileServer, answer, say
from fakes.hostile_wires import DIALECTS

IMAGE = "https://images.canary.test/a.png"
MODELS = dict(
    zip(
        DIALECTS,
        (
            "x-ai/grok-4",
            "openai/gpt-5",
            "anthropic/claude-haiku-4.5",
            "google/gemini-2.5-flash-lite",
        ),
        strict=True,
    )
)


@pytest.fixture
def asked_names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every name that this process has resolved."""
    names: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, *more: Any, **named: Any) -> Any:
        names.append(str(host))
        return real(host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return names


@pytest.fixture
def trap() -> Iterator[HostileServer]:
    """Who is to be reached through a prompt."""
    with HostileServer() as server:
        yield server


def image(url: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_address_goes_to_the_provider_as_it_is(
    sqlite_gateway: Gateway, asked_names: list[str], dialect: str
) -> None:
    with HostileServer() as vendor:
        vendor.does(say(answer(DIALECTS[dialect].whole)))
        sqlite_gateway.add_upstream(vendor.base_url, MODELS[dialect], dialect=dialect)
        customer = sqlite_gateway.add_customer("10")

        heard = chat(sqlite_gateway, customer.key, model=MODELS[dialect], messages=image(IMAGE))

        (request,) = vendor.requests
    assert heard.status_code == 200
    assert IMAGE in json.dumps(json.loads(request.partition(b"\r\n\r\n")[2]))
    assert not [name for name in asked_names if "canary" in name]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/a.png",
        "http://localhost:{port}/a.png",
        "http://2130706433:{port}/a.png",
        "http://[::ffff:127.0.0.1]:{port}/a.png",
        "http://example.com@127.0.0.1:{port}/a.png",
        "file:///etc/passwd",
    ],
)
def test_an_address_inside_is_refused_before_anything_is_held_or_asked(
    sqlite_gateway: Gateway, trap: HostileServer, url: str
) -> None:
    with HostileServer() as vendor:
        model = MODELS["openai-chat"]
        sqlite_gateway.add_upstream(vendor.base_url, model)
        customer = sqlite_gateway.add_customer("10")

        heard = chat(
            sqlite_gateway, customer.key, model=model, messages=image(url.format(port=trap.port))
        )

        assert vendor.connections == 0
    error = exact(heard)["error"]
    assert (heard.status_code, error["code"]) == (400, "invalid_parameter")
    assert error["param"] == "messages[0].content[0].image_url"
    assert trap.connections == 0
    assert books_agree(sqlite_gateway, customer) == []


def test_a_file_kept_at_the_provider_is_the_operators(sqlite_gateway: Gateway) -> None:
    with HostileServer() as vendor:
        sqlite_gateway.add_upstream(vendor.base_url, "openai/gpt-5", dialect="openai-responses")
        customer = sqlite_gateway.add_customer("10")
        part = {"type": "file", "file": {"file_id": "file-of-somebody-else"}}

        heard = chat(
            sqlite_gateway,
            customer.key,
            model="openai/gpt-5",
            messages=[{"role": "user", "content": [part]}],
        )

        assert vendor.connections == 0
    assert (heard.status_code, exact(heard)["error"]["code"]) == (400, "unsupported_parameter")
