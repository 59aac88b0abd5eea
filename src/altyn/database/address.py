"""Which database an address names."""

from pathlib import Path
from urllib.parse import urlsplit

from altyn.database.engine import Database
from altyn.errors import SettingError


def open_database(url: str) -> Database:
    """The database that *url* names, not connected yet."""
    if url.startswith("sqlite:///"):
        from altyn.database.sqlite import SqliteDatabase  # noqa: PLC0415 -- one driver is enough

        return SqliteDatabase(Path(url.removeprefix("sqlite:///")))
    if urlsplit(url).scheme in ("postgresql", "postgres"):
        from altyn.database.postgres import PostgresDatabase  # noqa: PLC0415 -- one driver is enough

        return PostgresDatabase(url)
    raise SettingError("ALTYN_DATABASE_URL must begin with sqlite:/// or postgresql://.")
