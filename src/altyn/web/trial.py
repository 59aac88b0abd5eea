"""A call made for somebody who looks at a page: to the sandbox, free, by a key's own rules."""

import time

import msgspec
from msgspec import Struct, structs

from altyn.chat import ChatBody
from altyn.database.engine import now_ms
from altyn.errors import AltynError, ExpiredApiKeyError, RevokedApiKeyError
from altyn.gateway.order import take_order
from altyn.keys.limits import Limits, Rates
from altyn.keys.store import Account, Caller, Key
from altyn.money import Nanos
from altyn.web.visit import Visit

MODEL = "sandbox/echo"
GREETING = {"ru": "Привет!", "en": "Hello!"}
MAX_TOKENS = 16
NO_RATES = Rates()


class Trial(Struct, frozen=True, kw_only=True):
    """How it went. `said` is the model's answer, or why there was none."""

    status: int
    said: str
    request_id: str
    total_tokens: int | None = None
    charge_nanos: Nanos = 0
    latency_ms: int = 0


async def try_key(visit: Visit, key: Key) -> Trial:
    """Make a short test call as if with this key. Nothing is charged, whatever its mode is."""
    started_s = time.monotonic()
    try:
        trial = await _call(visit, key)
    except AltynError as error:
        trial = Trial(
            status=error.status,
            said=error.message(visit.words.language),
            request_id=visit.request_id,
        )
    return structs.replace(trial, latency_ms=round((time.monotonic() - started_s) * 1000))


async def _call(visit: Visit, key: Key) -> Trial:
    desk, greeting = visit.shop.desk, GREETING[visit.words.language]
    assert desk.shelf is not None
    fields = {
        "model": (key.rules.models or (MODEL,))[0],
        "messages": [{"role": "user", "content": greeting}],
        "max_tokens": MAX_TOKENS,
    }
    order = take_order(
        _caller(visit, key),
        msgspec.convert(fields, ChatBody),
        fields,
        request_id=visit.request_id,
        shelf=desk.shelf,
        waits=desk.waits,
    )
    await desk.hold(order)
    slot = Limits().enter_local(account_id=key.account_id, account=NO_RATES, key_id=key.id)
    receipt = await desk.take(order, slot, listener=None, gone=lambda: False).run()
    if receipt.error is not None or receipt.answer is None:
        raise receipt.error or AltynError
    usage = receipt.verdict.usage
    return Trial(
        status=200,
        said=_text(receipt.answer.choices),
        request_id=visit.request_id,
        total_tokens=usage.total_tokens if usage else None,
        charge_nanos=receipt.verdict.charge_nanos,
    )


def _caller(visit: Visit, key: Key) -> Caller:
    """Whoever would call with this key, in test mode and from our own address."""
    if key.revoked_at is not None or key.disabled_at is not None:
        raise RevokedApiKeyError
    if key.rules.expires_at is not None and key.rules.expires_at <= now_ms():
        raise ExpiredApiKeyError
    return Caller(
        key=structs.replace(key, mode="test"),
        account=Account(
            id=visit.me.account_id,
            frozen=False,
            price_group=None,
            requests_per_minute=None,
            tokens_per_minute=None,
            parallel_requests=None,
        ),
        models=None if key.rules.models is None else frozenset(key.rules.models),
        networks=None,
    )


def _text(choices: bytes) -> str:
    """What the first choice says."""
    first = msgspec.json.decode(choices)[0]
    return str(first.get("message", {}).get("content") or "")
