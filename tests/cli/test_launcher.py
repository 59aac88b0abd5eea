"""`./altyn` itself, in a copy of the repository's first files, with a Python that only pretends."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "altyn"
TOOLS = ("dirname", "readlink", "cmp", "cp", "rm", "sh", "mkdir", "ln", "cat", "sleep")

GOOD_PYTHON = r"""#!/bin/sh
# Notes what it is asked for, and makes environments out of copies of itself.
echo "$*" >> "$NOTES"
case "$*" in
*version_info* | *ensurepip* | *"import pip"*) exit 0 ;;
*flock*) shift 3; exec sh "$@" ;;
"-m venv"*) rm -rf "$4" && mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
*"pip install"*) exit "${PIP_EXIT:-0}" ;;
esac
"""


@pytest.fixture
def repository(tmp_path):
    """A folder with spaces in its name that looks like a fresh clone."""
    here = tmp_path / "a clone"
    here.mkdir()
    shutil.copy(SCRIPT, here / "altyn")
    system = tmp_path / "of-the-system" / "python3"
    (here / "altyn").write_text(SCRIPT.read_text().replace("/usr/bin/python3", f'"{system}"'))
    (here / "requirements.lock").write_text("one==1\n")
    (here / "requirements-dev.lock").write_text("one==1\ntwo==2\n")
    return here


@pytest.fixture
def call(repository, tmp_path):
    """Call the script where nothing is installed but `python` and the tools it names."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for tool in TOOLS:
        (programs / tool).symlink_to(shutil.which(tool))
    notes = tmp_path / "notes"

    def call_it(*words, python=GOOD_PYTHON, script=repository / "altyn", **environ):
        notes.write_text("")
        if python is not None:
            program = programs / "python3"
            program.write_text(python)
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
        done = subprocess.run(
            [script, *words],
            env={"PATH": str(programs), "NOTES": str(notes), **environ},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        done.notes = notes.read_text().splitlines()
        return done

    return call_it


def installs(done):
    return [line.rpartition("/")[2] for line in done.notes if "pip install" in line]


def test_without_a_python_it_says_which_is_needed(call):
    done = call("up", python=None)

    assert done.returncode == 1
    assert done.stderr.startswith("Altyn needs Python 3.11 or newer")


def test_an_old_python_is_not_taken(call):
    done = call("up", python="#!/bin/sh\nexit 1\n")

    assert done.stderr.startswith("Altyn needs Python 3.11 or newer")


def test_a_python_that_cannot_make_environments_is_told_how(call):
    broken = '#!/bin/sh\ncase "$*" in *ensurepip*) exit 1 ;; esac\n'

    done = call("up", python=broken)

    assert done.returncode == 1
    assert "apt-get install python3-venv" in done.stderr


def test_the_python_of_the_system_is_taken_before_others(call, tmp_path):
    system = tmp_path / "of-the-system"
    system.mkdir()
    (system / "python3").write_text(GOOD_PYTHON.replace('echo "$*"', 'echo "system $*"'))
    (system / "python3").chmod(0o755)

    done = call("up")

    assert done.notes[0].startswith("system -c")


def test_the_first_call_installs_what_is_locked_with_its_hashes(call):
    done = call("up", "--port", "0")

    (line,) = [line for line in done.notes if "pip install" in line]
    assert "--require-hashes" in line
    assert line.endswith("requirements.lock")
    assert done.notes[-1] == "-P -m altyn up --port 0"


def test_the_second_call_installs_nothing(call):
    call("up")

    done = call("user", "list")

    assert done.notes == ["-P -m altyn user list"]


def test_a_changed_lock_is_installed(call, repository):
    call("up")
    (repository / "requirements.lock").write_text("one==2\n")

    assert installs(call("up")) == ["requirements.lock"]


def test_an_interrupted_installation_is_taken_up_again(call):
    failed = call("up", PIP_EXIT="1")

    done = call("up")

    assert failed.returncode == 1
    assert "run the same command again" in failed.stderr
    assert not [line for line in failed.notes if "altyn" in line.split()]
    assert installs(done) == ["requirements.lock"]


def test_the_test_set_is_installed_when_it_is_needed_and_holds_the_other(call):
    call("up")

    tested = call("test", "-x", "tests/one.py")

    assert installs(tested) == ["requirements-dev.lock"]
    assert tested.notes[-1].startswith("-m pytest -n auto ")
    assert tested.notes[-1].endswith(" -x tests/one.py")
    assert installs(call("up")) == []


def test_a_bench_gets_its_words(call):
    done = call("bench", "sync", "--quick")

    assert done.notes[-1].endswith("bench/run.py sync --quick")


def test_one_bad_check_does_not_hide_the_others(call, repository):
    call("test")
    for name, code in (("ruff", 0), ("mypy", 3), ("lint-imports", 0)):
        tool = repository / ".venv" / "bin" / name
        tool.write_text(f"#!/bin/sh\necho {name} was here\nexit {code}\n")
        tool.chmod(0o755)

    done = call("check")

    assert done.returncode == 1
    assert done.stdout.count("was here") == 4
    assert done.stdout.count("== ") == 4


def test_it_is_found_through_a_link(call, repository, tmp_path):
    link = tmp_path / "bin" / "altyn"
    link.symlink_to(os.path.relpath(repository / "altyn", link.parent))

    done = call("--version", script=link)

    assert (repository / ".venv").is_dir()
    assert done.notes[-1] == "-P -m altyn --version"


def test_an_environment_whose_python_has_gone_is_made_anew(call, repository):
    call("up")
    python = repository / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/no/such/python")

    done = call("up")

    assert installs(done) == ["requirements.lock"]


def test_it_is_written_for_any_shell():
    shell = shutil.which("dash") or "sh"

    checked = subprocess.run([shell, "-n", SCRIPT], capture_output=True, text=True, check=False)

    assert (checked.returncode, checked.stderr) == (0, "")
