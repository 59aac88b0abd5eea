import hashlib

from altyn.accounts.password import (
    check_password,
    hash_aside,
    hash_password,
    is_outdated,
    is_password,
)


def test_a_password_opens_its_own_digest():
    hashed = hash_password("тайна 1")

    assert is_password("тайна 1", hashed)


def test_another_password_does_not():
    hashed = hash_password("тайна 1")

    assert not is_password("тайна 2", hashed)


def test_the_same_password_never_looks_the_same():
    assert hash_password("secret") != hash_password("secret")


def test_a_digest_of_scrypt_still_opens():
    salt = bytes(16)
    digest = hashlib.scrypt(b"secret", salt=salt, n=16, r=8, p=1)

    assert is_password("secret", f"scrypt$16$8$1${salt.hex()}${digest.hex()}")
    assert not is_password("another", f"scrypt$16$8$1${salt.hex()}${digest.hex()}")


def test_only_what_is_made_today_is_not_outdated():
    weaker = "$argon2id$v=19$m=8192,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$" + "A" * 43

    assert not is_outdated(hash_password("secret"))
    assert is_outdated("scrypt$16$8$1$00$00")
    assert is_outdated(weaker)


async def test_a_password_is_checked_beside_the_event_loop():
    hashed = await hash_aside("тайна 1")

    assert await check_password("тайна 1", hashed)
    assert not await check_password("тайна 2", hashed)


async def test_nobody_has_no_password():
    assert not await check_password("nobody's", None)
