"""Whatever anybody does, in whatever order: the books say what a few dictionaries say."""

import asyncio
import shutil
import tempfile
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from altyn.database.address import open_database
from altyn.database.engine import Database
from altyn.ledger import workers
from altyn.ledger.audit import verify
from altyn.ledger.moves import (
    ChargeAboveHoldError,
    Deposit,
    FrozenError,
    HoldAlreadyResolvedError,
    KeyLimitReachedError,
    KeyWindow,
    NotAffordableError,
    Refund,
    RefundAboveChargeError,
)
from altyn.ledger.writer import Writer
from altyn.usage.record import record_changes
from fakes.books import Books, hold, settle

PEOPLE = 3
LIMIT = 150
AMOUNTS = st.integers(1, 100)
WHICH = st.integers(0, 1_000)
WHO = st.integers(0, PEOPLE - 1)


class Ledger(RuleBasedStateMachine):
    """Three people, one of whom has a key with a spend limit, on one SQLite file."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.numbers = count(1)
        self.posted = [0] * PEOPLE
        self.held = [0] * PEOPLE
        self.frozen = [False] * PEOPLE
        self.spent = 0
        self.open: dict[str, tuple[int, int]] = {}
        self.charged: dict[str, tuple[int, int]] = {}
        self.references: list[tuple[str, int, int]] = []
        self.done: list[str] = []

        self.runner = asyncio.Runner()
        self.home = Path(tempfile.mkdtemp())
        shutil.copy(self.template, self.home / "altyn.db")
        self.books = self.run(self.start())
        self.accounts = [self.run(self.books.add_account()) for _ in range(PEOPLE)]
        self.keys = [self.run(self.books.add_key(account)) for account in self.accounts]
        self.window = KeyWindow(self.keys[0], 0, LIMIT)

    def teardown(self) -> None:
        self.run(self.check())
        self.run(self.books.database.close())
        self.runner.close()
        shutil.rmtree(self.home)

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def post(self, *moves: Any) -> list[Any]:
        async def together() -> list[Any]:
            return await asyncio.gather(*map(self.books.writer.post, moves), return_exceptions=True)

        return self.run(together())

    async def start(self) -> Books:
        database: Database = open_database(f"sqlite:///{self.home / 'altyn.db'}")
        await database.open()
        await database.write(workers.end_other_workers)
        owner = await database.write(workers.start_worker)
        return Books(database, Writer(database, owner=owner, record_changes=record_changes))

    async def check(self) -> None:
        audit = await verify(self.books.database)
        assert audit.findings == ()
        assert audit.holds == len(self.open)

    # What can happen --------------------------------------------------------------------------

    @rule(who=WHO, nanos=AMOUNTS)
    def deposit(self, who: int, nanos: int) -> None:
        reference = f"r{next(self.numbers)}"

        self.post(self._deposit(reference, who, nanos))

        self.posted[who] += nanos
        self.references.append((reference, who, nanos))

    @precondition(lambda self: self.references)
    @rule(which=WHICH)
    def deposit_again(self, which: int) -> None:
        self.post(self._deposit(*self.references[which % len(self.references)]))

    @rule(who=WHO, nanos=AMOUNTS)
    def hold(self, who: int, nanos: int) -> None:
        request = f"h{next(self.numbers)}"

        (answer,) = self.post(self._hold(request, who, nanos))

        expected = self._why_not(who, nanos)
        assert type(answer) is expected if expected else answer.held_nanos == self.held[who] + nanos
        if expected is None:
            self.open[request] = (who, nanos)
            self.held[who] += nanos

    @rule(who=WHO, nanos=AMOUNTS)
    def hold_many_at_once(self, who: int, nanos: int) -> None:
        requests = [f"h{next(self.numbers)}" for _ in range(4)]

        answers = self.post(*(self._hold(request, who, nanos) for request in requests))

        for request, answer in zip(requests, answers, strict=True):
            expected = self._why_not(who, nanos)
            assert isinstance(answer, Exception) == (expected is not None)
            if expected is None:
                self.open[request] = (who, nanos)
                self.held[who] += nanos

    @precondition(lambda self: self.open)
    @rule(which=WHICH, part=st.integers(0, 100))
    def settle(self, which: int, part: int) -> None:
        request = list(self.open)[which % len(self.open)]
        who, nanos = self.open[request]
        charge = nanos * part // 100

        first, second = self.post(*[self._settle(request, who, charge, nanos)] * 2)

        assert first.posted_nanos == self.posted[who] - charge
        assert isinstance(second, HoldAlreadyResolvedError)
        self._close(request, charge)

    @precondition(lambda self: self.open)
    @rule(which=WHICH)
    def settle_above_the_hold(self, which: int) -> None:
        request = list(self.open)[which % len(self.open)]
        who, nanos = self.open[request]

        (answer,) = self.post(self._settle(request, who, nanos + 1, nanos + 1))

        assert isinstance(answer, ChargeAboveHoldError)

    @precondition(lambda self: self.done)
    @rule(which=WHICH, charge=st.integers(0, 100))
    def settle_what_is_over(self, which: int, charge: int) -> None:
        request = self.done[which % len(self.done)]

        (answer,) = self.post(self._settle(request, 0, charge, charge))

        assert isinstance(answer, HoldAlreadyResolvedError)

    @precondition(lambda self: self.charged)
    @rule(which=WHICH, more=st.integers(0, 1))
    def refund(self, which: int, more: int) -> None:
        request = list(self.charged)[which % len(self.charged)]
        who, charge = self.charged[request]
        move = Refund(account_id=self.accounts[who], amount_nanos=charge + more, request_id=request)

        first, _ = self.post(move, move)

        if more:
            assert isinstance(first, RefundAboveChargeError)
        else:
            del self.charged[request]
            self.posted[who] += charge

    @rule(who=WHO)
    def freeze_or_thaw(self, who: int) -> None:
        self.frozen[who] = not self.frozen[who]
        self.run(
            self.books.change(
                "UPDATE accounts SET frozen_at = $2 WHERE id = $1",
                self.accounts[who],
                1 if self.frozen[who] else None,
            )
        )

    @rule()
    def restart(self) -> None:
        self.run(self.books.database.close())
        self.books = self.run(self.start())

    # What must be so --------------------------------------------------------------------------

    @invariant()
    def balances_are_as_expected(self) -> None:
        balances = [self.run(self.books.balance(account)) for account in self.accounts]
        assert balances == list(zip(self.posted, self.held, strict=True))

    # Words ------------------------------------------------------------------------------------

    def _deposit(self, reference: str, who: int, nanos: int) -> Deposit:
        return Deposit(account_id=self.accounts[who], amount_nanos=nanos, reference=reference)

    def _hold(self, request: str, who: int, nanos: int) -> Any:
        window = self.window if who == 0 else None
        return hold(self.accounts[who], self.keys[who], request, nanos, window=window)

    def _settle(self, request: str, who: int, charge: int, held: int) -> Any:
        window = self.window if who == 0 else None
        account, key = self.accounts[who], self.keys[who]
        return settle(account, key, request, charge, held=held, window=window)

    def _why_not(self, who: int, nanos: int) -> type[Exception] | None:
        if self.frozen[who]:
            return FrozenError
        if nanos > self.posted[who] - self.held[who]:
            return NotAffordableError
        if who == 0 and self.spent + self.held[0] + nanos > LIMIT:
            return KeyLimitReachedError
        return None

    def _close(self, request: str, charge: int) -> None:
        who, nanos = self.open.pop(request)
        self.held[who] -= nanos
        self.posted[who] -= charge
        self.spent += charge if who == 0 else 0
        self.done.append(request)
        if charge:
            self.charged[request] = (who, charge)


@pytest.mark.slow
def test_whatever_happens_the_books_are_right(sqlite_template):
    Ledger.template = sqlite_template
    test = Ledger.TestCase()
    test.settings = settings(
        max_examples=16, stateful_step_count=25, deadline=None, database=None, derandomize=True
    )

    test.runTest()
