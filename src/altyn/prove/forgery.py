"""A thief who knows the ledger: all its sums and hashes agree with what they have changed.

Only what the usage comes to still tells.
"""

from altyn.database.engine import Transaction
from altyn.ledger.book import chain_hash
from altyn.usage.record import HOUR_MS

CHAIN = (
    "SELECT id, at, debit_account_id, credit_account_id, amount_nanos, kind, ref FROM entries"
    " WHERE chain_account_id = $1 ORDER BY chain_number"
)
LINK = (
    "UPDATE entries SET amount_nanos = $2, balance_after_nanos = $3, chain_hash = $4 WHERE id = $1"
)
CUSTOMER = (
    "UPDATE accounts SET posted_nanos = posted_nanos + 1, used_nanos = used_nanos - 1,"
    " chain_hash = $2 WHERE id = $1"
)
REVENUE = "UPDATE accounts SET posted_nanos = posted_nanos - 1 WHERE id = $1"
RECORD = "UPDATE usage_records SET charge_nanos = charge_nanos - 1 WHERE request_id = $1"
HOUR = (
    "UPDATE usage_hours SET charge_nanos = charge_nanos - 1 WHERE (account_id, hour_at) ="
    f" (SELECT account_id, created_at - created_at % {HOUR_MS} FROM usage_records"
    " WHERE request_id = $1)"
)


async def forge(tx: Transaction, account: int) -> None:
    """Take a nano off the first charge of an account, wherever the ledger has written it down."""
    request, revenue, link, balance = "", 0, "", 0
    for number, (entry, at, debit, credit, amount, kind, ref) in enumerate(
        await tx.fetch(CHAIN, account), 1
    ):
        nanos = amount
        if kind == "settle" and not request:
            request, revenue, nanos = ref, credit, amount - 1
        balance += nanos if credit == account else -nanos
        link = chain_hash(
            link,
            number=number,
            at=at,
            debit=debit,
            credit=credit,
            nanos=nanos,
            kind=kind,
            ref=ref,
            balance_after=balance,
        )
        await tx.execute(LINK, entry, nanos, balance, link)
    await tx.execute(CUSTOMER, account, link)
    await tx.execute(REVENUE, revenue)
    await tx.execute(RECORD, request)
    await tx.execute(HOUR, request)
