"""Money: `altyn deposit`, `balance`, `refund`, `ledger verify`. Amounts are decimal texts."""

from msgspec import Struct

from altyn.accounts.store import get_balance, get_user
from altyn.control.office import Office
from altyn.crashpoints import reach
from altyn.database.engine import Database, new_request_id
from altyn.errors import AlreadyExistsError, InvalidAmountError, OperatorError, UnknownNameError
from altyn.ledger.audit import verify
from altyn.ledger.moves import Deposit, Refund
from altyn.money import Nanos, format_nanos, format_short, parse_nanos

DEPOSIT_MAX: Nanos = 10**18
"""A billion units at once, nine times over before a BIGINT is full: more is a slip of the hand."""

FULL: Nanos = 9 * 10**18
"""All accounts together stay below the largest BIGINT: SQLite would go on in floating point."""


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
    nanos = _deposited(amount)
    ref = reference or f"manual-{new_request_id()}"
    known = await _find_entry(office.database, "deposit", ref)
    if known is None:
        await _leave_room(office.database, nanos)
        reach("deposit")
        await office.writer.post(
            Deposit(account_id=user.account_id, amount_nanos=nanos, reference=ref, reason=reason)
        )
        reach("deposited")
        # Somebody else may have been quicker: what the books say now is the answer.
        written = await _find_entry(office.database, "deposit", ref)
    else:
        written = known
    if written != (user.account_id, nanos):
        raise AlreadyExistsError(
            f"The reference {ref} belongs to another deposit: nothing was added."
        )
    return await _receipt(
        office, user.email, nanos=nanos, reference=ref, repeated=known is not None
    )


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
    known = await _find_entry(database, "refund", request_id)
    await office.writer.post(
        Refund(account_id=account_id, amount_nanos=nanos, request_id=request_id, reason=reason)
    )
    return await _receipt(
        office, email, nanos=nanos, reference=request_id, repeated=known is not None
    )


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
    audit = await verify(office.database)
    return Verification(
        holds_true=audit.holds_true,
        accounts=audit.accounts,
        entries=audit.entries,
        holds=audit.holds,
        findings=[
            {"invariant": finding.invariant, "what": finding.sentence} for finding in audit.findings
        ],
    )


def _deposited(amount: str) -> Nanos:
    nanos = parse_nanos(amount)
    if nanos <= 0:
        raise InvalidAmountError(amount)
    if nanos > DEPOSIT_MAX:
        raise OperatorError(
            f"{amount} is more than one deposit may be: {format_short(DEPOSIT_MAX)}."
        )
    return nanos


async def _leave_room(database: Database, nanos: Nanos) -> None:
    rows = await database.read(
        "SELECT CAST(COALESCE(SUM(deposited_nanos), 0) AS BIGINT) FROM accounts"
        " WHERE kind = 'customer'"
    )
    if rows[0][0] + nanos > FULL:
        raise OperatorError(
            f"All accounts together cannot hold more than {format_short(FULL)}: nothing was added."
        )


async def _find_entry(database: Database, kind: str, ref: str) -> tuple[int, Nanos] | None:
    rows = await database.read(
        "SELECT chain_account_id, amount_nanos FROM entries WHERE kind = $1 AND ref = $2", kind, ref
    )
    return (rows[0][0], rows[0][1]) if rows else None


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
