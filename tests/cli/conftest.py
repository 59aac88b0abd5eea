"""A terminal whose server, if it started one, is stopped in the end."""

import shutil
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from terminal import Terminal


@pytest.fixture(scope="session")
def home_template(tmp_path_factory):
    """A home that has been made ready, to copy: quicker than making it for each test."""
    terminal = Terminal(tmp_path_factory.mktemp("template") / "home")
    terminal.do("migrate")
    return terminal.home


@pytest.fixture
def anew(tmp_path):
    """A terminal without a home yet; every command is a process, as in life."""
    terminal = Terminal(tmp_path / "home", processes=True)
    yield terminal
    if terminal.server is not None:
        terminal.down()


@pytest.fixture
def at(anew, home_template):
    """A terminal with a home of its own, made ready."""
    shutil.copytree(home_template, anew.home)
    anew.processes = False
    return anew


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """One running server for several tests; each makes its own customer."""
    terminal = Terminal(tmp_path_factory.mktemp("served") / "home")
    terminal.up()
    yield terminal
    assert terminal.down() == 0
    assert "Every invariant holds." in terminal.do("ledger", "verify")


@pytest.fixture
def until():
    """Whether something becomes true within the second in which a server notices a change."""

    def wait(is_true):
        deadline = time.monotonic() + 2
        while not is_true():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    return wait
