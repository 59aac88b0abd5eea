"""Everything on a page that must not be there."""

import re

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
LOOKS = {
    "en": (("light", WIDE), ("dark", NARROW)),
    "ru": (("dark", WIDE), ("light", NARROW)),
}
"""Every theme in every width; the longer Russian words where there is least room, too."""

RULES = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    },
    # Of what is in order, axe would describe every node: on a long page, for seconds.
    "resultTypes": ["violations"],
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


def assert_accessible(page: Page) -> None:
    """No violation of WCAG 2.2 AA that axe can find."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    violations = page.evaluate("rules => axe.run(rules).then(found => found.violations)", RULES)
    found = [
        f"{broken['id']}: {node['html'][:160]} -- {node['failureSummary'][:300]}"
        for broken in violations
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
