"""Whatever anybody does, in whatever order: the books say what a few dictionaries say."""

import asyncio
import shutil
import tempfile
from collections.abc import Collection
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec import structs

from altyn.database.address import open_database
from altyn.database.engine import CommitUnknownError, StoreUnavailableError
from altyn.ledger import workers
from altyn.ledger import writer as writer_module
from altyn.ledger.audit import verify
from altyn.ledger.moves import (
    Balance,
    ChargeAboveHoldError,
    Deposit,
    FrozenError,
    HoldAlreadyResolvedError,
    KeyLimitReachedError,
    KeyWindow,
    Lose,
    Loss,
    NotAffordableError,
    Note,
    Refund,
    RefundAboveChargeError,
    Resolve,
)
from altyn.ledger.writer import Writer
from altyn.usage.record import record_changes
from fakes.books import Books, Unreliable, hold, settle

PEOPLE = 3
WINDOWS = 2
LIMIT = 60
AMOUNTS = st.integers(1, 100)
WHICH = st.integers(0, 1_000)
WHO = st.integers(0, PEOPLE - 1)
WINDOW = st.integers(0, WINDOWS - 1)
LOST = st.sampled_from(["lost", "unanswered"])


class Opened(NamedTuple):
    """A hold: who asked, how much, and in which window of the key's limit."""

    who: int
    nanos: int
    window: int


class Ledger(RuleBasedStateMachine):
    """Three people, one of whom has a key with a spend limit, on one SQLite file that fails."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.numbers = count(1)
        self.posted = [0] * PEOPLE
        self.held = [0] * PEOPLE
        self.frozen = [False] * PEOPLE
        self.spent = [0] * WINDOWS
        self.open: dict[str, Opened] = {}
        self.unknown: set[str] = set()
        self.orphans: set[str] = set()
        self.noted: dict[str, int] = {}
        self.charged: dict[str, tuple[int, int]] = {}
        self.refunded: set[str] = set()
        self.losses: dict[str, int] = {}
        self.references: list[tuple[str, int, int]] = []
        self.done: list[str] = []
        self.faults: list[str] = []
        self.looked_up = False

        self.runner = asyncio.Runner()
        self.home = Path(tempfile.mkdtemp())
        shutil.copy(self.template, self.home / "altyn.db")
        self.books = self.run(self.start())
        self.accounts = [self.run(self.books.add_account()) for _ in range(PEOPLE)]
        self.keys = [self.run(self.books.add_key(account)) for account in self.accounts]

    def teardown(self) -> None:
        self.run(self.check())
        self.run(self.books.database.close())
        self.runner.close()
        shutil.rmtree(self.home)

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def post(self, *moves: Any) -> list[Any]:
        """What the books answer, and in `looked_up` whether the commit had to be looked up."""

        async def together() -> list[Any]:
            return await asyncio.gather(*map(self.books.writer.post, moves), return_exceptions=True)

        self.looked_up = bool(self.faults)
        self.books.database.faults, self.faults = self.faults, []  # type: ignore[attr-defined]
        return self.run(together())

    async def start(self) -> Books:
        database: Any = Unreliable(open_database(f"sqlite:///{self.home / 'altyn.db'}"))
        await database.open()
        await database.write(workers.end_other_workers)
        owner = await database.write(workers.start_worker)
        return Books(database, Writer(database, owner=owner, record_changes=record_changes))

    async def check(self) -> None:
        audit = await verify(self.books.database)
        assert audit.findings == ()
        rows = await self.books.read("SELECT request_id, state, delivered_bytes FROM holds")
        assert set(rows) == {
            (name, "unknown" if name in self.unknown else "open", self.noted.get(name, 0))
            for name in self.open
        }
        for listed, expected in (
            (await workers.list_unknown(self.books.database), self.unknown),
            (await workers.list_abandoned(self.books.database), self.orphans - self.unknown),
        ):
            assert {hold.request_id for hold in listed} == expected & self.open.keys()
        losses = await self.books.read("SELECT ref, amount_nanos FROM entries WHERE kind = 'loss'")
        assert dict(losses) == self.losses
        spends = await self.books.read("SELECT window_at, spent_nanos, held_nanos FROM key_spends")
        assert {row for row in spends if any(row[1:])} == {
            (window, self.spent[window], self._held_in(window))
            for window in range(WINDOWS)
            if self.spent[window] or self._held_in(window)
        }

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

    @rule(who=WHO, nanos=AMOUNTS, window=WINDOW)
    def hold(self, who: int, nanos: int, window: int) -> None:
        opened = Opened(who, nanos, window)
        request = f"h{next(self.numbers)}"

        (answer,) = self.post(self._hold(request, opened))

        expected = self._why_not(opened)
        assert type(answer) is expected if expected else answer.held_nanos == self.held[who] + nanos
        if expected is None:
            self._open(request, opened)

    @rule(who=WHO, nanos=AMOUNTS, window=WINDOW)
    def hold_many_at_once(self, who: int, nanos: int, window: int) -> None:
        opened = Opened(who, nanos, window)
        requests = [f"h{next(self.numbers)}" for _ in range(4)]

        answers = self.post(*(self._hold(request, opened) for request in requests))

        for request, answer in zip(requests, answers, strict=True):
            expected = self._why_not(opened)
            assert isinstance(answer, Exception) == (expected is not None)
            if expected is None:
                self._open(request, opened)

    @precondition(lambda self: self.open)
    @rule(which=WHICH, part=st.integers(0, 100))
    def settle(self, which: int, part: int) -> None:
        request = self._one_of(self.open, which)
        opened = self.open[request]
        charge = opened.nanos * part // 100

        first, second = self.post(*[self._settle(request, opened, charge)] * 2)

        assert first.posted_nanos == self.posted[opened.who] - charge
        assert self._is_over(second)
        self._close(request, charge)

    @precondition(lambda self: self.open)
    @rule(which=WHICH, loss=st.integers(0, 100))
    def void_at_a_loss(self, which: int, loss: int) -> None:
        request = self._one_of(self.open, which)
        opened = self.open[request]
        resolve = self._settle(request, opened, 0)

        (answer,) = self.post(structs.replace(resolve, loss=Loss(loss, "free_broken")))

        assert answer.held_nanos == self.held[opened.who] - opened.nanos
        self._close(request, 0)
        if loss:
            self.losses[request] = loss

    @precondition(lambda self: self.open)
    @rule(which=WHICH)
    def settle_above_the_hold(self, which: int) -> None:
        request = self._one_of(self.open, which)
        opened = self.open[request]

        (answer,) = self.post(self._settle(request, opened, opened.nanos + 1))

        assert isinstance(answer, ChargeAboveHoldError)

    @precondition(lambda self: self.done)
    @rule(which=WHICH, charge=st.integers(0, 100))
    def settle_what_is_over(self, which: int, charge: int) -> None:
        request = self._one_of(self.done, which)

        (answer,) = self.post(self._settle(request, Opened(0, charge, 0), charge))

        assert self._is_over(answer)

    @precondition(lambda self: self.open)
    @rule(which=WHICH)
    def ask_the_provider(self, which: int) -> None:
        request = self._one_of(self.open, which)
        account = self.accounts[self.open[request].who]

        self.post(Resolve(request_id=request, account_id=account, state="unknown"))

        self.unknown.add(request)

    @precondition(lambda self: self.open)
    @rule(which=WHICH, sent=st.integers(0, 9_000))
    def note(self, which: int, sent: int) -> None:
        request = self._one_of(self.open, which)

        self.post(
            Note(request_id=request, provider="p", upstream_id="u", delivered_bytes=sent + 1),
            Note(request_id=request, provider="p", upstream_id="u", delivered_bytes=sent),
        )

        self.noted[request] = sent

    @precondition(lambda self: self.done)
    @rule(which=WHICH)
    def note_what_is_over(self, which: int) -> None:
        request = self._one_of(self.done, which)

        self.post(Note(request_id=request, provider="p", upstream_id=None, delivered_bytes=1))

    @precondition(lambda self: self.done)
    @rule(which=WHICH, nanos=AMOUNTS)
    def lose(self, which: int, nanos: int) -> None:
        request = self._one_of(self.done, which)
        move = Lose(request_id=request, loss=Loss(nanos, "settled_late"))

        assert self.post(move, move) == [None, None]

        if request not in self.charged:
            self.losses.setdefault(request, nanos)

    @precondition(lambda self: self.charged)
    @rule(which=WHICH, part=st.integers(0, 101), by=WHO)
    def refund(self, which: int, part: int, by: int) -> None:
        request = self._one_of(self.charged, which)
        who, charge = self.charged[request]
        nanos = charge + 1 if part > 100 else max(1, charge * part // 100)
        move = Refund(account_id=self.accounts[by], amount_nanos=nanos, request_id=request)

        answers = self.post(move, move)

        if request in self.refunded:
            assert [answer.posted_nanos for answer in answers] == [self.posted[by]] * 2
        elif by != who or nanos > charge:
            assert [type(answer) for answer in answers] == [RefundAboveChargeError] * 2
        else:
            self.refunded.add(request)
            self.posted[who] += nanos

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
        self.orphans = set(self.open)

    # What can fail ----------------------------------------------------------------------------

    @rule(fault=LOST)
    def let_the_next_commit_go_unanswered(self, fault: str) -> None:
        self.faults = [fault]

    @rule(who=WHO, nanos=AMOUNTS)
    def deposit_while_the_store_is_away(self, who: int, nanos: int) -> None:
        self.faults = ["down"]

        (answer,) = self.post(self._deposit(f"r{next(self.numbers)}", who, nanos))

        assert type(answer) is StoreUnavailableError

    @rule(fault=LOST, who=WHO, nanos=AMOUNTS, window=WINDOW)
    def hold_and_never_hear_of_it(self, fault: str, who: int, nanos: int, window: int) -> None:
        self.faults = [fault, *["down"] * writer_module.REPLAYS]
        request = f"h{next(self.numbers)}"

        (answer,) = self.post(self._hold(request, Opened(who, nanos, window)))

        assert type(answer) is CommitUnknownError
        self.run(self._wait_for_voids())
        self.done.append(request)

    async def _wait_for_voids(self) -> None:
        await asyncio.gather(*self.books.writer._voiding)

    # What must be so --------------------------------------------------------------------------

    @invariant()
    def balances_are_as_expected(self) -> None:
        balances = [self.run(self.books.balance(account)) for account in self.accounts]
        assert balances == list(zip(self.posted, self.held, strict=True))

    # Words ------------------------------------------------------------------------------------

    def _one_of(self, names: Collection[str], which: int) -> str:
        return list(names)[which % len(names)]

    def _deposit(self, reference: str, who: int, nanos: int) -> Deposit:
        return Deposit(account_id=self.accounts[who], amount_nanos=nanos, reference=reference)

    def _window(self, opened: Opened) -> KeyWindow | None:
        return KeyWindow(self.keys[0], opened.window, LIMIT) if opened.who == 0 else None

    def _hold(self, request: str, opened: Opened) -> Any:
        account, key = self.accounts[opened.who], self.keys[opened.who]
        return hold(account, key, request, opened.nanos, window=self._window(opened))

    def _settle(self, request: str, opened: Opened, charge: int) -> Any:
        account, key = self.accounts[opened.who], self.keys[opened.who]
        held, window = max(charge, opened.nanos), self._window(opened)
        return settle(account, key, request, charge, held=held, window=window)

    def _held_in(self, window: int) -> int:
        mine = (opened for opened in self.open.values() if opened.who == 0)
        return sum(opened.nanos for opened in mine if opened.window == window)

    def _why_not(self, asked: Opened) -> type[Exception] | None:
        if self.frozen[asked.who]:
            return FrozenError
        if asked.nanos > self.posted[asked.who] - self.held[asked.who]:
            return NotAffordableError
        used = self.spent[asked.window] + self._held_in(asked.window)
        if asked.who == 0 and used + asked.nanos > LIMIT:
            return KeyLimitReachedError
        return None

    def _is_over(self, answer: Any) -> bool:
        """Who looks a commit up may take a hold that is gone for his own work."""
        taken = self.looked_up and isinstance(answer, Balance)
        return taken or isinstance(answer, HoldAlreadyResolvedError)

    def _open(self, request: str, opened: Opened) -> None:
        self.open[request] = opened
        self.held[opened.who] += opened.nanos

    def _close(self, request: str, charge: int) -> None:
        opened = self.open.pop(request)
        self.held[opened.who] -= opened.nanos
        self.posted[opened.who] -= charge
        self.spent[opened.window] += charge if opened.who == 0 else 0
        self.unknown.discard(request)
        self.done.append(request)
        if charge:
            self.charged[request] = (opened.who, charge)


@pytest.mark.slow
def test_whatever_happens_the_books_are_right(sqlite_template, monkeypatch):
    monkeypatch.setattr(writer_module, "REPLAY_PAUSE_S", 0)
    monkeypatch.setattr(writer_module, "VOID_PAUSE_S", 0)
    Ledger.template = sqlite_template
    test = Ledger.TestCase()
    test.settings = settings(
        max_examples=12, stateful_step_count=50, deadline=None, database=None, derandomize=True
    )

    test.runTest()
