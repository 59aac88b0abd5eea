"""One gateway for a whole file, where its tests only add customers of their own to it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fakes.caller import Caller
from fakes.gateway import Customer, Gateway


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A running gateway on SQLite, shared by the tests of one file. The books hold at the end."""
    with Gateway(tmp_path_factory.mktemp("house")) as running:
        yield running
        running.wait_until_idle()
        running.verify()


@pytest.fixture
def alice(house: Gateway) -> Customer:
    return house.add_customer("10")


@pytest.fixture
def bob(house: Gateway) -> Customer:
    return house.add_customer("10")


@pytest.fixture
def as_(house: Gateway) -> Callable[..., Caller]:
    """`as_(alice.key).get("/balance")`"""

    def call(key: str | None = None, **headers: str) -> Caller:
        return Caller(house.base, key, **headers)

    return call


@pytest.fixture
def make_gateway(tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """`make_gateway(parallel_requests="1")`: a gateway with settings of its own."""
    with ExitStack() as started:

        def make(**settings: str) -> Gateway:
            return started.enter_context(Gateway(tmp_path / "own", **settings))

        yield make
