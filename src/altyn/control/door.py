"""Where a running server takes the operator's questions."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import structlog

from altyn.app import App
from altyn.control.deeds import perform
from altyn.control.line import (
    LINE_BYTES_MAX,
    Question,
    Refusal,
    Reply,
    choose_socket,
    give_up_socket,
    is_owner,
)
from altyn.control.office import Office
from altyn.database.engine import StoreUnavailableError
from altyn.errors import AltynError

log = structlog.get_logger("altyn.control")
CLOSE_S = 10.0
"""How long deeds under way may take when the server stops."""


@asynccontextmanager
async def serve_control(office: Office) -> AsyncIterator[None]:
    """Answer questions for as long as the context lasts; then let those under way end."""
    home = office.settings.home
    path = choose_socket(home)
    running: set[asyncio.Task[None]] = set()

    def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_answer(office, reader, writer))
        running.add(task)
        task.add_done_callback(running.discard)

    server = await asyncio.start_unix_server(meet, sock=_listen(path), limit=LINE_BYTES_MAX)
    try:
        yield
    finally:
        server.close()
        give_up_socket(home, path)
        if running:
            await asyncio.wait(running, timeout=CLOSE_S)


@asynccontextmanager
async def serve_control_of(app: App) -> AsyncIterator[None]:
    """While this server has the SQLite file, every command has to ask it."""
    if app.database.kind != "sqlite":
        yield
        return
    office = Office(
        settings=app.settings,
        database=app.database,
        seal=app.seal,
        writer=app.writer,
        router=app.router,
    )
    async with serve_control(office):
        yield


def _listen(path: Path) -> socket.socket:
    """Bind a socket that nobody but its owner can open, not even for a moment."""
    # What a killed server left behind: the store is locked by us, so nobody listens there.
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
    finally:
        os.umask(before)
    return listening


async def _answer(
    office: Office, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        if not is_owner(writer.get_extra_info("socket")):
            log.warning("control_stranger_refused")
            return
        line = await reader.readline()
        if not line:
            return  # somebody only looked whether we are here
        writer.write(msgspec.json.encode(await _reply(office, line)) + b"\n")
        await writer.drain()
    except (ConnectionError, ValueError) as error:
        # Gone, or more than a line can hold: there is nobody to tell.
        log.warning("control_question_lost", why=str(error))
    finally:
        writer.close()


async def _reply(office: Office, line: bytes) -> Reply:
    try:
        question = msgspec.json.decode(line, type=Question)
        return Reply(result=await perform(office, question.deed, question.arguments))
    except msgspec.MsgspecError:
        return _refusal("invalid_json", "The server did not understand: is it the same version?")
    except StoreUnavailableError as error:
        return _refusal(error.code, f"The database cannot be used now: {error.detail}.")
    except AltynError as error:
        return _refusal(error.code, str(error))
    except Exception:
        log.exception("deed_failed")
        return _refusal("internal_error", "The server failed at it: its log says how.")


def _refusal(code: str, message: str) -> Reply:
    return Reply(error=Refusal(code, message))
