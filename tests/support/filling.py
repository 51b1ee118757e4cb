# SPDX-License-Identifier: MIT
"""What the tests of openstack-keystone-sample-data share: a Keystone to fill, the command as a user runs it.

One MariaDB and one Keystone serve them all. Before each test the tables get one of two contents back:
`empty` (as db_sync leaves them) or `fresh` (bootstrapped).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.report import Report
from builder.runner import Runner
from tests.rig.plane import plane as planes
from tests.rig.plane.accounts import Identity
from tests.rig.plane.keystone import REGION, Tables, request
from tests.rig.plane.plane import Options, Plane

COMMAND = Path(__file__).parents[2] / "utils/bin/openstack-keystone-sample-data"
ADMIN_TOKEN = "token-of-keystone-conf"
FRESH_PASSWORD = "as-given-to-bootstrap"
# What of our own environment must not reach the command.
OURS = (
    "OS_",
    "SERVICE_",
    "ADMIN_",
    "CONTROLLER_",
    "KEYSTONE_",
    "ENABLE_",
    "DISABLE_",
    "REGION",
    "http",
    "HTTP",
)


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

    def results(self) -> dict[str, str]:
        """Return "kind name" -> result of --json."""
        return {f"{each['kind']} {each['name']}": each["result"] for each in self.json["objects"]}

    def errors(self) -> list[str]:
        """Return the lines of stderr that report an error."""
        return [line for line in self.err.splitlines() if line.startswith("error:")]


class Keystone:
    """The Keystone under test."""

    def __init__(self, plane: Plane) -> None:
        assert plane.keystone is not None
        assert plane.environment is not None
        self.plane = plane
        self.port = plane.keystone.port
        self.url = plane.keystone.url
        self.conf = plane.keystone.config
        self.programs = plane.environment.folder / "bin"
        self._runner = Runner(Report(quiet=True))
        self._contents = {"empty": self._dump()}

    def bootstrap(self) -> None:
        """Make the content `fresh`, by Keystone's own command."""
        words = [str(self.programs / "keystone-manage"), "--config-file", str(self.conf), "bootstrap"]
        words += ["--bootstrap-region-id", REGION]
        for interface in ("admin", "internal", "public"):
            words += [f"--bootstrap-{interface}-url", self.url]
        self._runner.run(words, env={"OS_BOOTSTRAP_PASSWORD": FRESH_PASSWORD})
        self._contents["fresh"] = self._dump()

    def reset(self, content: str) -> None:
        """Give the tables a content back."""
        tables = self._sql("SELECT table_name FROM information_schema.tables WHERE table_schema = 'keystone'")
        clear = "".join(f"DELETE FROM `{name}`;\n" for name in tables.split())
        self._sql(f"SET FOREIGN_KEY_CHECKS = 0; BEGIN;\n{clear}{self._contents[content]}\nCOMMIT;")

    def admin(self, password: str = FRESH_PASSWORD) -> Identity:
        """Return the API as admin sees it."""
        return Identity(self.port, password)

    def log_in(self, user: str, password: str, project: str | None = None) -> Any:
        """Return the token that a user gets (its content), or None when the login is refused."""
        name = {"name": user, "domain": {"id": "default"}, "password": password}
        auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": name}}}
        if project is not None:
            auth["scope"] = {"project": {"name": project, "domain": {"id": "default"}}}
        status, _, body = request(self.port, "POST", "/v3/auth/tokens", body={"auth": auth})
        if status == 401:
            return None
        assert status == 201, body
        assert isinstance(body, dict)
        return body["token"]

    def counts(self, password: str = FRESH_PASSWORD) -> dict[str, int]:
        """Return how many objects of each kind there are."""
        admin = self.admin(password)
        kinds = (
            "projects",
            "users",
            "roles",
            "services",
            "endpoints",
            "regions",
            "role_assignments",
            "credentials",
        )
        return {kind: len(admin.call("GET", f"/{kind}")[kind]) for kind in kinds}

    def _dump(self) -> str:
        argv = ["mariadb-dump", f"--defaults-file={self.plane.mariadb.client_file}"]
        argv += ["--no-create-info", "--compact", "--skip-triggers", "keystone"]
        return self._runner.run(argv).stdout

    def _sql(self, sql: str) -> str:
        return self.plane.mariadb.execute(f"USE keystone;\n{sql};\n", self._runner)


@contextmanager
def private_keystone(settings: Mapping[str, Mapping[str, object]] | None = None) -> Iterator[Keystone]:
    """Run a Keystone with nothing but tables, which takes ADMIN_TOKEN too; then bootstrap it."""
    more = {"DEFAULT": {"admin_token": ADMIN_TOKEN}} | dict(settings or {})
    options = Options(until=planes.Until.KEYSTONE, tables=Tables.SYNCED, keystone_settings=more)
    with planes.private(options) as plane:
        keystone = Keystone(plane)
        keystone.bootstrap()
        yield keystone


class Person:
    """Somebody who runs the command in a folder. Every run is checked for secrets in what it prints."""

    def __init__(self, keystone: Keystone, folder: Path) -> None:
        self.keystone = keystone
        self.folder = folder
        self.secrets = {FRESH_PASSWORD, ADMIN_TOKEN}
        self.python = sys.executable

    def environment(self, **variables: str) -> dict[str, str]:
        """Return the environment of a run: this process's without what is ours, and `variables`."""
        env = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}
        env = {key: value for key, value in env.items() if not key.endswith("_PASSWORD")}
        env["PATH"] = f"{env['PATH']}:{self.keystone.programs}"
        self.secrets |= {text for key, text in variables.items() if key.endswith(("_PASSWORD", "_TOKEN"))}
        return env | {"SERVICE_ENDPOINT": self.keystone.url} | variables

    def argv(self, *words: str | Path) -> list[str]:
        """Return the command line, with the folder for files in it."""
        return [self.python, "-I", str(COMMAND), "--output", str(self.folder), *map(str, words)]

    def fill(self, *words: str | Path, stdin: str = "", **variables: str) -> Run:
        """Run the command as admin of the `fresh` Keystone, unless `variables` name another user."""
        if not any(
            name in variables for name in ("ADMIN_PASSWORD", "SERVICE_TOKEN", "OS_PASSWORD", "OS_CLOUD")
        ):
            variables["ADMIN_PASSWORD"] = FRESH_PASSWORD
        return self.run(*words, stdin=stdin, **variables)

    def run(self, *words: str | Path, stdin: str = "", **variables: str) -> Run:
        """Run the command to its end."""
        env, started = self.environment(**variables), time.monotonic()
        done = subprocess.run(
            self.argv(*words),
            env=env,
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=900,
        )
        run = Run(code=done.returncode, out=done.stdout, err=done.stderr, seconds=time.monotonic() - started)
        self.check_secrets(run)
        assert "Traceback" not in run.err, run.err
        return run

    @contextmanager
    def filling(self, *words: str | Path, **variables: str) -> Iterator[subprocess.Popen[str]]:
        """Run the command in the background; it is killed at the end if it still runs."""
        env = self.environment(**({"ADMIN_PASSWORD": FRESH_PASSWORD} | variables))
        process = subprocess.Popen(
            self.argv(*words), env=env, cwd=self.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def check_secrets(self, run: Run) -> None:
        """Fail when a secret, also one that the command made itself, was printed."""
        secrets = set(self.secrets)
        for name in ("sample-data-passwords", "ec2rc"):
            path = self.folder / name
            if path.exists():
                lines = [line for line in path.read_text().splitlines() if line.startswith("export ")]
                secrets |= {line.partition("=")[2] for line in lines if "_ACCESS" not in line}
        for secret in secrets:
            assert secret not in run.out + run.err, f"{secret} was printed"

    def passwords(self) -> dict[str, str]:
        """Return the passwords that --generate-passwords has kept."""
        lines = (self.folder / "sample-data-passwords").read_text().splitlines()
        pairs = [line.removeprefix("export ").partition("=") for line in lines if line.startswith("export ")]
        return {name: value for name, _, value in pairs}


def wait_for(is_so: Any, seconds: float = 600) -> None:
    """Wait until `is_so()`."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen"
        threading.Event().wait(0.02)
