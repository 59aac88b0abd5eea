"""Which processes are alive, and which holds have outlived their owner, by the database's time."""

from msgspec import Struct

from altyn.database.bulk import Row
from altyn.database.engine import Database, Transaction
from altyn.ledger import store
from altyn.ledger.writer import Owner

HEARTBEAT_S = 20
DEAD_AFTER_MS = 60_000
"""A worker that was silent for so long is dead: with a sweep every 20 s its holds are released
within 90 s."""

OUTAGE_OVER_S = 2 * HEARTBEAT_S
"""Who could not hear the database says nothing about the silence of others for so long after."""

SERVER_NEW_S = 2 * HEARTBEAT_S
"""Nor does a PostgreSQL that was started less than so long ago."""

NOW = {
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
    "postgresql": "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
}
"""Milliseconds since 1970 by the database's clock: the only clock that all workers share."""


async def start_worker(tx: Transaction) -> Owner:
    """Register this process, and give it the lowest shard that no live process uses."""
    now = NOW[tx.kind]
    await _wait_for_others(tx)
    taken = await tx.fetch(
        f"SELECT shard FROM workers WHERE stopped_at IS NULL AND heartbeat_at > {now} - $1",
        DEAD_AFTER_MS,
    )
    shard = min(set(range(len(taken) + 1)) - {number for (number,) in taken})
    ((worker_id, heard_ms),) = await tx.fetch(
        "INSERT INTO workers (shard, started_at, heartbeat_at)"
        f" VALUES ($1, {now}, {now}) RETURNING id, heartbeat_at",
        shard,
    )
    owner = Owner(worker_id, await store.find_operator_accounts(tx, shard))
    owner.clock.heard(heard_ms)
    return owner


async def beat(tx: Transaction, owner: Owner, health: str | None = None) -> bool:
    """Tell the others that we live, and how we find the upstreams, as JSON; hear how late it is.

    Returns whether the silence of others says that they are dead: after an outage everybody has
    been silent for as long, and gets the time of some heartbeats first.
    """
    now = NOW[tx.kind]
    ((heard_ms,),) = await tx.fetch(
        f"UPDATE workers SET heartbeat_at = {now}, health = $2 WHERE id = $1"
        " RETURNING heartbeat_at",
        owner.worker_id,
        health,
    )
    owner.clock.heard(heard_ms)
    return owner.clock.outage_over_s() >= OUTAGE_OVER_S and await _has_been_there(tx)


async def _has_been_there(tx: Transaction) -> bool:
    if tx.kind == "sqlite":
        return True
    rows = await tx.fetch(
        "SELECT clock_timestamp() - pg_postmaster_start_time() > $1 * interval '1 second'",
        SERVER_NEW_S,
    )
    return bool(rows[0][0])


async def list_health(database: Database) -> list[str]:
    """What each process that lives has told with its last beat."""
    now = NOW[database.kind]
    rows = await database.read(
        "SELECT health FROM workers WHERE stopped_at IS NULL AND health IS NOT NULL"
        f" AND heartbeat_at > {now} - $1 ORDER BY id",
        DEAD_AFTER_MS,
    )
    return [health for (health,) in rows]


async def stop_worker(tx: Transaction, worker_id: int) -> None:
    now = NOW[tx.kind]
    await tx.execute(f"UPDATE workers SET stopped_at = {now} WHERE id = $1", worker_id)


async def end_other_workers(tx: Transaction) -> None:
    """On SQLite the file is ours alone: whoever used it before is gone."""
    await tx.execute(f"UPDATE workers SET stopped_at = {NOW['sqlite']} WHERE stopped_at IS NULL")


class Abandoned(Struct, frozen=True):
    """A hold whose owner is dead, or that lived longer than any call may."""

    request_id: str
    account_id: int
    key_id: int
    amount_nanos: int
    key_window_at: int | None
    attempt: str
    model: str
    price_id: int | None
    provider: str | None
    upstream_id: str | None
    input_bound: int
    delivered_bytes: int
    streamed: int
    created_at: int
    state: str
    markup_ppm: int | None


async def list_abandoned(database: Database, *, limit: int = 500) -> list[Abandoned]:
    """Holds whose owner is dead or whose lease is over, without those a provider is asked about."""
    now = NOW[database.kind]
    return await _list(
        database,
        f"(w.stopped_at IS NOT NULL OR w.heartbeat_at < {now} - {DEAD_AFTER_MS}"
        f" OR h.lease_expires_at < {now})"
        f" AND (h.state = 'open' OR h.lease_expires_at < {now})",
        limit,
    )


async def list_unknown(database: Database, *, limit: int = 500) -> list[Abandoned]:
    """Holds whose provider is asked what became of the answer, for as long as their lease lasts."""
    now = NOW[database.kind]
    return await _list(database, f"h.state = 'unknown' AND h.lease_expires_at >= {now}", limit)


async def _list(database: Database, condition: str, limit: int) -> list[Abandoned]:
    found: list[Row] = list(
        await database.read(
            "SELECT h.request_id, h.account_id, h.key_id, h.amount_nanos, h.key_window_at,"
            " h.attempt, h.model, h.price_id, h.provider, h.upstream_id, h.input_bound,"
            " h.delivered_bytes, h.streamed, h.created_at, h.state, h.markup_ppm"
            f" FROM holds h JOIN workers w ON w.id = h.worker_id WHERE {condition}"
            " ORDER BY h.created_at LIMIT $1",
            limit,
        )
    )
    return [Abandoned(*row) for row in found]


async def _wait_for_others(tx: Transaction) -> None:
    # Two processes that start at once must not take the same shard.
    if tx.kind == "postgresql":
        await tx.fetch("SELECT pg_advisory_xact_lock(4200002)")
