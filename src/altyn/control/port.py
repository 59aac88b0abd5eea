"""Which port to listen on, and why it cannot be had."""

import errno
import socket

from altyn.errors import OperatorError

TRIES = 50


def choose_port(host: str, port: int, *, fixed: bool) -> int:
    """The port itself if it is free; the next free one unless it is *fixed*; any for 0.

    Raises `OperatorError` with one sentence.
    """
    failure = None
    for candidate in range(port, min(port + TRIES, 65536)) if port and not fixed else (port,):
        try:
            return _bind_once(host, candidate)
        except OSError as error:
            failure = error
            if error.errno != errno.EADDRINUSE:
                break
    assert failure is not None
    raise OperatorError(_sentence(host, port, failure))


def _bind_once(host: str, port: int) -> int:
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family) as probe:
        # As the server itself does: a port that only waits for late packets is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        # A listener that reuses its address lets others bind, but not listen.
        probe.listen(1)
        found: int = probe.getsockname()[1]
        return found


def _sentence(host: str, port: int, failure: OSError) -> str:
    if failure.errno == errno.EADDRINUSE:
        return f"Port {port} of {host} is taken by another program: choose one with --port."
    return f"Nothing can listen on {host}:{port}: {failure.strerror}."
