# SPDX-License-Identifier: MIT
"""Take out of the tree what must differ in every guest, and what only the build needed.

Writers of file systems bring every time back to the build's epoch, and give SELinux's labels.
"""

from __future__ import annotations

from builder.errors import listed
from builder.image.build import Build
from builder.image.packages import rpmdb
from builder.image.tree import databases, labels, tree
from builder.image.tree.cleaning import clean
from builder.image.tree.observing import observe
from builder.image.tree.settings.security import has_selinux_policy

# Databases that their programs may have left with a write-ahead log next to them.
DATABASES = (
    "usr/lib/sysimage/rpm/rpmdb.sqlite", "var/lib/rpm/rpmdb.sqlite", "var/lib/dnf/history.sqlite",
    "usr/lib/sysimage/libdnf5/transaction_history.sqlite",
)  # fmt: skip


def run(build: Build) -> str:
    """Clean."""
    root = tree.path("/")
    before = {package.name for package in build.facts.packages}
    build.facts.packages = rpmdb.installed(build)
    build.facts.removed = tuple(sorted(before - {package.name for package in build.facts.packages}))
    cleaned = clean(build)
    build.facts.kept = tuple(sorted(cleaned.kept))
    if build.facts.scripts_began is not None:
        # In /boot we have written after the scripts.
        build.facts.changed = tuple(
            path
            for path in root.changed_below(build.facts.scripts_began)
            if not path.startswith("/boot/") or path in build.facts.boot_by_scripts
        )
    build.facts.at_end = observe()
    databases.settle(build, [root / name for name in DATABASES])
    _say_hidden(build)
    _machine_identity("/var/lib/dbus/machine-id" in cleaned.removed)
    assert build.facts.layout is not None
    if has_selinux_policy():
        labels.make_lost_and_found(build.facts.layout)
    for path in (*cleaned.removed, *cleaned.emptied):
        build.report.verbose(f"left over from the build, removed: {path}")
    for path, who in cleaned.kept.items():
        build.report.verbose(f"kept, made by {who}: {path}")
    said = f"{len(cleaned.removed) + len(cleaned.emptied)} removed or emptied"
    return said + (f", {len(cleaned.kept)} kept" if cleaned.kept else "")


def _say_hidden(build: Build) -> None:
    """Warn of files that the guest will not see, below folders that are in its memory."""
    for folder in build.plan.disk.in_memory:
        path = tree.path(folder.mountpoint)
        if hidden := path.names():
            build.warn(
                f"{folder.place or 'part'}: {folder.mountpoint} is in the guest's memory, which hides what "
                f"is there in the image: {listed(hidden)}"
            )


def _machine_identity(had_another: bool) -> None:
    """Leave an empty machine-id(5), so that each guest gets its own at boot, and D-Bus's link to it."""
    machine_id = tree.path("/etc/machine-id")
    if machine_id.parent.is_dir() and not machine_id.exists():
        machine_id.touch(mode=0o444)
    if had_another:
        tree.path("/var/lib/dbus/machine-id").symlink_to("/etc/machine-id")
