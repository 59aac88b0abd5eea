"""How a command has a deed done: by the running server, or in the store itself.

On SQLite only one process may have the file. While a server runs it has it, so the server is asked,
over a socket that only its owner can open. With PostgreSQL, and without a server, the command opens
the store; only then is anything heavy imported.
"""

import time
from typing import Any

import msgspec

from altyn.control.line import Question, Reply, call_server
from altyn.errors import OperatorError, StoreLockedError
from altyn.settings import Settings

WAIT_S = 5.0
"""How long to wait for a store that another command, or a server that starts or stops, has now."""

PAUSE_S = 0.05
PIECE_BYTES = 65536


def ask(settings: Settings, deed: str, **arguments: Any) -> Any:
    """Have a deed done; return its answer as plain data.

    Raises `OperatorError` with the sentence to print, whoever refused, and `StoreLockedError` when
    somebody has the store and takes no questions.
    """
    deadline_s = time.monotonic() + WAIT_S
    while True:
        reply = _ask_server(settings, Question(deed, arguments))
        if reply is not None:
            return _result(reply)
        try:
            return _do_here(settings, deed, arguments)
        except StoreLockedError:
            if time.monotonic() > deadline_s:
                raise
        time.sleep(PAUSE_S)


def _ask_server(settings: Settings, question: Question) -> Reply | None:
    line = call_server(settings)
    if line is None:
        return None
    with line:
        line.sendall(msgspec.json.encode(question) + b"\n")
        said = b"".join(iter(lambda: line.recv(PIECE_BYTES), b""))
    if not said:
        raise OperatorError(
            "The server went away while it was asked: see whether it was done, then repeat it."
        )
    return msgspec.json.decode(said, type=Reply)


def _result(reply: Reply) -> Any:
    if reply.error is not None:
        raise OperatorError(reply.error.message)
    return reply.result


def _do_here(settings: Settings, deed: str, arguments: dict[str, Any]) -> Any:
    import asyncio  # noqa: PLC0415 -- none of these is needed to ask a server

    from altyn.control.deeds import perform  # noqa: PLC0415 -- as above
    from altyn.control.office import open_office  # noqa: PLC0415 -- as above

    async def do_it() -> Any:
        async with open_office(settings) as office:
            return await perform(office, deed, arguments)

    return asyncio.run(do_it())
