"""How keys stand: what they have spent of their limits, and when they were used last."""

from typing import Literal

from msgspec import Struct

from altyn.database.engine import Database
from altyn.keys.key import window_end, window_start
from altyn.keys.store import Key, find_key_spend, list_keys
from altyn.money import Nanos

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
State = Literal["active", "disabled", "limit_reached", "expired", "revoked"]


class Standing(Struct, frozen=True, kw_only=True):
    """A key and how it stands. `spent_nanos` is of the limit's window; times in ms."""

    key: Key
    state: State
    spent_nanos: Nanos
    resets_at: int | None
    last_used_at: int | None
    requests_of_day: int
    by_hour: tuple[int, ...]
    """Requests in each of the last 24 hours, the oldest first."""

    @property
    def spent_share(self) -> float:
        """How much of the limit is gone: 1.0 is all of it. For a bar, never for money."""
        limit = self.key.rules.limit_nanos
        return self.spent_nanos / limit if limit else float(limit == 0)


async def list_standings(database: Database, account_id: int, *, now: int) -> list[Standing]:
    """Every key of an account, the newest first, the revoked ones last."""
    keys = await list_keys(database, account_id=account_id)
    hours = await _hours(database, account_id, now=now)
    used = await _last_used(database, account_id)
    standings = [
        await _standing(database, key, now=now, used=used.get(key.id), hours=hours.get(key.id, {}))
        for key in keys
    ]
    return sorted(standings, key=lambda one: (one.state == "revoked", -one.key.id))


async def find_standing(
    database: Database, account_id: int, key_id: int, *, now: int
) -> Standing | None:
    """One key of this account, or None: somebody else's is not there either."""
    standings = await list_standings(database, account_id, now=now)
    return next((one for one in standings if one.key.id == key_id), None)


async def _standing(
    database: Database, key: Key, *, now: int, used: int | None, hours: dict[int, int]
) -> Standing:
    rules = key.rules
    spent = 0
    if rules.limit_nanos is not None:
        window_at = window_start(rules.limit_period, now)
        spent, _ = await find_key_spend(database, key_id=key.id, window_at=window_at)
    this_hour = now // HOUR_MS * HOUR_MS
    by_hour = tuple(hours.get(this_hour - back * HOUR_MS, 0) for back in range(23, -1, -1))
    return Standing(
        key=key,
        state=_state(key, spent, now),
        spent_nanos=spent,
        resets_at=None if rules.limit_nanos is None else window_end(rules.limit_period, now),
        last_used_at=used,
        requests_of_day=sum(by_hour),
        by_hour=by_hour,
    )


def _state(key: Key, spent_nanos: Nanos, now: int) -> State:
    rules = key.rules
    if key.revoked_at is not None:
        return "revoked"
    if key.disabled_at is not None:
        return "disabled"
    if rules.expires_at is not None and rules.expires_at <= now:
        return "expired"
    if rules.limit_nanos is not None and spent_nanos >= rules.limit_nanos:
        return "limit_reached"
    return "active"


async def _hours(database: Database, account_id: int, *, now: int) -> dict[int, dict[int, int]]:
    """Requests of the last day, by key and hour."""
    since = now // HOUR_MS * HOUR_MS - DAY_MS + HOUR_MS
    rows = await database.read(
        "SELECT key_id, hour_at, CAST(SUM(requests) AS BIGINT) FROM usage_hours"
        " WHERE account_id = $1 AND hour_at >= $2 GROUP BY key_id, hour_at",
        account_id,
        since,
    )
    hours: dict[int, dict[int, int]] = {}
    for key_id, hour_at, requests in rows:
        hours.setdefault(key_id, {})[hour_at] = requests
    return hours


async def _last_used(database: Database, account_id: int) -> dict[int, int]:
    """When each key was used last: the hour by the sums, the moment by that hour's records."""
    rows = await database.read(
        "SELECT h.key_id, (SELECT MAX(r.created_at) FROM usage_records r"
        " WHERE r.account_id = $1 AND r.created_at >= h.hour_at AND r.created_at < h.hour_at + $2"
        " AND r.key_id = h.key_id)"
        " FROM (SELECT key_id, MAX(hour_at) AS hour_at FROM usage_hours WHERE account_id = $1"
        " GROUP BY key_id) h",
        account_id,
        HOUR_MS,
    )
    return {key_id: used_at for key_id, used_at in rows if used_at is not None}
