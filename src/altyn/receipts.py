"""Every charge is the price of its usage: computed again from what its record keeps.

A record names the price row and the markup it was charged by, and no row of prices is ever changed:
so what was due can be told however long ago it was. The ledger knows no prices; this is handed to
its audit as one more invariant.
"""

from collections.abc import Sequence

import msgspec

from altyn.catalog.load import apply_markup
from altyn.database.engine import Database
from altyn.errors import OperatorError
from altyn.ledger.audit import LAST_NUMBER, Finding, Stretch
from altyn.money import Nanos, format_nanos
from altyn.outcome import due
from altyn.usage.record import TOKEN_COLUMNS, read_usage

PAGE = 250
"""Records computed at a time: a millisecond in which nobody else runs, four if no two of them have
one price."""

RECORDS = (
    "SELECT r.account_id, r.created_at, r.request_id, r.outcome, r.charge_nanos, r.hold_nanos,"
    f" p.document, r.markup_ppm, {', '.join(f'r.{column}' for column in TOKEN_COLUMNS)}"
    " FROM usage_records r LEFT JOIN prices p ON p.id = r.price_id"
    " AND p.model_id = COALESCE(r.served_model, r.model)"
    " WHERE (r.account_id, r.created_at, r.request_id) > ($1, $2, $3) AND r.account_id <= $4"
    " AND (r.charge_nanos <> 0 OR r.outcome NOT LIKE 'free_%')"
    " ORDER BY r.account_id, r.created_at, r.request_id LIMIT $5"
)
"""Each record with the price of the model that served it, in the order of its index."""


async def charges_equal_their_prices(database: Database, stretch: Stretch) -> list[Finding]:
    """Recompute every charge of these customers, a page at a time; the first wrong one of each."""
    findings: dict[int, Finding] = {}
    last: tuple[int, int, str] = (stretch.after, LAST_NUMBER, "")
    while page := await database.read(RECORDS, *last, stretch.upto, PAGE):
        for account, _, request, outcome, charge, hold, document, markup_ppm, *tokens in page:
            price_nanos = _price_of(tokens, document, markup_ppm)
            due_nanos = due(outcome, price_nanos=price_nanos, hold_nanos=hold)
            if charge != due_nanos:
                findings.setdefault(account, _wrong_charge(account, request, charge, due_nanos))
        last = (page[-1][0], page[-1][1], page[-1][2])
    return list(findings.values())


def _price_of(
    tokens: Sequence[int | None], document: str | None, markup_ppm: int | None
) -> Nanos | None:
    """What the usage comes to; None where the record, or the row it names, does not tell."""
    usage = read_usage(tokens)
    if usage is None or document is None:
        return None
    try:
        return apply_markup(document, markup_ppm).charge(usage)
    except (msgspec.DecodeError, OperatorError):
        return None  # the row ends a price, or the markup is none: a finding, and the audit goes on


def _wrong_charge(account: int, request: str, charge: Nanos, due_nanos: Nanos | None) -> Finding:
    instead = "nothing that can be told" if due_nanos is None else format_nanos(due_nanos)
    return Finding(
        "charge = price of its usage",
        f"account {account}: request {request} was charged {format_nanos(charge)}, its usage and"
        f" price come to {instead}",
        account,
    )
