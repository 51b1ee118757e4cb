# SPDX-License-Identifier: MIT
"""Labels that setfiles(8) does not give: below mount points, where the kernel mounts its own, and on mounts.

setfiles passes over what is mounted without `seclabel`: all mounts, where the host's kernel has no SELinux.
"""

from __future__ import annotations

import os
from pathlib import Path

from builder.formats.file_contexts import FileContexts
from builder.image.disk.layout import own_mountpoints
from builder.image.disk.placement import DiskLayout
from builder.image.isolation import mounts
from builder.image.tree import tree
from builder.kickstart.disk.filesystems import EXT

_ATTRIBUTE = "security.selinux"
_KERNEL = ("/dev", "/proc", "/sys", "/run")
_HERE = Path("/tmp/beneath")


def read_contexts(path: str) -> FileContexts:
    """Return the file contexts of the policy whose file_contexts is at `path` of the image."""

    def text(suffix: str) -> str:
        file = tree.path(path + suffix)
        return file.read_text() if file.is_file() else ""

    return FileContexts([text(""), text(".homedirs"), text(".local")], [text(".subs_dist"), text(".subs")])


def make_lost_and_found(layout: DiskLayout) -> None:
    """Make the folder that mke2fs(8) would make, so that it gets its label with the rest."""
    for mount in layout.mounts:
        if mount.placed.fstype in EXT:
            folder = tree.path(mount.mountpoint) / "lost+found"
            if not folder.exists():
                folder.mkdir(mode=0o700)


def label_mounted(contexts: FileContexts, layout: DiskLayout) -> None:
    """Label what is mounted below the root; vfat holds no labels."""
    for mount in layout.mounts:
        if mount.mountpoint == "/" or mount.placed.fstype == "vfat":
            continue
        top = tree.path(mount.mountpoint)
        for path in (top, *top.glob("**/*")):
            label = contexts.lookup(str(path), path.lstat().st_mode)
            if label is not None:
                path.set_attribute(_ATTRIBUTE, label.encode() + b"\0")


def label_beneath(contexts: FileContexts, layout: DiskLayout) -> int:
    """Label the folders below mount points and the kernel's file systems; return how many."""
    # Further subvolumes are folders of their file system's first one, until they are written.
    points = [point for placed in layout.volumes for point in own_mountpoints(placed)]
    sources = tree.separate(tuple(points), _HERE)
    try:
        hidden = {point: tree.below(_without(sources, point), point) for point in points if point != "/"}
        hidden |= {name: sources["/"] / name.lstrip("/") for name in _KERNEL}
        return sum(_label(contexts, name, folder) for name, folder in hidden.items())
    finally:
        for folder in sources.values():
            mounts.unmount(os.fspath(folder))


def _without(sources: dict[str, Path], point: str) -> dict[str, Path]:
    return {one: folder for one, folder in sources.items() if one != point}


def _label(contexts: FileContexts, name: str, folder: Path) -> bool:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        label = contexts.lookup(name, os.fstat(descriptor).st_mode)
        if label is not None:
            os.setxattr(descriptor, _ATTRIBUTE, label.encode() + b"\0")
        return label is not None
    finally:
        os.close(descriptor)
