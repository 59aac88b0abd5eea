"""Windows of Debian's Chromium, which are kept: to open one costs more than most tests."""

import shutil
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

from browser import WIDE
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    sync_playwright,
)

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


class Window:
    """A context whose pages are watched for policy violations, errors and requests to elsewhere."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.origin = ""
        self.expected: tuple[str, ...] = ()
        self.wrong: list[str] = []
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.wrong.append(f"error: {error.error}"))
        context.on("request", self._see)
        context.add_init_script(
            "addEventListener('securitypolicyviolation', (broken) =>"
            " console.error('policy: ' + broken.violatedDirective + ' ' + broken.blockedURI))"
        )

    def open(self, person: Any, path: str, *, expected: tuple[str, ...]) -> Page:
        """A new page of *person*; the one that is there already keeps the processes alive."""
        if not self.context.pages:
            self.context.new_page()
        self.context.new_page()
        return self.go(person, path, expected=expected)

    def go(self, person: Any, path: str, *, expected: tuple[str, ...]) -> Page:
        """The newest page goes elsewhere."""
        self.origin, self.expected, self.wrong = person.gateway.url, expected, []
        remember(self.context, person)
        page = self.context.pages[-1]
        page.goto(self.origin + path)
        return page

    def refresh(self, *, viewport: Any = WIDE, color_scheme: Any = "light", **_: Any) -> None:
        """The newest page looks as it did when it was new, with these options."""
        page = self.context.pages[-1]
        page.emulate_media(color_scheme=color_scheme, reduced_motion="no-preference")
        page.set_viewport_size(viewport)

    def leave(self) -> None:
        """Nothing stays that whoever opens it next might notice: no page, cookie or kept value."""
        anchor, *pages = self.context.pages
        everything = {"origin": self.origin, "storageTypes": "all"}
        self.context.new_cdp_session(anchor).send("Storage.clearDataForOrigin", everything)
        for page in pages:
            page.close()
        self.context.clear_cookies()

    def assert_clean(self) -> None:
        """Nothing wrong but what the test expects, such as the console's word on a 404."""
        assert [what for what in self.wrong if not any(ok in what for ok in self.expected)] == []

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(f"{message.type}: {message.text}")

    def _see(self, request: Request) -> None:
        if not request.url.startswith((self.origin, "data:", "blob:")):
            self.wrong.append(f"request to {request.url}")


class Windows:
    """The windows of one browser, kept for the next test that opens one alike.

    A new context costs Chromium a profile and its processes: twice as much as a page, and five
    times as much as a page that only goes elsewhere.
    """

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self._free: dict[str, list[Window]] = {}
        self._taken: list[tuple[str, Window]] = []
        self._walking: dict[str, tuple[str, Window]] = {}
        self._walked: list[Window] = []

    def open(
        self, person: Any, path: str, *, expected: tuple[str, ...] = (), **options: Any
    ) -> Page:
        """A page in an empty window."""
        kind = kind_of(person, options)
        window = self._find(kind, person, options)
        self._taken.append((kind, window))
        return window.open(person, path, expected=expected)

    def walk(
        self, person: Any, path: str, *, expected: tuple[str, ...] = (), **options: Any
    ) -> Page:
        """The page where this very person was last, as new: for those that look at many."""
        kind = kind_of(person, options)
        theirs = f"{person.session} {kind}"
        if theirs in self._walking:
            window = self._walking[theirs][1]
            self._walked.append(window)
            window.refresh(**options)
            return window.go(person, path, expected=expected)
        window = self._find(kind, person, options)
        self._walking[theirs] = kind, window
        self._walked.append(window)
        return window.open(person, path, expected=expected)

    def end_test(self) -> None:
        """Empty what was opened; then nothing may have been wrong in a window of the test."""
        used = [*self._walked, *(window for _, window in self._taken)]
        self._give_back(self._taken)
        self._walked, self._taken = [], []
        for window in used:
            window.assert_clean()

    def end_module(self) -> None:
        """Nobody walks on: the next module has other people."""
        self._give_back(self._walking.values())
        self._walking = {}

    def _find(self, kind: str, person: Any, options: dict[str, Any]) -> Window:
        alike = self._free.setdefault(kind, [])
        return alike.pop() if alike else Window(open_context(self.browser, person, **options))

    def _give_back(self, windows: Iterable[tuple[str, Window]]) -> None:
        for kind, window in windows:
            window.leave()
            self._free[kind].append(window)


def kind_of(person: Any, options: dict[str, Any]) -> str:
    return f"{person.client.headers['accept-language']} {sorted(options.items())}"


class Chromium:
    """One browser for the modules that follow each other and open pages.

    While it is open its event loop runs in this thread: no asynchronous test may begin before it is
    closed.
    """

    def __init__(self) -> None:
        self._opened = ExitStack()
        self._windows: Windows | None = None
        self.path = shutil.which("chromium")

    def open(self) -> Windows:
        if self._windows is None:
            playwright = self._opened.enter_context(sync_playwright())
            browser = playwright.chromium.launch(executable_path=self.path, args=list(ARGUMENTS))
            self._opened.callback(browser.close)
            self._windows = Windows(browser)
        return self._windows

    def close(self) -> None:
        self._windows = None
        self._opened.close()


def open_context(browser: Browser, person: Any, **options: Any) -> BrowserContext:
    """A browser of somebody who is signed in already, in the language of *person*."""
    context = browser.new_context(
        locale={"ru": "ru-RU", "en": "en-US"}[person.client.headers["accept-language"]],
        timezone_id="Europe/Moscow",
        **{"viewport": WIDE, **options},
    )
    context.set_default_timeout(10_000)
    remember(context, person)
    return context


def remember(context: BrowserContext, person: Any) -> None:
    """Whoever has signed in is so in this browser, too."""
    if person.session:
        cookie = {"name": "altyn_session", "value": person.session, "url": person.gateway.url}
        context.add_cookies([cookie])  # type: ignore[list-item]
