# SPDX-License-Identifier: MIT
"""The kernels of the image: which there are, and where they and their initramfs lie in /boot."""

from __future__ import annotations

import shutil
from pathlib import Path

from builder.image.tree import tree
from builder.versions import version_key


def find_kernels() -> tuple[str, ...]:
    """Return the versions of the image's kernels, newest first."""
    folder = tree.path("/usr/lib/modules")
    found = [path.parent.name for path in folder.glob("*/vmlinuz")] if folder.is_dir() else []
    return tuple(sorted(found, key=version_key, reverse=True))


def install_kernel(version: str) -> None:
    """Copy a kernel to /boot where its package has not."""
    target = tree.path("/boot") / f"vmlinuz-{version}"
    if not target.exists():
        shutil.copyfile(tree.path(f"/usr/lib/modules/{version}/vmlinuz"), target)


def initramfs_of(version: str) -> Path:
    """Return where the initramfs of a kernel lies."""
    return tree.path("/boot") / f"initramfs-{version}.img"
