from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altyn.errors import InvalidAmountError
from altyn.money import (
    NANOS_MAX,
    ceil_per_million,
    format_nanos,
    format_per_token,
    format_short,
    nanos_rounded_up,
    parse_nanos,
)

AMOUNTS = st.integers(min_value=-NANOS_MAX, max_value=NANOS_MAX)


@pytest.mark.parametrize(
    ("text", "nanos"),
    [
        ("0", 0),
        ("10", 10_000_000_000),
        ("0.000000001", 1),
        ("-3.5", -3_500_000_000),
        ("1e3", 1_000_000_000_000),
        ("9223372036.854775807", 2**63 - 1),
        ("-9223372036.854775807", -(2**63) + 1),
        ("1." + "0" * 99, 1_000_000_000),
    ],
)
def test_a_decimal_amount_is_read_exactly(text, nanos):
    assert parse_nanos(text) == nanos


@pytest.mark.parametrize(
    "text",
    [
        *("", "ten", "0.0000000001", "NaN", "sNaN", "Infinity", "1,5", "1/2"),
        *("9223372036.854775808", "-9223372036.854775808", "1e30", "1e999999", "1e-999999"),
        *("1." + "0" * 70 + "1", "0." + "9" * 70),
    ],
)
def test_anything_else_is_no_amount(text):
    with pytest.raises(InvalidAmountError) as refusal:
        parse_nanos(text)

    assert refusal.value.message("en").startswith(f"'{text}' is not an amount of money")


@given(AMOUNTS)
def test_what_is_written_is_read_again(nanos):
    assert parse_nanos(format_nanos(nanos)) == nanos
    assert parse_nanos(format_short(nanos)) == nanos


@pytest.mark.parametrize(
    ("nanos", "long", "short"),
    [
        (0, "0.000000000", "0"),
        (12_340_000_000, "12.340000000", "12.34"),
        (21_000, "0.000021000", "0.000021"),
        (-1, "-0.000000001", "-0.000000001"),
        (100_000_000_000, "100.000000000", "100"),
    ],
)
def test_amounts_are_written_in_full_or_short(nanos, long, short):
    assert format_nanos(nanos) == long
    assert format_short(nanos) == short


@pytest.mark.parametrize(
    ("amount", "nanos"),
    [
        *(("0", 0), ("0.0000000001", 1), ("0.000837", 837_000), ("0.0000000010", 1)),
        ("1." + "0" * 70 + "1", 1_000_000_001),
    ],
)
def test_a_part_of_a_nano_counts_as_one(amount, nanos):
    assert nanos_rounded_up(Decimal(amount)) == nanos


@pytest.mark.parametrize(
    ("per_million", "per_token"),
    [(3_000_000_000, "0.000003"), (1, "0.000000000000001"), (0, "0"), (10**15, "1")],
)
def test_a_price_per_million_is_written_as_the_price_of_one(per_million, per_token):
    assert format_per_token(per_million) == per_token


@pytest.mark.parametrize(
    ("total", "nanos"), [(0, 0), (1, 1), (1_000_000, 1), (1_000_001, 2), (999_999_999_999, 10**6)]
)
def test_a_charge_is_rounded_up_once(total, nanos):
    assert ceil_per_million(total) == nanos
