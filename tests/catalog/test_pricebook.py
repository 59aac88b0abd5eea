import pytest
from hypothesis import given
from hypothesis import strategies as st

from altyn.catalog.preview import find_changes, find_losses, is_too_dear, new_losses
from altyn.catalog.price import PRICE_MAX, Price, Tier
from altyn.catalog.pricebook import MarkupRow, PriceBook, PriceRow

M = "house/own"
COST = Price(input=100, output=200)
FIXED = Price(input=1_000, output=2_000)
FOR_VIPS = Price(input=500, output=900)


def row(kind, price, *, since=0, group=None, provider=None, number=0, model=M):
    return PriceRow(
        id=number,
        model_id=model,
        kind=kind,
        price_group=group,
        effective_from=since,
        price=price,
        source=None,
        provider=provider,
    )


def markup(percent, *, since=0, group=None, model=None):
    ppm = None if percent is None else percent * 10_000
    return MarkupRow(price_group=group, model_id=model, parts_per_million=ppm, effective_from=since)


def price_of(prices, markups=(), *, group=None, at_ms=10):
    rate = PriceBook(prices, markups).find_rate(M, group, at_ms)
    return None if rate is None else rate.price.input


# What applies ---------------------------------------------------------------------------------


def test_a_model_without_a_cost_or_a_price_has_none():
    assert price_of([]) is None
    assert price_of([], [markup(20)]) is None


@pytest.mark.parametrize(
    ("prices", "group", "paid"),
    [
        ([row("cost", COST)], None, 100),
        ([row("cost", COST), row("sell", FIXED)], None, 1_000),
        ([row("sell", FIXED)], None, 1_000),
        ([row("sell", FIXED), row("sell", FOR_VIPS, group="vip")], "vip", 500),
        ([row("sell", FIXED), row("sell", FOR_VIPS, group="vip")], "other", 1_000),
        ([row("cost", COST), row("sell", FOR_VIPS, group="vip")], None, 100),
    ],
)
def test_a_fixed_price_goes_before_cost_and_a_groups_before_everybodys(prices, group, paid):
    assert price_of(prices, group=group) == paid


ALL_MARKUPS = [
    markup(10),
    markup(20, model=M),
    markup(30, group="vip"),
    markup(40, group="vip", model=M),
]


@pytest.mark.parametrize(
    ("markups", "group", "paid"),
    [
        ([], None, 100),
        (ALL_MARKUPS[:1], None, 110),
        (ALL_MARKUPS[:1], "vip", 110),
        (ALL_MARKUPS[:2], None, 120),
        (ALL_MARKUPS[:2], "vip", 120),
        (ALL_MARKUPS[:3], "vip", 130),
        (ALL_MARKUPS, "vip", 140),
        (ALL_MARKUPS, None, 120),
        (ALL_MARKUPS, "other", 120),
        ([markup(20, model="house/another")], None, 100),
    ],
)
def test_the_markup_for_the_group_goes_first_then_the_one_for_the_model(markups, group, paid):
    assert price_of([row("cost", COST)], markups, group=group) == paid


def test_a_rate_names_the_row_and_the_markup_it_came_from():
    book = PriceBook([row("cost", COST, number=7)], [markup(20)])

    rate = book.find_rate(M, None, 1)

    assert (rate.price_id, rate.markup_ppm, rate.cost_price) == (7, 200_000, COST)


def test_a_fixed_price_has_no_markup_on_top():
    book = PriceBook([row("cost", COST), row("sell", FIXED, number=8)], [markup(20)])

    rate = book.find_rate(M, None, 1)

    assert (rate.price, rate.price_id, rate.markup_ppm, rate.cost_price) == (FIXED, 8, 0, COST)


@pytest.mark.parametrize(("at_ms", "paid"), [(4, None), (5, 100), (7, 100), (8, 110), (9, 1_000)])
def test_a_row_counts_from_its_moment_on(at_ms, paid):
    prices = [row("cost", COST, since=5), row("sell", FIXED, since=9)]

    assert price_of(prices, [markup(10, since=8)], at_ms=at_ms) == paid


def test_of_rows_that_begin_together_the_one_written_last_counts():
    assert price_of([row("sell", FIXED), row("sell", FOR_VIPS)]) == 500


def test_a_price_that_ends_hands_over_to_the_next_rule():
    prices = [
        row("cost", COST),
        row("sell", FIXED),
        row("sell", FOR_VIPS, group="vip"),
        row("sell", None, group="vip", since=5),
        row("sell", None, since=6),
    ]

    paid = [price_of(prices, group="vip", at_ms=at_ms) for at_ms in (4, 5, 6)]

    assert paid == [500, 1_000, 100]


def test_a_markup_that_ends_hands_over_to_the_next_rule():
    markups = [*ALL_MARKUPS, markup(None, group="vip", model=M, since=5)]

    assert price_of([row("cost", COST)], markups, group="vip", at_ms=5) == 130


def test_a_cost_that_ends_takes_the_price_away():
    assert price_of([row("cost", COST), row("cost", None, since=5)], at_ms=5) is None


def test_a_cost_at_a_provider_counts_there_alone():
    prices = [row("cost", COST), row("cost", FOR_VIPS, provider="dear")]
    book = PriceBook(prices, [])

    assert book.find_cost(M, "dear", 1) == FOR_VIPS
    assert book.find_cost(M, "other", 1) == book.find_cost(M, None, 1) == COST
    assert price_of(prices) == 100


def test_a_quote_is_found_again_by_its_row_whatever_came_after_it():
    book = PriceBook([row("cost", COST, number=7), row("cost", FIXED, since=5, number=9)], [])

    rate = book.rate_by(book.find_by_id(7), 200_000, 9)

    assert (rate.price.input, rate.price_id, rate.markup_ppm) == (120, 7, 200_000)
    assert book.find_by_id(8) is book.find_by_id(None) is None


rows_of_a_model = st.lists(
    st.builds(
        row,
        st.sampled_from(["cost", "sell"]),
        st.none() | st.builds(Price, input=st.integers(0, 99), output=st.integers(0, 99)),
        since=st.integers(0, 9),
        group=st.none() | st.just("vip"),
        number=st.integers(1, 999),
    ),
    max_size=8,
)
markups_of_a_model = st.lists(
    st.builds(
        markup,
        st.none() | st.integers(-100, 300),
        since=st.integers(0, 9),
        group=st.none() | st.just("vip"),
        model=st.none() | st.just(M),
    ),
    max_size=6,
)


@given(rows_of_a_model, markups_of_a_model, st.permutations(range(11)))
def test_what_was_looked_up_before_never_changes_what_is_found(prices, markups, moments):
    book = PriceBook([], []).with_rows(prices, markups)

    for at_ms in moments:
        for group in (None, "vip"):
            fresh = PriceBook([], []).with_rows(prices, markups)
            assert book.find_rate(M, group, at_ms) == fresh.find_rate(M, group, at_ms)


@given(rows_of_a_model, markups_of_a_model)
def test_a_change_that_changes_nothing_has_no_preview(prices, markups):
    book = PriceBook([], []).with_rows(prices, markups)

    assert find_changes(book, book, 0) == []
    assert new_losses(book, book, {}, 0) == []


# What a change does ---------------------------------------------------------------------------


def changes(before, after, since_ms=10):
    return [
        (one.price_group, one.at_ms, one.from_tokens, one.kind, one.old, one.new)
        for one in find_changes(PriceBook(*before), PriceBook(*after), since_ms)
    ]


def test_every_figure_that_changes_is_told_with_its_margin():
    before = PriceBook([row("cost", COST)], [])
    after = before.with_rows([row("sell", Price(input=125, output=200), since=10)], [])

    [change] = find_changes(before, after, 10)

    assert (change.kind, change.old, change.new, change.cost) == ("input", 100, 125, 100)
    assert (change.percent_ppm, change.margin_ppm) == (250_000, 200_000)


def test_what_only_follows_its_neighbour_is_not_told_apart():
    dearer = Price(input=150, output=200, cached_read=100)

    told = changes(([row("sell", COST)], []), ([row("sell", dearer)], []))

    assert told == [(None, 10, 0, "input", 100, 150)]


def test_a_tier_is_told_by_its_length():
    tiered = Price(
        input=100, output=200, tiers=(Tier(input=300, output=200, above_input_tokens=9),)
    )

    told = changes(([row("sell", COST)], []), ([row("sell", tiered)], []))

    assert told == [(None, 10, 10, "input", 100, 300)]


def test_a_fee_is_told_and_one_of_nothing_is_not():
    with_fee = Price(input=100, output=200, request=5)

    assert changes(([row("sell", COST)], []), ([row("sell", with_fee)], [])) == [
        (None, 10, 0, "request", 0, 5)
    ]
    assert changes(([], []), ([row("sell", COST)], [])) == [
        (None, 10, 0, "input", None, 100),
        (None, 10, 0, "output", None, 200),
    ]


def test_a_group_is_told_apart_only_where_it_pays_otherwise():
    before = ([row("cost", COST), row("sell", FIXED, group="vip")], [])
    after = (before[0], [markup(10)])

    assert {change[0] for change in changes(before, after)} == {None}
    assert changes(before, (before[0], [markup(10, group="vip", model=M)])) == []


def test_a_change_to_come_is_told_at_its_moment():
    before = [row("cost", COST)]

    told = changes((before, []), ([*before, row("cost", FIXED, since=50)], []))

    assert {(at_ms, new) for _, at_ms, _, _, _, new in told} == {(50, 1_000), (50, 2_000)}


# Where money is lost --------------------------------------------------------------------------

BELOW = Price(input=99, output=200)
BELOW_CACHED = Price(input=100, output=200, cached_read=99)
BELOW_IN_TIER = Price(
    input=100, output=200, tiers=(Tier(input=99, output=200, above_input_tokens=5),)
)


def losses(prices, markups=(), providers=None, *, before=(), since_ms=10):
    found = new_losses(PriceBook(before, []), PriceBook(prices, markups), providers or {}, since_ms)
    return [(loss.price_group, loss.at_ms, loss.provider) for loss in found]


@pytest.mark.parametrize("price", [BELOW, BELOW_CACHED, BELOW_IN_TIER])
def test_a_loss_in_any_kind_or_tier_is_one(price):
    assert losses([row("cost", COST), row("sell", price)]) == [("", 10, "")]


def test_a_loss_to_one_group_is_one():
    prices = [row("cost", COST)]

    assert losses([*prices, row("sell", BELOW, group="vip")]) == [("vip", 10, "")]
    assert losses(prices, [markup(-1, group="vip")]) == [("vip", 10, "")]
    assert losses(prices, [markup(20), markup(-1, group="vip", model=M)]) == [("vip", 10, "")]


def test_a_cost_that_will_rise_above_the_fixed_price_is_a_loss_from_then_on():
    prices = [row("cost", COST), row("sell", COST)]
    rise = row("cost", Price(input=101, output=200), since=50)

    assert losses([*prices, rise], before=prices) == [("", 50, "")]


def test_a_fixed_price_of_today_is_a_loss_if_a_cost_of_tomorrow_is_above_it():
    prices = [row("cost", COST), row("cost", FIXED, since=50)]

    assert losses([*prices, row("sell", FOR_VIPS, since=20)], before=prices) == [("", 50, "")]


def test_a_provider_that_is_dearer_is_a_loss_if_it_serves_the_model():
    prices = [row("cost", COST), row("cost", FIXED, provider="dear")]

    assert losses(prices) == []
    assert losses(prices, providers={M: ["cheap", "dear"]}) == [("", 10, "dear")]


def test_what_was_sold_below_cost_already_is_no_new_loss():
    prices = [row("cost", COST), row("sell", BELOW)]

    assert losses([*prices, row("sell", FIXED, group="vip")], before=prices) == []
    assert find_losses(PriceBook(prices, []), {}, [10]) != set()


def test_the_end_of_a_fixed_price_can_be_a_loss():
    before = PriceBook([row("cost", COST), row("sell", FIXED)], [markup(-10, model=M)])
    after = before.with_rows([row("sell", None, since=20)], [])

    assert [loss.at_ms for loss in new_losses(before, after, {}, 10)] == [20]


@given(rows_of_a_model, markups_of_a_model)
def test_without_a_negative_markup_only_a_fixed_price_can_lose_money(prices, markups):
    costs = [one for one in prices if one.kind == "cost"]
    never_below = [one for one in markups if (one.parts_per_million or 0) >= 0]
    book = PriceBook([], []).with_rows(costs, never_below)

    assert find_losses(book, {}, range(11)) == set()


def test_a_markup_that_makes_a_price_too_large_for_a_quote_is_seen():
    dear = [row("cost", Price(input=1, output=PRICE_MAX))]

    assert not is_too_dear(PriceBook(dear, []), 0)
    assert is_too_dear(PriceBook(dear, [markup(1)]), 0)
    assert is_too_dear(PriceBook(dear, [markup(1, since=9, group="vip")]), 0)
