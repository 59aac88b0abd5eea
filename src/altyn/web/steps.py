"""The first five minutes: what there is to do, ticked by what has happened and by nothing else."""

from typing import Literal

from msgspec import Struct

from altyn.accounts.store import AccountBalance
from altyn.database.engine import Database
from altyn.money import Nanos

HOUR_MS = 3_600_000
Name = Literal["come_in", "test_call", "top_up", "live_call", "check"]


class Step(Struct, frozen=True, kw_only=True):
    """One step: whether it is done, and whether it is the one to do now."""

    name: Name
    done: bool
    next: bool = False


class Facts(Struct, frozen=True, kw_only=True):
    """What has happened on an account. The last paid call is there once there was one."""

    keys: int
    test_calls: int
    live_request_id: str | None
    live_charge_nanos: Nanos
    balance: AccountBalance

    @property
    def adds_up(self) -> bool:
        """Whether what came in less what was used is what is there, to the nano."""
        balance = self.balance
        return balance.posted_nanos == balance.deposited_nanos - balance.used_nanos


async def find_facts(database: Database, account_id: int, balance: AccountBalance) -> Facts:
    ((keys, test_calls),) = await database.read(
        "SELECT (SELECT COUNT(*) FROM keys WHERE account_id = $1),"
        " (SELECT COUNT(*) FROM (SELECT 1 FROM usage_hours WHERE account_id = $1"
        "  AND mode = 'test' AND status = 'success' LIMIT 1) t)",
        account_id,
    )
    # The hour by the sums, the record by that hour: without them, an account that has made a
    # million test calls would have all of them read.
    live = await database.read(
        "SELECT r.request_id, r.charge_nanos FROM usage_records r JOIN ("
        " SELECT MAX(hour_at) AS hour_at FROM usage_hours"
        " WHERE account_id = $1 AND mode = 'live' AND charge_nanos > 0) h"
        " ON r.created_at >= h.hour_at AND r.created_at < h.hour_at + $2"
        " WHERE r.account_id = $1 AND r.mode = 'live' AND r.charge_nanos > 0"
        " ORDER BY r.created_at DESC, r.request_id DESC LIMIT 1",
        account_id,
        HOUR_MS,
    )
    return Facts(
        keys=keys,
        test_calls=test_calls,
        live_request_id=live[0][0] if live else None,
        live_charge_nanos=live[0][1] if live else 0,
        balance=balance,
    )


def steps_of(facts: Facts) -> list[Step]:
    """The five steps in their order, the first that is not done being the next one."""
    paid = facts.live_request_id is not None
    done: dict[Name, bool] = {
        "come_in": True,
        "test_call": facts.test_calls > 0,
        "top_up": facts.balance.deposited_nanos > 0,
        "live_call": paid,
        "check": paid and facts.adds_up,
    }
    following = next((name for name, is_done in done.items() if not is_done), None)
    return [Step(name=name, done=is_done, next=name == following) for name, is_done in done.items()]
