"""Read the part of the ledger that a batch needs, and write what the book decided."""

from collections.abc import Callable, Sequence
from typing import Any

from altyn.database.bulk import Change, rows
from altyn.database.engine import Transaction, now_ms
from altyn.ledger.book import MAX_HOLD_MS, Account, Book, Entered, HeldAmount, Spend
from altyn.ledger.moves import (
    OPERATOR_KINDS,
    Deposit,
    Hold,
    Lose,
    Move,
    Record,
    Refund,
    Resolve,
)

RecordChanges = Callable[[Sequence[Any]], list[Change]]
"""Says how usage records are written. They are another package's, and true with the same commit."""

ACCOUNTS = rows(
    "accounts",
    "id",
    "id, posted_nanos, held_nanos, deposited_nanos, used_nanos, chain_hash text, chain_length,"
    " frozen_at",
)
ACCOUNTS_CHANGED = rows(
    "accounts",
    "id",
    "id, posted_nanos, held_nanos, deposited_nanos, used_nanos, chain_hash text, chain_length",
)
OPERATORS_CHANGED = rows("accounts", "id", "id, posted_nanos")
HOLDS = rows("holds", "request_id", "request_id text, amount_nanos, account_id")
HOLDS_OPENED = rows(
    "holds",
    "request_id",
    "request_id text, account_id, key_id, amount_nanos, state text, key_window_at, attempt text,"
    " model text, price_id, input_bound, streamed, worker_id, created_at, lease_expires_at,"
    " markup_ppm",
)
HOLDS_UNKNOWN = rows("holds", "request_id", "request_id text, state text, lease_expires_at")
HOLDS_NOTED = rows(
    "holds",
    "request_id",
    "request_id text, attempt text, provider text, upstream_id text, delivered_bytes",
)
SPENDS = rows("key_spends", "key_id, window_at", "key_id, window_at, spent_nanos, held_nanos")
REFERENCES = rows("entries", "kind, ref", "kind text, ref text, amount_nanos, chain_account_id")
RECORDED = rows("usage_records", "request_id", "request_id text, charge_nanos")
ENTRIES = rows(
    "entries",
    "id",
    "at, debit_account_id, credit_account_id, amount_nanos, kind text, ref text, reason text,"
    " chain_account_id, chain_number, balance_after_nanos, chain_hash text",
)


async def find_operator_accounts(tx: Transaction, shard: int) -> dict[str, int]:
    """The operator's own accounts of one shard, made if they are not there yet."""
    for kind in OPERATOR_KINDS:
        await tx.execute(
            "INSERT INTO accounts (kind, shard, name, created_at) VALUES ($1, $2, $1, $3)"
            " ON CONFLICT (kind, shard) WHERE kind <> 'customer' DO NOTHING",
            kind,
            shard,
            now_ms(),
        )
    found = await tx.fetch(
        "SELECT kind, id FROM accounts WHERE kind <> 'customer' AND shard = $1", shard
    )
    return {str(kind): int(number) for kind, number in found}


async def load(tx: Transaction, book: Book, moves: Sequence[Move]) -> None:
    """Lock the accounts of *moves* in the order of their ids, then read what belongs to them.

    The locks come first and alone: whatever is read after them cannot change until the commit.
    """
    account_ids, hold_ids, spend_keys, references, record_ids = _needs(moves, replay=book.replay)
    for number, posted, held, deposited, used, link, length, frozen_at in await tx.fetch_rows(
        ACCOUNTS, account_ids, lock=True
    ):
        book.accounts[number] = Account(
            number, posted, held, deposited, used, link or "", length, frozen_at is not None
        )
    for request_id, amount_nanos, account_id in await tx.fetch_rows(HOLDS, hold_ids):
        book.holds[request_id] = HeldAmount(amount_nanos, account_id)
    for key_id, window_at, spent_nanos, held_nanos in await tx.fetch_rows(SPENDS, spend_keys):
        book.spends[key_id, window_at] = Spend(spent_nanos, held_nanos)
    for kind, ref, amount_nanos, account_id in await tx.fetch_rows(REFERENCES, references):
        book.references[kind, ref] = Entered(amount_nanos, account_id)
    for request_id, charge_nanos in await tx.fetch_rows(RECORDED, record_ids):
        book.recorded[request_id] = charge_nanos


Keys = list[tuple[object, ...]]


def _needs(moves: Sequence[Move], *, replay: bool) -> tuple[Keys, Keys, Keys, Keys, Keys]:
    account_ids: set[int] = set()
    hold_ids: Keys = []
    spend_keys: set[tuple[int, int]] = set()
    references: set[tuple[str, str]] = set()
    record_ids: Keys = []
    for move in moves:
        references.update(_references(move))
        match move:
            case Hold():
                account_ids.add(move.account_id)
                if move.key_window is not None:
                    spend_keys.add((move.key_window.key_id, move.key_window.window_at))
                if replay:
                    hold_ids.append((move.request_id,))
                    record_ids.append((move.request_id,))
            case Resolve():
                account_ids.add(move.account_id)
                hold_ids.append((move.request_id,))
                if move.key_id is not None and move.key_window_at is not None:
                    spend_keys.add((move.key_id, move.key_window_at))
                if replay:
                    record_ids.append((move.request_id,))
            case Deposit() | Refund():
                account_ids.add(move.account_id)
            case Record() if replay:
                record_ids.append((move.request_id,))
    accounts: Keys = [(number,) for number in sorted(account_ids)]
    return accounts, hold_ids, list(spend_keys), list(references), record_ids


def _references(move: Move) -> tuple[tuple[str, str], ...]:
    """The entries, by kind and cause, on which a move depends."""
    match move:
        case Deposit():
            return (("deposit", move.reference),)
        case Refund():
            return (("refund", move.request_id), ("settle", move.request_id))
        case Lose():
            return (("loss", move.request_id), ("settle", move.request_id))
        case _:
            return ()


async def save(
    tx: Transaction, book: Book, *, worker_id: int | None, record_changes: RecordChanges
) -> None:
    """Write what *book* decided."""
    await tx.change_rows(
        [
            Change("update", ACCOUNTS_CHANGED, _accounts(book)),
            Change("increase", OPERATORS_CHANGED, sorted(book.operator_nanos.items())),
            Change("put", SPENDS, _spends(book)),
            Change("insert", HOLDS_OPENED, _holds(book, worker_id)),
            Change("update", HOLDS_UNKNOWN, book.unknown),
            Change("update", HOLDS_NOTED, _notes(book)),
            Change("delete", HOLDS, book.resolved),
            Change("insert", ENTRIES, book.entries),
            *record_changes(book.records),
        ]
    )


def _accounts(book: Book) -> list[tuple[Any, ...]]:
    return [
        (
            account.id,
            account.posted_nanos,
            account.held_nanos,
            account.deposited_nanos,
            account.used_nanos,
            account.chain_hash,
            account.chain_length,
        )
        for account in (book.accounts[number] for number in sorted(book.touched))
    ]


def _spends(book: Book) -> list[tuple[Any, ...]]:
    spends = [(key, book.spends[key]) for key in sorted(book.touched_spends)]
    return [(*key, spend.spent_nanos, spend.held_nanos) for key, spend in spends]


def _holds(book: Book, worker_id: int | None) -> list[tuple[Any, ...]]:
    return [
        (
            hold.request_id,
            hold.account_id,
            hold.key_id,
            hold.amount_nanos,
            "open",
            hold.key_window.window_at if hold.key_window else None,
            "prepared",
            hold.model,
            hold.price_id,
            hold.input_bound,
            int(hold.streamed),
            worker_id,
            book.at,
            book.at + MAX_HOLD_MS,
            hold.markup_ppm,
        )
        for hold in book.opened
    ]


def _notes(book: Book) -> list[tuple[Any, ...]]:
    # A hold that ends in this very batch needs no note, and no row may be changed twice.
    ended = {row[0] for row in (*book.resolved, *book.unknown)}
    return [
        (note.request_id, "sent", note.provider, note.upstream_id, note.delivered_bytes)
        for note in book.notes.values()
        if note.request_id not in ended
    ]
