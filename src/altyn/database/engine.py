"""One way to read and write both databases.

SQL is written once, with `$1`, `$2` … for parameters, which SQLite takes by name and PostgreSQL by
number. A transaction is an async function of a `Transaction`. On PostgreSQL it runs in the event
loop; on SQLite in the thread that owns the only writing connection, where nothing in it ever waits.
"""

import os
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

from altyn.database.bulk import Change, Row, Rows
from altyn.errors import AltynError

T = TypeVar("T")
CHANGES = "altyn_changes"
"""The channel on which PostgreSQL tells every process of a new revision."""


class Transaction(Protocol):
    """Reads and writes that become true together, or not at all."""

    @property
    def kind(self) -> str:
        """`sqlite` or `postgresql`, where the SQL must differ."""
        ...

    async def fetch(self, sql: str, *values: Any) -> Sequence[Row]: ...

    async def execute(self, sql: str, *values: Any) -> int:
        """Run a statement and say how many rows it changed."""
        ...

    async def fetch_rows(
        self, rows: Rows, keys: Sequence[Row], *, lock: bool = False
    ) -> Sequence[Row]:
        """The rows of a table with these keys, locked in the order of their keys if asked."""
        ...

    async def change_rows(self, changes: Sequence[Change]) -> None:
        """Make all these changes, on PostgreSQL in one round trip. None may touch another's row."""
        ...


Work = Callable[[Transaction], Awaitable[T]]


class Database(Protocol):
    kind: str

    async def open(self) -> None:
        """Connect. Raise `StoreLockedError` or `StoreUnavailableError` with one clear sentence."""
        ...

    async def read(self, sql: str, *values: Any) -> Sequence[Row]:
        """Read what is committed, beside the writer and without waiting for it."""
        ...

    async def write(self, work: Work[T]) -> T:
        """Run *work* in one durable transaction and return what it returned after the commit.

        Raises `StoreUnavailableError` when the store cannot be written now (nothing happened), and
        `CommitUnknownError` when the connection, or the disk, was lost while committing (either may
        be true).
        """
        ...

    async def listen(self, tell: Callable[[], None]) -> None:
        """Call *tell* whenever a process says that something has changed, until cancelled.

        Returns at once where nobody else can: on SQLite. What is said while the connection is lost
        is missed, so whoever listens looks now and then as well.
        """
        ...

    async def close(self) -> None: ...


class StoreUnavailableError(AltynError):
    """The database cannot be reached or written: full, read-only, down. Nothing happened.

    The caller sees 503 `overloaded`: their key is fine, and so is their money.
    """

    status = 503
    type = "upstream_error"
    code = "overloaded"

    def __init__(self, detail: str) -> None:
        super().__init__(retry_after_s=2)
        self.detail = detail


class CommitUnknownError(StoreUnavailableError):
    """COMMIT was begun and not answered as done. Read again by id; never repeat blindly."""


def now_ms() -> int:
    """The time of this machine, in milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


_numbers = random.Random(secrets.randbits(128))  # noqa: S311 -- an id is a name, not a secret: owners are checked
# A forked process goes on from the same state: its calls would have the names of its sister's.
os.register_at_fork(after_in_child=lambda: _numbers.seed(secrets.randbits(128)))


def new_request_id() -> str:
    """28 hexadecimal digits that sort by time: so records made together lie together on disk."""
    return f"{now_ms():012x}{_numbers.getrandbits(64):016x}"


async def bump_revision(tx: Transaction, name: str = "catalog") -> None:
    """Tell every process that keys, accounts, models or routes have changed."""
    await tx.execute(
        "INSERT INTO revisions (name, number) VALUES ($1, 1)"
        " ON CONFLICT (name) DO UPDATE SET number = revisions.number + 1",
        name,
    )
    if tx.kind == "postgresql":
        await tx.execute("SELECT pg_notify($1, $2)", CHANGES, name)
