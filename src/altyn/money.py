"""Money is an integer number of nanos: 1e-9 of one currency unit.

No float and no `/` comes near it. `Decimal` appears only here, where people read and write amounts.
"""

from decimal import ROUND_05UP, ROUND_CEILING, Decimal, InvalidOperation, localcontext

from altyn.errors import InvalidAmountError

Nanos = int
"""An amount, in 1e-9 of the installation's currency."""

NANOS_PER_UNIT = 1_000_000_000
TOKENS_PER_PRICE = 1_000_000
"""Prices are nanos per million tokens, so tokens times price is a million times too large."""

NANOS_MAX = 2**63 - 1
"""The largest amount a BIGINT column holds: about 9.2 billion units."""


def parse_nanos(text: str) -> Nanos:
    """Read a decimal amount of units, exactly. Raise `InvalidAmountError` on anything else.

    At most nine decimals are taken: a tenth would have to be rounded, and nobody asked us to.
    """
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise InvalidAmountError(text) from None
    with localcontext(prec=60, rounding=ROUND_05UP):
        if not amount.is_finite() or abs(amount) > NANOS_MAX:
            raise InvalidAmountError(text)
        # What is cut off after 60 digits must not make a whole nano of a part.
        nanos = amount * NANOS_PER_UNIT
        if nanos != nanos.to_integral_value() or abs(nanos) > NANOS_MAX:
            raise InvalidAmountError(text)
        return int(nanos)


def nanos_rounded_up(amount: Decimal) -> Nanos:
    """Turn a provider's decimal amount of units into nanos, a part of a nano counting as one."""
    with localcontext(prec=60, rounding=ROUND_CEILING):
        return int((amount * NANOS_PER_UNIT).to_integral_value())


def format_nanos(nanos: Nanos) -> str:
    """Write an amount with all its nine decimals: `12.340000000`."""
    if nanos < 0:
        return f"-{format_nanos(-nanos)}"
    return f"{nanos // NANOS_PER_UNIT}.{nanos % NANOS_PER_UNIT:09d}"


def format_short(nanos: Nanos) -> str:
    """Write an amount without trailing zeros, exactly: `12.34`, `0.000021`, `0`."""
    text = format_nanos(nanos).rstrip("0")
    return text.removesuffix(".")


def format_per_token(nanos_per_million: Nanos) -> str:
    """Write a price per million tokens as the price of one token: 3_000_000_000 is `0.000003`."""
    units, rest = divmod(nanos_per_million, NANOS_PER_UNIT * TOKENS_PER_PRICE)
    return f"{units}.{rest:015d}".rstrip("0").removesuffix(".")


def ceil_per_million(nanos_times_tokens: int) -> Nanos:
    """Divide a sum of tokens times price by a million, up to the next nano: once per call."""
    return -(-nanos_times_tokens // TOKENS_PER_PRICE)
