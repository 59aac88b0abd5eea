"""Books on either database; afterwards every invariant must hold."""

from collections.abc import AsyncIterator

import pytest

from fakes.books import Books, open_books


@pytest.fixture
async def books(migrated_url: str) -> AsyncIterator[Books]:
    async with open_books(migrated_url) as opened:
        yield opened
        await opened.writer.drain()
        assert await opened.findings() == ()


@pytest.fixture
async def sqlite_books(sqlite_url: str) -> AsyncIterator[Books]:
    async with open_books(sqlite_url) as opened:
        yield opened
        await opened.writer.drain()
        assert await opened.findings() == ()
