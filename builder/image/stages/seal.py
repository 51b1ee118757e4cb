# SPDX-License-Identifier: MIT
"""Take out of the tree what must differ in every guest, and what only the build needed.

The list follows virt-sysprep's operations (guestfs-tools, sysprep/sysprep_operation_*.ml) and rows 9 to
19 of the project's checklist. Then label every file, then bring every time back to the build's epoch.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from pathlib import Path

from builder.errors import CommandFailed
from builder.image.build import Build
from builder.image.isolation.sandbox import LABELLING, run_in_image
from builder.image.tree import databases, tree
from builder.image.tree.files import TreePath
from builder.image.tree.settings.security import selinux_contexts

# Removed, whatever they are. Globs from the root of the image.
REMOVED = (
    "etc/ssh/ssh_host_*",
    "var/lib/systemd/random-seed", "var/lib/random-seed", "boot/loader/random-seed",
    "boot/efi/loader/random-seed", "var/lib/systemd/credential.secret",
    "etc/udev/rules.d/70-persistent-*.rules", "etc/udev/rules.d/75-persistent-net-generator.rules",
    "var/lib/dhclient/*", "var/lib/dhcp/*", "var/lib/NetworkManager/*", "var/lib/chrony/*",
    "etc/lvm/devices/system.devices", "etc/lvm/archive/*", "etc/lvm/backup/*",
    "var/lib/dnf/*.pid", "var/lib/dnf/*lock*", "var/cache/dnf/*", "var/cache/yum/*",
    "var/cache/libdnf5/*", "var/cache/ldconfig/aux-cache",
    "var/lib/rpm/__db*", "var/lib/rpm/.rpm.lock", "var/lib/rpm/.dbenv.lock", "var/lib/yum/uuid",
    "usr/lib/sysimage/rpm/__db*", "usr/lib/sysimage/rpm/.rpm.lock",
    "root/.bash_history", "root/.wget-hsts", "root/.cache", "root/.dbus", "root/anaconda-ks.cfg",
    "root/original-ks.cfg", "root/install.log*", "root/.rpmdb",
    "var/lib/cloud/*", "var/log/anaconda", "var/spool/mail/root", ".autorelabel", "etc/.pwd.lock",
    "etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/subuid-", "etc/subgid-",
    "tmp/*", "tmp/.[!.]*", "var/tmp/*", "var/tmp/.[!.]*", "run/*",
    "var/log/dnf*.log*", "var/log/hawkey.log*", "var/log/journal/*",
)  # fmt: skip
# dnf's own record (libdnf, libdnf/transaction/sql/create.sql).
HISTORY = "var/lib/dnf/history.sqlite"
# Databases that their programs may have left with a write-ahead log beside them.
DATABASES = (
    "usr/lib/sysimage/rpm/rpmdb.sqlite", "var/lib/rpm/rpmdb.sqlite", HISTORY,
    "usr/lib/sysimage/libdnf5/transaction_history.sqlite",
)  # fmt: skip
# Kept, emptied: programs expect them with owner and mode.
EMPTIED = ("var/log/**/*",)


def run(build: Build) -> str:
    """Clean, label, set the times."""
    root = tree.path("/")
    removed = sum(_remove(path) for pattern in REMOVED for path in root.glob(pattern))
    emptied = sum(_empty(path) for pattern in EMPTIED for path in root.glob(pattern))
    with databases.copied(root / HISTORY) as history:
        if history:
            _settle_history(history, build.options.source_date_epoch)
    for name in DATABASES:
        with databases.copied(root / name) as database:
            if database:
                _close_database(database)
    _machine_identity(build)
    labelled = _label(build)
    clamp_times(root, build.options.source_date_epoch)
    said = f"{removed + emptied} removed or emptied"
    return said + (", labelled" if labelled else "")


def _remove(path: TreePath) -> int:
    path.remove()
    return 1


def _empty(path: TreePath) -> int:
    if path.is_symlink() or not path.is_file() or path.stat().st_size == 0:
        return 0
    path.truncate()
    return 1


def _settle_history(path: Path, epoch: int) -> None:
    """Leave no time behind `epoch` in dnf's history, and no user of the build's host."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        change = "UPDATE trans SET dt_begin = min(dt_begin, ?1), dt_end = min(dt_end, ?1), user_id = -1"
        connection.execute(change, (epoch,))
        connection.commit()


def _close_database(path: Path) -> None:
    """Bring the write-ahead log into the database: without it the file alone is not whole, and smaller."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        # https://www.sqlite.org/wal.html: leaving WAL mode checkpoints and removes -wal and -shm.
        connection.execute("PRAGMA journal_mode=DELETE").fetchone()


def _machine_identity(build: Build) -> None:
    """Leave machine-id(5) empty, so that each guest gets its own at boot; no name of the build's host."""
    machine_id = tree.path("/etc/machine-id")
    if machine_id.parent.is_dir():
        machine_id.unlink(missing_ok=True)
        machine_id.touch(mode=0o444)
    dbus = tree.path("/var/lib/dbus/machine-id")
    if dbus.exists() and not dbus.is_symlink():
        dbus.unlink()
        dbus.symlink_to("/etc/machine-id")
    if build.plan.hostname is None and machine_id.parent.is_dir():
        tree.path("/etc/hostname").unlink(missing_ok=True)
    resolv = tree.path("/etc/resolv.conf")
    if resolv.is_file() and not resolv.is_symlink():
        resolv.truncate()


def _label(build: Build) -> bool:
    """Write SELinux labels by the image's own policy, with its own setfiles(8)."""
    contexts = selinux_contexts()
    if contexts is None:
        return False
    if not tree.path("/usr/sbin/setfiles").exists():
        build.warn("the image has a SELinux policy but no setfiles: it relabels at its first boot")
        tree.path("/.autorelabel").touch()
        return False
    # In threads, one a processor, since policycoreutils 3.4: else a third of the whole build.
    usage = run_in_image(build, ["setfiles"], ok=()).stderr
    threads = ["-T", "0"] if re.search(r"\[-\w*T", usage) else []
    argv = [
        "setfiles",
        *threads,
        "-F",
        "-e",
        "/proc",
        "-e",
        "/sys",
        "-e",
        "/dev",
        "-e",
        "/run",
        contexts,
        "/",
    ]
    try:
        run_in_image(build, argv, log=build.log, more=LABELLING)
    except CommandFailed as error:
        error.hint = "the policy in the image cannot label it; selinux --disabled does without"
        raise
    return True


def clamp_times(root: TreePath, epoch: int) -> None:
    """Bring every time behind `epoch` back to it: the same inputs give the same bytes."""
    for entry in root.walk():
        if entry.stat().st_mtime > epoch:
            os.utime(entry.name, (epoch, epoch), dir_fd=entry.folder, follow_symlinks=False)
