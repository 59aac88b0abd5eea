"""`altyn backup` while calls run: the copy is whole, and holds all that was answered before."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from altyn.control.ask import ask
from altyn.control.care import postgres_environ, restore
from altyn.database.address import open_database
from altyn.database.engine import Database
from altyn.database.seal import ROOT_FILE
from altyn.ledger.audit import verify
from altyn.prove.fleet import RESOLVED_S, calling, dishonest, one_shop
from altyn.prove.place import Place
from altyn.prove.shop import Shop
from altyn.prove.table import Row
from altyn.receipts import charges_equal_their_prices
from altyn.settings import read_settings

LOAD_S = 0.4


async def back_up_under_load(place: Place, *, rounds: int, seed: int) -> Row:
    """Each copy is restored in a place of its own, and read there."""
    row = Row(fault="backup under load, restored and verified", database=place.kind)
    if place.kind == "postgresql" and (place.server is None or shutil.which("pg_restore") is None):
        row.note = "needs a private server, pg_dump and pg_restore"
        return row
    async with one_shop(place, seed) as shop:
        node = await shop.start()
        for number in range(rounds):
            row.rounds += 1
            async with calling(shop, [node]):
                row.violations += await _back_up_once(place, shop, number)
        row.violations += await shop.resolved(RESOLVED_S, by=node)
        row.violations += [*dishonest(shop), *await shop.broken()]
        await node.stop()
    return row


async def _back_up_once(place: Place, shop: Shop, number: int) -> list[str]:
    depositing = asyncio.create_task(shop.keep_depositing())
    await asyncio.sleep(LOAD_S)
    calls = {
        call.request_id or "": call.cost_nanos or 0
        for call in shop.callers.calls
        if call.end == "whole"
    }
    deposits = dict(shop.deposits)
    copy = place.folder / f"backup-{id(shop)}-{number}"
    await asyncio.to_thread(ask, shop.settings, "backup", file=str(copy))
    depositing.cancel()
    await asyncio.gather(depositing, return_exceptions=True)
    async with _restored(place, copy) as database:
        audit = await verify(database, charges_equal_their_prices)
        found = [finding.sentence for finding in audit.findings]
        return [*found, *await missing(database, calls, deposits)]


async def missing(database: Database, calls: dict[str, int], deposits: dict[str, int]) -> list[str]:
    """What was answered before the copy was begun and is not in it, to the nano."""
    charged = await database.read("SELECT request_id, charge_nanos FROM usage_records")
    credited = await database.read("SELECT ref, amount_nanos FROM entries WHERE kind = 'deposit'")
    records, paid = dict(map(tuple, charged)), dict(map(tuple, credited))
    return [
        f"a {what} was answered before the backup and is not in it: {name} of {nanos}"
        for what, answered, there in (("call", calls, records), ("deposit", deposits, paid))
        for name, nanos in answered.items()
        if there.get(name) != nanos
    ]


@asynccontextmanager
async def _restored(place: Place, copy: Path) -> AsyncIterator[Database]:
    if place.kind == "sqlite":
        url = await _restore_file(place, copy)
    else:
        url = await asyncio.to_thread(_restore_dump, place, copy)
    database = open_database(url)
    await database.open()
    try:
        yield database
    finally:
        await database.close()
        await asyncio.to_thread(copy.unlink)


async def _restore_file(place: Place, copy: Path) -> str:
    """As an operator does on a new machine: the copy, and the key that is kept apart from it."""
    home = copy.with_name(f"{copy.name}-home")
    home.mkdir(mode=0o700)
    shutil.copy(place.home / ROOT_FILE, home / ROOT_FILE)
    settings = read_settings({}, home=home)
    await restore(settings, copy)
    return settings.database_url


def _restore_dump(place: Place, copy: Path) -> str:
    assert place.server is not None
    url = place.server.make_database(copy.name.replace("-", "_"))
    command = ["pg_restore", "--no-owner", f"--dbname={url.rpartition('/')[2]}", str(copy)]
    subprocess.run(
        command, env={**os.environ, **postgres_environ(url)}, check=True, capture_output=True
    )
    return url
