# SPDX-License-Identifier: MIT
"""btrfs with subvolumes, all of it ours: no mkfs.btrfs, no mount.

`mkfs.btrfs --rootdir` loses device numbers and nanoseconds, differs from release to release, and makes no
subvolumes before 6.12. Format: btrfs's "On-disk Format" (Documentation of btrfs-progs) and btrfs_tree.h.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.image.disk.filesystems.btrfs.chunks import METADATA_SPARE
from builder.image.disk.filesystems.btrfs.compression import compression_of
from builder.image.disk.filesystems.btrfs.filesystem import BtrfsFileSystem, SubvolumeRequest
from builder.image.disk.filesystems.disk import DiskFile
from builder.image.disk.filesystems.source import Source, holding
from builder.image.disk.placement import MIB, FstabLine, PlacedContent, Usage
from builder.kickstart.disk.filesystems import btrfs_metadata

# Up to the second superblock, where the system chunks lie, and what rounding takes.
_FIXED = 72 * MIB


@dataclass(frozen=True, slots=True)
class BtrfsWriter:
    """Writes btrfs."""

    def capacity(self, size: int, mkfsoptions: str | None = None) -> Usage:
        """Return the room for data next to the metadata; inodes are not limited."""
        copies = 2 if btrfs_metadata(mkfsoptions) == "dup" else 1
        room = size - _FIXED - copies * max(METADATA_SPARE, size // 50)
        return Usage(bytes=max(0, room), inodes=max(0, room // 2048))

    def write(self, disk: DiskFile, placed: PlacedContent, sources: Mapping[str, Path]) -> None:
        """Write it with its subvolumes, each with the content of its source.

        Raises:
            BuildError: something cannot be held, or does not fit.
        """
        descriptor = os.open(disk.file, os.O_RDWR)
        try:
            with holding(placed):
                BtrfsFileSystem(
                    descriptor,
                    placed.start,
                    placed.size,
                    fsid=uuid.UUID(placed.uuid),
                    label=placed.label or "",
                    epoch=disk.epoch,
                    duplicate=btrfs_metadata(placed.mkfsoptions) == "dup",
                    labels=disk.labels,
                ).write(_wanted(placed, sources))
        finally:
            os.close(descriptor)


def make_writer(_fstype: str) -> BtrfsWriter:
    """Return what writes it."""
    return BtrfsWriter()


def _wanted(placed: PlacedContent, sources: Mapping[str, Path]) -> list[SubvolumeRequest]:
    """Return the top level and the subvolumes, those first that others are in."""
    top = FstabLine(mountpoint=placed.mountpoint, placed=placed) if placed.mountpoint else None
    found = [
        SubvolumeRequest(path="", source=_source(top, placed, sources), compression=compression_of(placed))
    ]
    for one in placed.subvolumes:
        mount = FstabLine(mountpoint=one.mountpoint, placed=placed, subvolume=one) if one.mountpoint else None
        compression = compression_of(mount) if mount else None
        found.append(
            SubvolumeRequest(path=one.path, source=_source(mount, placed, sources), compression=compression)
        )
    return found


def _source(mount: FstabLine | None, placed: PlacedContent, sources: Mapping[str, Path]) -> Source:
    """Return what goes to `mount`: what is below other mount points of the same file system does not."""
    folder = sources.get(mount.mountpoint) if mount else None
    others = (sources.get(one.mountpoint) for one in placed.mounts if one != mount)
    return Source(folder=folder, elsewhere=frozenset(os.fsencode(other) for other in others if other))
