import socket
from types import SimpleNamespace

import pytest

from altyn.control import doctor
from altyn.control.deeds import perform
from altyn.control.doctor import examine_place, is_healthy
from altyn.settings import read_settings


def state_of(checks, name):
    return next(check.state for check in checks if check.name == name)


async def state_inside(office, name):
    checks = await perform(office, "doctor", {})
    return next(check["state"] for check in checks if check["name"] == name)


async def test_a_fresh_home_is_healthy(office, settings):
    inside = await perform(office, "doctor", {})

    assert is_healthy(inside)
    assert {check.state for check in examine_place(settings)} <= {"ok", "warn"}


async def test_either_database_says_that_it_writes_durably(any_office):
    checks = {check["name"]: check for check in await perform(any_office, "doctor", {})}

    names = ("journal_mode", "synchronous")
    if any_office.database.kind == "postgresql":
        names = ("synchronous_commit", "fsync", "full_page_writes")
    assert [checks[name]["state"] for name in names] == ["ok"] * len(names)


def set_synchronous(level):
    """A pragma only takes effect outside a transaction."""

    async def set_it(tx):
        tx.connection.execute("COMMIT")
        tx.connection.execute(f"PRAGMA synchronous = {level}")
        tx.connection.execute("BEGIN")

    return set_it


async def test_a_database_that_may_lose_commits_is_ill(office):
    await office.database.write(set_synchronous("NORMAL"))

    assert await state_inside(office, "synchronous") == "fail"


async def test_models_without_a_route_are_named(office):
    assert await state_inside(office, "routes") == "warn"


async def test_a_provider_without_a_key_is_named(office):
    bare = {"name": "mine", "dialect": "openai-chat", "base_url": "http://127.0.0.1:9/v1"}
    await perform(office, "provider.add", bare)

    assert await state_inside(office, "providers") == "warn"


async def test_a_provider_with_a_key_is_well(office):
    await perform(office, "provider.add", {"name": "openai", "secret": "sk-1"})

    assert await state_inside(office, "providers") == "ok"


async def test_a_clock_that_went_back_is_noticed(office, monkeypatch):
    await perform(office, "user.add", {"email": "ann@example.com"})
    await perform(office, "deposit", {"email": "ann@example.com", "amount": "1"})
    real = doctor.now_ms()
    monkeypatch.setattr(doctor, "now_ms", lambda: real - 60_000)

    assert await state_inside(office, "clock") == "warn"


def test_a_home_that_others_can_read_is_noticed(settings, home):
    home.chmod(0o755)

    assert state_of(examine_place(settings), "home") == "warn"


def test_a_key_file_that_others_can_read_is_ill(settings, home):
    (home / "secret.key").chmod(0o644)

    assert state_of(examine_place(settings), "secret.key") == "fail"


def test_looking_at_no_home_makes_none(tmp_path):
    checks = examine_place(read_settings({}, home=tmp_path / "nothing"))

    assert state_of(checks, "home") == "warn"
    assert not (tmp_path / "nothing").exists()


def test_a_full_disk_is_ill(settings, monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=2**20))

    assert state_of(examine_place(settings), "disk") == "fail"


def test_a_port_taken_by_a_stranger_is_noticed(home):
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = str(stranger.getsockname()[1])

        checks = examine_place(read_settings({}, home=home, overrides={"port": port}))

    assert state_of(checks, "port") == "warn"


@pytest.mark.parametrize(("state", "healthy"), [("ok", True), ("warn", True), ("fail", False)])
def test_only_a_failure_is_unhealthy(state, healthy):
    assert is_healthy([{"state": "ok"}, {"state": state}]) is healthy
