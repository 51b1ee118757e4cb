# SPDX-License-Identifier: MIT
"""A private MySQL with caching_sha2_password: from Debian's unstable suite, installed nowhere.

Debian has MariaDB in its releases, and MySQL in unstable only. Its packages, with the C library that they are
built for, are unpacked into a folder of the cache, and the server is run by that library's own loader.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pymysql

from builder.errors import BuildError
from builder.files import cache_folder, make_folder, write_atomic
from builder.runner import Runner
from tests.rig.plane import process, settings

SUITE = "unstable"
PACKAGE = "mysql-server-core"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
LIBRARIES = Path("usr/lib/x86_64-linux-gnu")


@dataclass(frozen=True, kw_only=True, slots=True)
class MySQL:
    """A running server; root logs in by the socket, and by TCP with `root_password`."""

    folder: Path
    port: int
    socket: Path
    root_password: str
    server: process.Server

    def execute(self, sql: str, runner: Runner) -> str:
        """Run statements as root; return their rows, tab separated. `runner` is not needed here."""
        del runner
        lines = []
        connection = pymysql.connect(
            unix_socket=str(self.socket), user="root", password=self.root_password, autocommit=True
        )
        with connection, connection.cursor() as cursor:
            for statement in filter(None, map(str.strip, sql.split(";"))):
                cursor.execute(statement)
                lines += ["\t".join(map(str, row)) for row in cursor.fetchall()]
        return "\n".join(lines) + ("\n" if lines else "")


def unpacked(runner: Runner) -> Path:
    """Return a folder with MySQL's files, fetched once by apt with lists and a cache of its own.

    Raises:
        BuildError: this host has no Debian apt, or it reaches no mirror.
    """
    folder = cache_folder("plane", f"mysql-{SUITE}")
    if (folder / "whole").exists():
        return folder
    site = _site(runner)
    for name in ("lists/partial", "cache/archives/partial", "etc"):
        make_folder(folder / "apt" / name)
    write_atomic(folder / "apt/etc/sources.list", f"deb [signed-by={KEYRING}] {site} {SUITE} main\n")
    write_atomic(folder / "apt/etc/status", "")
    options = {
        "Dir::Etc::sourcelist": folder / "apt/etc/sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": folder / "apt/lists",
        "Dir::State::status": folder / "apt/etc/status",
        "Dir::Cache": folder / "apt/cache",
    }
    apt = ["apt-get", "-q", *[f"-o{name}={value}" for name, value in options.items()]]
    runner.run([*apt, "update"])
    runner.run([*apt, "install", "-y", "--no-install-recommends", "--download-only", PACKAGE])
    for package in sorted((folder / "apt/cache/archives").glob("*.deb")):
        runner.run(["dpkg-deb", "-x", package, folder / "root"])
    write_atomic(folder / "whole", "")
    return folder


@contextmanager
def running(folder: Path, runner: Runner) -> Iterator[MySQL]:
    """Start a server in `folder`, and stop it at the end.

    Raises:
        BuildError: its files cannot be had, or it does not come up; its log is named.
    """
    root = unpacked(runner) / "root"
    make_folder(folder)
    libraries = root / LIBRARIES
    loader = [
        str(libraries / "ld-linux-x86-64.so.2"), "--library-path", str(libraries),
        str(root / "usr/sbin/mysqld"), "--no-defaults", f"--datadir={folder / 'data'}",
        f"--lc-messages-dir={root / 'usr/share/mysql'}", "--secure-file-priv=NULL",
    ]  # fmt: skip
    if os.geteuid() == 0:
        loader.append("--user=root")
    runner.run([*loader, "--initialize-insecure"], log=folder / "initialize.log")
    password = settings.new_password()
    init_file = folder / "init.sql"
    lines = [
        f"ALTER USER root@localhost IDENTIFIED BY '{password}';",
        f"CREATE USER root@'127.0.0.1' IDENTIFIED BY '{password}';",
        "GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;",
    ]
    write_atomic(init_file, "\n".join(lines) + "\n", mode=0o600)
    port, socket, log = process.free_port(), folder / "mysql.sock", folder / "mysql.log"
    argv = [
        *loader, f"--socket={socket}", f"--port={port}", f"--init-file={init_file}", "--mysqlx=OFF",
        "--bind-address=127.0.0.1", "--skip-name-resolve", "--skip-log-bin",
        f"--pid-file={folder / 'mysql.pid'}", "--innodb-flush-log-at-trx-commit=0",
    ]  # fmt: skip
    server = process.Server(name="MySQL", process=runner.spawn(argv, log=log), log=log)
    try:
        server.wait_until(lambda: "ready for connections" in log.read_text(errors="replace"), seconds=300)
        init_file.unlink()
        yield MySQL(folder=folder, port=port, socket=socket, root_password=password, server=server)
    finally:
        server.stop()


def _site(runner: Runner) -> str:
    """Return the mirror of Debian that apt's own configuration names."""
    form = "$(ORIGIN) $(LABEL) $(SITE)"
    for line in runner.run(["apt-get", "indextargets", "--format", form]).stdout.splitlines():
        origin, label, site = line.split(" ", 2)
        if (origin, label) == ("Debian", "Debian"):
            return site
    raise BuildError("apt's configuration names no mirror of Debian")
