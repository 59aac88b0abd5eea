"""Tools that customers have already, pointed at the gateway by a base URL and a key alone.

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
from calls import MODEL
from shops import Shop

from fakes.openai_server import Reply

TOOLS = Path(__file__).parent / "tools"
HELLO = "Hello from the fake vendor."
WARM = "21 degrees in Rome."
CALL = Reply(text="", tools=(("weather", '{"city": "Rome"}'),))
CALLED = [["weather", {"city": "Rome"}]]
CALLS = 7
"""Whole, streamed, twice two turns with a tool, and the one by a schema."""
PROGRAM_S = 120


def run(command: list[str], shop: Shop, **environ: str) -> Any:
    """What a customer's program prints last: libraries have things of their own to say."""
    gateway = {"GATEWAY_URL": shop.gateway.base, "GATEWAY_KEY": shop.customer.key}
    done = subprocess.run(
        command,
        env={**os.environ, **gateway, **environ},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=PROGRAM_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def works(command: list[str], shop: Shop, **environ: str) -> None:
    """A whole answer and a stream, a tool used in either, an answer by a schema, and a refusal."""
    shop.vendor.says(Reply(), Reply(), *(CALL, Reply(text=WARM)) * 2)

    found = run(command, shop, **environ)

    generations = books_agree(*shop)
    plain = {"text": HELLO, "finishReason": "stop", "total": generations[-1]["total_tokens"]}
    looped = {"called": CALLED, "results": [WARM.rstrip(".")], "text": WARM}
    assert found["whole"] == found["stream"] == plain
    assert found["toolLoop"] == found["streamedToolLoop"] == looped
    assert isinstance(found["structured"]["degrees"], int)
    assert found["failure"] == {"status": 404, "code": "model_not_found"}
    assert len(generations) == CALLS


@pytest.mark.parametrize("provider", ["openai", "compatible"])
def test_the_ai_sdk_of_vercel(node_folder: Path, small_shop: Shop, provider: str) -> None:
    works(["node", str(node_folder / "ai_sdk.mjs"), provider, MODEL], small_shop)


def test_langchain(small_shop: Shop) -> None:
    works([sys.executable, str(TOOLS / "langchain_client.py"), MODEL], small_shop)


def test_litellm_as_a_client(small_shop: Shop) -> None:
    # Otherwise it fetches its list of prices from the network first.
    offline = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    works([sys.executable, str(TOOLS / "litellm_client.py"), MODEL], small_shop, **offline)
