"""Words for moves on real books: somebody with a key, and the moves of the usual calls."""

import os

from msgspec import Struct

from altyn.catalog.pricebook import Rate
from altyn.chat import Usage
from altyn.database.engine import Database, Transaction, now_ms
from altyn.ledger.moves import Hold, KeyWindow, Loss, Resolve
from altyn.usage.record import UsageRecord

MODEL = "sandbox/echo"
USAGE = Usage(input_uncached=3, output_text=4)


class Person(Struct, frozen=True):
    """An account and its key, which may have a spend limit."""

    account: int
    key: int
    window: KeyWindow | None = None


async def add_person(database: Database, *, limit_nanos: int | None = None) -> Person:
    async def work(tx: Transaction) -> Person:
        ((account,),) = await tx.fetch(
            "INSERT INTO accounts (kind, name, created_at) VALUES ('customer', 'a', $1)"
            " RETURNING id",
            now_ms(),
        )
        ((key,),) = await tx.fetch(
            "INSERT INTO keys (account_id, name, mode, digest, prefix, last_four, created_at)"
            " VALUES ($1, 'k', 'live', $2, 'sk_live_', 'abcd', 1) RETURNING id",
            account,
            os.urandom(16),
        )
        window = None if limit_nanos is None else KeyWindow(key, 0, limit_nanos)
        return Person(account, key, window)

    return await database.write(work)


def hold(person: Person, request: str, nanos: int) -> Hold:
    return Hold(
        request_id=request,
        account_id=person.account,
        key_id=person.key,
        amount_nanos=nanos,
        model=MODEL,
        price_id=None,
        markup_ppm=0,
        input_bound=1,
        streamed=False,
        key_window=person.window,
    )


def settle(
    person: Person,
    request: str,
    charge: int,
    *,
    held: int,
    loss: Loss | None = None,
    rate: Rate | None = None,
) -> Resolve:
    """The end of a hold with its usage record; a charge of 0 is a void.

    Without a *rate* no price tells why, which the ledger alone does not ask.
    """
    return Resolve(
        request_id=request,
        account_id=person.account,
        state="settled" if charge else "voided",
        charge_nanos=charge,
        key_id=person.key,
        key_window_at=person.window.window_at if person.window else None,
        loss=loss,
        record=UsageRecord(
            request_id=request,
            account_id=person.account,
            key_id=person.key,
            mode="live",
            model=MODEL,
            created_at=now_ms(),
            status="success",
            outcome="charged" if charge else "free_broken",
            streamed=False,
            usage=USAGE,
            charge_nanos=charge,
            hold_nanos=held,
            price_id=rate.price_id if rate else None,
            markup_ppm=rate.markup_ppm if rate else None,
        ),
    )
