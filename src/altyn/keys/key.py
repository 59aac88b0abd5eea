"""What an API key is: minted, parsed and digested. Pure; nothing here looks anything up.

A key is `sk_live_` or `sk_test_`, 42 random Base62 characters (250 bits), and 6 Base62 digits of
the CRC-32 over all that stands before them. The checksum lets a mistyped key be refused, and a
leaked one be recognised, without asking the database.
"""

import secrets
from binascii import crc32
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Literal

from msgspec import Struct

Mode = Literal["live", "test"]
Period = Literal["day", "week", "month", "total"]

KEY_PATTERN = r"sk_(?:live|test)_[0-9A-Za-z]{48}"
"""For secret scanners: what a key looks like. The checksum weeds out what only looks so."""

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PREFIX_LENGTH = len("sk_live_")
_CHECKSUM_AT = _PREFIX_LENGTH + 42
_LENGTH = _CHECKSUM_AT + 6
_SHOWN = 12

# Two digits at a time: three look-ups instead of six on the way of every request.
_PAIRS = {
    high + low: i * 62 + j for i, high in enumerate(_ALPHABET) for j, low in enumerate(_ALPHABET)
}
_PAIR = 62 * 62

DAY_MS = 86_400_000


class ParsedKey(Struct, frozen=True, gc=False):
    """What may be shown of a key. The key itself is not kept: a repr in a log must not hold it."""

    mode: Mode
    prefix: str
    last_four: str


def mint(mode: Mode) -> str:
    """Make a new key. It is shown once; only its digest is stored."""
    body = f"sk_{mode}_" + "".join(secrets.choice(_ALPHABET) for _ in range(42))
    return body + _checksum(body)


def parse(text: str) -> ParsedKey | None:
    """Read a key, or return None for anything that `mint` cannot have made. Never raises.

    A single wrong character is always found: CRC-32 sees every burst of up to 32 bits.
    """
    # Length and ASCII first: what follows is then cheap and cannot fail, whatever was sent.
    if len(text) != _LENGTH or not text.isascii() or not text[_PREFIX_LENGTH:].isalnum():
        return None
    mode: Mode
    if text.startswith("sk_live_"):
        mode = "live"
    elif text.startswith("sk_test_"):
        mode = "test"
    else:
        return None
    stated = (_PAIRS[text[50:52]] * _PAIR + _PAIRS[text[52:54]]) * _PAIR + _PAIRS[text[54:]]
    if crc32(text[:_CHECKSUM_AT].encode()) != stated:
        return None
    return ParsedKey(mode, text[:_SHOWN], text[-4:])


def digest(key: str, pepper: bytes) -> bytes:
    """The 32 bytes a key is stored and found by: BLAKE2b, keyed with the pepper.

    A plain hash would let whoever holds a copy of the database test guesses; the pepper is not in
    the database. Its keyed mode is a MAC by design, at a tenth of what HMAC costs each request.
    """
    return blake2b(key.encode(), digest_size=32, key=pepper).digest()


def _checksum(body: str) -> str:
    rest, digits = crc32(body.encode()), ""
    for _ in range(6):
        rest, digit = divmod(rest, 62)
        digits = _ALPHABET[digit] + digits
    return digits


# Windows of a spend limit ---------------------------------------------------------------------


def window_start(period: Period, now_ms: int) -> int:
    """When the window that `now_ms` is in began: UTC, weeks on Monday; 0 for `total`."""
    if period == "total":
        return 0
    days = now_ms // DAY_MS
    if period == "day":
        return days * DAY_MS
    if period == "week":
        # 1970 began on a Thursday, three days into its week.
        return (days - (days + 3) % 7) * DAY_MS
    return _month_ms(now_ms, later=0)


def window_end(period: Period, now_ms: int) -> int | None:
    """When the next window begins; None for `total`, which has no next."""
    if period == "total":
        return None
    if period == "month":
        return _month_ms(now_ms, later=1)
    return window_start(period, now_ms) + (DAY_MS if period == "day" else 7 * DAY_MS)


def _month_ms(now_ms: int, *, later: int) -> int:
    """The first moment of the month of `now_ms`, or of one some months later."""
    now = datetime.fromtimestamp(now_ms // 1000, UTC)
    year, month = divmod(now.year * 12 + now.month - 1 + later, 12)
    return int(datetime(year, month + 1, 1, tzinfo=UTC).timestamp()) * 1000
