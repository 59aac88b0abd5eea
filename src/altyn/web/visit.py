"""One request of a page: who asks, in which language, what they sent, and how they are answered."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlsplit

from starlette.datastructures import URL, FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from altyn.accounts.store import AccountBalance, get_balance
from altyn.settings import Settings
from altyn.web.origin import is_local_path
from altyn.web.rate import Turnstile
from altyn.web.session import SignedIn
from altyn.web.shop import Shop
from altyn.web.words import Words

MODES = ("live", "test")
THEMES = ("system", "light", "dark")
TOAST_COOKIE = "altyn_toast"
THEME_COOKIE = "altyn_theme"
LANGUAGE_COOKIE = "altyn_language"
NUMBER_DIGITS = 19
"""One more than any number that surely fits into a BIGINT."""

YEAR_S = 31_536_000


def is_secure(settings: Settings) -> bool:
    """Whether customers come by https, as the public address says: TLS ends before us."""
    return urlsplit(settings.public_url).scheme == "https"


def session_cookie(settings: Settings) -> str:
    """`__Host-` binds a cookie to this host and to https; plain http cannot have it."""
    return "__Host-altyn_session" if is_secure(settings) else "altyn_session"


Render = Callable[["Visit", str, Mapping[str, Any]], Awaitable[str]]


class Visit:
    """One request. A page reads what was sent from it, and makes its answer with it."""

    def __init__(
        self,
        request: Request,
        *,
        shop: Shop,
        person: SignedIn | None,
        words: Words,
        address: str,
        request_id: str,
        turnstile: Turnstile,
        render: Render,
    ) -> None:
        self.request = request
        self.shop = shop
        self.person = person
        self.words = words
        self.address = address
        self.request_id = request_id
        self.balance: AccountBalance | None = None
        self._turnstile = turnstile
        self._render = render
        self.gettext = words.gettext
        self.ngettext = words.ngettext
        self.form: FormData = FormData()

    # What was sent ----------------------------------------------------------------------------

    @property
    def me(self) -> SignedIn:
        """The person who is signed in; only for routes that ask for one."""
        assert self.person is not None
        return self.person

    @property
    def path(self) -> str:
        return self.request.url.path

    @property
    def here(self) -> str:
        """The address with its query, to come back to."""
        url: URL = self.request.url
        return f"{url.path}?{url.query}" if url.query else url.path

    def part(self, name: str) -> str:
        """A part of the path, such as the id in `/app/keys/{key_id}`."""
        return str(self.request.path_params[name])

    def number(self, name: str) -> int:
        """A part of the path that is a row number; 0, which no row has, for anything else."""
        text = self.part(name)
        return int(text) if text.isascii() and text.isdigit() and len(text) < NUMBER_DIGITS else 0

    def query(self, name: str, default: str = "") -> str:
        return self.request.query_params.get(name, default).replace("\0", "")

    def query_number(self, name: str) -> int | None:
        """A row number in the query; None for anything else."""
        text = self.query(name)
        return (
            int(text) if text.isascii() and text.isdigit() and len(text) < NUMBER_DIGITS else None
        )

    def field(self, name: str, default: str = "") -> str:
        """A field of the form that was sent, without blanks around it."""
        value = self.form.get(name, default)
        # PostgreSQL keeps no NUL, and nobody types one.
        return value.replace("\0", "").strip() if isinstance(value, str) else default

    def fields(self, name: str) -> list[str]:
        """All values of a field that may be given more than once."""
        return [value for value in self.form.getlist(name) if isinstance(value, str) and value]

    @property
    def mode(self) -> str:
        """`live` or `test`, where the address chooses one of them."""
        mode = self.query("mode")
        return mode if mode in MODES else ""

    @property
    def wants_part(self) -> bool:
        """Whether htmx asks for a piece of the page. It decides nothing but the wrapping."""
        return self.request.headers.get("hx-request-type") == "partial"

    @property
    def by_htmx(self) -> bool:
        return self.request.headers.get("hx-request") == "true"

    @property
    def opened_from(self) -> str:
        """The page of ours that a dialog was opened from; empty where scripts do not run."""
        path = urlsplit(self.request.headers.get("hx-current-url", "")).path
        return path if is_local_path(path) else ""

    @cached_property
    def theme(self) -> str:
        wished = self.request.cookies.get(THEME_COOKIE, "")
        return wished if wished in THEMES else "system"

    @property
    def toast(self) -> str:
        """The name of the message that the last deed left for this page."""
        return self.request.cookies.get(TOAST_COOKIE, "")

    def count_tries(self, what: str, *, per_minute: int) -> None:
        """Count what is tried here for one target, whoever tries. Raises as a 429."""
        place = f"{self.request.method} {self.path} for"
        self._turnstile.enter(place, what.lower(), per_minute=per_minute)

    # How it is answered -----------------------------------------------------------------------

    async def page(self, template: str, *, status: int = 200, **facts: Any) -> Response:
        """The page of a template: whole, or for htmx the piece of it that is its content."""
        if self.person is not None and not self.wants_part:
            self.balance = await get_balance(self.shop.database, self.person.account_id)
        text = await self._render(self, template, facts)
        headers = {"vary": "HX-Request-Type, Cookie, Accept-Language"}
        response = HTMLResponse(text, status_code=status, headers=headers)
        if self.toast and not self.wants_part:
            response.delete_cookie(TOAST_COOKIE)
        return response

    async def pack(self, response: Response) -> Response:
        """The answer compressed, for those who take it so. Only for a page without a secret in it:
        the length of a compressed one tells whoever can add to it what else it holds (BREACH).
        """
        if self.person is None and "gzip" in self.request.headers.get("accept-encoding", ""):
            response.body = await asyncio.to_thread(gzip.compress, bytes(response.body), 6)
            response.headers["content-encoding"] = "gzip"
            response.headers["content-length"] = str(len(response.body))
            response.headers["vary"] += ", Accept-Encoding"
        return response

    def go(self, path: str, *, toast: str | None = None) -> Response:
        """Send the reader to another page of ours, after a form or instead of this one.

        *toast* is the name of a message in `parts/toasts.html` that is shown there.
        """
        response: Response
        if self.by_htmx:
            response = Response(headers={"hx-redirect": path})
        else:
            response = RedirectResponse(path, status_code=303)
        if toast is not None:
            response.set_cookie(
                TOAST_COOKIE, toast, max_age=60, httponly=True, samesite="lax", secure=self.secure
            )
        return response

    def go_to_login(self) -> Response:
        """To the door, and back here after it; a form has nothing to come back to."""
        wanted = self.here if self.request.method == "GET" and not self.wants_part else "/app"
        return self.go(f"/login?next={quote(wanted)}")

    def back(self, *, otherwise: str = "/") -> str:
        """Where a form wants to return to, if that is a page of ours."""
        wished = self.field("next") or self.query("next")
        return wished if is_local_path(wished) else otherwise

    def remember(self, response: Response, name: str, value: str) -> None:
        """Keep a choice of how pages look in a cookie. Nothing depends on it."""
        response.set_cookie(
            name, value, max_age=YEAR_S, httponly=True, samesite="lax", secure=self.secure
        )

    @property
    def secure(self) -> bool:
        return is_secure(self.shop.settings)

    def keep_session(self, response: Response, secret: str, *, lasts_s: int) -> None:
        response.set_cookie(
            session_cookie(self.shop.settings),
            secret,
            max_age=lasts_s,
            httponly=True,
            samesite="lax",
            secure=self.secure,
        )

    def drop_session(self, response: Response) -> None:
        response.delete_cookie(
            session_cookie(self.shop.settings), httponly=True, samesite="lax", secure=self.secure
        )
