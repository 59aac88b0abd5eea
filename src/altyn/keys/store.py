"""Keys in the database: create, find, list, revoke. The secret itself is never in there."""

import ipaddress
from collections.abc import Sequence

import msgspec
from msgspec import Struct, structs

from altyn.database.bulk import Row
from altyn.database.engine import Database, Transaction, bump_revision, now_ms
from altyn.errors import OperatorError, UnknownNameError
from altyn.keys.key import Mode, ParsedKey, Period, digest, mint, parse
from altyn.money import Nanos

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SCOPES = ("chat", "models", "balance", "usage", "key")
"""What a key may be allowed to do: one word for each part of the API. No list means all of it."""


class KeyRules(Struct, frozen=True, kw_only=True):
    """What a key may do. None everywhere means: whatever its account may."""

    limit_nanos: Nanos | None = None
    limit_period: Period = "total"
    expires_at: int | None = None
    models: tuple[str, ...] | None = None
    ip_ranges: tuple[str, ...] | None = None
    scopes: tuple[str, ...] | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    parallel_requests: int | None = None


class Key(Struct, frozen=True, kw_only=True):
    """A key as it may be shown: prefix and last four, never the secret."""

    id: int
    account_id: int
    name: str
    mode: Mode
    prefix: str
    last_four: str
    created_at: int
    revoked_at: int | None
    disabled_at: int | None = None
    old_last_four: str | None = None
    old_until: int | None = None
    rules: KeyRules


class Account(Struct, frozen=True, kw_only=True):
    """What of an account matters to a call."""

    id: int
    frozen: bool
    price_group: str | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    parallel_requests: int | None


class Caller(Struct, frozen=True, kw_only=True):
    """Account and key behind one request: everything that admission needs, read once and kept."""

    key: Key
    account: Account
    models: frozenset[str] | None
    networks: tuple[Network, ...] | None


KEY_COLUMNS = (
    "k.id, k.account_id, k.name, k.mode, k.prefix, k.last_four, k.created_at, k.revoked_at,"
    " k.limit_nanos, k.limit_period, k.expires_at, k.models, k.ip_ranges, k.scopes,"
    " k.requests_per_minute, k.tokens_per_minute, k.parallel_requests,"
    " k.disabled_at, k.old_last_four, k.old_until"
)


async def create_key(
    tx: Transaction, *, account_id: int, name: str, mode: Mode, rules: KeyRules, pepper: bytes
) -> tuple[int, str]:
    """Mint a key and store its digest. Returns its id and the key: the only time it is known.

    Raises `OperatorError` for a rule that cannot be kept, such as an address that is none.
    """
    secret = mint(mode)
    shown = parse(secret)
    assert shown is not None
    key_id = await add_key(
        tx,
        account_id=account_id,
        name=name,
        shown=shown,
        key_digest=digest(secret, pepper),
        rules=rules,
    )
    assert key_id is not None  # 250 random bits are new
    return key_id, secret


async def add_key(
    tx: Transaction,
    *,
    account_id: int,
    name: str,
    shown: ParsedKey,
    key_digest: bytes,
    rules: KeyRules,
) -> int | None:
    """Store a key that is found by this digest and return its id; None where one is already.

    Raises `OperatorError` as `create_key`.
    """
    check_rules(rules)
    rows = await tx.fetch(
        "INSERT INTO keys (account_id, name, mode, digest, prefix, last_four, limit_nanos,"
        " limit_period, models, ip_ranges, scopes, requests_per_minute, tokens_per_minute,"
        " parallel_requests, created_at, expires_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
        " ON CONFLICT (digest) DO NOTHING RETURNING id",
        account_id,
        name,
        shown.mode,
        key_digest,
        shown.prefix,
        shown.last_four,
        rules.limit_nanos,
        rules.limit_period,
        _list(rules.models),
        _list(rules.ip_ranges),
        _list(rules.scopes),
        rules.requests_per_minute,
        rules.tokens_per_minute,
        rules.parallel_requests,
        now_ms(),
        rules.expires_at,
    )
    await bump_revision(tx)
    return int(rows[0][0]) if rows else None


def check_rules(rules: KeyRules) -> None:
    for text in rules.ip_ranges or ():
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise OperatorError(
                f"'{text}' is not an address or range: write 203.0.113.7 or 203.0.113.0/24."
            ) from None
    for scope in rules.scopes or ():
        if scope not in SCOPES:
            raise OperatorError(f"'{scope}' is not a scope: choose from {', '.join(SCOPES)}.")
    if rules.limit_nanos is not None and rules.limit_nanos < 0:
        raise OperatorError("A spend limit cannot be negative.")


async def find_caller(database: Database, key_digest: bytes) -> Caller | None:
    """Who a key belongs to. Revoked and expired keys are found too: their error says so.

    A secret from before a rotation is found as well: to it the key expires when the overlap ends.
    """
    rows = await database.read(
        f"SELECT {KEY_COLUMNS}, a.frozen_at, a.price_group, a.requests_per_minute,"
        " a.tokens_per_minute, a.parallel_requests, k.digest = $1"
        " FROM keys k JOIN accounts a ON a.id = k.account_id"
        " WHERE k.digest = $1 OR k.old_digest = $1",
        key_digest,
    )
    return _caller(rows[0]) if rows else None


async def list_keys(database: Database, *, account_id: int | None = None) -> list[Key]:
    rows = await database.read(
        f"SELECT {KEY_COLUMNS} FROM keys k"
        " WHERE CAST($1 AS BIGINT) IS NULL OR k.account_id = $1 ORDER BY k.id",
        account_id,
    )
    return [_key(row) for row in rows]


async def change_key(
    tx: Transaction, key_id: int, *, account_id: int, name: str, rules: KeyRules
) -> None:
    """Give a key of this account another name and other rules; what it has spent stays spent.

    Raises `UnknownNameError`, or `OperatorError` for a rule that cannot be kept.
    """
    check_rules(rules)
    changed = await tx.execute(
        "UPDATE keys SET name = $3, limit_nanos = $4, limit_period = $5, models = $6,"
        " ip_ranges = $7, scopes = $8, requests_per_minute = $9, tokens_per_minute = $10,"
        " parallel_requests = $11, expires_at = $12"
        " WHERE id = $1 AND account_id = $2 AND revoked_at IS NULL",
        key_id,
        account_id,
        name,
        rules.limit_nanos,
        rules.limit_period,
        _list(rules.models),
        _list(rules.ip_ranges),
        _list(rules.scopes),
        rules.requests_per_minute,
        rules.tokens_per_minute,
        rules.parallel_requests,
        rules.expires_at,
    )
    await _told(tx, changed, key_id)


async def rotate_key(
    tx: Transaction, key_id: int, *, account_id: int, pepper: bytes, overlap_ms: int
) -> str:
    """Give a key a new secret and return it; the old one still opens for *overlap_ms*.

    One that was old already opens nothing from now on. Raises `UnknownNameError`.
    """
    found = await tx.fetch(
        "SELECT mode FROM keys WHERE id = $1 AND account_id = $2 AND revoked_at IS NULL",
        key_id,
        account_id,
    )
    secret = mint(found[0][0]) if found else ""
    shown = parse(secret)
    changed = 0
    if shown is not None:
        changed = await tx.execute(
            "UPDATE keys SET old_digest = digest, old_last_four = last_four, old_until = $2,"
            " digest = $3, prefix = $4, last_four = $5 WHERE id = $1",
            key_id,
            now_ms() + overlap_ms,
            digest(secret, pepper),
            shown.prefix,
            shown.last_four,
        )
    await _told(tx, changed, key_id)
    return secret


async def disable_key(
    tx: Transaction, key_id: int, *, account_id: int, disabled: bool = True
) -> None:
    """Let a key of this account open nothing, or let it open again. Raises `UnknownNameError`."""
    changed = await tx.execute(
        "UPDATE keys SET disabled_at = $3 WHERE id = $1 AND account_id = $2 AND revoked_at IS NULL",
        key_id,
        account_id,
        now_ms() if disabled else None,
    )
    await _told(tx, changed, key_id)


async def _told(tx: Transaction, changed: int, key_id: int) -> None:
    """Tell every process, if there was anything to change."""
    if not changed:
        raise UnknownNameError(f"There is no key {key_id}. 'altyn key list' shows all.")
    await bump_revision(tx)


async def revoke_key(tx: Transaction, key_id: int, *, account_id: int | None = None) -> None:
    """Revoke a key, of one account if that is given. Every process knows within a second.

    Raises `UnknownNameError` when there is no such key. Revoking twice is revoking once.
    """
    found = await tx.fetch(
        "SELECT revoked_at FROM keys WHERE id = $1"
        " AND (CAST($2 AS BIGINT) IS NULL OR account_id = $2)",
        key_id,
        account_id,
    )
    if not found:
        raise UnknownNameError(f"There is no key {key_id}. 'altyn key list' shows all.")
    await tx.execute(
        "UPDATE keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL", key_id, now_ms()
    )
    await bump_revision(tx)


async def revoke_keys(tx: Transaction, *, account_id: int) -> bool:
    """Revoke every key of an account, that of its playground too. Whether any was still good."""
    revoked = await tx.execute(
        "UPDATE keys SET revoked_at = $2 WHERE account_id = $1 AND revoked_at IS NULL",
        account_id,
        now_ms(),
    )
    await bump_revision(tx)
    return bool(revoked)


async def find_key_spend(database: Database, *, key_id: int, window_at: int) -> tuple[Nanos, Nanos]:
    """What a key with a limit has spent and holds in one window."""
    rows = await database.read(
        "SELECT spent_nanos, held_nanos FROM key_spends WHERE key_id = $1 AND window_at = $2",
        key_id,
        window_at,
    )
    return (rows[0][0], rows[0][1]) if rows else (0, 0)


# Rows -----------------------------------------------------------------------------------------


def _key(row: Row) -> Key:
    return Key(
        id=row[0],
        account_id=row[1],
        name=row[2],
        mode=row[3],
        prefix=row[4],
        last_four=row[5],
        created_at=row[6],
        revoked_at=row[7],
        rules=KeyRules(
            limit_nanos=row[8],
            limit_period=row[9] or "total",
            expires_at=row[10],
            models=_tuple(row[11]),
            ip_ranges=_tuple(row[12]),
            scopes=_tuple(row[13]),
            requests_per_minute=row[14],
            tokens_per_minute=row[15],
            parallel_requests=row[16],
        ),
        disabled_at=row[17],
        old_last_four=row[18],
        old_until=row[19],
    )


def _caller(row: Row) -> Caller:
    key = _key(row)
    if not row[25]:
        key = _until(key, key.old_until or 0)
    ranges = key.rules.ip_ranges
    return Caller(
        key=key,
        account=Account(
            id=key.account_id,
            frozen=row[20] is not None,
            price_group=row[21],
            requests_per_minute=row[22],
            tokens_per_minute=row[23],
            parallel_requests=row[24],
        ),
        models=None if key.rules.models is None else frozenset(key.rules.models),
        networks=None
        if ranges is None
        else tuple(ipaddress.ip_network(text, strict=False) for text in ranges),
    )


def _until(key: Key, at_ms: int) -> Key:
    """The key as it is to whoever holds its old secret."""
    expires_at = min(at_ms, key.rules.expires_at or at_ms)
    return structs.replace(key, rules=structs.replace(key.rules, expires_at=expires_at))


def _list(values: Sequence[str] | None) -> str | None:
    return None if values is None else msgspec.json.encode(values).decode()


def _tuple(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else msgspec.json.decode(text, type=tuple[str, ...])
