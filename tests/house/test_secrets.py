"""How secrets are compared and locked, held by reading the source: time tells nothing of them."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "altyn"
MODULES = sorted(path for path in SOURCE.rglob("*.py") if "versions" not in path.parts)
LOCKS = ("requirements.lock", "requirements-dev.lock")

SECRET = re.compile(r"(^|_)(secret|token|password|pepper|digest|signature|hashed|passphrase)$")
NO_SECRET = {
    # Names that hold such a word and no secret.
    "digest_size",
}
COMPARING = (ast.Eq, ast.NotEq, ast.In, ast.NotIn, ast.Lt, ast.Gt, ast.LtE, ast.GtE)
HARMLESS = (ast.Constant, ast.JoinedStr)


def names_in(node):
    """The names that a side of a comparison is about: `a.token`, `token`, `row["token"]`."""
    if isinstance(node, ast.Attribute):
        return {node.attr}
    if isinstance(node, ast.Name):
        return {node.id}
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return {str(node.slice.value)}
    return set()


def comparisons(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(isinstance(op, COMPARING) for op in node.ops):
                yield node.lineno, sides


def is_of_secrets(sides):
    """Two values, and one of them a secret: against a constant nothing is given away."""
    if any(isinstance(side, HARMLESS) for side in sides):
        return False
    names = set().union(*map(names_in, sides))
    return any(SECRET.search(name) and name not in NO_SECRET for name in names)


ALLOWED = {
    # Known only by its keyed digest, whose bytes nobody outside can choose: a look-up in a set.
    ("keys/ring.py", "key_digest in self._unknown"),
    # Whether the operator has changed it, in an environment that is his own.
    ("control/furnish.py", "provider.secret != secret"),
}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_secret_is_compared_in_constant_time_or_by_its_digest(path):
    text = path.read_text(encoding="utf-8").splitlines()
    name = str(path.relative_to(SOURCE))

    found = [
        f"{name}:{line}: {text[line - 1].strip()}"
        for line, sides in comparisons(path)
        if is_of_secrets(sides)
        and not any(name == module and part in text[line - 1] for module, part in ALLOWED)
    ]

    assert found == []


def test_the_eye_of_this_test_is_sharp(tmp_path):
    path = tmp_path / "careless.py"
    path.write_text("if given == self.token or password != row['password_digest']: pass\n")

    assert sum(is_of_secrets(sides) for _, sides in comparisons(path)) == 2


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_one_version_by_its_hashes_and_no_other_source(name):
    """No address, no path, no index of its own, no weaker hash, nothing marked as withdrawn."""
    text = (ROOT / name).read_text(encoding="utf-8")
    entries = [
        entry for entry in text.replace("\\\n", " ").splitlines() if entry and entry[0] != "#"
    ]

    assert entries
    for entry in entries:
        requirement, *hashes = entry.split()[0], *re.findall(r"--hash=(\S+)", entry)
        assert re.fullmatch(r"[a-z0-9-]+(\[[a-z0-9,-]+\])?==[A-Za-z0-9.!+]+", requirement), entry
        assert hashes, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in hashes), requirement
        assert len(set(hashes)) == len(hashes), requirement
    assert not re.search(
        r"yanked|--(extra-)?index-url|--find-links|--trusted-host|@ |git\+|-e ", text
    )
