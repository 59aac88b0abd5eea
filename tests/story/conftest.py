"""A shop with one vendor and one customer, on either database."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import structlog
from calls import MODEL, Line
from houses import House, open_house
from shops import UPSTREAM_KEY, UPSTREAM_MODEL, Shop, open_shop

from altyn.database.engine import bump_revision
from altyn.logs import mask_secrets
from fakes.gateway import Gateway
from fakes.openai_server import FakeOpenAI


@pytest.fixture(autouse=True)
def _close_lines() -> Iterator[None]:
    yield
    while Line.opened:
        Line.opened.pop().socket.close()


@pytest.fixture
def openrouter() -> Iterator[FakeOpenAI]:
    with FakeOpenAI("openrouter", key=UPSTREAM_KEY, models=(UPSTREAM_MODEL,)) as vendor:
        yield vendor


@pytest.fixture
def shop(gateway: Gateway, openrouter: FakeOpenAI) -> Shop:
    """On either database, in a gateway of its own."""
    return open_shop(gateway, openrouter)


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway on SQLite for the stories of a module, each with vendors and a customer new."""
    with Gateway(tmp_path_factory.mktemp("shared") / "home") as running:
        yield running


@pytest.fixture
def small_shop(shared_gateway: Gateway, openrouter: FakeOpenAI) -> Iterator[Shop]:
    """For what does not depend on the database. Afterwards every invariant must hold."""
    yield open_shop(shared_gateway, openrouter)
    openrouter.go_on()
    shared_gateway.wait_until_idle()
    shared_gateway.verify()
    shared_gateway.write(_close_every_route)


async def _close_every_route(tx: Any) -> None:
    await tx.execute("DELETE FROM routes WHERE model_id = $1", MODEL)
    await bump_revision(tx)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A gateway that every vendor serves, for the stories of a module."""
    with open_house(tmp_path_factory.mktemp("house") / "home") as opened:
        yield opened


@pytest.fixture
def log_lines() -> Iterator[list[Any]]:
    """Everything that is logged meanwhile, after what masks secrets has passed it."""
    captured = structlog.testing.LogCapture()
    before = structlog.get_config()["processors"]
    structlog.configure(processors=[structlog.processors.format_exc_info, mask_secrets, captured])
    yield captured.entries
    structlog.configure(processors=before)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


# Node ------------------------------------------------------------------------------------------

NODE = Path(__file__).parent / "node"
NPM_S = 240


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The packages that `node/package-lock.json` pins, installed once for each state of it."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed: apt-get install nodejs npm")
    lock = (NODE / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "altyn-tests"
    kept = cache / hashlib.sha256(lock).hexdigest()[:16]
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        _install(kept)
    return kept / "node_modules"


def _install(kept: Path) -> None:
    """Into a folder beside, moved to its place when complete: half an install is never kept."""
    with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(NODE / name, scratch)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            run = subprocess.run(
                command, cwd=scratch, capture_output=True, text=True, timeout=NPM_S, check=False
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm did not install tests/story/node in {NPM_S} s: is there a network?")
        if run.returncode:
            pytest.skip(f"npm cannot install tests/story/node: {run.stderr.strip()[-300:]}")
        complete = Path(scratch) / "complete"
        complete.mkdir()
        shutil.move(Path(scratch) / "node_modules", complete)
        with suppress(OSError):  # another run was first
            complete.rename(kept)


@pytest.fixture
def node_folder(node_modules: Path, tmp_path: Path) -> Path:
    """A folder in which scripts of node find the packages."""
    folder = tmp_path / "node"
    folder.mkdir()
    (folder / "node_modules").symlink_to(node_modules)
    for script in NODE.glob("*.mjs"):
        shutil.copy(script, folder)
    return folder
