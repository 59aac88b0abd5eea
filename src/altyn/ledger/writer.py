"""Group commit: one durable transaction for everything that arrived while the last one ran.

A hold or a settlement costs a sync of the disk when it is alone, and a share of one under load.
Settlements come first in a batch, because they give money back that a hold behind them may need.
"""

import asyncio
from collections.abc import Sequence
from functools import partial

import structlog
from msgspec import Struct, field

from altyn.crashpoints import reach
from altyn.database.clock import Clock
from altyn.database.engine import (
    CommitUnknownError,
    Database,
    StoreUnavailableError,
    Transaction,
)
from altyn.ledger import store
from altyn.ledger.book import Book
from altyn.ledger.moves import (
    Balance,
    Hold,
    HoldAlreadyResolvedError,
    Move,
    Note,
    RefusedMoveError,
    Resolve,
)
from altyn.ledger.store import RecordChanges

log = structlog.get_logger("altyn.ledger")

BATCH_MAX = 256
"""Moves in one transaction: large enough to share a sync, small enough not to delay anyone."""
GATHER_TURNS = 6
"""Turns of the loop that a batch may still grow in."""

REPLAYS = 5
"""How often a batch with an unknown commit is looked at again before its moves fail."""

REPLAY_PAUSE_S = 1.0
"""Before the second look; each further pause is longer by as much."""

VOID_PAUSE_S = 2.0
"""Before a hold whose commit stayed unknown is voided, and between two tries."""

Answer = Balance | None | RefusedMoveError


class Owner(Struct, frozen=True):
    """The process that owns the holds it opens: its row in `workers`, its operator accounts."""

    worker_id: int | None
    operator: dict[str, int]
    clock: Clock = field(default_factory=Clock)


class _Waiting(Struct):
    move: Move
    future: "asyncio.Future[Balance | None]"


class Writer:
    """The only way money moves. One for each process."""

    def __init__(self, database: Database, *, owner: Owner, record_changes: RecordChanges) -> None:
        self.database = database
        self.owner = owner
        self.record_changes = record_changes
        self.commits = 0
        self.moves = 0
        self._waiting: list[_Waiting] = []
        self._committing: asyncio.Task[None] | None = None
        self._voiding: set[asyncio.Task[None]] = set()

    def post(self, move: Move) -> "asyncio.Future[Balance | None]":
        """Have *move* decided and committed; await the answer.

        Raises a `RefusedMoveError` when the books say no, `StoreUnavailableError` when nothing can
        be written now: nothing has changed. Only `CommitUnknownError`, after several looks at a
        database that stayed away, leaves open whether the move was made.
        """
        future: asyncio.Future[Balance | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(move, future))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all())
        return future

    def tell(self, note: Note) -> None:
        """Write a note with the next commit. Nobody waits, and a lost note is only a lost note."""
        self.post(note).add_done_callback(_ignore)

    async def drain(self) -> None:
        """Wait until everything that was posted is committed."""
        while self._committing is not None:
            await asyncio.shield(self._committing)

    async def _commit_all(self) -> None:
        try:
            while self._waiting:
                await self._gather()
                batch, self._waiting = self._waiting[:BATCH_MAX], self._waiting[BATCH_MAX:]
                batch.sort(key=_settlements_first)
                await self._commit(batch)
        finally:
            self._committing = None

    async def _gather(self) -> None:
        """Let whatever the loop has in hand post its moves first: they share this commit.

        A batch costs as much as some twenty of its moves. Whoever is alone waits for one turn of
        the loop; under load batches of 28 became 43, and a call a tenth cheaper.
        """
        for _ in range(GATHER_TURNS):
            before = len(self._waiting)
            await asyncio.sleep(0)
            if len(self._waiting) == before:
                return

    async def _commit(
        self, batch: Sequence[_Waiting], *, replay: bool = False, alone: bool = False
    ) -> None:
        moves = [waiting.move for waiting in batch]
        try:
            answers = await (self._replay(moves) if replay else self._write(moves, replay=False))
        except StoreUnavailableError as error:
            if isinstance(error, CommitUnknownError) and not replay:
                log.warning("commit_unknown", moves=len(batch), why=error.detail)
                await self._commit(batch, replay=True, alone=alone)
            else:
                _fail_all(batch, error)
                if isinstance(error, CommitUnknownError):
                    log.error("commit_stays_unknown", moves=len(batch))  # noqa: TRY400 -- told before, with its cause
                    self._give_back(moves)
        except Exception as error:  # noqa: BLE001 -- it is raised where the move was posted
            if alone:
                _fail_all(batch, error)
            else:
                await self._commit_one_by_one(batch, replay=replay)
        else:
            for waiting, answer in zip(batch, answers, strict=True):
                self._answer(waiting, answer)

    def _give_back(self, moves: Sequence[Move]) -> None:
        """Void the holds whose commit stayed unknown: their callers were refused all the same."""
        for move in moves:
            if isinstance(move, Hold):
                task = asyncio.create_task(self._void_when_there(move))
                self._voiding.add(task)
                task.add_done_callback(self._voiding.discard)

    async def _void_when_there(self, hold: Hold) -> None:
        while True:
            await asyncio.sleep(VOID_PAUSE_S)
            try:
                await self.post(void(hold))
            except HoldAlreadyResolvedError:
                return  # it never came to be, or a sweeper was first
            except StoreUnavailableError:
                continue
            else:
                return

    def _answer(self, waiting: _Waiting, answer: Answer) -> None:
        move, future = waiting.move, waiting.future
        if isinstance(answer, RefusedMoveError):
            _fail(waiting, answer)
        elif not future.done():
            future.set_result(answer)
        elif isinstance(move, Hold):
            # Whoever asked was cancelled before the answer: nobody will start the attempt, and the
            # money must not stay set aside for it.
            self.post(void(move)).add_done_callback(_ignore)

    async def _commit_one_by_one(self, batch: Sequence[_Waiting], *, replay: bool) -> None:
        # One move that the database itself refuses must not take the others down with it. A batch
        # of one is tried again as well: another process may have used its reference meanwhile.
        for waiting in batch:
            await self._commit([waiting], replay=replay, alone=True)

    async def _write(self, moves: Sequence[Move], *, replay: bool) -> Sequence[Answer]:
        answers = await self.database.write(partial(self._post, moves, replay=replay))
        reach("batch committed")
        self.commits += 1
        self.moves += len(moves)
        return answers

    async def _replay(self, moves: Sequence[Move]) -> Sequence[Answer]:
        """Find out what became of a commit that was never answered, and do what is missing.

        Each move is known by its id, so one that is there already counts as done.
        """
        for pause in range(REPLAYS):
            await asyncio.sleep(pause * REPLAY_PAUSE_S)
            try:
                return await self._write(moves, replay=True)
            except StoreUnavailableError as error:
                self._refuse_new_holds(error)
        raise CommitUnknownError("a commit was not answered, and the database stayed away")

    def _refuse_new_holds(self, error: StoreUnavailableError) -> None:
        """Who only now wants to begin is told at once, and need not wait for all the looks."""
        holds = [waiting for waiting in self._waiting if isinstance(waiting.move, Hold)]
        self._waiting = [one for one in self._waiting if not isinstance(one.move, Hold)]
        _fail_all(holds, StoreUnavailableError(error.detail))

    async def _post(
        self, moves: Sequence[Move], tx: Transaction, *, replay: bool
    ) -> Sequence[Answer]:
        book = Book(operator=self.owner.operator, at=self.owner.clock.now_ms(), replay=replay)
        await store.load(tx, book, moves)
        reach("batch loaded")
        answers = [_decide(book, move) for move in moves]
        await store.save(
            tx, book, worker_id=self.owner.worker_id, record_changes=self.record_changes
        )
        reach("batch saved")
        return answers


def void(hold: Hold) -> Resolve:
    """The move that gives a whole hold back."""
    return Resolve(
        request_id=hold.request_id,
        account_id=hold.account_id,
        state="voided",
        key_id=hold.key_id,
        key_window_at=hold.key_window.window_at if hold.key_window else None,
    )


def _decide(book: Book, move: Move) -> Answer:
    try:
        return book.post(move)
    except RefusedMoveError as refusal:
        return refusal


def _settlements_first(waiting: _Waiting) -> bool:
    return not isinstance(waiting.move, Resolve)


def _fail_all(batch: Sequence[_Waiting], error: Exception) -> None:
    for waiting in batch:
        _fail(waiting, error)


def _fail(waiting: _Waiting, error: Exception) -> None:
    if not waiting.future.done():
        waiting.future.set_exception(error)


def _ignore(future: "asyncio.Future[Balance | None]") -> None:
    future.exception()
