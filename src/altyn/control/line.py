"""What goes over the control socket, and where it is: one line of JSON each way."""

import os
import socket
import struct
import tempfile
from pathlib import Path
from typing import Any

from msgspec import Struct

from altyn.settings import Settings

SOCKET_FILE = "control.sock"
PATH_FILE = "control.path"
PATH_BYTES_MAX = 100
"""A Unix socket's address holds 108 bytes on Linux, 104 elsewhere."""

LINE_BYTES_MAX = 64 * 1024 * 1024
PEER = struct.Struct("3i")
"""Process, user and group, as `SO_PEERCRED` gives them."""


class Question(Struct):
    deed: str
    arguments: dict[str, Any]


class Refusal(Struct):
    code: str
    message: str


class Reply(Struct, omit_defaults=True):
    """`result`, or `error`."""

    result: Any = None
    error: Refusal | None = None


def find_socket(home: Path) -> Path:
    """Where a server of this home listens, if one runs."""
    path = home / SOCKET_FILE
    if not _is_too_long(path):
        return path
    try:
        return Path((home / PATH_FILE).read_text(encoding="utf-8").strip())
    except FileNotFoundError:
        return path


def choose_socket(home: Path) -> Path:
    """Where to listen: in the home, or in a private folder whose name is left there."""
    path = home / SOCKET_FILE
    if not _is_too_long(path):
        return path
    folder = tempfile.mkdtemp(prefix="altyn-", dir=os.environ.get("XDG_RUNTIME_DIR") or None)
    chosen = Path(folder) / SOCKET_FILE
    (home / PATH_FILE).write_text(f"{chosen}\n", encoding="utf-8")
    return chosen


def give_up_socket(home: Path, path: Path) -> None:
    """Remove what `choose_socket` has made."""
    path.unlink(missing_ok=True)
    if path.parent != home:
        path.parent.rmdir()
        (home / PATH_FILE).unlink(missing_ok=True)


def is_served(settings: Settings) -> bool:
    """Whether a server has this home's SQLite file and takes questions."""
    line = call_server(settings)
    if line is None:
        return False
    line.close()
    return True


def call_server(settings: Settings) -> socket.socket | None:
    """A line to the server, or None when none listens."""
    if not settings.database_url.startswith("sqlite:"):
        return None
    line = socket.socket(socket.AF_UNIX)
    try:
        line.connect(str(find_socket(settings.home)))
    except (ConnectionRefusedError, FileNotFoundError):
        # Never there, or left behind by a server that was killed.
        line.close()
        return None
    return line


def is_owner(line: socket.socket) -> bool:
    """Whether the process at the other end is of the same user, or root: asked of the kernel.

    The socket's mode says the same; a home that was copied or unpacked may have lost it.
    """
    if not hasattr(socket, "SO_PEERCRED"):  # only Linux tells; elsewhere the mode has to do
        return True
    told = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size)
    _, user_id, _ = PEER.unpack(told)
    return user_id in (0, os.geteuid())


def _is_too_long(path: Path) -> bool:
    return len(os.fsencode(path)) > PATH_BYTES_MAX
