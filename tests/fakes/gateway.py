"""A real gateway on loopback, inside the test process: a thread with an event loop and uvicorn.

Tests talk to it over HTTP like anybody, and look behind it through `app`.
"""

import asyncio
import tempfile
import threading
from collections.abc import Coroutine
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

import uvicorn
import uvicorn.server

from altyn.accounts.store import add_user, get_user
from altyn.api.protocol import LimitedProtocol
from altyn.app import App
from altyn.catalog.load import add_builtin_models, add_price, set_markup
from altyn.catalog.price import Price
from altyn.catalog.route import add_route
from altyn.database.address import open_database
from altyn.database.migrate import migrate
from altyn.database.seal import Seal, load_root
from altyn.keys.key import Mode
from altyn.keys.store import KeyRules, create_key
from altyn.ledger.audit import verify
from altyn.ledger.moves import Deposit
from altyn.money import parse_nanos
from altyn.receipts import charges_equal_their_prices
from altyn.settings import read_settings
from altyn.upstream.provider import add_provider

T = TypeVar("T")
NO_RULES = KeyRules()


@cache
def migrated_file() -> bytes:
    """An SQLite database after all migrations, to copy: they take longer than all the rest of a
    start.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "altyn.db"
        asyncio.run(migrate(f"sqlite:///{path}"))
        return path.read_bytes()


class Customer(NamedTuple):
    """Somebody with money, a live key and a test key."""

    account_id: int
    email: str
    key: str
    key_id: int
    test_key: str
    test_key_id: int


class Impatient:
    """asyncio, for uvicorn, which sleeps a tenth of a second each time it waits for its end."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / 100)


vars(uvicorn.server)["asyncio"] = Impatient()


class Server(uvicorn.Server):
    """uvicorn's, which looks ten times a second whether it shall leave: this one is told."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told = asyncio.Event()

    def leave(self) -> None:
        self.should_exit = True
        self._told.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self._told.wait()


class Gateway:
    """`with Gateway(home, database_url) as gateway:`; everything on it is safe from any thread."""

    def __init__(self, home: Path, database_url: str | None = None, **settings: str) -> None:
        home.mkdir(mode=0o700, exist_ok=True)
        overrides = {"port": "0", **settings}
        if database_url is not None:
            overrides["database_url"] = database_url
        self.settings = read_settings({}, home=home, overrides=overrides)
        self.url = ""
        self.upstreams = 0
        self._numbers = count(1)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._live, name="gateway", daemon=True)
        self._started = threading.Event()
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self._thread.start()
        self._started.wait(20)
        if self._failure is not None:
            raise self._failure
        assert self._started.is_set(), "the gateway did not start"

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._server.leave)
            self._thread.join(60)
        assert not self._thread.is_alive(), "the gateway did not stop"

    @property
    def base(self) -> str:
        return f"{self.url}/api/v1/external"

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the gateway's event loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    # Setting the scene ------------------------------------------------------------------------

    def add_customer(self, balance: str = "10", rules: KeyRules = NO_RULES) -> Customer:
        number = next(self._numbers)
        email = f"customer{number}@example.test"
        return self.run(self._add_customer(email, balance, rules))

    def add_key(self, account_id: int, *, mode: Mode = "live", rules: KeyRules = NO_RULES) -> str:
        return self.run(self._add_key(account_id, mode, rules))[1]

    def deposit(self, account_id: int, amount: str, reference: str) -> None:
        move = Deposit(account_id=account_id, amount_nanos=parse_nanos(amount), reference=reference)
        self.run(self._post(move))

    def add_upstream(
        self,
        base_url: str,
        *models: str,
        name: str | None = None,
        secret: str | None = "sk-upstream-secret",
        upstream_model: str | None = None,
        priority: int = 100,
        dialect: str = "openai-chat",
    ) -> str:
        """A provider that speaks *dialect* at *base_url*, with routes for *models*."""
        name = name or f"fake-{next(self._numbers)}"
        self.run(
            self._add_upstream(base_url, models, name, secret, upstream_model, priority, dialect)
        )
        return name

    def set_markup(self, parts_per_million: int) -> None:
        self.run(self._change(lambda tx: set_markup(tx, parts_per_million)))

    def set_price(self, model: str, price: Price) -> None:
        self.run(self._change(lambda tx: add_price(tx, model_id=model, kind="sell", price=price)))

    def write(self, work: Any) -> Any:
        """Run a transaction, and let the application notice what it changed."""
        return self.run(self._change(work))

    def read(self, sql: str, *values: Any) -> Any:
        return self.run(self._read(sql, *values))

    def verify(self) -> None:
        """Every invariant of the ledger holds, and nothing is held once nothing runs."""
        audit = self.run(verify(self.app.database, charges_equal_their_prices))
        assert audit.findings == ()

    def wait_until_idle(self, timeout_s: float = 10) -> None:
        """Until no attempt runs and everything is settled."""
        self.run(asyncio.wait_for(self._idle(), timeout_s))

    # Inside -----------------------------------------------------------------------------------

    def _live(self) -> None:
        try:
            self._copy_tables()
            asyncio.set_event_loop(self._loop)
            self._loop.run_until_complete(self._serve())
        except BaseException as failure:  # noqa: BLE001 -- raised in `start`
            self._failure = failure
            self._started.set()
        finally:
            self._loop.close()

    def _copy_tables(self) -> None:
        kind, _, path = self.settings.database_url.partition(":///")
        if kind == "sqlite" and not Path(path).exists():
            Path(path).write_bytes(migrated_file())

    async def _serve(self) -> None:
        await self._prepare()
        self.app = App(self.settings)
        config = uvicorn.Config(
            self.app,
            host="127.0.0.1",
            port=self.settings.port,
            http=LimitedProtocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=5,
        )
        self._server = Server(config)
        serving = asyncio.ensure_future(self._server.serve())
        while not self._server.started:
            if serving.done():
                raise RuntimeError("the gateway ended while starting")
            await asyncio.sleep(0.001)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._started.set()
        await serving

    async def _prepare(self) -> None:
        await migrate(self.settings.database_url)
        self.seal = Seal(load_root(self.settings.home))
        database = open_database(self.settings.database_url)
        await database.open()
        try:
            await database.write(self._stock)
        finally:
            await database.close()

    async def _stock(self, tx: Any) -> None:
        await add_builtin_models(tx)
        if await tx.fetch("SELECT 1 FROM providers WHERE name = 'sandbox'"):
            return
        await add_provider(
            tx, self.seal, name="sandbox", dialect="sandbox", base_url="sandbox:", secret=None
        )
        for model in ("echo", "lorem", "flaky"):
            await add_route(
                tx, model_id=f"sandbox/{model}", provider="sandbox", upstream_model=model
            )

    async def _add_customer(self, email: str, balance: str, rules: KeyRules) -> Customer:
        database = self.app.database
        await database.write(lambda tx: add_user(tx, email))
        account_id = (await get_user(database, email)).account_id
        if parse_nanos(balance):
            await self._post(
                Deposit(
                    account_id=account_id,
                    amount_nanos=parse_nanos(balance),
                    reference=f"first deposit of {email}",
                )
            )
        key_id, key = await self._add_key(account_id, "live", rules)
        test_key_id, test_key = await self._add_key(account_id, "test", NO_RULES)
        return Customer(account_id, email, key, key_id, test_key, test_key_id)

    async def _add_key(self, account_id: int, mode: Mode, rules: KeyRules) -> tuple[int, str]:
        return await self.app.database.write(
            lambda tx: create_key(
                tx,
                account_id=account_id,
                name=f"{mode} key",
                mode=mode,
                rules=rules,
                pepper=self.seal.pepper,
            )
        )

    async def _add_upstream(
        self,
        base_url: str,
        models: tuple[str, ...],
        name: str,
        secret: str | None,
        upstream_model: str | None,
        priority: int,
        dialect: str,
    ) -> None:
        async def add(tx: Any) -> None:
            await add_provider(
                tx, self.seal, name=name, dialect=dialect, base_url=base_url, secret=secret
            )
            for model in models:
                await add_route(
                    tx,
                    model_id=model,
                    provider=name,
                    upstream_model=upstream_model,
                    priority=priority,
                )

        await self._change(add)

    async def _change(self, work: Any) -> Any:
        result = await self.app.database.write(work)
        await self.app.look_for_changes()
        return result

    async def _post(self, move: Any) -> Any:
        return await self.app.writer.post(move)

    async def _read(self, sql: str, *values: Any) -> Any:
        return await self.app.database.read(sql, *values)

    async def _idle(self) -> None:
        # A call is one of uvicorn's tasks before it is an attempt, and money after that.
        requests = self._server.server_state.tasks
        while requests or self.app.desk.attempts or self.app.writer._committing is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await self.app.writer.drain()
