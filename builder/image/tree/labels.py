# SPDX-License-Identifier: MIT
"""What the tree says of SELinux's labels: the file contexts of its policy."""

from __future__ import annotations

from builder.formats.file_contexts import FileContexts
from builder.image.disk.placement import DiskLayout
from builder.image.tree import tree
from builder.image.tree.settings.security import selinux_contexts
from builder.kickstart.disk.filesystems import EXT


def read_contexts() -> FileContexts | None:
    """Return the file contexts of the image's policy; None: it has none."""
    path = selinux_contexts()
    if path is None:
        return None

    def text(suffix: str) -> str:
        file = tree.path(f"{path}{suffix}")
        return file.read_text() if file.is_file() else ""

    return FileContexts.read(text)


def make_lost_and_found(layout: DiskLayout) -> None:
    """Make the folder that mke2fs(8) would make, so that it gets its label with the rest."""
    for mount in layout.mounts:
        if mount.placed.fstype in EXT:
            folder = tree.path(mount.mountpoint) / "lost+found"
            if not folder.exists():
                folder.mkdir(mode=0o700)
