"""The playground: a conversation with a model, paid like any call, of which nothing is kept."""

from typing import Any

import msgspec
from starlette.responses import Response

from altyn.errors import InvalidJsonError
from altyn.keys.playground import find_playground
from altyn.money import NANOS_PER_UNIT
from altyn.web.call import answer_call, pass_on, playground_caller
from altyn.web.examples import choose_model
from altyn.web.pages.models import price_group
from altyn.web.snippets import Call, blocks
from altyn.web.visit import Visit

SHOWN_FIELDS = ("model", "messages", "temperature", "max_tokens")


async def show(visit: Visit) -> Response:
    """`GET /app/playground`: `model` in the address chooses one."""
    offers = [one for one in visit.shop.offers(await price_group(visit)) if one.rate is not None]
    wished, known = visit.query("model"), {offer.id for offer in offers}
    return await visit.page(
        "playground/playground.html",
        offers=offers,
        vendors=list(dict.fromkeys(offer.named.vendor for offer in offers)),
        chosen=wished if wished in known else choose_model(offers),
        **await _read_limit(visit),
    )


async def _read_limit(visit: Visit) -> dict[str, Any]:
    """What the playground may spend and in which time; its key, whose owner may change that."""
    caller = await find_playground(
        visit.shop.database, account_id=visit.me.account_id, pepper=visit.shop.seal.pepper
    )
    if caller is None:
        nanos = visit.shop.settings.playground_limit * NANOS_PER_UNIT
        return {"limit_nanos": nanos, "limit_period": "day", "key_id": None}
    rules = caller.key.rules
    return {
        "limit_nanos": rules.limit_nanos,
        "limit_period": rules.limit_period,
        "key_id": caller.key.id,
    }


async def chat(visit: Visit) -> Response:
    """`POST /app/playground/chat`: the body of a call, and its answer as the API gives it.

    `mode` in the address is `live` or `test`.
    """
    mode = "live" if visit.query("mode") == "live" else "test"
    return pass_on(visit, await playground_caller(visit, mode=mode), "/chat/completions")


async def show_call(visit: Visit) -> Response:
    """`GET /app/playground/calls/{request_id}`: what became of a call that was stopped."""
    call = Call(path=f"/generations/{visit.part('request_id')}")
    return answer_call(visit, await playground_caller(visit, mode="live"), call)


async def show_code(visit: Visit) -> Response:
    """`POST /app/playground/code`: the call that the page would make, as programs."""
    fields = _read_body(visit.field("body"))
    path = "/chat/stream" if fields.get("stream") else "/chat/completions"
    shown = {name: fields[name] for name in SHOWN_FIELDS if name in fields}
    call = Call(path=path, body=shown)
    return await visit.page("playground/code.html", tabs=blocks(call, base=visit.shop.api_base))


def _read_body(text: str) -> dict[str, Any]:
    """Raises `InvalidJsonError`."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise InvalidJsonError(reason=str(error)) from None
