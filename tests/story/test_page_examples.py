"""The examples of the public page, as printed there, in their own interpreters.

Only the host and the key are replaced, as whoever copies them does.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from books import books_agree, look
from calls import MODEL
from shops import Shop

EXAMPLES = Path(__file__).parent / "examples"
HOST = "https://smmcode.com"
KEY = "YOUR_API_KEY"
Run = Callable[[str, str], str]


def read_example(name: str, url: str, key: str) -> str:
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    assert HOST in text
    assert KEY in text
    return text.replace(HOST, url).replace(KEY, key)


def run_program(*command: str, cwd: Path) -> str:
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, encoding="utf-8", timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def run_curl(tmp_path: Path) -> Run:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed: apt-get install curl")
    return lambda url, key: run_program("sh", "-c", read_example("curl.sh", url, key), cwd=tmp_path)


@pytest.fixture
def run_python(tmp_path: Path) -> Run:
    def run(url: str, key: str) -> str:
        script = read_example("python_requests.txt", url, key)
        return run_program(sys.executable, "-X", "utf8", "-c", script, cwd=tmp_path)

    return run


@pytest.fixture
def run_axios(request: pytest.FixtureRequest) -> Run:
    folder: Path = request.getfixturevalue("node_folder")

    def run(url: str, key: str) -> str:
        (folder / "axios.js").write_text(read_example("axios.js", url, key), encoding="utf-8")
        # Its console shows objects three levels deep and would hide the text.
        (folder / "deep.js").write_text("require('util').inspect.defaultOptions.depth = 9")
        return run_program("node", "--require", "./deep.js", "axios.js", cwd=folder)

    return run


@pytest.fixture
def run_php(tmp_path: Path) -> Run:
    if shutil.which("php") is None or "curl" not in run_program("php", "-m", cwd=tmp_path):
        pytest.skip("PHP or its curl is not installed: apt-get install php-cli php-curl")
    return lambda url, key: run_program(
        "php", "-r", read_example("php_curl.txt", url, key), cwd=tmp_path
    )


@pytest.fixture(params=["curl", "python", "axios", "php"])
def run_example(request: pytest.FixtureRequest) -> Run:
    return request.getfixturevalue(f"run_{request.param}")


def test_an_example_runs_with_a_test_key_and_costs_nothing(
    small_shop: Shop, run_example: Run
) -> None:
    gateway, customer, vendor = small_shop

    printed = run_example(gateway.url, customer.test_key)

    assert "Привет!" in printed
    (generation,) = books_agree(gateway, customer, vendor)
    assert (generation["mode"], generation["outcome"]) == ("test", "free_test")
    assert generation["cost"] == "0.000000000"
    assert vendor.calls == []


def test_an_example_runs_with_a_live_key_and_is_charged(small_shop: Shop, run_example: Run) -> None:
    gateway, customer, vendor = small_shop

    printed = run_example(gateway.url, customer.key)

    assert "Hello from the fake vendor." in printed
    assert MODEL in printed
    (generation,) = books_agree(gateway, customer, vendor)
    assert generation["outcome"] == "charged"
    assert generation["id"] in printed
    assert Decimal(generation["cost"]) > 0


def test_the_vendor_is_asked_for_its_own_name_with_the_pages_defaults(
    small_shop: Shop, run_python: Run
) -> None:
    gateway, customer, vendor = small_shop

    run_python(gateway.url, customer.key)

    (call,) = vendor.calls
    asked = json.loads(call["body"])
    assert asked["model"] == vendor.models[0]
    assert (asked["temperature"], asked["max_tokens"]) == (0.7, 2048)


def test_the_list_of_models_is_read_with_curl(small_shop: Shop, tmp_path: Path) -> None:
    gateway, customer, _ = small_shop

    script = read_example("models.sh", gateway.url, customer.key)
    listed = json.loads(run_program("sh", "-c", script, cwd=tmp_path))

    assert listed == json.loads(json.dumps(look(gateway, customer.key, "/models")))
    card = next(card for card in listed["data"] if card["id"] == MODEL)
    assert card["available"] is True
