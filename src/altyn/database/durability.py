"""Whether what is committed survives a power cut: asked of the connection that writes."""

from typing import Any

from msgspec import Struct

from altyn.database.engine import Database, Transaction
from altyn.errors import OperatorError


class NotDurableError(OperatorError):
    """The database does not keep what it has committed through a power cut."""


class Wanted(Struct, frozen=True):
    """One setting of the database, and the values it may have. The first is the one to set."""

    question: str
    name: str
    good: tuple[str, ...]
    grave: bool = True
    """Without it paid money can be lost; else only where the disk tears a page in two."""


class Found(Struct, frozen=True):
    wanted: Wanted
    value: str

    @property
    def good(self) -> bool:
        return self.value in self.wanted.good


SQLITE = (
    Wanted("PRAGMA journal_mode", "journal_mode", ("wal",)),
    # FULL or EXTRA: with NORMAL a power cut takes commits that were answered.
    Wanted("PRAGMA synchronous", "synchronous", ("2", "3")),
)
POSTGRES = (
    Wanted(
        "SHOW synchronous_commit",
        "synchronous_commit",
        ("on", "local", "remote_write", "remote_apply"),
    ),
    Wanted("SHOW fsync", "fsync", ("on",)),
    # Some file systems and cloud services never tear a page, and switch it off with reason.
    Wanted("SHOW full_page_writes", "full_page_writes", ("on",), grave=False),
)
WANTED: dict[str, tuple[Wanted, ...]] = {"sqlite": SQLITE, "postgresql": POSTGRES}


async def look_at_durability(database: Database) -> list[Found]:
    """Every setting that matters, as the writing connection has it."""

    async def ask_all(tx: Transaction) -> list[Found]:
        return [Found(one, _text(await tx.fetch(one.question))) for one in WANTED[database.kind]]

    return await database.write(ask_all)


def _text(rows: Any) -> str:
    return str(rows[0][0])
