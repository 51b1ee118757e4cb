# SPDX-License-Identifier: MIT
"""Take out of the tree what must differ in every guest, and what only the build needed.

Then label every file. Writers of file systems bring every time back to the build's epoch.
"""

from __future__ import annotations

import re

from builder.errors import CommandFailed
from builder.image.build import Build
from builder.image.isolation.capabilities import LABELLING
from builder.image.isolation.sandbox import run_in_image
from builder.image.packages import rpmdb
from builder.image.tree import databases, labels, tree
from builder.image.tree.cleaning import clean
from builder.image.tree.observing import observe
from builder.image.tree.settings.security import selinux_contexts

# Databases that their programs may have left with a write-ahead log next to them.
DATABASES = (
    "usr/lib/sysimage/rpm/rpmdb.sqlite", "var/lib/rpm/rpmdb.sqlite", "var/lib/dnf/history.sqlite",
    "usr/lib/sysimage/libdnf5/transaction_history.sqlite",
)  # fmt: skip


def run(build: Build) -> str:
    """Clean and label."""
    root = tree.path("/")
    before = {package.name for package in build.facts.packages}
    build.facts.packages = rpmdb.installed(build)
    build.facts.removed = tuple(sorted(before - {package.name for package in build.facts.packages}))
    cleaned = clean(build)
    build.facts.kept = tuple(sorted(cleaned.kept))
    if build.facts.scripts_began is not None:
        # Before labels and times are set, which changes every inode.
        # In /boot we have written after them.
        build.facts.changed = tuple(
            path
            for path in root.changed_below(build.facts.scripts_began)
            if not path.startswith("/boot/") or path in build.facts.boot_by_scripts
        )
    build.facts.at_end = observe()
    databases.settle(build, [root / name for name in DATABASES])
    _machine_identity("/var/lib/dbus/machine-id" in cleaned.removed)
    labelled = _label(build)
    for path in (*cleaned.removed, *cleaned.emptied):
        build.report.verbose(f"left over from the build, removed: {path}")
    for path, who in cleaned.kept.items():
        build.report.verbose(f"kept, made by {who}: {path}")
    said = f"{len(cleaned.removed) + len(cleaned.emptied)} removed or emptied"
    return said + (f", {len(cleaned.kept)} kept" if cleaned.kept else "") + (", labelled" if labelled else "")


def _machine_identity(had_another: bool) -> None:
    """Leave an empty machine-id(5), so that each guest gets its own at boot, and D-Bus's link to it."""
    machine_id = tree.path("/etc/machine-id")
    if machine_id.parent.is_dir() and not machine_id.exists():
        machine_id.touch(mode=0o444)
    if had_another:
        tree.path("/var/lib/dbus/machine-id").symlink_to("/etc/machine-id")


def _label(build: Build) -> bool:
    """Write SELinux labels by the image's own policy, with its own setfiles(8)."""
    contexts = selinux_contexts()
    if contexts is None:
        return False
    if not tree.path("/usr/sbin/setfiles").exists():
        build.warn("the image has a SELinux policy but no setfiles: it relabels at its first boot")
        tree.path("/.autorelabel").touch()
        return False
    layout = build.facts.layout
    assert layout is not None
    labels.make_lost_and_found(layout)
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
    policy = labels.read_contexts(contexts)
    labels.label_mounted(policy, layout)
    labels.label_beneath(policy, layout)
    return True
