"""The places at which a proof ends a process: named, met, and out of a server's reach."""

import re
from pathlib import Path

import pytest

from altyn.crashpoints import POINTS, arm, reach
from altyn.setting_table import SETTINGS

SOURCE = Path(__file__).parents[1] / "src" / "altyn"
CALL = re.compile(r'\breach\("([^"]+)"\)')


def test_every_named_place_is_in_the_code_and_every_place_has_a_name():
    found = [name for path in SOURCE.rglob("*.py") for name in CALL.findall(path.read_text())]

    assert sorted(set(found)) == sorted(POINTS)


def test_nobody_meets_a_place_unless_it_is_armed():
    met: list[str] = []
    arm(met.append)
    reach("admit")
    arm(None)

    reach("admit")

    assert met == ["admit"]


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: path.stem)
def test_only_the_proof_arms_them(path):
    arms = re.search(r"\barm\(|crashpoints import.*\barm\b", path.read_text())

    assert not arms or path.parent.name == "prove" or path.name == "crashpoints.py"


def test_no_setting_reaches_them():
    assert not [doc.name for doc in SETTINGS if "crash" in doc.name or "point" in doc.name]
