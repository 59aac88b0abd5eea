"""Every breach of what must always be true is found, and clean books give no finding."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from altyn.database.engine import Transaction
from altyn.ledger import audit
from altyn.ledger.audit import Auditor, Stretch, audit_quickly, verify
from altyn.ledger.moves import Deposit, KeyWindow, Loss, Refund, Resolve
from fakes.books import Books, hold, open_books, settle

TRIGGERS = {
    "sqlite": ("DROP TRIGGER entries_refuse_update", "DROP TRIGGER entries_refuse_delete"),
    "postgresql": ("ALTER TABLE entries DISABLE TRIGGER ALL",),
}


@pytest.fixture
async def lived_in(migrated_url):
    """Books with one of everything: deposits, an open hold, a settlement, a refund, a loss."""
    async with open_books(migrated_url) as books:
        account = await books.add_account(1_000)
        key = await books.add_key(account)
        window = KeyWindow(key, 0, 500)
        for name in ("h1", "h2", "h3", "h4"):
            await books.writer.post(hold(account, key, name, 100, window=window))
        await books.writer.post(settle(account, key, "h1", 40, held=100, window=window))
        await books.writer.post(settle(account, key, "h2", 30, held=100, window=window))
        await books.writer.post(Refund(account_id=account, amount_nanos=30, request_id="h2"))
        await books.writer.post(lost(account, key))
        await books.writer.post(
            Deposit(account_id=account, amount_nanos=7, reference="gift", source="promo")
        )
        yield books, account


def lost(account: int, key: int) -> Resolve:
    return Resolve(
        request_id="h3",
        account_id=account,
        state="voided",
        key_id=key,
        key_window_at=0,
        loss=Loss(9, "free_broken"),
    )


async def test_clean_books_give_no_finding(lived_in):
    books, _ = lived_in

    audit = await verify(books.database)

    assert audit.findings == ()
    assert audit.holds_true
    assert (audit.accounts, audit.entries, audit.holds) == (1, 6, 1)
    assert await audit_quickly(books.database) == []


CUSTOMER = "WHERE kind = 'customer'"
BREACHES = (
    ("posted = sum of entries", f"UPDATE accounts SET posted_nanos = posted_nanos + 1 {CUSTOMER}"),
    ("all accounts add up to 0", f"UPDATE accounts SET posted_nanos = posted_nanos + 1 {CUSTOMER}"),
    ("held = sum of open holds", f"UPDATE accounts SET held_nanos = held_nanos + 1 {CUSTOMER}"),
    ("held = sum of open holds", "DELETE FROM holds"),
    ("a key's held = sum of its open holds", "UPDATE key_spends SET held_nanos = 7"),
    ("a key's held = sum of its open holds", "DELETE FROM holds"),
    ("totals = entries", f"UPDATE accounts SET used_nanos = used_nanos + 1 {CUSTOMER}"),
    ("totals = entries", f"UPDATE accounts SET deposited_nanos = 1 {CUSTOMER}"),
    ("usage = ledger", "UPDATE usage_records SET charge_nanos = 39 WHERE request_id = 'h1'"),
    ("usage = ledger", "UPDATE usage_records SET charge_nanos = 0 WHERE request_id = 'h1'"),
    ("usage = ledger", "DELETE FROM usage_records WHERE request_id = 'h1'"),
    ("usage = ledger", "UPDATE entries SET amount_nanos = 41 WHERE ref = 'h1'"),
    ("charge <= hold", "UPDATE usage_records SET hold_nanos = 39 WHERE request_id = 'h1'"),
    ("hours = sum of usage records", "UPDATE usage_hours SET charge_nanos = charge_nanos + 1"),
    ("hours = sum of usage records", "UPDATE usage_hours SET requests = requests - 1"),
    ("hours = sum of usage records", "DELETE FROM usage_hours"),
    ("refund <= charge", "UPDATE entries SET amount_nanos = 31 WHERE kind = 'refund'"),
    ("the hash chain is unbroken", f"UPDATE accounts SET chain_hash = 'ff' {CUSTOMER}"),
)


async def test_every_breach_is_found(lived_in):
    books, _ = lived_in
    for statement in TRIGGERS[books.database.kind]:
        await books.change(statement)

    missed = [(name, sql) for name, sql in BREACHES if name not in await found_after(books, sql)]

    assert missed == []
    assert await books.findings() == ()


async def found_after(books: Books, sql: str) -> set[str]:
    """What the audit finds after *sql*; the tables are then as they were before."""
    tables = ("accounts", "holds", "key_spends", "usage_records", "usage_hours", "entries")
    before = {table: await books.read(f"SELECT * FROM {table}") for table in tables}
    assert await books.change(sql) > 0
    found = {finding.invariant for finding in await books.findings()}
    for table, rows in before.items():
        await put_back(books, table, rows)
    return found


async def put_back(books: Books, table: str, rows: list[tuple]) -> None:
    names = [name for (name,) in await books.read(COLUMNS[books.database.kind], table)]
    keys = {"accounts": 1, "entries": 1, "holds": 1, "usage_records": 1, "key_spends": 2}.get(
        table, 6
    )
    values = ", ".join(f"${place}" for place in range(1, len(names) + 1))
    sets = ", ".join(f"{name} = excluded.{name}" for name in names[keys:])
    for row in rows:
        await books.change(
            f"INSERT INTO {table} ({', '.join(names)}) VALUES ({values})"
            f" ON CONFLICT ({', '.join(names[:keys])}) DO UPDATE SET {sets}",
            *row,
        )


COLUMNS = {
    "sqlite": "SELECT name FROM pragma_table_info($1) ORDER BY cid",
    "postgresql": "SELECT column_name FROM information_schema.columns"
    " WHERE table_name = $1 AND table_schema = 'public' ORDER BY ordinal_position",
}


async def test_a_balance_below_zero_is_found_even_if_the_table_did_not_refuse_it(lived_in):
    books, account = lived_in
    if books.database.kind == "sqlite":
        await books.change("PRAGMA ignore_check_constraints = ON")
    else:
        await books.change("ALTER TABLE accounts DROP CONSTRAINT available_is_never_negative")
    await books.change("UPDATE accounts SET posted_nanos = -1 WHERE id = $1", account)

    findings = await books.findings()

    assert ("posted >= held >= 0", account) in {(one.invariant, one.account_id) for one in findings}


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        ("UPDATE entries SET amount_nanos = amount_nanos + 1 WHERE chain_number = 2", 2),
        ("UPDATE entries SET ref = 'another' WHERE chain_number = 3", 3),
        ("UPDATE entries SET at = at + 1 WHERE chain_number = 1", 1),
        ("UPDATE entries SET balance_after_nanos = 5 WHERE chain_number = 4", 4),
        ("DELETE FROM entries WHERE chain_number = 2", 2),
        ("DELETE FROM entries WHERE chain_number = 5", 5),
    ],
)
async def test_a_changed_chain_is_found_at_the_right_number(sqlite_url, sql, number):
    async with open_books(sqlite_url) as books:
        whole, broken = await books.add_account(), await books.add_account()
        for account in (whole, broken):
            for place in range(5):
                await books.deposit(account, 10 + place)
        for statement in TRIGGERS["sqlite"]:
            await books.change(statement)
        await books.change(f"{sql} AND chain_account_id = {broken}")

        findings = [
            (finding.account_id, finding.sentence)
            for finding in await books.findings()
            if "chain" in finding.invariant
        ]

        sentence = f"account {broken}: its chain of entries is broken at number {number}"
        assert findings == [(broken, sentence)]


async def test_an_entry_that_was_given_another_number_is_found(sqlite_url):
    async with open_books(sqlite_url) as books:
        (account,) = await customers(books, 5)
        for statement in TRIGGERS["sqlite"]:
            await books.change(statement)

        await books.change("UPDATE entries SET chain_number = 6 WHERE chain_number = 5")
        await books.change("UPDATE accounts SET chain_length = 6 WHERE id = $1", account)
        found = await books.findings()

    sentence = f"account {account}: its chain of entries is broken at number 5"
    assert [finding.sentence for finding in found] == [sentence]


async def test_each_window_of_a_key_is_summed_for_itself(books):
    account = await books.add_account(100)
    one, another = await books.add_key(account), await books.add_key(account)

    for number, (key, window_at) in enumerate(((one, 0), (one, 1), (another, 0)), 1):
        window = KeyWindow(key, window_at, 100)
        await books.writer.post(hold(account, key, f"h{number}", number, window=window))

    assert await books.findings() == ()


async def test_a_chain_longer_than_a_page_is_walked_to_its_end(sqlite_url, monkeypatch):
    monkeypatch.setattr("altyn.ledger.audit.CHAIN_PAGE", 3)
    async with open_books(sqlite_url) as books:
        for _ in range(2):
            account = await books.add_account()
            for place in range(7):
                await books.deposit(account, 1 + place)

        assert await books.findings() == ()


async def test_no_chain_is_passed_over_between_two_pages(sqlite_url, monkeypatch):
    monkeypatch.setattr("altyn.ledger.audit.CHAIN_PAGE", 3)
    async with open_books(sqlite_url) as books:
        accounts = await customers(books, 4, 4, 4)
        for statement in TRIGGERS["sqlite"]:
            await books.change(statement)
        await books.change("UPDATE entries SET at = at + 1 WHERE chain_number = 2")

        found = await books.findings()

    assert [one.account_id for one in found if "chain" in one.invariant] == accounts


async def test_an_account_that_has_no_entry_and_no_hold_is_compared_too(migrated_url):
    async with open_books(migrated_url) as books:
        account = await books.add_account()

        await books.change(
            "UPDATE accounts SET posted_nanos = 2, held_nanos = 1, deposited_nanos = 1"
            " WHERE id = $1",
            account,
        )
        found = {one.invariant for one in await books.findings() if one.account_id == account}

    assert found == {
        "posted = sum of entries",
        "posted = balance after the last entry",
        "held = sum of open holds",
        "totals = entries",
    }


async def test_a_chain_is_read_500_entries_at_a_time(sqlite_books, monkeypatch):
    await customers(sqlite_books, 501)
    pages = []
    read = sqlite_books.database.read

    async def counted(sql: str, *values: Any) -> Any:
        rows = await read(sql, *values)
        if "chain_hash FROM entries" in sql:
            pages.append(len(rows))
        return rows

    monkeypatch.setattr(sqlite_books.database, "read", counted)

    assert await sqlite_books.findings() == ()
    assert pages == [500, 1, 0]


# A stretch ------------------------------------------------------------------------------------


BEHIND_THE_BALANCES = (
    ("totals = entries", f"UPDATE accounts SET used_nanos = used_nanos + 1 {CUSTOMER}"),
    ("usage = ledger", "DELETE FROM usage_records"),
    ("usage = ledger", "DELETE FROM entries WHERE kind = 'settle'"),
    ("hours = sum of usage records", "UPDATE usage_hours SET requests = requests + 1"),
    ("hours = sum of usage records", "DELETE FROM usage_hours"),
    ("hours = sum of usage records", "DELETE FROM usage_records"),
    ("refund <= charge", "UPDATE entries SET amount_nanos = 31 WHERE kind = 'refund'"),
    ("charge <= hold", "UPDATE usage_records SET hold_nanos = 0"),
    ("the hash chain is unbroken", "UPDATE entries SET at = at + 1"),
)


@pytest.fixture
async def neighbours(sqlite_url):
    """Three customers with a deposit, a settlement and a refund each; the first has a long past."""
    async with open_books(sqlite_url) as books:
        accounts = await customers(books, 130, 1, 1)
        for account in accounts:
            await books.deposit(account, 100)
            key = await books.add_key(account)
            name = f"of {account}"
            await books.writer.post(hold(account, key, name, 100))
            await books.writer.post(settle(account, key, name, 30, held=100))
            await books.writer.post(Refund(account_id=account, amount_nanos=30, request_id=name))
        for statement in TRIGGERS["sqlite"]:
            await books.change(statement)
        yield books, *accounts


async def test_a_stretch_of_clean_books_gives_no_finding(neighbours):
    books, before, within, _ = neighbours

    assert await audit._audit(books.database, Stretch(before, within), ()) == []


@pytest.mark.parametrize(("invariant", "sql"), BEHIND_THE_BALANCES)
async def test_a_stretch_is_the_accounts_above_its_beginning_up_to_its_end(
    neighbours, invariant, sql
):
    books, before, within, _ = neighbours
    await books.change(sql)

    found = await audit._audit(books.database, Stretch(before, within), ())

    assert {one.account_id for one in found} == {within}
    assert invariant in {one.invariant for one in found}


# The running audit ----------------------------------------------------------------------------


async def customers(books: Books, *lengths: int) -> list[int]:
    """Accounts with chains of so many entries."""
    accounts = [await books.add_account() for _ in lengths]
    for account, length in zip(accounts, lengths, strict=True):
        await asyncio.gather(*(books.deposit(account, 1) for _ in range(length)))
    return accounts


async def test_the_auditor_finds_what_no_balance_shows(lived_in):
    books, account = lived_in
    auditor = Auditor(books.database)
    assert await auditor.look() == []

    await books.change("UPDATE usage_hours SET requests = requests + 1")
    found = await auditor.look()
    await books.change("UPDATE usage_hours SET requests = requests - 1")

    assert {(one.invariant, one.account_id) for one in found} == {
        ("hours = sum of usage records", account)
    }


async def test_the_auditor_of_a_house_without_customers_finds_nothing(sqlite_books):
    assert await Auditor(sqlite_books.database).look() == []


async def test_the_auditor_tells_whose_balance_was_changed(lived_in):
    books, account = lived_in
    change = "UPDATE accounts SET posted_nanos = posted_nanos + $2 WHERE id = $1"

    await books.change(change, account, 1)
    found = await audit_quickly(books.database)
    await books.change(change, account, -1)

    assert {one.account_id for one in found} == {account, None}


async def test_the_auditor_reads_in_stretches_and_begins_again(sqlite_url, monkeypatch):
    monkeypatch.setattr(audit, "STRETCH_ENTRIES", 4)
    async with open_books(sqlite_url) as books:
        one, two, three = await customers(books, 2, 2, 3)
        auditor = Auditor(books.database)

        stretches = [await auditor._next_stretch() for _ in range(3)]

    assert [(stretch.after, stretch.upto) for stretch in stretches] == [
        (0, two),
        (two, three),
        (0, two),
    ]
    assert one < two < three


@pytest.mark.parametrize(
    ("lengths", "last"),
    [((20_000, 1), 0), ((19_999, 1, 1), 1), ((1,) * 1001, 999)],
    ids=["one", "two", "thousand"],
)
async def test_a_stretch_has_20_000_entries_or_1000_accounts_at_most(sqlite_url, lengths, last):
    async with open_books(sqlite_url) as books:
        accounts = await of_lengths(books, lengths)
        auditor = Auditor(books.database)

        first, second = [await auditor._next_stretch() for _ in range(2)]

    assert first == Stretch(0, accounts[last])
    assert second == Stretch(accounts[last], accounts[-1])


async def test_what_follows_an_account_that_is_too_long_fills_a_stretch_of_its_own(sqlite_url):
    async with open_books(sqlite_url) as books:
        long, first, second, _ = await of_lengths(books, (20_001, 19_999, 1, 1))
        auditor = Auditor(books.database)

        assert await auditor._next_stretch() == Stretch(long, second)

    assert long < first < second


async def of_lengths(books: Books, lengths: Sequence[int]) -> list[int]:
    """Accounts that say their chains were so long."""

    async def work(tx: Transaction) -> list[int]:
        rows = [
            await tx.fetch(
                "INSERT INTO accounts (kind, name, created_at, chain_length)"
                " VALUES ('customer', 'a', 1, $1) RETURNING id",
                length,
            )
            for length in lengths
        ]
        return [account for ((account,),) in rows]

    return await books.database.write(work)


async def test_an_account_that_is_too_long_keeps_no_other_from_being_read(sqlite_url, monkeypatch):
    monkeypatch.setattr(audit, "STRETCH_ENTRIES", 2)
    monkeypatch.setattr(audit, "STRETCH_ACCOUNTS", 2)
    async with open_books(sqlite_url) as books:
        long, short, last = await customers(books, 3, 1, 1)
        auditor = Auditor(books.database)

        stretches = [await auditor._next_stretch() for _ in range(3)]

    assert [one and (one.after, one.upto) for one in stretches] == [
        (long, short),
        (short, last),
        (long, short),
    ]
