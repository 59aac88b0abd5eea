"""A cabinet of a gateway on SQLite, people in it, and a browser that notices what is wrong."""

from collections.abc import Callable, Iterator

import pytest
from people import CHEAP, Person, sign_in
from playwright.sync_api import Browser, Page
from spender import Spender, spend
from windows import Chromium, Windows

from altyn.accounts import password
from fakes.gateway import Gateway


@pytest.fixture(scope="module", autouse=True)
def _passwords_are_cheap() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(password, "_hasher", CHEAP)
        password._nobodys.cache_clear()
        yield
    password._nobodys.cache_clear()


@pytest.fixture(scope="module")
def cabinet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway for a module; afterwards every invariant of the ledger must hold."""
    with Gateway(tmp_path_factory.mktemp("cabinet") / "home") as running:
        yield running
        running.wait_until_idle()
        running.verify()


@pytest.fixture(autouse=True)
def _no_waiting(request: pytest.FixtureRequest) -> None:
    """Tests come more often than people: every test begins with full buckets."""
    if "cabinet" in request.fixturenames:
        request.getfixturevalue("cabinet").app.cabinet.forget_rates()


@pytest.fixture
def stranger(cabinet: Gateway) -> Iterator[Person]:
    with Person(cabinet) as person:
        yield person


@pytest.fixture
def customer(cabinet: Gateway) -> Iterator[Person]:
    with sign_in(cabinet) as person:
        yield person


@pytest.fixture
def owner(cabinet: Gateway) -> Iterator[Person]:
    with sign_in(cabinet, role="owner") as person:
        yield person


CHROMIUM = Chromium()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    yield
    if nextitem is None or (nextitem.path != item.path and not has_pages(nextitem)):
        CHROMIUM.close()


def has_pages(item: pytest.Item) -> bool:
    """Whether the module of *item* opens pages in a browser."""
    return any(
        other.path == item.path and "windows" in getattr(other, "fixturenames", ())
        for other in item.session.items
    )


@pytest.fixture(scope="module")
def windows() -> Iterator[Windows]:
    """The windows of a browser that stays open for as long as modules follow that open pages."""
    if CHROMIUM.path is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    opened = CHROMIUM.open()
    yield opened
    opened.end_module()


@pytest.fixture(scope="module")
def browser(windows: Windows) -> Browser:
    return windows.browser


@pytest.fixture
def open_page(windows: Windows) -> Iterator[Callable[..., Page]]:
    """`open_page(person, "/app/keys")`: a page in a browser of theirs. Afterwards nothing may have
    been wrong with it, except for what the test names as `expected`.
    """
    yield windows.open
    windows.end_test()


@pytest.fixture
def walk_to(windows: Windows) -> Iterator[Callable[..., Page]]:
    """The same, in the page where that person was last: for tests that only look at a page."""
    yield windows.walk
    windows.end_test()


@pytest.fixture(scope="module")
def spender(cabinet: Gateway) -> Iterator[Spender]:
    cabinet.app.cabinet.forget_rates()
    with sign_in(cabinet) as person:
        yield spend(cabinet, person)
