# SPDX-License-Identifier: MIT
"""A private MariaDB: own folder, socket and port; /etc/mysql is never read and no root is needed.

It runs as whoever starts it. Accounts and databases are made by an init file (mariadbd --init-file), before
the first connection is taken.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from builder import files
from builder.errors import BuildError, InputError, PermissionMissing
from builder.runner import Runner
from tests.rig.plane import process, settings

# unix(7): sun_path holds 108 bytes with its end.
LONGEST_SOCKET = 107


class RootLogin(StrEnum):
    """How `root` gets into the server: by a password (socket and TCP), or only as the user root by socket."""

    PASSWORD = "password"
    SOCKET = "socket"


@dataclass(frozen=True, kw_only=True, slots=True)
class MariaDB:
    """A running server.

    `client_file` is a my.cnf for the clients (`mariadb --defaults-file=`) that logs in as root; its
    mode is 0600. `passwords` belong to the accounts made for `databases`, named like them.
    """

    folder: Path
    port: int
    socket: Path
    client_file: Path
    root_password: str | None
    passwords: Mapping[str, str]
    server: process.Server

    def url(self, database: str) -> str:
        """Return the SQLAlchemy URL of one of the databases, its password in it."""
        password = self.passwords[database]
        return f"mysql+pymysql://{database}:{password}@127.0.0.1:{self.port}/{database}?charset=utf8mb4"

    def execute(self, sql: str, runner: Runner) -> str:
        """Run `sql` as root and return what the client prints (tab separated, no header)."""
        argv = ["mariadb", f"--defaults-file={self.client_file}", "--batch", "--skip-column-names"]
        return runner.run(argv, input=sql).stdout


def version(runner: Runner) -> str:
    """Return what `mariadbd --version` says."""
    return runner.run(["mariadbd", "--no-defaults", "--version"]).stdout.strip()


def install_database(folder: Path, runner: Runner) -> None:
    """Make an empty data folder at `folder`, its root without a password until the first start."""
    argv: list[str | Path] = [
        "mariadb-install-db", "--no-defaults", f"--datadir={folder}", f"--user={_user()}",
        "--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-log-file-size=16M",
    ]  # fmt: skip
    runner.run(argv, log=folder.parent / "install-db.log")


@contextmanager
def running(
    folder: Path,
    runner: Runner,
    *,
    template: Path,
    databases: Sequence[str] = (),
    root: RootLogin = RootLogin.PASSWORD,
    extra: Mapping[str, object] | None = None,
) -> Iterator[MariaDB]:
    """Start a server in `folder` on a copy of the data folder `template`, and stop it at the end.

    Args:
        databases: databases to have, each with an account of its name and a fresh password.
        root: how root logs in; by socket needs to be root.
        extra: more settings of the server.

    Raises:
        PermissionMissing: root by socket was asked for by somebody else.
        ToolMissing: MariaDB is not installed.
        BuildError: it does not come up; its log is named.
    """
    if root is RootLogin.SOCKET and os.geteuid() != 0:
        raise PermissionMissing(
            "only root logs into MariaDB as root by socket", hint="run as root, or use a root password"
        )
    socket = folder / "mysql.sock"
    if len(os.fsencode(socket)) > LONGEST_SOCKET:
        raise InputError(f"{socket}: too long for a socket's path", hint="choose a shorter --folder")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copytree(template, folder / "data")
    root_password = settings.new_password() if root is RootLogin.PASSWORD else None
    passwords = {name: settings.new_password() for name in databases}
    init_file = folder / "init.sql"
    files.write_atomic(init_file, _accounts(root_password, passwords), mode=0o600)
    client = {"user": "root", "socket": socket} | ({"password": root_password} if root_password else {})
    settings.write_ini(folder / "client.cnf", {"client": client})
    port = process.free_port()
    server_settings = _server_settings(folder, socket, port, init_file)
    settings.write_ini(folder / "my.cnf", server_settings, {"mariadbd": extra or {}})
    log = folder / "mariadb.log"
    argv = ["mariadbd", f"--defaults-file={folder / 'my.cnf'}", f"--user={_user()}"]
    server = process.Server(name="MariaDB", process=runner.spawn(argv, log=log), log=log)
    try:
        server.wait_until(lambda: _is_ready(log), seconds=300)
        init_file.unlink()
        yield MariaDB(
            folder=folder,
            port=port,
            socket=socket,
            client_file=folder / "client.cnf",
            root_password=root_password,
            passwords=passwords,
            server=server,
        )
    finally:
        server.stop()


def _user() -> str:
    # As root the server must be given the user to run as.
    return "root" if os.geteuid() == 0 else str(os.geteuid())


def _is_ready(log: Path) -> bool:
    text = log.read_text(errors="replace")
    # mariadbd goes on when a statement of the init file is wrong.
    for line in text.splitlines():
        if line.startswith("ERROR:"):
            raise BuildError(f"MariaDB: init.sql: {line.removeprefix('ERROR:').strip()}", log=log)
    # Galera says "ready for connections" of the cluster, earlier.
    return "mariadbd: ready for connections" in text


def _accounts(root_password: str | None, passwords: Mapping[str, str]) -> str:
    """Return the init file: one statement a line, as mariadbd wants it."""
    # With skip-name-resolve localhost is the socket only and 127.0.0.1 is TCP only: both are named.
    here = ("localhost", "127.0.0.1")
    lines = [
        "DELETE FROM mysql.global_priv WHERE User = '' OR (User = 'root' AND Host <> 'localhost');",
        "FLUSH PRIVILEGES;",
    ]
    if root_password is None:
        lines.append("ALTER USER root@localhost IDENTIFIED VIA unix_socket;")
    else:
        lines.append(f"ALTER USER root@localhost IDENTIFIED BY '{root_password}';")
        lines.append(f"CREATE USER root@'127.0.0.1' IDENTIFIED BY '{root_password}';")
        lines.append("GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;")
    for name, password in passwords.items():
        lines.append(f"CREATE DATABASE IF NOT EXISTS {name};")
        for host in here:
            lines.append(f"CREATE OR REPLACE USER {name}@'{host}' IDENTIFIED BY '{password}';")
            lines.append(f"GRANT ALL ON {name}.* TO {name}@'{host}';")
    return "\n".join(lines) + "\n"


def _server_settings(folder: Path, socket: Path, port: int, init_file: Path) -> settings.Sections:
    return {
        "mariadbd": {
            "datadir": folder / "data",
            "socket": socket,
            "pid-file": folder / "mysql.pid",
            "init-file": init_file,
            "bind-address": "127.0.0.1",
            "port": port,
            "skip-name-resolve": 1,
            "skip-log-bin": 1,
            # Nobody needs these tables after a crash of the machine.
            "sync_binlog": 0,
            "innodb_flush_log_at_trx_commit": 0,
            "innodb_buffer_pool_size": "64M",
            "innodb_log_file_size": "16M",
            "max_connections": 300,
            # On by default from MariaDB 11.6.2 on: of two logins at once of one user Keystone answers 500 to
            # one (https://bugs.launchpad.net/nova/+bug/2116186). Older servers do not know it.
            "loose_innodb_snapshot_isolation": "OFF",
            "character-set-server": "utf8mb4",
        }
    }
