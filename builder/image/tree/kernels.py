# SPDX-License-Identifier: MIT
"""The kernels of the image: which there are, and where they and their initramfs are in /boot."""

from __future__ import annotations

from builder.image.tree import tree
from builder.image.tree.files import TreePath
from builder.versions import version_key


def find_kernels() -> tuple[str, ...]:
    """Return the versions of the image's kernels, newest first."""
    found = [path.parent.name for path in tree.path("/usr/lib/modules").glob("*/vmlinuz") if path.is_file()]
    return tuple(sorted(found, key=version_key, reverse=True))


def install_kernel(version: str) -> None:
    """Copy a kernel to /boot where its package has not."""
    target = tree.path("/boot") / f"vmlinuz-{version}"
    if not target.exists():
        target.write_bytes(tree.path(f"/usr/lib/modules/{version}/vmlinuz").read_bytes())


def initramfs_of(version: str) -> TreePath:
    """Return where the initramfs of a kernel lies."""
    return tree.path("/boot") / f"initramfs-{version}.img"
