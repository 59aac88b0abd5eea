"""Recompute every balance and look for anything that must never be: the invariants of README.md.

Reads only. It runs beside live traffic, so what two tables say about one account is compared inside
one statement, which both databases answer from one moment. `verify` reads everything; the running
`Auditor` looks at every balance each time, and behind it at a stretch of the customers, in turn.
"""

from collections.abc import Awaitable, Callable

from msgspec import Struct

from altyn.database.engine import Database
from altyn.ledger.book import chain_hash
from altyn.money import format_nanos

CHAIN_PAGE = 500
"""Entries hashed at a time: two milliseconds in which nobody else runs."""

HOUR_MS = 3_600_000
LAST_NUMBER = 2**63 - 1
STRETCH_ACCOUNTS = 1000
STRETCH_ENTRIES = 20_000
"""What the running auditor reads each minute at most: 28 million entries a day. The entries of an
account with more than so many are left to `verify`."""


class Finding(Struct, frozen=True):
    """One invariant that does not hold, in one sentence, with the accounts it concerns."""

    invariant: str
    sentence: str
    account_id: int | None = None


class Audit(Struct, frozen=True):
    findings: tuple[Finding, ...]
    accounts: int
    entries: int
    holds: int

    @property
    def holds_true(self) -> bool:
        return not self.findings


class Stretch(Struct, frozen=True):
    """The customers whose account has a number above *after* and not above *upto*."""

    after: int
    upto: int


EVERYBODY = Stretch(0, LAST_NUMBER)
Check = Callable[[Database, Stretch], Awaitable[list[Finding]]]
"""An invariant of some customers. One that needs prices is another package's, and handed in."""


async def verify(database: Database, *others: Check) -> Audit:
    """Check every invariant over everything. Raises nothing for a breach: it is a finding."""
    findings = await _accounts_equal_their_entries(database)
    findings += await audit_quickly(database)
    findings += await _audit(database, EVERYBODY, others)
    counts = await database.read(
        "SELECT (SELECT count(*) FROM accounts WHERE kind = 'customer'),"
        " (SELECT count(*) FROM entries), (SELECT count(*) FROM holds)"
    )
    return Audit(tuple(findings), *counts[0])


class Auditor:
    """The audit of a running server: in a day it has seen everything again and again."""

    def __init__(self, database: Database, *others: Check) -> None:
        self.database = database
        self.others = others
        self._after = 0

    async def look(self) -> list[Finding]:
        """What is broken among all balances, and in the next stretch of what is behind them."""
        findings = await audit_quickly(self.database)
        stretch = await self._next_stretch()
        if stretch is not None:
            findings += await _audit(self.database, stretch, self.others)
        return findings

    async def _next_stretch(self) -> Stretch | None:
        rows = await self.database.read(
            "SELECT id, chain_length FROM accounts WHERE kind = 'customer' AND id > $1"
            " ORDER BY id LIMIT $2",
            self._after,
            STRETCH_ACCOUNTS,
        )
        first, entries = self._after, 0
        for account, length in rows:
            entries += length
            if entries > STRETCH_ENTRIES:
                if first < self._after:
                    return Stretch(first, self._after)
                first, entries = account, 0  # too long to be read each day
            self._after = account
        if len(rows) < STRETCH_ACCOUNTS:
            self._after = 0
        return Stretch(first, rows[-1][0]) if rows else None


async def audit_quickly(database: Database) -> list[Finding]:
    """The invariants that can be checked each minute beside live traffic, however long its past."""
    findings: list[Finding] = []
    for check in (
        _holds_equal_what_is_held,
        _everything_adds_up_to_zero,
        _nobody_is_below_zero,
        _balances_end_their_chains,
        _chains_end_where_their_accounts_say,
        _key_spends_are_whole,
    ):
        findings += await check(database)
    return findings


async def _audit(database: Database, stretch: Stretch, others: tuple[Check, ...]) -> list[Finding]:
    """What is behind the balances of these customers."""
    findings: list[Finding] = []
    for check in (
        _totals_equal_their_entries,
        _charges_equal_their_records,
        _hours_equal_their_records,
        _no_refund_is_above_its_charge,
        _no_charge_is_above_its_hold,
        _chains_are_unbroken,
        *others,
    ):
        findings += await check(database, stretch)
    return findings


async def _accounts_equal_their_entries(database: Database) -> list[Finding]:
    rows = await database.read(
        "SELECT a.id, a.posted_nanos, COALESCE(s.nanos, 0) FROM accounts a LEFT JOIN ("
        " SELECT account_id, CAST(SUM(nanos) AS BIGINT) AS nanos FROM ("
        " SELECT credit_account_id AS account_id, amount_nanos AS nanos FROM entries"
        " UNION ALL SELECT debit_account_id, -amount_nanos FROM entries) AS sides"
        " GROUP BY account_id) AS s ON s.account_id = a.id"
        " WHERE a.posted_nanos <> COALESCE(s.nanos, 0)"
    )
    return [
        Finding(
            "posted = sum of entries",
            f"account {account} has posted {format_nanos(posted)}, its entries add up to"
            f" {format_nanos(total)}",
            account,
        )
        for account, posted, total in rows
    ]


async def _holds_equal_what_is_held(database: Database) -> list[Finding]:
    rows = await database.read(
        "SELECT a.id, a.held_nanos, COALESCE(h.nanos, 0) FROM accounts a LEFT JOIN ("
        " SELECT account_id, CAST(SUM(amount_nanos) AS BIGINT) AS nanos FROM holds"
        " GROUP BY account_id) AS h ON h.account_id = a.id"
        " WHERE a.held_nanos <> COALESCE(h.nanos, 0)"
    )
    return [
        Finding(
            "held = sum of open holds",
            f"account {account} holds {format_nanos(held)}, its open holds add up to"
            f" {format_nanos(total)}",
            account,
        )
        for account, held, total in rows
    ]


async def _everything_adds_up_to_zero(database: Database) -> list[Finding]:
    ((total,),) = await database.read(
        "SELECT CAST(COALESCE(SUM(posted_nanos), 0) AS BIGINT) FROM accounts"
    )
    if total == 0:
        return []
    return [Finding("all accounts add up to 0", f"all accounts add up to {format_nanos(total)}")]


async def _nobody_is_below_zero(database: Database) -> list[Finding]:
    rows = await database.read(
        "SELECT id, posted_nanos, held_nanos FROM accounts"
        " WHERE kind = 'customer' AND (held_nanos < 0 OR posted_nanos < held_nanos)"
    )
    return [
        Finding(
            "posted >= held >= 0",
            f"account {account} has posted {format_nanos(posted)}, held {format_nanos(held)}",
            account,
        )
        for account, posted, held in rows
    ]


async def _balances_end_their_chains(database: Database) -> list[Finding]:
    """What the last entry left is what the account has: this tells whose balance was changed."""
    rows = await database.read(
        "SELECT a.id, a.posted_nanos, COALESCE(e.balance_after_nanos, 0) FROM accounts a"
        " LEFT JOIN entries e ON e.chain_account_id = a.id AND e.chain_number = a.chain_length"
        " WHERE a.kind = 'customer' AND a.posted_nanos <> COALESCE(e.balance_after_nanos, 0)"
    )
    return [
        Finding(
            "posted = balance after the last entry",
            f"account {account} has posted {format_nanos(posted)}, its last entry left"
            f" {format_nanos(left)}",
            account,
        )
        for account, posted, left in rows
    ]


async def _totals_equal_their_entries(database: Database, stretch: Stretch) -> list[Finding]:
    rows = await database.read(
        "SELECT a.id FROM accounts a LEFT JOIN (SELECT chain_account_id AS account_id,"
        " CAST(SUM(CASE WHEN kind = 'deposit' THEN amount_nanos ELSE 0 END) AS BIGINT) AS put_in,"
        " CAST(SUM(CASE kind WHEN 'settle' THEN amount_nanos WHEN 'refund' THEN -amount_nanos"
        " ELSE 0 END) AS BIGINT) AS used FROM entries"
        " WHERE chain_account_id > $1 AND chain_account_id <= $2"
        " GROUP BY chain_account_id) AS e ON e.account_id = a.id"
        " WHERE a.kind = 'customer' AND a.id > $1 AND a.id <= $2"
        " AND (a.deposited_nanos <> COALESCE(e.put_in, 0) OR a.used_nanos <> COALESCE(e.used, 0))",
        stretch.after,
        stretch.upto,
    )
    return [
        Finding(
            "totals = entries", f"account {account}: its totals differ from its entries", account
        )
        for (account,) in rows
    ]


async def _charges_equal_their_records(database: Database, stretch: Stretch) -> list[Finding]:
    rows = await database.read(
        "SELECT r.account_id, r.request_id FROM usage_records r LEFT JOIN entries e"
        " ON e.kind = 'settle' AND e.ref = r.request_id AND e.chain_account_id = r.account_id"
        " AND e.amount_nanos = r.charge_nanos WHERE r.charge_nanos <> 0 AND e.id IS NULL"
        " AND r.account_id > $1 AND r.account_id <= $2"
        " UNION ALL SELECT e.chain_account_id, e.ref FROM entries e LEFT JOIN usage_records r"
        " ON r.request_id = e.ref AND r.charge_nanos = e.amount_nanos"
        " WHERE e.kind = 'settle' AND r.request_id IS NULL"
        " AND e.chain_account_id > $1 AND e.chain_account_id <= $2",
        stretch.after,
        stretch.upto,
    )
    return [
        Finding(
            "usage = ledger",
            f"account {account}: the record and the entry of request {request} differ",
            account,
        )
        for account, request in rows
    ]


async def _hours_equal_their_records(database: Database, stretch: Stretch) -> list[Finding]:
    parts = "account_id, hour_at, key_id, model, mode, status"
    rows = await database.read(
        f"SELECT DISTINCT account_id FROM (SELECT {parts}, requests AS calls,"
        " charge_nanos AS nanos FROM usage_hours WHERE account_id > $1 AND account_id <= $2"
        f" UNION ALL SELECT account_id, created_at - created_at % {HOUR_MS}, key_id, model, mode,"
        " status, -1, -charge_nanos FROM usage_records"
        " WHERE account_id > $1 AND account_id <= $2) AS both_sides"
        f" GROUP BY {parts} HAVING SUM(calls) <> 0 OR SUM(nanos) <> 0",
        stretch.after,
        stretch.upto,
    )
    return [
        Finding(
            "hours = sum of usage records",
            f"account {account}: its hourly sums differ from its usage records",
            account,
        )
        for (account,) in rows
    ]


async def _no_refund_is_above_its_charge(database: Database, stretch: Stretch) -> list[Finding]:
    rows = await database.read(
        "SELECT r.chain_account_id, r.ref FROM entries r LEFT JOIN entries s"
        " ON s.kind = 'settle' AND s.ref = r.ref AND s.chain_account_id = r.chain_account_id"
        " AND s.amount_nanos >= r.amount_nanos WHERE r.kind = 'refund' AND s.id IS NULL"
        " AND r.chain_account_id > $1 AND r.chain_account_id <= $2",
        stretch.after,
        stretch.upto,
    )
    return [
        Finding(
            "refund <= charge",
            f"account {account}: request {request} was refunded more than charged",
            account,
        )
        for account, request in rows
    ]


async def _no_charge_is_above_its_hold(database: Database, stretch: Stretch) -> list[Finding]:
    rows = await database.read(
        "SELECT account_id, request_id FROM usage_records"
        " WHERE mode = 'live' AND (charge_nanos > hold_nanos OR charge_nanos < 0)"
        " AND account_id > $1 AND account_id <= $2",
        stretch.after,
        stretch.upto,
    )
    return [
        Finding(
            "charge <= hold",
            f"account {account}: request {request} was charged more than was held",
            account,
        )
        for account, request in rows
    ]


async def _key_spends_are_whole(database: Database) -> list[Finding]:
    rows = await database.read(
        "SELECT k.key_id, k.held_nanos, COALESCE(h.nanos, 0), o.account_id FROM key_spends k"
        " JOIN keys o ON o.id = k.key_id LEFT JOIN ("
        " SELECT key_id, key_window_at, CAST(SUM(amount_nanos) AS BIGINT) AS nanos FROM holds"
        " GROUP BY key_id, key_window_at) AS h"
        " ON h.key_id = k.key_id AND h.key_window_at = k.window_at"
        " WHERE k.held_nanos <> COALESCE(h.nanos, 0)"
    )
    return [
        Finding(
            "a key's held = sum of its open holds",
            f"account {account}: key {key} holds {format_nanos(held)}, its open holds add up to"
            f" {format_nanos(total)}",
            account,
        )
        for key, held, total, account in rows
    ]


async def _chains_are_unbroken(database: Database, stretch: Stretch) -> list[Finding]:
    """Walk all chains in the order of their accounts, a page at a time."""
    findings: dict[int, Finding] = {}
    account, number, previous, balance = stretch.after, LAST_NUMBER, "", 0
    while True:
        page = await database.read(
            "SELECT chain_account_id, chain_number, at, debit_account_id, credit_account_id,"
            " amount_nanos, kind, ref, balance_after_nanos, chain_hash FROM entries"
            " WHERE chain_account_id IS NOT NULL"
            " AND (chain_account_id, chain_number) > ($1, $2) AND chain_account_id <= $4"
            " ORDER BY chain_account_id, chain_number LIMIT $3",
            account,
            number,
            CHAIN_PAGE,
            stretch.upto,
        )
        if not page:
            return list(findings.values())
        for owner, place, at, debit, credit, nanos, kind, ref, after, link in page:
            if owner != account:
                account, number, previous, balance = owner, 0, "", 0
            balance += nanos if credit == owner else -nanos
            expected = chain_hash(
                previous,
                number=number + 1,
                at=at,
                debit=debit,
                credit=credit,
                nanos=nanos,
                kind=kind,
                ref=ref,
                balance_after=balance,
            )
            if place != number + 1 or after != balance or link != expected:
                findings.setdefault(owner, _broken_chain(owner, number + 1))
            number, previous, balance = place, link, after


async def _chains_end_where_their_accounts_say(database: Database) -> list[Finding]:
    """The last link stands in the account too: so the end of a chain cannot be cut off."""
    rows = await database.read(
        "SELECT a.id, a.chain_length FROM accounts a LEFT JOIN entries e"
        " ON e.chain_account_id = a.id AND e.chain_number = a.chain_length"
        " AND e.chain_hash = a.chain_hash WHERE a.chain_length > 0 AND e.id IS NULL"
    )
    return [_broken_chain(account, number) for account, number in rows]


def _broken_chain(account: int, number: int) -> Finding:
    return Finding(
        "the hash chain is unbroken",
        f"account {account}: its chain of entries is broken at number {number}",
        account,
    )
