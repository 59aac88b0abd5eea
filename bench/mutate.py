"""Do the tests notice? Changes one small thing of a module at a time, and runs its tests.

    python bench/mutate.py [MODULE …] [--sample N] [--seed N] [--only TEXT]

A change that no test notices has survived: it is printed with its line. The score is the part that
was noticed, of those that are not in `equivalents.py`. Each change gets a process of its own,
forked from one that has everything heavy loaded; it runs the tests that touch the changed line,
the quickest first, until one fails. No file is ever changed.
"""

import argparse
import ast
import gc
import importlib
import importlib.abc
import importlib.util
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from equivalents import EQUIVALENTS
from mutations import Mutant, list_mutants, path_of

ROOT = Path(__file__).resolve().parents[1]
LEDGER = (
    "tests/ledger",
    # They start processes of their own, which read the module from its file.
    "--ignore=tests/ledger/test_crash.py",
    "--deselect=tests/ledger/test_writer.py::test_two_processes_on_one_balance_grant_exactly_what_it_is_worth",
)
TARGETS: dict[str, tuple[str, ...]] = {
    "altyn.money": ("tests/test_money.py",),
    "altyn.keys.key": ("tests/keys/test_key.py",),
    "altyn.catalog.price": ("tests/catalog/test_price.py",),
    "altyn.outcome": ("tests/test_outcome.py",),
    "altyn.receipts": ("tests/test_receipts.py",),
    "altyn.ledger.moves": LEDGER,
    "altyn.ledger.deposits": LEDGER,
    "altyn.ledger.codes": LEDGER,
    "altyn.ledger.statement": LEDGER,
    "altyn.ledger.workers": LEDGER,
    "altyn.ledger.audit": LEDGER,
    "altyn.ledger.book": LEDGER,
    "altyn.ledger.store": LEDGER,
    "altyn.ledger.writer": LEDGER,
}
PLUGINS = (
    "pytest_asyncio.plugin",
    "pytest_timeout",
    "_hypothesis_pytestplugin",
    "pytest_cov.plugin",
)
"""All that is needed: to load every plugin that is installed takes three seconds."""

PYTEST = (
    *(word for plugin in PLUGINS for word in ("-p", plugin)),
    *("-q", "-p", "no:cacheprovider", "--timeout-method=thread"),
    # Hypothesis is loaded already, which is the point.
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
)
PATIENCE_S = 15
PATIENCE = 8
"""A test may take so many times what it took before, and so many seconds more, on a busy machine
too: to be slow is not to have noticed. One that waits for an answer that never comes ends here."""

FAILED = 3
"""What a child ends with when a test failed. `pytest-timeout` ends it with 1."""

BROKEN = 9
"""What it ends with when it was not the tests that ended it: nothing was judged."""

SURVEY_LIMIT_S = 900
MEMORY_MAX = 4 * 2**30


@dataclass(frozen=True)
class Survey:
    """What the tests do to a module as it is: how long each takes, and which lines it touches."""

    seconds: dict[str, float]
    tests: dict[int, set[str]]

    def choose(self, lines: Iterable[int]) -> list[str]:
        """The tests that touch these lines, the quickest first; all, if an import does."""
        touching = set().union(*(self.tests.get(line, set()) for line in lines))
        chosen = self.seconds if "" in touching else touching & self.seconds.keys()
        return sorted(chosen, key=lambda name: self.seconds[name])

    def limit_s(self, name: str) -> float:
        return PATIENCE_S + PATIENCE * self.seconds[name]


# One process for each change ------------------------------------------------------------------


class Swap(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives the changed module in the place of the one on disk."""

    def __init__(self, module: str, tree: ast.Module) -> None:
        self.module = module
        self.tree = tree

    def find_spec(self, name: str, *_: object) -> Any:
        if name != self.module:
            return None
        return importlib.util.spec_from_loader(name, self, origin=str(path_of(name)))

    def exec_module(self, module: ModuleType) -> None:
        code = compile(self.tree, str(path_of(self.module)), "exec")
        exec(code, module.__dict__)


class Only:
    """Runs these tests, in this order, each within its limit in seconds."""

    def __init__(self, limits: dict[str, float]) -> None:
        self.limits = limits
        self.places = {name: place for place, name in enumerate(limits)}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = [item for item in items if item.nodeid in self.places]
        items.sort(key=lambda item: self.places[item.nodeid])
        for item in items:
            mark = sys.modules["pytest"].mark.timeout(self.limits[item.nodeid])
            item.add_marker(mark, append=False)


class Watch:
    """Knows how long each test took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.seconds[report.nodeid] += report.duration


def in_a_process(work: Callable[[], int], limit_s: float) -> int | None:
    """What *work* came to in a forked process, or None if it took too long."""
    pid = os.fork()
    if not pid:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            os.setpgid(0, 0)
            os.chdir(ROOT)
            silence = os.open(os.devnull, os.O_RDWR)
            for number in (1, 2):
                os.dup2(silence, number)
            os._exit(work())
        finally:
            os._exit(BROKEN)
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def judge_one(mutant: Mutant, survey: Survey) -> str:
    """What became of it: *noticed* if a test fails, *noticed by time* if one does not end."""
    limits = {name: survey.limit_s(name) for name in survey.choose(mutant.lines)}
    if not limits:
        return "survived"

    def work() -> int:
        import pytest  # noqa: PLC0415 -- only in the child

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
        forget(mutant.module)
        sys.meta_path.insert(0, Swap(mutant.module, mutant.tree()))
        files = sorted({name.partition("::")[0] for name in limits})
        return FAILED if pytest.main([*PYTEST, "-x", *files], plugins=[Only(limits)]) else 0

    outcomes = {0: "survived", FAILED: "noticed", 1: "noticed by time", None: "noticed by time"}
    code = in_a_process(work, sum(limits.values()))
    return outcomes.get(code, f"not judged, the process ended with {code}")


def make_survey(modules: Sequence[str], folder: Path) -> dict[str, Survey] | None:
    """What the tests that these modules share do to each. None if they fail as it is."""
    told = folder / f"{modules[0]}.json"

    def work() -> int:
        import pytest  # noqa: PLC0415
        from coverage import CoverageData  # noqa: PLC0415

        os.environ["COVERAGE_FILE"] = data_file = str(folder / f"{modules[0]}.coverage")
        for module in modules:
            forget(module)
        watch = Watch()
        words = [*PYTEST, *(f"--cov={module}" for module in modules), "--cov-context=test"]
        failed = pytest.main([*words, "--cov-report=", *TARGETS[modules[0]]], plugins=[watch])
        data = CoverageData(data_file)
        data.read()
        touched = [data.contexts_by_lineno(str(path_of(module))) for module in modules]
        told.write_text(json.dumps([watch.seconds, touched]), encoding="utf-8")
        return int(failed)

    if in_a_process(work, SURVEY_LIMIT_S) != 0:
        return None
    seconds, touched = json.loads(told.read_text(encoding="utf-8"))
    return {
        module: Survey(
            seconds,
            {int(line): {name.rpartition("|")[0] for name in of} for line, of in lines.items()},
        )
        for module, lines in zip(modules, touched, strict=True)
    }


# What is loaded before the first fork ---------------------------------------------------------


def warm(folder: Path) -> Any:
    """Load all that is heavy, and make once what every test run would make: migrated databases.

    Returns the PostgreSQL server, or None if there is none.
    """
    import asyncio  # noqa: PLC0415

    import hypothesis  # noqa: PLC0415

    for name in (
        "pytest",
        "pytest_cov",
        "altyn.app",
        "alembic.command",
        "fakes.gateway",
        "fakes.books",
    ):
        importlib.import_module(name)
    # What fails need not be made small, and no run may remember another.
    hypothesis.settings.register_profile(
        "mutants",
        database=None,
        derandomize=True,
        deadline=None,
        phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("mutants")

    migrated = importlib.import_module("altyn.database.migrate")
    migrate, template = migrated.migrate, folder / "template.db"
    asyncio.run(migrate(f"sqlite:///{template}"))

    async def copy(url: str) -> Any:
        if not url.startswith("sqlite:///"):
            return await migrate(url)
        shutil.copy(template, url.removeprefix("sqlite:///"))
        return None, migrated.head_revision()

    migrated.migrate = copy
    servers = importlib.import_module("fakes.postgres")
    if servers.find_postgres_bin() is None:
        return None
    server = servers.TemporaryPostgres().__enter__()
    asyncio.run(migrate(server.make_database("template")))
    servers.TemporaryPostgres = lambda: Shared(server)
    return server


class Shared:
    """One server for all processes, each with names of its own."""

    def __init__(self, server: Any) -> None:
        self.server = server

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def make_database(self, name: str, **template: str) -> str:
        if name == "template":
            return str(self.server.database_url(name))
        return str(self.server.make_database(f"{name}_{os.getpid()}", **template))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.server, name)


def forget(module: str) -> None:
    """Unload a module and whatever has imported it, so that the next import gets another."""
    importers: dict[str, set[str]] = defaultdict(set)
    for name, loaded in list(sys.modules.items()):
        if name.startswith(("altyn", "fakes")) and getattr(loaded, "__file__", None):
            for imported in imports_of(Path(loaded.__file__)):
                importers[imported].add(name)
    gone, found = [module], {module}
    while gone:
        name = gone.pop()
        package, _, last = name.rpartition(".")
        sys.modules.pop(name, None)
        vars(sys.modules.get(package, sys)).pop(last, None)
        new = importers[name] - found
        found |= new
        gone += new


def imports_of(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


# The whole ------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", default=list(TARGETS))
    parser.add_argument("--sample", type=int, help="at most so many changes of each module")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="changes of lines with this text alone")
    options = parser.parse_args()
    sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and stop the server on the way out
    with tempfile.TemporaryDirectory() as folder:
        server = warm(Path(folder))
        try:
            # What is there now need not be looked through again by each child.
            gc.freeze()
            scores = [
                judge(module, survey, options)
                for together in groups(options.modules)
                for module, survey in survey_of(together, Path(folder)).items()
            ]
        finally:
            if server is not None:
                server.__exit__(None, None, None)
    return 0 if all(scores) else 1


def groups(modules: Sequence[str]) -> list[list[str]]:
    """Those that share their tests."""
    found: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for module in modules:
        found[TARGETS[module]].append(module)
    return list(found.values())


def survey_of(modules: Sequence[str], folder: Path) -> dict[str, Survey]:
    survey = make_survey(modules, folder)
    if survey is None:
        raise SystemExit(f"{', '.join(modules)}: the tests fail as it is")
    return survey


def judge(module: str, survey: Survey, options: argparse.Namespace) -> bool:
    """Whether the tests notice nine of ten changes of a module."""
    began = time.monotonic()
    every = list_mutants(module)
    same = {(one.module, one.text, one.what) for one in every} & EQUIVALENTS.keys()
    stale = [known for known in EQUIVALENTS if known[0] == module and known not in same]
    for _, text, what in stale:
        print(f"  no such change any more, in equivalents.py: {text}: {what}")
    chosen = [one for one in every if (one.module, one.text, one.what) not in same]
    equivalent = len(every) - len(chosen)
    chosen = [one for one in chosen if options.only in one.text]
    if options.sample is not None and len(chosen) > options.sample:
        chosen = random.Random(options.seed).sample(chosen, options.sample)
    outcomes = Counter(tell(mutant, judge_one(mutant, survey)) for mutant in chosen)
    noticed = outcomes["noticed"] + outcomes["noticed by time"]
    print(
        f"{module}: {noticed} of {len(chosen)} noticed, {outcomes['noticed by time']} of them"
        f" by time alone, {equivalent} equivalent, {time.monotonic() - began:.0f} s",
        flush=True,
    )
    return not stale and noticed * 10 >= len(chosen) * 9


def tell(mutant: Mutant, outcome: str) -> str:
    if outcome != "noticed":
        print(f"  {outcome}: {mutant.line}: {mutant.text} | {mutant.what}", flush=True)
    return outcome


if __name__ == "__main__":
    sys.exit(main())
