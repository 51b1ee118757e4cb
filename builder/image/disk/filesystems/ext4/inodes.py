# SPDX-License-Identifier: MIT
"""Inodes of an ext4, and what leads to the blocks of a file (inodes.rst, ifork.rst of Linux)."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Sequence
from typing import NamedTuple

from builder.formats.crc32c import crc32c
from builder.image.disk.filesystems.ext4.space import Space
from builder.image.disk.filesystems.source import CannotHold, Status

BILLION = 10**9
# struct ext4_inode, with the 32 bytes beyond the old 128.
_INODE = struct.Struct("<HHIIIIIHHIII60sIIIIHHHHHHHHIIIIIII")
# An extent tree of one extent.
_SINGLE = struct.Struct("<HHHHIIHHI36x")
HEAD = 160
_EXTRA = HEAD - 128
_SUM_LOW, _SUM_HIGH = 0x7C, 0x82
EXTENTS_FLAG = 0x80000
_EXTENT_MAGIC = 0xF30A
# So many runs of blocks, and blocks in each, an extent tree of one level has; an inode holds four.
_IN_INODE = 4
LONGEST_RUN = 32768


class Fork(NamedTuple):
    """What an inode says of its content: 60 bytes, size, blocks outside, flags."""

    data: bytes = bytes(60)
    size: int = 0
    blocks: int = 0
    flags: int = 0


class Extent(NamedTuple):
    """A run of blocks of a file: its first block there, on the file system, and how many."""

    first: int
    block: int
    length: int


def device_fork(info: os.stat_result) -> Fork:
    """Return what a device's inode holds (old_encode_dev, new_encode_dev of Linux); else zeroes."""
    if not (stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode)):
        return Fork()
    major, minor = os.major(info.st_rdev), os.minor(info.st_rdev)
    old = (major << 8 | minor) if major < 256 and minor < 256 else 0
    new = 0 if major < 256 and minor < 256 else minor & 0xFF | major << 8 | (minor & ~0xFF) << 12
    return Fork(data=struct.pack("<II52x", old, new))


class Inodes:
    """Makes the bytes of inodes; no time is later than the epoch (in seconds)."""

    def __init__(self, space: Space, *, epoch: int) -> None:
        self.space = space
        self.latest = epoch * BILLION
        self._change, self._change_more = epoch & 0xFFFFFFFF, _more(epoch, 0)
        self._last = 0
        self.folders: dict[int, int] = {}

    def new(self, *, folder: bool = False) -> int:
        """Take the next free inode."""
        self._last = self.space.take_inode(self._last)
        if folder:
            self.count_folder(self._last)
        return self._last

    def count_folder(self, number: int) -> None:
        """Note that an inode is a folder's."""
        group = (number - 1) // self.space.group_inodes
        self.folders[group] = self.folders.get(group, 0) + 1

    def put(
        self, number: int, info: Status, fork: Fork, *, links: int, attributes: bytes = b"", block: int = 0
    ) -> None:
        """Make an inode.

        Args:
            attributes: the bytes that follow the inode.
            block: the block with more of them.
        """
        space = self.space
        seconds, nanoseconds = divmod(min(info.st_mtime_ns, self.latest), BILLION)
        low, more = seconds & 0xFFFFFFFF, _more(seconds, nanoseconds)
        sectors = (fork.blocks + bool(block)) * (space.block // 512)
        raw = bytearray(space.inode_size)
        _INODE.pack_into(
            raw, 0,
            info.st_mode, info.st_uid & 0xFFFF, fork.size & 0xFFFFFFFF, low, self._change, low, 0,
            info.st_gid & 0xFFFF, links, sectors & 0xFFFFFFFF, fork.flags, 0, fork.data,
            0, block & 0xFFFFFFFF, fork.size >> 32, 0,
            sectors >> 32, block >> 32, info.st_uid >> 16, info.st_gid >> 16, 0, 0, _EXTRA, 0,
            self._change_more, more, more, self._change, self._change_more, 0, 0,
        )  # fmt: skip
        raw[HEAD : HEAD + len(attributes)] = attributes
        if space.summed:
            value = crc32c(bytes(raw), self.seed(number))
            struct.pack_into("<H", raw, _SUM_LOW, value & 0xFFFF)
            struct.pack_into("<H", raw, _SUM_HIGH, value >> 16)
        space.put_inode(number, raw)

    def seed(self, number: int) -> int:
        """Return what checksums of an inode's own blocks begin with; its generation is 0."""
        return crc32c(struct.pack("<I4x", number), self.space.seed)

    def extents(self, number: int, runs: Sequence[Extent], size: int) -> Fork:
        """Return the fork that leads to `runs`, its leaves written where there are many.

        Raises:
            CannotHold: there are too many.
        """
        if len(runs) == 1 and runs[0].length <= LONGEST_RUN:  # as a rule
            first, block, count = runs[0]
            data = _SINGLE.pack(
                _EXTENT_MAGIC, 1, _IN_INODE, 0, 0, first, count, block >> 32, block & 0xFFFFFFFF
            )
            return Fork(data, size, count, EXTENTS_FLAG)
        rows = [piece for run in runs for piece in _split(run)]
        blocks = sum(run.length for run in runs)
        if len(rows) <= _IN_INODE:
            return Fork(_node(rows, _IN_INODE, 60), size, blocks, EXTENTS_FLAG)
        space = self.space
        most = (space.block - 12) // 12
        if len(rows) > _IN_INODE * most:
            raise CannotHold("the free space is in too many pieces")
        leaves = []
        for start in range(0, len(rows), most):
            part = rows[start : start + most]
            raw = bytearray(_node(part, most, space.block))
            if space.summed:
                struct.pack_into(
                    "<I", raw, 12 + 12 * most, crc32c(bytes(raw[: 12 + 12 * most]), self.seed(number))
                )
            ((block, _),) = space.take(1)
            space.put(block, raw)
            leaves.append(Extent(part[0].first, block, 0))
        return Fork(_node(leaves, _IN_INODE, 60, depth=1), size, blocks + len(leaves), EXTENTS_FLAG)


def _split(run: Extent) -> list[Extent]:
    """Cut a run into such as an extent holds."""
    return [
        Extent(run.first + done, run.block + done, min(LONGEST_RUN, run.length - done))
        for done in range(0, run.length, LONGEST_RUN)
    ]


def _node(rows: Sequence[Extent], most: int, size: int, *, depth: int = 0) -> bytes:
    """Return a node of an extent tree: of leaves (`depth` 0), or of what leads to them."""
    raw = bytearray(size)
    struct.pack_into("<HHHHI", raw, 0, _EXTENT_MAGIC, len(rows), most, depth, 0)
    for place, row in enumerate(rows):
        low, high = row.block & 0xFFFFFFFF, row.block >> 32
        if depth:
            struct.pack_into("<IIHH", raw, 12 + 12 * place, row.first, low, high, 0)
        else:
            struct.pack_into("<IHHI", raw, 12 + 12 * place, row.first, row.length, high, low)
    return bytes(raw)


def _more(seconds: int, nanoseconds: int) -> int:
    """Return what a time has beyond its 32 signed bits: two bits of seconds, and nanoseconds."""
    signed = (seconds & 0xFFFFFFFF) - ((seconds & 0x80000000) << 1)
    return (seconds - signed >> 32 & 3) | nanoseconds << 2
