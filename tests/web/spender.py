"""A customer with a past, whose numbers are known to the database."""

from typing import NamedTuple

from people import Person

from altyn.database.engine import now_ms
from altyn.outcome import Outcome
from altyn.usage.record import HOUR_MS
from altyn.usage.report import DAY_MS
from fakes.gateway import Gateway
from fakes.past import Past


class Spender(NamedTuple):
    """A customer with a past: two keys, money paid in, and at least one request of each outcome."""

    person: Person
    keys: list[int]
    requests: dict[Outcome, str]
    past: Past


def spend(cabinet: Gateway, person: Person, *, calls: int = 4) -> Spender:
    """Give a person a past of 40 days that ends some minutes ago."""
    app, now = cabinet.app, now_ms()
    keys = [person.create_key("prod")[0], person.create_key("=nightly", mode="live")[0]]
    past = Past(app.desk, app.writer, account_id=person.account_id, seed=person.account_id)

    async def live_it() -> dict[Outcome, str]:
        await past.pay_in(50 * 10**9, at=now - 41 * DAY_MS, reason="card")
        await past.days(range(40, 0, -1), day_ms=DAY_MS, now=now - DAY_MS, keys=keys, calls=calls)
        await past.pay_in(5 * 10**9 + 1, at=now - 2 * HOUR_MS, reason="=HYPERLINK(1)")
        requests = await past.every_outcome(at=now - HOUR_MS, key_id=keys[0])
        await past.give_back(requests["charged"], 1_000, at=now - HOUR_MS // 2, reason="slow")
        return requests

    return Spender(person, keys, cabinet.run(live_it()), past)
