"""The page at `/`: what this is, a call that works when pasted, and where everything is."""

from collections.abc import Awaitable, Callable, Mapping
from html import escape
from importlib import resources
from string import Template
from typing import Any
from urllib.parse import parse_qs

from altyn import __version__

Send = Callable[[Mapping[str, Any]], Awaitable[None]]

PAGE = Template(resources.files("altyn.web").joinpath("pages/welcome.html").read_text("utf-8"))
STYLE = resources.files("altyn.web").joinpath("static/welcome.css").read_bytes()
PATHS = frozenset({"/", "/static/welcome.css"})

SECURITY = (
    (
        b"content-security-policy",
        (
            b"default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none';"
            b" frame-ancestors 'none'"
        ),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"vary", b"accept-language"),
)

WORDS = {
    "en": {
        "lang": "en",
        "other_lang": "ru",
        "other": "По-русски",
        "lead": "This gateway sells metered access to AI models through one API. It is running.",
        "try_it": "Try it",
        "hello": "Hello!",
        "key_from": "The first start has shown a test key. More keys are made with"
        " <code>./altyn key create</code>.",
        "addresses": "Addresses",
        "state": "State",
    },
    "ru": {
        "lang": "ru",
        "other_lang": "en",
        "other": "In English",
        "lead": "Этот шлюз продаёт доступ к моделям ИИ по расходу через один API. Он работает.",
        "try_it": "Попробуйте",
        "hello": "Привет!",
        "key_from": "Тестовый ключ показан при первом запуске. Другие ключи создаёт"
        " <code>./altyn key create</code>.",
        "addresses": "Адреса",
        "state": "Состояние",
    },
}


class Welcome:
    """Two files' worth of web: a page and its style."""

    def __init__(self, *, api_base: str) -> None:
        self._pages = {
            language: PAGE.substitute(
                {**words, "base": escape(api_base), "version": __version__}
            ).encode()
            for language, words in WORDS.items()
        }

    async def serve(self, scope: Mapping[str, Any], send: Send, *, language: str) -> None:
        """Answer a GET of one of `PATHS`, in the language of the link, or of the browser."""
        if scope["path"] == "/":
            wished = parse_qs(scope["query_string"].decode("latin-1")).get("lang", [language])[0]
            body, kind = self._pages.get(wished, self._pages[language]), b"text/html; charset=utf-8"
        else:
            body, kind = STYLE, b"text/css; charset=utf-8"
        headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), *SECURITY]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
