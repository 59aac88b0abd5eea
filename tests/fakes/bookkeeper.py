"""What some usage costs, worked out a second time: from the decimal prices of the catalog, in
fractions, with no help of the code under test.
"""

import json
import math
from fractions import Fraction
from functools import cache
from importlib import resources
from typing import Any

NANOS = 10**9
MILLION = 10**6
PRICES = {
    "input_uncached": ("input",),
    "cache_read": ("cached_read", "input"),
    "cache_write_5m": ("cache_write_5m", "input"),
    "cache_write_1h": ("cache_write_1h", "cache_write_5m", "input"),
    "audio_input": ("audio_input", "input"),
    "output_text": ("output",),
    "reasoning": ("reasoning", "output"),
    "image": ("image", "output"),
}
"""For each kind the prices it goes by: the first that somebody publishes."""


EVERYTHING = {
    "input": "3",
    "output": "15",
    "cached_read": "0.3",
    "cache_write_5m": "3.75",
    "audio_input": "7",
    "reasoning": "20.000000001",
    "image": "40",
    "request": "0.002",
    "web_search": "0.010000001",
    "tiers": [
        {"above_input_tokens": 1000, "strict": False, "input": "6", "output": "22.5"},
        {"above_input_tokens": 5000, "input": "9", "output": "30", "reasoning": "31"},
    ],
}
"""A price that says everything an operator can say, and more than any model of the catalog."""


@cache
def costs() -> dict[str, dict[str, Any]]:
    """What each model of the catalog costs, as it is written in the file."""
    data = resources.files("altyn.catalog").joinpath("data/models.json").read_bytes()
    catalog = {model["id"]: model["cost"] for model in json.loads(data)["models"]}
    return {**catalog, "house/everything": EVERYTHING}


def prompt_tokens(kinds: dict[str, int]) -> int:
    """The length of the prompt, by which a tier is chosen."""
    inside = ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h", "audio_input")
    return sum(kinds.get(kind, 0) for kind in inside) - kinds.get("written_on_top", 0)


def tier_of(cost: dict[str, Any], prompt: int) -> dict[str, Any]:
    """The prices that hold for a whole call with a prompt of this length."""
    chosen = cost
    for tier in cost.get("tiers", ()):
        above = tier["above_input_tokens"]
        if prompt > above or (prompt == above and not tier.get("strict", True)):
            chosen = tier
    return chosen


def marked_up(price: str, markup: Fraction) -> Fraction:
    """A price per million with a markup; what is sold has whole nanos, rounded up."""
    return Fraction(math.ceil(Fraction(price) * (1 + markup) * NANOS), NANOS)


def amount(cost: dict[str, Any], kinds: dict[str, int], markup: Fraction = Fraction(0)) -> Fraction:
    """What the kinds cost, in units of currency, before the one rounding."""
    tier = tier_of(cost, prompt_tokens(kinds))
    total = marked_up(cost.get("request", "0"), markup)
    total += kinds.get("web_searches", 0) * marked_up(cost.get("web_search", "0"), markup)
    for kind, names in PRICES.items():
        price = next(tier[name] for name in names if name in tier)
        total += kinds.get(kind, 0) * marked_up(price, markup) / MILLION
    return total


def nanos(units: Fraction) -> int:
    """Rounded once, up to the next nano."""
    return math.ceil(units * NANOS)


def decimal(value: Fraction) -> str:
    """A fraction whose denominator divides a power of ten, to its last digit."""
    digits = 24
    scaled = value * 10**digits
    assert scaled.denominator == 1
    whole, rest = divmod(scaled.numerator, 10**digits)
    return f"{whole}.{rest:0{digits}d}".rstrip("0").removesuffix(".")
