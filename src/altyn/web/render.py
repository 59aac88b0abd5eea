"""Templates to text, in a thread: the event loop serves paid calls meanwhile."""

import asyncio
import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from altyn import __version__
from altyn.web.access import may
from altyn.web.assets import STATIC, asset_url
from altyn.web.menu import MENU, PUBLIC, Group
from altyn.web.routes import ROUTES
from altyn.web.texts import TOASTS
from altyn.web.visit import Visit
from altyn.web.words import LANGUAGES, read_translations

TEMPLATES = Path(__file__).parent / "templates"
ICONS = STATIC / "vendor" / "icons.json"
CODE = re.compile("`([^`]+)`")
PAGES = frozenset(route.path for route in ROUTES if route.method == "GET")

_thread = ThreadPoolExecutor(1, "pages")


async def render(visit: Visit, template: str, facts: Mapping[str, Any]) -> str:
    """The text of a page. `visit` and `words` are known to every template and macro."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_thread, render_now, visit, template, facts)


def render_now(visit: Visit, template: str, facts: Mapping[str, Any]) -> str:
    words = visit.words
    text: str = (
        _environment(words.language)
        .get_template(template)
        .render(visit=visit, words=words, shop=visit.shop, menu=_menu(visit), **facts)
    )
    return text


def _menu(visit: Visit) -> list[Group]:
    """The menu of this person: what exists, and what they may open."""
    groups = (
        Group(
            group.label,
            tuple(
                entry
                for entry in group.entries
                if has_page(entry.path) and may(entry.access, visit.person)
            ),
        )
        for group in MENU
    )
    return [group for group in groups if group.entries]


def has_page(path: str) -> bool:
    return path in PAGES


@cache
def _environment(language: str) -> Environment:
    """Jinja for one language: texts are translated, everything else is escaped."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
        auto_reload=False,
    )
    translations: Any = environment  # the extension has added the method
    translations.install_gettext_translations(read_translations(language), newstyle=True)
    environment.policies["ext.i18n.trimmed"] = True
    environment.filters["codes"] = codes
    environment.globals |= {
        "asset": asset_url,
        "icon": icon,
        "has_page": has_page,
        "languages": LANGUAGES,
        "may": may,
        "public_menu": [entry for entry in PUBLIC if has_page(entry.path)],
        "toasts": TOASTS,
        "version": __version__,
    }
    return environment


def codes(text: str) -> Markup:
    """A text in which `words of a program` are marked with backticks."""
    # What goes in is escaped, and only our own element stands around pieces of it.
    return Markup(CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704


@cache
def _icons() -> dict[str, str]:
    drawn: dict[str, str] = json.loads(ICONS.read_text(encoding="utf-8"))
    return drawn


def icon(name: str, *, size: int = 16) -> Markup:
    """A drawing beside a word; whoever listens to the page does not miss it."""
    # Only our own file and a number go in.
    return Markup(  # noqa: S704
        f'<svg class="icon" width="{size:d}" height="{size:d}" viewBox="0 0 24 24" fill="none"'
        ' stroke="currentColor" stroke-width="1.75" stroke-linecap="round"'
        f' stroke-linejoin="round" aria-hidden="true">{_icons()[name]}</svg>'
    )
