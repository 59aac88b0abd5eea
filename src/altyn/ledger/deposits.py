"""Money in, by hand or by a code: how much at once, how much in all, once for each reference."""

from altyn.crashpoints import reach
from altyn.database.engine import Database
from altyn.errors import AlreadyExistsError, InvalidAmountError, OperatorError
from altyn.ledger.moves import Deposit, Source
from altyn.ledger.writer import Writer
from altyn.money import Nanos, format_short, parse_nanos

DEPOSIT_MAX: Nanos = 10**18
"""A billion units at once, nine times over before a BIGINT is full: more is a slip of the hand."""

FULL: Nanos = 9 * 10**18
"""All accounts together stay below the largest BIGINT: SQLite would go on in floating point."""


def read_deposit(amount: str) -> Nanos:
    """An amount as it is written. Raises `OperatorError` for one that cannot be paid in."""
    nanos = parse_nanos(amount)
    if nanos <= 0:
        raise InvalidAmountError(amount)
    if nanos > DEPOSIT_MAX:
        raise OperatorError(
            f"{amount} is more than one deposit may be: {format_short(DEPOSIT_MAX)}."
        )
    return nanos


async def pay_in(
    database: Database,
    writer: Writer,
    *,
    account_id: int,
    amount_nanos: Nanos,
    reference: str,
    reason: str = "",
    source: Source = "cash_in",
) -> bool:
    """Pay in, once for each reference. Whether the reference was known, and so nothing was added.

    Raises `AlreadyExistsError` when it belongs to another deposit, `OperatorError` when there is no
    room for so much.
    """
    known = await find_deposit(database, reference)
    written = known
    if known is None:
        await _leave_room(database, amount_nanos)
        reach("deposit")
        await writer.post(
            Deposit(
                account_id=account_id,
                amount_nanos=amount_nanos,
                reference=reference,
                reason=reason,
                source=source,
            )
        )
        reach("deposited")
        # Somebody else may have been quicker: what the books say now is the answer.
        written = await find_deposit(database, reference)
    if written != (account_id, amount_nanos):
        raise AlreadyExistsError(
            f"The reference {reference} belongs to another deposit: nothing was added."
        )
    return known is not None


async def find_deposit(database: Database, reference: str) -> tuple[int, Nanos] | None:
    """The account and the amount of a deposit."""
    rows = await database.read(
        "SELECT chain_account_id, amount_nanos FROM entries WHERE kind = 'deposit' AND ref = $1",
        reference,
    )
    return (rows[0][0], rows[0][1]) if rows else None


async def _leave_room(database: Database, nanos: Nanos) -> None:
    rows = await database.read(
        "SELECT CAST(COALESCE(SUM(deposited_nanos), 0) AS BIGINT) FROM accounts"
        " WHERE kind = 'customer'"
    )
    if rows[0][0] + nanos > FULL:
        raise OperatorError(
            f"All accounts together cannot hold more than {format_short(FULL)}: nothing was added."
        )
