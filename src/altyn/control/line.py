"""What goes over the control socket, and where it is: one line of JSON each way."""

import os
import tempfile
from pathlib import Path
from typing import Any

from msgspec import Struct

SOCKET_FILE = "control.sock"
PATH_FILE = "control.path"
PATH_BYTES_MAX = 100
"""A Unix socket's address holds 108 bytes on Linux, 104 elsewhere."""

LINE_BYTES_MAX = 64 * 1024 * 1024


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


def _is_too_long(path: Path) -> bool:
    return len(os.fsencode(path)) > PATH_BYTES_MAX
