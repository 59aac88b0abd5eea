"""What ledger, upstreams and callers of a simulation say about the same calls."""

from collections.abc import Mapping

from msgspec import Struct

from altyn.chat import Usage
from altyn.database.engine import Database
from altyn.gateway.order import Order
from altyn.ledger.audit import verify
from altyn.prove.scripted import Bill, Vendors
from altyn.receipts import charges_equal_their_prices

USAGE_PRICED = ("charged", "charged_cancelled")


class Asked(Struct, kw_only=True):
    """One call, as its caller knows it."""

    order: Order
    held: bool = False
    """The hold was answered."""

    outcome: str | None = None
    charged_nanos: int | None = None
    """None while nobody has told: the process died, or a sweeper was first."""


class Record(Struct, frozen=True):
    request_id: str
    outcome: str
    charge_nanos: int
    hold_nanos: int
    cost_nanos: int | None
    upstream_id: str | None


async def differences(
    database: Database,
    vendors: Vendors,
    asked: Mapping[str, Asked],
    deposits: Mapping[str, int],
) -> list[str]:
    """Everything that is not as it must be once all is quiet."""
    audit = await verify(database, charges_equal_their_prices)
    found = [finding.sentence for finding in audit.findings]
    left = await database.read("SELECT request_id, state FROM holds")
    found += [f"still held ({state}): {name}" for name, state in left]
    rows = await database.read(
        "SELECT request_id, outcome, charge_nanos, hold_nanos, cost_nanos, upstream_id"
        " FROM usage_records"
    )
    records = {row[0]: Record(*row) for row in rows}
    losses = {ref for (ref,) in await database.read("SELECT ref FROM entries WHERE kind = 'loss'")}
    paid_in = dict(await _deposits(database))
    found += [f"a deposit is lost: {name}" for name in deposits if name not in paid_in]
    found += [f"nobody asked for {name}" for name in records if name not in asked]
    for one in asked.values():
        found += _wrong_with(one, records.get(one.order.request_id), vendors.bills, losses)
    return found


async def _deposits(database: Database) -> list[tuple[str, int]]:
    rows = await database.read("SELECT ref, amount_nanos FROM entries WHERE kind = 'deposit'")
    return [(ref, nanos) for ref, nanos in rows]


def _wrong_with(
    one: Asked, record: Record | None, bills: Mapping[str, Bill], losses: set[str]
) -> list[str]:
    name = one.order.request_id
    if record is None:
        return [f"{name} was held and is forgotten"] if one.held else []
    found = []
    if one.charged_nanos is not None and record.charge_nanos != one.charged_nanos:
        found.append(f"{name} was told {one.charged_nanos} and paid {record.charge_nanos}")
    if record.charge_nanos > one.order.hold_nanos:
        found.append(f"{name} paid more than was held")
    if record.outcome in USAGE_PRICED:
        found += _wrong_price(one, record, bills.get(record.upstream_id or ""))
    if record.outcome.startswith("free") and record.cost_nanos and name not in losses:
        found.append(f"{name} was free, cost {record.cost_nanos}, and no loss is booked")
    return found


def _wrong_price(one: Asked, record: Record, bill: Bill | None) -> list[str]:
    if bill is None:
        return [f"{record.request_id} was charged for an answer that nobody gave"]
    usage = Usage(input_uncached=bill.prompt, output_text=bill.completion)
    price = one.order.rate.price.charge(usage)
    if record.charge_nanos != price:
        return [f"{record.request_id} paid {record.charge_nanos} instead of {price} nanos"]
    return []
