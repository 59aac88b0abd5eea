"""The simulated world: its seeds repeat, its regressions stay, and it notices what is broken."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from altyn.gateway import desk, recovery
from altyn.ledger.writer import Writer
from altyn.prove import simulation
from altyn.prove.drill import drill
from altyn.prove.place import Place
from altyn.prove.simulated_books import Asked
from altyn.prove.simulation import Seed, simulate, simulate_side_by_side
from altyn.prove.virtual import run, virtual_time
from altyn.prove.world import World, make_world

REGRESSIONS: list[int] = [3257514193]
"""Seeds that have failed once. They must never again."""

CALLS = 60


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    place = Place("sqlite", Path(tmp_path_factory.mktemp("world")))
    place.prepare()
    return make_world(place)


def test_seeds_that_have_failed_once_hold(world):
    assert simulate(world, REGRESSIONS) == {}


def test_a_seed_is_the_same_history_each_time(world):
    def live(number):
        with virtual_time() as clock:
            seed = Seed(number, world, clock, CALLS)
            assert run(seed.live(), clock=clock, chance=seed.chance) == []
            told = [(one.outcome, one.charged_nanos) for one in seed.asked.values()]
            return told, clock.now_s

    assert live(5) == live(5)
    assert live(5) != live(6)


def test_seeds_side_by_side_come_to_what_they_come_to_alone(world, monkeypatch):
    async def last_call(_database: object, _vendors: object, asked: dict[str, Asked], _: object):
        *_, one = asked.values()
        return [f"{one.order.request_id}: {one.outcome}, {one.charged_nanos}"]

    monkeypatch.setattr(simulation, "differences", last_call)

    together = simulate_side_by_side(world, range(7), requests=20, processes=2)

    assert together == simulate(world, range(7), requests=20)
    assert list(together) == list(range(7))


def test_every_single_failure_holds(world):
    rows = drill(world, requests=4)

    assert [row.violations for row in rows] == [[]] * len(rows)
    assert sum(row.rounds for row in rows) > 60


# What it would notice -------------------------------------------------------------------------


def wrong_in(world, seeds=12):
    return " ".join(
        sentence
        for wrong in simulate(world, range(seeds), requests=CALLS).values()
        for sentence in wrong
    )


def test_it_notices_that_nobody_sweeps(world, monkeypatch):
    async def nothing(*_, **__):
        return []

    monkeypatch.setattr(recovery, "list_abandoned", nothing)

    assert "still held (open)" in wrong_in(world, seeds=30)


def test_it_notices_a_commit_that_is_repeated_blindly(world, monkeypatch):
    blind = Writer._write

    async def replay(self, moves):
        return await blind(self, moves, replay=False)

    monkeypatch.setattr(Writer, "_replay", replay)

    assert any("UNIQUE" in line for row in drill(world, requests=4) for line in row.violations)


def test_it_notices_a_settlement_that_is_given_up(world, monkeypatch):
    async def once(_self, do, _request_id):
        return await do()

    monkeypatch.setattr(desk.Desk, "_until_true", once)

    assert any(
        "nobody was told" in line for row in drill(world, requests=4) for line in row.violations
    )


def test_it_notices_a_charge_that_is_a_nano_too_much(world, monkeypatch):
    real = desk._settlement

    def greedy(order, verdict, record):
        move = real(order, verdict, record)
        if not getattr(move, "charge_nanos", 0):
            return move
        record.charge_nanos += 1
        return desk.Resolve(
            **{
                name: getattr(move, name) + (name == "charge_nanos")
                if name == "charge_nanos"
                else getattr(move, name)
                for name in move.__struct_fields__
            }
        )

    monkeypatch.setattr(desk, "_settlement", greedy)

    assert "instead of" in wrong_in(world)
