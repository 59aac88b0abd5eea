"""Every model of the catalog, both ways: natively through its vendor, and through OpenRouter with
one key. Whole, streamed, with a tool, and charged to the nano.

What is found stands as a table in `docs/reference/models.md`; after a change of it:

    ALTYN_WRITE_TABLES=1 ./altyn test tests/story/test_every_model.py
"""

import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from books import books_agree, look
from calls import chat, events_of, exact, text_of
from houses import MARKUP_PPM, MODELS, House
from vendors import FAKES, OWN_SERVER, native_vendor

from altyn.catalog.model import Model
from altyn.money import parse_nanos
from fakes.bookkeeper import amount, costs, nanos
from fakes.openai_server import Reply

PAGE = Path(__file__).parents[2] / "docs/reference/models.md"
TABLE = re.compile(r"(?<=<!-- proved: every-model -->\n).*?(?=<!-- end proved -->)", re.DOTALL)
WAYS = ("openrouter", "native")
ASKED = [{"role": "user", "content": "How warm is it in Rome, and is that usual in November?"}]
WARM = "It is 21 degrees in Rome."
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


# What is asked of each ------------------------------------------------------------------------


class Call:
    """One model, one way, and who serves it."""

    def __init__(self, house: House, model: Model, way: str) -> None:
        self.house = house
        self.model = model
        self.vendor = FAKES[0] if way == "openrouter" else native_vendor(model)
        self.fake = house.serve(model, self.vendor)

    def ask(self, *replies: Any, **fields: Any) -> Any:
        self.fake.forget()
        self.fake.says(*replies)
        more = {"model": self.model.id, "messages": ASKED, "max_tokens": 200, **fields}
        said = chat(self.house.gateway, self.house.customer.key, **more)
        assert said.status_code == 200, said.text
        return said

    def whole(self) -> None:
        said = exact(self.ask(self.vendor.text(WARM)))

        (choice,) = said["choices"]
        assert said["model"] == self.model.id
        assert choice["message"]["content"] == WARM
        assert choice["finish_reason"] == "stop"
        assert said["usage"]["total_tokens"] == self.fake.billed[-1]["total_tokens"]

    def stream(self) -> None:
        options = {"include_usage": True}
        said = self.ask(self.vendor.text(WARM), stream=True, stream_options=options)

        *events, done = events_of(said.text)
        assert done == "[DONE]"
        assert text_of(events) == WARM
        assert {event["model"] for event in events} == {self.model.id}
        assert events[-1]["usage"]["total_tokens"] == self.fake.billed[-1]["total_tokens"]

    def tools(self) -> None:
        first = exact(self.ask(self.vendor.calls(), tools=[WEATHER]))["choices"][0]
        said = first["message"]
        (call,) = said["tool_calls"]
        result = {"role": "tool", "tool_call_id": call["id"], "content": "21 degrees"}
        history = [*ASKED, said, result]
        last = exact(self.ask(self.vendor.text(WARM), tools=[WEATHER], messages=history))
        streamed = events_of(self.ask(self.vendor.calls(), tools=[WEATHER], stream=True).text)

        assert first["finish_reason"] == "tool_calls"
        assert call["function"]["name"] == "weather"
        assert json.loads(call["function"]["arguments"]) == {"city": "Rome"}
        assert last["choices"][0]["message"]["content"] == WARM
        assert _folded_call(streamed) == ("weather", {"city": "Rome"})

    def price(self) -> None:
        said = exact(self.ask(self.vendor.text(WARM)))

        owed = nanos(amount(costs()[self.model.id], self._kinds(), Fraction(MARKUP_PPM, 10**6)))
        found = look(self.house.gateway, self.house.customer.key, f"/generations/{said['id']}")
        assert found["outcome"] == "charged"
        assert parse_nanos(found["cost"]) == owed > 0
        assert parse_nanos(str(said["usage"]["cost"])) == owed

    def _kinds(self) -> dict[str, int]:
        """What the vendor has counted last, by its own books."""
        bill = self.fake.billed[-1]
        return {
            "input_uncached": bill["prompt_tokens"] - self.vendor.cached,
            "cache_read": self.vendor.cached,
            "output_text": bill["completion_tokens"],
        }


def _folded_call(events: list[Any]) -> tuple[str, Any]:
    deltas = [c["delta"] for e in events if e != "[DONE]" for c in e["choices"]]
    parts = [part["function"] for delta in deltas for part in delta.get("tool_calls") or ()]
    name = "".join(part.get("name") or "" for part in parts)
    return name, json.loads("".join(part.get("arguments") or "" for part in parts))


CELLS: dict[str, Callable[[Call], None]] = {
    "whole": Call.whole,
    "stream": Call.stream,
    "tools": Call.tools,
    "price": Call.price,
}


# What is found --------------------------------------------------------------------------------


@cache
def prove(house: House, model_id: str, way: str) -> dict[str, str | None]:
    """For each cell of the table None, or what went wrong."""
    model = next(model for model in MODELS if model.id == model_id)
    call = Call(house, model, way)
    return {name: _wrong(cell, call) for name, cell in CELLS.items()}


def _wrong(cell: Callable[[Call], None], call: Call) -> str | None:
    try:
        cell(call)
    except (AssertionError, KeyError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return None


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("model", [model.id for model in MODELS])
def test_a_model_works_and_is_charged_to_the_nano(house: House, model: str, way: str):
    wrong = {cell: why for cell, why in prove(house, model, way).items() if why is not None}

    assert wrong == {}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_routes_arise_from_the_keys_of_vendors_that_still_serve_it(house: House, model: Model):
    found = {tuple(route) for name, *route in house.by_itself if name == model.id}

    assert model.native is not None
    expected = {("openrouter", model.openrouter_model, "openai-chat")}
    if native_vendor(model) is not OWN_SERVER and not model.is_retired(datetime.now(UTC).date()):
        expected.add((native_vendor(model).name, model.native.model, model.native.dialect))
    assert found == expected


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("cached", "written"), [(5, 5), (0, 6), (3, 4)])
def test_what_google_writes_on_top_is_billed_and_not_counted_twice(
    house: House, cached: int, written: int, *, stream: bool
):
    model = next(model for model in MODELS if model.id == "google/gemini-3-pro-preview")
    fake = house.serve(model, FAKES[0])
    fake.says(Reply(text=WARM, cached_tokens=cached, cache_write_tokens=written))
    customer = house.gateway.add_customer()

    said = chat(house.gateway, customer.key, model=model.id, messages=ASKED, stream=stream)

    assert said.status_code == 200
    (found,) = books_agree(house.gateway, customer)
    bill = fake.billed[-1]
    kinds = {
        "input_uncached": bill["prompt_tokens"] - cached,
        "cache_read": cached,
        "cache_write_5m": written,
        "written_on_top": written,
        "output_text": bill["completion_tokens"],
    }
    owed = nanos(amount(costs()[model.id], kinds, Fraction(MARKUP_PPM, 10**6)))
    assert (found["outcome"], parse_nanos(found["cost"])) == ("charged", owed)
    assert found["prompt_tokens"] == bill["prompt_tokens"]
    assert found["total_tokens"] == bill["total_tokens"]


def test_the_page_shows_what_was_found(house: House):
    told = table(house)
    text = PAGE.read_text(encoding="utf-8")

    if "ALTYN_WRITE_TABLES" in os.environ:
        PAGE.write_text(TABLE.sub(lambda _: told, text), encoding="utf-8")
        text = PAGE.read_text(encoding="utf-8")
    print(told)  # noqa: T201 -- the table is what one runs this for
    assert TABLE.findall(text) == [told]


def table(house: House) -> str:
    lines = [
        ("Model", "Through OpenRouter", "Natively", "Dialect", "The native route"),
        ("---",) * 5,
    ]
    for model in MODELS:
        assert model.native is not None
        found = [_cell(prove(house, model.id, way)) for way in WAYS]
        if model.openrouter_listed is False:
            found[0] += "; dropped since"
        lines.append((f"`{model.id}`", *found, f"`{model.native.dialect}`", _native_route(model)))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(found: dict[str, str | None]) -> str:
    return ", ".join(name if why is None else f"{name} fails" for name, why in found.items())


def _native_route(model: Model) -> str:
    vendor = native_vendor(model)
    if vendor is OWN_SERVER:
        return "by hand, to a host or server that has the weights"
    if model.retires_at is not None:
        return f"by `{vendor.variable}`, until {model.retires_at}"
    return f"by `{vendor.variable}`"
