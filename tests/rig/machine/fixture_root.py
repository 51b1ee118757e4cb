# SPDX-License-Identifier: MIT
"""The root with systemd: Fixture Linux without a kernel, installed by dnf from its repository."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from builder.report import Report
from builder.runner import Runner
from tests.rig.fixture.repository import KEY, Repository, build_repository
from tests.rig.fixture.rules import DEFAULT_VERSION
from tests.rig.machine import trees
from tests.rig.machine.trees import HERE, Init, Tree

# What a small server of Fedora has before the first package of ours comes; no database among them.
PACKAGES = (
    "basesystem", "bash", "coreutils", "curl", "dbus", "dnf", "fixture-release", "hostname", "iproute",
    "less", "openssh-clients", "passwd", "procps-ng", "rootfiles", "sudo", "systemd", "tar", "tzdata",
)  # fmt: skip
SOURCES = (HERE / "fixture_root.py", HERE / "dnf.sh")
# Debian's rpm would put its database into root's home; nothing mounted is ours to change.
# A machine has no network but its loopback: who waits for one would wait for two minutes.
MASKED = "etc/systemd/system/systemd-networkd-wait-online.service"
MACROS = "%_dbpath /usr/lib/sysimage/rpm\n%_netsharedpath /proc:/sys:/dev:/run\n"


def fixture_tree(report: Report, version: str = DEFAULT_VERSION) -> Tree:
    """Return the tree; the first time, the repository and the tree are made.

    Args:
        version: which Fixture Linux.

    Raises:
        ToolMissing: a program is not installed.
        RemoteError: Debian's mirror cannot be reached.
    """
    repository = build_repository(report, version=version)
    inputs = [repository.folder.name, trees.sources_digest(*SOURCES)]
    folder = trees.cached("fixture", inputs, partial(_install, repository, version), report)
    return Tree(kind="fixture", folder=folder, init=Init.SYSTEMD, repository=repository.folder)


def _install(repository: Repository, version: str, tree: Path, runner: Runner) -> None:
    work = tree.parent
    (work / ".rpmmacros").write_text(MACROS)
    argv: list[str | Path] = ["unshare", "--mount", "--pid", "--fork", "--kill-child", HERE / "dnf.sh", tree]
    argv += [
        "--assumeyes",
        "--quiet",
        f"--releasever={version}",
        "--setopt=plugins=0",
        "--setopt=reposdir=/nonexistent",
    ]
    argv += [f"--setopt=cachedir={work}/cache", "--setopt=install_weak_deps=0", "--setopt=tsflags=nodocs"]
    argv += [f"--repofrompath=fixture,file://{repository.folder}", "--repo=fixture"]
    argv += ["--setopt=fixture.gpgcheck=1", f"--setopt=fixture.gpgkey=file://{repository.folder / KEY}"]
    runner.run([*argv, "install", *PACKAGES], env={"HOME": str(work)}, log=work / "dnf.log", timeout=600)
    (tree / MASKED).symlink_to("/dev/null")
