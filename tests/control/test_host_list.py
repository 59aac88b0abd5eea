"""`provider import`: a host's list over HTTP, what differs from ours, and what is taken over."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from altyn.catalog.load import load_catalog
from altyn.control.listed_cost import read_cost
from altyn.errors import OperatorError, UnknownNameError

KEY = "sk-of-the-operator"
MODEL, OTHER, NEW = "openai/gpt-5", "openai/gpt-oss-120b", "newco/thinker-1"


class Host(ThreadingHTTPServer):
    """A host that lists what it is told to, as OpenRouter does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.status = 200
        self.says: object = {"data": []}
        self.asked: list[tuple[str, str | None]] = []

    def lists(self, *rows: object) -> None:
        self.says = {"data": list(rows)}


class Answer(BaseHTTPRequestHandler):
    server: Host

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["authorization"]))
        said = self.server.says
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        self.send_response(self.server.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def host() -> Iterator[Host]:
    server = Host()
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
async def added(do, host):
    """The host as a provider, without routes."""
    await do(
        "provider.add",
        name="cloud",
        dialect="openai-chat",
        base_url=f"http://127.0.0.1:{host.server_port}/v1",
        secret=KEY,
    )


def row(model: str, **more: object) -> dict[str, object]:
    return {
        "id": model,
        "name": model,
        "context_length": 100_000,
        "architecture": {"input_modalities": ["text", "image"]},
        "top_provider": {"max_completion_tokens": 20_000},
        "supported_parameters": ["max_tokens", "tools", "top_k"],
        "pricing": {"prompt": "0.000003", "completion": "0.000015"},
        **more,
    }


def found(comparison) -> list[tuple[str, str]]:
    return [(one["what"], one["model"]) for one in comparison["differences"]]


async def cost_of(office, model: str):
    return (await load_catalog(office.database)).prices.find_cost(model, "cloud", 2**50)


@pytest.mark.usefixtures("added")
async def test_what_differs_is_shown_and_nothing_is_written(do, office, host):
    host.lists(row(MODEL), row(NEW))
    before = await cost_of(office, MODEL)

    shown = await do("provider.import", name="cloud")

    assert found(shown) == [("route", MODEL), ("cost", MODEL)]
    assert (shown["listed"], shown["unknown"], shown["applied"]) == (2, 1, False)
    assert await do("route.list", model=MODEL) == []
    assert await cost_of(office, MODEL) == before
    assert host.asked == [("/v1/models", f"Bearer {KEY}")]


@pytest.mark.usefixtures("added")
async def test_applied_it_is_a_route_and_a_cost_there_alone(do, office, host):
    host.lists(row(MODEL))
    everywhere = (await load_catalog(office.database)).prices.find_cost(MODEL, None, 2**50)

    await do("provider.import", name="cloud", apply=True, below_cost=True)

    (route,) = await do("route.list", model=MODEL)
    assert (route["provider"], route["upstream_model"]) == ("cloud", MODEL)
    cost = await cost_of(office, MODEL)
    assert (cost.input, cost.output) == (3 * 10**9, 15 * 10**9)
    catalog = await load_catalog(office.database)
    assert catalog.prices.find_cost(MODEL, None, 2**50) == everywhere


@pytest.mark.usefixtures("added")
async def test_applied_twice_is_applied_once(do, host):
    host.lists(row(MODEL))
    await do("provider.import", name="cloud", apply=True, below_cost=True)

    again = await do("provider.import", name="cloud", apply=True)

    assert again["differences"] == []


@pytest.mark.usefixtures("added")
async def test_a_cost_above_what_customers_pay_is_refused_until_confirmed(do, office, host):
    host.lists(row(MODEL, pricing={"prompt": "0.001", "completion": "0.001"}))
    before = await cost_of(office, MODEL)

    shown = await do("provider.import", name="cloud")
    assert [loss["model"] for loss in shown["losses"]] == []  # no route there yet: nothing is sold
    await do("route.add", model=MODEL, provider="cloud")
    shown = await do("provider.import", name="cloud")
    assert [loss["model"] for loss in shown["losses"]] == [MODEL]

    with pytest.raises(OperatorError, match="--allow-loss"):
        await do("provider.import", name="cloud", apply=True)
    assert await cost_of(office, MODEL) == before
    await do("provider.import", name="cloud", apply=True, below_cost=True)
    assert await cost_of(office, MODEL) != before


@pytest.mark.usefixtures("added")
async def test_what_the_list_leaves_unsaid_stays_as_it_is_known(do, office, host):
    host.lists(row("anthropic/claude-sonnet-4.5"))
    known = (await load_catalog(office.database)).prices.find_cost(
        "anthropic/claude-sonnet-4.5", None, 2**50
    )

    await do("provider.import", name="cloud", apply=True, below_cost=True)

    cost = await cost_of(office, "anthropic/claude-sonnet-4.5")
    assert (cost.cached_read, cost.cache_write_1h, cost.tiers) == (
        known.cached_read,
        known.cache_write_1h,
        known.tiers,
    )


@pytest.mark.usefixtures("added")
async def test_a_route_to_what_is_gone_is_told_and_kept(do, host):
    await do("route.add", model=MODEL, provider="cloud", upstream_model="five")
    host.lists(row(OTHER))

    told = await do("provider.import", name="cloud", apply=True, below_cost=True)

    assert ("gone", MODEL) in found(told)
    assert len(await do("route.list", model=MODEL)) == 1


@pytest.mark.usefixtures("added")
async def test_a_model_that_was_asked_for_goes_on_sale_with_its_limits(do, office, host):
    host.lists(row(NEW))

    told = await do("provider.import", name="cloud", models=[NEW], apply=True)

    assert ("model", NEW) in found(told)
    story = await do("catalog.show", model=NEW)
    assert story["model"]["context_length"] == 100_000
    assert story["model"]["max_output_tokens"] == 20_000
    assert story["model"]["supported_parameters"] == ["max_tokens", "tools"]
    assert story["model"]["image_tokens_max"] == 100_000
    assert [route["provider"] for route in story["routes"]] == ["cloud"]
    assert story["price"]["input"] == "3"


@pytest.mark.usefixtures("added")
async def test_a_model_of_unknown_length_cannot_be_taken(do, host):
    host.lists(row(NEW, context_length=None))

    with pytest.raises(OperatorError, match="how long the context"):
        await do("provider.import", name="cloud", models=[NEW], apply=True)


@pytest.mark.usefixtures("added")
async def test_names_alone_make_routes(do, host):
    host.lists({"id": MODEL, "object": "model"})

    told = await do("provider.import", name="cloud", apply=True)

    assert found(told) == [("route", MODEL)]


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (401, {"error": {"message": f"Key {KEY} is wrong"}}),
        (500, b"oops"),
        (200, b"<html>"),
        (200, {"object": "list"}),
        (200, b"[" * 100_000),
    ],
)
@pytest.mark.usefixtures("added")
async def test_a_list_that_cannot_be_had_is_told_in_a_sentence_without_the_key(
    do, host, status, says
):
    host.status, host.says = status, says

    with pytest.raises(OperatorError, match="gives no list of models") as refusal:
        await do("provider.import", name="cloud")

    assert KEY not in str(refusal.value)


@pytest.mark.usefixtures("added")
async def test_one_odd_row_takes_nothing_from_the_others(do, host):
    host.lists({"id": 7}, "x", None, {"id": "y" * 500}, row(MODEL))

    shown = await do("provider.import", name="cloud")

    assert shown["listed"] == 1


async def test_nobody_of_that_name_has_no_list(do):
    with pytest.raises(UnknownNameError):
        await do("provider.import", name="nobody")
    with pytest.raises(OperatorError, match="sandbox"):
        await do("provider.import", name="sandbox")


# Costs ----------------------------------------------------------------------------------------


def test_a_listed_price_is_read_to_the_nano_and_rounded_up():
    cost = read_cost(
        {
            "prompt": "0.0000003",
            "completion": "0.0000025",
            "input_cache_write": "0.00000008333333333333334",
            "input_cache_read": "0.00000003",
            "request": "0",
            "web_search": "0.01",
        }
    )

    assert (cost.input, cost.output, cost.cached_read) == ("0.3", "2.5", "0.03")
    assert (cost.cache_write_5m, cost.web_search, cost.request) == ("0.083333334", "0.01", "0")


def test_long_prompts_and_discounts_are_read():
    cost = read_cost(
        {
            "prompt": "0.000002",
            "completion": "0.00001",
            "discount": 0.5,
            "overrides": [
                {"min_prompt_tokens": 200_000, "prompt": "0.000004"},
                {"utc_start": 100, "utc_end": 200, "prompt": "0"},
            ],
        }
    )

    assert (cost.input, cost.output) == ("1", "5")
    (tier,) = cost.tiers
    assert (tier.above_input_tokens, tier.strict) == (200_000, True)
    assert (tier.input, tier.output) == ("2", "5")


@pytest.mark.parametrize(
    "pricing", [None, {}, {"prompt": "0.1"}, {"prompt": "-1", "completion": "-1"}]
)
def test_no_price_is_no_price(pricing):
    assert read_cost(pricing) is None


@pytest.mark.parametrize("amount", ["x", "NaN", "1e999", "Infinity", [1]])
def test_a_price_that_is_no_amount_is_refused(amount):
    with pytest.raises(OperatorError, match="no amount"):
        read_cost({"prompt": amount, "completion": "1"})
