"""Processes of the gateway as an operator runs it, armed to die at a named place.

    python -m altyn.prove.node '{"home": …, "port": …, "database_url": …, "point": …, "nth": 3}'
    python -m altyn.prove.node -

With `-` it reads such orders from its standard input, a line for each, forks a process for each,
and says its number: that saves the second that a Python needs to begin.
"""

import os
import signal
import sys
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from altyn import app
from altyn.control.door import serve_control_of
from altyn.crashpoints import arm
from altyn.database import engine
from altyn.ledger import workers
from altyn.prove.children import end_with_parent
from altyn.settings import read_settings
from altyn.upstream.dialects import afterwards

LOOK_UP_S = 0.3
"""The vendor is asked more often than in earnest, so that a round costs less than a second."""

JUMPS = {signal.SIGUSR1: 3600, signal.SIGUSR2: -3600}
"""A node that gets one of these finds its clocks so many seconds later, or earlier."""


class Orders(Struct, kw_only=True):
    """What a node is told on its command line. `stop` pauses it there instead of killing it."""

    home: str
    port: int
    database_url: str
    point: str | None = None
    nth: int = 1
    stop: bool = False
    settings: dict[str, str] = {}
    heartbeat_s: float = workers.HEARTBEAT_S
    audit_s: float = app.AUDIT_S


def main(word: str) -> int:
    end_with_parent()
    return breed() if word == "-" else live(msgspec.json.decode(word, type=Orders))


def breed() -> int:
    # Nobody waits for the children: the system forgets them when they end.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        orders = msgspec.json.decode(line, type=Orders)
        pid = os.fork()
        if not pid:
            end_with_parent()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            os._exit(live(orders))
        os.write(1, b"%d\n" % pid)
    return 0


def live(orders: Orders) -> int:
    if orders.point is not None:
        _arm(orders)
    # The proof's own vendor tells afterwards what became of an answer, under this name only.
    afterwards.TELLING.add("localhost")
    vars(app)["LOOK_UP_S"] = LOOK_UP_S
    vars(app)["AUDIT_S"] = orders.audit_s
    vars(workers)["HEARTBEAT_S"] = orders.heartbeat_s
    _let_clocks_jump()
    # A private PostgreSQL has only just begun, and its silent processes are dead all the same.
    workers.SERVER_NEW_S = -1
    settings = read_settings(
        {},
        home=Path(orders.home),
        overrides={
            "port": str(orders.port),
            "database_url": orders.database_url,
            "log_level": "error",
            "requests_per_minute": "0",
            **orders.settings,
        },
    )
    return app.serve(settings, beside=serve_control_of)


def _arm(orders: Orders) -> None:
    met = 0

    def meet(name: str) -> None:
        nonlocal met
        met += name == orders.point
        if met == orders.nth and name == orders.point:
            os.kill(os.getpid(), signal.SIGSTOP if orders.stop else signal.SIGKILL)

    arm(meet)


class _Wall:
    """The clock on the wall, which somebody sets; `engine.now_ms` looks at it."""

    def __init__(self) -> None:
        self.wrong_by_s = 0

    def time_ns(self) -> int:
        return time.time_ns() + self.wrong_by_s * 10**9


def _let_clocks_jump() -> None:
    """By an hour, ours and the database's, at a signal: `JUMPS`."""
    wall, right = _Wall(), dict(workers.NOW)
    vars(engine)["time"] = wall

    def jump(number: int, _frame: object) -> None:
        wall.wrong_by_s += JUMPS[signal.Signals(number)]
        for kind, now in right.items():
            workers.NOW[kind] = f"({now} + {wall.wrong_by_s * 1000})"

    for number in JUMPS:
        signal.signal(number, jump)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
