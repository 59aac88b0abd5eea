"""What every seed of a simulation begins with: a stocked database as an image, made once."""

import asyncio
from pathlib import Path
from typing import Any

from msgspec import Struct

from altyn.catalog.load import Catalog, add_price, load_catalog
from altyn.catalog.price import Price
from altyn.catalog.route import add_route
from altyn.database.address import open_database
from altyn.database.engine import Transaction
from altyn.database.seal import Seal, load_root
from altyn.gateway.shelf import Shelf
from altyn.keys.store import Caller, KeyRules, create_key, find_caller
from altyn.prove.place import Place
from altyn.settings import Settings, read_settings
from altyn.upstream.provider import Provider, add_provider, list_providers

LIMIT_NANOS = 40_000_000
"""Of the second key: some of its calls are refused for it."""

TELLING, SILENT, BOTH = (
    "openai/gpt-oss-120b",
    "meta-llama/llama-4-maverick",
    "deepseek/deepseek-v3.1-terminus",
)
"""One model of a vendor who tells afterwards, one of another who does not, one that both serve."""

COST = Price(input=300_000_000, output=900_000_000, cached_read=30_000_000)


class World(Struct):
    """Everything a seed begins with, made once."""

    template: bytes
    catalog: Catalog
    providers: list[Provider]
    shelf: Shelf
    callers: list[Caller]
    settings: Settings


def make_world(place: Place) -> World:
    return asyncio.run(_make_world(place.fresh(), place.home))


async def _make_world(url: str, home: Path) -> World:
    database = open_database(url)
    await database.open()
    try:
        seal = Seal(load_root(home))
        digests = await database.write(lambda tx: _stock(tx, seal))
        callers = [await find_caller(database, digest) for digest in digests]
        catalog, providers = await load_catalog(database), await list_providers(database, seal)
        return World(
            template=await database.write(_image),
            catalog=catalog,
            providers=providers,
            shelf=Shelf(catalog, providers),
            callers=[caller for caller in callers if caller is not None],
            settings=read_settings({}, home=home),
        )
    finally:
        await database.close()


async def _stock(tx: Transaction, seal: Seal) -> list[bytes]:
    for name, url in (
        ("telling", "https://openrouter.ai/api/v1"),
        ("silent", "https://silent.test/v1"),
    ):
        await add_provider(
            tx, seal, name=name, dialect="openai-chat", base_url=url, secret="sk-of-the-operator"
        )
    for model, names in (
        (TELLING, ("telling",)),
        (SILENT, ("silent",)),
        (BOTH, ("silent", "telling")),
    ):
        for name in names:
            await add_route(tx, model_id=model, provider=name, upstream_model="m")
    for model in (TELLING, SILENT, BOTH):  # the built-in prices begin when they are written
        await add_price(tx, model_id=model, kind="cost", price=COST, effective_from=1)
    await tx.execute(
        "UPDATE models SET on_sale = 0 WHERE id NOT IN ($1, $2, $3)", TELLING, SILENT, BOTH
    )
    ((account,),) = await tx.fetch(
        "INSERT INTO accounts (kind, name, created_at) VALUES ('customer', 'a', 1) RETURNING id"
    )
    for limit in (None, LIMIT_NANOS):
        await create_key(
            tx,
            account_id=account,
            name="k",
            mode="live",
            rules=KeyRules(limit_nanos=limit),
            pepper=seal.pepper,
        )
    return [digest for (digest,) in await tx.fetch("SELECT digest FROM keys ORDER BY id")]


async def _image(tx: Any) -> bytes:
    tx.connection.execute("COMMIT")
    image: bytes = tx.connection.serialize()
    tx.connection.execute("BEGIN")
    # The image is of a WAL database, which only a file can be.
    return image[:18] + b"\x01\x01" + image[20:]
