"""Health, metrics and the API's description: for the operator and his machines."""

import hmac
from collections.abc import Sequence
from typing import Any

import msgspec
import structlog

from altyn.api.errors import error_reply
from altyn.api.metrics import exposition
from altyn.api.openapi import describe
from altyn.api.request import Receive, Reply, Request, Send, choose_language, json_reply
from altyn.database.engine import Database, StoreUnavailableError, new_request_id
from altyn.errors import (
    AltynError,
    InternalError,
    InvalidApiKeyError,
    MethodNotAllowedError,
    NotFoundError,
)
from altyn.gateway.desk import Desk
from altyn.ledger.audit import Finding
from altyn.settings import Settings

log = structlog.get_logger("altyn.operations")
TEXT = b"text/plain; version=0.0.4; charset=utf-8"


class Operations:
    """Everything that is not the External API."""

    def __init__(
        self, *, settings: Settings, database: Database, desk: Desk, metrics_token: str
    ) -> None:
        self.settings = settings
        self.database = database
        self.desk = desk
        self.metrics_token = metrics_token
        self.breaches = Breaches()
        self._routes = {
            "/healthz": self.healthz,
            "/readyz": self.readyz,
            "/metrics": self.metrics,
            "/openapi.json": self.openapi,
        }
        self.paths = frozenset(self._routes)
        self._description = msgspec.json.encode(describe(settings.public_url))

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send, request_id=new_request_id())
        request.language = choose_language(
            request.headers.get(b"accept-language"), self.settings.language
        )
        try:
            reply = await self._handle(request)
        except AltynError as error:
            reply = error_reply(error, request)
        except Exception:
            log.exception("request_failed", request_id=request.request_id, path=request.path)
            reply = error_reply(InternalError(), request)
        request.reply(reply)

    async def _handle(self, request: Request) -> Reply:
        request.check_headers()
        handler = self._routes.get(request.path)
        if handler is None:
            raise NotFoundError
        if request.method != "GET":
            raise MethodNotAllowedError(allowed="GET")
        return await handler(request)

    async def healthz(self, _request: Request) -> Reply:
        """The process lives."""
        return json_reply({"status": "ok"})

    async def readyz(self, _request: Request) -> Reply:
        """Whether paid calls can be taken; if not, why. A provider that refuses our key, and a
        breach whose account is frozen, are named even where others serve.
        """
        reasons = await self._reasons()
        status = "ready" if not reasons else "not_ready"
        frozen = [] if self.breaches.at_large else self.breaches.sentences
        told = [*reasons, *frozen, *self._refused_providers()]
        return json_reply({"status": status, "reasons": told}, status=503 if reasons else 200)

    async def metrics(self, request: Request) -> Reply:
        """Prometheus's text form, behind a token of its own."""
        given = request.headers.get(b"authorization", b"").removeprefix(b"Bearer ")
        if not hmac.compare_digest(given, self.metrics_token.encode()):
            raise InvalidApiKeyError
        body = exposition(self.desk, breaches=len(self.breaches.told))
        return Reply(200, body, content_type=TEXT)

    async def openapi(self, _request: Request) -> Reply:
        return Reply(200, self._description)

    async def _reasons(self) -> list[str]:
        reasons = self.breaches.sentences if self.breaches.at_large else []
        if not self.desk.open:
            reasons.append("shutting down")
        try:
            await self.database.write(_nothing)
        except StoreUnavailableError as error:
            reasons.append(f"the database cannot be written: {error.detail}")
        shelf, router = self.desk.shelf, self.desk.client.router
        if shelf is None or not any(map(router.can_serve, shelf.all_targets())):
            reasons.append("no model has a route that works")
        return reasons

    def _refused_providers(self) -> list[str]:
        router, shelf = self.desk.client.router, self.desk.shelf
        providers = {} if shelf is None else shelf.providers
        refused = []
        for name, provider in sorted(providers.items()):
            condition = router.provider_condition(provider.id)
            if condition.state != "serving":
                said = (
                    "our money there is spent" if condition.reason == "quota" else "refuses our key"
                )
                refused.append(f"the provider {name} is out: {said} ({condition.status})")
        return refused


class Breaches:
    """What the auditor has found since the start, each invariant of each account once."""

    def __init__(self) -> None:
        self.told: dict[tuple[str, int | None], Finding] = {}
        self.at_large = False
        """Nobody's account explains what was found, so nobody's calls can be trusted."""

    @property
    def sentences(self) -> list[str]:
        return sorted(finding.sentence for finding in self.told.values())

    def add(self, findings: Sequence[Finding]) -> None:
        self.told |= {(one.invariant, one.account_id): one for one in findings}
        if findings and all(one.account_id is None for one in findings):
            self.at_large = True


async def _nothing(tx: Any) -> None:
    """A transaction that only shows that one can be had, and may write."""
    if tx.kind == "postgresql":
        ((only_reads,),) = await tx.fetch("SELECT current_setting('transaction_read_only')")
        if only_reads == "on":
            raise StoreUnavailableError("PostgreSQL only reads")
    else:
        await tx.fetch("SELECT 1")
