"""Providers: firms and servers that serve models. Their secrets are sealed in the database."""

import re
from urllib.parse import urlsplit

from msgspec import Struct

from altyn.database.engine import Database, Transaction, bump_revision, now_ms
from altyn.database.seal import Seal
from altyn.errors import AlreadyExistsError, OperatorError, UnknownNameError
from altyn.upstream.dial import Origin
from altyn.upstream.dialects import get_dialect

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
SANDBOX_URL = "sandbox:"

STOPS_ON_ABORT = frozenset(
    {"api.openai.com", "api.anthropic.com", "api.x.ai", "api.deepseek.com", "api.together.xyz"}
)
"""Hosts that stop writing, and billing, when the connection closes. Others finish and bill the
whole answer, so reading on to its usage costs nothing more. Source: OpenRouter's table of providers
that support stream cancellation, as of 2026-08.
"""


class Provider(Struct, frozen=True, kw_only=True):
    """A provider with its secret in the open: never logged, never shown.

    `parallel_requests` is how many calls it takes at once. While it is drained it gets no new
    ones; `resumed_at` says when the operator last declared it well. Times in ms.
    """

    id: int
    name: str
    dialect: str
    base_url: str
    secret: str | None
    proxy_url: str | None
    parallel_requests: int | None = None
    drained_at: int | None = None
    resumed_at: int | None = None

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).hostname or ""

    @property
    def stops_on_abort(self) -> bool:
        return self.host in STOPS_ON_ABORT

    def __repr__(self) -> str:
        return f"Provider({self.name}, {self.dialect}, {self.base_url})"


class KnownVendor(Struct, frozen=True):
    """A vendor whose address and dialect need not be typed."""

    name: str
    variable: str
    dialect: str
    base_url: str
    former_url: str | None = None
    """Where a version that knew only the vendor's compatibility layer asked it."""


VENDORS = (
    KnownVendor("openrouter", "OPENROUTER_API_KEY", "openai-chat", "https://openrouter.ai/api/v1"),
    KnownVendor("openai", "OPENAI_API_KEY", "openai-chat", "https://api.openai.com/v1"),
    KnownVendor("xai", "XAI_API_KEY", "openai-chat", "https://api.x.ai/v1"),
    KnownVendor("deepseek", "DEEPSEEK_API_KEY", "openai-chat", "https://api.deepseek.com/v1"),
    KnownVendor(
        "dashscope",
        "DASHSCOPE_API_KEY",
        "openai-chat",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
    ),
    KnownVendor(
        "gemini",
        "GEMINI_API_KEY",
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta",
        "https://generativelanguage.googleapis.com/v1beta/openai",
    ),
    KnownVendor("anthropic", "ANTHROPIC_API_KEY", "anthropic", "https://api.anthropic.com/v1"),
)
"""Each at the address where it takes its own format."""


def check_provider(*, name: str, dialect: str, base_url: str, proxy_url: str | None) -> None:
    """Raise `OperatorError` with one sentence for anything that could never be called."""
    if not NAME.fullmatch(name):
        raise OperatorError(
            f"'{name}' cannot name a provider: use small letters, digits, dots and dashes."
        )
    get_dialect(dialect)
    if dialect == "sandbox":
        return
    address = urlsplit(base_url)
    if address.scheme not in ("http", "https") or not address.hostname or address.query:
        raise OperatorError(
            f"'{base_url}' is not a base URL: write https://host/v1, without a query."
        )
    if address.username or address.password:
        raise OperatorError("A base URL must not hold a password: give the key on its own.")
    try:
        Origin(address.scheme, address.hostname, address.port or 0, proxy_url)  # type: ignore[arg-type]
    except ValueError as error:
        raise OperatorError(str(error)) from None


async def add_provider(
    tx: Transaction,
    seal: Seal,
    *,
    name: str,
    dialect: str,
    base_url: str,
    secret: str | None,
    proxy_url: str | None = None,
    parallel_requests: int | None = None,
) -> int:
    """Raises `AlreadyExistsError` for a known name, `OperatorError` for an address that is none."""
    check_provider(name=name, dialect=dialect, base_url=base_url, proxy_url=proxy_url)
    if await tx.fetch("SELECT 1 FROM providers WHERE name = $1", name):
        raise AlreadyExistsError(f"There is a provider {name} already. Remove it first.")
    ((provider_id,),) = await tx.fetch(
        "INSERT INTO providers (name, dialect, base_url, secret_sealed, proxy_sealed,"
        " parallel_requests, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
        name,
        dialect,
        base_url.rstrip("/"),
        secret and seal.seal(secret, purpose=f"provider:{name}"),
        proxy_url and seal.seal(proxy_url, purpose=f"proxy:{name}"),
        parallel_requests,
        now_ms(),
    )
    await bump_revision(tx)
    return int(provider_id)


async def set_secret(tx: Transaction, seal: Seal, *, name: str, secret: str) -> None:
    """Replace a key, even by itself: who sets it says that it is good.

    Raises `UnknownNameError`.
    """
    sealed = seal.seal(secret, purpose=f"provider:{name}")
    await _change(tx, name, "UPDATE providers SET secret_sealed = $2 WHERE name = $1", sealed)
    await _change(tx, name, "UPDATE providers SET resumed_at = $2 WHERE name = $1", now_ms())


async def set_parallel(tx: Transaction, *, name: str, parallel_requests: int | None) -> None:
    """Raises `UnknownNameError`. None takes the limit away."""
    await _change(
        tx, name, "UPDATE providers SET parallel_requests = $2 WHERE name = $1", parallel_requests
    )


async def drain_provider(tx: Transaction, name: str) -> None:
    """No new calls for it; running ones finish. Raises `UnknownNameError`."""
    await _change(tx, name, "UPDATE providers SET drained_at = $2 WHERE name = $1", now_ms())


async def resume_provider(tx: Transaction, name: str) -> None:
    """Give it calls again, and forget that it failed. Raises `UnknownNameError`."""
    await _change(
        tx,
        name,
        "UPDATE providers SET drained_at = NULL, resumed_at = $2 WHERE name = $1",
        now_ms(),
    )


async def _change(tx: Transaction, name: str, sql: str, value: int | bytes | None) -> None:
    if not await tx.execute(sql, name, value):
        raise UnknownNameError(f"There is no provider {name}. 'altyn provider list' shows all.")
    await bump_revision(tx)


async def set_address(tx: Transaction, *, name: str, dialect: str, base_url: str) -> None:
    await tx.execute(
        "UPDATE providers SET dialect = $2, base_url = $3 WHERE name = $1", name, dialect, base_url
    )
    await bump_revision(tx)


async def list_providers(database: Database, seal: Seal) -> list[Provider]:
    rows = await database.read(
        "SELECT id, name, dialect, base_url, secret_sealed, proxy_sealed, parallel_requests,"
        " drained_at, resumed_at FROM providers ORDER BY id"
    )
    return [
        Provider(
            id=number,
            name=name,
            dialect=dialect,
            base_url=base_url,
            secret=secret and seal.open(secret, purpose=f"provider:{name}"),
            proxy_url=proxy and seal.open(proxy, purpose=f"proxy:{name}"),
            parallel_requests=parallel,
            drained_at=drained_at,
            resumed_at=resumed_at,
        )
        for number, name, dialect, base_url, secret, proxy, parallel, drained_at, resumed_at in rows
    ]


async def remove_provider(tx: Transaction, name: str) -> None:
    """Raises `UnknownNameError`. Its routes have to be gone before."""
    if not await tx.execute("DELETE FROM providers WHERE name = $1", name):
        raise UnknownNameError(f"There is no provider {name}. 'altyn provider list' shows all.")
    await bump_revision(tx)
