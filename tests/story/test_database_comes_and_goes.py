"""PostgreSQL is not there yet, goes away, and comes back: nothing has to be restarted."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from books import books_agree
from calls import chat
from server import Server
from shops import open_shop

from fakes.gateway import Gateway
from fakes.openai_server import FakeOpenAI, Reply
from fakes.postgres import TemporaryPostgres
from fakes.scripted_server import free_port


def test_a_server_waits_for_a_database_that_comes_later(home: Path, tmp_path: Path) -> None:
    with TemporaryPostgres() as postgres:
        url = postgres.make_database("later")
        postgres.stop_serving()
        port = free_port()
        log = (tmp_path / "log").open("wb")
        waiting = subprocess.Popen(
            [sys.executable, "-m", "altyn", "up", "--no-open"],
            env={"ALTYN_HOME": str(home), "ALTYN_PORT": str(port), "ALTYN_DATABASE_URL": url}
            | {"PYTHONPATH": ":".join(filter(None, sys.path)), "PATH": "/usr/bin:/bin"},
            stdout=log,
            stderr=log,
        )
        try:
            time.sleep(2.5)
            said = (tmp_path / "log").read_text()
            assert waiting.poll() is None
            assert said.count("Waiting for the database") == 1
            assert url not in said

            postgres.serve_again()

            assert is_ready(port, within_s=20)
        finally:
            waiting.kill()
            waiting.wait()
            log.close()


def is_ready(port: int, *, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            if requests.get(f"http://127.0.0.1:{port}/readyz", timeout=2).status_code == 200:
                return True
        except requests.ConnectionError:
            pass
        time.sleep(0.05)
    return False


@pytest.mark.slow
def test_a_database_that_is_restarted_costs_nobody_anything(
    home: Path, openrouter: FakeOpenAI
) -> None:
    with TemporaryPostgres() as postgres:
        url = postgres.make_database("restarted")
        with Gateway(home, url) as office:
            shop = open_shop(office, openrouter)
        openrouter.says(Reply(comments=0), Reply(comments=0, wait_after=0))
        with Server(home, url) as server:
            assert chat(server, shop.customer.key).status_code == 200
            postgres.stop_serving()

            refused = chat(server, shop.customer.key)
            postgres.serve_again()

            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
            assert int(refused.headers["retry-after"]) > 0
            assert comes_back(server, shop.customer.key)
            assert server.stop() == 0, server.said()
        with Gateway(home, url) as again:
            outcomes = {card["outcome"] for card in books_agree(again, shop.customer)}
            assert outcomes == {"charged"}


def comes_back(server: Server, key: str) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        answer = chat(server, key, model="sandbox/echo")
        if answer.status_code == 200:
            return True
        assert answer.status_code == 503, answer.text
        time.sleep(0.1)
    return False
