"""The application behind the pages: finds the route, checks who may, answers whatever happens."""

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import structlog
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Match
from starlette.routing import Route as Pattern

from altyn.database.engine import new_request_id, now_ms
from altyn.errors import AltynError, BodyTooLargeError, MethodNotAllowedError, NotFoundError
from altyn.web.access import may
from altyn.web.assets import serve_asset
from altyn.web.letters import Postman
from altyn.web.low_balance import LowBalance
from altyn.web.origin import is_from_us
from altyn.web.rate import Turnstile, neighbourhood
from altyn.web.refusal import ForeignFormError, NotAllowedError, explain
from altyn.web.render import render
from altyn.web.routes import ROUTES, Route
from altyn.web.session import SEEN_EVERY_MS, SignedIn, find_session, note_seen
from altyn.web.shop import Shop
from altyn.web.visit import LANGUAGE_COOKIE, Visit, is_secure, session_cookie
from altyn.web.words import LANGUAGES, Words

log = structlog.get_logger("altyn.web")
FORM_BYTES_MAX = 256 * 1024
FORM_FIELDS_MAX = 1000

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)
SECURITY = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "strict-origin-when-cross-origin",
    "x-content-type-options": "nosniff",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
TRANSPORT = {"strict-transport-security": "max-age=31536000"}

ReadAddress = Callable[[Any], str]
"""Whose request this ASGI scope is: the address, or what a trusted proxy says of it."""
ReadLanguage = Callable[[bytes | None, str], str]
"""The language of an `Accept-Language` header, or the default."""


class Cabinet:
    """Every page. An ASGI application for everything that is not the API's or a machine's."""

    def __init__(
        self, shop: Shop, *, read_address: ReadAddress, read_language: ReadLanguage
    ) -> None:
        self.shop = shop
        self._read_address = read_address
        self._read_language = read_language
        self.postman = Postman(shop.database, shop.settings)
        self.low_balance = LowBalance(shop.database, shop.settings)
        self._turnstile = Turnstile(workers=shop.settings.workers)
        self._patterns = [
            (Pattern(route.path, _never, methods=[route.method]), route) for route in ROUTES
        ]
        self._headers = SECURITY | (TRANSPORT if is_secure(shop.settings) else {})

    def answers(self, scope: Any) -> bool:
        """Whether a request is for a page: a path of ours, or a person with a browser."""
        if scope["path"].startswith("/static/"):
            return True
        if any(pattern.matches(scope)[0] is not Match.NONE for pattern, _ in self._patterns):
            return True
        return b"text/html" in dict(scope["headers"]).get(b"accept", b"")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        if request.url.path.startswith("/static/"):
            response = serve_asset(request) or PlainTextResponse("Not found", status_code=404)
            await response(scope, receive, send)
            return
        try:
            visit = await self._visit(request)
            response = await self._answer(visit)
        except Exception:
            # Not even a page that says so: the store is away, or the page of refusals is broken.
            log.exception("no_page", path=request.url.path)
            response = PlainTextResponse("This page cannot be shown now.", status_code=503)
            await response(scope, receive, send)
            return
        response.headers.update(self._headers)
        response.headers["x-request-id"] = f"req_{visit.request_id}"
        response.headers.setdefault("cache-control", "no-store")
        await response(scope, receive, send)
        await self._note_seen(visit)

    def forget_rates(self) -> None:
        """Begin to count anew."""
        self._turnstile.forget()

    # Who and how ------------------------------------------------------------------------------

    async def _visit(self, request: Request) -> Visit:
        person = await self._find_person(request)
        language = self._language(request, person)
        return Visit(
            request,
            shop=self.shop,
            person=person,
            words=Words(
                language=language,
                zone=(person and person.zone) or "UTC",
                currency=self.shop.currency,
            ),
            address=self._read_address(request.scope),
            request_id=new_request_id(),
            turnstile=self._turnstile,
            render=render,
        )

    async def _find_person(self, request: Request) -> SignedIn | None:
        secret = request.cookies.get(session_cookie(self.shop.settings))
        return await find_session(self.shop.database, secret) if secret else None

    def _language(self, request: Request, person: SignedIn | None) -> str:
        """The link's, the person's, the one chosen before, the browser's, or the operator's."""
        for wished in (
            request.query_params.get("lang"),
            person and person.language,
            request.cookies.get(LANGUAGE_COOKIE),
        ):
            if wished in LANGUAGES:
                return str(wished)
        accepted = request.headers.get("accept-language")
        return self._read_language(
            accepted.encode("latin-1") if accepted else None, self.shop.settings.language
        )

    async def _note_seen(self, visit: Visit) -> None:
        person = visit.person
        if person is not None and now_ms() - person.seen_at > SEEN_EVERY_MS:
            await self.shop.database.write(
                partial(note_seen, session_id=person.session_id, address=visit.address)
            )

    # The answer -------------------------------------------------------------------------------

    async def _answer(self, visit: Visit) -> Response:
        """Whatever happens is a page that says so, with the request's id."""
        try:
            return await self._serve(visit)
        except (AltynError, NotAllowedError, ForeignFormError) as error:
            return await _refuse(visit, error)
        except Exception as error:
            log.exception("page_failed", request_id=visit.request_id, path=visit.path)
            return await _refuse(visit, error)

    async def _serve(self, visit: Visit) -> Response:
        route = self._find_route(visit)
        if not is_from_us(visit.request, public_url=self.shop.settings.public_url):
            raise ForeignFormError
        self._count(route, visit)
        if route.access != "anybody" and visit.person is None:
            return visit.go_to_login()
        if not may(route.access, visit.person):
            raise NotAllowedError
        if route.method == "POST" and not _is_json(visit.request):
            visit.form = await _read_form(visit.request)
        return await route.page(visit)

    def _find_route(self, visit: Visit) -> Route:
        scope, allowed = visit.request.scope, []
        for pattern, route in self._patterns:
            match, found = pattern.matches(scope)
            if match is Match.FULL:
                scope.update(found)
                return route
            if match is Match.PARTIAL:
                allowed.append(route.method)
        if allowed:
            raise MethodNotAllowedError(allowed=", ".join(allowed))
        raise NotFoundError

    def _count(self, route: Route, visit: Visit) -> None:
        person = visit.person
        by_person = route.limit.by == "person" and person is not None
        who = f"user {person.user_id}" if by_person and person else neighbourhood(visit.address)
        self._turnstile.enter(
            f"{route.method} {route.path}", who, per_minute=route.limit.per_minute
        )


def _is_json(request: Request) -> bool:
    """Whether the body is for the API, which reads it by itself."""
    return request.headers.get("content-type", "").startswith("application/json")


async def _read_form(request: Request) -> FormData:
    """The fields of a form. Raises `BodyTooLargeError`."""
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > FORM_BYTES_MAX:
            raise BodyTooLargeError(limit_bytes=FORM_BYTES_MAX)
        pieces.append(piece)
    text = b"".join(pieces).decode("utf-8", "replace")
    pairs: list[Any] = parse_qsl(text, keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX)
    return FormData(pairs)


async def _refuse(visit: Visit, error: Exception) -> Response:
    refusal = explain(error, visit.words)
    if visit.by_htmx and visit.wants_part:
        # Over a table or a form it would stand where the reader needs what was there.
        response = await visit.page("parts/refusal.html", refusal=refusal, status=refusal.status)
        response.headers["hx-retarget"] = "#toaster"
        response.headers["hx-reswap"] = "beforeend"
    else:
        response = await visit.page("refusal.html", refusal=refusal, status=refusal.status)
    if refusal.wait_s is not None:
        response.headers["retry-after"] = str(refusal.wait_s)
    return response


async def _never(_request: Request) -> Response:
    raise AssertionError("patterns are only matched")
