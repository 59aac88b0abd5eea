"""Tools that customers have already, pointed at the gateway by a base URL and a key alone, with
models of every dialect: whoever serves, no tool needs to know.

Each runs as a program of its own, as at a customer's, and prints what it found as JSON.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from books import books_agree
from houses import MODELS, House
from vendors import FAKES, native_vendor

TOOLS = Path(__file__).parent / "tools"
PROGRAM_S = 120
HELLO = "Hello from the fake vendor."
WARM = "21 degrees in Rome."
PLACE = {"city": "Rome", "degrees": 21}
CALLED = [["weather", {"city": "Rome"}]]
WAYS = {
    "openai/gpt-5-mini": "openrouter",
    "openai/gpt-5.2-pro": "native",
    "anthropic/claude-haiku-4.5": "native",
    "google/gemini-3-flash-preview": "native",
}
"""A model for each dialect: OpenAI's chat, its Responses, Anthropic's and Google's own."""

CALLS = 7
"""Of each model: whole, streamed, twice two turns with a tool, and one by a schema."""


def run(command: list[str], house: House, key: str, **environ: str) -> Any:
    """What a customer's program prints last: libraries have things of their own to say."""
    gateway = {"GATEWAY_URL": house.gateway.base, "GATEWAY_KEY": key}
    done = subprocess.run(
        [*command, *WAYS],
        env={**os.environ, **gateway, **environ},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=PROGRAM_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def works(command: list[str], house: House, **environ: str) -> None:
    """A whole answer and a stream, a tool used in either, an answer by a schema, and a refusal."""
    bills = {model: _script(house, model) for model in WAYS}
    customer = house.gateway.add_customer()

    found = run(command, house, customer.key, **environ)

    looped = {"called": CALLED, "results": [WARM.rstrip(".")], "text": WARM}
    assert found.pop("failure") == {"status": 404, "code": "model_not_found"}
    for model, told in found.items():
        total = bills[model][-CALLS]["total_tokens"]
        plain = {"text": HELLO, "finishReason": "stop", "total": total}
        assert told["whole"] == told["stream"] == plain, model
        assert told["toolLoop"] == told["streamedToolLoop"] == looped, model
        assert told["structured"] == PLACE, model
    generations = books_agree(house.gateway, customer)
    assert [one["outcome"] for one in generations] == ["charged"] * CALLS * len(WAYS)


def _script(house: House, model_id: str) -> list[dict[str, Any]]:
    """What the vendor says to the seven calls, and where it writes down what it bills."""
    model = next(model for model in MODELS if model.id == model_id)
    vendor = FAKES[0] if WAYS[model_id] == "openrouter" else native_vendor(model)
    fake = house.serve(model, vendor)
    fake.forget()
    loop = (vendor.calls(), vendor.text(WARM))
    fake.says(vendor.text(HELLO), vendor.text(HELLO), *loop, *loop, vendor.text(json.dumps(PLACE)))
    return fake.billed


@pytest.mark.parametrize("provider", ["openai", "compatible"])
def test_the_ai_sdk_of_vercel(node_folder: Path, house: House, provider: str) -> None:
    works(["node", str(node_folder / "ai_sdk.mjs"), provider], house)


def test_langchain(house: House) -> None:
    works([sys.executable, str(TOOLS / "langchain_client.py")], house)


def test_litellm_as_a_client(house: House) -> None:
    # Otherwise it fetches its list of prices from the network first.
    works(
        [sys.executable, str(TOOLS / "litellm_client.py")],
        house,
        LITELLM_LOCAL_MODEL_COST_MAP="True",
    )
