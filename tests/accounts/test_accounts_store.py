from collections.abc import AsyncIterator

import pytest

from altyn.accounts.store import (
    add_user,
    find_user,
    freeze_account,
    get_balance,
    get_user,
    list_users,
    normal_email,
)
from altyn.database.address import open_database
from altyn.database.engine import Database
from altyn.database.migrate import migrate
from altyn.errors import AlreadyExistsError, OperatorError, UnknownNameError


@pytest.fixture
async def database(database_url) -> AsyncIterator[Database]:
    await migrate(database_url)
    opened = open_database(database_url)
    await opened.open()
    yield opened
    await opened.close()


async def test_a_person_has_an_account_of_his_own(database):
    first = await database.write(lambda tx: add_user(tx, "a@example.test"))
    await database.write(lambda tx: add_user(tx, "b@example.test", operator_role="owner"))

    users = await list_users(database)

    assert [user.email for user in users] == ["a@example.test", "b@example.test"]
    assert [user.operator_role for user in users] == [None, "owner"]
    assert users[0].id == first
    assert users[0].account_id != users[1].account_id


async def test_a_person_is_found_whatever_the_case_of_the_letters(database):
    await database.write(lambda tx: add_user(tx, " Ann@Example.Test "))

    found = await find_user(database, "ANN@example.test")

    assert found is not None
    assert found.email == "ann@example.test"
    assert await get_user(database, "ann@example.test") == found


async def test_nobody_is_added_twice(database):
    await database.write(lambda tx: add_user(tx, "a@example.test"))

    with pytest.raises(AlreadyExistsError, match=r"There is a user a@example\.test already"):
        await database.write(lambda tx: add_user(tx, "A@EXAMPLE.TEST"))

    assert len(await list_users(database)) == 1


async def test_who_is_not_there_is_not_found(database):
    assert await find_user(database, "a@example.test") is None
    with pytest.raises(UnknownNameError, match="altyn user list"):
        await get_user(database, "a@example.test")


async def test_a_new_account_is_empty(database):
    await database.write(lambda tx: add_user(tx, "a@example.test"))
    user = await get_user(database, "a@example.test")

    balance = await get_balance(database, user.account_id)

    assert (balance.posted_nanos, balance.held_nanos, balance.available_nanos) == (0, 0, 0)
    assert (balance.deposited_nanos, balance.used_nanos) == (0, 0)


async def test_an_account_is_frozen_and_thawed(database):
    await database.write(lambda tx: add_user(tx, "a@example.test"))
    user = await get_user(database, "a@example.test")

    await database.write(lambda tx: freeze_account(tx, user.account_id))
    frozen = await get_user(database, user.email)
    await database.write(lambda tx: freeze_account(tx, user.account_id, frozen=False))
    thawed = await get_user(database, user.email)

    assert frozen.frozen_at is not None
    assert thawed.frozen_at is None


async def test_freezing_is_noticed_by_every_process(database):
    await database.write(lambda tx: add_user(tx, "a@example.test"))
    user = await get_user(database, "a@example.test")
    sql = "SELECT number FROM revisions WHERE name = 'catalog'"
    before = await database.read(sql)

    await database.write(lambda tx: freeze_account(tx, user.account_id))

    assert (await database.read(sql))[0][0] > (before[0][0] if before else 0)


@pytest.mark.parametrize(
    "text", ["", "a", "@", "a@", "@b", "a b@c", "a@b@c", "a\x00@b.c", "a" * 65 + "@b.c"]
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(OperatorError, match="is not an e-mail address"):
        normal_email(text)
