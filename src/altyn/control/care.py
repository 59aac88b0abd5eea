"""Keeping a copy, and getting it back: `altyn backup FILE`, `altyn restore FILE`."""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from altyn.control.line import is_served
from altyn.control.office import Office, prepare_home, sqlite_path
from altyn.database.address import open_database
from altyn.database.migrate import current_revision, migrate
from altyn.database.seal import ROOT_FILE, Seal, load_root
from altyn.database.sqlite import take_lock
from altyn.errors import AlreadyExistsError, LedgerBrokenError, OperatorError, StoreLockedError
from altyn.ledger.audit import verify
from altyn.receipts import charges_equal_their_prices
from altyn.settings import Settings
from altyn.upstream.provider import list_providers

PG_DUMP = "pg_dump"
PARTS = ("", "-wal", "-shm")
"""The files of one SQLite database: the second holds commits that the first does not have yet."""


# Backing up -----------------------------------------------------------------------------------


async def back_up(office: Office, *, file: str) -> dict[str, Any]:
    """Write a consistent copy of the database, as of one moment, while calls go on.

    `file` is an absolute path, made with mode 0600 and never overwritten. `secret.key` is not in
    it, so that a stolen copy opens nothing. Raises `AlreadyExistsError` or `OperatorError`.
    """
    path = Path(file)
    _create(path)
    try:
        if office.database.kind == "sqlite":
            await asyncio.to_thread(_copy, sqlite_path(office.settings), path)
        else:
            await _dump(office.settings.database_url, path)
    except BaseException:
        _discard(path)
        raise
    secret_key = office.settings.home / ROOT_FILE
    return {"file": file, "bytes": _size_bytes(path), "secret_key": str(secret_key)}


def _discard(path: Path) -> None:
    path.unlink(missing_ok=True)


def _size_bytes(path: Path) -> int:
    return path.stat().st_size


def _create(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        raise AlreadyExistsError(f"{path} is there already: a backup overwrites nothing.") from None
    except OSError as error:
        raise OperatorError(f"{path} cannot be written: {error.strerror}.") from None


def _copy(source: Path, target: Path) -> None:
    """Copy a database as of one moment into an empty file, and have it on disk."""
    address = f"{source.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as connection:
            connection.execute("VACUUM INTO ?", (str(target),))
    except sqlite3.Error as error:
        raise OperatorError(f"{source} cannot be copied to {target}: {error}.") from None
    _sync(target)


async def _dump(url: str, target: Path) -> None:
    program = shutil.which(PG_DUMP)
    if program is None:
        raise OperatorError(
            "pg_dump is not installed: it comes with PostgreSQL's client programs, and makes the"
            " backup of a PostgreSQL database."
        )
    dump = await asyncio.create_subprocess_exec(
        program,
        "--format=custom",
        f"--file={target}",
        # Not on the command line, where every user of the machine could read the password.
        env={**os.environ, **postgres_environ(url)},
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await dump.communicate()
    if dump.returncode:
        first_line = said.decode(errors="replace").strip().partition("\n")[0]
        raise OperatorError(f"The backup failed: {first_line}.")


def postgres_environ(url: str) -> Mapping[str, str]:
    """The address as PostgreSQL's own programs read it from their environment."""
    parts = urlsplit(url)
    named = dict(parse_qsl(parts.query))
    values = {
        "PGHOST": named.get("host") or parts.hostname,
        "PGPORT": named.get("port") or (str(parts.port) if parts.port else None),
        "PGUSER": named.get("user") or (parts.username and unquote(parts.username)),
        "PGPASSWORD": named.get("password") or (parts.password and unquote(parts.password)),
        "PGDATABASE": unquote(parts.path.removeprefix("/")) or None,
        "PGSSLMODE": named.get("sslmode"),
    }
    return {name: value for name, value in values.items() if value}


# Restoring ------------------------------------------------------------------------------------


async def restore(settings: Settings, file: Path) -> dict[str, Any]:
    """Put a backup in the place of the database, which is kept beside it.

    Nothing is touched before a copy of *file* was migrated and its ledger verified. Raises
    `StoreLockedError` while a server runs, `LedgerBrokenError` for a backup that does not add up,
    `OperatorError` for anything that is not a backup.
    """
    _check_restorable(settings, file)
    if is_served(settings):
        raise StoreLockedError(f"A server is running on {settings.home}: stop it first.")
    prepare_home(settings.home)
    path = sqlite_path(settings)
    lock = take_lock(path)
    fresh = path.with_name(f"{path.name}.restoring")
    try:
        _remove(fresh)
        _create(fresh)
        await asyncio.to_thread(_copy, file, fresh)
        opens = await _verify_copy(settings, fresh)
        kept = _exchange(path, fresh)
    finally:
        _remove(fresh)
        os.close(lock)
    return {
        "file": str(file),
        "database": str(path),
        "kept": None if kept is None else str(kept),
        "secrets_open": opens,
    }


def _check_restorable(settings: Settings, file: Path) -> None:
    if not settings.database_url.startswith("sqlite:///"):
        raise OperatorError(
            "Restore a PostgreSQL database with pg_restore, then run 'altyn migrate'."
        )
    if not file.is_file():
        raise OperatorError(f"There is no file {file}.")


async def _verify_copy(settings: Settings, path: Path) -> bool:
    """Migrate the copy and verify its ledger; say whether this home's key opens its secrets."""
    url = f"sqlite:///{path}"
    if await current_revision(url) is None:
        raise OperatorError("This is a SQLite database, but not a backup of Altyn.")
    await migrate(url)
    database = open_database(url)
    await database.open()
    try:
        audit = await verify(database, charges_equal_their_prices)
        for finding in audit.findings:
            raise LedgerBrokenError(
                f"The ledger in the backup does not hold: {finding.sentence}. Nothing was changed."
            )
        try:
            await list_providers(database, Seal(load_root(settings.home)))
        except OperatorError:
            return False
        return True
    finally:
        await database.close()


def _exchange(path: Path, fresh: Path) -> Path | None:
    """Set *fresh* in the place of the database, keeping that one; return where it is kept."""
    kept = None
    if path.exists():
        _checkpoint(path)
        kept = _keep(path)
    # Left-over commits of the old database would be played into the new one.
    for part in PARTS[1:]:
        _discard(path.with_name(path.name + part))
    fresh.replace(path)
    _sync(path.parent)
    return kept


def _checkpoint(path: Path) -> None:
    """Bring all commits into the file itself. A database too broken for that is kept in parts."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _keep(path: Path) -> Path:
    """Give the database a second name, with the commits that only its WAL holds."""
    kept = _unused_name(path)
    kept.hardlink_to(path)
    for part in PARTS[1:]:
        beside = path.with_name(path.name + part)
        if beside.exists():
            shutil.copy2(beside, kept.with_name(kept.name + part))
    _sync(path.parent)
    return kept


def _unused_name(path: Path) -> Path:
    first = path.with_name(f"{path.name}.before-restore")
    names = [first, *(first.with_name(f"{first.name}-{number}") for number in range(2, 1000))]
    return next(name for name in names if not name.exists())


def _remove(path: Path) -> None:
    for part in (*PARTS, ".lock"):
        _discard(path.with_name(path.name + part))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
