# SPDX-License-Identifier: MIT
"""On a host of RPMs: `make setup` by dnf, then `rpm`, `image` and `verify`, in a machine of Fixture Linux 13.

Its packages have the names that they have on Fedora. The machine has no network: its dnf has the fixture's
repository, its pip a folder of wheels and its cache the sources, which were fetched here.
"""

from __future__ import annotations

import json
import os
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
# What a person has there before, besides the clone; on Fedora gnupg2 has the agent, Python venv, and
# util-linux sfdisk.
BEFORE = ("fdisk", "gpg-agent", "make", "python3-venv")
ENVIRONMENT = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": f"{SHARED}/wheels"}
CLONE = f"{SHARED}/clone"
TARGET = "fixture-13"
IMAGE = "jeos-fixture-13"
# Of the machine: what is installed there, the caches and the image.
SIZE = "8g"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.skipif(not has_apt() or reason_not_to_boot() is not None, reason="boots a machine"),
]


def make(machine: Machine, *words: str) -> Completed:
    """Run make in the machine's clone; it must succeed."""
    done = machine.run(["make", "-C", CLONE, *words], env=ENVIRONMENT, timeout=1800, ok=())
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def host() -> Iterator[Machine]:
    """A machine with a clone of this checkout, before anything was set up."""
    runner = Runner(Report(quiet=True))
    with booted(fixture_tree(Report(quiet=True), "13"), runner, size=SIZE) as machine:
        runner.run(["git", "clone", "--quiet", "--no-hardlinks", CHECKOUT, machine.shared / "clone"])
        fetch_wheels(machine.shared / "wheels")
        fetch_sources(machine.shared)
        machine.run(["cp", "-r", "--no-target-directory", f"{SHARED}/cache", "/root/.cache"])
        repository = machine.read("/etc/yum.repos.d/fixture.repo")
        machine.write("/etc/yum.repos.d/fixture.repo", repository.replace("enabled=0", "enabled=1"))
        machine.dnf("install", *BEFORE)
        # Whoever clones is who works there.
        machine.run(["chown", "-R", "root:root", CLONE])
        # nspawn lays mounts over /proc and /sys; below those the kernel lets no user namespace have its own,
        # unless there is one without. No host is so.
        for kind in ("proc", "sysfs"):
            machine.run(["mkdir", "-p", f"/run/whole/{kind}"])
            machine.run(["mount", "-t", kind, kind, f"/run/whole/{kind}"])
        yield machine


def fetch_wheels(folder: Path) -> None:
    """Have what the list pins for the machine's Python, digests compared."""
    words = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
    words += [f"--python-version={PYTHON}", f"--dest={folder}", f"--requirement={LIST}"]
    subprocess.run([sys.executable, "-m", "pip", "download", *words], check=True)


def fetch_sources(folder: Path) -> None:
    """Have a cache in `folder` with what openstack-utils is built from and the checkout has not."""
    words = ["srpm", "openstack-utils", "-t", TARGET, "--quiet", "--out", str(folder / "srpm")]
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    subprocess.run([sys.executable, "-m", "builder", *words], cwd=CHECKOUT, env=environment, check=True)


@pytest.fixture(scope="module")
def ready(host: Machine) -> Machine:
    """The machine after `make setup`."""
    make(host, "setup")
    return host


def test_setup_installs_by_dnf_and_has_nothing_to_do_again(ready: Machine) -> None:
    history = ready.run(["dnf", "history", "list"]).stdout

    assert "qemu-system-x86-core" in ready.run(["rpm", "-qa"]).stdout
    assert ready.run([f"{CLONE}/.venv/bin/openstack-builder", "--version"]).stdout
    make(ready, "setup")
    assert ready.run(["dnf", "history", "list"]).stdout == history


@pytest.fixture(scope="module")
def repository(ready: Machine) -> str:
    """Where the machine has the signed repository that `make rpm` made."""
    make(ready, "rpm", f"TARGET={TARGET}")
    return f"{CLONE}/out/rpm/{TARGET}/repo"


@pytest.fixture(scope="module")
def image(ready: Machine, repository: str) -> Path:
    """The folder of the image that `make image` made there, as this side sees it."""
    make(ready, "image", f"IMAGE={IMAGE}", f"OPTIONS={' '.join(sources('/srv/fixture', repository))}")
    return ready.shared / "clone/out" / IMAGE


def sources(fixture: str, repository: str) -> list[str]:
    """Return the options of `image` for the two repositories."""
    words = ["--repo", f"fixture=file://{fixture}", "--gpgkey", f"{fixture}/RPM-GPG-KEY-fixture"]
    return [*words, "--repo", f"openstack=file://{repository}", "--gpgkey", f"{repository}/RPM-GPG-KEY-local"]


def test_what_it_builds_is_installed_by_its_own_dnf_and_works(ready: Machine, repository: str) -> None:
    ready.run(["rpm", "--import", f"{repository}/RPM-GPG-KEY-local"])

    words = [f"--repofrompath=openstack,file://{repository}", "--setopt=openstack.gpgcheck=1"]
    ready.dnf(*words, "install", "openstack-utils")

    ready.run(["openstack-config", "--set", "/root/nova.conf", "DEFAULT", "debug", "true"])
    assert ready.read("/root/nova.conf") == "[DEFAULT]\ndebug = true\n"
    assert ready.run(["rpm", "--verify", "openstack-utils"]).stdout == ""


def test_its_image_has_the_packages_that_this_host_chooses(
    ready: Machine, image: Path, repository: str, tmp_path: Path
) -> None:
    assert ready.tree.repository is not None
    ours = sources(str(ready.tree.repository), repository.replace(SHARED, str(ready.shared)))
    words = [sys.executable, "-m", "builder", "image", IMAGE, *ours, "--out", str(tmp_path)]
    subprocess.run(words, cwd=CHECKOUT, check=True)

    packages = [
        json.loads((folder / f"{IMAGE}.manifest.json").read_text())["packages"]
        for folder in (image, tmp_path / IMAGE)
    ]

    assert packages[0] == packages[1]


@pytest.mark.boot
def test_its_image_boots_there_and_passes_every_check(ready: Machine, image: Path) -> None:
    make(ready, "verify", f"IMAGE={IMAGE}", "OPTIONS=--firmware bios --datasource nocloud")
