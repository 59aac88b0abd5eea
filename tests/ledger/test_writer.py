"""The writer on real databases: many at once, refusals, outages, and commits nobody answered."""

import asyncio
import gc
from typing import Any

import pytest
from structlog.testing import capture_logs

from altyn.database.engine import CommitUnknownError, StoreUnavailableError
from altyn.ledger import store
from altyn.ledger import writer as writer_module
from altyn.ledger.moves import (
    Deposit,
    Hold,
    HoldAlreadyResolvedError,
    KeyLimitReachedError,
    KeyWindow,
    Lose,
    Loss,
    NotAffordableError,
    NotAnAmountError,
    Note,
    Record,
    Refund,
    Resolve,
)
from fakes.books import Books, Unreliable, hold, open_books, record, settle
from fakes.ledger_process import start


@pytest.fixture
def unreliable(books: Books, monkeypatch: pytest.MonkeyPatch) -> Unreliable:
    monkeypatch.setattr(writer_module, "REPLAY_PAUSE_S", 0)
    books.writer.database = unreliable = Unreliable(books.database)
    return unreliable


async def together(books: Books, *moves: Any) -> list[Any]:
    return await asyncio.gather(*map(books.writer.post, moves), return_exceptions=True)


# Batches --------------------------------------------------------------------------------------


async def test_moves_that_arrive_together_are_committed_together(books):
    account = await books.add_account(1_000)
    key = await books.add_key(account)
    commits = books.writer.commits

    await together(books, *(hold(account, key, f"h{number}", 1) for number in range(200)))

    assert books.writer.commits - commits <= 2
    assert await books.balance(account) == (1_000, 200)


async def test_no_transaction_has_more_than_256_moves(books, monkeypatch):
    account = await books.add_account(1_000)
    key = await books.add_key(account)
    sizes = []
    commit = books.writer._commit

    async def counted(batch: Any, **how: Any) -> None:
        sizes.append(len(batch))
        await commit(batch, **how)

    monkeypatch.setattr(books.writer, "_commit", counted)
    await together(books, *(hold(account, key, f"h{number}", 1) for number in range(300)))

    assert sizes == [256, 44]


async def test_commits_and_their_moves_are_counted_from_zero(books):
    assert (books.writer.commits, books.writer.moves) == (0, 0)
    account = await books.add_account()

    await together(
        books,
        *(Deposit(account_id=account, amount_nanos=5, reference=name) for name in ("r1", "r2")),
    )

    assert (books.writer.commits, books.writer.moves) == (1, 2)


async def test_a_batch_waits_for_what_the_loop_has_in_hand(books):
    account = await books.add_account(1_000)
    key = await books.add_key(account)
    commits = books.writer.commits

    asked = await post_one_each_turn(books, account, key, turns=3)
    await asyncio.gather(*asked)

    assert books.writer.commits - commits == 1


async def test_a_move_that_is_alone_waits_for_one_turn_of_the_loop(books, monkeypatch):
    account = await books.add_account()
    turns = []
    sleep = asyncio.sleep

    async def counted(seconds: float) -> None:
        turns.append(seconds)
        await sleep(seconds)

    monkeypatch.setattr(writer_module.asyncio, "sleep", counted)

    await books.writer.post(Deposit(account_id=account, amount_nanos=5, reference="r1"))

    assert turns == [0]


async def test_a_batch_that_keeps_growing_goes_all_the_same(books):
    account = await books.add_account(1_000)
    key = await books.add_key(account)
    commits = books.writer.commits

    asked = await post_one_each_turn(books, account, key, turns=3 * writer_module.GATHER_TURNS)
    await asyncio.gather(*asked)

    assert books.writer.commits - commits > 1


async def test_a_batch_may_grow_for_six_turns_of_the_loop(books, monkeypatch):
    account = await books.add_account(1_000)
    key = await books.add_key(account)
    sizes = []

    async def counted(moves: Any, **_: Any) -> list[None]:
        sizes.append(len(moves))
        return [None] * len(moves)

    monkeypatch.setattr(books.writer, "_write", counted)
    asked = await post_one_each_turn(books, account, key, turns=30)
    await asyncio.gather(*asked)

    # The first is there before the first turn, and each turn brings one.
    assert sizes[0] == 7


async def post_one_each_turn(books: Books, account: int, key: int, *, turns: int) -> list[Any]:
    asked = []
    for turn in range(turns):
        asked.append(books.writer.post(hold(account, key, f"h{turn}", 1)))
        await asyncio.sleep(0)
    return asked


async def test_a_settlement_in_a_batch_comes_before_the_holds(books):
    account = await books.add_account(100)
    key = await books.add_key(account)
    await books.writer.post(hold(account, key, "h1", 100))

    held, settled = await together(
        books, hold(account, key, "h2", 90), settle(account, key, "h1", 10, held=100)
    )

    assert settled.available_nanos == 90
    assert held.available_nanos == 0


async def test_a_refused_move_leaves_the_rest_of_its_batch(books):
    account = await books.add_account(100)
    key = await books.add_key(account)

    answers = await together(
        books,
        hold(account, key, "h1", 60),
        hold(account, key, "h2", 60),
        hold(account, key, "h3", 40),
    )

    assert [type(answer).__name__ for answer in answers] == [
        "Balance",
        "NotAffordableError",
        "Balance",
    ]
    assert answers[1].balance.available_nanos == 40


async def test_a_move_that_the_database_refuses_does_not_take_others_down(books):
    account = await books.add_account(100)
    key = await books.add_key(account)
    no_such_key = key + 1_000

    answers = await together(
        books,
        hold(account, key, "h1", 10),
        hold(account, no_such_key, "h2", 10),
        hold(account, key, "h3", 10),
    )

    assert [isinstance(answer, Exception) for answer in answers] == [False, True, False]
    assert await books.balance(account) == (100, 20)


async def test_a_value_that_fits_no_column_is_no_outage(books):
    account = await books.add_account(100)
    key = await books.add_key(account)
    absurd = Hold(
        request_id="h2",
        account_id=account,
        key_id=key,
        amount_nanos=10,
        model="m",
        price_id=None,
        markup_ppm=0,
        input_bound=2**70,
        streamed=False,
    )

    answers = await together(books, hold(account, key, "h1", 10), absurd)

    assert answers[0].held_nanos == 10
    assert isinstance(answers[1], Exception)
    assert not isinstance(answers[1], StoreUnavailableError)


async def test_a_hold_whose_caller_is_gone_before_the_answer_is_given_back(books):
    account = await books.add_account(100)
    key = await books.add_key(account)

    books.writer.post(hold(account, key, "h1", 10)).cancel()
    await books.writer.drain()

    assert await books.balance(account) == (100, 0)


async def test_a_deposit_whose_caller_is_gone_before_the_answer_is_made_all_the_same(books):
    account = await books.add_account()

    books.writer.post(Deposit(account_id=account, amount_nanos=5, reference="r1")).cancel()
    await books.writer.drain()

    assert await books.balance(account) == (5, 0)


async def test_a_refusal_that_nobody_waits_for_disturbs_nobody(books):
    account = await books.add_account()
    key = await books.add_key(account)

    books.writer.post(hold(account, key, "h1", 1)).cancel()
    await books.deposit(account, 5)

    assert await books.balance(account) == (5, 0)


async def test_a_failure_that_nobody_waits_for_is_no_line_in_the_log(books, unreliable):
    account = await books.add_account(100)
    key = await books.add_key(account)
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda _, about: complaints.append(about))
    unreliable.faults = ["", "down", "down"]

    # Its caller is gone, and when it is to be given back there is no database.
    books.writer.post(hold(account, key, "h1", 1)).cancel()
    await books.writer.drain()
    books.writer.tell(Note(request_id="h1", provider="p", upstream_id="u", delivered_bytes=7))
    await books.writer.drain()
    gc.collect()

    assert unreliable.faults == []
    assert complaints == []


async def test_a_note_is_kept_with_its_hold(books):
    account = await books.add_account(100)
    key = await books.add_key(account)
    await books.writer.post(hold(account, key, "h1", 10))

    books.writer.tell(Note(request_id="h1", provider="p", upstream_id="u", delivered_bytes=7))
    await books.writer.drain()

    assert await books.read(
        "SELECT attempt, provider, upstream_id, delivered_bytes FROM holds"
    ) == [("sent", "p", "u", 7)]


async def test_a_note_that_meets_the_end_of_its_hold_leaves_nothing_behind(books):
    account = await books.add_account(100)
    key = await books.add_key(account)
    await books.writer.post(hold(account, key, "h1", 10))

    books.writer.tell(Note(request_id="h1", provider="p", upstream_id="u", delivered_bytes=7))
    await books.writer.post(settle(account, key, "h1", 4, held=10))

    assert await books.read("SELECT request_id FROM holds") == []
    assert await books.balance(account) == (96, 0)


async def test_what_is_marked_unknown_and_settled_at_once_is_settled(books):
    account = await books.add_account(100)
    key = await books.add_key(account)
    await books.writer.post(hold(account, key, "h1", 10))

    await together(
        books,
        Resolve(request_id="h1", account_id=account, state="unknown"),
        settle(account, key, "h1", 4, held=10),
    )

    assert await books.read("SELECT request_id FROM holds") == []
    assert await books.balance(account) == (96, 0)


async def test_a_note_that_cannot_be_written_disturbs_nobody(books, unreliable):
    unreliable.faults = ["down"]

    books.writer.tell(Note(request_id="h1", provider="p", upstream_id="u", delivered_bytes=7))
    await books.writer.drain()

    assert unreliable.faults == []


async def test_a_refund_is_booked_once(books):
    account = await books.add_account(100)
    key = await books.add_key(account)
    await books.writer.post(hold(account, key, "h1", 10))
    await books.writer.post(settle(account, key, "h1", 10))
    refund = Refund(account_id=account, amount_nanos=10, request_id="h1")

    await together(books, refund, refund)
    await books.writer.post(refund)

    assert await books.balance(account) == (100, 0)


def test_a_hold_that_is_new_needs_its_account_and_its_window_alone():
    new = hold(7, 8, "h1", 10, window=KeyWindow(8, 0, 100))

    accounts, *others = store._needs([new], replay=False)

    assert (accounts, others) == ([(7,)], [[], [(8, 0)], [], []])


# At once --------------------------------------------------------------------------------------


async def test_of_64_holds_at_once_a_balance_pays_exactly_what_it_is_worth(books):
    worths = [0, 1, 17, 63, 64, 65]
    accounts = [await books.add_account(worth * 7 + 6) for worth in worths]
    key = await books.add_key(accounts[0])

    answers = await together(
        books,
        *(
            hold(account, key, f"{account}-{place}", 7)
            for place in range(64)
            for account in accounts
        ),
    )

    refusals = [answer for answer in answers if isinstance(answer, Exception)]
    assert {type(refusal) for refusal in refusals} == {NotAffordableError}
    assert [await books.balance(account) for account in accounts] == [
        (worth * 7 + 6, min(worth, 64) * 7) for worth in worths
    ]


async def test_of_64_holds_at_once_a_key_gets_exactly_its_limit(books):
    account = await books.add_account(1_000_000)
    key = await books.add_key(account)
    window = KeyWindow(key, 0, 7 * 9 + 6)

    answers = await together(
        books, *(hold(account, key, f"h{place}", 7, window=window) for place in range(64))
    )

    refused = [answer for answer in answers if isinstance(answer, KeyLimitReachedError)]
    assert len(refused) == 64 - 9
    assert await books.read("SELECT spent_nanos, held_nanos FROM key_spends") == [(0, 63)]


async def test_a_keys_window_counts_what_was_settled_in_it(books):
    account = await books.add_account(1_000)
    key = await books.add_key(account)
    window = KeyWindow(key, 0, 100)
    await books.writer.post(hold(account, key, "h1", 90, window=window))

    await books.writer.post(settle(account, key, "h1", 40, held=90, window=window))

    assert await books.read("SELECT spent_nanos, held_nanos FROM key_spends") == [(40, 0)]
    with pytest.raises(KeyLimitReachedError, match=r"40.*100") as refused:
        await books.writer.post(hold(account, key, "h2", 61, window=window))
    assert (refused.value.spent_nanos, refused.value.limit_nanos) == (40, 100)


async def test_the_same_reference_many_times_at_once_is_one_deposit(books):
    account = await books.add_account()

    await asyncio.gather(*(books.deposit(account, 100, "invoice 1") for _ in range(20)))

    assert await books.balance(account) == (100, 0)


async def test_the_same_reference_in_two_processes_is_one_deposit(postgres_url):
    async with open_books(postgres_url) as books, open_books(postgres_url) as other:
        accounts = [await books.add_account(), await books.add_account()]

        for number in range(20):
            await asyncio.gather(
                books.deposit(accounts[0], 100, f"invoice {number}"),
                other.deposit(accounts[number % 2], 100, f"invoice {number}"),
            )

        totals = [await books.balance(account) for account in accounts]
        assert sum(posted for posted, _ in totals) == 2_000
        assert await books.findings() == ()


@pytest.mark.parametrize("worth", [1, 40, 100])
async def test_two_processes_on_one_balance_grant_exactly_what_it_is_worth(postgres_url, worth):
    async with open_books(postgres_url) as books:
        account = await books.add_account(worth * 7 + 6)
        key = await books.add_key(account)

        granted = await asyncio.to_thread(rush_in_two_processes, postgres_url, account, key)

        assert sum(granted) == worth
        assert await books.balance(account) == (worth * 7 + 6, worth * 7)
        assert await books.findings() == ()


def rush_in_two_processes(url: str, account: int, key: int) -> list[int]:
    with (
        start("rush", url, account, key, 64, 7) as one,
        start("rush", url, account, key, 64, 7) as other,
    ):
        for process in (one, other):
            assert process.stdout.readline() == "ready\n"
        for process in (one, other):
            process.stdin.write("go\n")
            process.stdin.flush()
        return [int(process.stdout.readline()) for process in (one, other)]


# Outages --------------------------------------------------------------------------------------


async def test_when_the_store_is_away_nothing_changes_and_the_next_try_works(books, unreliable):
    account = await books.add_account(100)
    key = await books.add_key(account)
    unreliable.faults = ["down"]

    with pytest.raises(StoreUnavailableError):
        await books.writer.post(hold(account, key, "h1", 10))

    assert books.writer._voiding == set()  # nothing was made that could be given back
    assert await books.balance(account) == (100, 0)
    await books.writer.post(hold(account, key, "h1", 10))
    assert await books.balance(account) == (100, 10)


@pytest.mark.parametrize("fault", ["lost", "unanswered"])
async def test_a_commit_without_an_answer_is_looked_up_and_done_once(books, unreliable, fault):
    account = await books.add_account(100)
    key = await books.add_key(account)
    window = KeyWindow(key, 0, 100)
    await books.writer.post(hold(account, key, "h0", 10, window=window))
    unreliable.faults = [fault]

    answers = await together(
        books,
        hold(account, key, "h1", 30, window=window),
        settle(account, key, "h0", 4, held=10, window=window),
        Record(request_id="t1", record=record(account, key, "t1", mode="test")),
        Deposit(account_id=account, amount_nanos=10, reference="invoice 1"),
    )

    assert [answer for answer in answers if isinstance(answer, Exception)] == []
    assert await books.balance(account) == (106, 30)
    assert await books.read("SELECT spent_nanos, held_nanos FROM key_spends") == [(4, 30)]
    assert await books.read("SELECT request_id FROM usage_records ORDER BY 1") == [
        ("h0",),
        ("t1",),
    ]


@pytest.mark.parametrize("fault", ["lost", "unanswered"])
async def test_a_move_the_database_refuses_while_looking_up_leaves_the_others_done_once(
    books, unreliable, fault
):
    account = await books.add_account(100)
    key = await books.add_key(account)
    await books.writer.post(Record(request_id="t1", record=record(account, key, "t1")))
    await books.writer.post(hold(account, key, "h0", 10))
    twice = Record(request_id="another", record=record(account, key, "t1"))
    unreliable.faults = ["", fault, "lost", fault]

    answers = await together(
        books, hold(account, key, "h1", 30), settle(account, key, "h0", 4, held=10), twice
    )

    assert [isinstance(answer, Exception) for answer in answers] == [False, False, True]
    assert await books.balance(account) == (96, 30)


async def test_a_commit_that_stays_unknown_is_said_to_be_unknown(books, unreliable):
    account = await books.add_account(100)
    key = await books.add_key(account)
    unreliable.faults = ["unanswered", *["down"] * 5]

    with pytest.raises(CommitUnknownError):
        await books.writer.post(hold(account, key, "h1", 10))

    assert unreliable.faults == []  # five looks, and no more
    assert await books.balance(account) == (100, 10)


@pytest.mark.parametrize(
    ("looks", "events"),
    [(1, ["commit_unknown"]), (5, ["commit_unknown", "commit_stays_unknown"])],
)
async def test_the_operator_hears_of_a_commit_that_is_looked_for(
    sqlite_books, monkeypatch, looks, events
):
    monkeypatch.setattr(writer_module, "REPLAY_PAUSE_S", 0)
    account = await sqlite_books.add_account()
    sqlite_books.writer.database = unreliable = Unreliable(sqlite_books.database)
    unreliable.faults = ["unanswered", *["down"] * looks]
    deposit = Deposit(account_id=account, amount_nanos=5, reference="r1")

    with capture_logs() as logs:
        await together(sqlite_books, deposit)

    assert [(line["event"], line["moves"]) for line in logs] == [(event, 1) for event in events]


async def test_a_commit_that_is_found_at_the_fifth_look_is_done(books, unreliable):
    account = await books.add_account(100)
    key = await books.add_key(account)
    unreliable.faults = ["unanswered", *["down"] * 4]

    await books.writer.post(hold(account, key, "h1", 10))

    assert await books.balance(account) == (100, 10)


async def test_each_look_for_a_commit_waits_a_second_longer(books, unreliable, monkeypatch):
    monkeypatch.setattr(writer_module, "REPLAY_PAUSE_S", 1.0)
    pauses = []
    sleep = asyncio.sleep

    async def counted(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr(writer_module.asyncio, "sleep", counted)
    account = await books.add_account(100)
    pauses.clear()
    unreliable.faults = ["unanswered", *["down"] * 5]

    with pytest.raises(CommitUnknownError):
        await books.writer.post(Deposit(account_id=account, amount_nanos=5, reference="r1"))

    assert [pause for pause in pauses if pause] == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("fault", ["unanswered", "lost"])
async def test_a_hold_whose_commit_stays_unknown_is_given_back(
    books, unreliable, monkeypatch, fault
):
    monkeypatch.setattr(writer_module, "VOID_PAUSE_S", 0.01)
    account = await books.add_account(100)
    key = await books.add_key(account)
    unreliable.faults = [fault, *["down"] * (writer_module.REPLAYS + 1)]

    with pytest.raises(CommitUnknownError):
        await books.writer.post(hold(account, key, "h1", 10))
    await asyncio.gather(*books.writer._voiding)

    assert unreliable.faults == []
    assert await books.balance(account) == (100, 0)
    assert await books.read("SELECT request_id FROM holds") == []


async def test_of_a_batch_whose_commit_stays_unknown_only_the_holds_are_given_back(
    books, unreliable, monkeypatch
):
    monkeypatch.setattr(writer_module, "VOID_PAUSE_S", 0)
    account = await books.add_account(100)
    key = await books.add_key(account)
    unreliable.faults = ["unanswered", *["down"] * writer_module.REPLAYS]

    deposit = Deposit(account_id=account, amount_nanos=5, reference="r1")
    answers = await together(books, hold(account, key, "h1", 10), deposit)
    await asyncio.gather(*books.writer._voiding)

    assert [type(answer) for answer in answers] == [CommitUnknownError] * 2
    assert books.writer._voiding == set()
    assert await books.balance(account) == (105, 0)


async def test_a_late_settlement_of_a_hold_that_was_swept_is_refused(books):
    account = await books.add_account(100)
    key = await books.add_key(account)
    await books.writer.post(hold(account, key, "h1", 10))
    await books.writer.post(settle(account, key, "h1", 0, held=10))

    with pytest.raises(HoldAlreadyResolvedError):
        await books.writer.post(settle(account, key, "h1", 10))

    assert await books.balance(account) == (100, 0)


async def test_what_a_swept_answer_cost_is_a_loss_once(books):
    account = await books.add_account(100)
    key = await books.add_key(account)
    for request, charge in (("h1", 0), ("h2", 5)):
        await books.writer.post(hold(account, key, request, 10))
        await books.writer.post(settle(account, key, request, charge, held=10))
    late = [Lose(request_id=name, loss=Loss(3, "settled_late")) for name in ("h1", "h1", "h2")]

    answers = await together(books, *late) + await together(books, *late)

    assert answers == [None] * 6
    losses = await books.read("SELECT ref, amount_nanos, reason FROM entries WHERE kind = 'loss'")
    assert losses == [("h1", 3, "settled_late")]
    with pytest.raises(NotAnAmountError):
        await books.writer.post(Lose(request_id="h3", loss=Loss(0, "nothing")))


async def test_a_hold_that_was_swept_while_its_commit_was_looked_up_is_not_made_again(books):
    account = await books.add_account(100)
    key = await books.add_key(account)
    unanswered = hold(account, key, "h1", 10)
    await books.writer.post(unanswered)
    await books.writer.post(settle(account, key, "h1", 0, held=10))

    answers = await books.writer._write([unanswered], replay=True)

    assert [type(answer) for answer in answers] == [HoldAlreadyResolvedError]
    assert await books.balance(account) == (100, 0)


# What the database itself refuses -------------------------------------------------------------


async def test_entries_are_never_changed(books):
    await books.add_account(100)

    for sql in ("UPDATE entries SET reason = 'better'", "DELETE FROM entries"):
        with pytest.raises(Exception, match="entries are never changed"):
            await books.change(sql)


ENTRY = (
    "INSERT INTO entries (at, debit_account_id, credit_account_id, amount_nanos, kind, ref,"
    " chain_account_id, chain_number) SELECT 1, {} FROM accounts WHERE kind = 'customer'"
)
IMPOSSIBLE = (
    "UPDATE accounts SET held_nanos = -1 WHERE kind = 'customer'",
    "UPDATE accounts SET held_nanos = posted_nanos + 1 WHERE kind = 'customer'",
    "UPDATE accounts SET posted_nanos = held_nanos - 1 WHERE kind = 'customer'",
    "UPDATE holds SET amount_nanos = -1",
    "UPDATE holds SET state = 'settled'",
    "UPDATE holds SET account_id = 12345",
    "UPDATE key_spends SET held_nanos = -1",
    "UPDATE keys SET mode = 'both'",
    "INSERT INTO holds SELECT * FROM holds",
    "INSERT INTO accounts (kind, shard, name, created_at) VALUES ('revenue', 0, 'x', 1)",
    ENTRY.format("id, id, 1, 'gift', 'x', NULL, NULL"),
    ENTRY.format("1, id, 0, 'gift', 'x', NULL, NULL"),
    ENTRY.format("1, id, 1, 'deposit', 'known', NULL, NULL"),
    ENTRY.format("1, id, 1, 'gift', 'x', id, 1"),
)


async def test_the_tables_themselves_refuse_what_must_never_be(books):
    account = await books.add_account()
    await books.deposit(account, 100, "known")
    key = await books.add_key(account)
    window = KeyWindow(key, 0, 100)
    await books.writer.post(hold(account, key, "h1", 10, window=window))

    for sql in IMPOSSIBLE:
        with pytest.raises(Exception, match=r"(?i)constraint|unique"):
            await books.change(sql)


@pytest.mark.parametrize("theirs", [0, 7])
async def test_what_another_process_settled_meanwhile_is_ours_only_if_it_is_the_same(
    books: Books, theirs: int
) -> None:
    account = await books.add_account(100)
    key = await books.add_key(account)
    await books.writer.post(hold(account, key, "h1", 10))
    await books.writer.post(settle(account, key, "h1", theirs, held=10))

    (said,) = await books.writer._write([settle(account, key, "h1", 7, held=10)], replay=True)

    assert isinstance(said, HoldAlreadyResolvedError) == (theirs != 7)
    assert await books.balance(account) == (100 - theirs, 0)


async def test_who_begins_while_a_commit_is_looked_for_is_told_at_once(
    books: Books, unreliable: Unreliable
) -> None:
    account = await books.add_account(100)
    key = await books.add_key(account)
    moves = books.writer.moves
    unreliable.faults = ["unanswered", "down", "down"]

    first = books.writer.post(hold(account, key, "h1", 10))
    while len(unreliable.faults) > 1:  # noqa: ASYNC110 -- it tells nobody
        await asyncio.sleep(0)
    second = books.writer.post(hold(account, key, "h2", 10))
    deposit = books.writer.post(Deposit(account_id=account, amount_nanos=5, reference="r1"))

    with pytest.raises(StoreUnavailableError):
        await second
    assert not deposit.done()  # what gives money waits: nobody would ask again
    await asyncio.gather(first, deposit)
    await books.writer.drain()
    assert await books.balance(account) == (105, 10)
    assert books.writer.moves - moves == 2
