"""One small history, lived again and again: each time the next thing of its kind fails.

The n-th call to the database, the n-th call to an upstream, the n-th named place at which the
process dies: for n = 1, 2, 3 … until the history ends before its n-th is reached. Whatever is in
the path of money has failed once then.
"""

import random
from typing import Literal

from altyn.crashpoints import arm
from altyn.prove.simulation import Seed
from altyn.prove.table import Row
from altyn.prove.virtual import Clock, run, virtual_time
from altyn.prove.world import World

Fails = Literal["database down", "commit lost", "commit unanswered", "upstream", "process"]
KINDS: tuple[Fails, ...] = (
    "database down",
    "commit lost",
    "commit unanswered",
    "upstream",
    "process",
)
DATABASE_WORDS = {
    "database down": "down",
    "commit lost": "lost",
    "commit unanswered": "unanswered",
}
FIRST = {"database down": 2}
"""The first call opens the books: without it there is no process yet."""


class Died(BaseException):
    """The process ends here: nothing after this line runs."""


class Drill(Seed):
    """A history of few calls, in which exactly one thing fails."""

    def __init__(
        self, world: World, clock: Clock, *, requests: int, fails: Fails, nth: int
    ) -> None:
        super().__init__(nth, world, clock, requests)
        self.chance = random.Random(requests)
        self.vendors.chance = self.chance
        self.fails = fails
        self.nth = nth
        self.met = 0

    def database_fault(self) -> str:
        word = DATABASE_WORDS.get(self.fails)
        return word if word is not None and self._is_it() else ""

    def upstream_fault(self) -> bool:
        return self.fails == "upstream" and self._is_it()

    def database_pause_s(self) -> float:
        return 0.001

    def meet(self, _point: str) -> None:
        if self.fails == "process" and self._is_it():
            # Whichever of them it is: nobody else runs while this line does.
            for node in self.nodes:
                node.kill()
            raise Died

    async def _make_weather(self) -> None:
        """Only what has to happen for everything to have happened once."""
        await self._pay_back(await self._living_node())
        await self._change_a_price(await self._living_node())

    def untold(self) -> list[str]:
        """Calls that were held and then never heard of, although no process has died."""
        return [name for name, call in self.asked.items() if call.held and call.outcome is None]

    def _is_it(self) -> bool:
        self.met += 1
        return self.met == self.nth


def drill(world: World, *, requests: int) -> list[Row]:
    """Every n of every kind; a row for each kind."""
    return [_drill_one(world, fails, requests) for fails in KINDS]


def _drill_one(world: World, fails: Fails, requests: int) -> Row:
    row = Row(fault=f"the n-th fails, each n: {fails}", database="in memory")
    nth = FIRST.get(fails, 1)
    while True:
        with virtual_time() as clock:
            one = Drill(world, clock, requests=requests, fails=fails, nth=nth)
            arm(one.meet)
            try:
                wrong = run(one.live(), clock=clock, chance=random.Random(nth))
            except Exception as error:  # noqa: BLE001 -- a history that cannot end is a finding
                wrong = [f"{type(error).__name__}: {error}"]
            finally:
                arm(None)
            if fails != "process":
                wrong += [f"nobody was told what became of {name}" for name in one.untold()]
        if one.met < nth:
            return row
        row.rounds += 1
        row.violations += [f"n = {nth}: {sentence}" for sentence in wrong]
        nth += 1
