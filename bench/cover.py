"""Do the tests of the money touch every branch of it? Runs them alone, and says what is left out.

    python bench/cover.py

Exit status 1 for anything less than all. `mutate.py` says what touching a line is worth.
"""

import sys

import pytest

from mutate import ROOT, TARGETS

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "src"))
    measured = [f"--cov={module}" for module in TARGETS]
    asked = dict.fromkeys(word for words in TARGETS.values() for word in words)
    limits = ["--cov-branch", "--cov-fail-under=100", "--cov-report=term-missing"]
    words = ["-q", "-n", "2", "--dist=loadfile", *measured, *limits, f"--rootdir={ROOT}"]
    sys.exit(pytest.main([*words, *asked]))
