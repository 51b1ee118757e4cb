# SPDX-License-Identifier: MIT
"""The space of an XFS: superblock, allocation groups, free extents (Documentation of XFS: "XFS Algorithms &
Data Structures", chapters on allocation groups; fs/xfs/libxfs/xfs_format.h of Linux). Big-endian.
"""

from __future__ import annotations

import os
import struct

from builder.formats.crc32c import ALL, crc32c
from builder.image.disk.filesystems.disk import write_at
from builder.image.disk.filesystems.source import CannotHold, NoRoom

BLOCK, SECTOR, CHUNK = 4096, 512, 64
NULL32, NULL64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF
_INODE_FORK = 176  # xfs_dinode of version 3, before the forks
# Features that are not written: read-only compatible rmapbt; incompatible but ftype, sparse inodes,
# meta_uuid, bigtime, needsrepair and nrext64.
_RMAPBT, _KNOWN_INCOMPAT = 2, 0b111011
_INOBTCOUNT, _BIGTIME, _NREXT64 = 8, 8, 32
# No free extent below this is broken up, and this part of each group stays free: the kernel sets blocks
# apart for its btrees to grow, and complains where there are none (xfs_ag_resv.c).
_SMALLEST_RUN, _RESERVE = 16, 48


def seal(raw: bytearray, at: int) -> bytes:
    """Put the checksum of `raw` at its place: little-endian in a big-endian world."""
    raw[at : at + 4] = bytes(4)
    struct.pack_into("<I", raw, at, crc32c(bytes(raw)) ^ ALL)
    return bytes(raw)


class AllocationGroup:
    """An allocation group: what mkfs.xfs made of it, its free extents, its inode chunks.

    `free` are [start, size] in blocks; `chunks` map the first inode of a chunk to the mask of free ones.
    """

    def __init__(self, space: Space, number: int) -> None:
        self.number = number
        self.base = number * space.group_blocks * BLOCK
        self.agf, self.agi = (bytearray(space.read(self.base + k * SECTOR, SECTOR)) for k in (1, 2))
        self.by_block, self.by_size = struct.unpack_from(">II", self.agf, 16)
        (self.inobt,) = struct.unpack_from(">I", self.agi, 20)
        (self.finobt,) = struct.unpack_from(">I", self.agi, 328)
        leaf = space.read(self.base + self.by_block * BLOCK, BLOCK)
        (count,) = struct.unpack_from(">H", leaf, 6)
        self.free: list[list[int]] = [list(struct.unpack_from(">II", leaf, 56 + 8 * k)) for k in range(count)]
        self.room = sum(size for _, size in self.free)
        self.chunks: dict[int, int] = {}
        leaf = space.read(self.base + self.inobt * BLOCK, BLOCK)
        for k in range(struct.unpack_from(">H", leaf, 6)[0]):
            start, mask = struct.unpack_from(">I4xQ", leaf, 56 + 16 * k)
            self.chunks[start] = mask

    def take(self, place: int, skip: int, count: int) -> int:
        """Take `count` blocks of the free extent at `place`, `skip` from its start; return the first."""
        start, size = self.free[place]
        rest = ([start, skip], [start + skip + count, size - skip - count])
        self.free[place : place + 1] = [one for one in rest if one[1]]
        self.room -= count
        return start + skip


class Space:
    """The file system at `offset` of an open disk file, and what of it is free.

    Allocation goes through the groups in order: equal content gives equal bytes, and files are contiguous.

    Raises:
        CannotHold: it has features that are not written.
    """

    def __init__(self, descriptor: int, offset: int) -> None:
        self.descriptor, self.offset = descriptor, offset
        self.superblock = bytearray(self.read(0, SECTOR))

        def field(form: str, at: int) -> int:
            value: int = struct.unpack_from(">" + form, self.superblock, at)[0]
            return value

        if self.superblock[:4] != b"XFSB" or field("I", 4) != BLOCK or field("H", 102) != SECTOR:
            raise CannotHold("mkfs.xfs did not make blocks of 4096 and sectors of 512 bytes")
        read_only, incompatible = field("I", 212), field("I", 216)
        if read_only & _RMAPBT or incompatible & ~_KNOWN_INCOMPAT or self.superblock[192]:
            raise CannotHold(
                f"mkfs.xfs has made features that are not known: {read_only:#x} {incompatible:#x}"
            )
        self.uuid = bytes(self.superblock[32:48])
        self.group_blocks, self.group_count = field("I", 84), field("I", 88)
        self.inode_size, self.inode_log, self.group_log = (
            field("H", 104),
            self.superblock[123],
            self.superblock[124],
        )
        self.alignment, self.root = max(field("I", 180), 1), field("Q", 56)
        self.counted, self.bigtime = read_only & _INOBTCOUNT, incompatible & _BIGTIME
        self.nrext64 = incompatible & _NREXT64
        self.fork_room = self.inode_size - _INODE_FORK
        self.groups = [AllocationGroup(self, number) for number in range(self.group_count)]
        self.used = 0
        self._current = 0

    def read(self, at: int, size: int) -> bytes:
        """Return bytes of the file system."""
        return os.pread(self.descriptor, size, self.offset + at)

    def put(self, block: int, raw: bytes) -> None:
        """Write a block, or several."""
        write_at(self.descriptor, raw, self.offset + self.sector_of(block) * SECTOR)

    def sector_of(self, block: int) -> int:
        """Return the sector of a block (the group in its high bits)."""
        group, inside = block >> self.group_log, block & (1 << self.group_log) - 1
        return (group * self.group_blocks + inside) * (BLOCK // SECTOR)

    def allocate(self, want: int, *, whole: bool = True, align: int = 1) -> tuple[int, int]:
        """Return (block, count) of free space: `want` blocks or, unless `whole`, fewer.

        Raises:
            NoRoom: there is none.
        """
        for number in range(self._current, self.group_count):
            group = self.groups[number]
            spare = group.room - self.group_blocks // _RESERVE
            if spare < (want if whole else min(want, 64)):
                continue
            wanted = min(want, spare)
            for place, (start, size) in enumerate(group.free):
                skip = -start % align
                if size - skip < (wanted if whole else 1) or size < _SMALLEST_RUN:
                    continue
                got = min(wanted, size - skip)
                self.used += got
                return number << self.group_log | group.take(place, skip, got), got
            if whole and want <= 8:
                self._current = number + 1
        raise NoRoom
