# SPDX-License-Identifier: MIT
"""An init script believes a pid file only where the process runs the script's own program."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.places import SPECS

FUNCTIONS = Path(__file__).parents[1] / "rig/machine/sysv/functions"
SCRIPT = SPECS / "essex/openstack-keystone/openstack-keystone.init"


class Service:
    """The init script of Keystone with a daemon that sleeps, all in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.pidfile = folder / "openstack-keystone.pid"
        self.daemon = folder / "keystone-all"
        self.daemon.write_text("#!/bin/sh\nsleep 6000\n")
        self.daemon.chmod(0o755)
        (folder / "keystone.conf").write_text("")
        text = SCRIPT.read_text()
        for old, new in (
            ("/etc/rc.d/init.d/functions", FUNCTIONS),
            ("/usr/bin/keystone-all", self.daemon),
            ("/etc/keystone", folder),
            ("/var/run/keystone", folder),
            ("/var/log/keystone", folder),
            ("/var/lock/subsys", folder),
            ("/etc/sysconfig", folder),
            ("user=keystone", f"user={os.environ.get('USER', 'root')}"),
            ("STARTUP_WAIT=3", "STARTUP_WAIT=1"),
        ):
            text = text.replace(str(old), str(new))
        self.script = folder / "script"
        self.script.write_text(text)

    def run(self, action: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", self.script, action], capture_output=True, text=True, check=False, timeout=600,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path)
    yield service
    if service.pidfile.exists():
        service.run("stop")


@pytest.fixture
def stranger() -> Iterator[int]:
    """The pid of a process that has nothing to do with it."""
    process = subprocess.Popen(["sleep", "6000"])
    yield process.pid
    process.kill()
    process.wait()


def test_reused_pid_is_neither_running_nor_killed(service: Service, stranger: int) -> None:
    service.pidfile.write_text(f"{stranger}\n")

    code, said = service.run("status")
    assert (code, "dead but pid file exists" in said) == (1, True)
    assert service.run("stop")[0] == 0
    os.kill(stranger, 0)
    assert not service.pidfile.exists()


@pytest.mark.skipif(os.getuid() != 0, reason="the script starts its daemon as another user: needs root")
def test_reused_pid_does_not_keep_the_service_from_starting(service: Service, stranger: int) -> None:
    service.pidfile.write_text(f"{stranger}\n")

    code, said = service.run("start")

    assert code == 0, said
    own = int(service.pidfile.read_text())
    assert own != stranger
    # The shell that wrote the number becomes the daemon when it gets round to it.
    deadline = time.monotonic() + 600
    while service.run("status")[0]:
        assert time.monotonic() < deadline
    assert service.run("stop")[0] == 0
    os.kill(stranger, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(own, signal.SIG_DFL)


@pytest.mark.parametrize("text", ["", "none\n", "99999999\n", "-1\n"])
def test_damaged_pid_file_is_no_running_service(service: Service, text: str) -> None:
    service.pidfile.write_text(text)

    assert service.run("status")[0] == 1
    assert service.run("stop")[0] == 0
