import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altyn.catalog.price import PRICE_MAX, TOKEN_KINDS, Price, Tier
from altyn.catalog.sheet import COLUMNS, SheetRow, read_sheet, read_tiers, write_sheet
from altyn.errors import OperatorError

HEAD = "model,kind,input,output"


def sheet_row(**changes):
    said = {
        "line": 2,
        "model": "house/own",
        "kind": "sell",
        "group": None,
        "provider": None,
        "since": "",
        "currency": "USD",
        "price": Price(input=1_000_000_000, output=2_500_000_000),
        "source": None,
    }
    return SheetRow(**{**said, **changes})


def test_a_row_is_written_as_people_write_prices():
    price = Price(
        input=3_000_000_000,
        output=15_000_000_000,
        cached_read=300_000_000,
        request=10_000_000,
        cache_write_on_top=True,
        tiers=(
            Tier(input=6_000_000_000, output=22_500_000_000, above_input_tokens=200_000),
            Tier(input=9_000_000_000, output=1, above_input_tokens=500_000, strict=False),
        ),
    )

    [cells] = csv.DictReader(io.StringIO(write_sheet([sheet_row(price=price)])))

    assert (cells["input"], cells["output"], cells["cached_read"]) == ("3", "15", "0.3")
    assert (cells["request"], cells["web_search"], cells["reasoning"]) == ("0.01", "", "")
    assert cells["cache_write_on_top"] == "yes"
    assert cells["tiers"] == (">200000 input=6 output=22.5; >=500000 input=9 output=0.000000001")


nanos = st.integers(0, PRICE_MAX)
maybe = st.none() | nanos
kinds = {
    "input": nanos,
    "output": nanos,
    **dict.fromkeys(set(TOKEN_KINDS) - {"input", "output"}, maybe),
}
tiers = st.lists(
    st.builds(Tier, **kinds, above_input_tokens=st.integers(1, 10**8), strict=st.booleans()),
    max_size=3,
    unique_by=lambda tier: tier.from_input_tokens,
).map(lambda found: tuple(sorted(found, key=lambda tier: tier.from_input_tokens)))
prices = st.none() | st.builds(
    Price,
    **kinds,
    request=nanos,
    web_search=nanos,
    cache_write_on_top=st.booleans(),
    tiers=tiers,
)
# A spreadsheet trims cells and keeps no control characters.
texts = st.text(
    st.characters(exclude_categories=("C", "Z"), exclude_characters="\ufeff") | st.just(" "),
    max_size=20,
).map(str.strip)
rows = st.builds(
    sheet_row,
    model=texts.filter(bool),
    kind=st.sampled_from(["cost", "sell"]),
    group=texts.map(lambda text: text or None),
    provider=texts.map(lambda text: text or None),
    since=texts,
    currency=texts,
    price=prices,
    source=texts.map(lambda text: text or None),
)


@given(st.lists(rows, max_size=4))
def test_what_is_written_is_read_again_exactly(found):
    numbered = [
        SheetRow(**{name: getattr(row, name) for name in row.__struct_fields__} | {"line": line})
        for line, row in enumerate(found, 2)
    ]

    assert read_sheet(write_sheet(numbered)) == numbered


@given(st.lists(rows, max_size=2))
def test_no_cell_begins_like_a_formula(found):
    cells = [cell for line in csv.reader(io.StringIO(write_sheet(found))) for cell in line]

    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


@pytest.mark.parametrize("text", ["=1+1", "+x", "-2", "@SUM(A1)", "'quoted", "''=", "plain"])
def test_a_text_like_a_formula_is_tamed_and_comes_back(text):
    [row] = read_sheet(write_sheet([sheet_row(source=text)]))

    assert row.source == text


def test_columns_may_stand_in_any_order_and_most_may_be_left_out():
    [row] = read_sheet("output,kind,model,input\n2.5,sell,house/own,1\n")

    assert row == sheet_row(currency="")


def test_a_spreadsheet_with_semicolons_and_decimal_commas_is_understood():
    [row] = read_sheet("\ufeffmodel;kind;input;output\r\nhouse/own;sell;1,0;2,5\r\n")

    assert row.price == Price(input=1_000_000_000, output=2_500_000_000)


def test_a_price_that_ends_has_none_for_its_input():
    [row] = read_sheet(f"{HEAD}\nhouse/own,sell,none,\n")

    assert row.price is None


def test_empty_lines_are_passed_over_and_lines_keep_their_numbers():
    [row] = read_sheet(f"\n{HEAD}\n,,,\n\nhouse/own,sell,1,2\n")

    assert row.line == 5


def test_a_line_after_a_cell_with_a_line_break_keeps_its_number():
    text = f'{HEAD},source\na/b,sell,1,2,"two\nlines"\nc/d,sell,x,2,\n'

    with pytest.raises(OperatorError, match="Line 4, column 'input'"):
        read_sheet(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "Line 1: the names of the columns are missing"),
        ("model,kind,input\n", "Line 1: the column 'output' is missing"),
        (f"{HEAD},inptu\n", "Line 1: there is no column 'inptu'"),
        (f"{HEAD},input\n", "Line 1: the column 'input' is there twice"),
        (f"{HEAD}\na/b,sell,1,2,3\n", "Line 2: it has 5 cells, the head 4"),
        (f"{HEAD}\na/b,sell,1,2\n,sell,1,2\n", "Line 3, column 'model': it is empty"),
        (f"{HEAD}\na/b,free,1,2\n", "Line 2, column 'kind': expected one of cost, sell"),
        (f"{HEAD}\na/b,sell,,2\n", "Line 2, column 'input': it is empty"),
        (f"{HEAD}\na/b,sell,1,\n", "Line 2, column 'output': it is empty"),
        (f"{HEAD}\na/b,sell,1,two\n", "Line 2, column 'output': 'two' is not an amount"),
        (f"{HEAD}\na/b,sell,-1,2\n", "Line 2, column 'input': '-1' is not an amount"),
        (f"{HEAD},request\na/b,sell,1,2,x\n", "Line 2, column 'request': 'x' is not"),
        (f'{HEAD}\na/b,sell,1,"2\n', "this is not CSV"),
        (f"{HEAD},cache_write_on_top\na/b,sell,1,2,1\n", "column 'cache_write_on_top': expected"),
        (f"{HEAD},tiers\na/b,sell,1,2,>5\n", "column 'tiers': '>5' is not a tier"),
        (
            f"{HEAD},tiers\na/b,sell,1,2,>5 input=1 output=x\n",
            "column 'tiers': 'x' is not an amount",
        ),
        (
            f"{HEAD},tiers\na/b,sell,1,2,>5 input=1 output=1; >5 input=2 output=2\n",
            "column 'tiers': The tiers of a price must rise",
        ),
    ],
)
def test_a_mistake_is_told_by_line_and_column(text, sentence):
    with pytest.raises(OperatorError) as refusal:
        read_sheet(text)

    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    [
        "200000 input=6 output=22",
        ">0 input=1 output=1",
        ">5 input=1",
        ">5 output=1",
        ">5 input=1 output=2 input=3",
        ">5 input=1 output=2 request=3",
        "<5 input=1 output=2",
        ">5input=1 output=2",
    ],
)
def test_what_is_no_tier_is_refused(text):
    with pytest.raises(OperatorError, match="is not a tier"):
        read_tiers(text)


def test_every_kind_of_price_has_a_column():
    assert {"input", "image", "audio_input", "request", "web_search", "tiers"} <= set(COLUMNS)
    assert len(COLUMNS) == len(set(COLUMNS))
