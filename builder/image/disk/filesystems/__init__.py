# SPDX-License-Identifier: MIT
"""File systems written into a disk file: no loop device, no mount, no block device.

One module or package for each, with `make_writer(fstype)`; this one finds them, and writes a whole layout.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, Protocol

from builder.errors import CommandFailed, InputError, Problem
from builder.image.disk.filesystems.disk import DiskFile, copy_pieces
from builder.image.disk.placement import DiskLayout, PlacedContent, PlacedVolume, Usage
from builder.kickstart.disk.filesystems import KINDS, RAW, uuid_of
from builder.kickstart.place import Place
from builder.kickstart.plan import Volume


class Writer(Protocol):
    """Writes one kind of file system."""

    def capacity(self, size: int, mkfsoptions: str | None = None) -> Usage:
        """Return what fits into a file system of `size` bytes."""

    def write(self, disk: DiskFile, placed: PlacedContent, sources: Mapping[str, Path]) -> None:
        """Make the file system at `placed`, filled with what the folders of its mount points hold.

        Args:
            sources: mount point -> folder whose content goes there; without one it stays empty.

        Raises:
            BuildError: the content does not fit, or cannot be held by this file system.
        """


# Loaded at once: a module that is missing is an error before a build begins.
_WRITERS: Mapping[str, Writer] = {
    fstype: importlib.import_module(f"{__name__}.{kind.module}").make_writer(fstype)
    for fstype, kind in KINDS.items()
    if kind.module
}


def writer_for(fstype: str) -> Writer | None:
    """Return the writer of `fstype`; None for a partition that holds no file system."""
    return _WRITERS.get(fstype)


def identify(
    volume: Volume, what: str, uuid: Callable[[str], str], number: Callable[[str], int]
) -> dict[str, Any]:
    """Return the fields of `PlacedContent` that say what is written; `what` names it for identifiers."""
    fstype = "vfat" if volume.fstype == "efi" else volume.fstype
    identity: str | None = None
    if fstype == "vfat":
        short = number(f"fs {what}") & 0xFFFFFFFF
        identity = f"{short >> 16:04X}-{short & 0xFFFF:04X}"
    elif fstype not in RAW:
        identity = uuid_of(fstype, volume.mkfsoptions) or uuid(f"fs {what}")
    return {
        "mountpoint": volume.mountpoint,
        "fstype": fstype,
        "uuid": identity,
        "hash_seed": uuid(f"hash {what}") if fstype.startswith("ext") else None,
        "label": volume.label,
        "fsoptions": volume.fsoptions,
        "mkfsoptions": volume.mkfsoptions,
        "subvolumes": volume.subvolumes,
        "hibernation": volume.hibernation,
    }


def write_all(disk: DiskFile, layout: DiskLayout, sources: Mapping[str, Path]) -> None:
    """Write every file system and swap area of `layout`.

    Args:
        sources: mount point -> folder that shows that file system's content only.

    Raises:
        BuildError: as `Writer.write`.
    """
    for placed in layout.volumes:
        writer = writer_for(placed.fstype)
        if writer is None:
            continue
        if isinstance(placed, PlacedVolume) and len(placed.pieces) > 1:
            _write_in_pieces(writer, disk, placed, sources)
        else:
            writer.write(disk, placed, sources)


def _write_in_pieces(
    writer: Writer, disk: DiskFile, placed: PlacedVolume, sources: Mapping[str, Path]
) -> None:
    """Write a volume of several partitions: whole, after the end of the disk, then to its places."""
    end = disk.file.stat().st_size
    try:
        os.truncate(disk.file, end + placed.size)
        writer.write(replace(disk, borrowed=None), replace(placed, start=end), sources)
        pieces, at = [], end
        for piece in placed.pieces:
            pieces.append((at, piece.size, piece.start))
            at += piece.size
        copy_pieces(disk.file, disk.file, pieces)
    finally:
        os.truncate(disk.file, end)


def try_mkfs_options(disk: DiskFile, layout: DiskLayout, places: Sequence[Place | None] = ()) -> None:
    """Make the file systems that have --mkfsoptions once, empty, before anything else is done.

    Only mkfs knows which options it takes; without this a typing error would come up after everything has
    been installed. Takes some hundredths of a second, and nothing where no options are given.

    Args:
        places: the lines of `layout`'s volumes, in their order.

    Raises:
        InputError: naming the line and the partition, with what mkfs said.
    """
    scratch = disk.work / "rehearsal"
    for placed, place in zip_longest(layout.volumes, places):
        writer = writer_for(placed.fstype)
        if not (placed.mkfsoptions and writer):
            continue
        try:
            with scratch.open("wb") as file:
                file.truncate(placed.size)
            writer.write(replace(disk, file=scratch), replace(placed, start=0), {})
        except CommandFailed as error:
            where = str(place) if place else None
            problem = Problem(message=error.message, where=where, hint=error.hint)
            raise InputError(problems=[problem]) from error
        finally:
            scratch.unlink(missing_ok=True)
