import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altyn.database.seal import ROOT_FILE, Seal, load_root
from altyn.errors import OperatorError

ROOT = bytes(range(32))
SEAL = Seal(ROOT)


def names_in(folder):
    return [path.name for path in folder.iterdir()]


@given(plain=st.text(), purpose=st.text())
def test_what_is_sealed_opens_again(plain, purpose):
    sealed = SEAL.seal(plain, purpose=purpose)

    assert SEAL.open(sealed, purpose=purpose) == plain


def test_what_is_sealed_does_not_show_the_secret():
    assert b"sk-or-v1-0123" not in SEAL.seal("sk-or-v1-0123", purpose="provider:openrouter")


def test_sealing_the_same_twice_looks_different():
    first, second = (SEAL.seal("secret", purpose="provider:a") for _ in range(2))

    assert first != second


def test_a_secret_copied_to_another_place_does_not_open():
    sealed = SEAL.seal("secret", purpose="provider:a")

    with pytest.raises(OperatorError):
        SEAL.open(sealed, purpose="provider:b")


def test_another_root_opens_nothing_and_says_why():
    sealed = SEAL.seal("secret", purpose="provider:a")

    with pytest.raises(OperatorError) as refused:
        Seal(bytes(32)).open(sealed, purpose="provider:a")

    assert str(refused.value) == (
        "The secret of 'provider:a' cannot be opened: secret.key in the home is not the one it "
        "was sealed with. Restore secret.key from a backup, or enter the secret again."
    )


@given(st.data())
def test_a_changed_bit_is_noticed(data):
    sealed = bytearray(SEAL.seal("secret", purpose="provider:a"))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))

    with pytest.raises(OperatorError):
        SEAL.open(bytes(sealed), purpose="provider:a")


@pytest.mark.parametrize("length", range(30))
def test_a_cut_secret_is_noticed(length):
    sealed = SEAL.seal("secret", purpose="provider:a")

    with pytest.raises(OperatorError):
        SEAL.open(sealed[:length], purpose="provider:a")


def test_the_pepper_is_the_root_s_own_and_not_the_root():
    assert len(SEAL.pepper) == 32
    assert SEAL.pepper == Seal(ROOT).pepper
    assert SEAL.pepper != Seal(bytes(32)).pepper
    assert SEAL.pepper != ROOT


def test_what_is_derived_stays_the_same_from_version_to_version():
    # Were these to change, no stored key and no stored secret would ever open again.
    assert SEAL.pepper.hex() == "96359b9554db16836fa74019e1834170f2a2f83deb79e38759e430e8d15c2006"
    assert (
        SEAL.open(
            bytes.fromhex("0138f971ecd7a317d37daabc9eb826c7c2ecfd5ee483cfca18f05ca5f1bad9386c0432"),
            purpose="provider:a",
        )
        == "secret"
    )


def test_a_fresh_home_gets_a_root(tmp_path):
    home = tmp_path / "new" / "home"

    root = load_root(home)

    assert len(root) == 32
    assert load_root(home) == root


def test_only_the_owner_may_read_the_root(tmp_path):
    load_root(tmp_path)

    assert stat.S_IMODE((tmp_path / ROOT_FILE).stat().st_mode) == 0o600


def test_making_the_root_leaves_nothing_else_behind(tmp_path):
    load_root(tmp_path)

    assert names_in(tmp_path) == [ROOT_FILE]


def test_two_homes_have_two_roots(tmp_path):
    assert load_root(tmp_path / "a") != load_root(tmp_path / "b")


def test_all_who_start_at_once_have_the_same_root(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        for number in range(30):
            home = tmp_path / str(number)

            roots = set(pool.map(load_root, [home] * 16))

            assert len(roots) == 1
            assert names_in(home) == [ROOT_FILE]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_root_that_others_can_read_is_refused(tmp_path, mode):
    load_root(tmp_path)
    path = tmp_path / ROOT_FILE
    path.chmod(mode)

    with pytest.raises(OperatorError) as refused:
        load_root(tmp_path)

    assert str(refused.value) == f"{path} can be read by other users: run 'chmod 600 {path}'."


@pytest.mark.parametrize("text", [b"", b"00" * 31, b"00" * 33, b"zz" * 32, b"\xff" * 64])
def test_a_damaged_root_is_refused_and_left_alone(tmp_path, text):
    path = tmp_path / ROOT_FILE
    path.write_bytes(text)
    path.chmod(0o600)

    with pytest.raises(OperatorError) as refused:
        load_root(tmp_path)

    assert "restore it from a backup" in str(refused.value)
    assert path.read_bytes() == text


def test_a_root_that_is_no_file_is_refused(tmp_path):
    (tmp_path / ROOT_FILE).mkdir()

    with pytest.raises(OperatorError) as refused:
        load_root(tmp_path)

    assert "cannot be read" in str(refused.value)
