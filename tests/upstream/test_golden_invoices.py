"""Every golden invoice is read and charged to the nano; and the check of them can fail."""

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import msgspec
import pytest
from golden_invoices import INVOICES, Invoice, amount, costs, nanos

from altyn.catalog.price import PARTS_PER_MARKUP, Price, PriceDecimals
from altyn.chat import Usage
from altyn.upstream.dialects import get_dialect

MARKUPS = (0, 175_000, 333_333)
"""Parts per million. The last makes prices that no nano divides."""

NO_PRICE = {"currency", "source", "as_of", "cache_write_on_top"}
NATIVE_ONLY = {"cache_write_1h"}


# Reading --------------------------------------------------------------------------------------

CHOICE = '{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}'
CHUNK = '{"id":"x","model":"MODEL","choices":[],"usage":USAGE}'


class Frame(NamedTuple):
    """What stands around a usage: a whole answer, and the events of a stream."""

    whole: str
    streamed: tuple[tuple[str, str], ...]


CHAT = Frame(CHUNK.replace("[]", f"[{CHOICE}]"), (("", CHUNK),))
FRAMES = {
    "openai-chat": CHAT,
    "Groq": CHAT._replace(
        streamed=(("", CHUNK.replace(',"usage"', ',"x_groq":{"usage":USAGE},"usage"')),)
    ),
}
"""By dialect, and by host where one has a frame of its own."""


def read_whole(invoice: Invoice, usage: str) -> Usage | None:
    body = _framed(_frame(invoice).whole, invoice, usage)
    return get_dialect(invoice.host.dialect).read_answer(body).usage


def read_streamed(invoice: Invoice, usage: str) -> Usage | None:
    reader = get_dialect(invoice.host.dialect).stream_reader()
    for event, data in _frame(invoice).streamed:
        reader.read(event, _framed(data, invoice, usage))
    return reader.usage


def _frame(invoice: Invoice) -> Frame:
    return FRAMES.get(invoice.host.name) or FRAMES[invoice.host.dialect]


def _framed(text: str, invoice: Invoice, usage: str) -> bytes:
    return text.replace("MODEL", invoice.model).replace("USAGE", usage).encode()


# The check ------------------------------------------------------------------------------------


def disagreements(
    invoice: Invoice, usage: str | None = None, cost: dict[str, Any] | None = None
) -> Iterator[str]:
    """Where the code and the invoice part; with another usage or price they have to."""
    read = read_whole(invoice, usage or invoice.usage)
    if read != read_streamed(invoice, usage or invoice.usage):
        yield "a whole answer and a stream are read differently"
    if read is None or read != _expected(invoice):
        yield f"read as {read}"
        return
    price = price_of(cost or costs()[invoice.model])
    for markup in MARKUPS:
        owed = nanos(amount(costs()[invoice.model], invoice.kinds, _share(markup)))
        charge = price.marked_up(markup).charge(read)
        if charge != owed:
            yield f"charged {charge} nanos, owed {owed}, at a markup of {markup} ppm"


def _expected(invoice: Invoice) -> Usage:
    cost_nanos = None if invoice.cost is None else nanos(invoice.cost)
    return Usage(**invoice.kinds, cost_nanos=cost_nanos)


def _share(markup: int) -> Fraction:
    return Fraction(markup, PARTS_PER_MARKUP)


def price_of(cost: dict[str, Any]) -> Price:
    stated = {name: value for name, value in cost.items() if name not in NO_PRICE}
    return Price.from_per_million_decimals(msgspec.convert(stated, PriceDecimals))


@pytest.mark.parametrize("invoice", INVOICES, ids=lambda invoice: invoice.name)
def test_an_invoice_is_exact_to_the_nano(invoice: Invoice):
    assert list(disagreements(invoice)) == []


def test_there_are_three_hundred_and_every_model_has_some():
    assert len(INVOICES) >= 300
    assert len({(invoice.model, invoice.usage) for invoice in INVOICES}) >= 300
    on_sale = {model for model in costs() if not model.startswith("sandbox/")}
    assert on_sale == {invoice.model for invoice in INVOICES}


# The check can fail ---------------------------------------------------------------------------


def stated_prices(cost: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each price of a model by name, with the cost in which it alone is a hundredth dearer."""
    for name in cost.keys() - NO_PRICE - {"tiers"} - NATIVE_ONLY:
        yield name, {**cost, name: _dearer(cost[name])}
    tiers = cost.get("tiers", [])
    for place, tier in enumerate(tiers):
        for name in tier.keys() - {"above_input_tokens", "strict"} - NATIVE_ONLY:
            other = [*tiers]
            other[place] = {**tier, name: _dearer(tier[name])}
            yield f"tiers.{name}", {**cost, "tiers": other}


def _dearer(price: str) -> str:
    return str(Decimal(price) * Decimal("1.01"))[:11]


@pytest.mark.parametrize("model", sorted({invoice.model for invoice in INVOICES}))
def test_a_wrong_price_is_found(model: str):
    mine = [invoice for invoice in INVOICES if invoice.model == model]

    unseen = [
        name
        for name, cost in stated_prices(costs()[model])
        if not any(any(disagreements(invoice, cost=cost)) for invoice in mine)
    ]

    assert unseen == []


UNREAD = {"miss", "fee"}
"""DeepSeek's misses are the prompt without the hits; a fee of 0 stays within one nano."""

COLUMNS = sorted(
    {
        (invoice.host.name, column)
        for invoice in INVOICES
        for column, number in invoice.numbers.items()
        if column not in UNREAD and number.isdigit()
    }
)


@pytest.mark.parametrize(("host", "column"), COLUMNS)
def test_a_wrong_count_is_found(host: str, column: str):
    rows = [invoice for invoice in INVOICES if invoice.host.name == host]

    found = [finds_a_wrong(column, row) for row in rows if row.numbers[column].isdigit()]

    # Beyond what it is a part of (reasoning of a completion) a number may grow and change nothing.
    assert all(found) if column in ("prompt", "total") else any(found)


def finds_a_wrong(column: str, invoice: Invoice) -> bool:
    wrong = {**invoice.numbers, column: str(int(invoice.numbers[column]) + 1)}
    return any(disagreements(invoice, usage=invoice.host.wire % wrong))
