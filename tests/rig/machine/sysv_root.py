# SPDX-License-Identifier: MIT
"""The root with sysvinit: Debian's init, rc and rpm, laid out as EL 6 is.

Debian's packages are unpacked, not configured: what their scripts would do is done here, as far as a
machine of the tests wants it. Nothing of the host's package state is read or changed.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from builder.files import cache_folder
from builder.report import Report
from builder.runner import Runner
from tests.rig.fixture.apt import Apt, Source
from tests.rig.fixture.rules import DATA, load_distribution
from tests.rig.machine import trees
from tests.rig.machine.trees import HERE, Init, Tree

SEEDS = (
    "base-files", "base-passwd", "bash", "coreutils", "dash", "diffutils", "findutils", "grep", "gzip",
    "hostname", "init-system-helpers", "initscripts", "iproute2", "libc-bin", "libpam-modules", "login",
    "logrotate", "mariadb-server", "mawk", "mount", "ncurses-base", "passwd", "procps", "python3",
    "python3-pymysql", "rpm", "sed", "sudo", "sysv-rc", "sysvinit-core", "sysvinit-utils", "tar",
    "util-linux",
)  # fmt: skip
# Debian's own package management, and what only that needs.
DROPPED = ("adduser", "debconf", "gcc-12-base", "perl", "perl-modules-5.36", "libperl5.36", "usrmerge")
DATA_FILES = HERE / "sysv"
# Files that the fixture distribution has as well, for want of the same scripts.
PAM = DATA / "files" / "libpam-runtime" / "etc" / "pam.d"
HOSTS = DATA / "files" / "setup" / "etc" / "hosts"
# Of Debian's own scripts those that a container wants; the rest is about disks and clocks. The numbers
# stand where no service of EL 6 has its own: before all at boot, after all at the end.
INIT_SCRIPTS = {
    "rc": (), "rcS": (), "sysinit": ("S/S00",), "hostname.sh": ("S/S01",), "sendsigs": ("0/K98", "6/K98"),
    "halt": ("0/K99",), "reboot": ("6/K99",),
}  # fmt: skip
SOURCES = (HERE / "sysv_root.py", HERE / "unpack.sh")
# What alternatives and maintainer scripts make; and the Python of Software Collections, which is Debian's
# and finds its modules by a .pth file.
SITE_PACKAGES = "/opt/rh/rh-python36/root/usr/lib/python3.6/site-packages"
LINKS = {
    "etc/mtab": "/proc/self/mounts",
    "opt/rh/rh-python36/root/usr/bin/python3": "/usr/bin/python3",
    "usr/bin/awk": "mawk",
    "usr/bin/which": "which.debianutils",
}


def sysv_tree(report: Report) -> Tree:
    """Return the tree; the first time, Debian's packages are fetched and unpacked.

    Raises:
        RemoteError: Debian's mirror cannot be reached.
    """
    apt = Apt(runner=Runner(report), folder=cache_folder("fixture"), source=load_distribution().source)
    sources = tuple(source for source in apt.resolve(SEEDS) if source.name not in DROPPED)
    ours = trees.sources_digest(*SOURCES, *DATA_FILES.iterdir())
    inputs = [ours, sorted(source.sha256 for source in sources)]
    folder = trees.cached("sysv", inputs, partial(_make, apt, sources), report)
    return Tree(kind="sysv", folder=folder, init=Init.SYSVINIT)


def _make(apt: Apt, sources: tuple[Source, ...], tree: Path, runner: Runner) -> None:
    apt.fetch(sources)
    for name in ("bin", "sbin", "lib", "lib64"):
        (tree / "usr" / name).mkdir(parents=True, exist_ok=True)
        (tree / name).symlink_to(f"usr/{name}")
    runner.run([HERE / "unpack.sh", tree, *map(apt.path_of, sources)], timeout=300)
    _configure(tree, runner)
    _lay_out(tree, runner)


def _configure(tree: Path, runner: Runner) -> None:
    """Do what the packages' own scripts would have done."""
    for name in ("passwd", "group"):
        shutil.copy(tree / f"usr/share/base-passwd/{name}.master", tree / "etc" / name)
    shutil.copy(HOSTS, tree / "etc")
    for path in PAM.iterdir():
        shutil.copy(path, tree / "etc/pam.d")
    for link, target in LINKS.items():
        (tree / link).parent.mkdir(parents=True, exist_ok=True)
        (tree / link).symlink_to(target)
    shutil.copy(DATA_FILES / "sysinit", tree / "etc/init.d")
    for script in (tree / "etc/init.d").iterdir():
        if script.name not in INIT_SCRIPTS:
            script.unlink()
    for name, links in INIT_SCRIPTS.items():
        for link in links:
            level, _, number = link.partition("/")
            (tree / f"etc/rc{level}.d" / f"{number}{name}").symlink_to(f"../init.d/{name}")
    for argv in (["ldconfig"], ["pwconv"], ["grpconv"]):
        runner.run(["chroot", tree, *argv])


def _lay_out(tree: Path, runner: Runner) -> None:
    """Put things where EL 6 has them."""
    (tree / "etc/rc.d").mkdir()
    for name in ("init.d", *(f"rc{level}.d" for level in "0123456")):
        (tree / "etc" / name).rename(tree / "etc/rc.d" / name)
        (tree / "etc" / name).symlink_to(f"rc.d/{name}")
    # Without insserv's .depend files and with this, the numbers of the links decide, as on EL 6.
    (tree / "etc/default/rcS").write_text("CONCURRENCY=none\nVERBOSE=yes\n")
    shutil.copy(DATA_FILES / "inittab", tree / "etc")
    shutil.copy(DATA_FILES / "functions", tree / "etc/rc.d/init.d")
    shutil.copy(DATA_FILES / "chkconfig", tree / "usr/sbin")
    for name in ("etc/sysconfig", "var/run", "var/lock/subsys"):
        (tree / name).mkdir(parents=True, exist_ok=True)
    (tree / "etc/sysconfig/network").write_text("NETWORKING=yes\n")
    (tree / "etc/rpm").mkdir(exist_ok=True)
    (tree / "etc/rpm/macros").write_text("%_dbpath /var/lib/rpm\n")
    (tree / "usr/lib/python3/dist-packages/rh-python36.pth").write_text(f"{SITE_PACKAGES}\n")
    runner.run(["chroot", tree, "rpm", "--initdb"])
