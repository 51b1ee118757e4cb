# SPDX-License-Identifier: MIT
"""What the tests of openstack-db share: servers, a host's files in a folder, the command as it is run."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.report import Report
from builder.runner import Runner
from tests.rig.plane.mariadb import MariaDB
from tests.rig.plane.postgresql import PostgreSQL
from tests.support.watching import watching

# Seconds until something counts as hanging, on a machine with much other work.
LONGEST = 600.0

COMMAND = Path(__file__).parents[2] / "utils/bin/openstack-db"
RUNNER = Runner(Report(quiet=True))
KEYSTONE = "[DEFAULT]\n# A comment that stays.\ndebug = false\n\n[database]\n#connection = <None>\n"
GLANCE = "[DEFAULT]\n[database]\n# connection = mysql+pymysql://glance:glance@localhost/glance\n"
PLACEMENT = "[placement_database]\n"
NOVA = "[DEFAULT]\n\n[api_database]\n\n[database]\n"
PATHS = {
    "keystone": "keystone/keystone.conf",
    "glance": "glance/glance-api.conf",
    "placement": "placement/placement.conf",
    "nova": "nova/nova.conf",
    "neutron": "neutron/neutron.conf",
    "cinder": "cinder/cinder.conf",
    "heat": "heat/heat.conf",
    "trove": "trove/trove.conf",
}


@dataclass(frozen=True, kw_only=True)
class Run:
    """How the command ended."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def json(self) -> Any:
        """What --json printed."""
        return json.loads(self.out)

    @property
    def service(self) -> Any:
        """The only service of --json."""
        (service,) = self.json["services"]
        return service


@dataclass(kw_only=True)
class Host:
    """A host: its files below `folder`, the programs of services, and how to reach a server as root."""

    folder: Path
    server: MariaDB | PostgreSQL
    programs: tuple[Path, ...]
    root: tuple[str, ...] = ()
    extra: tuple[str, ...] = field(default=())

    def write(self, service: str, text: str) -> Path:
        """Write a service's configuration file; return its path."""
        path = self.conf(service)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o640)
        return path

    def conf(self, service: str) -> Path:
        """Return the path of a service's configuration file."""
        return self.folder / "etc" / PATHS.get(service, service)

    def argv(self, *words: str) -> list[str]:
        """Return the words of a call."""
        needs_root = bool({"--init", "--drop"}.intersection(words))
        given = self.root if needs_root else ()
        return [sys.executable, "-I", str(COMMAND), *words, "--root", str(self.folder), *given, *self.extra]

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a call."""
        path = os.pathsep.join([*map(str, self.programs), "/usr/bin", "/bin"])
        return {"PATH": path, "LC_ALL": "C.UTF-8"}

    def run(self, *words: str, input: str = "", timeout: float = LONGEST, dies_before: str = "") -> Run:
        """Run the command to its end.

        Args:
            dies_before: a pattern: SIGKILL comes when the first statement that it matches would be sent.
        """
        started = time.monotonic()
        argv = self.argv(*words)
        if dies_before:
            argv = [*argv[:2], "-c", DYING, dies_before, *argv[2:]]
        done = subprocess.run(
            argv,
            input=input,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Run(code=done.returncode, out=done.stdout, err=done.stderr, seconds=time.monotonic() - started)

    @contextmanager
    def started(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """Run the command, and give it to the caller while it runs."""
        child = subprocess.Popen(
            self.argv(*words),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield child
        finally:
            if child.poll() is None:
                child.kill()
            child.communicate(timeout=LONGEST)

    def sql(self, sql: str) -> str:
        """Run SQL as root, by the server's own client."""
        return self.server.execute(sql, RUNNER)

    def databases(self) -> set[str]:
        """The databases that are not the server's own."""
        if isinstance(self.server, PostgreSQL):
            names = self.sql("SELECT datname FROM pg_database WHERE NOT datistemplate").split()
            return set(names) - {"postgres"}
        names = self.sql("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA").split()
        return set(names) - {"mysql", "information_schema", "performance_schema", "sys"}

    def accounts(self) -> set[str]:
        """The accounts that are not root's, `user@host`, or names of roles."""
        if isinstance(self.server, PostgreSQL):
            sql = "SELECT rolname FROM pg_roles WHERE rolcanlogin AND rolname <> 'postgres'"
            return set(self.sql(sql).split())
        sql = "SELECT CONCAT(User, '@', Host) FROM mysql.user WHERE User NOT IN "
        return set(self.sql(sql + "('root', 'mariadb.sys', 'PUBLIC', '')").split())

    def state(self) -> tuple[set[str], set[str], dict[str, bytes]]:
        """All that a run must leave as it was when it fails."""
        conf = self.folder / "etc"
        texts = {str(path): path.read_bytes() for path in conf.rglob("*") if path.is_file()}
        return self.databases(), self.accounts(), texts

    def clean(self) -> None:
        """Take away what tests have made on the server."""
        if isinstance(self.server, PostgreSQL):
            for name in self.databases():
                self.sql(f'DROP DATABASE "{name}" WITH (FORCE)')
            for name in self.accounts():
                self.sql(f'DROP ROLE "{name}"')
            return
        for name in self.databases():
            self.sql(f"DROP DATABASE `{name}`")
        for account in self.accounts():
            user, _, host = account.rpartition("@")
            self.sql(f"DROP USER '{user}'@'{host}'")

    def stand_in(self, name: str, script: str) -> Path:
        """Put a program called `name` before the real one: a stand-in, for what no real service does at will.

        Args:
            script: Python; `url()` is the URL that the configuration has, `connect()` a connection with it.
        """
        folder = self.folder / "stand-ins"
        folder.mkdir(exist_ok=True)
        path = folder / name
        path.write_text(
            f"#!{sys.executable}\n# A stand-in for {name}, not the service.\n{STAND_IN}\n{script}\n"
        )
        path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        if folder not in self.programs:
            self.programs = (folder, *self.programs)
        return path


STAND_IN = r"""
import os, re, sys, time
from urllib.parse import unquote

def text():
    return open(sys.argv[sys.argv.index("--config-file") + 1]).read()

def connect(match=None):
    import pymysql
    url = r"^(?:sql_)?connection *= *mysql\S*://(.*?):(.*?)@(.*?):(\d+)/(\w+)"
    match = match or re.search(url, text(), re.M)
    user, password, host, port, name = match.groups()
    return pymysql.connect(host=host, port=int(port), user=user, database=name, autocommit=True,
                           password=unquote(password))

def make_tables(version="1"):
    cursor = connect().cursor()
    cursor.execute("CREATE TABLE IF NOT EXISTS thing (id INT)")
    cursor.execute("CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32))")
    cursor.execute("INSERT INTO alembic_version VALUES (%s)", (version,))
""".replace("\\\\", "\\")


# Runs a command whose drivers of databases bring it to its end.
DYING = """
import os, re, runpy, signal, sys
import psycopg2, psycopg2.extensions, pymysql.cursors

_, pattern, *sys.argv = sys.argv

def dying(execute):
    def execute_or_die(self, sql, *values):
        if re.match(pattern, sql):
            os.kill(os.getpid(), signal.SIGKILL)
        return execute(self, sql, *values)
    return execute_or_die

class Cursor(psycopg2.extensions.cursor):
    execute = dying(psycopg2.extensions.cursor.execute)

connect = psycopg2.connect
psycopg2.connect = lambda **options: connect(cursor_factory=Cursor, **options)
pymysql.cursors.Cursor.execute = dying(pymysql.cursors.Cursor.execute)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@contextmanager
def watched(secrets: Mapping[str, str]) -> Iterator[list[str]]:
    """Look into the arguments and the environment of every process that is started meanwhile.

    Gives a list of what was found: which secret, where.
    """
    found: list[str] = []
    needles = {name: secret.encode() for name, secret in secrets.items()}
    known = set(os.listdir("/proc"))
    seen: set[str] = set()

    def look() -> None:
        for pid in os.listdir("/proc"):
            if not pid.isdigit() or pid in known:
                continue
            for name in ("cmdline", "environ"):
                try:
                    data = Path(f"/proc/{pid}/{name}").read_bytes()
                except OSError:
                    continue
                seen.add(data.split(b"\0")[0].decode(errors="replace"))
                found.extend(
                    f"{secret} in {name} of {data[:80]!r}"
                    for secret, needle in needles.items()
                    if needle in data
                )

    try:
        with watching(look, 0.004):
            yield found
    finally:
        # A watcher that saw nothing would find nothing either.
        assert seen, "no process was seen"


def wait_for(condition: Any, *, seconds: float = LONGEST) -> None:
    """Wait until `condition()`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


def interrupt(child: subprocess.Popen[str], number: int = signal.SIGINT) -> tuple[int, str]:
    """Send a signal; return the exit code and stderr."""
    child.send_signal(number)
    _, err = child.communicate(timeout=LONGEST)
    return child.returncode, err
