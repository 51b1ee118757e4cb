# SPDX-License-Identifier: MIT
"""Inodes of an XFS: their numbers, their bytes (struct xfs_dinode, version 3)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from builder.image.disk.filesystems.source import Status
from builder.image.disk.filesystems.xfs.space import (
    BLOCK,
    CHUNK,
    NULL32,
    NULL64,
    AllocationGroup,
    Space,
    seal,
)

_FORKS, _CHECKSUM = 176, 100
_BIGTIME_FLAG, _NREXT64_FLAG = 8, 16
# bigtime counts nanoseconds from the least time of the old format (xfs_format.h, XFS_BIGTIME_EPOCH_OFFSET).
_BIGTIME_ZERO = 1 << 31
BILLION = 10**9
# enum xfs_dinode_fmt
DEVICE, LOCAL, EXTENTS = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Fork:
    """A fork of an inode: its format, the bytes inside the inode, and what it takes outside."""

    form: int = EXTENTS
    data: bytes = b""
    size: int = 0
    blocks: int = 0
    extents: int = 0


NO_ATTRIBUTES = Fork(form=LOCAL)


def extent(first: int, block: int, count: int) -> bytes:
    """Return an extent record: `count` blocks of a file from its block `first`, at `block` of the disk."""
    return (first << 73 | block << 21 | count).to_bytes(16, "big")


class Inodes:
    """Numbers and bytes of inodes; chunks of 64 are allocated as they are needed."""

    def __init__(self, space: Space, *, epoch: int) -> None:
        self.space, self.epoch = space, epoch
        self._bits = space.group_log + space.inode_log
        self._bytes: dict[int, bytes] = {}
        self._slots: list[int] = []
        self._latest = epoch * BILLION
        self._change = self.time(self._latest)
        self._open_chunk(space.groups[0], space.root & ((1 << self._bits) - 1))

    def new(self) -> int:
        """Return the number of a free inode, which is in use from now on."""
        space = self.space
        if not self._slots:
            block, _ = space.allocate(CHUNK * space.inode_size // BLOCK, align=space.alignment)
            group = space.groups[block >> space.group_log]
            start = (block & (1 << space.group_log) - 1) << space.inode_log
            group.chunks[start] = NULL64
            self._open_chunk(group, start)
        number = self._slots.pop()
        group, inside = space.groups[number >> self._bits], number & (1 << self._bits) - 1
        group.chunks[inside & ~(CHUNK - 1)] &= ~(1 << inside % CHUNK)
        return number

    def _open_chunk(self, group: AllocationGroup, start: int) -> None:
        high = group.number << self._bits
        mask = group.chunks[start]
        self._slots = [high | start + k for k in reversed(range(CHUNK)) if mask >> k & 1]

    def time(self, nanoseconds: int) -> int:
        """Return a time as it is stored, not later than the epoch; without bigtime from 1901 to 2038."""
        nanoseconds = min(nanoseconds, self._latest)
        if self.space.bigtime:
            return nanoseconds + _BIGTIME_ZERO * BILLION
        seconds = max(-(1 << 31), min(nanoseconds // BILLION, (1 << 31) - 1))
        return (seconds & NULL32) << 32 | nanoseconds % BILLION

    def put(self, number: int, info: Status, data: Fork, attributes: Fork, *, links: int) -> None:
        """Keep the bytes of an inode until `write`."""
        space = self.space
        raw = self._empty(number)
        offset = self._attribute_offset(data, attributes)
        modified = self.time(info.st_mtime_ns)
        struct.pack_into(
            ">2sHBBHIII", raw, 0,
            b"IN", info.st_mode, 3, data.form, 0, info.st_uid, info.st_gid, links,
        )  # fmt: skip
        blocks = data.blocks + attributes.blocks
        struct.pack_into(">QQQQQ", raw, 32, modified, modified, self._change, data.size, blocks)
        struct.pack_into(">Q", raw, 104, 1)
        flags = (_BIGTIME_FLAG if space.bigtime else 0) | (_NREXT64_FLAG if space.nrext64 else 0)
        struct.pack_into(">Q", raw, 120, flags)
        struct.pack_into(">Q", raw, 144, self._change)
        if space.nrext64:
            struct.pack_into(">Q", raw, 24, data.extents)
            struct.pack_into(">I", raw, 76, attributes.extents)
        else:
            struct.pack_into(">IH", raw, 76, data.extents, attributes.extents)
        struct.pack_into(">BB", raw, 82, offset, attributes.form if attributes.data else EXTENTS)
        raw[_FORKS : _FORKS + len(data.data)] = data.data
        at = _FORKS + offset * 8
        raw[at : at + len(attributes.data)] = attributes.data
        self._bytes[number] = seal(raw, _CHECKSUM)

    def _empty(self, number: int) -> bytearray:
        """Return the bytes of a free inode, without its checksum."""
        raw = bytearray(self.space.inode_size)
        struct.pack_into(">2sHBB", raw, 0, b"IN", 0, 3, EXTENTS)
        raw[83] = EXTENTS
        # The generation: any number; a hash of the inode's, so that it repeats.
        struct.pack_into(">II", raw, 92, number * 2654435761 & NULL32, NULL32)
        struct.pack_into(">Q", raw, 152, number)
        raw[160:176] = self.space.uuid
        return raw

    def _attribute_offset(self, data: Fork, attributes: Fork) -> int:
        """Return where the attribute fork begins, in units of 8 bytes; 0: there is none."""
        if not attributes.data:
            return 0
        if data.form == DEVICE:
            return 1
        # The kernel's usual place leaves room for the data fork to grow (xfs_bmap_forkoff).
        usual = 24 * 8
        if len(data.data) <= usual and len(attributes.data) <= self.space.fork_room - usual:
            return usual // 8
        return self.space.fork_room // 8 - -(-len(attributes.data) // 8)

    def write(self) -> None:
        """Write every chunk; what is not in use becomes a free inode."""
        self._settle_bitmaps()
        for group in self.space.groups:
            high = group.number << self._bits
            for start in group.chunks:
                numbers = [high | start + k for k in range(CHUNK)]
                raws = (self._bytes.get(one) or seal(self._empty(one), _CHECKSUM) for one in numbers)
                self.space.put((high | start) >> self.space.inode_log, b"".join(raws))

    def _settle_bitmaps(self) -> None:
        """Keep the inodes of the real-time bitmap and summary as mkfs made them, but for time and chance."""
        space = self.space
        for number in struct.unpack_from(">QQ", space.superblock, 64):
            at = space.sector_of(number >> space.inode_log) * 512
            at += (number & (1 << space.inode_log) - 1) * space.inode_size
            raw = bytearray(space.read(at, space.inode_size))
            for place in (32, 40, 48, 144):
                later = place in (48, 144)
                struct.pack_into(">Q", raw, place, self._change if later else self.time(0))
            struct.pack_into(">I", raw, 92, number)
            self._bytes[number] = seal(raw, _CHECKSUM)
