"""The rules of money: what each move does to the books, decided without touching any database.

A `Book` is the part of the ledger that one batch needs, read under lock. `post` decides moves one
after the other and remembers what has to be written. The same rules serve both databases, and a
test plays them as a table.
"""

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec import Struct

from altyn.ledger.moves import (
    Balance,
    ChargeAboveHoldError,
    Deposit,
    FrozenError,
    Hold,
    HoldAlreadyResolvedError,
    HoldState,
    KeyLimitReachedError,
    Lose,
    Loss,
    Move,
    NoSuchAccountError,
    NotAffordableError,
    NotAnAmountError,
    Note,
    Record,
    Refund,
    RefundAboveChargeError,
    Resolve,
)
from altyn.money import Nanos

MAX_HOLD_MS = 15 * 60 * 1000
"""No hold lives longer, whoever owns it."""

MAX_UNKNOWN_MS = 10 * 60 * 1000
"""How long a provider is asked what became of an answer, before it is given up for lost."""


class Account(Struct):
    """A customer's account as the batch has left it so far."""

    id: int
    posted_nanos: Nanos
    held_nanos: Nanos
    deposited_nanos: Nanos
    used_nanos: Nanos
    chain_hash: str
    chain_length: int
    frozen: bool

    @property
    def balance(self) -> Balance:
        return Balance(self.posted_nanos, self.held_nanos)


class Spend(Struct):
    """What a key with a spend limit has used in one window."""

    spent_nanos: Nanos = 0
    held_nanos: Nanos = 0


class HeldAmount(NamedTuple):
    """An unresolved hold."""

    amount_nanos: Nanos
    account_id: int


class Entered(NamedTuple):
    """What an entry that is there already moved, and for whom."""

    amount_nanos: Nanos
    account_id: int | None


class Entry(NamedTuple):
    """One immutable row: *amount_nanos* goes from one account to another."""

    at: int
    debit_account_id: int
    credit_account_id: int
    amount_nanos: Nanos
    kind: str
    ref: str
    reason: str | None
    chain_account_id: int | None
    chain_number: int | None
    balance_after_nanos: Nanos | None
    chain_hash: str | None


class Book:
    """The accounts, holds and spends of one batch, and what has to be written in the end."""

    def __init__(self, *, operator: dict[str, int], at: int, replay: bool = False) -> None:
        self.operator = operator
        self.at = at
        # A batch whose commit is unknown is played again: what is there already is then a success.
        self.replay = replay
        self.accounts: dict[int, Account] = {}
        self.spends: dict[tuple[int, int], Spend] = {}
        self.holds: dict[str, HeldAmount] = {}
        self.references: dict[tuple[str, str], Entered] = {}
        self.recorded: dict[str, Nanos] = {}

        self.touched: set[int] = set()
        self.touched_spends: set[tuple[int, int]] = set()
        self.operator_nanos: dict[int, Nanos] = {}
        self.entries: list[Entry] = []
        self.opened: list[Hold] = []
        self.resolved: list[tuple[str]] = []
        self.unknown: list[tuple[str, HoldState, int]] = []
        self.notes: dict[str, Note] = {}
        self.records: list[object] = []

    def post(self, move: Move) -> Balance | None:
        """Decide one move. Raise a `RefusedMoveError` and change nothing if the books say no."""
        return _DECISIONS[type(move)](self, move)

    # Moves ------------------------------------------------------------------------------------

    def deposit(self, move: Deposit) -> Balance:
        account = self._account(move.account_id)
        if move.amount_nanos <= 0:
            raise NotAnAmountError
        if ("deposit", move.reference) in self.references:
            return account.balance
        source = self.operator[move.source]
        account.deposited_nanos += move.amount_nanos
        self._pay(account, source, move.amount_nanos, "deposit", move.reference, move.reason)
        return account.balance

    def hold(self, move: Hold) -> Balance:
        account = self._account(move.account_id)
        if self.replay and move.request_id in self.holds:
            return account.balance
        if move.request_id in self.recorded:
            # Its commit came to be, and while we looked for it somebody took us for dead.
            raise HoldAlreadyResolvedError
        if account.frozen:
            raise FrozenError
        if move.amount_nanos < 0:
            raise NotAnAmountError
        if move.amount_nanos > account.posted_nanos - account.held_nanos:
            raise NotAffordableError(account.balance)
        if move.key_window is not None:
            self._hold_on_key(move)
        account.held_nanos += move.amount_nanos
        self.touched.add(account.id)
        self.holds[move.request_id] = HeldAmount(move.amount_nanos, account.id)
        self.opened.append(move)
        return account.balance

    def resolve(self, move: Resolve) -> Balance:
        account = self._account(move.account_id)
        held = self.holds.get(move.request_id)
        if held is None or held.account_id != account.id:
            # While we looked for our commit a sweeper may have ended the hold, at another charge.
            ours = move.record is None or self.recorded.get(move.request_id) == move.charge_nanos
            if self.replay and ours:
                return account.balance
            raise HoldAlreadyResolvedError
        if move.charge_nanos > held.amount_nanos:
            raise ChargeAboveHoldError
        if move.charge_nanos < 0:
            raise NotAnAmountError
        if move.state == "unknown":
            self.unknown.append((move.request_id, move.state, self.at + MAX_UNKNOWN_MS))
            return account.balance
        del self.holds[move.request_id]
        if self.unknown:  # one batch changes a row once
            self.unknown = [row for row in self.unknown if row[0] != move.request_id]
        self.resolved.append((move.request_id,))
        self._release(account, held.amount_nanos, move)
        return account.balance

    def refund(self, move: Refund) -> Balance:
        account = self._account(move.account_id)
        if ("refund", move.request_id) in self.references:
            return account.balance
        if move.amount_nanos <= 0:
            raise NotAnAmountError
        charged = self.references.get(("settle", move.request_id))
        if charged is None or charged.account_id != account.id:
            raise RefundAboveChargeError
        if move.amount_nanos > charged.amount_nanos:
            raise RefundAboveChargeError
        account.used_nanos -= move.amount_nanos
        revenue = self.operator["revenue"]
        self._pay(account, revenue, move.amount_nanos, "refund", move.request_id, move.reason)
        return account.balance

    def lose(self, move: Lose) -> None:
        if move.loss.amount_nanos <= 0:
            raise NotAnAmountError
        known = (("loss", move.request_id), ("settle", move.request_id))
        if not any(reference in self.references for reference in known):
            self._lose(move.request_id, move.loss)

    def note(self, move: Note) -> None:
        self.notes[move.request_id] = move

    def record(self, move: Record) -> None:
        if move.request_id not in self.recorded:
            self.records.append(move.record)

    # Steps ------------------------------------------------------------------------------------

    def _account(self, account_id: int) -> Account:
        account = self.accounts.get(account_id)
        if account is None:
            raise NoSuchAccountError(account_id)
        return account

    def _hold_on_key(self, move: Hold) -> None:
        window = move.key_window
        assert window is not None
        key = (window.key_id, window.window_at)
        spend = self.spends.setdefault(key, Spend())
        used = spend.spent_nanos + spend.held_nanos
        if used + move.amount_nanos > window.limit_nanos:
            raise KeyLimitReachedError(spent_nanos=used, limit_nanos=window.limit_nanos)
        self._spend(key, spent=0, held=move.amount_nanos)

    def _spend(self, key: tuple[int, int], *, spent: Nanos, held: Nanos) -> None:
        spend = self.spends.setdefault(key, Spend())
        spend.spent_nanos += spent
        spend.held_nanos += held
        self.touched_spends.add(key)

    def _release(self, account: Account, amount_nanos: Nanos, move: Resolve) -> None:
        account.held_nanos -= amount_nanos
        self.touched.add(account.id)
        if move.key_id is not None and move.key_window_at is not None:
            key = (move.key_id, move.key_window_at)
            self._spend(key, spent=move.charge_nanos, held=-amount_nanos)
        if move.charge_nanos:
            account.used_nanos += move.charge_nanos
            revenue = self.operator["revenue"]
            self._pay(account, revenue, -move.charge_nanos, "settle", move.request_id, None)
        if move.loss is not None and move.loss.amount_nanos:
            self._lose(move.request_id, move.loss)
        if move.record is not None:
            self.records.append(move.record)

    def _pay(
        self,
        account: Account,
        other_id: int,
        nanos: Nanos,
        kind: str,
        ref: str,
        reason: str | None,
    ) -> None:
        """Write the entry between a customer and the operator: to the customer if positive."""
        account.posted_nanos += nanos
        account.chain_length += 1
        debit, credit = (other_id, account.id) if nanos > 0 else (account.id, other_id)
        account.chain_hash = chain_hash(
            account.chain_hash,
            number=account.chain_length,
            at=self.at,
            debit=debit,
            credit=credit,
            nanos=abs(nanos),
            kind=kind,
            ref=ref,
            balance_after=account.posted_nanos,
        )
        self.touched.add(account.id)
        self.references[kind, ref] = Entered(abs(nanos), account.id)
        self.operator_nanos[other_id] = self.operator_nanos.get(other_id, 0) - nanos
        self.entries.append(
            Entry(  # by place: by name is three times as dear, and this is made for every call
                self.at,
                debit,
                credit,
                abs(nanos),
                kind,
                ref,
                reason or None,
                account.id,
                account.chain_length,
                account.posted_nanos,
                account.chain_hash,
            )
        )

    def _lose(self, request_id: str, loss: Loss) -> None:
        debit, credit = self.operator["operator_loss"], self.operator["provider_cost"]
        self.references["loss", request_id] = Entered(loss.amount_nanos, None)
        for account_id, nanos in ((debit, -loss.amount_nanos), (credit, loss.amount_nanos)):
            self.operator_nanos[account_id] = self.operator_nanos.get(account_id, 0) + nanos
        entry = Entry(
            at=self.at,
            debit_account_id=debit,
            credit_account_id=credit,
            amount_nanos=loss.amount_nanos,
            kind="loss",
            ref=request_id,
            reason=loss.reason,
            chain_account_id=None,
            chain_number=None,
            balance_after_nanos=None,
            chain_hash=None,
        )
        self.entries.append(entry)


_DECISIONS: dict[type[Any], Callable[[Book, Any], Balance | None]] = {
    Resolve: Book.resolve,
    Hold: Book.hold,
    Note: Book.note,
    Record: Book.record,
    Deposit: Book.deposit,
    Refund: Book.refund,
    Lose: Book.lose,
}


def chain_hash(
    previous: str,
    *,
    number: int,
    at: int,
    debit: int,
    credit: int,
    nanos: Nanos,
    kind: str,
    ref: str,
    balance_after: Nanos,
) -> str:
    """The link after *previous*: changing any earlier entry of the account changes it."""
    words = f"{previous}|{number}|{at}|{debit}|{credit}|{nanos}|{kind}|{ref}|{balance_after}"
    return hashlib.sha256(words.encode()).hexdigest()
