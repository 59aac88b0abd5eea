"""One row for each request, and the hour it is added to. Written with the money, or not at all."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from altyn.chat import Usage
from altyn.database.bulk import Change, rows
from altyn.money import Nanos

HOUR_MS = 3_600_000
TEXT_MAX = 200
Status = Literal["success", "error", "cancelled"]
Mode = Literal["live", "test"]


class UsageRecord(Struct, kw_only=True):
    """What one request used and cost, and how it ended. Unknown numbers are None, never 0."""

    request_id: str
    account_id: int
    key_id: int
    mode: Mode
    model: str
    created_at: int
    status: Status
    outcome: str
    streamed: bool
    usage: Usage | None = None
    charge_nanos: Nanos = 0
    cost_nanos: Nanos | None = None
    hold_nanos: Nanos = 0
    price_id: int | None = None
    markup_ppm: int | None = None
    provider: str | None = None
    upstream_model: str | None = None
    upstream_id: str | None = None
    latency_ms: int | None = None
    first_token_ms: int | None = None
    finish_reason: str | None = None
    error_code: str | None = None
    attempts: int = 0
    flags: str | None = None
    served_model: str | None = None
    """Who answered and whose price was paid, where that is not the `model` that was asked for."""


TOKEN_COLUMNS = (
    "input_uncached",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "audio_input",
    "output_text",
    "reasoning",
    "image",
    "web_searches",
    "written_on_top",
)
RECORDS = rows(
    "usage_records",
    "request_id",
    "request_id text, account_id, key_id, mode text, model text, created_at, status text,"
    f" outcome text, streamed, {', '.join(TOKEN_COLUMNS)}, charge_nanos, cost_nanos, hold_nanos,"
    " price_id, markup_ppm, provider text, upstream_model text, upstream_id text, latency_ms,"
    " first_token_ms, finish_reason text, error_code text, attempts, flags text, served_model text",
)
HOURS = rows(
    "usage_hours",
    "account_id, hour_at, key_id, model, mode, status",
    "account_id, hour_at, key_id, model text, mode text, status text, requests, prompt_tokens,"
    " completion_tokens, charge_nanos, uncounted",
)
COUNTED = len(TOKEN_COLUMNS)
UNKNOWN = (None,) * COUNTED


def record_changes(records: Sequence[UsageRecord]) -> list[Change]:
    """Insert *records* and add them to their hours: to be made with their money."""
    if not records:
        return []
    return [
        Change("insert", RECORDS, [_row(record) for record in records]),
        Change("add", HOURS, _hours(records)),
    ]


def _row(record: UsageRecord) -> tuple[Any, ...]:
    return (
        record.request_id,
        record.account_id,
        record.key_id,
        record.mode,
        record.model,
        record.created_at,
        record.status,
        record.outcome,
        int(record.streamed),
        *(UNKNOWN if record.usage is None else msgspec.structs.astuple(record.usage)[:COUNTED]),
        record.charge_nanos,
        record.cost_nanos,
        record.hold_nanos,
        record.price_id,
        record.markup_ppm,
        record.provider,
        storable(record.upstream_model),
        storable(record.upstream_id),
        record.latency_ms,
        record.first_token_ms,
        storable(record.finish_reason),
        record.error_code,
        record.attempts,
        record.flags,
        record.served_model,
    )


def read_usage(tokens: Sequence[int | None]) -> Usage | None:
    """The tokens of a record, in the order of `TOKEN_COLUMNS`; None where not all are known."""
    if None in tokens:
        return None
    return Usage(**dict(zip(TOKEN_COLUMNS, tokens, strict=True)))  # type: ignore[arg-type]


def storable(text: str | None) -> str | None:
    # PostgreSQL keeps no NUL in a text. A provider's odd name must not stop a settlement, nor fill
    # the disk: it may be as long as the answer.
    if text is None or (len(text) <= TEXT_MAX and "\0" not in text):
        return text
    return text[:TEXT_MAX].replace("\0", "")


def _hours(records: Sequence[UsageRecord]) -> list[tuple[Any, ...]]:
    sums: dict[tuple[Any, ...], list[int]] = {}
    for record in records:
        key = (
            record.account_id,
            record.created_at - record.created_at % HOUR_MS,
            record.key_id,
            record.model,
            record.mode,
            record.status,
        )
        total = sums.setdefault(key, [0, 0, 0, 0, 0])
        total[0] += 1
        if record.usage is not None:
            total[1] += record.usage.input_tokens
            total[2] += record.usage.output_tokens
        total[3] += record.charge_nanos
        total[4] += record.usage is None
    return [(*key, *total) for key, total in sums.items()]
