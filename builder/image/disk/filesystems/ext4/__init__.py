# SPDX-License-Identifier: MIT
"""ext4: mke2fs(8) of the host makes it empty, and we put in what the kernel would.

Its own way to fill one (`-d`) loses nanoseconds, takes twice the time, and lays files out so that one more
moves all that follow. Kept: owners, modes, nanoseconds, hard links, holes, devices, any name, attributes of
user., trusted. and security., ACLs.
"""

from __future__ import annotations

import os
from pathlib import Path

from builder.image.disk.filesystems.disk import DiskFile
from builder.image.disk.filesystems.ext4.content import Content
from builder.image.disk.filesystems.ext4.inodes import Inodes
from builder.image.disk.filesystems.ext4.space import Space


def fill(disk: DiskFile, offset: int, source: Path) -> bool:
    """Fill the empty ext4 at byte `offset` of a disk; say whether it is one that we can.

    Args:
        source: the folder whose content it gets.

    Raises:
        NoRoom: the content does not fit.
        CannotHold: naming the path, and why.
    """
    descriptor = os.open(disk.file, os.O_RDWR | os.O_CLOEXEC)
    try:
        space = Space(descriptor, offset)
        if not space.is_known:
            return False
        space.load()
        inodes = Inodes(space, epoch=disk.epoch)
        Content(space, inodes, disk).fill(source)
        space.finish(inodes.folders)
    finally:
        os.close(descriptor)
    return True
