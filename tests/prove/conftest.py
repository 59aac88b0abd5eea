"""Books on either database, as in `tests/ledger`."""

from collections.abc import AsyncIterator

import pytest

from fakes.books import Books, open_books


@pytest.fixture
async def books(migrated_url: str) -> AsyncIterator[Books]:
    async with open_books(migrated_url) as opened:
        yield opened


@pytest.fixture
async def sqlite_books(sqlite_url: str) -> AsyncIterator[Books]:
    async with open_books(sqlite_url) as opened:
        yield opened
