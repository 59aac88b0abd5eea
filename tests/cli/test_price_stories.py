"""An operator's day with prices, from the command line, while the server runs."""

import re
from decimal import Decimal

import pytest

ECHO = "sandbox/echo"


@pytest.fixture(scope="module")
def key(served):
    served.do("user", "add", "buyer@example.com")
    served.do("deposit", "buyer@example.com", "10")
    return served.ask("key", "create", "--user", "buyer@example.com")["key"]


def cost(answer):
    assert answer.status_code == 200, answer.text
    return Decimal(answer.headers["X-Request-Cost"])


def test_a_price_is_previewed_set_charged_and_ended(served, key, until):
    before = cost(served.chat(key))
    shown = served.do("price", "set", ECHO, "--input", "1", "--output", "4", "--dry-run")
    assert "Nothing is written." in shown
    assert "900 %" in shown

    told = served.do(
        *("price", "set", ECHO, "--input", "1", "--output", "4"),
        *("--tier", ">100000 input=2 output=8", "--group", "vip"),
    )
    assert "input from 100001 tokens" in told
    assert "vip pays" not in told
    served.do("user", "price-group", "buyer@example.com", "vip")

    assert until(lambda: cost(served.chat(key)) == 10 * before)
    history = served.do("price", "history", ECHO)
    assert "vip" in history
    assert "in force" in history

    served.do("price", "end", ECHO, "--group", "vip")
    assert until(lambda: cost(served.chat(key)) == before)
    served.do("user", "price-group", "buyer@example.com", "--none")


def test_prices_go_to_a_spreadsheet_and_back(served, tmp_path):
    file = tmp_path / "prices.csv"

    assert "prices." in served.do("price", "export", str(file))
    assert "0 would be new" in served.do("price", "import", str(file))
    file.write_text(re.sub("(sandbox/lorem.*),0.1,0.4,", r"\1,0.2,0.4,", file.read_text()))
    shown = served.do("price", "import", str(file))
    assert "+ sandbox/lorem cost" in shown
    assert "repeat it with --apply" in shown
    assert "1 are written" in served.do("price", "import", str(file), "--apply")

    newest = served.ask("price", "list", "--model", "sandbox/lorem")[-1]
    assert (newest["prices"]["input"], newest["state"]) == ("0.2", "in force")


def test_a_loss_has_to_be_meant(served):
    words = ("price", "set", "sandbox/flaky", "--input", "0.01", "--output", "1")

    assert "--allow-loss" in served.refused(*words)
    told = served.do(*words, "--allow-loss")

    assert "Below cost: sandbox/flaky from" in told
    served.do("price", "end", "sandbox/flaky")


def test_a_markup_on_one_model_is_set_and_ended(served):
    told = served.do("markup", "set", "25", "--model", "openai/gpt-5", "--dry-run")

    assert "openai/gpt-5 is sold at cost plus 25 %" in told
    assert "Models whose price changes: 1." in told
    assert "ends at" in served.do("markup", "end", "--model", "openai/gpt-5", "--group", "vip")


def test_a_model_is_replaced_retired_hidden_and_restored(served, key, until):
    old = "anthropic/claude-3.7-sonnet"
    told = served.do("model", "replace", old, ECHO)
    assert f"{old} stays on sale, served and priced as {ECHO}." in told

    assert until(lambda: served.chat(key, model=old).status_code == 200)
    assert served.chat(key, model=old).json()["model"] == ECHO

    assert "is served until" in served.do("model", "retire", old, "--replaced-by", ECHO)
    assert until(lambda: served.chat(key, model=old).status_code == 404)
    assert "is off sale" in served.do("model", "hide", old)
    assert "as its vendor says" in served.do("model", "restore", old)


def test_a_group_is_named_or_left(served):
    assert served.run("user", "price-group", "buyer@example.com").returncode == 2


def test_a_table_that_is_no_text_is_refused_in_one_sentence(served, tmp_path):
    file = tmp_path / "prices.csv"
    file.write_bytes(b"\xff\xfe")

    assert "is not a text in UTF-8" in served.refused("price", "import", str(file))
