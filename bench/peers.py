"""The same sync load through others: the bare server, and a gateway where one is installed."""

import shutil
import sys
from pathlib import Path

from drive import Size, Target, drive, mock_upstream
from fakes.postgres import free_port
from gateway import http_get
from processes import Cores, clean_environ, running, wait_for
from table import Row

START_S = 120.0
MASTER_KEY = "sk-bench-0123456789"
LITELLM = """
model_list:
  - model_name: bench
    litellm_params: {{model: openai/bench, api_base: "{url}", api_key: none}}
"""


def bare(size: Size, *, cores: Cores, folder: Path) -> list[Row]:
    """How fast the server alone is here and now: what `bare.py` says."""
    port, log = free_port(), folder / "bare.log"
    command: list[str | Path] = [sys.executable, Path(__file__).with_name("bare.py"), str(port)]
    with running(command, environ=clean_environ(), cores=cores.gateway, log=log) as server:
        wait_for(lambda: answers(port), server, what="bare uvicorn", log=log, seconds=START_S)
        target = Target(f"http://127.0.0.1:{port}", server.pid, (), model="bench")
        options = {"seconds": size.seconds, "connections": size.connections}
        loaded = drive("sync", target, cores=cores, folder=folder, **options)
    cpu_us = loaded.target_cpu_s / loaded.facts["calls"] * 1e6
    return [
        Row("uvicorn", "sync: calls, nothing done", loaded.facts["calls_per_s"], "1/s"),
        Row("uvicorn", "sync: CPU per call", cpu_us, "us"),
    ]


def litellm(size: Size, *, cores: Cores, folder: Path) -> tuple[list[Row], list[str]]:
    """Rows and notes. Its proxy as it comes, one worker, no database: less work than ours does."""
    program = shutil.which("litellm")
    if program is None:
        return [], ["litellm: not installed, not compared"]
    port, log, config = free_port(), folder / "litellm.log", folder / "litellm.yaml"
    with mock_upstream(size, cores=cores, folder=folder) as mock:
        config.write_text(LITELLM.format(url=mock.url))
        # Its list of prices otherwise comes from the network at every start.
        environ = clean_environ(LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_MASTER_KEY=MASTER_KEY)
        command: list[str | Path] = [
            program,
            "--config",
            config,
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
        with running(command, environ=environ, cores=cores.gateway, log=log) as server:
            wait_for(lambda: is_alive(port), server, what="litellm", log=log, seconds=START_S)
            target = Target(
                f"http://127.0.0.1:{port}/v1",
                server.pid,
                (mock.pid,),
                model="bench",
                key=MASTER_KEY,
            )
            drive("lone", target, cores=cores, folder=folder, calls=10, seconds=10)
            options = {"seconds": size.seconds, "connections": size.connections}
            loaded = drive("sync", target, cores=cores, folder=folder, **options)
    facts = loaded.facts
    if not facts["call_ms"]:
        return [], [f"litellm: {facts['first_error']}"]
    cpu_us = loaded.target_cpu_s / facts["calls"] * 1e6
    return [
        Row("litellm", "sync: calls", facts["calls_per_s"], "1/s"),
        Row("litellm", "sync: p99", facts["call_ms"]["p99"], "ms"),
        Row("litellm", "sync: failed calls", loaded.failures),
        Row("litellm", "sync: CPU per call", cpu_us, "us"),
    ], []


def answers(port: int) -> bool:
    try:
        return http_get(port, "/")[0] == 200
    except OSError:
        return False


def is_alive(port: int) -> bool:
    try:
        return http_get(port, "/health/liveliness")[0] == 200
    except OSError:
        return False
