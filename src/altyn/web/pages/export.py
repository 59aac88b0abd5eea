"""All the data of a person in one file: what is kept of them, and everything their account did."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from msgspec import structs
from starlette.responses import Response, StreamingResponse

from altyn.accounts.consents import list_consents
from altyn.accounts.identities import list_issuers
from altyn.keys.store import list_keys
from altyn.ledger.statement import list_entries
from altyn.usage.report import Filter, list_records
from altyn.web.session import list_sessions
from altyn.web.visit import Visit

PAGE = 500


async def send(visit: Visit) -> Response:
    """`GET /app/settings/export`: JSON, written while it is read, however much it is."""
    return StreamingResponse(
        _pieces(visit),
        media_type="application/json",
        headers={"content-disposition": 'attachment; filename="altyn-data.json"'},
    )


async def _pieces(visit: Visit) -> AsyncIterator[bytes]:
    me, database = visit.me, visit.shop.database
    person = structs.asdict(me)
    for inner in ("session_id", "user_id", "seen_at", "signed_in_at", "has_password"):
        del person[inner]
    yield b'{"person":' + msgspec.json.encode(person)
    yield b',"currency":' + msgspec.json.encode(visit.shop.currency)
    yield b',"identities":' + msgspec.json.encode(await list_issuers(database, me.user_id))
    yield b',"consents":' + msgspec.json.encode(await list_consents(database, me.user_id))
    yield b',"sessions":' + msgspec.json.encode(await list_sessions(database, me.user_id))
    yield b',"keys":' + msgspec.json.encode(await list_keys(database, account_id=me.account_id))
    yield b',"entries":['
    async for piece in _listed(_entries(visit)):
        yield piece
    yield b'],"requests":['
    async for piece in _listed(_requests(visit)):
        yield piece
    yield b"]}\n"


async def _listed(things: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    """The members of a list, with commas between them."""
    comma = b""
    async for thing in things:
        yield comma + msgspec.json.encode(thing)
        comma = b","


async def _entries(visit: Visit) -> AsyncIterator[Any]:
    database, account_id, end = visit.shop.database, visit.me.account_id, 2**62
    while lines := await list_entries(database, account_id, end=end, limit=PAGE):
        for line in lines:
            # A reason is the operator's note, and may name who of them wrote it.
            yield structs.replace(line, reason=None)
        end = lines[-1].number


OURS = ("cost_nanos", "provider", "upstream_model", "upstream_id", "markup_ppm", "attempts")
"""What of a record is the operator's business: what they pay, and to whom."""


async def _requests(visit: Visit) -> AsyncIterator[Any]:
    chosen, before = Filter(account_id=visit.me.account_id), None
    while True:
        page = await list_records(visit.shop.database, chosen, limit=PAGE, before=before)
        for record in page:
            yield {name: value for name, value in record.items() if name not in OURS}
        if len(page) < PAGE:
            return
        before = page[-1]["created_at"], page[-1]["request_id"]
