"""Who serves models: `altyn provider …` and `altyn route …`."""

import time
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from altyn.catalog.route import (
    Route,
    add_route,
    list_routes,
    remove_all_routes,
    remove_routes,
)
from altyn.chat import Chat, Fault, Usage, UserMessage
from altyn.control.office import Office
from altyn.database.engine import Database
from altyn.errors import OperatorError, UnknownNameError
from altyn.settings import mask_url
from altyn.upstream import provider as store
from altyn.upstream.client import Client, Stream
from altyn.upstream.connection import Connection, Patience
from altyn.upstream.dial import DEFAULT_PORTS, Origin, default_tls, dial
from altyn.upstream.dialects import get_dialect
from altyn.upstream.provider import VENDORS, Provider
from altyn.upstream.router import Router, Target

TEST_PROMPT = "Say ok"
TEST_MAX_TOKENS = 16


class ProviderCard(Struct, kw_only=True):
    """A provider as it may be shown: whether it has a secret, never the secret."""

    id: int
    name: str
    dialect: str
    base_url: str
    proxy: str | None
    has_secret: bool
    routes: int


class RouteCard(Struct, kw_only=True):
    id: int
    model: str
    provider: str
    upstream_model: str
    dialect: str
    priority: int
    weight: int


class Trial(Struct, kw_only=True):
    """How one small call went. Times in ms; tokens as the provider counted them."""

    provider: str
    upstream_model: str
    ok: bool = False
    connect_ms: int | None = None
    first_event_ms: int | None = None
    total_ms: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    fault: str | None = None
    status: int | None = None
    message: str | None = None


# Providers ------------------------------------------------------------------------------------


async def add(
    office: Office,
    *,
    name: str,
    dialect: str | None = None,
    base_url: str | None = None,
    secret: str | None = None,
    proxy: str | None = None,
) -> ProviderCard:
    """Add a provider; of a known vendor dialect and address need not be said.

    Raises `AlreadyExistsError`, or `OperatorError` for what could never be called.
    """
    known = next((vendor for vendor in VENDORS if vendor.name == name), None)
    dialect = dialect or (known.dialect if known else None)
    base_url = base_url or (known.base_url if known else None)
    if dialect == "sandbox":
        base_url = base_url or store.SANDBOX_URL
    if dialect is None or base_url is None:
        raise OperatorError(f"{name} is not a vendor known here: give --dialect and --base-url.")
    work = partial(
        store.add_provider,
        seal=office.seal,
        name=name,
        dialect=dialect,
        base_url=base_url,
        secret=secret,
        proxy_url=proxy,
    )
    await office.database.write(work)
    return next(card for card in await show_all(office) if card.name == name)


async def show_all(office: Office) -> list[ProviderCard]:
    routes = await list_routes(office.database)
    return [
        ProviderCard(
            id=provider.id,
            name=provider.name,
            dialect=provider.dialect,
            base_url=provider.base_url,
            proxy=None if provider.proxy_url is None else mask_url(provider.proxy_url),
            has_secret=provider.secret is not None,
            routes=sum(1 for route in routes if route.provider_id == provider.id),
        )
        for provider in await store.list_providers(office.database, office.seal)
    ]


async def remove(office: Office, *, name: str) -> dict[str, Any]:
    """Remove a provider and all its routes. Raises `UnknownNameError`."""

    async def remove_it(tx: Any) -> int:
        routes = await remove_all_routes(tx, provider=name)
        await store.remove_provider(tx, name)
        return routes

    return {"name": name, "routes_removed": await office.database.write(remove_it)}


# Routes ---------------------------------------------------------------------------------------


async def add_one_route(
    office: Office,
    *,
    model: str,
    provider: str,
    upstream_model: str | None = None,
    priority: int = 100,
    weight: int = 1,
    dialect: str | None = None,
) -> RouteCard:
    """Add a route, or set priority and weight of the one there is. Raises `UnknownNameError`."""
    if priority < 0 or weight < 1:
        raise OperatorError("A priority is 0 or more, a weight 1 or more.")
    if dialect is not None:
        await _check_dialect(office, provider, dialect)
    work = partial(
        add_route,
        model_id=model,
        provider=provider,
        upstream_model=upstream_model,
        priority=priority,
        weight=weight,
        dialect=dialect,
    )
    route_id = await office.database.write(work)
    routes = await list_routes(office.database, model_id=model)
    return next(_route(route) for route in routes if route.id == route_id)


async def _check_dialect(office: Office, name: str, dialect: str) -> None:
    get_dialect(dialect)
    providers = await store.list_providers(office.database, office.seal)
    own = next((provider.dialect for provider in providers if provider.name == name), dialect)
    if "sandbox" in (own, dialect) and own != dialect:
        raise OperatorError("The sandbox speaks its own dialect, and nobody else does.")


async def show_routes(office: Office, *, model: str | None = None) -> list[RouteCard]:
    return [_route(route) for route in await list_routes(office.database, model_id=model)]


async def remove_model_routes(office: Office, *, model: str, provider: str) -> dict[str, Any]:
    """Remove every route of a model at a provider. Raises `UnknownNameError`."""
    work = partial(remove_routes, model_id=model, provider=provider)
    return {
        "model": model,
        "provider": provider,
        "routes_removed": await office.database.write(work),
    }


def _route(route: Route) -> RouteCard:
    return RouteCard(
        id=route.id,
        model=route.model_id,
        provider=route.provider,
        upstream_model=route.upstream_model,
        dialect=route.dialect,
        priority=route.priority,
        weight=route.weight,
    )


# Trying one out -------------------------------------------------------------------------------


async def try_out(office: Office, *, name: str, model: str | None = None) -> Trial:
    """Stream one tiny call, a few tokens at the operator's cost, past routes, prices and ledger.

    `model` is a model of the catalog with a route there, or the provider's own name for one.
    Raises `UnknownNameError`; what the provider did wrong is in the answer.
    """
    providers = await store.list_providers(office.database, office.seal)
    provider = next((one for one in providers if one.name == name), None)
    if provider is None:
        raise UnknownNameError(f"There is no provider {name}. 'altyn provider list' shows all.")
    upstream_model, dialect = await _choose_model(office.database, name, model)
    target = Target(route_id=0, provider=provider, upstream_model=upstream_model, dialect=dialect)
    trial = Trial(provider=name, upstream_model=upstream_model)
    settings = office.settings
    patience = Patience(
        settings.connect_timeout_s, settings.first_event_timeout_s, settings.idle_timeout_s
    )
    try:
        if provider.dialect != "sandbox":
            trial.connect_ms = await _connect_ms(provider)
        await _call(trial, target, patience)
    except Fault as fault:
        trial.fault, trial.status, trial.message = fault.kind, fault.status, fault.message
    return trial


async def _choose_model(
    database: Database, provider: str, model: str | None
) -> tuple[str, str | None]:
    """The provider's name for a model, and the dialect of its route, if it has one."""
    routes = [route for route in await list_routes(database) if route.provider == provider]
    if model is None and not routes:
        raise OperatorError(f"{provider} has no route yet: name one of its models with --model.")
    for route in routes:
        if model in (None, route.model_id, route.upstream_model):
            return route.upstream_model, route.dialect
    return str(model), None


async def _connect_ms(provider: Provider) -> int:
    """Open a connection of its own, with proxy and TLS, and close it."""
    parts = urlsplit(provider.base_url)
    origin = Origin(
        parts.scheme,  # type: ignore[arg-type]  # checked when the provider was added
        parts.hostname or "",
        parts.port or DEFAULT_PORTS[parts.scheme],
        provider.proxy_url,
    )
    connection = Connection(keep_alive_s=1, on_idle=_nothing, on_lost=_nothing)
    began_s = time.monotonic()
    await dial(origin, connection, default_tls() if parts.scheme == "https" else None)
    connection.abort()
    return _ms_since(began_s)


async def _call(trial: Trial, target: Target, patience: Patience) -> None:
    fields = {
        "messages": [{"role": "user", "content": TEST_PROMPT}],
        "max_tokens": TEST_MAX_TOKENS,
    }
    chat = Chat(
        model=trial.upstream_model,
        messages=[UserMessage(content=TEST_PROMPT)],
        fields=fields,
        max_tokens=TEST_MAX_TOKENS,
        stream=True,
    )
    client = Client(Router())
    began_s = time.monotonic()
    try:
        stream = await client.stream(chat, [target], patience)
        trial.first_event_ms = _ms_since(began_s)
        await _read_to_end(stream)
        trial.total_ms = _ms_since(began_s)
        _count(trial, stream.usage)
        trial.ok = True
    finally:
        await client.close()


async def _read_to_end(stream: Stream) -> None:
    while await stream.next():
        pass


def _count(trial: Trial, usage: Usage | None) -> None:
    if usage is not None:
        trial.prompt_tokens, trial.completion_tokens = usage.input_tokens, usage.output_tokens


def _ms_since(began_s: float) -> int:
    return round((time.monotonic() - began_s) * 1000)


def _nothing(_connection: Connection) -> None:
    """Nobody keeps this connection."""
