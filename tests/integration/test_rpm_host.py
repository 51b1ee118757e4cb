# SPDX-License-Identifier: MIT
"""On a host of RPMs: `make setup` by dnf, in a machine of Fixture Linux 13.

Its packages have the names that they have on Fedora. The machine has no network: its dnf has the fixture's
repository, its pip a folder of wheels that were fetched here.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.places import SPECS
from builder.report import Report
from builder.runner import Completed, Runner
from tests.rig.fixture.apt import has_apt
from tests.rig.machine.fixture_root import fixture_tree
from tests.rig.machine.machine import SHARED, Machine, booted, reason_not_to_boot

CHECKOUT = SPECS.parent
LIST = CHECKOUT / "builder/requirements/core.txt"
PYTHON = "3.13"
# What a person has there before, besides the clone; on Fedora gnupg2 has the agent, and Python venv.
BEFORE = ("gpg-agent", "make", "python3-venv")
ENVIRONMENT = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": f"{SHARED}/wheels"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.skipif(not has_apt() or reason_not_to_boot() is not None, reason="boots a machine"),
]


def make(machine: Machine, *words: str) -> Completed:
    """Run make in the machine's clone; it must succeed."""
    argv = ["make", "-C", f"{SHARED}/clone", *words]
    done = machine.run(argv, env=ENVIRONMENT, timeout=1800, ok=())
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def host() -> Iterator[Machine]:
    """A machine with a clone of this checkout, before anything was set up."""
    runner = Runner(Report(quiet=True))
    with booted(fixture_tree(Report(quiet=True), "13"), runner) as machine:
        runner.run(["git", "clone", "--quiet", "--no-hardlinks", CHECKOUT, machine.shared / "clone"])
        fetch_wheels(machine.shared / "wheels")
        repository = machine.read("/etc/yum.repos.d/fixture.repo")
        machine.write("/etc/yum.repos.d/fixture.repo", repository.replace("enabled=0", "enabled=1"))
        machine.dnf("install", *BEFORE)
        # Whoever clones is who works there.
        machine.run(["chown", "-R", "root:root", f"{SHARED}/clone"])
        yield machine


def fetch_wheels(folder: Path) -> None:
    """Have what the list pins for the machine's Python, digests compared."""
    words = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
    words += [f"--python-version={PYTHON}", f"--dest={folder}", f"--requirement={LIST}"]
    subprocess.run([sys.executable, "-m", "pip", "download", *words], check=True)


@pytest.fixture(scope="module")
def ready(host: Machine) -> Machine:
    """The machine after `make setup`."""
    make(host, "setup")
    return host


def test_setup_installs_by_dnf_and_has_nothing_to_do_again(ready: Machine) -> None:
    history = ready.run(["dnf", "history", "list"]).stdout

    assert "qemu-system-x86-core" in ready.run(["rpm", "-qa"]).stdout
    assert ready.run([f"{SHARED}/clone/.venv/bin/openstack-builder", "--version"]).stdout
    make(ready, "setup")
    assert ready.run(["dnf", "history", "list"]).stdout == history
