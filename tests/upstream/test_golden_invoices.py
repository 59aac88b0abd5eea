"""Every golden invoice is read and charged to the nano; and the check of them can fail."""

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import msgspec
import pytest
from golden_invoices import INVOICES, Invoice

from altyn.catalog.price import PARTS_PER_MARKUP, Price, PriceDecimals
from altyn.chat import Usage
from altyn.upstream.dialects import get_dialect
from fakes.bookkeeper import amount, costs, nanos

MARKUPS = (0, 175_000, 333_333)
"""Parts per million. The last makes prices that no nano divides."""

NO_PRICE = {"currency", "source", "as_of", "cache_write_on_top"}


# Reading --------------------------------------------------------------------------------------

CHOICE = '{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}'
SMALL = '{"promptTokenCount": 1,"candidatesTokenCount": 1,"totalTokenCount": 2}'
CHUNK = '{"id":"x","model":"MODEL","choices":[],"usage":USAGE}'


class Frame(NamedTuple):
    """What stands around a usage: a whole answer, and the events of a stream."""

    whole: str
    streamed: tuple[tuple[str, str], ...]


CHAT = Frame(CHUNK.replace("[]", f"[{CHOICE}]"), (("", CHUNK),))
MESSAGE = (
    '{"type":"message","id":"x","model":"MODEL","role":"assistant",'
    '"content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","usage":USAGE}'
)
# It has only the sum of what was written, and does not repeat its split.
MESSAGE_END = (
    '{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":%(input)s,'
    '"cache_creation_input_tokens":%(created)s,"cache_read_input_tokens":%(read)s,'
    '"output_tokens":%(output)s}}'
)
GENERATED = (
    '{"candidates": [{"content": {"parts": [{"text": "Hi"}],"role": "model"},'
    '"finishReason": "STOP","index": 0}],"usageMetadata": USAGE,"modelVersion": "MODEL"}'
)
RESPONSE = (
    '{"id":"x","object":"response","status":"completed","model":"MODEL","output":[{"type":"message",'
    '"id":"m","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Hi",'
    '"annotations":[]}]}],"usage":USAGE}'
)
FRAMES = {
    "openai-chat": CHAT,
    "Groq": CHAT._replace(
        streamed=(("", CHUNK.replace(',"usage"', ',"x_groq":{"usage":USAGE},"usage"')),)
    ),
    "anthropic": Frame(
        MESSAGE,
        (
            ("message_start", f'{{"type":"message_start","message":{MESSAGE}}}'),
            ("message_delta", MESSAGE_END),
            ("message_stop", '{"type":"message_stop"}'),
        ),
    ),
    "openai-responses": Frame(
        RESPONSE,
        (
            (
                "response.completed",
                f'{{"type":"response.completed","response":{RESPONSE},"sequence_number":1}}',
            ),
        ),
    ),
    # Each event counts from the beginning: the last is the whole.
    "gemini": Frame(GENERATED, (("", GENERATED.replace("USAGE", SMALL)), ("", GENERATED))),
}
"""By dialect, and by host where one has a frame of its own."""


def read_whole(invoice: Invoice) -> Usage | None:
    body = invoice.on_the_wire(_frame(invoice).whole)
    return get_dialect(invoice.host.dialect).read_answer(body).usage


def read_streamed(invoice: Invoice) -> Usage | None:
    reader = get_dialect(invoice.host.dialect).stream_reader()
    for event, data in _frame(invoice).streamed:
        reader.read(event, invoice.on_the_wire(data))
    return reader.usage


def _frame(invoice: Invoice) -> Frame:
    return FRAMES.get(invoice.host.name) or FRAMES[invoice.host.dialect]


# The check ------------------------------------------------------------------------------------


def disagreements(invoice: Invoice, cost: dict[str, Any] | None = None) -> Iterator[str]:
    """Where the code and the invoice part; with another price than the catalog's they have to."""
    read = read_whole(invoice)
    if read != read_streamed(invoice):
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
    different = {(invoice.model, invoice.on_the_wire("USAGE")) for invoice in INVOICES}
    assert len(different) == len(INVOICES) >= 300
    on_sale = {model for model in costs() if not model.startswith("sandbox/")}
    assert on_sale == {invoice.model for invoice in INVOICES}


# The check can fail ---------------------------------------------------------------------------


def stated_prices(cost: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each price of a model by name, with the cost in which it alone is a hundredth dearer."""
    for name in cost.keys() - NO_PRICE - {"tiers"}:
        yield name, {**cost, name: _dearer(cost[name])}
    tiers = cost.get("tiers", [])
    for place, tier in enumerate(tiers):
        for name in tier.keys() - {"above_input_tokens", "strict"}:
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
    numbers = {**invoice.numbers, column: str(int(invoice.numbers[column]) + 1)}
    return any(disagreements(invoice._replace(numbers=numbers)))


# Usage that cannot be right -------------------------------------------------------------------

FIRST = {invoice.host.name: invoice for invoice in reversed(INVOICES)}


@pytest.mark.parametrize("wrong", ["-1", "1.5", '"5"', "true", "1000000001"])
@pytest.mark.parametrize("host", FIRST)
def test_a_count_that_cannot_be_right_is_refused_in_every_dialect(host: str, wrong: str):
    invoice = FIRST[host]
    numbers = {**invoice.numbers, next(iter(invoice.numbers)): wrong}

    bad = invoice._replace(numbers=numbers)

    assert read_whole(bad) == read_streamed(bad) == Usage(refused=True)
