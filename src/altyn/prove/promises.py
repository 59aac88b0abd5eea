"""What a ledger has promised, and whether the database kept it.

Everything that was answered must be there, nothing that nobody asked for may be, and every
invariant must hold. The promises are kept by whoever asked, outside the process that is killed.
"""

from collections.abc import Iterable

from msgspec import Struct, field

from altyn.database.engine import Database
from altyn.ledger.audit import verify


class Promises(Struct):
    """Said by the clients of one set of books: amounts in nanos by reference or request."""

    asked: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    settled: dict[str, int] = field(default_factory=dict)
    deposited: dict[str, int] = field(default_factory=dict)
    refunded: dict[str, int] = field(default_factory=dict)

    def hear(self, lines: Iterable[str]) -> list[str]:
        """Take what a process said; return the violations it saw itself."""
        violations = []
        for line in lines:
            word, _, rest = line.partition(" ")
            name, _, number = rest.partition(" ")
            match word:
                case "asked":
                    self.asked.add(name)
                case "held":
                    self.held.add(name)
                case "settled":
                    self.settled[name] = int(number)
                case "deposited":
                    self.deposited[name] = int(number)
                case "refunded":
                    self.refunded[name] = int(number)
                case "violation":
                    violations.append(rest)
        return violations


async def broken(database: Database, promises: Promises) -> list[str]:
    """Every promise that is not kept, and every invariant that does not hold; no hold is left."""
    found = [finding.sentence for finding in (await verify(database)).findings]
    records = dict(await _pairs(database, "SELECT request_id, charge_nanos FROM usage_records"))
    by_kind = "SELECT ref, amount_nanos FROM entries WHERE kind = $1"
    deposits = dict(await _pairs(database, by_kind, "deposit"))
    refunds = dict(await _pairs(database, by_kind, "refund"))
    for what, promised, there in (
        ("settlement", promises.settled, records),
        ("deposit", promises.deposited, deposits),
        ("refund", promises.refunded, refunds),
    ):
        found += [
            f"a {what} was answered and is not there: {name} of {nanos}"
            for name, nanos in promised.items()
            if there.get(name) != nanos
        ]
    found += [
        f"a hold was answered and is forgotten: {name}" for name in promises.held - records.keys()
    ]
    everything = records.keys() | deposits.keys() | refunds.keys()
    found += [f"nobody asked for {name}" for name in everything - promises.asked]
    open_holds = await database.read("SELECT request_id FROM holds")
    found += [f"a hold of a dead process is left: {name}" for (name,) in open_holds]
    return found


async def _pairs(database: Database, sql: str, *values: object) -> list[tuple[str, int]]:
    return [(name, nanos) for name, nanos in await database.read(sql, *values)]
