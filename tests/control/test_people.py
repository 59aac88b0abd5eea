import pytest

from altyn.accounts.password import is_password
from altyn.errors import AlreadyExistsError, OperatorError, UnknownNameError


async def test_somebody_who_is_added_is_in_the_list(do):
    await do("user.add", email="Ann@Example.com")

    (user,) = await do("user.list")

    assert user["email"] == "ann@example.com"
    assert user["available"] == "0.000000000"
    assert user["frozen"] is False


async def test_nobody_is_added_twice(do):
    await do("user.add", email="ann@example.com")

    with pytest.raises(AlreadyExistsError):
        await do("user.add", email="ANN@example.com")


async def test_what_is_no_address_is_refused(do):
    with pytest.raises(OperatorError, match="not an e-mail address"):
        await do("user.add", email="ann")


async def test_only_the_digest_of_a_password_is_stored(do, office):
    await do("user.add", email="ann@example.com", password="secret words", operator="owner")

    ((hashed, role),) = await office.database.read(
        "SELECT password_hash, operator_role FROM users WHERE email = 'ann@example.com'"
    )

    assert is_password("secret words", hashed)
    assert role == "owner"


async def test_an_empty_password_is_refused(do):
    with pytest.raises(OperatorError, match="empty"):
        await do("user.add", email="ann@example.com", password=" ")


async def test_freezing_lasts_until_it_is_undone(do):
    await do("user.add", email="ann@example.com")

    frozen = await do("user.freeze", email="ann@example.com")
    thawed = await do("user.unfreeze", email="ann@example.com")

    assert (frozen["frozen"], thawed["frozen"]) == (True, False)


async def test_nobody_cannot_be_frozen(do):
    with pytest.raises(UnknownNameError):
        await do("user.freeze", email="ann@example.com")
