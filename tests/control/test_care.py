import shutil
import sqlite3
import stat
import subprocess

import pytest

from altyn.control.care import restore
from altyn.control.deeds import perform
from altyn.control.office import open_office
from altyn.errors import AlreadyExistsError, LedgerBrokenError, OperatorError, StoreLockedError
from altyn.settings import read_settings

ANN = {"email": "ann@example.com"}


@pytest.fixture
async def backup(settings, tmp_path):
    """A backup of a home where Ann has 5; since then she got 1 more."""
    file = tmp_path / "kept.db"
    async with open_office(settings) as office:
        await perform(office, "user.add", ANN)
        await perform(office, "deposit", {**ANN, "amount": "5"})
        await perform(office, "backup", {"file": str(file)})
        await perform(office, "deposit", {**ANN, "amount": "1"})
    return file


async def balance_of_ann(settings):
    async with open_office(settings) as office:
        return (await perform(office, "balance", ANN))["balance"]


def contents_of(dump):
    return subprocess.run(["pg_restore", "--list", dump], capture_output=True, check=True).stdout


def change(file, sql):
    connection = sqlite3.connect(file)
    connection.executescript(sql)
    connection.close()


async def test_a_backup_can_be_read_by_its_owner_only(backup):
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600


async def test_a_backup_holds_one_moment(backup):
    connection = sqlite3.connect(backup)
    ((posted,),) = connection.execute("SELECT posted_nanos FROM accounts WHERE kind = 'customer'")
    connection.close()

    assert posted == 5_000_000_000


async def test_a_backup_overwrites_nothing(do, tmp_path):
    file = tmp_path / "precious.txt"
    file.write_text("precious")

    with pytest.raises(AlreadyExistsError):
        await do("backup", file=str(file))

    assert file.read_text() == "precious"


async def test_a_backup_that_cannot_be_written_is_told(do, tmp_path):
    with pytest.raises(OperatorError, match="cannot be written"):
        await do("backup", file=str(tmp_path / "nowhere" / "kept.db"))


@pytest.mark.skipif(not shutil.which("pg_dump"), reason="apt-get install postgresql-client")
async def test_postgresql_is_dumped_by_its_own_program(postgres_url, tmp_path):
    overrides = {"database_url": postgres_url}
    settings = read_settings({}, home=tmp_path / "home", overrides=overrides)
    file = tmp_path / "kept.dump"
    async with open_office(settings) as office:
        await perform(office, "user.add", ANN)
        await perform(office, "backup", {"file": str(file)})

    assert b"TABLE DATA public users" in contents_of(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_a_dump_that_fails_leaves_no_file(postgres_url, tmp_path, monkeypatch):
    overrides = {"database_url": postgres_url}
    settings = read_settings({}, home=tmp_path / "home", overrides=overrides)
    monkeypatch.setattr("altyn.control.care.PG_DUMP", "no-such-program")
    async with open_office(settings) as office:
        with pytest.raises(OperatorError, match="pg_dump is not installed"):
            await perform(office, "backup", {"file": str(tmp_path / "kept.dump")})

    assert not (tmp_path / "kept.dump").exists()


# Restoring ------------------------------------------------------------------------------------


async def test_a_restored_backup_is_what_was_and_the_rest_is_kept(settings, backup, home):
    done = await restore(settings, backup)

    kept = sqlite3.connect(done["kept"])
    ((posted,),) = kept.execute("SELECT posted_nanos FROM accounts WHERE kind = 'customer'")
    kept.close()
    assert await balance_of_ann(settings) == "5.000000000"
    assert posted == 6_000_000_000
    assert done["kept"] == str(home / "altyn.db.before-restore")
    assert done["secrets_open"] is True


async def test_a_second_restore_keeps_what_the_first_has_kept(settings, backup, home):
    await restore(settings, backup)
    first = (home / "altyn.db.before-restore").read_bytes()

    done = await restore(settings, backup)

    assert done["kept"] == str(home / "altyn.db.before-restore-2")
    assert (home / "altyn.db.before-restore").read_bytes() == first


async def test_a_restore_into_an_empty_home_begins_it(backup, tmp_path):
    elsewhere = read_settings({}, home=tmp_path / "elsewhere")

    done = await restore(elsewhere, backup)

    assert done["kept"] is None
    assert await balance_of_ann(elsewhere) == "5.000000000"


async def test_commits_that_only_the_wal_holds_are_kept(settings, backup, home):
    connection = sqlite3.connect(home / "altyn.db")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("UPDATE users SET email = 'late@example.com'")
    connection.commit()
    shutil.copytree(home, home.with_name("killed"))
    connection.close()
    killed = read_settings({}, home=home.with_name("killed"))

    done = await restore(killed, backup)

    kept = sqlite3.connect(done["kept"])
    ((email,),) = kept.execute("SELECT email FROM users")
    kept.close()
    assert email == "late@example.com"
    assert await balance_of_ann(killed) == "5.000000000"


async def test_a_backup_whose_ledger_does_not_hold_is_refused(settings, backup):
    change(backup, "UPDATE accounts SET posted_nanos = 7000000000 WHERE kind = 'customer'")

    with pytest.raises(LedgerBrokenError, match="Nothing was changed"):
        await restore(settings, backup)

    assert await balance_of_ann(settings) == "6.000000000"


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 100])
async def test_what_is_no_backup_is_refused(settings, backup, home, content):
    backup.write_bytes(content)

    with pytest.raises(OperatorError):
        await restore(settings, backup)

    assert await balance_of_ann(settings) == "6.000000000"
    assert not list(home.glob("*.restoring*"))


async def test_a_backup_of_a_newer_version_is_refused(settings, backup):
    change(backup, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(OperatorError, match="newer Altyn"):
        await restore(settings, backup)


async def test_nothing_is_restored_under_a_running_server(settings, backup, monkeypatch):
    monkeypatch.setattr("altyn.database.sqlite.LOCK_WAIT_S", 0)
    async with open_office(settings):
        with pytest.raises(StoreLockedError):
            await restore(settings, backup)


async def test_a_backup_of_another_secret_key_is_told(settings, tmp_path):
    file = tmp_path / "kept.db"
    async with open_office(settings) as office:
        await perform(office, "provider.add", {"name": "openai", "secret": "sk-1"})
        await perform(office, "backup", {"file": str(file)})

    done = await restore(read_settings({}, home=tmp_path / "elsewhere"), file)

    assert done["secrets_open"] is False


async def test_a_file_that_is_not_there_is_told(settings, tmp_path):
    with pytest.raises(OperatorError, match="There is no file"):
        await restore(settings, tmp_path / "nothing.db")
