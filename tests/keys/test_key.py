import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altyn.keys.key import KEY_PATTERN, _checksum, digest, mint, parse, window_end, window_start

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PEPPER = b"p" * 32

# Written down once, so that the format cannot drift: keys live in customers' settings for years.
KNOWN_KEY = "sk_live_" + "A" * 42 + "29rjzr"


def ms(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 1000


@pytest.mark.parametrize("mode", ["live", "test"])
def test_a_minted_key_is_read_back(mode):
    key = mint(mode)

    parsed = parse(key)

    assert parsed is not None
    assert (parsed.mode, parsed.prefix, parsed.last_four) == (mode, key[:12], key[-4:])


def test_a_key_has_the_published_shape():
    key = mint("live")

    assert re.fullmatch(KEY_PATTERN, key)
    assert len(key) == len("sk_live_") + 48


def test_a_key_of_years_ago_is_still_read():
    parsed = parse(KNOWN_KEY)

    assert parsed is not None
    assert parsed.mode == "live"


def test_no_two_keys_are_alike():
    keys = {mint("live") for _ in range(1000)}

    assert len(keys) == 1000


def test_a_parsed_key_does_not_show_the_key():
    key = mint("live")

    shown = repr(parse(key))

    assert key not in shown
    assert key[12:-4] not in shown


@given(mode=st.sampled_from(["live", "test"]), at=st.integers(0, 55), to=st.sampled_from(BASE62))
def test_a_wrong_character_is_refused(mode, at, to):
    key = mint(mode)
    wrong = key[:at] + to + key[at + 1 :]

    parsed = parse(wrong)

    assert (parsed is None) == (wrong != key)


@given(at=st.integers(8, 54))
def test_two_characters_that_changed_places_are_refused(at):
    key = mint("live")
    wrong = key[:at] + key[at + 1] + key[at] + key[at + 2 :]

    parsed = parse(wrong)

    assert (parsed is None) == (wrong != key)


def test_a_right_checksum_makes_no_key_of_another_kind():
    body = "sk_prod_" + "A" * 42

    assert parse(body + _checksum(body)) is None


def test_a_test_key_cannot_be_made_live_by_its_prefix():
    key = mint("test").replace("sk_test_", "sk_live_")

    assert parse(key) is None


@given(st.text(max_size=80))
def test_any_other_text_is_refused_without_raising(text):
    assert parse(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sk_live_",
        "x" * 10_000,
        "sk_live_" + "x" * 10_000,
        "sk_live_" + "ы" * 48,
        "sk_live_" + "٣" * 48,
        "sk_live_" + "\ud800" * 48,
        "sk_live_" + "_" * 48,
        KNOWN_KEY + "\n",
        " " + KNOWN_KEY[:-1],
        KNOWN_KEY.upper(),
        KNOWN_KEY.replace("sk_live_", "sk_prod_"),
    ],
)
def test_what_only_looks_like_a_key_is_refused(text):
    assert parse(text) is None


def test_a_digest_is_the_same_for_the_same_key():
    assert digest(KNOWN_KEY, PEPPER) == digest(KNOWN_KEY, PEPPER)
    assert len(digest(KNOWN_KEY, PEPPER)) == 32


def test_a_digest_is_blake2b_keyed_with_the_pepper():
    assert digest("what do ya want for nothing?", b"Jefe").hex() == (
        "44a4b7e70bb4dcf7416a764ddbc4485238283605dd7781dc1ea7e1ce22707834"
    )


def test_another_pepper_gives_another_digest():
    assert digest(KNOWN_KEY, PEPPER) != digest(KNOWN_KEY, b"q" * 32)


NOW = ms(2026, 11, 22, 13, 45)  # a Sunday


@pytest.mark.parametrize(
    ("period", "now_ms", "start", "end"),
    [
        ("day", NOW, ms(2026, 11, 22), ms(2026, 11, 23)),
        ("day", ms(2026, 11, 22), ms(2026, 11, 22), ms(2026, 11, 23)),
        ("day", ms(2026, 11, 22) - 1, ms(2026, 11, 21), ms(2026, 11, 22)),
        ("week", NOW, ms(2026, 11, 16), ms(2026, 11, 23)),
        ("week", ms(2026, 11, 23), ms(2026, 11, 23), ms(2026, 11, 30)),
        ("week", ms(2027, 1, 1), ms(2026, 12, 28), ms(2027, 1, 4)),
        ("month", NOW, ms(2026, 11, 1), ms(2026, 12, 1)),
        ("month", ms(2026, 12, 31, 23, 59), ms(2026, 12, 1), ms(2027, 1, 1)),
        ("month", ms(2028, 2, 29), ms(2028, 2, 1), ms(2028, 3, 1)),
        ("total", NOW, 0, None),
    ],
)
def test_a_spend_limit_counts_in_windows_of_utc(period, now_ms, start, end):
    assert window_start(period, now_ms) == start
    assert window_end(period, now_ms) == end


@given(
    period=st.sampled_from(["day", "week", "month"]),
    now_ms=st.integers(ms(2020, 1, 1), ms(2100, 1, 1)),
)
def test_one_window_ends_where_the_next_begins(period, now_ms):
    start, end = window_start(period, now_ms), window_end(period, now_ms)

    assert start <= now_ms < end
    assert window_start(period, end) == end
    assert window_start(period, end - 1) == start
