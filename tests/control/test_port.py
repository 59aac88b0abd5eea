import socket

import pytest

from altyn.control.port import choose_port
from altyn.errors import OperatorError

HERE = "127.0.0.1"


@pytest.fixture
def taken():
    """A port that somebody listens on."""
    with socket.socket() as stranger:
        stranger.bind((HERE, 0))
        stranger.listen()
        yield stranger.getsockname()[1]


def test_any_port_is_a_free_one():
    port = choose_port(HERE, 0, fixed=True)

    assert choose_port(HERE, port, fixed=True) == port


def test_a_taken_port_that_was_asked_for_is_told(taken):
    with pytest.raises(OperatorError, match=f"Port {taken} of {HERE} is taken"):
        choose_port(HERE, taken, fixed=True)


def test_a_taken_port_that_nobody_asked_for_gives_way_to_the_next(taken):
    assert choose_port(HERE, taken, fixed=False) > taken


def test_a_foreign_address_is_told():
    with pytest.raises(OperatorError, match=r"Nothing can listen on 192\.0\.2\.1:8080"):
        choose_port("192.0.2.1", 8080, fixed=False)
