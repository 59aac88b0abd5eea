"""Resolve what a process that died has left open.

At the start and every twenty seconds each process sweeps: it gives the held money back, because
nobody knows what the customer was given, and where an upstream had begun to answer the operator
books the loss. Where the provider can be asked what became of the answer, the hold is first marked
`unknown`; then it is asked, every few seconds for ten minutes, and what it says is charged.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from altyn.catalog.load import Catalog
from altyn.catalog.model import Model
from altyn.catalog.pricebook import Rate
from altyn.chat import Fault, Usage
from altyn.crashpoints import reach
from altyn.database.engine import Database, StoreUnavailableError, now_ms
from altyn.ledger.moves import HoldAlreadyResolvedError, Resolve
from altyn.ledger.workers import Abandoned, list_abandoned, list_unknown
from altyn.ledger.writer import Writer
from altyn.outcome import Terms, Verdict, judge_abandoned
from altyn.upstream.connection import Patience
from altyn.upstream.count import estimated_tokens
from altyn.upstream.dialects.afterwards import Told, can_tell
from altyn.upstream.provider import Provider
from altyn.usage.record import UsageRecord

log = structlog.get_logger("altyn.recovery")
LOOK_UP_S = 5.0
LOOK_UP_PATIENCE = Patience(connect_s=5, first_byte_s=10, idle_s=5)
LOOK_UPS_AT_ONCE = 20

LookUp = Callable[[Provider, str, Patience], Awaitable[Told | None]]
Providers = Mapping[str, Provider]


async def resolve_abandoned(
    database: Database, writer: Writer, catalog: Catalog, providers: Providers
) -> int:
    """Resolve every abandoned hold once, or mark it unknown, whoever else is trying.

    Says how many were ours. Asks nobody outside, so a start does not wait for a provider.
    """
    resolved = 0
    for hold in await list_abandoned(database):
        if hold.state == "open" and _can_be_told(hold, providers):
            resolved += await _post(writer, _unknown(hold), hold)
            reach("unknown")
        else:
            resolved += await _post(writer, _resolution(hold, catalog, None), hold)
    return resolved


async def resolve_unknown(
    database: Database, writer: Writer, catalog: Catalog, providers: Providers, look_up: LookUp
) -> int:
    """Ask the providers of what is unknown, and settle what they tell. Says how much that was."""
    at_once = asyncio.Semaphore(LOOK_UPS_AT_ONCE)

    async def settle_if_told(hold: Abandoned) -> int:
        async with at_once:
            told = await _ask(hold, providers, look_up) if _can_be_told(hold, providers) else None
        if told is None:
            return 0
        reach("looked up")
        return await _post(writer, _resolution(hold, catalog, told), hold)

    return sum(await asyncio.gather(*map(settle_if_told, await list_unknown(database))))


def _can_be_told(hold: Abandoned, providers: Providers) -> bool:
    """Whether its provider can say what became of the answer."""
    provider = providers.get(hold.provider or "")
    return provider is not None and hold.upstream_id is not None and can_tell(provider.host)


async def _ask(hold: Abandoned, providers: Providers, look_up: LookUp) -> Told | None:
    assert hold.provider is not None
    assert hold.upstream_id is not None
    try:
        return await look_up(providers[hold.provider], hold.upstream_id, LOOK_UP_PATIENCE)
    except Fault as fault:
        log.warning("look_up_failed", request_id=hold.request_id, kind=fault.kind)
        return None


async def _post(writer: Writer, move: Resolve, hold: Abandoned) -> int:
    reach("sweep")
    try:
        await writer.post(move)
    except (HoldAlreadyResolvedError, StoreUnavailableError):
        return 0  # another sweeper was first, or the next sweep will be
    except Exception:
        # One hold that cannot be resolved must not keep the others waiting.
        log.exception("abandoned_hold_failed", request_id=hold.request_id)
        return 0
    reach("swept")
    log.warning(
        "abandoned_hold_resolved",
        request_id=hold.request_id,
        attempt=hold.attempt,
        state=move.state,
        charge_nanos=move.charge_nanos,
    )
    return 1


# What it comes to -----------------------------------------------------------------------------


def _unknown(hold: Abandoned) -> Resolve:
    return Resolve(request_id=hold.request_id, account_id=hold.account_id, state="unknown")


def _resolution(hold: Abandoned, catalog: Catalog, told: Told | None) -> Resolve:
    served, rate = _priced(hold, catalog)
    verdict = _judge(hold, catalog.models.get(served), rate, told)
    return Resolve(
        request_id=hold.request_id,
        account_id=hold.account_id,
        state=verdict.state,
        charge_nanos=verdict.charge_nanos,
        key_id=hold.key_id,
        key_window_at=hold.key_window_at,
        loss=verdict.loss,
        record=_record(hold, served, verdict, rate, told),
    )


def _priced(hold: Abandoned, catalog: Catalog) -> tuple[str, Rate | None]:
    """Who serves it, and by which price: those of its quote, whatever has changed since."""
    row = catalog.prices.find_by_id(hold.price_id)
    if row is None:
        served = catalog.serving(hold.model)
        return served, catalog.find_rate(served, None, hold.created_at)
    return row.model_id, catalog.prices.rate_by(row, hold.markup_ppm or 0, hold.created_at)


def _judge(hold: Abandoned, model: Model | None, rate: Rate | None, told: Told | None) -> Verdict:
    if rate is None or model is None:
        return Verdict(outcome="free_unknown", status="error", state="expired")
    return judge_abandoned(
        sent=hold.attempt == "sent",
        usage=told.usage if told is not None else None,
        finish_reason=told.finish_reason if told is not None else None,
        estimate=Usage(
            input_uncached=estimated_tokens(hold.input_bound),
            output_text=estimated_tokens(hold.delivered_bytes),
        ),
        terms=Terms(
            price=rate.price,
            cost_price=rate.cost_price,
            hold_nanos=hold.amount_nanos,
            context_length=model.context_length,
            mode="live",
        ),
    )


def _record(
    hold: Abandoned, served: str, verdict: Verdict, rate: Rate | None, told: Told | None
) -> UsageRecord:
    loss_nanos = verdict.loss.amount_nanos if verdict.loss else None
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
        usage=verdict.usage,
        charge_nanos=verdict.charge_nanos,
        cost_nanos=loss_nanos if verdict.cost_nanos is None else verdict.cost_nanos,
        hold_nanos=hold.amount_nanos,
        price_id=hold.price_id if rate is None else rate.price_id,
        markup_ppm=None if rate is None else rate.markup_ppm,
        provider=hold.provider,
        upstream_id=hold.upstream_id,
        latency_ms=max(0, now_ms() - hold.created_at),
        finish_reason=told.finish_reason if told is not None else None,
        error_code="internal_error" if verdict.status == "error" else None,
        attempts=1,
        flags=verdict.flags,
        served_model=served if served != hold.model else None,
    )
