# SPDX-License-Identifier: MIT
"""What a folder takes on a file system."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from builder.image.disk.filesystems.labels import Labels
from builder.image.disk.filesystems.source import TreeEntry, attributes
from builder.image.disk.placement import Usage

BLOCK = 4096
# Room for attributes in an inode of 256 bytes: after i_extra_isize 32 and the magic.
_XATTR_SPACE = 256 - 128 - 32 - 4


def measure(
    folder: Path,
    files: dict[str, int] | None = None,
    mountpoint: str = "/",
    *,
    known: dict[bytes, list[TreeEntry]] | None = None,
    labels: Labels | None = None,
) -> Usage:
    """Return what `folder` takes, without the file systems mounted below it.

    Hard links count once, holes not at all; attributes that do not fit into an inode take a block.

    Args:
        files: gets path -> bytes of each name of a regular file; names of one file share its bytes.
        mountpoint: where `folder` is in the image.
        known: gets path -> what is in it, sorted by name, of each folder.
        labels: SELinux's; None: files have their own.
    """
    top, above = len(os.fspath(folder)), mountpoint.rstrip("/")
    device = folder.stat().st_dev
    seen: set[int] = set()
    blocks = _blocks_of_folder(0) + 4  # lost+found
    inodes = 1
    pending = [os.fsencode(folder)]
    while pending:
        names = 0
        found: list[TreeEntry] = []
        path = pending.pop()
        with os.scandir(path) as entries:
            for entry in entries:
                info = entry.stat(follow_symlinks=False)
                need = _bytes_of_attributes(entry.path, info.st_mode, labels)
                found.append(TreeEntry(entry.name, entry.path, info, need == 0))
                names += 12 + len(entry.name)
                if files is not None and stat.S_ISREG(info.st_mode):
                    files[above + os.fsdecode(entry.path)[top:]] = info.st_size // info.st_nlink
                if info.st_nlink > 1 and not stat.S_ISDIR(info.st_mode):
                    if info.st_ino in seen:
                        continue
                    seen.add(info.st_ino)
                inodes += 1
                blocks += need > _XATTR_SPACE
                if stat.S_ISDIR(info.st_mode):
                    if info.st_dev == device:
                        pending.append(entry.path)
                    else:
                        blocks += 1
                elif stat.S_ISREG(info.st_mode):
                    blocks += -(-info.st_blocks * 512 // BLOCK)
                elif stat.S_ISLNK(info.st_mode) and info.st_size >= 60:
                    blocks += 1
        blocks += _blocks_of_folder(names)
        if known is not None:
            found.sort(key=lambda one: one.name)
            known[path] = found
    return Usage(bytes=blocks * BLOCK, inodes=inodes)


def _blocks_of_folder(names: int) -> int:
    # Entries do not cross blocks: a twentieth is lost.
    return 1 + int(names * 1.05) // BLOCK


def _bytes_of_attributes(path: bytes, mode: int, labels: Labels | None) -> int:
    """Return the bytes that attributes take: 0 where there are none; above `_XATTR_SPACE` a block."""
    try:
        found = attributes(path, mode, labels)
    except OSError:
        return 1
    if len(found) == 1:
        # One attribute (a label, as a rule) fits, and this is the usual case.
        size = len(found[0][1])
        return max(1, size) if size <= 60 else _XATTR_SPACE + 1
    return sum(20 + len(name) + len(value) for name, value in found)
