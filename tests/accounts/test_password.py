import hashlib

from altyn.accounts.password import hash_password, is_password


def test_a_password_opens_its_own_digest():
    hashed = hash_password("тайна 1")

    assert is_password("тайна 1", hashed)


def test_another_password_does_not():
    hashed = hash_password("тайна 1")

    assert not is_password("тайна 2", hashed)


def test_the_same_password_never_looks_the_same():
    assert hash_password("secret") != hash_password("secret")


def test_a_digest_made_at_another_cost_still_opens():
    salt = bytes(16)
    digest = hashlib.scrypt(b"secret", salt=salt, n=16, r=8, p=1)

    assert is_password("secret", f"scrypt$16$8$1${salt.hex()}${digest.hex()}")
