import os
import sqlite3
import stat

import pytest

from altyn.control.door import serve_control
from altyn.control.office import open_office, prepare_home
from altyn.control.start import prepare
from altyn.database.migrate import OldDatabaseError
from altyn.errors import OperatorError, StoreLockedError
from altyn.keys.key import parse
from altyn.settings import read_settings


async def test_a_fresh_home_is_made_ready(tmp_path):
    home = tmp_path / "new" / "home"

    start = await prepare(read_settings({}, home=home), {}, first_key=True)

    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "secret.key").stat().st_mode) == 0o600
    assert start.revision_before is None
    assert start.providers == ()
    assert parse(start.test_key).mode == "test"


async def test_a_second_start_makes_nothing(tmp_path):
    settings = read_settings({}, home=tmp_path)
    await prepare(settings, {}, first_key=True)

    start = await prepare(settings, {}, first_key=True)

    assert start.revision_before == start.revision
    assert start.models_added == 0
    assert start.test_key is None


async def test_a_migration_shows_no_key(settings):
    assert (await prepare(settings, {}, first_key=False)).test_key is None


async def test_a_vendor_whose_variable_is_set_serves(settings):
    start = await prepare(settings, {"XAI_API_KEY": "xai-1"}, first_key=False)

    assert start.vendors == ("xai",)
    assert start.providers == ("xai",)


async def test_a_home_that_is_served_is_refused_at_once(settings, office):
    async with serve_control(office):
        with pytest.raises(StoreLockedError, match="Another Altyn is serving"):
            await prepare(settings, {}, first_key=True)


async def test_a_database_of_a_newer_version_is_refused(settings, home):
    connection = sqlite3.connect(home / "altyn.db")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()

    with pytest.raises(OldDatabaseError, match="newer Altyn"):
        await prepare(settings, {}, first_key=True)


async def test_a_command_does_not_migrate_an_old_database(settings, home):
    connection = sqlite3.connect(home / "altyn.db")
    connection.execute("UPDATE alembic_version SET version_num = '0000'")
    connection.commit()
    connection.close()

    with pytest.raises(OldDatabaseError, match="altyn migrate"):
        async with open_office(settings):
            pass


def test_a_file_is_no_home(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(OperatorError, match="not a directory"):
        prepare_home(tmp_path / "file")


def test_a_home_below_a_file_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(OperatorError, match="cannot be made"):
        prepare_home(tmp_path / "file" / "home")


def test_a_home_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    # Root may write everywhere: what the system would say to anybody else is said for it.
    monkeypatch.setattr(os, "access", lambda *_: False)

    with pytest.raises(OperatorError, match="cannot be written"):
        prepare_home(tmp_path)
