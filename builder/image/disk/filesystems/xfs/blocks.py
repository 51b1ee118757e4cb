# SPDX-License-Identifier: MIT
"""Blocks of an XFS that name their place and owner: of directories, attributes, links and btrees."""

from __future__ import annotations

import struct

from builder.image.disk.filesystems.xfs.space import NULL32, NULL64, AllocationGroup, Space, seal


def name_hash(name: bytes) -> int:
    """Return the hash of names in directories and attributes (xfs_da_hashname)."""
    value, place, left = 0, 0, len(name)
    while left >= 4:
        a, b, c, d = name[place : place + 4]
        value = a << 21 ^ b << 14 ^ c << 7 ^ d ^ ((value << 28 | value >> 4) & NULL32)
        place, left = place + 4, left - 4
    for byte in name[place:]:
        value = byte ^ ((value << 7 | value >> 25) & NULL32)
    return value


class Blocks:
    """Writes blocks with their headers."""

    def __init__(self, space: Space) -> None:
        self.space = space

    def put_node(
        self, raw: bytearray, magic: int, block: int, owner: int, *, forward: int = 0, back: int = 0
    ) -> None:
        """Write a block of a directory's or attribute's hash tree (struct xfs_da3_blkinfo)."""
        sector = self.space.sector_of(block)
        struct.pack_into(
            ">IIHxx4xQQ16sQ", raw, 0, forward, back, magic, sector, 0, self.space.uuid, owner
        )  # fmt: skip
        self.space.put(block, seal(raw, 12))

    def put_directory(self, raw: bytearray, magic: bytes, block: int, owner: int) -> None:
        """Write a block of entries, or of free space, of a directory (struct xfs_dir3_blk_hdr)."""
        sector = self.space.sector_of(block)
        struct.pack_into(">4s4xQQ16sQ", raw, 0, magic, sector, 0, self.space.uuid, owner)
        self.space.put(block, seal(raw, 4))

    def put_link(self, target: bytes, block: int, owner: int) -> None:
        """Write the target of a symbolic link that is too long for its inode (struct xfs_dsymlink_hdr)."""
        raw = bytearray(4096)
        raw[56 : 56 + len(target)] = target
        sector = self.space.sector_of(block)
        struct.pack_into(
            ">4sII4x16sQQQ", raw, 0, b"XSLM", 0, len(target), self.space.uuid, owner, sector, 0
        )  # fmt: skip
        self.space.put(block, seal(raw, 12))

    def put_value(self, value: bytes, at: int, block: int, owner: int) -> None:
        """Write a block of an attribute's value, from its byte `at` on (struct xfs_attr3_rmt_hdr)."""
        raw = bytearray(4096)
        raw[56 : 56 + len(value)] = value
        sector = self.space.sector_of(block)
        struct.pack_into(
            ">4sII4x16sQQQ", raw, 0, b"XARM", at, len(value), self.space.uuid, owner, sector, NULL64
        )  # fmt: skip
        self.space.put(block, seal(raw, 12))

    def put_btree(
        self, raw: bytearray, magic: bytes, level: int, count: int, group: AllocationGroup, block: int,
        *, left: int = NULL32, right: int = NULL32,
    ) -> None:  # fmt: skip
        """Write a block of a group's btree (struct xfs_btree_block, short form)."""
        where = group.number << self.space.group_log | block
        struct.pack_into(
            ">4sHHIIQQ16sI", raw, 0,
            magic, level, count, left, right, self.space.sector_of(where), 0, self.space.uuid, group.number,
        )  # fmt: skip
        self.space.put(where, seal(raw, 52))
