import math
from contextlib import nullcontext
from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from altyn.catalog.price import (
    PRICE_MAX,
    Price,
    PriceDecimals,
    Tier,
    TierDecimals,
    decimals,
    read_price,
)
from altyn.chat import Usage
from altyn.errors import InvalidAmountError, OperatorError
from altyn.money import ceil_per_million, format_nanos, format_per_token, nanos_rounded_up

SONNET_46 = PriceDecimals(input="3", output="15", cached_read="0.3", cache_write_5m="3.75")
GROK_4 = PriceDecimals(input="3", output="15", cached_read="0.75")
GEMINI_25_FLASH = PriceDecimals(
    input="0.3",
    output="2.5",
    cached_read="0.03",
    cache_write_5m="0.083333333",
    cache_write_on_top=True,
)
LONG = Price(
    input=3_000, output=15_000, tiers=(Tier(input=6_000, output=22_500, above_input_tokens=200),)
)


def price_of(decimals: PriceDecimals) -> Price:
    return Price.from_per_million_decimals(decimals)


# Charges that were recorded at OpenRouter, as whole nanos (a started nano counts)
@pytest.mark.parametrize(
    ("decimals", "usage", "charge"),
    [
        (SONNET_46, Usage(input_uncached=3, cache_write_5m=2569), "0.009642750"),
        (
            SONNET_46,
            Usage(input_uncached=1, cache_write_5m=79, cache_read=2569),
            "0.001069950",
        ),
        (SONNET_46, Usage(input_uncached=254, output_text=5), "0.000837000"),
        (SONNET_46, Usage(input_uncached=43, output_text=23, reasoning=13), "0.000669000"),
        (GROK_4, Usage(input_uncached=8, cache_read=679), "0.000533250"),
        (
            GROK_4,
            Usage(input_uncached=8, cache_read=679, output_text=69, reasoning=118),
            "0.003338250",
        ),
        (
            PriceDecimals(input="5", output="0", cache_write_5m="6.25"),
            Usage(input_uncached=8, cache_write_5m=4012),
            "0.025115000",
        ),
        (
            GEMINI_25_FLASH,
            Usage(input_uncached=7, cache_read=2161, cache_write_5m=2161),
            "0.000247014",
        ),
        (
            PriceDecimals(input="0.4", output="1.6", web_search="0.01"),
            Usage(input_uncached=8174, output_text=30, web_searches=1),
            "0.013317600",
        ),
    ],
)
def test_recorded_calls_cost_what_was_recorded(decimals, usage, charge):
    price = price_of(decimals)

    assert format_nanos(price.charge(usage)) == charge


@pytest.mark.parametrize(
    ("usage", "same_as"),
    [
        (Usage(cache_read=7), Usage(input_uncached=7)),
        (Usage(cache_write_5m=7), Usage(input_uncached=7)),
        (Usage(cache_write_1h=7), Usage(input_uncached=7)),
        (Usage(audio_input=7), Usage(input_uncached=7)),
        (Usage(reasoning=7), Usage(output_text=7)),
        (Usage(image=7), Usage(output_text=7)),
    ],
)
def test_a_kind_without_a_price_costs_what_its_neighbour_costs(usage, same_as):
    price = Price(input=3_000_000, output=15_000_000)

    assert price.charge(usage) == price.charge(same_as) > 0


def test_writing_for_an_hour_costs_no_less_than_for_five_minutes_unless_priced():
    price = Price(input=3_000_000, cache_write_5m=3_750_000, output=0)

    assert price.charge(Usage(cache_write_1h=4)) == 15


def test_every_kind_can_have_a_price_of_its_own():
    price = Price(
        input=1_000_000,
        cached_read=2_000_000,
        cache_write_5m=3_000_000,
        cache_write_1h=4_000_000,
        audio_input=5_000_000,
        output=6_000_000,
        reasoning=7_000_000,
        image=8_000_000,
        request=9,
        web_search=10,
    )
    one_of_each = Usage(
        input_uncached=1,
        cache_read=1,
        cache_write_5m=1,
        cache_write_1h=1,
        audio_input=1,
        output_text=1,
        reasoning=1,
        image=1,
        web_searches=1,
    )

    assert price.charge(one_of_each) == sum(range(1, 11))


def test_a_charge_is_rounded_up_once_for_the_whole_call():
    price = Price(input=1, output=1)

    charges = [price.charge(Usage(input_uncached=i, output_text=i)) for i in (0, 1, 500_000)]

    assert charges == [0, 1, 1]


def test_a_fee_that_nobody_has_set_is_nothing():
    price = Price(input=0, output=0)

    assert price.charge(Usage(web_searches=3)) == 0
    assert price.quote(input_tokens_bound=9, output_tokens_max=9, searches_max=3) == 0


def test_a_request_and_a_search_are_paid_by_the_piece():
    price = Price(input=0, output=0, request=5, web_search=7)

    assert price.charge(Usage()) == 5
    assert price.charge(Usage(web_searches=3)) == 26


@pytest.mark.parametrize(
    ("strict", "prompt_tokens", "in_tier"),
    [
        (True, 199, False),
        (True, 200, False),
        (True, 201, True),
        (False, 199, False),
        (False, 200, True),
    ],
)
def test_a_tier_begins_above_its_boundary_or_at_it(strict, prompt_tokens, in_tier):
    tier = Tier(input=6_000_000, output=22, above_input_tokens=200, strict=strict)
    price = Price(input=3_000_000, output=15, tiers=(tier,))

    charge = price.charge(Usage(input_uncached=prompt_tokens))

    assert charge == prompt_tokens * (6 if in_tier else 3)


def test_a_tier_reprices_the_whole_call_output_included():
    usage = Usage(input_uncached=201, output_text=1_000)

    assert LONG.charge(usage) == ceil_per_million(201 * 6_000 + 1_000 * 22_500)


def test_cached_and_written_tokens_count_towards_the_tier():
    usage = Usage(input_uncached=1, cache_read=100, cache_write_5m=99, cache_write_1h=1)

    assert LONG.charge(usage) == ceil_per_million(201 * 6_000)


def test_a_kind_left_out_of_a_tier_costs_the_tiers_own_input():
    tier = Tier(input=6_000_000, output=30_000_000, above_input_tokens=100)
    price = Price(input=3_000_000, cached_read=750_000, output=15_000_000, tiers=(tier,))

    charge = price.charge(Usage(cache_read=101))

    assert charge == 101 * 6


def test_the_highest_tier_reached_counts():
    price = Price(
        input=1_000_000,
        output=0,
        tiers=(
            Tier(input=2_000_000, output=0, above_input_tokens=10),
            Tier(input=3_000_000, output=0, above_input_tokens=20),
        ),
    )

    charges = [price.charge(Usage(input_uncached=tokens)) for tokens in (10, 20, 21)]

    assert charges == [10, 40, 63]


def test_tokens_written_on_top_of_read_ones_do_not_lengthen_the_prompt():
    tier = Tier(input=100, output=100, above_input_tokens=200)
    price = Price(input=1_000_000, output=1, cache_write_5m=1_000_000, tiers=(tier,))
    usage = Usage(input_uncached=10, cache_read=190, cache_write_5m=150, written_on_top=150)

    assert usage.input_tokens == 200
    assert price.charge(usage) == 350


@pytest.mark.parametrize("form", [Tier, TierDecimals])
@pytest.mark.parametrize(("boundary", "good"), [(1, True), (0, False)])
def test_a_tier_may_begin_above_the_first_token_and_not_above_none(form, boundary, good):
    written = {"input": 1, "output": 1} if form is Tier else {"input": "1", "output": "1"}

    with nullcontext() if good else pytest.raises(msgspec.ValidationError, match=">= 1"):
        msgspec.convert({**written, "above_input_tokens": boundary}, form)


@pytest.mark.parametrize("boundaries", [(200, 100), (100, 100)])
def test_tiers_that_do_not_rise_are_refused(boundaries):
    tiers = tuple(Tier(input=1, output=1, above_input_tokens=b) for b in boundaries)

    with pytest.raises(OperatorError, match="must rise"):
        Price(input=1, output=1, tiers=tiers)


# Quotes ---------------------------------------------------------------------------------------


def test_a_quote_is_the_dearest_input_and_all_of_the_output():
    price = price_of(SONNET_46)

    quote = price.quote(input_tokens_bound=1000, output_tokens_max=2048)

    assert format_nanos(quote) == "0.034470000"  # 1000 x 3.75e-6 + 2048 x 15e-6


def test_a_quote_without_cache_writes_leaves_out_their_price():
    price = price_of(SONNET_46)

    quote = price.quote(input_tokens_bound=1000, output_tokens_max=0, cache_writes=False)

    assert format_nanos(quote) == "0.003000000"


def test_a_quote_covers_sound_unless_there_is_none():
    price = Price(input=500_000, audio_input=1_000_000, output=0)

    heard = price.quote(input_tokens_bound=10, output_tokens_max=0)
    silent = price.quote(input_tokens_bound=10, output_tokens_max=0, audio=False)

    assert (heard, silent) == (10, 5)


def test_a_quote_multiplies_the_output_by_n_but_not_the_input():
    price = Price(input=1_000_000, output=1_000_000)

    assert price.quote(input_tokens_bound=10, output_tokens_max=5, n=3) == 25


def test_a_quote_counts_the_searches_and_the_call():
    price = Price(input=0, output=0, request=5, web_search=7)

    assert price.quote(input_tokens_bound=0, output_tokens_max=0, searches_max=2) == 19


def test_a_quote_is_in_the_tier_as_soon_as_its_bound_is():
    at_the_boundary = LONG.quote(input_tokens_bound=200, output_tokens_max=1_000)
    above_it = LONG.quote(input_tokens_bound=201, output_tokens_max=1_000)

    assert at_the_boundary == ceil_per_million(200 * 3_000 + 1_000 * 15_000)
    assert above_it == ceil_per_million(201 * 6_000 + 1_000 * 22_500)


def test_a_cheaper_tier_does_not_cheapen_a_quote():
    tier = Tier(input=1_000_000, output=1_000_000, above_input_tokens=100)
    price = Price(input=3_000_000, output=15_000_000, tiers=(tier,))

    assert price.quote(input_tokens_bound=101, output_tokens_max=10) == 100 * 3 + 10 * 15


@pytest.mark.parametrize("kind", ["input_uncached", "cache_read", "audio_input"])
def test_a_quote_covers_a_token_that_is_written_on_top_of_what_it_is(kind):
    dear = {"input_uncached": "input", "cache_read": "cached_read", "audio_input": "audio_input"}
    prices = {"input": 1, "output": 0, "cached_read": 1, "audio_input": 1, dear[kind]: 3_000_000}
    price = Price(**prices, cache_write_5m=2_000_000, cache_write_on_top=True)

    quote = price.quote(input_tokens_bound=2, output_tokens_max=0)

    assert quote == price.charge(Usage(**{kind: 2}, cache_write_5m=2, written_on_top=2)) == 10


def test_what_is_written_on_top_is_covered_however_short_the_bracket_of_the_prompt_is():
    tier = Tier(input=0, output=0, above_input_tokens=1)
    price = Price(input=1_000_000, output=0, cache_write_on_top=True, tiers=(tier,))
    usage = Usage(input_uncached=1, cache_write_5m=2, written_on_top=2)

    assert price.charge(usage) == price.quote(input_tokens_bound=2, output_tokens_max=0) == 3


nanos = st.integers(0, 10**12)
maybe_nanos = st.none() | nanos
kinds = {
    "input": nanos,
    "output": nanos,
    "cached_read": maybe_nanos,
    "cache_write_5m": maybe_nanos,
    "cache_write_1h": maybe_nanos,
    "audio_input": maybe_nanos,
    "reasoning": maybe_nanos,
    "image": maybe_nanos,
}


@st.composite
def prices(draw):
    boundaries = sorted(draw(st.sets(st.integers(1, 60).map(lambda b: b * 2), max_size=3)))
    tiers = tuple(
        Tier(
            **{kind: draw(value) for kind, value in kinds.items()},
            above_input_tokens=boundary,
            strict=draw(st.booleans()),
        )
        for boundary in boundaries
    )
    return Price(
        **{kind: draw(value) for kind, value in kinds.items()},
        request=draw(nanos),
        web_search=draw(nanos),
        cache_write_on_top=draw(st.booleans()),
        tiers=tiers,
    )


few = st.integers(0, 60)
usages = st.builds(
    Usage,
    input_uncached=few,
    cache_read=few,
    cache_write_5m=few,
    cache_write_1h=few,
    audio_input=few,
    output_text=few,
    reasoning=few,
    image=few,
    web_searches=st.integers(0, 3),
)


def as_billed(price: Price, usage: Usage) -> Usage:
    """The usage as the providers of this price count what is written to a cache."""
    on_top = usage.cache_write if price.cache_write_on_top else 0
    return msgspec.structs.replace(usage, written_on_top=on_top)


FALLBACKS = {
    "cached_read": "input",
    "cache_write_5m": "input",
    "cache_write_1h": "cache_write_5m",
    "audio_input": "input",
    "reasoning": "output",
    "image": "output",
}
COUNTED_AS = {
    "input_uncached": "input",
    "cache_read": "cached_read",
    "output_text": "output",
}


def worked_out(price: Price, usage: Usage) -> int:
    """The charge as one would do it on paper, from the words of the price alone."""
    written = usage.cache_write_5m + usage.cache_write_1h
    prompt = usage.input_uncached + usage.audio_input + usage.cache_read + written
    prompt -= usage.written_on_top
    kinds = price
    for tier in price.tiers:
        if prompt > tier.above_input_tokens - (0 if tier.strict else 1):
            kinds = tier

    def of(kind: str) -> Fraction:
        said = getattr(kinds, kind)
        return Fraction(said, 10**6) if said is not None else of(FALLBACKS[kind])

    tokens = {
        COUNTED_AS.get(field, field): getattr(usage, field) for field in Usage.__struct_fields__[:8]
    }
    total = sum(count * of(kind) for kind, count in tokens.items())
    return math.ceil(total) + price.request + usage.web_searches * price.web_search


@given(prices(), usages)
def test_a_charge_is_what_it_comes_to_on_paper(price, usage):
    assert price.charge(usage) == worked_out(price, usage)


@given(prices(), usages, st.sampled_from(Usage.__struct_fields__[:9]), few)
def test_more_tokens_never_cost_less_while_no_tier_is_cheaper(price, usage, kind, more):
    flat = msgspec.structs.replace(price, tiers=())
    dearer = msgspec.structs.replace(usage, **{kind: getattr(usage, kind) + more})

    assert flat.charge(usage) <= flat.charge(dearer)


@given(prices(), st.lists(usages, min_size=1, max_size=4))
def test_rounding_costs_at_most_a_nano_for_each_call(price, several):
    flat = msgspec.structs.replace(price, tiers=(), cache_write_on_top=False, request=0)
    together = Usage(
        **{
            kind: sum(getattr(usage, kind) for usage in several)
            for kind in Usage.__struct_fields__[:9]
        }
    )

    apart = sum(flat.charge(usage) for usage in several)

    assert 0 <= apart - flat.charge(together) < len(several)


@given(prices())
def test_a_price_as_people_write_it_is_read_again_exactly(price):
    written = msgspec.convert(decimals(price), PriceDecimals)

    assert price_of(written) == price


@given(prices())
def test_the_dearest_figure_is_what_a_million_tokens_or_one_fee_costs(price):
    plain = msgspec.structs.replace(price, tiers=(), request=0)
    flats = [
        plain,
        *(Price(**{kind: getattr(tier, kind) for kind in kinds}) for tier in price.tiers),
    ]
    millions = [Usage(**{kind: 10**6}) for kind in Usage.__struct_fields__[:8]]

    dearest = max(flat.charge(million) for flat in flats for million in millions)

    assert price.dearest() == max(dearest, price.request, price.web_search)


def limits_of(price: Price, usage: Usage, *, n: int = 1) -> dict[str, int]:
    """The tightest limits this usage is within. What is written is a part of the prompt."""
    return {
        "input_tokens_bound": max(usage.input_tokens, usage.cache_write),
        "output_tokens_max": -(-usage.output_tokens // n),
        "n": n,
        "searches_max": usage.web_searches,
    }


@given(prices(), usages, st.integers(1, 4), few, few)
def test_no_usage_within_its_limits_is_charged_more_than_the_quote(price, usage, n, more, longer):
    usage = as_billed(price, usage)
    limits = limits_of(price, usage, n=n)
    limits["input_tokens_bound"] += more
    limits["output_tokens_max"] += longer

    assert price.charge(usage) <= price.quote(**limits)


@given(prices(), usages)
def test_a_quote_may_leave_out_what_cannot_happen(price, usage):
    plain = msgspec.structs.replace(usage, cache_write_5m=0, cache_write_1h=0, audio_input=0)

    quote = price.quote(**limits_of(price, plain), cache_writes=False, audio=False)

    assert price.charge(plain) <= quote


@given(prices(), st.integers(0, 200), few, few, few)
def test_a_quote_never_falls_as_its_limits_grow(price, bound, output, more, longer):
    smaller = price.quote(input_tokens_bound=bound, output_tokens_max=output)
    larger = price.quote(input_tokens_bound=bound + more, output_tokens_max=output + longer)

    assert smaller <= larger


@given(prices(), usages)
def test_a_quote_for_one_kind_alone_is_no_dearer_than_its_charge(price, usage):
    # A bound that is never reached would be a hold nobody needs.
    flat = msgspec.structs.replace(price, tiers=(), cache_write_on_top=False)
    tokens = usage.input_uncached
    alone = [
        Usage(input_uncached=tokens),
        Usage(cache_read=tokens),
        Usage(cache_write_5m=tokens),
        Usage(cache_write_1h=tokens),
        Usage(audio_input=tokens),
    ]

    quote = flat.quote(input_tokens_bound=tokens, output_tokens_max=0)

    assert quote == max(flat.charge(each) for each in alone)


# What one can afford --------------------------------------------------------------------------


@given(prices(), st.integers(0, 10**14), st.integers(0, 200), st.integers(1, 4))
def test_the_affordable_output_fits_and_one_token_more_does_not(price, available, bound, n):
    fits = price.affordable_output_tokens(
        available, input_tokens_bound=bound, n=n, searches_max=1, at_most=10_000
    )

    def quote(output_tokens_max: int) -> int:
        return price.quote(
            input_tokens_bound=bound, output_tokens_max=output_tokens_max, n=n, searches_max=1
        )

    if fits is None:
        assert quote(1) > available
    else:
        assert quote(fits) <= available
        assert fits == 10_000 or quote(fits + 1) > available


def test_unless_it_is_said_one_choice_may_write_caches_and_hear_and_searches_nothing():
    price = Price(
        input=1_000_000, cache_write_5m=2_000_000, audio_input=3_000_000, output=1_000_000
    )
    dear = msgspec.structs.replace(price, cache_write_5m=4_000_000, web_search=1)

    assert price.affordable_output_tokens(37, input_tokens_bound=10) == 7
    assert dear.affordable_output_tokens(47, input_tokens_bound=10) == 7
    assert dear.quote(input_tokens_bound=10, output_tokens_max=7) == 47


def test_nothing_is_affordable_when_the_prompt_alone_costs_too_much():
    assert LONG.affordable_output_tokens(0, input_tokens_bound=201) is None


def test_nothing_is_affordable_when_only_the_prompt_can_be_paid():
    price = Price(input=1_000_000, output=1_000_000)

    assert price.affordable_output_tokens(10, input_tokens_bound=10) is None


def test_free_output_is_affordable_up_to_what_is_asked():
    price = Price(input=1_000_000, output=0)

    assert price.affordable_output_tokens(10, input_tokens_bound=10) == 2**31 - 1
    assert price.affordable_output_tokens(10, input_tokens_bound=10, at_most=77) == 77


# Receipts -------------------------------------------------------------------------------------


def test_a_receipt_has_a_line_for_each_kind_that_was_used():
    price = Price(input=3_000_000_000, output=15_000_000_000, request=5, web_search=7)

    lines = price.explain(Usage(input_uncached=10, reasoning=2, web_searches=1))

    assert [(line.kind, line.quantity, line.price_nanos) for line in lines] == [
        ("input", 10, 3_000_000_000),
        ("reasoning", 2, 15_000_000_000),
        ("request", 1, 5),
        ("web_search", 1, 7),
    ]


def test_the_amount_of_a_line_is_written_exactly():
    [line] = price_of(SONNET_46).explain(Usage(cache_write_5m=79))

    assert format_per_token(line.amount_millionths) == "0.00029625"


def test_a_receipt_shows_the_price_of_the_tier():
    [line] = LONG.explain(Usage(input_uncached=201))

    assert line.price_nanos == 6_000


@given(prices(), usages)
def test_the_lines_of_a_receipt_add_up_to_the_charge(price, usage):
    lines = price.explain(usage)

    total = ceil_per_million(sum(line.amount_millionths for line in lines))

    assert total == price.charge(usage)


# Markup and margin ----------------------------------------------------------------------------


def test_a_markup_raises_every_price_and_rounds_it_up():
    cost = Price(
        input=3,
        output=10,
        cached_read=1,
        request=4,
        web_search=5,
        tiers=(Tier(input=6, output=20, cached_read=2, above_input_tokens=200),),
    )

    price = cost.marked_up(200_000)

    assert price == Price(
        input=4,
        output=12,
        cached_read=2,
        request=5,
        web_search=6,
        tiers=(Tier(input=8, output=24, cached_read=3, above_input_tokens=200),),
    )


def test_a_markup_counts_from_the_first_call_on():
    cost = Price(input=1_000_000, output=1_000_000)
    assert cost.quote(input_tokens_bound=10, output_tokens_max=0) == 10

    price = cost.marked_up(500_000)

    assert price.quote(input_tokens_bound=10, output_tokens_max=0) == 15


def test_no_markup_changes_nothing():
    cost = price_of(GEMINI_25_FLASH)

    assert cost.marked_up(0) == cost


def test_a_discount_of_everything_is_free():
    free = price_of(SONNET_46).marked_up(-1_000_000)

    assert free.quote(input_tokens_bound=10**6, output_tokens_max=10**6) == 0


def test_a_discount_of_more_than_everything_is_refused():
    with pytest.raises(OperatorError, match="-100 %"):
        price_of(GROK_4).marked_up(-1_000_001)


@given(prices(), st.integers(0, 3_000_000), usages)
def test_a_marked_up_price_is_never_below_its_cost(cost, parts_per_million, usage):
    price = cost.marked_up(parts_per_million)

    assert not price.is_below(cost)
    assert price.charge(usage) >= cost.charge(usage)


@pytest.mark.parametrize(
    "price",
    [
        Price(input=2, output=15, request=1, web_search=1),
        Price(input=3, output=14, request=1, web_search=1),
        Price(input=3, cached_read=2, output=15, request=1, web_search=1),
        Price(input=3, output=15, reasoning=14, request=1, web_search=1),
        Price(input=3, output=15, request=0, web_search=1),
        Price(input=3, output=15, request=1, web_search=0),
    ],
)
def test_a_price_with_one_kind_below_cost_is_below_cost(price):
    cost = Price(input=3, output=15, request=1, web_search=1)

    assert price.is_below(cost)


def test_a_price_without_the_tier_of_its_cost_is_below_cost():
    flat = Price(input=3_000, output=15_000)

    assert flat.is_below(LONG)
    assert not LONG.is_below(flat)


# Reading and writing --------------------------------------------------------------------------


def test_decimals_are_read_exactly():
    price = price_of(
        PriceDecimals(
            input="0.0833333",
            output="1.25",
            request="0.01",
            web_search="0.005",
            tiers=(TierDecimals(input="2", output="3", above_input_tokens=9, strict=False),),
        )
    )

    assert price == Price(
        input=83_333_300,
        output=1_250_000_000,
        request=10_000_000,
        web_search=5_000_000,
        tiers=(
            Tier(input=2_000_000_000, output=3_000_000_000, above_input_tokens=9, strict=False),
        ),
    )


@pytest.mark.parametrize("text", ["-1", "abc", "NaN", "1e999", "0.0000000001", "1000001"])
def test_what_is_no_price_is_refused(text):
    with pytest.raises(InvalidAmountError):
        price_of(PriceDecimals(input=text, output="1"))


def test_the_dearest_price_that_can_be_set_is_a_million_for_a_million_tokens():
    price = price_of(PriceDecimals(input="1000000", output="0"))

    assert price.input == PRICE_MAX


def test_the_dearest_price_can_be_quoted_in_a_bigint():
    dearest = Price(input=PRICE_MAX, output=PRICE_MAX)

    quote = dearest.quote(input_tokens_bound=2_000_000, output_tokens_max=8192, n=128)

    assert quote < 2**63


@given(prices())
def test_a_price_can_be_stored_and_read_again(price):
    assert read_price(price.document) == price


def test_a_price_says_nothing_of_what_it_does_not_have():
    price = Price(input=3_000_000_000, output=15_000_000_000)

    assert price.document == '{"input":3000000000,"output":15000000000}'
    assert decimals(price) == {"input": "3", "output": "15"}
    assert msgspec.to_builtins(PriceDecimals(**decimals(price))) == decimals(price)


def test_a_document_with_an_unknown_kind_is_refused():
    with pytest.raises(msgspec.ValidationError):
        read_price('{"input":1,"output":2,"inptu":3}')


def test_a_kind_that_is_misspelt_is_no_price_of_any_kind():
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"input": "1", "output": "2", "inptu": "3"}, PriceDecimals)


def test_the_charge_of_a_recorded_fraction_rounds_like_the_providers_own_figure():
    recorded = nanos_rounded_up(Decimal("0.000247013333"))

    charge = price_of(GEMINI_25_FLASH).charge(
        Usage(input_uncached=7, cache_read=2161, cache_write_5m=2161)
    )

    assert charge == recorded
