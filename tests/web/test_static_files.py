"""Static files: what is delivered is what was chosen, and a browser asks once."""

import gzip
import hashlib
import re
from pathlib import Path

import httpx
import pytest

import altyn.web
from altyn.web.assets import STATIC, asset_url, digests

VENDOR = STATIC / "vendor"
SUMS = dict(reversed(line.split()) for line in (VENDOR / "sha256sums").read_text().splitlines())
README = (VENDOR / "README.md").read_text(encoding="utf-8")
WEB = Path(altyn.web.__file__).parent
CSS_BYTES_MAX = 25 * 1024
JS_BYTES_MAX = 35 * 1024


@pytest.mark.parametrize("name", sorted(SUMS))
def test_what_is_not_ours_is_what_was_chosen(name):
    assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == SUMS[name]


def test_nothing_foreign_is_delivered_without_its_sum_and_licence():
    delivered = {
        path.name for path in VENDOR.iterdir() if path.suffix in {".js", ".css", ".json", ".woff2"}
    }

    assert delivered == set(SUMS)
    for name in delivered:
        assert f"`{name}`" in README
    for licence in re.findall(r"`(\w+\.LICENSE)`", README):
        assert (VENDOR / licence).stat().st_size > 100


def test_the_versions_that_are_told_are_those_that_are_built():
    build = (VENDOR / "source" / "build.sh").read_text(encoding="utf-8")
    table = re.findall(
        r"\| (@?[\w./-]+)(?:, built with (\w+))? \| ([\d.]+)(?:, ([\d.]+))? \|", README
    )

    assert len(table) >= 5
    for name, builder, version, of_builder in table:
        assert f"{name}@{version}" in build
        assert not builder or f"{builder}@{of_builder}" in build


def test_pages_stay_light():
    def packed(*names):
        return sum(len(gzip.compress((STATIC / name).read_bytes(), 9)) for name in names)

    assert packed("vendor/basecoat.css", "altyn.css") < CSS_BYTES_MAX
    assert packed("vendor/htmx.js", "altyn.js") < JS_BYTES_MAX


@pytest.mark.parametrize("name", sorted(digests()))
def test_a_file_is_kept_for_ever_under_its_digest(cabinet, name):
    answer = httpx.get(cabinet.url + asset_url(name))

    assert answer.content == (STATIC / name).read_bytes()
    assert "immutable" in answer.headers["cache-control"]


def test_an_old_page_still_gets_its_style_but_not_for_ever(cabinet):
    answer = httpx.get(f"{cabinet.url}/static/0000000000/altyn.css")

    assert answer.status_code == 200
    assert "immutable" not in answer.headers["cache-control"]


@pytest.mark.parametrize(
    "path",
    [
        "/static/x/../cabinet.py",
        "/static/x/%2e%2e/cabinet.py",
        "/static/x/vendor/source/build.sh",
        "/static/x/vendor/README.md",
        "/static/",
    ],
)
def test_nothing_else_is_served(cabinet, path):
    assert httpx.get(cabinet.url + path).status_code == 404


@pytest.mark.parametrize("path", sorted(WEB.rglob("*.html")), ids=lambda path: path.name)
def test_no_page_holds_a_script_a_style_or_a_handler(path):
    text = path.read_text(encoding="utf-8")

    assert not re.search(r"<script(?![^>]*(?:src=|application/json))", text)
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=|hx-on|hx-vals|javascript:", text)
    assert "|safe" not in text.replace(" ", "")
