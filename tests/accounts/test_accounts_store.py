import asyncio
from collections.abc import AsyncIterator

import pytest

from altyn.accounts.identities import (
    Candidate,
    Identity,
    connect,
    disconnect,
    find_candidate,
    find_user_of,
    list_issuers,
)
from altyn.accounts.store import (
    add_user,
    change_email,
    confirm_email,
    find_user,
    freeze_account,
    get_balance,
    get_user,
    list_users,
    normal_email,
)
from altyn.database.address import open_database
from altyn.database.engine import Database
from altyn.errors import AlreadyExistsError, OperatorError, UnknownNameError


@pytest.fixture
async def database(migrated_url) -> AsyncIterator[Database]:
    opened = open_database(migrated_url)
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


async def test_of_two_who_come_at_once_with_one_address_one_is_added(postgres_url):
    """On SQLite there is one writer, and no such moment."""
    database = open_database(postgres_url)
    await database.open()
    added = asyncio.Event()

    async def slowly(tx):
        user_id = await add_user(tx, "a@example.test")
        added.set()
        # The other one looks now, and sees nobody.
        await asyncio.sleep(0.1)
        return user_id

    async def meanwhile():
        await added.wait()
        return await database.write(lambda tx: add_user(tx, "a@example.test"))

    first, second = await asyncio.gather(
        database.write(slowly), meanwhile(), return_exceptions=True
    )

    assert isinstance(second, AlreadyExistsError)
    assert [user.id for user in await list_users(database)] == [first]
    rows = await database.read("SELECT id FROM accounts WHERE kind = 'customer'")
    assert len(rows) == 1
    await database.close()


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


# Another address ---------------------------------------------------------------------------------


async def test_an_address_is_exchanged_for_a_confirmed_one(database):
    user_id = await database.write(lambda tx: add_user(tx, "a@example.test"))

    old = await database.write(lambda tx: change_email(tx, user_id, email="b@example.test"))

    assert old == "a@example.test"
    rows = await database.read(
        "SELECT u.email, a.name, u.email_confirmed_at IS NOT NULL FROM users u"
        " JOIN accounts a ON a.id = u.account_id WHERE u.id = $1",
        user_id,
    )
    assert [tuple(row) for row in rows] == [("b@example.test", "b@example.test", True)]


async def test_an_address_of_somebody_else_is_not_taken(database):
    await database.write(lambda tx: add_user(tx, "a@example.test"))
    other = await database.write(lambda tx: add_user(tx, "b@example.test"))

    old = await database.write(lambda tx: change_email(tx, other, email="a@example.test"))

    assert old is None
    assert [user.email for user in await list_users(database)] == [
        "a@example.test",
        "b@example.test",
    ]


async def test_of_two_who_move_to_one_address_at_once_the_second_stays(postgres_url):
    """On SQLite there is one writer, and no such moment."""
    database = open_database(postgres_url)
    await database.open()
    first = await database.write(lambda tx: add_user(tx, "a@example.test"))
    second = await database.write(lambda tx: add_user(tx, "b@example.test"))
    moved = asyncio.Event()

    async def slowly(tx):
        old = await change_email(tx, first, email="new@example.test")
        moved.set()
        # The other one looks now, and would see the address free.
        await asyncio.sleep(0.1)
        return old

    async def meanwhile(work):
        await moved.wait()
        return await database.write(work)

    olds = await asyncio.gather(
        database.write(slowly),
        meanwhile(lambda tx: change_email(tx, second, email="new@example.test")),
    )

    assert olds == ["a@example.test", None]
    assert {user.email for user in await list_users(database)} == {
        "new@example.test",
        "b@example.test",
    }
    await database.close()


async def test_an_address_that_somebody_signs_up_with_now_is_not_moved_to(postgres_url):
    database = open_database(postgres_url)
    await database.open()
    mover = await database.write(lambda tx: add_user(tx, "a@example.test"))
    added = asyncio.Event()

    async def slowly(tx):
        await add_user(tx, "new@example.test")
        added.set()
        await asyncio.sleep(0.1)

    async def meanwhile():
        await added.wait()
        return await database.write(lambda tx: change_email(tx, mover, email="new@example.test"))

    _, old = await asyncio.gather(database.write(slowly), meanwhile())

    assert old is None
    await database.close()


# At an identity provider -------------------------------------------------------------------------

ANNA = Identity(issuer="https://id.example", subject="1")
NAMESAKE = Identity(issuer="https://other.example", subject="1")


async def test_an_identity_opens_one_account_and_its_number_elsewhere_none(database):
    first = await database.write(lambda tx: add_user(tx, "a@example.test"))
    second = await database.write(lambda tx: add_user(tx, "b@example.test"))

    for user_id in (first, second):
        await database.write(lambda tx, user_id=user_id: connect(tx, ANNA, user_id=user_id))

    assert await find_user_of(database, ANNA) == first
    assert await find_user_of(database, NAMESAKE) is None
    assert await list_issuers(database, first) == ["https://id.example"]
    assert await list_issuers(database, second) == []


async def test_a_disconnected_identity_opens_nothing(database):
    user_id = await database.write(lambda tx: add_user(tx, "a@example.test"))
    await database.write(lambda tx: connect(tx, ANNA, user_id=user_id))

    await database.write(lambda tx: disconnect(tx, user_id=user_id))

    assert await find_user_of(database, ANNA) is None


async def test_a_candidate_is_seen_as_it_is(database):
    user_id = await database.write(lambda tx: add_user(tx, "a@example.test", password_hash="x"))
    before = await find_candidate(database, "a@example.test")
    await database.write(lambda tx: confirm_email(tx, user_id, email="a@example.test"))
    after = await find_candidate(database, "a@example.test")

    assert before is not None
    assert after is not None
    assert (before.may_be_claimed, after.may_be_claimed) == (False, True)
    assert await find_candidate(database, "nobody@example.test") is None


@pytest.mark.parametrize(
    ("candidate", "claimed"),
    [
        (Candidate(1, None, has_password=True, confirmed_at=5), True),
        (Candidate(1, None, has_password=False, confirmed_at=None), True),
        (Candidate(1, None, has_password=True, confirmed_at=None), False),
        (Candidate(1, "owner", has_password=True, confirmed_at=5), False),
        (Candidate(1, "support", has_password=False, confirmed_at=5), False),
    ],
)
def test_an_account_is_claimed_by_a_confirmed_address_and_never_by_a_role(candidate, claimed):
    assert candidate.may_be_claimed is claimed
