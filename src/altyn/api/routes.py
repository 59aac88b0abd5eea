"""The External API's table of contents, and the application that serves it."""

from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from msgspec import Struct

from altyn.api.balance import Balances
from altyn.api.chat import Chats
from altyn.api.errors import error_reply
from altyn.api.key import Keys
from altyn.api.models import Models
from altyn.api.request import CallerLeftError, Receive, Reply, Request, Send, choose_language
from altyn.api.usage import UsageReports
from altyn.database.engine import new_request_id
from altyn.errors import AltynError, InternalError, MethodNotAllowedError, NotFoundError
from altyn.gateway.meter import Meter

log = structlog.get_logger("altyn.api")
BASE = "/api/v1/external"

Handler = Callable[[Request], Awaitable[Reply | None]]
HandlerOfOne = Callable[[Request, str], Awaitable[Reply | None]]


class Route(Struct, frozen=True, kw_only=True):
    """One address: its method, the scope a key needs, and whether it is paid and limited."""

    method: str
    path: str
    scope: str
    paid: bool = False


ROUTES = (
    Route(method="POST", path="/chat/completions", scope="chat", paid=True),
    Route(method="POST", path="/chat/stream", scope="chat", paid=True),
    Route(method="GET", path="/models", scope="models"),
    Route(method="GET", path="/models/{id}", scope="models"),
    Route(method="GET", path="/balance", scope="balance"),
    Route(method="GET", path="/usage", scope="usage"),
    Route(method="GET", path="/generations/{id}", scope="usage"),
    Route(method="GET", path="/key", scope="key"),
)


class Api:
    """Everything under `/api/v1/external`."""

    def __init__(
        self,
        *,
        chats: Chats,
        models: Models,
        balances: Balances,
        usage: UsageReports,
        keys: Keys,
        meter: Meter,
        language: str,
    ) -> None:
        self.meter = meter
        self.language = language
        self._exact: dict[str, tuple[str, Handler]] = {
            f"{BASE}/chat/completions": ("POST", chats.complete),
            f"{BASE}/chat/stream": ("POST", chats.stream),
            f"{BASE}/models": ("GET", models.show_all),
            f"{BASE}/balance": ("GET", balances.show),
            f"{BASE}/usage": ("GET", usage.page),
            f"{BASE}/key": ("GET", keys.show),
        }
        self._of_one: dict[str, tuple[str, HandlerOfOne]] = {
            f"{BASE}/models/": ("GET", models.show),
            f"{BASE}/generations/": ("GET", usage.show),
        }

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve one request. Whatever happens, exactly one answer is given."""
        request = Request(scope, receive, send, request_id=new_request_id())
        request.language = choose_language(request.headers.get(b"accept-language"), self.language)
        try:
            request.check_headers()
            reply = await self._handle(request)
        except AltynError as error:
            self.meter.refusals[error.code] += 1
            reply = error_reply(error, request)
        except CallerLeftError:
            return
        except Exception:
            log.exception("request_failed", request_id=request.request_id, path=request.path)
            if request.answered:
                return  # half an answer is out: the server closes the connection
            reply = error_reply(InternalError(), request)
        if reply is not None:
            request.reply(reply)

    async def _handle(self, request: Request) -> Reply | None:
        found = self._exact.get(request.path)
        if found is not None:
            method, handler = found
            if request.method != method:
                raise MethodNotAllowedError(allowed=method)
            return await handler(request)
        for prefix, (method, handler_of_one) in self._of_one.items():
            if request.path.startswith(prefix) and len(request.path) > len(prefix):
                if request.method != method:
                    raise MethodNotAllowedError(allowed=method)
                return await handler_of_one(request, request.path.removeprefix(prefix))
        raise NotFoundError
