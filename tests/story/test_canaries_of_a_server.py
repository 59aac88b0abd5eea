"""A server as it is run, at its most talkative: what is secret is in none of what it leaves behind.

Planted: customers' keys, a provider's key in no known shape, a password, prompts and answers.
Looked at: its log, every answer, its metrics, its pages, its home byte by byte, and a backup.
"""

import json
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from calls import MODEL
from server import Server

from fakes.gateway import Customer, Gateway
from fakes.openai_server import FakeOpenAI, Reply

UPSTREAM_KEY = "hunter2.canary/of-the-operator=="
PASSWORD = "canary-correct-horse-battery"
PROMPT = "canary: what I tell nobody, said to a machine"
ANSWER = "canary: what the machine tells nobody but me"
QUOTING = f"{UPSTREAM_KEY} cannot serve '{PROMPT}' now"
OPEN_FILES = frozenset({"secret.key", "metrics.token"})
"""What has to be in the open at home, for its owner alone."""


def refusal(status: int) -> Reply:
    return Reply(status=status, body=json.dumps({"error": {"message": QUOTING}}).encode())


REPLIES = (
    Reply(text=ANSWER),
    *(refusal(status) for status in (400, 401, 403, 404, 413, 429, 500, 503)),
    Reply(status=500, body=QUOTING.encode()),
    Reply(status=502, body=f"<html><title>{QUOTING}</title></html>".encode()),
    Reply(status=500, body=QUOTING.encode() + b"\xff"),
    Reply(body=json.dumps({"error": {"message": QUOTING, "code": 500}}).encode()),
    Reply(text=ANSWER, error={"message": QUOTING, "code": 502}),
    Reply(text=ANSWER, cut_after_bytes=700),
    Reply(text=ANSWER, usage="absent"),
    Reply(text="", finish_reason=None),
)


class Left(NamedTuple):
    """All that a server leaves behind, by what it is."""

    customer: Customer
    home: Path
    log: str
    answers: str
    metrics: str
    pages: str
    files: dict[str, bytes]
    modes: dict[str, int]


def command(home: Path, *words: str, said: str | None = None) -> str:
    run = subprocess.run(
        [sys.executable, "-m", "altyn", *words, "--home", str(home)],
        input=said,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return run.stdout + run.stderr


def call_every_way(server: Server, customer: Customer, vendor: FakeOpenAI) -> list[Any]:
    body = {"model": MODEL, "messages": [{"role": "user", "content": PROMPT}], "user": PROMPT}
    key = {"Authorization": f"Bearer {customer.key}"}
    heard: list[Any] = []
    for path in ("/chat/completions", "/chat/stream"):
        for number, reply in enumerate(REPLIES):
            vendor.forget()
            vendor.says(reply)
            named = {**key, "Idempotency-Key": f"{path}{number}"}
            heard.append(requests.post(server.base + path, json=body, headers=named, timeout=30))
    wrong = {**body, "temperature": PROMPT}
    heard.append(
        requests.post(f"{server.base}/chat/completions", json=wrong, headers=key, timeout=30)
    )
    addresses = (f"/usage?key={customer.key}", f"/{customer.key}", f"/generations/{customer.key}")
    heard += [requests.get(server.base + path, headers=key, timeout=30) for path in addresses]
    return heard


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Left]:
    folder = tmp_path_factory.mktemp("canaries")
    home = folder / "home"
    with FakeOpenAI(key=UPSTREAM_KEY, models=("their-name",)) as vendor:
        command(home, "key", "list")  # who makes the files is who must make them private
        with Gateway(home) as office:
            customer = office.add_customer("100")
            for _ in range(8):  # so many that none of them rests
                office.add_upstream(
                    vendor.base_url, MODEL, secret=UPSTREAM_KEY, upstream_model="their-name"
                )
        with Server(home, log_level="debug") as server:
            heard = call_every_way(server, customer, vendor)
            command(home, "user", "add", "ann@example.test", "--password-stdin", said=PASSWORD)
            told = command(home, "backup", str(folder / "backup.db"))
            told += command(home, "provider", "list", "--json") + command(home, "key", "list")
            token = (home / "metrics.token").read_text().strip()
            metrics = requests.get(
                f"{server.url}/metrics", headers={"Authorization": f"Bearer {token}"}, timeout=30
            )
            pages = [
                requests.get(
                    server.url + path,
                    headers={"Accept": "text/html", "Authorization": f"Bearer {customer.key}"},
                    timeout=30,
                )
                for path in (
                    *("/", "/login", "/nothing", "/readyz", f"/app/{customer.key}"),
                    *(f"/login?next=/{customer.key}", f"/login?{customer.key}"),
                )
            ]
            files = [path for path in home.rglob("*") if path.is_file()]
            contents = {path.name: path.read_bytes() for path in files}
            modes = {str(path.name): path.stat().st_mode for path in home.rglob("*")}
            assert server.stop() == 0
            yield Left(
                customer=customer,
                home=home,
                log=server.said(),
                answers="".join(f"{one.text}{one.headers}" for one in heard) + told,
                metrics=metrics.text,
                pages="".join(f"{one.text}{one.headers}" for one in pages),
                files={**contents, "backup.db": (folder / "backup.db").read_bytes()},
                modes={
                    **modes,
                    "home": home.stat().st_mode,
                    "backup.db": (folder / "backup.db").stat().st_mode,
                },
            )


def keys(left: Left) -> dict[str, str]:
    """Without the part that is shown."""
    return {
        "a live key": left.customer.key[12:52],
        "a test key": left.customer.test_key[12:52],
        "a provider's key": UPSTREAM_KEY,
        "a password": PASSWORD,
    }


@pytest.mark.parametrize("place", ["log", "answers", "metrics", "pages"])
def test_no_key_and_no_password_is_told_anywhere(left: Left, place: str) -> None:
    told = getattr(left, place)

    assert told
    assert [what for what, secret in keys(left).items() if secret in told] == []


def test_the_log_and_the_metrics_hold_no_prompt_and_no_answer(left: Left) -> None:
    assert "attempt_ended" in left.log
    for words in (PROMPT, ANSWER, PROMPT[9:33], ANSWER[9:33]):
        assert words not in left.log
        assert words not in left.metrics
    assert left.customer.email not in left.metrics


def test_no_file_holds_what_opens_something_or_what_was_said(left: Left) -> None:
    for name, content in left.files.items():
        found = [what for what, secret in keys(left).items() if secret.encode() in content]
        assert found == [], name
        assert PROMPT.encode() not in content, name
        assert ANSWER.encode() not in content, name


def test_the_backup_does_not_hold_what_opens_it(left: Left) -> None:
    root = left.files["secret.key"].strip()

    for name, content in left.files.items():
        if name not in OPEN_FILES:
            assert root not in content, name
            assert bytes.fromhex(root.decode()) not in content, name


def test_everything_at_home_is_its_owners_alone(left: Left) -> None:
    open_to_others = {name for name, mode in left.modes.items() if stat.S_IMODE(mode) & 0o077}

    assert "control.sock" in left.modes
    assert open_to_others == set()
