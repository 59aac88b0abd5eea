"""What an installation begins with: models, the sandbox, and the vendors whose keys are set."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import partial

from altyn.accounts.store import add_user
from altyn.catalog.load import add_builtin_models, add_price
from altyn.catalog.model import Model, Native, builtin_models
from altyn.catalog.route import add_route
from altyn.database.engine import Database, Transaction
from altyn.database.seal import Seal
from altyn.keys.store import KeyRules, create_key
from altyn.upstream.provider import (
    SANDBOX_URL,
    VENDORS,
    KnownVendor,
    Provider,
    add_provider,
    list_providers,
    set_address,
    set_secret,
)

SANDBOX = "sandbox"
DEMO_EMAIL = "demo@example.test"
FIRST_KEY_NAME = "first test key"
NATIVE_PRIORITY = 50
"""A vendor's own API is asked before a middleman, whose routes have priority 100."""
MIDDLEMAN = "openrouter"


async def furnish(database: Database, seal: Seal, *, currency: str) -> int:
    """Add the models of this version that are not there yet; to an empty store the sandbox too.

    Returns how many models are new. What the operator has changed or removed is left alone.
    """
    known = {model_id for (model_id,) in await database.read("SELECT id FROM models")}
    if not any(model.id not in known for model in builtin_models()):
        return 0
    return await database.write(partial(_furnish, seal=seal, currency=currency))


async def _furnish(tx: Transaction, *, seal: Seal, currency: str) -> int:
    empty = not await tx.fetch("SELECT 1 FROM models LIMIT 1")
    added = await add_builtin_models(tx, currency=currency)
    if empty:
        await _add_sandbox(tx, seal, currency)
    return added


async def _add_sandbox(tx: Transaction, seal: Seal, currency: str) -> None:
    await add_provider(tx, seal, name=SANDBOX, dialect="sandbox", base_url=SANDBOX_URL, secret=None)
    for model in builtin_models():
        if model.native is None or model.native.provider != SANDBOX:
            continue
        await add_route(tx, model_id=model.id, provider=SANDBOX, upstream_model=model.native.model)
        # Play money has no exchange rate: in every currency the sandbox has its small prices.
        if (
            model.cost_price is not None
            and model.cost is not None
            and model.cost.currency != currency
        ):
            await add_price(
                tx, model_id=model.id, kind="cost", price=model.cost_price, source=SANDBOX
            )


async def mint_first_key(database: Database, seal: Seal) -> str | None:
    """A test key of a demo customer, where there is no key at all yet; else None."""
    return await database.write(partial(_mint_first_key, seal=seal))


async def _mint_first_key(tx: Transaction, *, seal: Seal) -> str | None:
    if await tx.fetch("SELECT 1 FROM keys LIMIT 1"):
        return None
    known = await tx.fetch("SELECT account_id FROM users WHERE email = $1", DEMO_EMAIL)
    if not known:
        await add_user(tx, DEMO_EMAIL)
        known = await tx.fetch("SELECT account_id FROM users WHERE email = $1", DEMO_EMAIL)
    _, secret = await create_key(
        tx,
        account_id=known[0][0],
        name=FIRST_KEY_NAME,
        mode="test",
        rules=KeyRules(),
        pepper=seal.pepper,
    )
    return secret


# Vendors --------------------------------------------------------------------------------------


async def connect_vendors(database: Database, seal: Seal, environ: Mapping[str, str]) -> list[str]:
    """Add each vendor whose variable is set, with routes to its models; return their names.

    It is done at every start: a changed key is taken over, and a route that was removed by hand
    comes back for as long as the variable is set. Priorities and weights that the operator gave
    are kept. A provider of the same name at another address is the operator's own: not touched.
    """
    wanted = [(vendor, environ.get(vendor.variable, "").strip()) for vendor in VENDORS]
    wanted = [(vendor, secret) for vendor, secret in wanted if secret]
    if not wanted:
        return []
    known = {provider.name: provider for provider in await list_providers(database, seal)}
    wanted = [
        (vendor, secret) for vendor, secret in wanted if _is_ours(known.get(vendor.name), vendor)
    ]
    for vendor, secret in wanted:
        await database.write(
            partial(_connect, seal=seal, vendor=vendor, secret=secret, known=known)
        )
    return [vendor.name for vendor, _ in wanted]


def _is_ours(provider: Provider | None, vendor: KnownVendor) -> bool:
    return provider is None or provider.base_url in (vendor.base_url, vendor.former_url)


async def _connect(
    tx: Transaction, *, seal: Seal, vendor: KnownVendor, secret: str, known: Mapping[str, Provider]
) -> None:
    provider = known.get(vendor.name)
    if provider is None:
        await add_provider(
            tx,
            seal,
            name=vendor.name,
            dialect=vendor.dialect,
            base_url=vendor.base_url,
            secret=secret,
        )
    else:
        if provider.secret != secret:
            await set_secret(tx, seal, name=vendor.name, secret=secret)
        if provider.dialect != vendor.dialect:
            # It was connected by a version that knew only the vendor's compatibility layer.
            await set_address(
                tx, name=vendor.name, dialect=vendor.dialect, base_url=vendor.base_url
            )
    await add_vendor_routes(tx, vendor)


async def add_vendor_routes(tx: Transaction, vendor: KnownVendor) -> None:
    """Let a vendor serve every model of ours that it has, where it does not yet."""
    there = await tx.fetch(
        "SELECT r.model_id, r.upstream_model FROM routes r JOIN providers p"
        " ON p.id = r.provider_id WHERE p.name = $1",
        vendor.name,
    )
    known = {model_id for (model_id,) in await tx.fetch("SELECT id FROM models")}
    known_routes = {tuple(row) for row in there}
    priority = 100 if vendor.name == MIDDLEMAN else NATIVE_PRIORITY
    for model_id, upstream_model, dialect in vendor_routes(vendor, builtin_models()):
        if model_id in known and (model_id, upstream_model) not in known_routes:
            await add_route(
                tx,
                model_id=model_id,
                provider=vendor.name,
                upstream_model=upstream_model,
                priority=priority,
                dialect=dialect,
            )


def vendor_routes(
    vendor: KnownVendor, models: Iterable[Model]
) -> list[tuple[str, str, str | None]]:
    """Which of our models a vendor serves, under which names, and in which dialect, if not its own.

    OpenRouter gets all that have a name there, also those it no longer lists: one key reaches the
    whole catalog, and what it has dropped answers 404, which rests the route and charges nobody.
    """
    if vendor.name == MIDDLEMAN:
        named = ((model.id, model.openrouter_model) for model in models)
        return [(model_id, name, None) for model_id, name in named if name]
    today = datetime.now(UTC).date()
    return [
        (model.id, model.native.model, _own_dialect(model.native, vendor))
        for model in models
        if model.native is not None
        and model.native.provider == vendor.name
        and not model.is_retired(today)
    ]


def _own_dialect(native: Native, vendor: KnownVendor) -> str | None:
    """OpenAI has models that it serves at the same address, but in another format."""
    return None if native.dialect == vendor.dialect else native.dialect
