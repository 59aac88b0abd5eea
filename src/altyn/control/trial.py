"""One tiny call to a provider, timed step by step: `altyn provider test`."""

import asyncio
import ssl
import time
from urllib.parse import urlsplit

from msgspec import Struct

from altyn.catalog.route import list_routes
from altyn.chat import Chat, Fault, Usage, UserMessage
from altyn.control.office import Office
from altyn.database.engine import Database
from altyn.errors import OperatorError, UnknownNameError
from altyn.upstream import provider as store
from altyn.upstream.client import Client, Stream
from altyn.upstream.connection import Connection, Patience
from altyn.upstream.dial import DEFAULT_PORTS, Origin, default_tls, dial
from altyn.upstream.provider import Provider
from altyn.upstream.router import Router, Target

TEST_PROMPT = "Say ok"
TEST_MAX_TOKENS = 16


class Trial(Struct, kw_only=True):
    """How one small call went. Times in ms; tokens as the provider counted them.

    `connect_ms` of a connection of its own, through the proxy where there is one; `tls_ms` of its
    handshake, not told apart behind a proxy. `raw` is what a refusal said, word for word.
    """

    provider: str
    upstream_model: str
    ok: bool = False
    connect_ms: int | None = None
    tls_ms: int | None = None
    first_event_ms: int | None = None
    total_ms: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    fault: str | None = None
    status: int | None = None
    message: str | None = None
    raw: str | None = None


class TinyCall(Struct, frozen=True):
    """What a trial asks, in the form in which the client takes it."""

    chat: Chat
    targets: tuple[Target, ...]
    patience: Patience
    fastest: bool = False


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
            await _connect(trial, provider, settings.connect_timeout_s)
        await _call(trial, target, patience)
    except Fault as fault:
        trial.fault, trial.status = fault.kind, fault.status
        trial.message = _without_key(fault.message, provider)
        trial.raw = _without_key(fault.raw.decode(errors="replace"), provider) or None
    return trial


def _without_key(text: str, provider: Provider) -> str:
    """Vendors quote the key they refuse; it need not stay on anybody's screen."""
    return text.replace(provider.secret, "…") if provider.secret else text


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


async def _connect(trial: Trial, provider: Provider, patience_s: float) -> None:
    """Open a connection as a call would, and close it."""
    parts = urlsplit(provider.base_url)
    origin = Origin(
        parts.scheme,  # type: ignore[arg-type]  # checked when the provider was added
        parts.hostname or "",
        parts.port or DEFAULT_PORTS[parts.scheme],
        provider.proxy_url,
    )
    connection = Connection(keep_alive_s=1, on_idle=_nothing, on_lost=_nothing)
    began_s = time.monotonic()
    tls = default_tls() if parts.scheme == "https" else None
    try:
        async with asyncio.timeout(patience_s):
            if tls is None or provider.proxy_url is not None:
                await dial(origin, connection, tls)
                trial.connect_ms = _ms_since(began_s)
            else:
                await _connect_in_steps(trial, origin, connection, tls)
    except TimeoutError:
        raise Fault("connect", f"{origin.address}: no connection in {patience_s:g} s") from None
    finally:
        connection.abort()


async def _connect_in_steps(
    trial: Trial, origin: Origin, connection: Connection, tls: ssl.SSLContext
) -> None:
    loop = asyncio.get_running_loop()
    began_s = time.monotonic()
    try:
        transport, _ = await loop.create_connection(lambda: connection, origin.host, origin.port)
        trial.connect_ms = _ms_since(began_s)
        began_s = time.monotonic()
        await loop.start_tls(transport, connection, tls, server_hostname=origin.host)
        trial.tls_ms = _ms_since(began_s)
    except (OSError, UnicodeError) as error:
        raise Fault("connect", f"{origin.address}: {error}") from None


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
        stream = await client.stream([TinyCall(chat, (target,), patience)])
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
