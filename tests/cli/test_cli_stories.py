"""Whole stories, from an empty folder, as an operator lives them."""

import os
import re
import shutil
import socket
import stat
import subprocess
from pathlib import Path

import click
import pytest
import requests

from altyn.cli import app
from altyn.database.migrate import head_revision
from altyn.keys.key import KEY_PATTERN

# The first minutes ----------------------------------------------------------------------------


def test_the_first_start_leads_to_a_first_answer(anew):
    anew.up()

    told = anew.log.read_text()
    steps = anew.home / "first-steps.txt"
    (command,) = re.findall(r"^    (curl .*?)\n\n", steps.read_text(), re.MULTILINE | re.DOTALL)
    answered = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, check=True, timeout=20
    )
    assert "Привет!" in answered.stdout
    assert "first-steps.txt" in told
    assert not re.search(KEY_PATTERN, told)
    assert stat.S_IMODE(steps.stat().st_mode) == 0o600
    for link in re.findall(r"http://\S+", told):
        assert requests.get(link, timeout=5).status_code in (200, 401, 404), link


def test_every_file_in_a_home_belongs_to_its_owner_alone(served):
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in served.home.iterdir()}

    assert stat.S_IMODE(served.home.stat().st_mode) == 0o700
    assert set(modes.values()) == {0o600}, modes


def test_commands_before_the_first_start_work_too(anew):
    anew.do("user", "add", "ann@example.com")
    anew.do("deposit", "ann@example.com", "5")
    key = anew.ask("key", "create", "--user", "ann@example.com")["key"]

    anew.up()

    assert anew.chat(key).status_code == 200
    assert anew.chat(key, model="openai/gpt-5").status_code == 503


def test_a_vendor_is_there_once_its_variable_is_set(at):
    at.environ["OPENROUTER_API_KEY"] = "sk-or-test"

    migrated = at.ask("migrate")
    routes = at.ask("route", "list", "--model", "anthropic/claude-sonnet-4.5")

    assert migrated["revision"] == head_revision()
    assert [route["provider"] for route in routes] == ["openrouter"]


# A customer's life ----------------------------------------------------------------------------


def test_a_customer_pays_for_what_was_used_and_not_more(served):
    email = "paying@example.com"
    served.do("user", "add", email)
    served.do("deposit", email, "1", "--reference", "invoice 1")
    served.do("deposit", email, "1", "--reference", "invoice 1")
    key = served.ask("key", "create", "--user", email, "--limit", "1")["key"]

    answer = served.chat(key)

    cost = answer.headers["X-Request-Cost"]
    balance = served.ask("balance", email)
    assert answer.status_code == 200
    assert balance["total_deposited"] == "1.000000000"
    assert balance["held"] == "0.000000000"
    assert float(balance["total_used"]) == pytest.approx(float(cost))
    assert float(balance["total_used"]) > 0


def test_a_refund_comes_back_while_the_server_runs(served):
    email = "refunded@example.com"
    served.do("user", "add", email)
    served.do("deposit", email, "1")
    key = served.ask("key", "create", "--user", email)["key"]
    request = served.chat(key).headers["X-Request-Id"]

    receipt = served.ask("refund", request, "--reason", "a bad answer")

    assert receipt["balance"] == "1.000000000"


def test_a_revoked_key_is_refused_within_a_second(served):
    served.do("user", "add", "revoked@example.com")
    key = served.ask("key", "create", "--user", "revoked@example.com", "--test")
    assert served.chat(key["key"]).status_code == 200

    served.do("key", "revoke", str(key["id"]))

    assert served.is_refused_within_a_second(key["key"], "revoked_api_key")


def test_a_frozen_customer_is_refused_within_a_second(served):
    served.do("user", "add", "frozen@example.com")
    served.do("deposit", "frozen@example.com", "1")
    key = served.ask("key", "create", "--user", "frozen@example.com")["key"]
    assert served.chat(key).status_code == 200

    served.do("user", "freeze", "frozen@example.com")

    assert served.is_refused_within_a_second(key, "account_frozen")


def test_a_backup_is_made_and_a_restore_refused_while_the_server_runs(served, tmp_path):
    file = tmp_path / "kept.db"

    served.do("backup", str(file))

    assert file.stat().st_size > 0
    assert "A server is running" in served.refused("restore", str(file))


def test_a_backup_is_restored_once_the_server_is_down(at, tmp_path):
    at.do("user", "add", "ann@example.com")
    at.do("backup", str(tmp_path / "kept.db"))
    at.do("user", "add", "bob@example.com")

    at.do("restore", str(tmp_path / "kept.db"))

    assert [user["email"] for user in at.ask("user", "list")] == ["ann@example.com"]


def test_doctor_and_ledger_are_asked_while_the_server_runs(served):
    checks = {check["name"]: check["state"] for check in served.ask("doctor")}

    assert checks["journal_mode"] == "ok"
    assert served.ask("ledger", "verify")["holds_true"] is True


def test_a_provider_is_tried_out_by_the_server(served):
    assert "sandbox answers as echo" in served.do("provider", "test", "sandbox")


# What goes wrong ------------------------------------------------------------------------------


def test_a_second_server_on_the_same_home_is_refused(served):
    assert "Another Altyn is serving" in served.refused("up", "--port", "0")


def test_a_taken_port_that_was_asked_for_is_refused(at):
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = str(stranger.getsockname()[1])

        sentence = at.refused("up", "--port", port)

    assert (
        sentence == f"Port {port} of 127.0.0.1 is taken by another program: choose one with --port."
    )


def test_a_home_that_is_a_file_is_refused(anew):
    anew.home.write_text("")

    assert "ot a directory" in anew.refused("up")


def test_a_home_where_nothing_can_be_made_is_refused(anew):
    anew.home = Path("/proc/altyn")

    assert "cannot be made" in anew.refused("up")


def test_a_home_that_may_only_be_read_is_refused(at):
    if os.geteuid() == 0:
        # Root may write everywhere, unless it gives that right away.
        if not shutil.which("setpriv"):
            pytest.skip("as root this needs setpriv: apt-get install util-linux")
        at.processes = True
        at.prefix = ("setpriv", "--bounding-set", "-all", "--inh-caps", "-all")
    at.home.chmod(0o500)

    sentence = at.refused("up")

    at.home.chmod(0o700)
    assert "cannot be written by this user" in sentence


def test_a_killed_server_leaves_nothing_in_the_way(at):
    at.up()
    at.down(sign=9)

    at.do("user", "add", "ann@example.com")
    at.up()

    assert at.down() == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("deposit", "nobody@example.com", "1"), "There is no user nobody@example.com."),
        (("deposit", "nobody@example.com", "ten"), "There is no user"),
        (("key", "revoke", "77"), "There is no key 77."),
        (("provider", "add", "x", "--api-key-env", "NO_SUCH"), "NO_SUCH is not set"),
        (("catalog", "import", "/no/such/file"), "/no/such/file: No such file or directory."),
    ],
)
def test_what_cannot_be_done_is_one_sentence(served, words, sentence):
    assert sentence in served.refused(*words)


@pytest.mark.parametrize(
    "words", [("key", "create"), ("up", "--port", "high"), ("sing",), ("user", "list", "--loud")]
)
def test_what_is_no_command_exits_with_two(at, words):
    assert at.run(*words).returncode == 2


def test_an_unknown_setting_is_named(at):
    sentence = at.refused("user", "list", ALTYN_PROT="8080")

    assert "ALTYN_PROT is not a setting" in sentence


def test_a_secret_from_standard_input_is_never_shown(at):
    words = ("--dialect", "openai-chat", "--base-url", "http://127.0.0.1:9/v1", "--api-key-stdin")
    at.do("provider", "add", "mine", *words, stdin="sk-very-secret\n")

    listed = at.do("provider", "list")

    assert "yes" in listed
    assert "very-secret" not in listed
    assert b"very-secret" not in (at.home / "altyn.db").read_bytes()


def test_every_command_and_every_option_says_what_it_is_for():
    assert list(untold(app, "altyn")) == []


def untold(command, words):
    """The commands and options without a help of their own."""
    for name, below in getattr(command, "commands", {}).items():
        yield from untold(below, f"{words} {name}")
    if not command.help:
        yield words
    for option in command.params:
        if isinstance(option, click.Option) and not option.help:
            yield f"{words} {option.opts[0]}"
