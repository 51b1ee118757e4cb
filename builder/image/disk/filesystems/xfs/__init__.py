# SPDX-License-Identifier: MIT
"""XFS (version 5): mkfs.xfs(8) of the host makes it empty, and we put in what the kernel would.

Its own way to fill one (`-p`) loses attributes (xfsprogs 6.1) or ACLs and device numbers (7.2). We keep the
geometry that mkfs.xfs chose: inodes, directories, attributes and data go into free extents, and the btrees,
headers and counters are rewritten. Kept: owners, modes, nanoseconds, hard links, holes, devices, any name,
attributes of user., trusted. and security., ACLs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.errors import CommandFailed
from builder.image.disk.filesystems.disk import DiskFile, copy_data
from builder.image.disk.filesystems.source import NewFolder, Status, holding, source_of
from builder.image.disk.filesystems.xfs.blocks import Blocks
from builder.image.disk.filesystems.xfs.btrees import finish
from builder.image.disk.filesystems.xfs.content import Content
from builder.image.disk.filesystems.xfs.inodes import BILLION, Inodes
from builder.image.disk.filesystems.xfs.space import Space
from builder.image.disk.placement import MIB, PlacedContent, Usage
from builder.kickstart.disk.filesystems import xfs_suboptions

# Stated, because the default differs by xfsprogs: 64 MiB is the default of 5.15 and later up to 128 GiB.
_LOG = 64 * MIB
# What we set where neither the target nor the kickstart does.
_DEFAULTS = {
    "m": {"crc": "1", "finobt": "1", "reflink": "1", "rmapbt": "0", "bigtime": "1", "inobtcount": "1"},
    "i": {"sparse": "1", "nrext64": "0"},
    "l": {"size": str(_LOG)},
}
# Suboptions that xfsprogs of some releases do not know, the newest first: 6.10 brought the ones for parent
# pointers and exchange, 6.0 nrext64, 5.10 bigtime and inobtcount.
_NEWER: tuple[tuple[tuple[str, str], ...], ...] = ((("n", "parent"), ("i", "exchange")), (("i", "nrext64"),))
# A part of every group stays free (see space.py), and blocks of btrees and headers.
_RESERVED_SHARE, _INODE = 40, 512
_MAXPCT = 25


@dataclass(frozen=True, slots=True)
class XfsWriter:
    """Writes XFS."""

    def capacity(self, size: int, mkfsoptions: str | None = None) -> Usage:
        """Return what fits: all but the log and the reserves; inodes may take a quarter of it."""
        given = xfs_suboptions(mkfsoptions)
        inode = given.get("i", {}).get("size", "")
        room = size - max(_LOG, size // 2048) - size // _RESERVED_SHARE - MIB
        inodes = size * _MAXPCT // 100 // (int(inode) if inode.isdigit() else _INODE)
        return Usage(bytes=max(0, room), inodes=inodes)

    def write(self, disk: DiskFile, placed: PlacedContent, sources: Mapping[str, Path]) -> None:
        """Make it at its place with the content of its source.

        Raises:
            CommandFailed: mkfs.xfs failed.
            BuildError: something cannot be held, or does not fit.
        """
        empty = disk.work / "empty.xfs"
        try:
            _make_empty(disk, placed, empty)
            copy_data(empty, disk.file, placed.start)
        finally:
            empty.unlink(missing_ok=True)
        source = source_of(placed.mountpoint, sources)
        descriptor = os.open(disk.file, os.O_RDWR)
        try:
            with holding(placed):
                blocks = Blocks(Space(descriptor, placed.start))
                inodes = Inodes(blocks.space, epoch=disk.epoch)
                root: Status = os.stat(source.folder) if source.folder else NewFolder(disk.epoch * BILLION)
                Content(blocks, inodes, disk.labels).fill(source, root)
                inodes.write()
                finish(blocks)
        finally:
            os.close(descriptor)


def make_writer(_fstype: str) -> XfsWriter:
    """Return what writes it."""
    return XfsWriter()


def _make_empty(disk: DiskFile, placed: PlacedContent, empty: Path) -> None:
    with empty.open("wb") as file:
        file.truncate(placed.size)
    for argv in _attempts(disk, placed):
        done = disk.run([*argv, str(empty)], ok=())
        if not done.returncode:
            return
        if "unknown option" not in done.stderr:
            break
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["no message"]
    raise CommandFailed(
        f"{placed.where}: mkfs.xfs failed (exit status {done.returncode}): {lines[0]}",
        hint=f"look at --mkfsoptions={placed.mkfsoptions!r}" if placed.mkfsoptions else None,
    )


def _attempts(disk: DiskFile, placed: PlacedContent) -> list[list[str]]:
    """Return the command for the newest xfsprogs, then for older ones."""
    options = {letter: dict(pairs) for letter, pairs in _DEFAULTS.items()}
    options.setdefault("n", {})["parent"] = "0"
    options["i"]["exchange"] = "0"
    for name, value in disk.xfs.items():
        options["i" if name == "sparse" else "m"][name] = str(value)
    options["m"]["uuid"] = placed.uuid or ""
    given = xfs_suboptions(placed.mkfsoptions)
    for letter, pairs in given.items():
        options.setdefault(letter, {}).update(pairs)
    found = [_command(options, placed)]
    for newer in _NEWER:
        for letter, name in newer:
            if name not in given.get(letter, {}):
                options.get(letter, {}).pop(name, None)
        found.append(_command(options, placed))
    return found


def _command(options: Mapping[str, Mapping[str, str]], placed: PlacedContent) -> list[str]:
    argv = ["mkfs.xfs", "-q", "-f", "-K"]
    for letter, pairs in options.items():
        if pairs:
            argv += [f"-{letter}", ",".join(f"{name}={value}" for name, value in pairs.items())]
    return [*argv, *(["-L", placed.label] if placed.label else [])]
