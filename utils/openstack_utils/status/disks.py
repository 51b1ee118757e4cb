# SPDX-License-Identifier: MIT
"""The room on the file systems that services keep their data on."""

import os
from typing import NamedTuple

from .asking import LeftOut

# Both: a twentieth of a large array is much, and 10 GiB of a small disk is not little.
LOW_SHARE, LOW_BYTES = 0.05, 10 << 30


class Room(NamedTuple):
    """A file system: its device, where it is mounted, bytes, and the shares of bytes and inodes left."""

    device: int
    mount: str
    free: int
    total: int
    inodes_free: float

    @property
    def is_low(self):
        share = self.free / self.total if self.total else 1.0
        return (share < LOW_SHARE and self.free < LOW_BYTES) or self.inodes_free < LOW_SHARE


def look(path, limit):
    """Return the Room of the file system that a folder is on; None where it is not there.

    What hangs (NFS) cannot be ended from here: nobody waits for it beyond the limit.
    """
    del limit
    try:
        status = os.stat(path)
        found = os.statvfs(path)
    except FileNotFoundError:
        return None
    except PermissionError:
        raise LeftOut("%s may not be read" % path) from None
    # Some file systems have no fixed number of inodes.
    inodes = found.f_favail / found.f_files if found.f_files else 1.0
    mount = _mount_of(path, status.st_dev)
    return Room(
        status.st_dev, mount, found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize, inodes
    )


def _mount_of(path, device):
    path = os.path.realpath(path)
    while path != "/":
        parent = os.path.dirname(path)
        try:
            if os.stat(parent).st_dev != device:
                return path
        except OSError:
            return path
        path = parent
    return path
