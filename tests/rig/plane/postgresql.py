# SPDX-License-Identifier: MIT
"""A private PostgreSQL: own folder, socket and port. `postgres` has a password, and is let in at the socket
by being that user of the system (peer), as a package sets it up.

The server refuses to run as root: started by root it is the system's user postgres.
"""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder import files
from builder.errors import ToolMissing
from builder.runner import Runner
from tests.rig.plane import process, settings

SUPERUSER = "postgres"


@dataclass(frozen=True, kw_only=True, slots=True)
class PostgreSQL:
    """A running server; its socket stands in `folder`."""

    folder: Path
    port: int
    password: str
    server: process.Server

    def execute(self, sql: str, runner: Runner, *, database: str = SUPERUSER) -> str:
        """Run `sql` as the superuser and return what psql prints, unaligned and without a header."""
        argv = ["psql", "-qtAX", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port)]
        argv += ["-U", SUPERUSER, "-d", database, "-f", "-"]
        return runner.run(argv, input=sql, env={"PGPASSWORD": self.password}).stdout


@contextmanager
def running(folder: Path, runner: Runner) -> Iterator[PostgreSQL]:
    """Start a server in `folder` (new), and stop it at the end.

    Raises:
        ToolMissing: PostgreSQL is not installed.
        BuildError: it does not come up; its log is named.
    """
    programs = _programs()
    folder.mkdir(mode=0o755, parents=True)
    password = settings.new_password()
    files.write_atomic(folder / "password", password, mode=0o600)
    owner: list[str] = []
    if os.geteuid() == 0:
        entry = pwd.getpwnam(SUPERUSER)
        owner = ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]
        for path in (folder, folder / "password"):
            os.chown(path, entry.pw_uid, entry.pw_gid)
    initdb = [
        *owner, str(programs / "initdb"), "-D", str(folder / "data"), "-U", SUPERUSER, "--no-sync",
        "-E", "UTF8", "--locale=C.UTF-8", "--auth-local=peer", "--auth-host=scram-sha-256",
        f"--pwfile={folder / 'password'}",
    ]  # fmt: skip
    runner.run(initdb, log=folder / "initdb.log")
    port = process.free_port()
    options = {
        "listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": folder, "fsync": "off",
        "full_page_writes": "off", "synchronous_commit": "off", "log_statement": "all",
    }  # fmt: skip
    argv = [*owner, str(programs / "postgres"), "-D", str(folder / "data")]
    argv += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    log = folder / "postgresql.log"
    server = process.Server(name="PostgreSQL", process=runner.spawn(argv, log=log), log=log)
    try:
        server.wait_until(
            lambda: "ready to accept connections" in log.read_text(errors="replace"), seconds=300
        )
        yield PostgreSQL(folder=folder, port=port, password=password, server=server)
    finally:
        server.stop()


def _programs() -> Path:
    """Return the newest folder of the server's programs: Debian has them outside of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    if initdb is None:
        raise ToolMissing("initdb is not installed", hint="install postgresql")
    return Path(initdb).parent
