"""Our own rules, held by reading the source."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

from altyn import errors
from altyn.api.routes import BASE, ROUTES
from altyn.errors import AltynError
from altyn.setting_table import SETTINGS

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "altyn"
REFERENCE = ROOT / "docs" / "reference"
MODULES = sorted(path for path in SOURCE.rglob("*.py") if "versions" not in path.parts)
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
MONEY = [
    SOURCE / "money.py",
    SOURCE / "outcome.py",
    SOURCE / "catalog" / "price.py",
    *sorted((SOURCE / "ledger").glob("*.py")),
]
NO_HOMES = {"utils", "helpers", "common", "core", "services", "lib", "misc"}
MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
LOCKS = ("requirements.lock", "requirements-dev.lock")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", MONEY, ids=name_of)
def test_no_float_and_no_division_come_near_money(path):
    tree = tree_of(path)
    durations = {
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).endswith("_S")
    }
    for node in ast.walk(tree):
        where = f"{name_of(path)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Constant) and node not in durations:
            assert not isinstance(node.value, float), where
        if isinstance(node, ast.Name):
            assert node.id != "float", where
        if isinstance(node, ast.BinOp | ast.AugAssign):
            assert not isinstance(node.op, ast.Div), where


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_is_at_most_five_hundred_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MODULE_LINES_MAX


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_function_is_at_most_sixty_lines(path):
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            length = node.end_lineno - node.lineno + 1
            assert length <= FUNCTION_LINES_MAX, f"{name_of(path)}: {node.name}"


def test_no_drawer_for_everything():
    for path in MODULES:
        assert NO_HOMES.isdisjoint((*path.parts[len(ROOT.parts) :], path.stem)), name_of(path)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_says_what_it_is(path):
    assert ast.get_docstring(tree_of(path)) or not path.read_text().strip(), name_of(path)


def test_every_module_of_tests_has_a_test():
    for path in TESTS:
        tests = [
            node
            for node in ast.walk(tree_of(path))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Assign)
            and ("test_" in getattr(node, "name", "") or "TestCase" in ast.unparse(node))
        ]
        assert tests, name_of(path)


def test_no_two_files_of_tests_have_the_same_name():
    names = [path.name for path in TESTS]

    assert sorted(names) == sorted(set(names))


def test_nothing_is_skipped_for_good_or_expected_to_fail():
    forbidden = re.compile(r"mark\.(?:xfail|skip)\b(?!if)")
    for path in TESTS:
        if path != Path(__file__):
            assert not forbidden.search(path.read_text(encoding="utf-8")), name_of(path)


# What is documented ---------------------------------------------------------------------------


def reference(name: str) -> str:
    return (REFERENCE / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_documented(setting):
    assert setting.variable in reference("settings")


def every_error() -> list[type[AltynError]]:
    def leaves(error: type[AltynError]) -> list[type[AltynError]]:
        below = [leaf for part in error.__subclasses__() for leaf in leaves(part)]
        return below or [error]

    return [leaf for leaf in leaves(AltynError) if leaf.__module__ == errors.__name__]


CODES = sorted({error.code for error in every_error()} - {"operator_error"})


@pytest.mark.parametrize("code", CODES)
def test_every_error_code_is_documented(code):
    assert f"`{code}`" in reference("errors")


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_every_route_is_documented(route):
    text = reference("api")

    assert BASE in text
    assert f"{route.method} {route.path}" in text


def test_every_command_is_documented():

    from altyn.cli import app  # noqa: PLC0415 -- a command line is a heavy thing to import

    def commands(command: object, words: tuple[str, ...]) -> list[str]:
        below = getattr(command, "commands", None)
        if below is None:
            return [" ".join(words)]
        return [line for name, part in below.items() for line in commands(part, (*words, name))]

    text = reference("cli")
    missing = [line for line in commands(app, ("altyn",)) if line not in text]
    assert missing == []


# What is delivered ----------------------------------------------------------------------------


@cache
def locked(name: str) -> dict[str, str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE))


def asked_for(*, developing: bool) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wishes = project["project"]["dependencies"]
    if developing:
        wishes = [*wishes, *project["dependency-groups"]["dev"]]
    return {re.split(r"[\[<>=! ;]", wish, maxsplit=1)[0] for wish in wishes}


@pytest.mark.parametrize("name", LOCKS)
def test_every_dependency_is_locked(name):
    asked = asked_for(developing=name == "requirements-dev.lock")

    assert asked - set(locked(name)) == set()


def test_what_runs_is_what_was_tested():
    run, tested = (locked(name) for name in LOCKS)

    assert {package: tested.get(package) for package in run} == run


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_is_pinned_by_hash(name):
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")

    for line in text.splitlines():
        if re.match(r"[a-z0-9]", line):
            assert "--hash=sha256:" in line


def test_data_and_migrations_are_part_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]

    assert wheel["packages"] == ["src/altyn"]
    assert not wheel.get("exclude")
    for part in ("catalog/data/models.json", "database/migrations/env.py"):
        assert (SOURCE / part).is_file()
    assert list((SOURCE / "database" / "migrations" / "versions").glob("0*.py"))
