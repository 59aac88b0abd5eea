"""Resolve what a process that died has left open: at the start, and every twenty seconds.

Nobody knows what its customers were given, so they pay nothing; where an upstream had begun to
answer, the operator books the loss.
"""

import structlog

from altyn.catalog.load import Catalog
from altyn.chat import Usage
from altyn.database.engine import Database, StoreUnavailableError, now_ms
from altyn.ledger.moves import HoldAlreadyResolvedError, Resolve
from altyn.ledger.workers import Abandoned, list_abandoned
from altyn.ledger.writer import Writer
from altyn.outcome import Terms, Verdict, judge_abandoned
from altyn.upstream.count import estimated_tokens
from altyn.usage.record import UsageRecord

log = structlog.get_logger("altyn.recovery")


async def resolve_abandoned(database: Database, writer: Writer, catalog: Catalog) -> int:
    """Resolve every abandoned hold once, whoever else is trying; say how many were ours."""
    resolved = 0
    for hold in await list_abandoned(database):
        try:
            await writer.post(_resolution(hold, catalog))
        except (HoldAlreadyResolvedError, StoreUnavailableError):
            continue  # another sweeper was first, or the next sweep will be
        resolved += 1
        log.warning("abandoned_hold_resolved", request_id=hold.request_id, attempt=hold.attempt)
    return resolved


def _resolution(hold: Abandoned, catalog: Catalog) -> Resolve:
    verdict = _judge(hold, catalog)
    return Resolve(
        request_id=hold.request_id,
        account_id=hold.account_id,
        state=verdict.state,
        key_id=hold.key_id,
        key_window_at=hold.key_window_at,
        loss=verdict.loss,
        record=_record(hold, verdict),
    )


def _judge(hold: Abandoned, catalog: Catalog) -> Verdict:
    rate = catalog.find_rate(hold.model, None, hold.created_at)
    model = catalog.models.get(hold.model)
    estimate = Usage(
        input_uncached=estimated_tokens(hold.input_bound),
        output_text=estimated_tokens(hold.delivered_bytes),
    )
    if rate is None or model is None:
        return Verdict(outcome="free_unknown", status="error", state="expired")
    terms = Terms(
        price=rate.price,
        cost_price=rate.cost_price,
        hold_nanos=hold.amount_nanos,
        context_length=model.context_length,
        mode="live",
    )
    return judge_abandoned(sent=hold.attempt == "sent", estimate=estimate, terms=terms)


def _record(hold: Abandoned, verdict: Verdict) -> UsageRecord:
    return UsageRecord(
        request_id=hold.request_id,
        account_id=hold.account_id,
        key_id=hold.key_id,
        mode="live",
        model=hold.model,
        created_at=hold.created_at,
        status=verdict.status,
        outcome=verdict.outcome,
        streamed=bool(hold.streamed),
        cost_nanos=verdict.loss.amount_nanos if verdict.loss else None,
        hold_nanos=hold.amount_nanos,
        price_id=hold.price_id,
        provider=hold.provider,
        upstream_id=hold.upstream_id,
        latency_ms=max(0, now_ms() - hold.created_at),
        error_code="internal_error",
        attempts=1,
    )
