"""The rules of money as stories: a move on the left, what the books answer on the right.

`hold alice h1 40` sets money aside, `settle h1 25` and `void h1` end it, `balance alice` looks.
`hold … key 7 limit 50` calls with a key that may spend 50; `settle … by bob` claims another's hold.
"""

import re
from typing import Any

import pytest

from altyn.ledger.book import MAX_HOLD_MS, MAX_UNKNOWN_MS, Account, Book, Spend, chain_hash
from altyn.ledger.moves import (
    OPERATOR_KINDS,
    Balance,
    Deposit,
    Hold,
    KeyWindow,
    Lose,
    Loss,
    Note,
    Record,
    Refund,
    RefusedMoveError,
    Resolve,
)

NAMES = {"alice": 1, "bob": 2, "nobody": 99}
OPERATOR = {kind: 1000 + place for place, kind in enumerate(OPERATOR_KINDS)}
WINDOW_AT = 5


class Stage:
    """A book with two empty accounts, and the words that stories are told in."""

    def __init__(self) -> None:
        self.book = Book(operator=OPERATOR, at=1_000)
        for number in (1, 2):
            self.book.accounts[number] = Account(number, 0, 0, 0, 0, "", 0, frozen=False)
        self.owners: dict[str, tuple[int, int | None]] = {}

    def play(self, line: str) -> str:
        word, *rest = line.split()
        try:
            answer = getattr(self, word)(*rest)
        except RefusedMoveError as refusal:
            words = re.findall("[A-Z][a-z]+", type(refusal).__name__.removesuffix("Error"))
            return "_".join(words).lower()
        return answer or "ok"

    def deposit(self, name: str, nanos: str, reference: str = "r1", source: str = "cash_in") -> Any:
        self.book.post(
            Deposit(
                account_id=NAMES[name],
                amount_nanos=int(nanos),
                reference=reference,
                source=source,  # type: ignore[arg-type]
            )
        )

    def hold(self, name: str, request: str, nanos: str, *key: str) -> Any:
        window = KeyWindow(int(key[1]), WINDOW_AT, int(key[3])) if key else None
        self.book.post(
            Hold(
                request_id=request,
                account_id=NAMES[name],
                key_id=7,
                amount_nanos=int(nanos),
                model="m",
                price_id=None,
                markup_ppm=0,
                input_bound=1,
                streamed=False,
                key_window=window,
            )
        )
        self.owners[request] = (NAMES[name], window.key_id if window else None)

    def settle(self, request: str, charge: str, *more: str, loss: int = 0) -> Any:
        owner, key = self.owners.get(request, (1, None))
        self.book.post(
            Resolve(
                request_id=request,
                account_id=NAMES[more[1]] if more else owner,
                state="settled",
                charge_nanos=int(charge),
                key_id=key,
                key_window_at=WINDOW_AT if key else None,
                loss=Loss(loss, "free_broken") if loss else None,
                record=f"record of {request}",
            )
        )

    def void(self, request: str) -> Any:
        owner, key = self.owners.get(request, (1, None))
        self.book.post(
            Resolve(
                request_id=request,
                account_id=owner,
                state="voided",
                key_id=key,
                key_window_at=WINDOW_AT if key else None,
                loss=Loss(0, "nothing"),
            )
        )

    def lose(self, request: str, nanos: str) -> Any:
        self.settle(request, "0", loss=int(nanos))

    def doubt(self, request: str) -> Any:
        owner, _ = self.owners[request]
        self.book.post(Resolve(request_id=request, account_id=owner, state="unknown"))

    def refund(self, name: str, request: str, nanos: str) -> Any:
        self.book.post(Refund(account_id=NAMES[name], amount_nanos=int(nanos), request_id=request))

    def freeze(self, name: str) -> Any:
        self.book.accounts[NAMES[name]].frozen = True

    def replay(self) -> Any:
        self.book.replay = True
        charges = (entry for entry in self.book.entries if entry.kind == "settle")
        self.book.recorded = {entry.ref: entry.amount_nanos for entry in charges}

    def balance(self, name: str) -> Any:
        now = self.book.accounts[NAMES[name]].balance
        return f"posted {now.posted_nanos} held {now.held_nanos} available {now.available_nanos}"

    def totals(self, name: str) -> Any:
        account = self.book.accounts[NAMES[name]]
        return f"deposited {account.deposited_nanos} used {account.used_nanos}"

    def spend(self, key: str) -> Any:
        spend = self.book.spends.get((int(key), WINDOW_AT), Spend())
        return f"spent {spend.spent_nanos} held {spend.held_nanos}"

    def operator(self, kind: str) -> Any:
        return str(self.book.operator_nanos.get(OPERATOR[kind], 0))


STORIES = {
    "a deposit can be spent": """
        deposit alice 100 -> ok
        balance alice -> posted 100 held 0 available 100
        totals alice -> deposited 100 used 0
        operator cash_in -> -100
        deposit alice 5 gift promo -> ok
        operator promo -> -5
    """,
    "a hold sets money aside and a settlement takes its charge and returns the rest": """
        deposit alice 100 -> ok
        hold alice h1 40 -> ok
        balance alice -> posted 100 held 40 available 60
        settle h1 25 -> ok
        balance alice -> posted 75 held 0 available 75
        totals alice -> deposited 100 used 25
        operator revenue -> 25
    """,
    "a hold is resolved once": """
        deposit alice 100 -> ok
        hold alice h1 40 -> ok
        settle h1 25 -> ok
        settle h1 25 -> hold_already_resolved
        void h1 -> hold_already_resolved
        balance alice -> posted 75 held 0 available 75
    """,
    "a void returns everything": """
        deposit alice 100 -> ok
        hold alice h1 100 -> ok
        void h1 -> ok
        balance alice -> posted 100 held 0 available 100
        operator revenue -> 0
    """,
    "nobody spends what is not there, to the last nano": """
        deposit alice 100 -> ok
        hold alice h1 100 -> ok
        hold alice h2 1 -> not_affordable
        void h1 -> ok
        hold alice h3 101 -> not_affordable
        hold bob h4 1 -> not_affordable
        hold bob h5 0 -> ok
    """,
    "a charge above the hold is refused and changes nothing": """
        deposit alice 100 -> ok
        hold alice h1 40 -> ok
        settle h1 41 -> charge_above_hold
        balance alice -> posted 100 held 40 available 60
        settle h1 40 -> ok
    """,
    "somebody else's hold is nobody's to settle": """
        deposit alice 100 -> ok
        hold alice h1 40 -> ok
        settle h1 10 by bob -> hold_already_resolved
        balance alice -> posted 100 held 40 available 60
    """,
    "amounts that are none are refused": """
        deposit alice 0 -> not_an_amount
        deposit alice -5 -> not_an_amount
        deposit alice 100 -> ok
        hold alice h1 -1 -> not_an_amount
        hold alice h1 50 -> ok
        settle h1 -1 -> not_an_amount
        settle h1 50 -> ok
        refund alice h1 0 -> not_an_amount
        balance alice -> posted 50 held 0 available 50
    """,
    "a key spends no more than its limit": """
        deposit alice 100 -> ok
        hold alice h1 30 key 7 limit 50 -> ok
        hold alice h2 21 key 7 limit 50 -> key_limit_reached
        hold alice h3 20 key 7 limit 50 -> ok
        spend 7 -> spent 0 held 50
        settle h1 10 -> ok
        void h3 -> ok
        spend 7 -> spent 10 held 0
        hold alice h4 41 key 7 limit 50 -> key_limit_reached
        hold alice h5 40 key 7 limit 50 -> ok
        balance alice -> posted 90 held 40 available 50
    """,
    "a key that has no money of its own account left is told of the account": """
        deposit alice 10 -> ok
        hold alice h1 20 key 7 limit 5 -> not_affordable
        spend 7 -> spent 0 held 0
    """,
    "a frozen account takes money but holds none, and what runs is settled": """
        deposit alice 100 -> ok
        hold alice h1 40 -> ok
        freeze alice -> ok
        hold alice h2 1 -> frozen
        deposit alice 5 r2 -> ok
        settle h1 40 -> ok
        balance alice -> posted 65 held 0 available 65
    """,
    "a reference is one deposit": """
        deposit alice 100 -> ok
        deposit alice 100 -> ok
        deposit alice 100 r2 -> ok
        balance alice -> posted 200 held 0 available 200
    """,
    "a refund gives back what was charged, once": """
        deposit alice 100 -> ok
        hold alice h1 40 -> ok
        settle h1 25 -> ok
        refund alice h1 26 -> refund_above_charge
        refund bob h1 25 -> refund_above_charge
        refund alice h2 1 -> refund_above_charge
        refund alice h1 25 -> ok
        refund alice h1 25 -> ok
        balance alice -> posted 100 held 0 available 100
        totals alice -> deposited 100 used 0
        operator revenue -> 0
    """,
    "the operator bears a loss": """
        deposit alice 100 -> ok
        hold alice h1 40 -> ok
        lose h1 15 -> ok
        balance alice -> posted 100 held 0 available 100
        operator operator_loss -> -15
        operator provider_cost -> 15
    """,
    "a hold in doubt stays held until it is resolved": """
        deposit alice 100 -> ok
        hold alice h1 40 -> ok
        doubt h1 -> ok
        balance alice -> posted 100 held 40 available 60
        void h1 -> ok
        balance alice -> posted 100 held 0 available 100
    """,
    "nobody has no account": """
        deposit nobody 1 -> no_such_account
        hold nobody h1 1 -> no_such_account
        settle h1 1 by nobody -> no_such_account
        refund nobody h1 1 -> no_such_account
    """,
    "what is played again counts as done": """
        deposit alice 100 -> ok
        hold alice h1 40 -> ok
        hold alice h2 40 -> ok
        settle h2 10 -> ok
        replay -> ok
        deposit alice 100 -> ok
        hold alice h1 40 -> ok
        settle h2 10 -> ok
        hold alice h3 90 -> not_affordable
        hold alice h3 50 -> ok
        balance alice -> posted 90 held 90 available 0
    """,
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_the_books_answer_as_the_story_says(story):
    stage = Stage()
    lines = [line.strip() for line in story.strip().splitlines()]

    told = [
        f"{line.partition(' -> ')[0]} -> {stage.play(line.partition(' -> ')[0])}" for line in lines
    ]

    assert told == lines
    assert sum(stage.book.operator_nanos.values()) == -sum(
        account.posted_nanos for account in stage.book.accounts.values()
    )


def test_a_refused_move_leaves_nothing_to_write():
    stage = Stage()

    for line in ("hold alice h1 1", "deposit alice 0", "void h1", "refund alice h1 1"):
        stage.play(line)

    book = stage.book
    written = (book.touched, book.touched_spends, book.entries, book.opened, book.resolved)
    assert not any((*written, book.records, book.operator_nanos))


def test_a_move_leaves_exactly_its_rows_to_write():
    stage = Stage()

    for line in (
        "deposit alice 9",
        "hold alice h1 5 key 7 limit 9",
        "settle h1 2",
        "deposit bob 1 b",
    ):
        assert stage.play(line) == "ok"

    book = stage.book
    assert book.touched == {1, 2}
    assert book.touched_spends == {(7, WINDOW_AT)}
    assert [(entry.kind, entry.ref, entry.amount_nanos) for entry in book.entries] == [
        ("deposit", "r1", 9),
        ("settle", "h1", 2),
        ("deposit", "b", 1),
    ]
    assert book.resolved == [("h1",)]
    assert book.records == ["record of h1"]


def test_each_move_answers_with_the_balance_it_leaves(monkeypatch):
    stage = Stage()
    answers = []
    post = stage.book.post
    monkeypatch.setattr(stage.book, "post", lambda move: answers.append(post(move)))

    for line in (
        *("deposit alice 100", "deposit alice 100", "hold alice h1 40", "doubt h1"),
        *("settle h1 25", "refund alice h1 5", "refund alice h1 5", "hold alice h2 10"),
        *("replay", "hold alice h2 10", "settle h1 25", "void h2"),
    ):
        assert stage.play(line) == "ok"

    assert answers == [
        *(Balance(100, 0), Balance(100, 0), Balance(100, 40), Balance(100, 40)),
        *(Balance(75, 0), Balance(80, 0), Balance(80, 0), Balance(80, 10)),
        *(Balance(80, 10), Balance(80, 10), Balance(80, 0)),
    ]


def test_every_entry_is_a_link_in_its_accounts_chain():
    stage = Stage()

    for line in ("deposit alice 9", "deposit bob 1 b", "hold alice h1 5", "settle h1 2"):
        stage.play(line)

    entries = [entry for entry in stage.book.entries if entry.chain_account_id == 1]
    first = chain_hash(
        "",
        number=1,
        at=1_000,
        debit=OPERATOR["cash_in"],
        credit=1,
        nanos=9,
        kind="deposit",
        ref="r1",
        balance_after=9,
    )
    second = chain_hash(
        first,
        number=2,
        at=1_000,
        debit=1,
        credit=OPERATOR["revenue"],
        nanos=2,
        kind="settle",
        ref="h1",
        balance_after=7,
    )
    assert [entry.chain_hash for entry in entries] == [first, second]
    assert [entry.balance_after_nanos for entry in entries] == [9, 7]


def test_a_loss_is_in_no_customers_chain():
    stage = Stage()

    for line in ("deposit alice 9", "hold alice h1 5", "lose h1 3"):
        stage.play(line)

    loss = stage.book.entries[-1]
    assert (loss.kind, loss.amount_nanos, loss.reason) == ("loss", 3, "free_broken")
    assert loss.chain_account_id is None


def test_a_hold_that_ends_in_its_batch_is_not_marked_unknown_as_well():
    stage = Stage()

    for line in ("deposit alice 9", "hold alice h1 5", "hold alice h2 4"):
        stage.play(line)
    for line in ("doubt h1", "doubt h2", "void h1"):
        assert stage.play(line) == "ok"

    assert stage.book.unknown == [("h2", "unknown", 1_000 + MAX_UNKNOWN_MS)]
    assert stage.book.resolved == [("h1",)]


def test_what_a_swept_answer_cost_is_one_loss_in_a_batch():
    book = Stage().book

    for nanos in (1, 3):
        book.post(Lose(request_id="h1", loss=Loss(nanos, "settled_late")))

    assert [(entry.kind, entry.amount_nanos) for entry in book.entries] == [("loss", 1)]


def test_only_the_last_note_of_a_request_is_written():
    book = Stage().book

    for count in (1, 2):
        book.post(Note(request_id="h1", provider="p", upstream_id=None, delivered_bytes=count))

    assert [note.delivered_bytes for note in book.notes.values()] == [2]


def test_a_record_that_is_there_already_is_not_written_again():
    book = Stage().book
    book.recorded["t1"] = 0

    for request in ("t1", "t2"):
        book.post(Record(request_id=request, record=request))

    assert book.records == ["t2"]


def test_a_hold_ends_after_a_quarter_of_an_hour_and_a_provider_is_asked_for_ten_minutes():
    minutes = [length_ms / 60_000 for length_ms in (MAX_HOLD_MS, MAX_UNKNOWN_MS)]

    assert minutes == [15, 10]
