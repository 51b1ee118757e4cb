# SPDX-License-Identifier: MIT
"""A private Keystone on loopback, its tables and accounts made by its own manage commands."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from builder import files
from builder.runner import Runner
from tests.rig.plane import process, settings
from tests.rig.plane.environment import HERE, Environment

REGION = "RegionOne"


class Tables(StrEnum):
    """What Keystone's database holds at the start: the admin account, its tables only, or nothing."""

    BOOTSTRAPPED = "bootstrapped"
    SYNCED = "synced"
    EMPTY = "empty"


@dataclass(frozen=True, kw_only=True, slots=True)
class Keystone:
    """A running Keystone. `url` ends in /v3; `config` is its configuration file (0600)."""

    folder: Path
    port: int
    config: Path
    server: process.Server

    @property
    def url(self) -> str:
        """The endpoint of the Identity API."""
        return f"http://127.0.0.1:{self.port}/v3"


def write_config(folder: Path, database_url: str, extra: settings.Sections | None = None) -> Path:
    """Write keystone.conf (and make its key folders) in `folder`; return its path."""
    for name in ("fernet-keys", "credential-keys"):
        (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    config = folder / "keystone.conf"
    settings.write_ini(
        config,
        {
            "DEFAULT": {"log_file": folder / "keystone.log"},
            "database": {"connection": database_url},
            "token": {"provider": "fernet"},
            "fernet_tokens": {"key_repository": folder / "fernet-keys"},
            "fernet_receipts": {"key_repository": folder / "fernet-keys"},
            "credential": {"key_repository": folder / "credential-keys"},
            # [cache] stays as Keystone has it: no backend, but every request remembers what it has read.
            # Without that an authenticated request costs five times as much.
            # The least that bcrypt takes: passwords of a plane protect nothing.
            "identity": {"password_hash_rounds": 4},
        },
        extra or {},
    )
    return config


@contextmanager
def running(
    folder: Path,
    environment: Environment,
    runner: Runner,
    *,
    database_url: str,
    admin_password: str,
    tables: Tables = Tables.BOOTSTRAPPED,
    extra: settings.Sections | None = None,
) -> Iterator[Keystone]:
    """Start Keystone in `folder`, without waiting for it (see `wait`), and stop it at the end.

    Args:
        database_url: a database whose tables are there, or empty with Tables.EMPTY.
        tables: which of the manage commands are run first.
        extra: options added to, or replacing, `write_config`'s.
    """
    config = write_config(folder, database_url, extra)
    port = process.free_port()
    url = f"http://127.0.0.1:{port}/v3"
    owner = ["--keystone-user", str(os.geteuid()), "--keystone-group", str(os.getegid())]
    commands = [["fernet_setup", *owner], ["credential_setup", *owner]]
    if tables is Tables.BOOTSTRAPPED:
        words = ["bootstrap", "--bootstrap-password", admin_password, "--bootstrap-region-id", REGION]
        for interface in ("admin", "internal", "public"):
            words += [f"--bootstrap-{interface}-url", url]
        commands.append(words)
    server = start_service("keystone", config, environment, runner, commands=commands, port=port)
    try:
        yield Keystone(folder=folder, port=port, config=config, server=server)
    finally:
        server.stop()


def start_service(
    service: str,
    config: Path,
    environment: Environment,
    runner: Runner,
    *,
    commands: list[list[str]],
    port: int | None,
) -> process.Server:
    """Start serve.py for `service` in the plane's environment: run `commands`, then serve on `port`."""
    order = config.with_name(f"{service}-serve.json")
    task = {"service": service, "config": str(config), "commands": commands, "port": port}
    files.write_atomic(order, json.dumps(task), mode=0o600)
    log = config.with_name(f"{service}-serve.log")
    # -P: modules of this folder are called like the packages that serve.py imports.
    argv = [str(environment.python), "-P", str(HERE / "serve.py"), str(order)]
    # Keystone warns on every start that eventlet is old.
    child = runner.spawn(argv, log=log, env={"PYTHONWARNINGS": "ignore", **settings.without_proxy()})
    return process.Server(name=service.capitalize(), process=child, log=log)


def wait(server: process.Server, port: int, path: str) -> None:
    """Wait until 127.0.0.1:`port` answers `path` without a server error."""
    server.wait_until(lambda: _answers(port, path), seconds=300)


def request(
    port: int,
    method: str,
    path: str,
    *,
    token: str | None = None,
    body: object = None,
    content_type: str = "application/json",
) -> tuple[int, Mapping[str, str], object]:
    """Send one request to a service of the plane; return status, headers (lower case) and decoded JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        headers = {"Content-Type": content_type} | ({"X-Auth-Token": token} if token else {})
        data = body if isinstance(body, bytes | None) else json.dumps(body)
        connection.request(method, path, data, headers)
        response = connection.getresponse()
        raw = response.read()
        names = {name.lower(): value for name, value in response.getheaders()}
        return response.status, names, json.loads(raw) if raw.startswith((b"{", b"[")) else None
    finally:
        connection.close()


def _answers(port: int, path: str) -> bool:
    try:
        return request(port, "GET", path)[0] < 500
    except (OSError, http.client.HTTPException):
        return False
