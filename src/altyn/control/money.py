"""Money: `altyn deposit`, `balance`, `refund`, `ledger verify`. Amounts are decimal texts."""

from msgspec import Struct

from altyn.accounts.store import get_balance, get_user
from altyn.control.office import Office
from altyn.database.engine import Database, new_request_id
from altyn.errors import UnknownNameError
from altyn.ledger.audit import verify
from altyn.ledger.deposits import pay_in, read_deposit
from altyn.ledger.moves import Refund
from altyn.money import Nanos, format_nanos
from altyn.receipts import charges_equal_their_prices


class BalanceCard(Struct, kw_only=True):
    """As `GET /balance`, and whose it is."""

    object: str = "balance"
    email: str
    currency: str
    balance: str
    held: str
    available: str
    total_deposited: str
    total_used: str


class Receipt(BalanceCard, kw_only=True):
    """A balance after money came in. `repeated`: the reference was known, nothing was added."""

    amount: str
    reference: str
    repeated: bool


class Verification(Struct, kw_only=True):
    """What `ledger verify` found. `holds_true` only without a finding."""

    holds_true: bool
    accounts: int
    entries: int
    holds: int
    findings: list[dict[str, str]]


async def deposit(
    office: Office, *, email: str, amount: str, reason: str = "", reference: str | None = None
) -> Receipt:
    """Money in. The same reference twice is one deposit; for another amount it is an error.

    Raises `InvalidAmountError`, `UnknownNameError`, `AlreadyExistsError`.
    """
    user = await get_user(office.database, email)
    nanos = read_deposit(amount)
    ref = reference or f"manual-{new_request_id()}"
    repeated = await pay_in(
        office.database,
        office.writer,
        account_id=user.account_id,
        amount_nanos=nanos,
        reference=ref,
        reason=reason,
    )
    return await _receipt(office, user.email, nanos=nanos, reference=ref, repeated=repeated)


async def refund(office: Office, *, request: str, reason: str = "") -> Receipt:
    """Give back what a request was charged, once. Raises `UnknownNameError`.

    `request` is its id as `X-Request-Id`, as the answer, or as the ledger has it.
    """
    database = office.database
    request_id = request.removeprefix("req_").removeprefix("chatcmpl-")
    rows = await database.read(
        "SELECT e.chain_account_id, e.amount_nanos, u.email FROM entries e"
        " JOIN users u ON u.account_id = e.chain_account_id"
        " WHERE e.kind = 'settle' AND e.ref = $1 ORDER BY u.id LIMIT 1",
        request_id,
    )
    if not rows:
        raise UnknownNameError(f"The request {request} was not charged, or does not exist.")
    account_id, nanos, email = rows[0]
    repeated = await _is_refunded(database, request_id)
    await office.writer.post(
        Refund(account_id=account_id, amount_nanos=nanos, request_id=request_id, reason=reason)
    )
    return await _receipt(office, email, nanos=nanos, reference=request_id, repeated=repeated)


async def balance(office: Office, *, email: str) -> BalanceCard:
    user = await get_user(office.database, email)
    now = await get_balance(office.database, user.account_id)
    return BalanceCard(
        email=user.email,
        currency=office.settings.currency,
        balance=format_nanos(now.posted_nanos),
        held=format_nanos(now.held_nanos),
        available=format_nanos(now.available_nanos),
        total_deposited=format_nanos(now.deposited_nanos),
        total_used=format_nanos(now.used_nanos),
    )


async def verify_ledger(office: Office) -> Verification:
    """Recompute every balance and check every invariant. Reads only; may take minutes."""
    audit = await verify(office.database, charges_equal_their_prices)
    return Verification(
        holds_true=audit.holds_true,
        accounts=audit.accounts,
        entries=audit.entries,
        holds=audit.holds,
        findings=[
            {"invariant": finding.invariant, "what": finding.sentence} for finding in audit.findings
        ],
    )


async def _is_refunded(database: Database, request_id: str) -> bool:
    rows = await database.read(
        "SELECT 1 FROM entries WHERE kind = 'refund' AND ref = $1", request_id
    )
    return bool(rows)


async def _receipt(
    office: Office, email: str, *, nanos: Nanos, reference: str, repeated: bool
) -> Receipt:
    now = await balance(office, email=email)
    return Receipt(
        email=now.email,
        currency=now.currency,
        balance=now.balance,
        held=now.held,
        available=now.available,
        total_deposited=now.total_deposited,
        total_used=now.total_used,
        amount=format_nanos(nanos),
        reference=reference,
        repeated=repeated,
    )
