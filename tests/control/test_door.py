import asyncio
import os
import socket
import stat
import sys

import msgspec
import pytest

from altyn.control import ask as asking
from altyn.control.ask import ask
from altyn.control.deeds import DEEDS
from altyn.control.door import serve_control
from altyn.control.line import PATH_FILE, SOCKET_FILE, find_socket, is_served
from altyn.control.office import open_office
from altyn.errors import OperatorError, StoreLockedError
from altyn.settings import read_settings


@pytest.fixture
async def door(office):
    """A server's door, with nothing else of a server behind it."""
    async with serve_control(office):
        yield office


async def ask_from_outside(settings, deed, **arguments):
    """As another process would: from a thread of its own, over the socket."""
    return await asyncio.to_thread(ask, settings, deed, **arguments)


def say(path, line):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


async def test_a_running_server_does_the_deed(door, settings):
    added = await ask_from_outside(settings, "user.add", email="ann@example.com")

    assert added["email"] == "ann@example.com"
    assert await door.database.read("SELECT email FROM users") == [("ann@example.com",)]


async def test_what_the_server_refuses_is_its_sentence(door, settings):
    with pytest.raises(OperatorError, match=r"There is no user ann@example\.com"):
        await ask_from_outside(settings, "balance", email="ann@example.com")


async def test_a_large_question_is_understood(door, settings):
    with pytest.raises(OperatorError, match="not a file of models"):
        await ask_from_outside(settings, "catalog.import", text="x" * 3_000_000)


async def test_many_questions_at_once_are_all_answered(door, settings):
    questions = (
        ask_from_outside(settings, "user.add", email=f"user{number}@example.com")
        for number in range(20)
    )

    answers = await asyncio.gather(*questions)

    assert len({answer["id"] for answer in answers}) == 20


ASK = """
import os, socket, sys
os.chdir(sys.argv[1])  # as root: the folders above are nobody else's
os.setuid(65534)
line = socket.socket(socket.AF_UNIX)
line.connect(sys.argv[2])
try:
    line.sendall(b'{"deed": "user.list", "arguments": {}}\\n')
    print(line.recv(65536))
except ConnectionError:
    print(b"")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user: run as root")
async def test_another_user_is_refused_even_where_the_file_lets_him_in(door, tmp_path):
    """A home that was copied or unpacked may have lost its modes."""
    home = door.settings.home
    home.chmod(0o755)
    (home / SOCKET_FILE).chmod(0o777)

    asked = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-c", ASK, str(home), SOCKET_FILE, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await asked.communicate()

    assert (asked.returncode, said) == (0, b"b''\n")


async def test_only_its_owner_can_open_the_socket(door, home):
    mode = (home / SOCKET_FILE).stat().st_mode

    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


@pytest.mark.parametrize("line", [b"\n", b"rubbish\n", b'{"deed":1}\n', b'{"deed":"x"}\n'])
async def test_what_is_no_question_is_refused(door, home, line):
    said = await asyncio.to_thread(say, home / SOCKET_FILE, line)

    assert msgspec.json.decode(said)["error"]["code"] == "invalid_json"


async def test_somebody_who_only_looks_in_is_no_trouble(door, settings):
    assert await asyncio.to_thread(is_served, settings)
    assert await ask_from_outside(settings, "user.list") == []


async def test_a_failure_of_ours_is_told_without_its_story(door, settings, monkeypatch):
    async def fail(_office):
        raise ZeroDivisionError("a secret detail")

    monkeypatch.setitem(DEEDS, "user.list", fail)

    with pytest.raises(OperatorError) as told:
        await ask_from_outside(settings, "user.list")

    assert "secret detail" not in str(told.value)


async def test_a_closed_door_leaves_nothing_behind(office, home, settings):
    async with serve_control(office):
        pass

    assert not (home / SOCKET_FILE).exists()
    assert not is_served(settings)


async def test_a_deed_under_way_ends_before_the_door_is_closed(office, settings, monkeypatch):
    begun, finish = asyncio.Event(), asyncio.Event()

    async def take_long(_office):
        begun.set()
        await finish.wait()
        return "done"

    monkeypatch.setitem(DEEDS, "user.list", take_long)
    async with serve_control(office):
        asked = asyncio.create_task(ask_from_outside(settings, "user.list"))
        await begun.wait()
        asyncio.get_running_loop().call_later(0.05, finish.set)

    assert await asked == "done"


async def test_a_socket_left_by_a_killed_server_is_no_server(home, settings):
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(home / SOCKET_FILE))
    left.close()

    assert not is_served(settings)
    assert await ask_from_outside(settings, "user.list") == []


async def test_a_new_server_takes_the_place_of_a_killed_one(office, home, settings):
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(home / SOCKET_FILE))
    left.close()

    async with serve_control(office):
        assert await ask_from_outside(settings, "user.list") == []


async def test_a_home_with_a_very_long_name_has_its_socket_elsewhere(tmp_path):
    home = tmp_path / ("long" * 30)
    settings = read_settings({}, home=home)
    async with open_office(settings) as office, serve_control(office):
        path = find_socket(home)
        answer = await ask_from_outside(settings, "user.list")

    assert answer == []
    assert path.parent != home
    assert not path.parent.exists()
    assert not (home / PATH_FILE).exists()


async def test_without_a_server_the_store_is_opened(settings):
    added = await ask_from_outside(settings, "user.add", email="ann@example.com")

    assert added["id"] == 1


async def test_a_store_that_somebody_else_has_is_told_in_one_sentence(
    office, settings, monkeypatch
):
    monkeypatch.setattr(asking, "WAIT_S", 0)
    monkeypatch.setattr("altyn.database.sqlite.LOCK_WAIT_S", 0)

    with pytest.raises(StoreLockedError, match="Another Altyn is using"):
        await ask_from_outside(settings, "user.list")


async def test_commands_take_the_store_one_after_the_other(settings):
    emails = [f"user{number}@example.com" for number in range(6)]

    await asyncio.gather(*(ask_from_outside(settings, "user.add", email=email) for email in emails))

    assert len(await ask_from_outside(settings, "user.list")) == 6


async def test_with_postgresql_nobody_is_asked(postgres_url, tmp_path):
    overrides = {"database_url": postgres_url}
    settings = read_settings({}, home=tmp_path / "home", overrides=overrides)
    async with open_office(settings):
        added = await ask_from_outside(settings, "user.add", email="ann@example.com")

    assert added["email"] == "ann@example.com"
