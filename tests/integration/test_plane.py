# SPDX-License-Identifier: MIT
"""The plane: up, down, killed; what is in it, and that its secrets stay in its files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from builder.report import Report
from builder.runner import Runner
from tests.rig.plane.keystone import Tables, request
from tests.rig.plane.mariadb import RootLogin
from tests.rig.plane.plane import Options, Plane, Until, private
from tests.rig.plane.process import Identity, is_alive
from tests.support.uploading import wait_for

CHECKOUT = Path(__file__).parents[2]


class ByHand:
    """`python -m tests.rig.plane`, with MariaDB alone: it is up in a second."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def argv(self, action: str) -> list[str]:
        return [
            sys.executable,
            "-m",
            "tests.rig.plane",
            action,
            "--folder",
            str(self.folder),
            "--until",
            "mariadb",
        ]

    def run(self, action: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.argv(action),
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
        )

    def state(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads((self.folder / "state.json").read_text())
        return value

    def processes(self) -> list[Identity]:
        state = self.state()
        return [Identity(**value) for value in (state["keeper"], *state["plane"]["processes"].values())]


@pytest.fixture
def by_hand(tmp_path: Path) -> Iterator[ByHand]:
    by_hand = ByHand(tmp_path / "p")
    yield by_hand
    by_hand.run("down")


def test_second_up_finds_the_first_and_down_leaves_nothing(by_hand: ByHand) -> None:
    first = by_hand.run("up")
    keeper = by_hand.state()["keeper"]
    second = by_hand.run("up")
    status = by_hand.run("status")
    processes = by_hand.processes()
    down = by_hand.run("down")

    assert first.returncode == 0, first.stderr
    assert "already up" in second.stderr
    assert by_hand.run("down").stderr.startswith("no plane in")
    assert (status.returncode, keeper["pid"]) == (0, processes[0].pid)
    assert "mariadb" in status.stdout
    assert down.returncode == 0
    assert not by_hand.folder.exists()
    assert not any(map(is_alive, processes))


def test_servers_die_with_a_killed_keeper_and_the_next_up_starts_anew(by_hand: ByHand) -> None:
    by_hand.run("up")
    processes = by_hand.processes()
    os.kill(processes[0].pid, signal.SIGKILL)

    status = by_hand.run("status")
    again = by_hand.run("up")

    assert status.returncode == 1
    assert not any(map(is_alive, processes))
    assert "removing what is left" in again.stderr
    assert again.returncode == 0, again.stderr
    assert all(map(is_alive, by_hand.processes()))


def test_up_that_was_killed_is_cleaned_by_down(by_hand: ByHand) -> None:
    up = subprocess.Popen(
        by_hand.argv("up"), cwd=CHECKOUT, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for((by_hand.folder / "state.json").exists)
    up.kill()
    up.wait()

    down = by_hand.run("down")

    assert down.returncode == 0, down.stderr
    assert not by_hand.folder.exists()
    # A keeper that had just been born finds that its folder is gone, and ends.
    wait_for(lambda: str(by_hand.folder) not in command_lines())


def test_folder_of_somebody_else_is_refused_and_left_alone(by_hand: ByHand) -> None:
    by_hand.folder.mkdir()
    (by_hand.folder / "thesis").write_text("42")

    for action in ("up", "down"):
        done = by_hand.run(action)

        assert done.returncode == 2
        assert "not the folder of a plane" in done.stderr
    assert (by_hand.folder / "thesis").read_text() == "42"
    (by_hand.folder / "thesis").unlink()


def test_clouds_of_the_plane_let_their_users_in(plane: Plane) -> None:
    clouds = yaml.safe_load(plane.clouds_file.read_text())["clouds"]

    assert plane.clouds_file.stat().st_mode & 0o777 == 0o600
    assert token_status(plane, "admin", clouds["plane"]["auth"]["password"]) == 201
    assert token_status(plane, "demo", clouds["plane-demo"]["auth"]["password"]) == 201
    assert token_status(plane, "admin", "wrong") == 401


def test_passwords_of_the_plane_are_on_no_command_line_and_in_no_readable_file(plane: Plane) -> None:
    secrets = [plane.admin_password, plane.mariadb.root_password or "", *plane.mariadb.passwords.values()]

    lines = command_lines()

    assert "mariadbd" in lines
    assert not any(secret in lines for secret in secrets)
    for path in plane.folder.rglob("*"):
        # What the servers write themselves is in the folder, which only its owner enters.
        if path.suffix in (".cnf", ".conf", ".yaml", ".sql", ".json"):
            assert path.stat().st_mode & 0o077 == 0, path
    assert plane.folder.stat().st_mode & 0o077 == 0


def test_root_of_mariadb_gets_in_by_password_over_socket_and_tcp() -> None:
    with private(Options(until=Until.MARIADB, databases=("nova",))) as plane:
        server = plane.mariadb
        runner = Runner(Report(quiet=True))
        over_tcp = runner.run(
            ["mariadb", f"--defaults-file={server.client_file}", "--protocol=tcp", "-h127.0.0.1",
             f"-P{server.port}", "-Ne", "SELECT CURRENT_USER()"]
        ).stdout.strip()  # fmt: skip

        assert server.execute("SELECT CURRENT_USER(); SHOW DATABASES LIKE 'nova'", runner).split() == [
            "root@localhost",
            "nova",
        ]
        assert over_tcp == "root@127.0.0.1"
    assert not plane.folder.exists()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: MariaDB's root by socket is the user root")
def test_root_of_mariadb_gets_in_by_socket_without_a_password() -> None:
    with private(Options(until=Until.MARIADB, root=RootLogin.SOCKET)) as plane:
        argv = ["mariadb", "--no-defaults", f"--socket={plane.mariadb.socket}", "-Ne", "SELECT 1"]
        assert Runner(Report(quiet=True)).run(argv).stdout.strip() == "1"


@pytest.mark.slow
def test_keystone_can_be_had_with_its_tables_only_or_with_nothing() -> None:
    with private(Options(until=Until.KEYSTONE, tables=Tables.SYNCED)) as plane:
        assert token_status(plane, "admin", plane.admin_password) == 401
    with private(Options(until=Until.KEYSTONE, tables=Tables.EMPTY)) as plane:
        runner = Runner(Report(quiet=True))
        assert plane.environment is not None
        assert plane.keystone is not None
        assert plane.mariadb.execute("SHOW TABLES IN keystone", runner) == ""
        manage = plane.environment.program("keystone-manage")
        runner.run([manage, "--config-file", plane.keystone.config, "db_sync"])
        assert "project" in plane.mariadb.execute("SHOW TABLES IN keystone", runner).split()


def token_status(plane: Plane, name: str, password: str) -> int:
    """Ask Keystone for a token; return the HTTP status."""
    user = {"name": name, "domain": {"id": "default"}, "password": password}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}
    assert plane.keystone is not None
    return request(plane.keystone.port, "POST", "/v3/auth/tokens", body=body)[0]


def command_lines() -> str:
    """Return the command lines of all processes."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(lines)
