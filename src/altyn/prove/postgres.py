"""A private PostgreSQL: a server of its own on loopback, gone without a trace."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

INSTALLED = "/usr/lib/postgresql"
OWNERS = ("postgres", "nobody")
"""Who runs the server when we are root: PostgreSQL refuses to."""

USER = "altyn"
START_S = 30.0
STOP_S = 30.0


class PostgresFailedError(Exception):
    """The private server could not be made, started or asked; holds what it said."""


def find_postgres_bin() -> Path | None:
    """The folder with `initdb` and `postgres`: the newest installed, else the one on the PATH."""
    folders = sorted(Path(INSTALLED).glob("*/bin"), key=version, reverse=True)
    on_path = shutil.which("postgres")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    return None


def version(folder: Path) -> int:
    name = folder.parent.name
    return int(name) if name.isdigit() else 0


class TemporaryPostgres:
    """One server in a folder of its own, on a free loopback port, as durable as a real one.

    Only `initdb` skips its syncs; `fsync` and `synchronous_commit` stay on, so that what is
    measured or tested here holds elsewhere. The password keeps other users of the machine out.
    """

    def __init__(self) -> None:
        found = find_postgres_bin()
        if found is None:
            raise PostgresFailedError("PostgreSQL is not installed.")
        self.bin = found
        self.owner = server_owner()
        self.port = 0
        self.pid = 0
        self._password = secrets.token_hex(16)
        self.parent: Path | None = None
        """Where its folder is made, if not where the system keeps such; for who sets it in time."""
        self._folder: Path | None = None
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Of the maintenance database; for work, make one of your own."""
        return self.database_url("postgres")

    def database_url(self, name: str) -> str:
        return f"postgresql://{USER}:{self._password}@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        """Takes one to three seconds; leaves nothing behind if it fails."""
        self._folder = Path(tempfile.mkdtemp(prefix="altyn-postgres-", dir=self.parent))
        try:
            self._make_cluster(self._folder)
            self._start_server(self._folder)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the server by its process id and removes its folder; may be called twice."""
        if self._server is not None:
            end(self._server)
            self._server = None
        if self._folder is not None:
            shutil.rmtree(self._folder)
            self._folder = None

    def stop_serving(self) -> None:
        """An immediate stop, as in a crash; what it keeps stays."""
        assert self._server is not None
        end(self._server)

    def serve_again(self) -> None:
        """After `stop_serving`, or a kill; at the same port."""
        assert self._folder is not None
        self._start_server(self._folder, port=self.port)

    def make_database(self, name: str, *, template: str = "template1") -> str:
        """The address of a new database: empty, or a copy of *template*."""
        environ = {**os.environ, "PGPASSWORD": self._password}
        where = ("-h", "127.0.0.1", "-p", str(self.port), "-U", USER)
        self._run(
            "createdb", *where, "--no-password", f"--template={template}", name, environ=environ
        )
        return self.database_url(name)

    def _make_cluster(self, folder: Path) -> None:
        password = folder / "password"
        password.write_text(self._password)
        for path in (folder, password):
            path.chmod(0o700)
            if self.owner is not None:
                owner = pwd.getpwnam(self.owner)
                os.chown(path, owner.pw_uid, owner.pw_gid)
        self._run(
            "initdb",
            f"--pgdata={folder / 'data'}",
            f"--username={USER}",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        )

    def _start_server(self, folder: Path, *, port: int | None = None) -> None:
        data = folder / "data"
        log = folder / "log"
        self.port = port or free_port()
        settings = (
            "listen_addresses=127.0.0.1",
            f"port={self.port}",
            f"unix_socket_directories={folder}",
        )
        with log.open("wb") as output:
            self._server = subprocess.Popen(
                [self.bin / "postgres", "-D", data, *(f"--{setting}" for setting in settings)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=folder,
                user=self.owner,
                group=owner_group(self.owner),
                extra_groups=[] if self.owner else None,
                start_new_session=True,
            )
        self.pid = self._server.pid
        wait_until_ready(self._server, data / "postmaster.pid", log)

    def _run(self, program: str, *words: str, environ: Mapping[str, str] | None = None) -> None:
        done = subprocess.run(
            [self.bin / program, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env=environ,
            user=self.owner,
            group=owner_group(self.owner),
            extra_groups=[] if self.owner else None,
        )
        if done.returncode:
            raise PostgresFailedError(f"{program}: {done.stderr.strip() or done.stdout.strip()}")


def server_owner() -> str | None:
    """None when the server may run as ourselves."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    for name in OWNERS:
        if name in known:
            return name
    raise PostgresFailedError(f"As root, one of the users {', '.join(OWNERS)} is needed.")


def owner_group(owner: str | None) -> int | None:
    return None if owner is None else pwd.getpwnam(owner).pw_gid


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until_ready(server: subprocess.Popen[bytes], pid_file: Path, log: Path) -> None:
    """The eighth line of `postmaster.pid` says `ready` once connections are taken."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        lines = pid_file.read_text().splitlines() if pid_file.exists() else []
        if len(lines) >= 8 and lines[7].strip() == "ready":
            return
        time.sleep(0.02)
    raise PostgresFailedError(f"PostgreSQL did not start: {log.read_text()[-2000:]}")


def end(server: subprocess.Popen[bytes]) -> None:
    """SIGQUIT is PostgreSQL's immediate stop. The folder goes anyway: a checkpoint of all its
    databases would cost half a minute and be for nothing.
    """
    if server.poll() is None:
        server.send_signal(signal.SIGQUIT)
    try:
        server.wait(STOP_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
