"""Bring a database to this version's tables, or say in one sentence why not.

Alembic runs the migrations; it is imported only when there is something to do, so that an ordinary
start costs one query.
"""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

from altyn.database.address import open_database
from altyn.database.engine import StoreUnavailableError
from altyn.errors import OperatorError

MIGRATIONS = Path(__file__).parent / "migrations"


class OldDatabaseError(OperatorError):
    """The database is older or newer than this program can serve."""


def head_revision() -> str:
    """The newest migration this program knows: files are numbered `0001_words.py`."""
    return max(path.name[:4] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


async def current_revision(url: str) -> str | None:
    """What the database was migrated to, or None for an empty one."""
    if url.startswith("sqlite:///"):
        return _sqlite_revision(Path(url.removeprefix("sqlite:///")))
    database = open_database(url)
    await database.open()
    try:
        known = await database.read(
            "SELECT 1 FROM information_schema.tables WHERE table_name = 'alembic_version'"
            " AND table_schema = ANY (current_schemas(false))"
        )
        rows = await database.read("SELECT version_num FROM alembic_version") if known else []
        return rows[0][0] if rows else None
    finally:
        await database.close()


async def migrate(url: str) -> tuple[str | None, str]:
    """Migrate, and return the revision before and after. Does nothing when there is nothing to do.

    Raises `OldDatabaseError` for a database that a newer program has written.
    """
    head = head_revision()
    before = await current_revision(url)
    if before is not None and before > head:
        raise OldDatabaseError(
            f"The database is at revision {before}, this program knows only {head}:"
            " it was written by a newer Altyn. Install that version, or restore a backup."
        )
    if before != head:
        await asyncio.to_thread(_run_alembic, url)
    return before, head


async def require_current(url: str) -> None:
    """Raise `OldDatabaseError` unless the database is exactly at this program's revision."""
    revision = await current_revision(url)
    if revision != head_revision():
        raise OldDatabaseError(
            f"The database is at revision {revision or 'none'}, this program needs"
            f" {head_revision()}. Run 'altyn migrate'."
        )


def _sqlite_revision(path: Path) -> str | None:
    if not path.exists():
        return None
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)
    try:
        known = connection.execute(
            "SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'"
        ).fetchone()
        row = (
            connection.execute("SELECT version_num FROM alembic_version").fetchone()
            if known
            else None
        )
    except sqlite3.DatabaseError as error:
        raise StoreUnavailableError(f"{path} is not a database: {error}") from error
    finally:
        connection.close()
    return str(row[0]) if row else None


def _run_alembic(url: str) -> None:
    from alembic import command  # noqa: PLC0415 -- half a second that an ordinary start saves

    command.upgrade(alembic_config(url), "head")


def alembic_config(url: str) -> Any:
    """Alembic's settings, without a file of its own."""
    from alembic.config import Config  # noqa: PLC0415 -- as above

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = sqlalchemy_url(url)
    return config


def sqlalchemy_url(url: str) -> str:
    """The same address as SQLAlchemy names it."""
    if url.startswith("sqlite:///"):
        return url
    return "postgresql+asyncpg://" + url.partition("://")[2]
