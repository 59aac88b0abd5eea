"""A call of the External API made by a page for the person who looks at it.

It takes the same way as any call: limits, hold, settlement, receipt, in the name of a key of their
own account. Only the key's secret is not needed, because nobody has it: see `keys/playground.py`.
"""

from typing import Any

import msgspec
from msgspec import structs
from starlette.responses import Response

from altyn.keys.playground import open_playground
from altyn.keys.store import Caller
from altyn.money import NANOS_PER_UNIT
from altyn.web.shop import API_PATH
from altyn.web.snippets import Call
from altyn.web.visit import Visit

CALLER = "altyn.caller"
"""Where the API finds who calls, in the scope of a request that is made here. No header of one from
outside can put anything there.
"""
OF_THE_BODY = (b"content-type", b"content-length", b"content-encoding", b"transfer-encoding")


async def playground_caller(visit: Visit, *, mode: str) -> Caller:
    """The person's account, calling by the key of its playground; in `test` mode never charged."""
    units = visit.shop.settings.playground_limit
    caller = await open_playground(
        visit.shop.database,
        account_id=visit.me.account_id,
        name=visit.gettext("Playground"),
        limit_nanos=units * NANOS_PER_UNIT or None,
        pepper=visit.shop.seal.pepper,
    )
    if mode == "live":
        return caller
    return structs.replace(caller, key=structs.replace(caller.key, mode="test"))


class ApiAnswer(Response):
    """What the API answers to a call of this caller, streamed as it would be to any."""

    def __init__(self, visit: Visit, caller: Caller, **scope: Any) -> None:
        super().__init__()
        self._api = visit.shop.api
        self._scope = {**visit.request.scope, "query_string": b"", **scope, CALLER: caller}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002 -- another request is answered than the page's
        await self._api(self._scope, receive, send)


def answer_call(visit: Visit, caller: Caller, call: Call) -> ApiAnswer:
    """The answer to an example, whose body comes from here."""
    body = b"" if call.body is None else msgspec.json.encode(dict(call.body))
    headers = [(b"content-type", b"application/json"), *_language(visit)]
    headers += [(name.lower().encode(), value.encode()) for name, value in call.headers.items()]
    return ApiAnswer(
        visit,
        caller,
        **{"altyn.line": LineWithBody(visit.request.scope["altyn.line"], body)},
        method=call.method,
        path=API_PATH + call.path,
        query_string=call.url("").partition("?")[2].encode(),
        headers=headers,
    )


def pass_on(visit: Visit, caller: Caller, path: str) -> ApiAnswer:
    """The answer to the body that the page has sent, which nobody has read yet."""
    sent = visit.request.scope["headers"]
    headers = [*_language(visit), *((name, value) for name, value in sent if name in OF_THE_BODY)]
    return ApiAnswer(visit, caller, path=API_PATH + path, headers=headers)


def _language(visit: Visit) -> list[tuple[bytes, bytes]]:
    """The language the person has chosen, whatever their browser asks for."""
    return [(b"accept-language", visit.words.language.encode())]


class LineWithBody:
    """The connection of the page's request, on which the call's own body has arrived already."""

    def __init__(self, line: Any, body: bytes) -> None:
        self._line = line
        self._body = body

    def __getattr__(self, name: str) -> Any:
        return getattr(self._line, name)

    def take_body(self) -> bytes:
        return self._body
