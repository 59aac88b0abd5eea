"""A ledger on a database of its own, without a gateway: accounts, keys, moves and what is in the
tables afterwards."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from altyn.chat import Usage
from altyn.database.address import open_database
from altyn.database.engine import (
    CommitUnknownError,
    Database,
    StoreUnavailableError,
    Transaction,
    Work,
    now_ms,
)
from altyn.ledger import workers
from altyn.ledger.audit import Finding, verify
from altyn.ledger.moves import Balance, Deposit, Hold, KeyWindow, Resolve
from altyn.ledger.writer import Writer
from altyn.usage.record import UsageRecord, record_changes

MODEL = "sandbox/echo"


class Books:
    """One process of the ledger: its worker, its writer, and short words for the usual moves."""

    def __init__(self, database: Database, writer: Writer) -> None:
        self.database = database
        self.writer = writer
        self._numbers = count(1)

    async def add_account(self, nanos: int = 0) -> int:
        async def work(tx: Transaction) -> int:
            rows = await tx.fetch(
                "INSERT INTO accounts (kind, name, created_at) VALUES ('customer', 'a', $1)"
                " RETURNING id",
                now_ms(),
            )
            number: int = rows[0][0]
            return number

        account = await self.database.write(work)
        if nanos:
            await self.deposit(account, nanos)
        return account

    async def add_key(self, account: int) -> int:
        async def work(tx: Transaction) -> int:
            rows = await tx.fetch(
                "INSERT INTO keys (account_id, name, mode, digest, prefix, last_four, created_at)"
                " VALUES ($1, 'k', 'live', $2, 'sk_live_', 'abcd', 1) RETURNING id",
                account,
                os.urandom(16),
            )
            number: int = rows[0][0]
            return number

        return await self.database.write(work)

    async def deposit(self, account: int, nanos: int, reference: str | None = None) -> Balance:
        move = Deposit(
            account_id=account,
            amount_nanos=nanos,
            reference=reference or f"{account}-{next(self._numbers)}-{os.urandom(4).hex()}",
        )
        balance = await self.writer.post(move)
        assert balance is not None
        return balance

    async def read(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self.database.read(sql, *values)]

    async def change(self, sql: str, *values: Any) -> int:
        """Write past the ledger, as only a test or a thief would."""
        return await self.database.write(lambda tx: tx.execute(sql, *values))

    async def balance(self, account: int) -> tuple[int, int]:
        rows = await self.read(
            "SELECT posted_nanos, held_nanos FROM accounts WHERE id = $1", account
        )
        return rows[0][0], rows[0][1]

    async def findings(self) -> tuple[Finding, ...]:
        return (await verify(self.database)).findings


class Unreliable:
    """A database that does what it is told to, one word for each write: `down`, `lost` (the commit
    never came to be) or `unanswered` (it did, and nobody said so).
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.faults: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.database, name)

    async def write(self, work: Work[Any]) -> Any:
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "down":
            raise StoreUnavailableError("down")
        if fault == "lost":
            raise CommitUnknownError("lost")
        answer = await self.database.write(work)
        if fault == "unanswered":
            raise CommitUnknownError("unanswered")
        return answer


@asynccontextmanager
async def open_books(url: str) -> AsyncIterator[Books]:
    """Open a migrated database; a worker of its own, as every process has."""
    database = open_database(url)
    await database.open()
    try:
        owner = await database.write(workers.start_worker)
        writer = Writer(database, owner=owner, record_changes=record_changes)
        yield Books(database, writer)
        await writer.drain()
    finally:
        await database.close()


def hold(
    account: int, key: int, request: str, nanos: int, *, window: KeyWindow | None = None
) -> Hold:
    return Hold(
        request_id=request,
        account_id=account,
        key_id=key,
        amount_nanos=nanos,
        model=MODEL,
        price_id=None,
        markup_ppm=0,
        input_bound=1,
        streamed=False,
        key_window=window,
    )


def settle(
    account: int,
    key: int,
    request: str,
    charge: int,
    *,
    held: int | None = None,
    window: KeyWindow | None = None,
) -> Resolve:
    """The end of a hold with its usage record; a charge of 0 is a void."""
    return Resolve(
        request_id=request,
        account_id=account,
        state="settled" if charge else "voided",
        charge_nanos=charge,
        key_id=key,
        key_window_at=window.window_at if window else None,
        record=record(account, key, request, charge, held=held),
    )


def record(
    account: int, key: int, request: str, charge: int = 0, *, held: int | None = None, **more: Any
) -> UsageRecord:
    facts: dict[str, Any] = {
        "mode": "live",
        "model": MODEL,
        "created_at": now_ms(),
        "status": "success",
        "outcome": "charged",
        "streamed": False,
        "usage": Usage(input_uncached=3, output_text=4),
        **more,
    }
    return UsageRecord(
        request_id=request,
        account_id=account,
        key_id=key,
        charge_nanos=charge,
        hold_nanos=charge if held is None else held,
        **facts,
    )
