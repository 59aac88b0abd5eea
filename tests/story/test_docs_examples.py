"""Every example of the documentation, as it stands on the page, run in its own language.

Only the key is put in, as whoever copies it does; and the address, because a test takes any port.
"""

import html
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import pytest
from calls import MODEL
from shops import Shop
from test_page_examples import EXAMPLES

from altyn.web.snippets import KEY, LANGUAGES, Call, write
from fakes.gateway import Gateway

Run = Callable[[str], str]
BLOCK = re.compile(
    r'<code id="example-(?P<example>\w+)-code-(?P<language>\w+)">(?P<code>.*?)</code>', re.DOTALL
)
TAG = re.compile(r"<[^>]+>")
SAYS = {
    "first": "Привет!",
    "chat": "Привет!",
    "stream": "Расскажи короткую историю.",
    "models": "sandbox/lorem",
    "balance": "total_deposited",
    "usage": "group_by",
    "key": "last_four",
    "again": "Привет!",
}
NASTY = 'It\'s "quoted" \\n \\ $HOME `id` $(id) ${x} %s {{x}}'
NASTY += " <b>\n\tдва\u2028 строки 🪙 \\' '' */ ?> \\\\"
REFERENCE = {
    "curl": ("chat", "curl.sh"),
    "python": ("first", "python_requests.txt"),
    "javascript": ("first", "axios.js"),
    "php": ("first", "php_curl.txt"),
}


def read_page(url: str, path: str = "/docs") -> Mapping[tuple[str, str], str]:
    """Each block of code on the page, by example and language, as a reader copies it."""
    answer = httpx.get(f"{url}{path}", headers={"accept-language": "ru", "accept": "text/html"})
    assert answer.status_code == 200
    return {
        (block["example"], block["language"]): html.unescape(TAG.sub("", block["code"]))
        for block in BLOCK.finditer(answer.text)
    }


@pytest.fixture(scope="module")
def page(shared_gateway: Gateway) -> Mapping[tuple[str, str], str]:
    return read_page(shared_gateway.url)


@pytest.fixture
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str, str], str]:
    def run_code(language: str, code: str) -> str:
        folder = tmp_path
        if language == "javascript":
            folder = request.getfixturevalue("node_folder")
            (folder / "deep.js").write_text("require('util').inspect.defaultOptions.depth = 9")
        program = COMMANDS[language][0]
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
        (folder / "code").write_text(code, encoding="utf-8")
        done = subprocess.run(
            COMMANDS[language],
            cwd=folder,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run_code


COMMANDS = {
    "curl": ("sh", "code"),
    "python": (sys.executable, "-X", "utf8", "code"),
    "openai": (sys.executable, "-X", "utf8", "code"),
    "javascript": ("node", "--require", "./deep.js", "code"),
    "php": ("php", "code"),
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("example", SAYS)
def test_an_example_runs_as_it_stands_on_the_page(small_shop, page, run, example, language):
    gateway, customer, vendor = small_shop
    code = page[example, language]
    assert KEY in code
    assert gateway.settings.public_url in code

    said = run(
        language,
        code.replace(gateway.settings.public_url, gateway.url).replace(KEY, customer.test_key),
    )

    # With curl the words of a stream come one by one.
    assert ("[DONE]" if (example, language) == ("stream", "curl") else SAYS[example]) in said
    assert "request_id" not in said, "that is how an error looks"
    assert vendor.calls == []


def test_every_example_of_the_page_is_run_here(shared_gateway, page):
    assert set(page) == {(example, language) for example in SAYS for language in LANGUAGES}
    assert page == read_page(shared_gateway.url, "/api-documentation")


@pytest.mark.parametrize("language", REFERENCE)
def test_the_examples_are_those_of_the_public_page(language):
    example, name = REFERENCE[language]
    fields = {
        "model": "anthropic/claude-3.5-sonnet",
        "messages": [{"role": "user", "content": "Привет!"}],
    }
    more = {"temperature": 0.7, "max_tokens": 2048} if example == "chat" else {}
    call = Call(path="/chat/completions", body=fields | more)

    written = write(call, language, base="https://smmcode.com/api/v1/external")

    public = (EXAMPLES / name).read_text(encoding="utf-8")
    assert _bare(written.removeprefix("<?php\n")) == _bare(public)


def _bare(text: str) -> list[str]:
    """The page was captured without its indents and empty lines."""
    return [line.strip() for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", ["/chat/completions", "/chat/stream"])
def test_whatever_is_asked_arrives_as_it_was_written(small_shop: Shop, run, language, path):
    gateway, customer, vendor = small_shop
    fields = {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "Be 'brief'."},
            {"role": "user", "content": NASTY},
        ],
        "temperature": 0.3,
        "max_tokens": 64,
        "stop": ["'", '"'],
    }
    code = write(Call(path=path, body=fields), language, base=gateway.base, key=customer.key)

    said = run(language, code)

    asked = json.loads(vendor.calls[-1]["body"])
    assert asked["messages"] == fields["messages"]
    assert asked["stop"] == fields["stop"]
    assert (asked["temperature"], asked["max_tokens"]) == (0.3, 64)
    assert ("[DONE]" if "stream" in path and language == "curl" else "fake vendor.") in said
