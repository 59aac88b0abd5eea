"""Wires everything together; the only module that knows every other.

`App` is one process of the gateway: its store, its attempts, its clocks, its routes. `serve` runs
it behind uvicorn until a signal ends it.
"""

import asyncio
import gc
import os
import secrets
import sys
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
import uvicorn
from msgspec import structs
from uvicorn.supervisors import Multiprocess

from altyn.accounts.store import freeze_account
from altyn.api.authenticate import Doorkeeper
from altyn.api.balance import Balances
from altyn.api.chat import Chats
from altyn.api.key import Keys
from altyn.api.models import Models
from altyn.api.operations import Operations
from altyn.api.protocol import LimitedProtocol
from altyn.api.request import Receive, Send, choose_language, names_a_key
from altyn.api.routes import BASE, Api
from altyn.api.usage import UsageReports
from altyn.catalog.load import load_catalog
from altyn.crashpoints import reach
from altyn.database.address import open_database
from altyn.database.durability import NotDurableError, look_at_durability
from altyn.database.engine import Database, StoreUnavailableError, now_ms
from altyn.database.migrate import require_current
from altyn.database.seal import Seal, load_root
from altyn.gateway.desk import Desk
from altyn.gateway.meter import Meter
from altyn.gateway.recovery import LOOK_UP_S, resolve_abandoned, resolve_unknown
from altyn.gateway.repeats import Repeats
from altyn.gateway.shelf import Shelf
from altyn.keys.limits import Limits
from altyn.keys.ring import Ring
from altyn.keys.shared import SharedLimits
from altyn.ledger import workers
from altyn.ledger.audit import Auditor
from altyn.ledger.writer import Owner, Writer
from altyn.logs import set_up_logs
from altyn.receipts import charges_equal_their_prices
from altyn.settings import Settings, read_settings
from altyn.upstream.client import Client
from altyn.upstream.provider import list_providers
from altyn.upstream.router import Router
from altyn.usage.record import record_changes
from altyn.web.cabinet import Cabinet
from altyn.web.shop import Shop

if TYPE_CHECKING:
    from altyn.web.identity import IdentityProvider

log = structlog.get_logger("altyn.app")
REVISION_S = 0.5
"""How often a process looks for changes: a revoked key is refused within a second everywhere."""
LOOK_S = 5.0
"""For one such look: a line that swallows it must not keep the next, on another line, waiting."""

AUDIT_S = 60.0
SWITCH_S = 0.0003
"""How long a busy event loop may keep the interpreter from the thread that writes SQLite, which has
to win it back after each statement. Measured under a loop that never idles: 53 calls a second with
Python's 5 ms, 3200 with this.
"""
CLEAN_S = 3600.0
LETTERS_S = 2.0
LOW_BALANCE_S = 60.0
HTTP_KEEP_ALIVE_S = 75


class App:
    """One process of the gateway. `open` before the first request, `close` after the last."""

    def __init__(self, settings: Settings, *, beside: "Beside | None" = None) -> None:
        self.settings = settings
        self.beside = beside
        self._beside = AsyncExitStack()
        self.seal = Seal(load_root(settings.home))
        self.database: Database = open_database(settings.database_url)
        self.router = Router(processes=settings.workers)
        self.auditor = Auditor(self.database, charges_equal_their_prices)
        self.meter = Meter()
        self.left = 0
        self.failure: Exception | None = None
        self.revision = -1
        self._told = 0
        self._looking = asyncio.Lock()
        self._changed = asyncio.Event()
        self._clocks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Take the store, resolve what the last run left open, load the catalog, start the clocks.

        Raises an `OperatorError` or `StoreUnavailableError` with one clear sentence.
        """
        await require_current(self.settings.database_url)
        await self.database.open()
        await self._require_durable()
        if self.database.kind == "sqlite":
            await self.database.write(workers.end_other_workers)
        self.owner: Owner = await self.database.write(workers.start_worker)
        reach("start")
        self.writer = Writer(self.database, owner=self.owner, record_changes=record_changes)
        self.client = Client(self.router)
        self.ring = Ring(self.database)
        self.desk = Desk(
            settings=self.settings, writer=self.writer, client=self.client, meter=self.meter
        )
        self.repeats = Repeats(self.database, self.seal)
        await self.look_for_changes()
        await self.sweep()
        self.doorkeeper = Doorkeeper(
            self.ring,
            pepper=self.seal.pepper,
            trusted_proxies=self.settings.trusted_proxies,
        )
        self.api = self._make_api()
        self.cabinet = self._make_cabinet()
        self.operations = Operations(
            settings=self.settings,
            database=self.database,
            desk=self.desk,
            metrics_token=self._metrics_token(),
        )
        if self.beside is not None:
            await self._beside.enter_async_context(self.beside(self))
        self._start_clocks()
        calm_the_collector()

    async def close(self) -> int:
        """Stop intake, let attempts end, settle all. Returns how many attempts were left."""
        await self._beside.aclose()
        for clock in self._clocks:
            clock.cancel()
        self.left = await self.desk.close(self.settings.shutdown_grace_s)
        try:
            if self.owner.worker_id is not None and not self.left:
                await self.database.write(_stopping(self.owner.worker_id))
        except StoreUnavailableError as error:
            log.error("worker_not_stopped", why=error.detail)  # noqa: TRY400 -- the heartbeat tells the others
        if self.shared_limits is not None:
            await self.shared_limits.close()
        await self.client.close()
        await self.database.close()
        return self.left

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if scope["type"] == "http":
            if scope["path"].startswith(BASE):
                await self.api(scope, receive, send)
            elif self._is_page(scope):
                await self.cabinet(scope, receive, send)
            else:
                await self.operations(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    def _is_page(self, scope: Any) -> bool:
        if scope["path"] in self.operations.paths or names_a_key(scope):
            return False
        return self.cabinet.answers(scope)

    # Clocks -----------------------------------------------------------------------------------

    async def tell_health(self) -> bool:
        """Let others see that this process lives, and how it finds the upstreams.

        Returns whether the silence of others says that they are dead.
        """
        assert self.owner.worker_id is not None
        self._told = self.router.changes
        health = msgspec.json.encode(self.router.report(now_ms())).decode()
        return await self.database.write(partial(workers.beat, owner=self.owner, health=health))

    async def look_for_changes(self) -> None:
        """Load the catalog and forget the keys again when anything of them has changed."""
        # One look at a time: a slow one must not put back what a later one has replaced.
        async with self._looking:
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._look_for_changes()
            except TimeoutError:
                raise StoreUnavailableError("a look for changes was not answered") from None

    async def _look_for_changes(self) -> None:
        if self._told != self.router.changes:
            await self.tell_health()
        rows = await self.database.read("SELECT number FROM revisions WHERE name = 'catalog'")
        revision = rows[0][0] if rows else 0
        if revision == self.revision:
            return
        catalog = await load_catalog(self.database)
        self.desk.shelf = Shelf(
            catalog,
            await list_providers(self.database, self.seal),
            strategy=self.settings.route_strategy,
        )
        self.router.keep(self.desk.shelf.all_targets())
        self.ring.forget()
        self.revision = revision

    async def sweep(self) -> None:
        """Tell the others that we live, and resolve what the dead have left open."""
        assert self.owner.worker_id is not None
        assert self.desk.shelf is not None
        if not await self.tell_health():
            return
        shelf = self.desk.shelf
        await resolve_abandoned(self.database, self.writer, shelf.catalog, shelf.providers)

    async def look_up(self) -> None:
        """Ask providers what became of answers whose process died."""
        shelf = self.desk.shelf
        assert shelf is not None
        await resolve_unknown(
            self.database, self.writer, shelf.catalog, shelf.providers, self.client.look_up
        )

    async def audit(self) -> None:
        """Look for a breach of what must always be true; stop the paid calls of its account."""
        findings = await self.auditor.look()
        self.operations.breaches.add(findings)
        for finding in findings:
            log.critical("ledger_breach", invariant=finding.invariant, what=finding.sentence)
            if finding.account_id is not None:
                await self.database.write(partial(freeze_account, account_id=finding.account_id))

    def _start_clocks(self) -> None:
        for every_s, what in (
            (REVISION_S, self.look_for_changes),
            (workers.HEARTBEAT_S, self.sweep),
            (LOOK_UP_S, self.look_up),
            (AUDIT_S, self.audit),
            (CLEAN_S, self.repeats.clean),
            (LETTERS_S, self.cabinet.postman.go),
            (LOW_BALANCE_S, self.cabinet.low_balance.go),
        ):
            self._clocks.append(asyncio.create_task(_every(every_s, what)))
        self._clocks.append(asyncio.create_task(self.desk.watch()))
        self._clocks.append(asyncio.create_task(self.database.listen(self._changed.set)))
        self._clocks.append(asyncio.create_task(_every(0, self._hear_of_changes)))

    async def _hear_of_changes(self) -> None:
        """Look at once when another process tells; the clock is for what it could not tell."""
        await self._changed.wait()
        self._changed.clear()
        await self.look_for_changes()

    async def _require_durable(self) -> None:
        """Refuse to take money that a power cut could take back."""
        for found in await look_at_durability(self.database):
            if found.good:
                continue
            if found.wanted.grave:
                raise NotDurableError(
                    f"The database has {found.wanted.name} = {found.value}: a power cut would lose"
                    f" paid money. Set it to {found.wanted.good[0]}."
                )
            log.warning("not_durable", setting=found.wanted.name, value=found.value)

    # Parts ------------------------------------------------------------------------------------

    def _make_api(self) -> Api:
        settings, database, desk = self.settings, self.database, self.desk
        doorkeeper = self.doorkeeper
        self.shared_limits = SharedLimits(settings.redis_url) if settings.redis_url else None
        limits = Limits(workers=settings.workers, store=self.shared_limits)
        return Api(
            chats=Chats(
                settings=settings,
                database=database,
                doorkeeper=doorkeeper,
                limits=limits,
                desk=desk,
                repeats=self.repeats,
            ),
            models=Models(doorkeeper=doorkeeper, desk=desk, currency=settings.currency),
            balances=Balances(doorkeeper=doorkeeper, database=database, currency=settings.currency),
            usage=UsageReports(
                doorkeeper=doorkeeper, database=database, currency=settings.currency
            ),
            keys=Keys(doorkeeper=doorkeeper, database=database, settings=settings),
            meter=self.meter,
            language=settings.language,
        )

    def _make_cabinet(self) -> Cabinet:
        shop = Shop(
            settings=self.settings,
            database=self.database,
            seal=self.seal,
            writer=self.writer,
            desk=self.desk,
            api=self.api,
            breaches=lambda: list(self.operations.breaches.told.values()),
            identity=_identity_provider(self.settings),
        )
        return Cabinet(
            shop, read_address=self.doorkeeper.read_address, read_language=choose_language
        )

    def _metrics_token(self) -> str:
        """The token that opens `/metrics`: set by the operator, or made once and kept at home."""
        if self.settings.metrics_token is not None:
            return self.settings.metrics_token
        path = self.settings.home / "metrics.token"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(24) + "\n")
        return path.read_text().strip()

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self.open()
                except Exception as error:  # noqa: BLE001 -- uvicorn wants it as a message
                    self.failure = error
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


def calm_the_collector() -> None:
    """Reference counts free what a request leaves behind; cycles are rare and can wait.

    Walking everything that lives as long as the process, again and again, was a twelfth of the CPU.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


Beside = Callable[[App], AbstractAsyncContextManager[None]]
"""Something that runs beside the application for as long as it is open."""


def _stopping(worker_id: int) -> Callable[[Any], Coroutine[Any, Any, None]]:
    return lambda tx: workers.stop_worker(tx, worker_id)


async def _every(seconds: float, what: Callable[[], Coroutine[Any, Any, None]]) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await what()
        except StoreUnavailableError as error:
            log.warning("store_unavailable", during=what.__name__, why=error.detail)
        except Exception:
            log.exception("clock_failed", during=what.__name__)


# Serving --------------------------------------------------------------------------------------


def serve(settings: Settings, *, beside: Beside | None = None) -> int:
    """Serve until a signal ends it. Returns the exit code: 1 if anything was left unsettled.

    Raises what `App.open` raises when it cannot start.
    """
    set_up_logs(settings)
    if settings.workers > 1:
        return _serve_many(settings)
    sys.setswitchinterval(SWITCH_S)
    app = App(settings, beside=beside)
    try:
        Server(_config(settings, app)).run()
    except SystemExit:
        # uvicorn ends the process when the application cannot start; the reason is worth more.
        if app.failure is not None:
            raise app.failure from None
        raise
    return 1 if app.left else 0


class Server(uvicorn.Server):
    """uvicorn raises the signal again after a clean stop; our exit code says whether it was one."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._captured_signals.clear()


def _serve_many(settings: Settings) -> int:
    """Several processes on one port; only PostgreSQL lets them share the books."""
    os.environ.update(_as_environment(settings))
    config = _config(settings, "altyn.app:make_app")
    Multiprocess(config, sockets=[config.bind_socket()]).run()
    return 0


def make_app() -> App:
    """One of several processes: everything it has to know comes from the environment."""
    settings = read_settings(os.environ)
    set_up_logs(settings)
    return App(settings)


def _identity_provider(settings: Settings) -> "IdentityProvider | None":
    if settings.oidc_issuer is None:
        return None
    from altyn.web.identity import IdentityProvider  # noqa: PLC0415 -- its libraries take a while

    return IdentityProvider(settings)


def _config(settings: Settings, app: "App | str") -> uvicorn.Config:
    return uvicorn.Config(
        app,
        factory=isinstance(app, str),
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        loop="uvloop",
        http=LimitedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=HTTP_KEEP_ALIVE_S,
        timeout_graceful_shutdown=round(settings.shutdown_grace_s),
        backlog=4096,
    )


def _as_environment(settings: Settings) -> dict[str, str]:
    """The settings in the form in which a new process reads them."""
    return {
        f"ALTYN_{name.upper()}": str(value)
        for name, value in structs.asdict(settings).items()
        if value is not None
    }
