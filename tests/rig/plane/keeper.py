# SPDX-License-Identifier: MIT
"""A plane that stays up: `up` leaves a keeper, the process that owns the servers.

The servers die with their keeper, so it is the only one to be known: state.json in the plane's folder
holds its pid and start time. Whatever is killed at whatever moment, the next `up` or `down` sees whether
the keeper lives, and removes what a dead one left.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from builder import files
from builder.errors import BuildError, InputError
from builder.folders import remove_tree
from builder.report import Report
from builder.runner import Child, Runner
from tests.rig.plane import plane, process
from tests.rig.plane.process import Identity

CHECKOUT = Path(__file__).parents[3]
FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """What state.json says: `status` is starting, up or broken; `plane` are ports, files and pids."""

    token: str
    status: str
    keeper: Identity | None
    plane: dict[str, Any]

    @property
    def is_alive(self) -> bool:
        """Say whether the keeper runs."""
        return self.keeper is not None and process.is_alive(self.keeper)


def read(folder: Path) -> State | None:
    """Return the state of the plane in `folder`; None: there is none.

    Raises:
        InputError: the folder is something else, which we shall not touch.
    """
    path = folder / "state.json"
    if not path.exists():
        if folder.exists() and any(folder.iterdir()):
            raise InputError(f"{folder}: not the folder of a plane", hint="choose another --folder")
        return None
    try:
        value = json.loads(path.read_text())
        if value["format"] != FORMAT:
            raise ValueError(f"format {value['format']}")
        keeper = Identity(**value["keeper"]) if value["keeper"] else None
        return State(
            token=value["token"], status=value["status"], keeper=keeper, plane=value.get("plane", {})
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not the state of a plane: {error}") from error


def start(folder: Path, options: plane.Options, report: Report, runner: Runner) -> State:
    """Have a plane up in `folder`: start one unless it is up already; return its state.

    Raises:
        BuildError: it does not come up; its log is named.
    """
    with files.locked(_lock(folder, "up")):
        plane.prepare(options, report, runner)
        with files.locked(_lock(folder, "claim")):
            state = read(folder)
            if state is not None and state.is_alive and state.status == "up":
                report.note(f"the plane in {folder} is already up")
                return state
            if state is not None:
                report.note(f"removing what is left of a plane in {folder}")
                _remove(folder, state)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            token = secrets.token_hex(8)
            _write(folder, State(token=token, status="starting", keeper=None, plane={}))
        argv = [sys.executable, "-m", "tests.rig.plane", "keep", "--folder", str(folder), "--token", token]
        argv += ["--until", options.until, "--tables", options.tables, "--root", options.root]
        log = folder / "keeper.log"
        keeper = process.Server(
            name="the plane",
            process=runner.spawn(argv, log=log, child=Child(cwd=CHECKOUT), detached=True),
            log=log,
        )
        with report.step("plane", str(folder)) as step:
            keeper.wait_until(lambda: _is_up(folder), seconds=300)
            state = read(folder)
            assert state is not None
            step.detail = ", ".join(f"{name} on port {port}" for name, port in state.plane["ports"].items())
        # It is not ours to wait for any more (a warning of Python's otherwise).
        keeper.process.returncode = 0
        return state


def stop(folder: Path, report: Report) -> bool:
    """Stop the plane in `folder` and remove the folder; return False when there was none."""
    with files.locked(_lock(folder, "up")), files.locked(_lock(folder, "claim")):
        state = read(folder)
        if state is None:
            return False
        with report.step("plane", f"{folder} stopped and removed"):
            _remove(folder, state)
        return True


def keep(folder: Path, token: str, options: plane.Options, report: Report, runner: Runner) -> int:
    """Be the keeper: start the servers in `folder`, watch them, stop them on SIGTERM."""
    with files.locked(_lock(folder, "claim")):
        state = read(folder)
        if state is None or state.token != token:
            raise BuildError(f"{folder}: another plane has taken this folder")
        mine = process.identify(os.getpid())
        _write(folder, State(token=token, status="starting", keeper=mine, plane={}))
    signal.signal(signal.SIGTERM, _leave)
    with plane.running(folder, options, report, runner) as running:
        _write(folder, State(token=token, status="up", keeper=mine, plane=describe(running)))
        while True:
            time.sleep(0.5)
            if not (folder / "state.json").exists():
                report.warn(f"{folder} has been removed: the plane ends")
                return 1
            for server in running.servers:
                if server.process.poll() is not None:
                    status = server.process.returncode
                    report.warn(f"{server.name} ended with status {status}: the plane ends")
                    _write(folder, State(token=token, status="broken", keeper=mine, plane=describe(running)))
                    return 1


def describe(running: plane.Plane) -> dict[str, Any]:
    """Return what state.json has about a plane: no secret, only the files that hold them."""
    services = {"mariadb": running.mariadb, "keystone": running.keystone, "glance": running.glance}
    there = {name: service for name, service in services.items() if service is not None}
    identities = {name: process.identify(service.server.process.pid) for name, service in there.items()}
    value: dict[str, Any] = {
        "folder": str(running.folder),
        "ports": {name: service.port for name, service in there.items()},
        "logs": {name: str(service.server.log) for name, service in there.items()},
        "processes": {name: asdict(identity) for name, identity in identities.items() if identity},
        "mariadb": {"socket": str(running.mariadb.socket), "client_file": str(running.mariadb.client_file)},
    }
    if running.keystone is not None and running.environment is not None:
        manage = running.environment.program("keystone-manage")
        value["keystone"] = {
            "url": running.keystone.url,
            "config": str(running.keystone.config),
            "manage": str(manage),
        }
        value["clouds_file"] = str(running.clouds_file)
        value["cloud"] = plane.CLOUD
    if running.glance is not None:
        value["glance"] = {"url": running.glance.url, "store": str(running.glance.store)}
    return value


def _remove(folder: Path, state: State) -> None:
    """End the keeper (and servers that outlived it, for a moment or by a fault) and remove the folder."""
    if state.keeper is not None:
        process.end(state.keeper, seconds=30)
    for identity in state.plane.get("processes", {}).values():
        process.end(Identity(**identity), seconds=5)
    remove_tree(folder)


def _is_up(folder: Path) -> bool:
    state = read(folder)
    return state is not None and state.status == "up"


def _write(folder: Path, state: State) -> None:
    value = {"format": FORMAT, **asdict(state)}
    files.write_atomic(folder / "state.json", json.dumps(value, indent=2) + "\n", mode=0o600)


def _lock(folder: Path, name: str) -> Path:
    return folder.parent / f".{folder.name}.{name}.lock"


def _leave(_number: int, _frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(0)
