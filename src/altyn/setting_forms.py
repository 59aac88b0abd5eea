"""What the value of a setting may look like: in words for whoever errs, as a reader, and masked."""

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct

MASK = "***"


class Form(Struct, frozen=True):
    """What a value looks like: in words for the sentence of an error, and as a reader.

    `read` raises ValueError on anything else.
    """

    expected: str
    read: Callable[[str], Any]


def _matches(text: str, pattern: str) -> str:
    if not re.fullmatch(pattern, text):
        raise ValueError
    return text


def _within(value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError


def number(low: int, high: int) -> Form:
    def read(text: str) -> int:
        value = int(_matches(text, r"[0-9]{1,18}"))
        _within(value, low, high)
        return value

    return Form(f"a number from {low} to {high}", read)


def seconds(low: float, high: float) -> Form:
    def read(text: str) -> float:
        value = float(_matches(text, r"[0-9]{1,9}(\.[0-9]{1,9})?"))
        _within(value, low, high)
        return value

    return Form(f"a number of seconds from {low:g} to {high:g}", read)


def choice(*words: str) -> Form:
    return Form(f"one of {', '.join(words)}", lambda text: words[words.index(text)])


def _read_database_url(text: str) -> str:
    _matches(text, r"sqlite:///.+|postgresql://.+")
    # A store in memory would lose the money at the next restart.
    if text == "sqlite:///:memory:":
        raise ValueError
    return text


def _read_web_url(text: str) -> str:
    return _matches(text, r"https?://[^\s/?#]+(/[^\s?#]*)?").rstrip("/")


def _read_networks(text: str) -> str:
    for network in text.split(","):
        ipaddress.ip_network(network.strip(), strict=False)
    return text


HOME = Form("a directory", lambda text: Path(text).expanduser().absolute())
HOST = Form("a host name or an address", lambda text: _matches(text, r"[^\s/]+"))
DATABASE = Form("sqlite:///path or postgresql://user:password@host/name", _read_database_url)
WEB_URL = Form("an address such as https://ai.example.com", _read_web_url)
CURRENCY = Form("three letters such as USD", lambda text: _matches(text, r"[A-Za-z]{3}").upper())
REDIS = Form(
    "redis://host:6379/0, rediss://… or unix://…",
    lambda text: _matches(text, r"(rediss?|unix)://\S+"),
)
SMTP = Form(
    "smtp://user:password@host:587 or smtps://…:465",
    lambda text: _matches(text, r"smtps?://[^\s/]+"),
)
MAIL = Form("an e-mail address", lambda text: _matches(text, r"[^@\s<>]+@[^@\s<>]+"))
_LINK = r"https://[^\s/?#<>\"]+[^\s<>\"]*"
LINK = Form("an https:// link", lambda text: _matches(text, _LINK))
CONTACT = Form(
    "an e-mail address or an https:// link",
    lambda text: _matches(text, rf"{_LINK}|[^@\s<>/:?&#%\"]+@[^@\s<>/:?&#%\"]+"),
)
NETWORKS = Form("addresses or networks with commas between", _read_networks)
ISSUER = Form(
    "an https:// address; http:// only for this machine",
    lambda text: _matches(
        text, r"https://[^\s/?#@]+(/[^\s?#]*)?|http://(127\.0\.0\.1|localhost)(:\d+)?(/[^\s?#]*)?"
    ),
)
CLIENT = Form("letters without spaces", lambda text: _matches(text, r"[!-~]+"))
NAME = Form("a name of at most 40 letters", lambda text: _matches(text, r"[^\x00-\x1f<>]{1,40}"))
TOKEN = Form("16 or more letters without spaces", lambda text: _matches(text, r"[!-~]{16,}"))


def mask_url(url: str) -> str:
    """Hide the password of an address, wherever in it one may stand."""
    # Greedy up to the last @: a password that was not escaped may hold any sign.
    url = re.sub(r"(://[^:@/?#]*:).*@", rf"\1{MASK}@", url)
    return re.sub(r"(?i)([?&][^=&]*(?:pass|secret)[^=&]*=)[^&]*", rf"\1{MASK}", url)
