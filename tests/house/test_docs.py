"""The documentation says what the code does: nothing is missing, and every example works."""

import importlib.util
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import msgspec
import pytest
import requests
from click.testing import CliRunner

from altyn.api import wire
from altyn.api.routes import ROUTES
from altyn.catalog.model import read_models
from altyn.chat import ChatBody
from altyn.cli import app
from altyn.setting_table import SETTINGS
from altyn.settings import read_settings
from fakes.gateway import Gateway

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
READMES = (ROOT / "README.md", ROOT / "README.ru.md")
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])

FENCE = re.compile(r"^```(?P<words>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#+ (?P<text>.+)$", re.MULTILINE)
LAUNCHER_WORDS = {"test", "check", "bench"}
NOT_ALONE = {"up", "refund"}
"""Commands that serve for ever, or need something that happened before."""


class Example(NamedTuple):
    """A fenced block: its page, the words after the fence, and what stands in it."""

    page: Path
    words: tuple[str, ...]
    text: str


def examples(language: str, *pages: Path) -> list[Example]:
    return [
        Example(page, tuple(words), fence["text"])
        for page in pages or PAGES
        for fence in FENCE.finditer(page.read_text(encoding="utf-8"))
        if (words := fence["words"].split()) and words[0] == language
    ]


def name_of(value: object) -> str:
    """What a parametrized case is called."""
    if isinstance(value, Example):
        return f"{value.page.name}:{'-'.join(value.words)}"
    return value.name if isinstance(value, Path) else str(value)


def each_example(language: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("example", examples(language), ids=name_of)


each_page = pytest.mark.parametrize("page", PAGES, ids=name_of)
each_readme = pytest.mark.parametrize("page", READMES, ids=name_of)


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_docs", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Nothing is missing ---------------------------------------------------------------------------


def test_the_generated_parts_say_what_the_code_says(generator: ModuleType):
    differences = generator.out_of_date()

    assert not differences, "run 'PYTHONPATH=src python docs/generate.py'\n" + "\n".join(
        differences
    )


def test_every_setting_is_in_the_example_file():
    text = (ROOT / "altyn.toml.example").read_text(encoding="utf-8")

    written = tomllib.loads(re.sub(r"^#(?=\w+ = )", "", text, flags=re.MULTILINE))

    assert list(written) == [doc.name for doc in SETTINGS if doc.name != "home"]


def test_the_example_file_as_it_stands_changes_nothing(tmp_path: Path):
    (tmp_path / "altyn.toml").write_bytes((ROOT / "altyn.toml.example").read_bytes())

    settings = read_settings({}, home=tmp_path)

    (tmp_path / "altyn.toml").unlink()
    assert settings == read_settings({}, home=tmp_path)


def test_every_error_code_has_a_section(generator: ModuleType):
    codes = {error.code for error in generator.list_api_errors()}

    sections = re.findall(r"^### `(\w+)`$", _read(REFERENCE / "errors.md"), re.MULTILINE)

    assert sorted(sections) == sorted(codes)


def test_every_route_has_a_section():
    headings = HEADING.findall(_read(REFERENCE / "api.md"))

    missing = [
        route.path
        for route in ROUTES
        if not any(route.path in re.split(r"[ ,]+", heading) for heading in headings)
    ]

    assert not missing


def test_every_parameter_of_a_chat_is_documented():
    told = set(re.findall(r"^\| `(\w+)` \|", _read(REFERENCE / "api.md"), re.MULTILINE))

    assert not set(ChatBody.__struct_fields__) - told


def test_every_answer_has_an_example():
    shown = {words[1] for _, words, _ in examples("json", REFERENCE / "api.md") if words[1:]}

    assert shown >= {
        "BalanceCard",
        "ChatCompletion",
        "GenerationCard",
        "KeyCard",
        "ModelCard",
        "UsageGroups",
        "UsageList",
    }


def test_every_command_is_documented(generator: ModuleType):
    sections = set(re.findall(r"^## (altyn .+)$", _read(REFERENCE / "cli.md"), re.MULTILINE))

    assert {words for words, _ in generator.list_commands()} == sections


def test_every_decision_is_in_the_list():
    pages = {page.name for page in (DOCS / "decisions").glob("[0-9]*.md")}

    listed = set(re.findall(r"\((\d{4}-[\w-]+\.md)\)", _read(DOCS / "decisions/README.md")))

    assert pages == listed


# Nothing is made up ---------------------------------------------------------------------------


def test_every_variable_the_pages_name_is_a_setting():
    known = {doc.variable for doc in SETTINGS}

    named = {name for page in PAGES for name in re.findall(r"\bALTYN_[A-Z_]+\b", _read(page))}

    assert not named - known


def test_every_metric_the_pages_name_is_exposed(generator: ModuleType):
    families = {family.name for family in generator.list_metrics()}

    named = {
        re.sub(r"_(total|bucket|sum|count)$", "", name)
        for page in PAGES
        for name in re.findall(r"\baltyn_[a-z_]+\b", _read(page))
    }

    assert not named - families


def test_every_log_event_of_the_monitoring_page_is_logged():
    page = _read(DOCS / "how-to/monitoring.md").partition("## Logs")[2]
    source = "".join(_read(path) for path in (ROOT / "src").rglob("*.py"))

    events = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.+?) \|", page, re.MULTILINE)))

    assert events
    assert not [event for event in events if f'"{event}"' not in source]


@each_page
def test_every_module_a_page_names_is_there(page: Path):
    named = set(re.findall(r"`([\w/]+/\w+\.py)`", _read(page)))

    assert not [
        name for name in named if not any((ROOT / "src").rglob(name)) and not (ROOT / name).exists()
    ]


@each_page
def test_every_error_code_a_page_names_is_one(page: Path, generator: ModuleType):
    codes = {error.code: error.status for error in generator.list_api_errors()}

    named = re.findall(r"\b([45]\d\d) `([a-z_]+)`", _read(page))

    assert not [(status, code) for status, code in named if codes.get(code) != int(status)]


# Links lead somewhere -------------------------------------------------------------------------


@each_page
def test_links_lead_to_a_place_that_is_there(page: Path):
    text = FENCE.sub("", _read(page))

    broken = [link["target"] for link in LINK.finditer(text) if not _leads(page, link["target"])]

    assert not broken


def _leads(page: Path, target: str) -> bool:
    if target.startswith(("http://", "https://", "mailto:")):
        return True
    path, _, anchor = target.partition("#")
    place = (page.parent / path).resolve() if path else page
    if not place.is_relative_to(ROOT) or not place.exists():
        return False
    return not anchor or anchor in _anchors(place)


def _anchors(page: Path) -> set[str]:
    """The names under which a page's headings can be reached."""
    text = FENCE.sub("", _read(page))
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        for heading in HEADING.findall(text)
    }


# Examples of answers --------------------------------------------------------------------------


@each_example("json")
def test_an_example_of_an_answer_is_one(example: Example):
    kind = example.words[1] if example.words[1:] else None

    shown = json.loads(example.text)

    if kind == "error":
        told = msgspec.convert(shown, wire.ErrorBody, strict=True)
        assert told.error.code == "insufficient_balance"
    elif kind == "models":
        assert read_models(example.text.encode())
    elif kind is not None:
        struct = getattr(wire, kind)
        read = msgspec.json.decode(example.text, type=struct)
        assert json.loads(msgspec.json.encode(read)) == shown


# Examples of commands -------------------------------------------------------------------------


@each_example("sh")
def test_an_example_of_a_command_is_shell(example: Example):
    judged = subprocess.run(
        ["sh", "-n"], input=example.text, text=True, capture_output=True, check=False
    )

    assert judged.returncode == 0, judged.stderr


def test_the_commands_and_options_in_the_examples_exist(generator: ModuleType):
    known = {words: _options(command) for words, command in generator.list_commands()}

    wrong = [
        " ".join(call)
        for example in examples("sh")
        for call in _calls(example.text)
        if not _exists(call, known)
    ]

    assert not wrong


def test_both_readmes_show_the_same_commands():
    english, russian = ([text for _, _, text in examples("sh", page)] for page in READMES)

    assert english == russian


def _options(command: Any) -> set[str]:
    return {name for param in command.params for name in param.opts}


def _calls(text: str) -> Iterator[list[str]]:
    """Every call of the command in a shell text, as its words."""
    for found in re.finditer(r"\./altyn (?P<rest>[^\n|;]*)", text.replace("\\\n", " ")):
        rest = re.sub(r"\$\([^)]*\)", "X", found["rest"]).partition(")")[0]
        yield shlex.split(rest)


def _exists(call: list[str], known: dict[str, set[str]]) -> bool:
    if call[0] in LAUNCHER_WORDS:
        return True
    for length in (2, 1):
        options = known.get(" ".join(["altyn", *call[:length]]))
        if options is not None:
            return {word for word in call if word.startswith("--")} <= options | {"--help"}
    return False


# Examples that run ----------------------------------------------------------------------------


@each_readme
def test_the_curl_of_the_readme_works(sqlite_gateway: Gateway, page: Path):
    (curl,) = [text for _, _, text in examples("sh", page) if text.startswith("curl")]
    customer = sqlite_gateway.add_customer()
    script = curl.replace("http://127.0.0.1:8080", sqlite_gateway.url)

    run = subprocess.run(
        ["sh", "-c", script],
        env={"PATH": os.environ["PATH"], "KEY": customer.test_key},
        capture_output=True,
        check=True,
    )

    answer = json.loads(run.stdout)
    assert answer["choices"][0]["message"]["content"] == "Привет!"
    assert answer["usage"]["cost"] == 0


@each_readme
def test_the_python_of_the_readme_works(sqlite_gateway: Gateway, page: Path):
    (code,) = [text for _, _, text in examples("python", page)]
    customer = sqlite_gateway.add_customer()
    code = code.replace("http://127.0.0.1:8080", sqlite_gateway.url)
    names: dict[str, Any] = {}

    exec(code.replace("sk_test_...", customer.test_key), names)

    names["client"].close()
    assert names["answer"].choices[0].message.content


@pytest.mark.parametrize(
    "name", ["openai", "own-server", "prices-and-markup", "models-that-end", "keys-and-limits"]
)
def test_the_commands_of_a_how_to_do_what_they_say(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    page = DOCS / f"how-to/{name}.md"
    calls = [call for _, _, text in examples("sh", page) for call in _calls(text)]
    calls = [call for call in calls if call[0] not in NOT_ALONE and call[1] != "test"]
    models = "".join(text for _, words, text in examples("json", page) if "models" in words)
    (tmp_path / "my-models.json").write_text(models)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALTYN_HOME", str(tmp_path / "var"))
    runner = CliRunner()
    runner.invoke(app, ["user", "add", "ada@example.com"], catch_exceptions=False)

    done = [(call, runner.invoke(app, call, input="sk-of-a-vendor\n")) for call in calls]

    assert done
    assert not [(call, run.output, run.exception) for call, run in done if run.exit_code]


@pytest.mark.slow
def test_the_tutorial_works_from_the_first_line_to_the_last(tmp_path: Path):
    page = DOCS / "tutorial/first-call.md"
    port = str(_free_port())
    steps = [text for _, words, text in examples("sh", page) if "background" not in words]
    script = "\n".join(steps).replace(":8080", f":{port}").replace("curl ", "curl -sS ")
    _write_command(tmp_path / "altyn")
    environ = {"PATH": os.environ["PATH"], "ALTYN_PORT": port, "ALTYN_HOME": str(tmp_path / "var")}

    with _serving(tmp_path, environ, port):
        run = subprocess.run(
            ["sh", "-e", "-c", script],
            cwd=tmp_path,
            env=environ,
            text=True,
            capture_output=True,
            check=False,
        )

    assert run.returncode == 0, run.stderr
    told = run.stdout
    assert '"status":"ready"' in told
    assert re.search(r"balance +5\.000000000", told)
    assert '"outcome":"charged"' in told
    assert '"receipt":[{"kind":"input"' in told
    assert '"outcome":"free_upstream_error"' in told
    assert told.rstrip().endswith("Every invariant holds.")


class _serving:  # noqa: N801 -- reads as a word in a with statement
    """The server of the tutorial's first step, until the rest is done."""

    def __init__(self, folder: Path, environ: dict[str, str], port: str) -> None:
        self.ready = f"http://127.0.0.1:{port}/readyz"
        self.process = subprocess.Popen(
            ["./altyn", "up"],
            cwd=folder,
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> None:
        deadline_s = time.monotonic() + 30
        while self.process.poll() is None and time.monotonic() < deadline_s:
            try:
                if requests.get(self.ready, timeout=1).ok:
                    return
            except requests.ConnectionError:
                time.sleep(0.1)
        self.__exit__()
        pytest.fail("the server of the tutorial did not start")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(60)


def _write_command(path: Path) -> None:
    """`./altyn` as in a checkout whose environment is already there."""
    source = shlex.quote(str(ROOT / "src"))
    python = shlex.quote(sys.executable)
    path.write_text(f'#!/bin/sh\nPYTHONPATH={source} exec {python} -m altyn "$@"\n')
    path.chmod(0o755)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _read(page: Path) -> str:
    return page.read_text(encoding="utf-8")
