"""Models and prices: the page says what the API says, to whoever looks, at their own prices."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal

import httpx
import pytest
from browser import NARROW, WIDE, assert_accessible, assert_fits, assert_russian
from people import Person, sign_in

from altyn.accounts.store import set_price_group
from altyn.catalog.lifecycle import replace_model, restore_model, retire_model
from altyn.catalog.load import add_price, set_markup
from altyn.catalog.price import Price
from altyn.web.words import Words
from fakes.gateway import Gateway

ECHO, SONNET, TIERED = "sandbox/echo", "anthropic/claude-sonnet-4.5", "google/gemini-2.5-pro"
ROW = re.compile(
    r'<a class="plain" href="/models/(?P<id>[^"]+)"'
    r'.*?data-label="Input">.*?number">(?P<input>[^<]+)<'
    r'.*?data-label="Output">.*?number">(?P<output>[^<]+)<',
    re.DOTALL,
)


@pytest.fixture(scope="module", autouse=True)
def _sandbox_is_served(cabinet):
    cabinet.add_upstream("http://127.0.0.1:9", SONNET, TIERED)
    cabinet.set_markup(200_000)


def read_prices(person, path="/models"):
    """Input and output for one token, as the page shows them, by model."""
    return {
        row["id"]: tuple(_per_token(row[kind]) for kind in ("input", "output"))
        for row in ROW.finditer(person.get(path).text)
    }


def _per_token(text):
    return Decimal(text.strip().removeprefix("$").replace(",", "")) / 1_000_000


def ask_prices(cabinet, person):
    _, secret = person.create_key()
    answer = httpx.get(f"{cabinet.base}/models", headers={"authorization": f"Bearer {secret}"})
    return {
        card["id"]: (Decimal(card["pricing"]["prompt"]), Decimal(card["pricing"]["completion"]))
        for card in answer.json()["data"]
    }


def test_every_price_on_the_page_is_that_of_the_api(cabinet, customer):
    assert read_prices(customer) == ask_prices(cabinet, customer)
    assert len(read_prices(customer)) > 20


def test_whoever_has_prices_of_their_own_sees_them(cabinet, customer, stranger):
    cabinet.write(lambda tx: set_price_group(tx, customer.account_id, "partners"))
    cabinet.write(lambda tx: set_markup(tx, 50_000, price_group="partners"))

    shown = read_prices(customer)

    assert shown == ask_prices(cabinet, customer)
    assert shown[SONNET] < read_prices(stranger)[SONNET]


def test_the_filters_live_in_the_address(stranger):
    assert set(read_prices(stranger, "/models?vendor=sandbox")) == {
        ECHO,
        "sandbox/lorem",
        "sandbox/flaky",
    }
    assert set(read_prices(stranger, "/models?q=CLAUDE+4.5")) == {
        SONNET,
        "anthropic/claude-haiku-4.5",
    }
    assert ECHO not in read_prices(stranger, "/models?reads=image")
    assert {SONNET, TIERED} <= set(read_prices(stranger, "/models?available=yes"))
    assert "openai/gpt-5" not in read_prices(stranger, "/models?available=yes")
    assert "No model is like that" in stranger.get("/models?q=nothing").text


@pytest.mark.parametrize(("order", "place"), [("input", 0), ("output", 1)])
def test_the_cheapest_can_stand_first(stranger, order, place):
    prices = [price[place] for price in read_prices(stranger, f"/models?sort={order}").values()]

    assert prices == sorted(prices)


def test_a_made_up_filter_shows_everything(stranger):
    assert read_prices(stranger, "/models?sort=%3Cx%3E") == read_prices(stranger)


def test_a_model_with_tiers_shows_each_of_them(stranger):
    text = stranger.get(f"/models/{TIERED}").text

    assert "prompt up to 200,000" in text
    assert "from 200,001" in text
    # 1.25 and 2.50 with a fifth on top.
    assert "$1.50" in text
    assert "$3.00" in text


def test_a_model_says_when_it_ends_and_what_comes_then(cabinet, stranger):
    at = int(datetime(2031, 5, 1, tzinfo=UTC).timestamp() * 1000)
    cabinet.write(lambda tx: retire_model(tx, ECHO, retires_at=at, replaced_by="sandbox/lorem"))

    text = stranger.get(f"/models/{ECHO}").text

    assert "This model ends on 1 May 2031." in text
    assert 'href="/models/sandbox/lorem"' in text
    cabinet.write(lambda tx: restore_model(tx, ECHO))


def test_a_model_that_another_answers_for_says_so_at_that_price(cabinet, customer):
    cabinet.write(lambda tx: replace_model(tx, ECHO, SONNET))

    assert read_prices(customer)[ECHO] == read_prices(customer)[SONNET]
    assert "Answered by anthropic/claude-sonnet-4.5" in customer.get(f"/models/{ECHO}").text
    cabinet.write(lambda tx: restore_model(tx, ECHO))


def test_a_price_that_is_decided_is_announced(cabinet, stranger):
    at = int(datetime(2031, 5, 1, tzinfo=UTC).timestamp() * 1000)
    price = Price(input=7_000_000_000, output=9_500_000_000)
    cabinet.write(
        lambda tx: add_price(tx, model_id=ECHO, kind="sell", price=price, effective_from=at)
    )

    text = stranger.get(f"/models/{ECHO}").text

    assert "From 1 May 2031, 00:00: input $7.00, output $9.50." in text
    assert "From 1 May" not in stranger.get(f"/models/{SONNET}").text


def test_an_unknown_model_is_no_page(stranger):
    assert stranger.get("/models/nobody/nothing").status_code == 404


def test_prices_may_be_for_members_only(tmp_path):
    with (
        Gateway(tmp_path / "home", prices_shown_to="members") as gateway,
        Person(gateway) as stranger,
        sign_in(gateway) as member,
    ):
        refused = [stranger.get(path) for path in ("/models", f"/models/{ECHO}")]

        assert [answer.status_code for answer in refused] == [303, 303]
        assert refused[1].headers["location"] == f"/login?next=/models/{ECHO}"
        assert all("sandbox" not in answer.text for answer in refused)
        assert ECHO in read_prices(member)


# In a browser ------------------------------------------------------------------------------------

NAMES = frozenset({"Anthropic", "Google", "Gemini", "OpenAI", "Ignored", "Parameters"})


@pytest.mark.parametrize(
    "path", ["/models", f"/models/{TIERED}", f"/models/{SONNET}", "/models?q=x"]
)
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_it_is_accessible_and_russian_for_a_stranger(cabinet, walk_to, path, theme, size):
    with Person(cabinet, language="ru") as reader:
        page = walk_to(reader, path, color_scheme=theme, viewport=size)

        assert_accessible(page)
        assert_fits(page)
        assert_russian(page, allowed=NAMES)


def test_a_filter_changes_the_table_and_the_address(stranger, open_page):
    page = open_page(stranger, "/models")

    page.get_by_label("Vendor").select_option("sandbox")
    page.get_by_text("3 of").wait_for()

    assert "vendor=sandbox" in page.url
    assert page.locator("#models tbody tr").count() == 3


def test_the_id_is_copied(stranger, open_page):
    page = open_page(
        stranger, f"/models?q={ECHO}", permissions=["clipboard-read", "clipboard-write"]
    )

    page.get_by_role("button", name="Copy the id of Sandbox echo").click()
    page.get_by_text("Copied").wait_for()

    assert page.evaluate("navigator.clipboard.readText()") == ECHO


def test_a_day_is_the_same_in_every_zone():
    far = Words(language="en", zone="Pacific/Kiritimati", currency="USD")

    assert far.date(date(2026, 12, 1)) == "1 Dec 2026"
