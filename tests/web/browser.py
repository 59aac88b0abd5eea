"""Debian's Chromium, and everything on a page that must not be there."""

import re
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
RULES = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }
}
LATIN = re.compile(r"[A-Za-z][A-Za-z'’]{2,}")
NAMES = frozenset(
    """Altyn API OpenAPI OpenAI OpenRouter Anthropic Google Claude Gemini DeepSeek Python JavaScript
    PHP Node curl cURL UTC URL USD RUB CSV JSON SSE HTTP English Ctrl TTFT sandbox echo lorem flaky
    TOTP GitHub XXXX SDK base64 env POST GET Bearer Authorization GMT REST External Server Sent
    Events Idempotency Key LangChain LiteLLM Cursor Cline Continue LibreChat Enter Shift
    Esc""".split()  # noqa: SIM905 -- words
)
"""Latin words that stand in Russian text by right."""

WORDS = """() => {
  const words = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const foreign = 'code, pre, script, template, option, [lang="en"], [translate="no"]';
  while (walker.nextNode()) {
    const place = walker.currentNode.parentElement;
    if (!place.closest(foreign)) words.push(walker.currentNode.textContent);
  }
  for (const place of document.querySelectorAll('[aria-label], [placeholder], [title]'))
    if (!place.closest('[lang="en"], [translate="no"]'))
      words.push(place.ariaLabel ?? '', place.placeholder ?? '', place.title ?? '');
  return words;
}"""


class Watcher:
    """Collects what a page does wrong: policy violations, errors, requests to elsewhere."""

    def __init__(self, context: BrowserContext, *, origin: str) -> None:
        self.origin = origin
        self.wrong: list[str] = []
        self.expected: tuple[str, ...] = ()
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.wrong.append(f"error: {error.error}"))
        context.on("request", self._see)
        context.add_init_script(
            "addEventListener('securitypolicyviolation', (broken) =>"
            " console.error('policy: ' + broken.violatedDirective + ' ' + broken.blockedURI))"
        )

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(f"{message.type}: {message.text}")

    def _see(self, request: Request) -> None:
        if not request.url.startswith((self.origin, "data:", "blob:")):
            self.wrong.append(f"request to {request.url}")

    def assert_clean(self) -> None:
        """Nothing wrong but what the test expects, such as the console's word on a 404."""
        assert [what for what in self.wrong if not any(ok in what for ok in self.expected)] == []


def assert_accessible(page: Page) -> None:
    """No violation of WCAG 2.2 AA that axe can find."""
    results = Axe().run(page, options=RULES)
    found = [
        f"{broken['id']}: {node['html'][:160]} -- {node['failureSummary'][:300]}"
        for broken in results.response["violations"]
        for node in broken["nodes"]
    ]
    assert found == [], f"{page.url}\n" + "\n".join(found)


def assert_fits(page: Page) -> None:
    """Nothing makes the page wider than the window."""
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.viewport_size["width"], f"{page.url} is {width} px wide"  # type: ignore[index]


def assert_russian(page: Page, *, allowed: frozenset[str] = frozenset()) -> None:
    """No English is left in a Russian page, outside of code, names and what people wrote."""
    texts: list[str] = page.evaluate(WORDS)
    said = {
        word
        for text in texts
        if "@" not in text and "/" not in text
        for word in LATIN.findall(text)
    }
    assert not said - NAMES - allowed, f"{page.url}: {sorted(said - NAMES - allowed)}"


def open_context(browser: Browser, person: Any, **options: Any) -> BrowserContext:
    """A browser of somebody who is signed in already, in the language of *person*."""
    context = browser.new_context(
        locale={"ru": "ru-RU", "en": "en-US"}[person.client.headers["accept-language"]],
        timezone_id="Europe/Moscow",
        **{"viewport": WIDE, **options},
    )
    context.set_default_timeout(10_000)
    if person.session:
        cookie = {"name": "altyn_session", "value": person.session, "url": person.gateway.url}
        context.add_cookies([cookie])  # type: ignore[list-item]
    return context
