"""Codes that turn into money: made by the operator, shown once, redeemed once.

The ledger alone says whether a code was redeemed: its deposit carries the reference `code-` and the
code's id, and a reference is one deposit. So two people who write the same code at the same moment
cannot both get it, and a crash cannot lose what one of them got.
"""

import secrets
from contextlib import suppress
from hashlib import blake2b
from typing import Literal

from msgspec import Struct

from altyn.database.bulk import Row
from altyn.database.engine import Database, Transaction, now_ms
from altyn.errors import AlreadyExistsError, OperatorError, UnknownNameError
from altyn.ledger.deposits import pay_in
from altyn.ledger.writer import Writer
from altyn.money import Nanos

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's: nothing that is read as something else, and no word that anybody minds."""

LENGTH = 12
"""60 random bits: to guess one of a million codes takes more tries than a server answers."""

COUNT_MAX = 1000
READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1", "U": "V"})

CodeSource = Literal["cash_in", "promo"]
CodeState = Literal["open", "redeemed", "expired", "voided"]


class UsedCodeError(OperatorError):
    """Somebody has redeemed it."""


class Code(Struct, frozen=True, kw_only=True):
    """A code as it may be shown. Times in ms; `redeemed_by` is an account's id."""

    id: int
    last_four: str
    amount_nanos: Nanos
    source: CodeSource
    reason: str
    created_at: int
    expires_at: int | None
    voided_at: int | None
    redeemed_at: int | None
    redeemed_by: int | None

    @property
    def state(self) -> CodeState:
        if self.redeemed_at is not None:
            return "redeemed"
        if self.voided_at is not None:
            return "voided"
        if self.expires_at is not None and self.expires_at <= now_ms():
            return "expired"
        return "open"


CODES = (
    "SELECT c.id, c.last_four, c.amount_nanos, c.source, c.reason, c.created_at, c.expires_at,"
    " c.voided_at, e.at, e.chain_account_id FROM codes c"
    " LEFT JOIN entries e ON e.kind = 'deposit' AND e.ref = 'code-' || c.id"
)


async def make_codes(
    tx: Transaction,
    *,
    pepper: bytes,
    count: int,
    amount_nanos: Nanos,
    source: CodeSource,
    reason: str,
    created_by: int | None = None,
    expires_at: int | None = None,
) -> list[str]:
    """Make codes and return them: the only time they are known. Raises `OperatorError`."""
    if not 0 < count <= COUNT_MAX:
        raise OperatorError(f"At once there can be 1 to {COUNT_MAX} codes.")
    if amount_nanos <= 0:
        raise OperatorError("A code needs an amount of money.")
    made = [_mint() for _ in range(count)]
    for code in made:
        await tx.execute(
            "INSERT INTO codes (digest, last_four, amount_nanos, source, reason, created_by,"
            " created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            digest(code, pepper),
            code[-4:],
            amount_nanos,
            source,
            reason,
            created_by,
            now_ms(),
            expires_at,
        )
    return made


async def redeem(
    database: Database, writer: Writer, *, code: str, account_id: int, pepper: bytes
) -> Code:
    """Turn a code into money of this account.

    Raises `UnknownNameError` for what is no code, or one that has run out or was voided, and
    `UsedCodeError` for one that was redeemed, by whomever.
    """
    found = await _find(database, digest(code, pepper))
    if found is None or found.state in ("expired", "voided"):
        raise UnknownNameError("There is no such code, or it has run out.")
    if found.state == "redeemed":
        raise UsedCodeError("This code was redeemed before.")
    with suppress(AlreadyExistsError):
        await pay_in(
            database,
            writer,
            account_id=account_id,
            amount_nanos=found.amount_nanos,
            reference=f"code-{found.id}",
            reason=found.reason,
            source=found.source,
        )
    written = await _find(database, digest(code, pepper))
    if written is None or written.redeemed_by != account_id:
        raise UsedCodeError("This code was redeemed before.")
    return written


async def list_codes(database: Database, *, limit: int, before: int | None = None) -> list[Code]:
    """The newest first, below the id *before* if it is given."""
    rows = await database.read(
        f"{CODES} WHERE CAST($1 AS BIGINT) IS NULL OR c.id < $1 ORDER BY c.id DESC LIMIT {limit:d}",
        before,
    )
    return [_code(row) for row in rows]


async def void_code(tx: Transaction, code_id: int) -> None:
    """Let nobody redeem a code any more; what was redeemed stays."""
    await tx.execute(
        "UPDATE codes SET voided_at = $2 WHERE id = $1 AND voided_at IS NULL", code_id, now_ms()
    )


async def has_codes(tx: Transaction) -> bool:
    return bool(await tx.fetch("SELECT 1 FROM codes LIMIT 1"))


def shown(code: str) -> str:
    """A code as people read it: `7K2M-9QXA-41CD`."""
    return "-".join(code[start : start + 4] for start in range(0, len(code), 4))


def digest(code: str, pepper: bytes) -> bytes:
    """What a code is found by, however it was typed: case, dashes and look-alikes do not matter."""
    plain = "".join(sign for sign in code.upper() if sign.isalnum()).translate(READ_AS)
    return blake2b(plain.encode(), digest_size=32, key=pepper, person=b"altyn code").digest()


def _mint() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


async def _find(database: Database, code_digest: bytes) -> Code | None:
    rows = await database.read(f"{CODES} WHERE c.digest = $1", code_digest)
    return _code(rows[0]) if rows else None


def _code(row: Row) -> Code:
    return Code(**dict(zip(Code.__struct_fields__, row, strict=True)))
