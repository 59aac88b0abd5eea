"""`Idempotency-Key`: a request that is sent again is answered again, and never charged again.

The first answer is kept, sealed, for a day. A repeat with another body, of a request that still
runs, or of a stream, is 409: the caller can look the first one up by the request id it names.
"""

from functools import partial
from hashlib import blake2b

from msgspec import Struct

from altyn.database.engine import Database, Transaction, now_ms
from altyn.database.seal import Seal
from altyn.errors import IdempotencyConflictError, InvalidParameterError

NAME_MAX = 255
KEPT_MS = 24 * 3_600_000
RUNS_AT_MOST_MS = 15 * 60_000
"""No attempt is longer: what began earlier, was not kept and not charged either, has died."""
ANSWER_MAX = 1024 * 1024
RETRY_S = 1
NOT_CHARGED = (
    "NOT EXISTS (SELECT 1 FROM usage_records r"
    " WHERE r.request_id = idempotency_keys.request_id AND r.charge_nanos > 0)"
)


class KeptAnswer(Struct, frozen=True):
    """The whole answer that the first request got."""

    request_id: str
    body: bytes


class Repeat(Struct, frozen=True):
    """One request under an `Idempotency-Key` of its account."""

    account_id: int
    name: str
    body_hash: bytes
    request_id: str


def read_repeat(header: bytes, *, account_id: int, body: bytes, request_id: str) -> Repeat:
    """Raises `InvalidParameterError` for a name that cannot be kept."""
    name = header.decode("latin-1").strip()
    if not name or len(name) > NAME_MAX or not name.isprintable():
        raise InvalidParameterError(param="Idempotency-Key", reason="header")
    return Repeat(account_id, name, blake2b(body, digest_size=32).digest(), request_id)


class Repeats:
    """Who has asked what before, by account and `Idempotency-Key`."""

    def __init__(self, database: Database, seal: Seal) -> None:
        self.database = database
        self.seal = seal

    async def begin(self, repeat: Repeat) -> KeptAnswer | None:
        """None when this is the first time; the kept answer when it is not.

        Raises `IdempotencyConflictError` when the first request was another one, still runs, or
        was streamed.
        """
        first = await self.database.write(partial(_begin, repeat))
        if first is None:
            return None
        request_id, body_hash, answer = first
        if body_hash != repeat.body_hash:
            raise IdempotencyConflictError(param="Idempotency-Key")
        if answer is None:
            raise IdempotencyConflictError(
                param="Idempotency-Key",
                first_request_id=f"req_{request_id}",
                retry_after_s=RETRY_S,
            )
        plain = self.seal.open(answer, purpose=f"answer:{request_id}")
        return KeptAnswer(request_id, plain.encode())

    async def keep(self, repeat: Repeat, body: bytes) -> None:
        """Keep the answer for whoever asks again. One that is too large is not kept."""
        if len(body) <= ANSWER_MAX:
            sealed = self.seal.seal(body.decode(), purpose=f"answer:{repeat.request_id}")
            await self.database.write(partial(_keep, repeat, sealed))

    async def forget(self, repeat: Repeat) -> None:
        """It failed: the next try is a first one, unless this one was charged all the same."""
        await self.database.write(partial(_forget, repeat))

    async def clean(self) -> None:
        await self.database.write(_clean)


async def _begin(repeat: Repeat, tx: Transaction) -> tuple[str, bytes, bytes | None] | None:
    now = now_ms()
    await tx.execute(
        "DELETE FROM idempotency_keys WHERE account_id = $1 AND name = $2 AND (created_at < $3"
        f" OR (answer IS NULL AND created_at < $4 AND {NOT_CHARGED}))",
        repeat.account_id,
        repeat.name,
        now - KEPT_MS,
        now - RUNS_AT_MOST_MS,
    )
    begun = await tx.execute(
        "INSERT INTO idempotency_keys (account_id, name, body_hash, request_id, created_at)"
        " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (account_id, name) DO NOTHING",
        repeat.account_id,
        repeat.name,
        repeat.body_hash,
        repeat.request_id,
        now,
    )
    if begun:
        return None
    ((request_id, body_hash, answer),) = await tx.fetch(
        "SELECT request_id, body_hash, answer FROM idempotency_keys"
        " WHERE account_id = $1 AND name = $2",
        repeat.account_id,
        repeat.name,
    )
    return request_id, body_hash, answer


async def _keep(repeat: Repeat, sealed: bytes, tx: Transaction) -> None:
    await tx.execute(
        "UPDATE idempotency_keys SET answer = $3 WHERE account_id = $1 AND name = $2",
        repeat.account_id,
        repeat.name,
        sealed,
    )


async def _forget(repeat: Repeat, tx: Transaction) -> None:
    await tx.execute(
        "DELETE FROM idempotency_keys WHERE account_id = $1 AND name = $2 AND request_id = $3"
        f" AND {NOT_CHARGED}",
        repeat.account_id,
        repeat.name,
        repeat.request_id,
    )


async def _clean(tx: Transaction) -> None:
    await tx.execute("DELETE FROM idempotency_keys WHERE created_at < $1", now_ms() - KEPT_MS)
