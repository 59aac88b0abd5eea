"""The bench is run by hand: what it takes from the gateway must not change without it."""

import importlib
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture
def dialects(monkeypatch):
    monkeypatch.syspath_prepend(BENCH)
    module = importlib.import_module("dialects")
    monkeypatch.setattr(module, "CHUNKS", 10)
    monkeypatch.setattr(module, "RUNS", 1)
    return module


def test_every_dialect_can_be_measured(dialects):
    rows = dialects.dialects()

    assert {row.subject for row in rows} == set(dialects.STREAMS)
