"""Every page, in both languages, both themes and two widths, with and without scripts."""

import pytest
from browser import LOOKS, assert_accessible, assert_fits, assert_russian
from catalogue import missing
from people import Person, sign_in

from altyn.web.routes import ROUTES

FILES = ("/export", ".csv", ".json")
"""How addresses end that answer with a file."""

OF_PROVIDERS = ("/oauth/start", "/oauth/callback", "/app/settings/provider")
"""There only where an identity provider is set: see test_oauth.py."""

PLAIN = sorted(
    route.path
    for route in ROUTES
    if route.method == "GET"
    and "{" not in route.path
    and not route.path.endswith(FILES)
    and route.path not in OF_PROVIDERS
)
LOOKED_AT = [path for path in PLAIN if path not in ("/docs", "/api-documentation")]
"""The documentation is one page at two addresses, and the longest: test_docs_page.py looks at it
in the same languages, themes and widths, with more of it open.
"""

OF_LINKS = ("/setup", "/reset/new", "/verify", "/email")
"""Opened by a link alone; without one they say that it is used or too old."""

OF_STRANGERS = ("/login", "/signup")


@pytest.fixture(scope="module", params=["en", "ru"])
def reader(request, cabinet):
    """An owner, who may see every page, with two keys."""
    cabinet.app.cabinet.forget_rates()
    with sign_in(cabinet, language=request.param, role="owner") as person:
        person.create_key("prod", limit="50", period="month")
        person.create_key("staging", mode="test")
        yield person


@pytest.fixture(scope="module")
def russian(cabinet):
    """An owner whose key has a Russian name: nothing English comes from themselves."""
    cabinet.app.cabinet.forget_rates()
    with sign_in(cabinet, language="ru", role="owner") as person:
        person.create_key("ключ")
        yield person


def reader_of(path, reader, cabinet):
    if path in OF_STRANGERS:
        return Person(cabinet, language=reader.client.headers["accept-language"])
    return reader


@pytest.mark.parametrize("path", LOOKED_AT)
def test_a_page_is_accessible_and_fits_in_every_theme_and_width(path, reader, cabinet, walk_to):
    expected = ("404",) if path in OF_LINKS else ()
    page = walk_to(reader_of(path, reader, cabinet), path, expected=expected)

    for theme, size in LOOKS[reader.client.headers["accept-language"]]:
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        page.set_viewport_size(size)
        assert_accessible(page)
        assert_fits(page)


@pytest.mark.parametrize("path", PLAIN)
def test_a_russian_page_has_no_english_left(path, russian, cabinet, walk_to):
    expected = ("404",) if path in OF_LINKS else ()
    page = walk_to(reader_of(path, russian, cabinet), path, expected=expected)

    assert_russian(page)
    assert page.locator("html").get_attribute("lang") == "ru"


@pytest.mark.parametrize("path", PLAIN)
def test_a_page_can_be_read_without_scripts(path, reader, cabinet, walk_to):
    expected = ("404",) if path in OF_LINKS else ()
    page = walk_to(
        reader_of(path, reader, cabinet), path, expected=expected, java_script_enabled=False
    )

    assert page.locator("h1").count() == 1
    assert page.locator("h1").first.is_visible()


def test_every_text_of_the_cabinet_has_its_russian():
    assert missing() == {}
