# SPDX-License-Identifier: MIT
"""File systems written into a disk file: no loop device, no mount, no block device.

One module a file system; this one knows which there are, measures a tree, and writes a whole layout.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from builder.errors import BuildError, CommandFailed, InputError, Problem
from builder.image.disk.filesystems import refused
from builder.image.disk.filesystems.disk import Disk
from builder.image.disk.filesystems.ext import ExtWriter
from builder.image.disk.filesystems.swap import SwapWriter
from builder.image.disk.filesystems.vfat import VfatWriter
from builder.image.disk.placement import DiskLayout, Placed, Usage
from builder.kickstart.plan import Partition
from builder.runner import Runner

BLOCK = 4096
# Room for attributes in an inode of 256 bytes: behind i_extra_isize 32 and the magic.
_XATTR_SPACE = 256 - 128 - 32 - 4


class Writer(Protocol):
    """Writes one kind of file system."""

    def check(self, partition: Partition) -> tuple[Problem, ...]:
        """Return why `partition` cannot be written; pure, so that a plan can be refused."""

    def capacity(self, size: int, mkfsoptions: str | None = None) -> Usage:
        """Return what fits into a file system of `size` bytes."""

    def write(self, disk: Disk, placed: Placed, source: Path | None) -> None:
        """Make the file system at `placed`, filled with what `source` holds.

        Args:
            source: folder whose content becomes the file system's root; None: an empty one.

        Raises:
            BuildError: the content does not fit, or cannot be held by this file system.
        """


_WRITERS: Mapping[str, Writer] = {
    "ext2": ExtWriter(fstype="ext2"),
    "ext3": ExtWriter(fstype="ext3"),
    "ext4": ExtWriter(fstype="ext4"),
    "vfat": VfatWriter(),
    "efi": VfatWriter(),
    "swap": SwapWriter(),
    "xfs": refused.XFS,
    "btrfs": refused.BTRFS,
}

# Partitions that hold no file system.
RAW = ("biosboot", "prepboot")


def writer_for(fstype: str) -> Writer | None:
    """Return the writer of `fstype`; None for one that we do not know."""
    return _WRITERS.get(fstype)


def check(partition: Partition) -> tuple[Problem, ...]:
    """Return why the file system of `partition` cannot be written."""
    if partition.fstype in RAW:
        return ()
    writer = writer_for(partition.fstype)
    if writer is None:
        return (
            Problem(
                message=f"file system {partition.fstype} is not known",
                where=str(partition.place) if partition.place else None,
                hint="use one of " + ", ".join(_WRITERS),
            ),
        )
    return writer.check(partition)


def measure(folder: Path) -> Usage:
    """Return what `folder` takes, without the file systems mounted below it.

    Hard links count once, holes not at all; attributes that do not fit into an inode take a block.
    """
    device = folder.stat().st_dev
    seen: set[int] = set()
    blocks = _blocks_of_folder(0) + 4  # lost+found
    inodes = 1
    pending = [os.fsencode(folder)]
    while pending:
        names = 0
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                info = entry.stat(follow_symlinks=False)
                names += 12 + len(entry.name)
                if info.st_nlink > 1 and not stat.S_ISDIR(info.st_mode):
                    if info.st_ino in seen:
                        continue
                    seen.add(info.st_ino)
                inodes += 1
                blocks += _blocks_of_attributes(entry.path)
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
    return Usage(bytes=blocks * BLOCK, inodes=inodes)


def _blocks_of_folder(names: int) -> int:
    # Entries do not cross blocks: a twentieth is lost.
    return 1 + int(names * 1.05) // BLOCK


def _blocks_of_attributes(path: bytes) -> int:
    try:
        names = os.listxattr(path, follow_symlinks=False)
        if len(names) < 2:
            # One attribute (a label, as a rule) fits, and this is the usual case.
            return int(bool(names) and len(os.getxattr(path, names[0], follow_symlinks=False)) > 60)
        need = sum(20 + len(name) + len(os.getxattr(path, name, follow_symlinks=False)) for name in names)
    except OSError:
        return 0
    return int(need > _XATTR_SPACE)


def write_all(
    disk_file: Path,
    layout: DiskLayout,
    sources: Mapping[str, Path],
    *,
    runner: Runner,
    epoch: int | None,
    work: Path,
) -> None:
    """Write every partition of `layout`.

    Args:
        sources: mount point -> folder that shows that file system's content only.

    Raises:
        BuildError: as `Writer.write`.
    """
    disk = Disk(file=disk_file, runner=runner, epoch=epoch, work=work)
    for placed in layout.partitions:
        if placed.fstype in RAW:
            continue
        writer = writer_for(placed.fstype)
        if writer is None:
            raise BuildError(f"{placed.where}: file system {placed.fstype} is not known")
        source = sources.get(placed.mountpoint) if placed.mountpoint else None
        writer.write(disk, placed, source)


def rehearse(layout: DiskLayout, *, runner: Runner, work: Path) -> None:
    """Make the file systems that have --mkfsoptions once, empty, before anything else is done.

    Only mkfs knows which options it takes; without this a typing error would be told after everything
    has been installed. Takes some hundredths of a second, and nothing where no options are given.

    Raises:
        InputError: naming the partition, with what mkfs said.
    """
    scratch = work / "rehearsal"
    disk = Disk(file=scratch, runner=runner, epoch=None, work=work)
    try:
        for placed in layout.partitions:
            writer = writer_for(placed.fstype)
            if placed.mkfsoptions and writer:
                with scratch.open("wb") as file:
                    file.truncate(placed.size)
                writer.write(disk, replace(placed, start=0), None)
    except CommandFailed as error:
        raise InputError(error.message, hint=error.hint) from error
    finally:
        scratch.unlink(missing_ok=True)
