"""Do the tests notice? Changes one small thing of a module at a time, and runs its tests.

    python bench/mutate.py [MODULE …] [--sample N] [--seed N] [--workers N]

A change that no test notices has survived: it is printed with its line. The score is the part that
was noticed. Tests run in forked processes with everything heavy loaded; no file is ever changed.
"""

import argparse
import ast
import copy
import importlib.abc
import importlib.util
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"
LEDGER = ("tests/ledger", "-k", "not postgres and not killed_twenty and not processes")
TARGETS: dict[str, tuple[str, ...]] = {
    "altyn.money": ("tests/test_money.py",),
    "altyn.keys.key": ("tests/keys/test_key.py",),
    "altyn.catalog.price": ("tests/catalog/test_price.py",),
    "altyn.ledger.book": ("tests/ledger/test_book.py", *LEDGER),
    "altyn.ledger.store": LEDGER,
    "altyn.ledger.writer": LEDGER,
    "altyn.ledger.workers": LEDGER,
    "altyn.ledger.audit": ("tests/ledger/test_audit.py", *LEDGER),
}
PATIENCE_S = 180
COMPARE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
OPERATE: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.BitOr: ast.BitAnd,
}


@dataclass(frozen=True)
class Mutant:
    """One change: where, what, and the whole module with it."""

    module: str
    line: int
    what: str
    tree: ast.Module


def mutants(module: str) -> list[Mutant]:
    path = SOURCE / (module.replace(".", "/") + ".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    for number, node in enumerate(ast.walk(tree)):
        for what, change in changes(node):
            changed = copy.deepcopy(tree)
            change(nth(changed, number))
            ast.fix_missing_locations(changed)
            found.append(Mutant(module, getattr(node, "lineno", 0), what, changed))
    return found


def unchanged(module: str) -> Mutant:
    """Nothing is changed: what fails then fails for another reason."""
    path = SOURCE / (module.replace(".", "/") + ".py")
    return Mutant(module, 0, "nothing", ast.parse(path.read_text(encoding="utf-8")))


def nth(tree: ast.Module, number: int) -> Any:
    return next(node for place, node in enumerate(ast.walk(tree)) if place == number)


def changes(node: ast.AST) -> Iterator[tuple[str, Any]]:
    """What can be changed of one node of code that runs."""
    match node:
        case ast.Compare():
            for place, operator in enumerate(node.ops):
                other = COMPARE.get(type(operator))
                if other is not None:
                    yield (
                        f"{type(operator).__name__} -> {other.__name__}",
                        set_operator(place, other),
                    )
        case ast.BinOp() | ast.AugAssign() if type(node.op) in OPERATE and not is_type(node):
            other_op = OPERATE[type(node.op)]
            yield f"{type(node.op).__name__} -> {other_op.__name__}", set_op(other_op)
        case ast.BoolOp():
            swapped = ast.Or if isinstance(node.op, ast.And) else ast.And
            yield f"-> {swapped.__name__}", set_op(swapped)
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield f"no {type(node.op).__name__}", drop_operator
        case ast.If() | ast.While() | ast.IfExp():
            yield "condition is true", set_test(value=True)
            yield "condition is false", set_test(value=False)
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield from without_each(node)


def without_each(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[str, Any]]:
    for place, statement in enumerate(node.body):
        if is_effect(statement):
            yield f"without: {ast.unparse(statement)[:60]}", drop_statement(place)


def is_type(node: ast.BinOp | ast.AugAssign) -> bool:
    """`int | None` is read by a type checker, not by a test."""
    return isinstance(node.op, ast.BitOr) and "None" in ast.unparse(node)


def is_effect(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.AugAssign):
        return True
    if isinstance(statement, ast.Expr):
        return not isinstance(statement.value, ast.Constant) and "reach(" not in ast.unparse(
            statement
        )
    return isinstance(statement, ast.Raise)


def set_operator(place: int, other: type[ast.cmpop]) -> Any:
    def change(node: ast.Compare) -> None:
        node.ops[place] = other()

    return change


def set_op(other: Any) -> Any:
    def change(node: Any) -> None:
        node.op = other()

    return change


def drop_operator(node: ast.UnaryOp) -> None:
    node.op = ast.UAdd() if isinstance(node.op, ast.USub) else ast.Not()
    if isinstance(node.op, ast.Not):
        node.operand = ast.UnaryOp(ast.Not(), node.operand)


def set_test(*, value: bool) -> Any:
    def change(node: Any) -> None:
        node.test = ast.Constant(value)

    return change


def drop_statement(place: int) -> Any:
    def change(node: Any) -> None:
        node.body[place] = ast.Pass()

    return change


class Swap(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives the changed module in the place of the one on disk."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(self, name: str, *_: object) -> Any:
        if name != self.mutant.module:
            return None
        return importlib.util.spec_from_loader(name, self)

    def exec_module(self, module: ModuleType) -> None:
        code = compile(self.mutant.tree, f"<{self.mutant.module}>", "exec")
        exec(code, module.__dict__)


def survives(mutant: Mutant) -> bool:
    """Whether its tests still pass. One that does not end has been noticed."""
    pid = os.fork()
    if not pid:
        try:
            os._exit(run_tests(mutant))
        finally:
            os._exit(9)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.02)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return False


def run_tests(mutant: Mutant) -> int:
    import pytest  # noqa: PLC0415 -- only in the child

    os.setpgid(0, 0)
    os.chdir(ROOT)
    silence = os.open(os.devnull, os.O_RDWR)
    for number in (1, 2):
        os.dup2(silence, number)
    sys.meta_path.insert(0, Swap(mutant))
    words = ["-x", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", "--timeout=60"]
    return int(pytest.main([*words, *TARGETS[mutant.module]]))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("modules", nargs="*", default=list(TARGETS))
    parser.add_argument("--sample", type=int, help="at most so many changes of each module")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    options = parser.parse_args()
    sys.path.insert(0, str(SOURCE))
    for name in ("pytest", "sqlalchemy", "alembic.command", "asyncpg", "msgspec"):
        importlib.import_module(name)
    total = noticed = 0
    for module in options.modules:
        chosen = mutants(module)
        if not survives(unchanged(module)):
            print(f"{module}: its tests fail as it is")
            return 1
        if options.sample is not None and len(chosen) > options.sample:
            chosen = random.Random(options.seed).sample(chosen, options.sample)
        with ThreadPoolExecutor(options.workers) as pool:
            left = list(pool.map(survives, chosen))
        for mutant, survived in zip(chosen, left, strict=True):
            if survived:
                print(f"  survived: {mutant.module}:{mutant.line}: {mutant.what}", flush=True)
        killed = left.count(False)
        total, noticed = total + len(chosen), noticed + killed
        print(f"{module}: {killed} of {len(chosen)} noticed", flush=True)
    print(f"score: {100 * noticed // max(total, 1)} %")
    return 0 if noticed * 10 >= total * 9 else 1


if __name__ == "__main__":
    sys.exit(main())
