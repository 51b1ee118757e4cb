# SPDX-License-Identifier: MIT
"""A real hub: its database in a private PostgreSQL, its WSGI application under gunicorn, its file server.

The source tree of Koji stands outside the checkout and is imported from there. What the hub needs besides
(rpm and dnf of the system's Python, psycopg2, gunicorn) is in a virtual environment of its own.
"""

from __future__ import annotations

import contextlib
import http.client
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder import files
from builder.errors import InputError
from builder.runner import Runner
from tests.rig.plane import postgresql, process, settings

HERE = Path(__file__).parent
# The system's own: rpm's and dnf's bindings are for it.
PYTHON = "/usr/bin/python3"
PACKAGES = (
    "gunicorn", "psycopg2-binary", "Cheetah3", "six", "python-dateutil", "requests", "requests-gssapi",
    "defusedxml", "pykickstart",
)  # fmt: skip
DATABASE = "koji"
ADMINISTRATOR = "kojiadmin"
WORKERS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Hub:
    """A hub: its folder, Koji's source, the interpreter that can import it, its port and its passwords."""

    folder: Path
    source: Path
    python: Path
    port: int
    password: str

    @property
    def address(self) -> str:
        """Its address, without /kojihub."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket(self) -> Path:
        """The socket by which Apache reaches it, in a folder of Apache's user (apache.py)."""
        return self.folder / "socket" / "hub"

    @property
    def topdir(self) -> Path:
        """Where it keeps packages, repositories and work."""
        return self.folder / "top"

    @property
    def fixture(self) -> Path:
        """Where the repository of the fixture distribution is served from, if it is there."""
        return self.topdir / "fixture"

    @property
    def fixture_address(self) -> str:
        """The address of that repository."""
        return f"{self.address}/kojifiles/fixture"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of all programs of Koji."""
        return {
            "PYTHONPATH": str(self.source), "KOJI_HUB_FOLDER": str(self.folder), "HOME": str(self.folder),
        }  # fmt: skip

    def start(self, runner: Runner) -> process.Server:
        """Start the application server; it answers when this returns."""
        log = self.folder / "hub.log"
        argv: list[str | os.PathLike[str]] = [
            self.python, "-m", "gunicorn", "--chdir", HERE, "--bind", f"127.0.0.1:{self.port}",
            "--bind", f"unix:{self.socket}",
            "--workers", str(WORKERS), "--timeout", "600", "--access-logfile", self.folder / "access.log",
            "--access-logformat", "%(t)s %(m)s %(U)s %(s)s %(B)s", "wsgi:application",
        ]  # fmt: skip
        spawned = runner.spawn(argv, log=log, env=self.environment)
        server = process.Server(name="the hub", process=spawned, log=log)
        server.wait_until(self._answers, seconds=300)
        return server

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(connection):
            try:
                connection.request("GET", "/kojihub")
                return connection.getresponse().status < 500
            except OSError:
                return False


@contextmanager
def prepared(source: Path, folder: Path, runner: Runner) -> Iterator[tuple[Hub, postgresql.PostgreSQL]]:
    """Make a hub in `folder` (new) and run its database until the end; the hub itself is to be started.

    Args:
        source: a source tree of Koji.

    Raises:
        InputError: it is not one.
        CommandFailed: pip or PostgreSQL failed; the log is named.
    """
    schema = source / "schemas/schema.sql"
    if not schema.is_file():
        raise InputError(f"{source}: no schemas/schema.sql: not a source tree of Koji")
    folder.mkdir(parents=True)
    log = folder / "setup.log"
    venv = folder / "venv"
    runner.run([PYTHON, "-m", "venv", "--system-site-packages", venv], log=log)
    runner.run([venv / "bin/python", "-m", "pip", "install", "--quiet", *PACKAGES], log=log)
    hub = Hub(
        folder=folder,
        source=source.absolute(),
        python=venv / "bin/python",
        port=process.free_port(),
        password=settings.new_password(),
    )
    with postgresql.running(folder / "postgresql", runner) as database:
        database.execute(f"CREATE DATABASE {DATABASE}", runner)
        database.execute(
            "SET client_min_messages = warning;\n" + schema.read_text(), runner, database=DATABASE
        )
        # docs/source/server_howto.rst: the first user with the permission `admin` is inserted by hand.
        database.execute(
            f"INSERT INTO users (name, password, status, usertype) "
            f"VALUES ('{ADMINISTRATOR}', '{hub.password}', 0, 0);\n"
            "INSERT INTO user_perms (user_id, perm_id, creator_id) "
            f"SELECT id, 1, id FROM users WHERE name = '{ADMINISTRATOR}'",
            runner,
            database=DATABASE,
        )
        _configure(hub, database)
        yield hub, database


def _configure(hub: Hub, database: postgresql.PostgreSQL) -> None:
    options: dict[str, object] = {
        "DBName": DATABASE, "DBUser": postgresql.SUPERUSER, "DBHost": "127.0.0.1", "DBPort": database.port,
        "DBPass": database.password, "KojiDir": hub.topdir, "KojiWebURL": f"{hub.address}/koji",
        "DisableNotifications": True, "RunInterval": 1, "RepoLag": 0, "RepoLagWindow": 1,
        "LoginCreatesUser": False,
    }  # fmt: skip
    policy = dict.fromkeys(("build_from_srpm", "build_from_scm"), "all :: allow")
    settings.write_ini(hub.folder / "hub.conf", {"hub": options, "policy": policy})
    for name in ("packages", "repos", "work", "scratch", "repos-dist", "hub.conf.d"):
        parent = hub.folder if name == "hub.conf.d" else hub.topdir
        (parent / name).mkdir(parents=True)
    hub.socket.parent.mkdir()
    files.write_atomic(hub.folder / "password", hub.password, mode=0o600)
