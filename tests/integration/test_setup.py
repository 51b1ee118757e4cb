# SPDX-License-Identifier: MIT
"""Which packages `make setup` asks the package manager for, on each kind of host.

The host is known by /etc/os-release, in a mount namespace of the test's own; dnf, rpm, crb, apt-get and
dpkg-query are stand-ins that note what they are asked for.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LISTS = "builder/requirements"

FEDORA = 'ID=fedora\nVERSION_ID=44\nPRETTY_NAME="Fedora Linux 44"\n'
ALMA_9 = 'ID="almalinux"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.6"\nPRETTY_NAME="AlmaLinux 9.6"\n'
STREAM_10 = 'ID="centos"\nID_LIKE="rhel fedora"\nVERSION_ID="10"\nPRETTY_NAME="CentOS Stream 10"\n'
DEBIAN = 'ID=debian\nVERSION_ID="13"\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n'
SUSE = 'ID="opensuse-leap"\nID_LIKE="suse opensuse"\nVERSION_ID="16.0"\nPRETTY_NAME="openSUSE Leap 16.0"\n'

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts in a namespace of its own")


@dataclass(frozen=True)
class Asked:
    """How it ended, what it said, and the calls of the stand-ins in their order."""

    code: int
    said: str
    calls: list[list[str]]

    @property
    def packages(self) -> set[str]:
        """What dnf was asked to install, but for EPEL's own package."""
        words = [call for call in self.calls if call[0] == "dnf" and "epel-release" not in call]
        return {word for call in words for word in call if not word.startswith("-")} - {"dnf", "install"}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the script reads of the checkout, without an environment that is set up already."""
    folder = tmp_path / "checkout"
    for name in (LISTS, "tests/rig/plane", "tests/rig/fixture"):
        (folder / name).mkdir(parents=True)
        programs = [ROOT / name / program for program in ("install", "rpm-binding")]
        for path in [*(ROOT / name).glob("*.txt"), *filter(Path.exists, programs)]:
            shutil.copy(path, folder / name)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def ask(checkout: Path, release: str, *, epel: bool = False, fails: str = "rpm-build") -> Asked:
    """Run the script on a host of `release`; `fails` is the package at which dnf and apt-get give up."""
    own = checkout.parent
    (own / "os-release").write_text(release)
    programs = own / "bin"
    programs.mkdir()
    note = f'echo "${{0##*/}} $*" >>{own}/calls'
    for name, text in {
        "dnf": f'case " $* " in *" {fails} "*) exit 1;; esac',
        "rpm": f'case "$*" in *epel-release) exit {0 if epel else 1};; esac; exit 1',
        "apt-get": f'case " $* " in *" {fails} "*) exit 100;; esac',
        "dpkg-query": "exit 1",
        "crb": "",
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{note}\n{text}\n")
        (programs / name).chmod(0o755)
    (own / "calls").touch()
    inside = 'mount --bind "$1" "$(readlink -f /etc/os-release)" && exec "$2" core'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", inside, "sh", own / "os-release", checkout / LISTS / "install"],
        env={"PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    return Asked(
        done.returncode, done.stderr, [line.split() for line in (own / "calls").read_text().splitlines()]
    )


COMMON = {
    "python3-dnf",
    "rpm-build",
    "rpm-sign",
    "createrepo_c",
    "grub2-tools",
    "qemu-img",
    "xorriso",
    "edk2-ovmf",
}


@pytest.mark.parametrize(
    ("release", "present", "absent"),
    [
        pytest.param(
            FEDORA,
            {"qemu-system-x86-core", "python3-rpm"},
            {"qemu-kvm-core", "python3.11", "dnf", "genisoimage"},
            id="Fedora 44",
        ),
        pytest.param(
            ALMA_9,
            {"qemu-kvm-core", "python3.11", "python3.11-rpm"},
            {"qemu-system-x86-core", "python3-rpm"},
            id="AlmaLinux 9",
        ),
        pytest.param(
            STREAM_10,
            {"qemu-kvm-core", "python3-rpm"},
            {"qemu-system-x86-core", "python3.11-rpm"},
            id="CentOS Stream 10",
        ),
    ],
)
def test_packages_are_those_of_the_family_and_the_release(
    release: str, present: set[str], absent: set[str], checkout: Path
) -> None:
    asked = ask(checkout, release)

    assert COMMON | present <= asked.packages
    assert asked.packages & absent == set()


def test_epel_is_enabled_before_anything_of_it_is_asked_for(checkout: Path) -> None:
    asked = ask(checkout, ALMA_9)

    managers = [call for call in asked.calls if call[0] in ("dnf", "crb")]
    assert [managers[0][-1], managers[1], managers[2][0]] == ["epel-release", ["crb", "enable"], "dnf"]


@pytest.mark.parametrize(
    "release", [pytest.param(FEDORA, id="Fedora"), pytest.param(ALMA_9, id="EL that has it")]
)
def test_epel_is_left_alone(release: str, checkout: Path) -> None:
    asked = ask(checkout, release, epel=True)

    assert asked.packages
    assert [call for call in asked.calls if "epel-release" in call and call[0] == "dnf"] == []


def test_without_epel_nothing_is_installed_and_the_way_is_reported(checkout: Path) -> None:
    asked = ask(checkout, ALMA_9, fails="epel-release")

    assert asked.code == 4
    assert "error: EPEL is not enabled" in asked.said
    assert asked.packages == set()


@pytest.mark.parametrize(
    ("release", "manager", "code"),
    [pytest.param(FEDORA, "dnf", 1, id="dnf"), pytest.param(DEBIAN, "apt-get", 100, id="apt-get")],
)
def test_a_package_manager_that_fails_ends_it_with_its_own_code(
    release: str, manager: str, code: int, checkout: Path
) -> None:
    asked = ask(checkout, release, fails="zstd")

    assert asked.code == code
    assert f"error: {manager} did not install what is needed (exit code {code})" in asked.said
    assert not (checkout / ".venv").exists()


def test_another_system_is_refused_with_what_to_install(checkout: Path) -> None:
    asked = ask(checkout, SUSE)

    assert (asked.code, asked.calls) == (4, [])
    assert asked.said.splitlines()[0] == "error: openSUSE Leap 16.0 is neither Debian nor Fedora nor EL"
