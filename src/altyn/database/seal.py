"""Secrets at rest: sealed under a key that is a file in the home, never in the database.

A copy of the database, or a backup of it, holds nothing that opens anything: providers' secrets are
sealed, and customers' keys are stored as digests peppered from the same root.
"""

import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from altyn.errors import OperatorError

ROOT_FILE = "secret.key"
ROOT_BYTES = 32

# The first byte of everything sealed, so that another cipher can be told from this one.
_VERSION = b"\x01"
_NONCE_BYTES = 12
_TAG_BYTES = 16


class Seal:
    """Seals and opens texts, and knows the pepper of the key digests. All come from one root."""

    def __init__(self, root: bytes) -> None:
        self._cipher = AESGCM(_derive(root, b"altyn sealed secrets 1"))
        self._pepper = _derive(root, b"altyn key digests 1")

    @property
    def pepper(self) -> bytes:
        """The 32 bytes for `altyn.keys.key.digest`."""
        return self._pepper

    def seal(self, plain: str, *, purpose: str) -> bytes:
        """Seal a text with AES-256-GCM. It opens only for the same purpose.

        The purpose names the place, such as `provider:openai`: a sealed secret that is copied to
        another row of the database must not open there.
        """
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, plain.encode(), _bound_to(purpose))
        return _VERSION + nonce + sealed

    def open(self, sealed: bytes, *, purpose: str) -> str:
        """Open a text. Raise `OperatorError` when the root, the purpose or a byte is another."""
        nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if not sealed.startswith(_VERSION) or len(body) < _TAG_BYTES:
            raise _cannot_open(purpose)
        try:
            return self._cipher.decrypt(nonce, body, _bound_to(purpose)).decode()
        except InvalidTag:
            raise _cannot_open(purpose) from None


def load_root(home: Path) -> bytes:
    """Read the 32 bytes that everything secret is derived from; make them on a fresh home.

    Raises `OperatorError` when the file is not a key, or can be read by others.
    """
    path = home / ROOT_FILE
    if not path.exists():
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        _create(path)
    return _read(path)


def _create(path: Path) -> None:
    """Put a new root in place, whole and durable, unless somebody else was first.

    It is written aside and then linked: a second process that starts now, or a power cut, never
    meets half a key; a key that was lost after the first secret was sealed could not be replaced.
    """
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(ROOT_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(aside)
        except FileExistsError:
            return
    finally:
        aside.unlink()
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            # Asked of the open file, not of the name: nobody can swap it in between.
            mode, text = os.fstat(file.fileno()).st_mode, file.read(4 * ROOT_BYTES)
    except OSError as error:
        raise OperatorError(f"{path} cannot be read: {error.strerror}.") from None
    if mode & 0o077:
        raise OperatorError(f"{path} can be read by other users: run 'chmod 600 {path}'.")
    try:
        root = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        root = b""
    if len(root) != ROOT_BYTES:
        raise OperatorError(
            f"{path} does not hold a key of {ROOT_BYTES} bytes in hex: restore it from a backup."
        )
    return root


def _derive(root: bytes, label: bytes) -> bytes:
    """One root, many keys: what is derived for one use says nothing about another."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=label).derive(root)


def _bound_to(purpose: str) -> bytes:
    return _VERSION + purpose.encode()


def _cannot_open(purpose: str) -> OperatorError:
    return OperatorError(
        f"The secret of '{purpose}' cannot be opened: {ROOT_FILE} in the home is not the one it "
        f"was sealed with. Restore {ROOT_FILE} from a backup, or enter the secret again."
    )
