# SPDX-License-Identifier: MIT
"""What is written last: the btrees of inodes and of free space, the headers of the groups, the superblock.

The blocks that mkfs.xfs made are the roots (xfs_ialloc_btree.c, xfs_alloc_btree.c of libxfs).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from builder.image.disk.filesystems.disk import write_at
from builder.image.disk.filesystems.source import CannotHold
from builder.image.disk.filesystems.xfs.blocks import Blocks
from builder.image.disk.filesystems.xfs.space import BLOCK, CHUNK, NULL32, SECTOR, AllocationGroup, seal

_HEAD = 56
_RECORDS = (BLOCK - _HEAD) // 16
_POINTERS = (BLOCK - _HEAD) // 8
_EXTENTS = (BLOCK - _HEAD) // 8


def finish(blocks: Blocks) -> None:
    """Write all of them; nothing is allocated afterwards.

    Raises:
        CannotHold: a group has more inodes, or more free extents, than such trees are written for.
    """
    space = blocks.space
    total = free = 0
    for group in space.groups:
        count, unused = _finish_inodes(blocks, group)
        total, free = total + count, free + unused
        _finish_space(blocks, group)
    (size,) = struct.unpack_from(">Q", space.superblock, 144)
    struct.pack_into(">QQQ", space.superblock, 128, total, free, size - space.used)
    _put_sector(blocks, space.superblock, 224, 0)


def _put_sector(blocks: Blocks, raw: bytearray, checksum: int, at: int) -> None:
    write_at(blocks.space.descriptor, seal(raw, checksum), blocks.space.offset + at)


def _finish_inodes(blocks: Blocks, group: AllocationGroup) -> tuple[int, int]:
    """Write both inode btrees and the group's header for them; return (inodes, free ones)."""
    rows = sorted(group.chunks.items())
    level, size = _put_inodes(blocks, group, b"IAB3", group.inobt, rows)
    with_free = [one for one in rows if one[1]]
    free_level, free_size = _put_inodes(blocks, group, b"FIB3", group.finobt, with_free)
    count, unused = len(rows) * CHUNK, sum(mask.bit_count() for _, mask in rows)
    struct.pack_into(">III", group.agi, 16, count, group.inobt, level)
    struct.pack_into(">II", group.agi, 28, unused, rows[-1][0] if rows else NULL32)
    struct.pack_into(">II", group.agi, 328, group.finobt, free_level)
    if blocks.space.counted:
        struct.pack_into(">II", group.agi, 336, size, free_size)
    _put_sector(blocks, group.agi, 312, group.base + 2 * SECTOR)
    return count, unused


def _put_inodes(
    blocks: Blocks, group: AllocationGroup, magic: bytes, root: int, rows: Sequence[tuple[int, int]]
) -> tuple[int, int]:
    """Write an inode btree of one level or two; return (levels, blocks)."""
    packed = [struct.pack(">IHBBQ", start, 0, CHUNK, mask.bit_count(), mask) for start, mask in rows]
    leaves = [packed[k : k + _RECORDS] for k in range(0, len(packed), _RECORDS)] or [[]]
    if len(leaves) == 1:
        _put_records(blocks, group, magic, root, packed)
        return 1, 1
    if len(leaves) > _POINTERS:
        raise CannotHold("more than 8 million files in an allocation group of xfs")
    if len(leaves[-1]) < _RECORDS // 2:  # no leaf below half
        both = leaves[-2] + leaves[-1]
        leaves[-2:] = [both[: len(both) // 2], both[len(both) // 2 :]]
    place = next(place for place, one in enumerate(group.free) if one[1] >= len(leaves))
    first = group.take(place, 0, len(leaves))
    blocks.space.used += len(leaves)
    node = bytearray(BLOCK)
    for k, leaf in enumerate(leaves):
        left = first + k - 1 if k else NULL32
        right = first + k + 1 if k + 1 < len(leaves) else NULL32
        _put_records(blocks, group, magic, first + k, leaf, left=left, right=right)
        node[_HEAD + 4 * k : _HEAD + 4 + 4 * k] = leaf[0][:4]
        struct.pack_into(">I", node, _HEAD + 4 * _POINTERS + 4 * k, first + k)
    blocks.put_btree(node, magic, 1, len(leaves), group, root)
    return 2, 1 + len(leaves)


def _put_records(
    blocks: Blocks, group: AllocationGroup, magic: bytes, block: int, records: Sequence[bytes],
    *, left: int = NULL32, right: int = NULL32,
) -> None:  # fmt: skip
    raw = bytearray(BLOCK)
    packed = b"".join(records)
    raw[_HEAD : _HEAD + len(packed)] = packed
    blocks.put_btree(raw, magic, 0, len(records), group, block, left=left, right=right)


def _finish_space(blocks: Blocks, group: AllocationGroup) -> None:
    """Write both btrees of free space, by block and by size, and the group's header for them."""
    if len(group.free) > _EXTENTS:
        raise CannotHold("the free space of xfs is in too many pieces")
    by_size = sorted(group.free, key=lambda one: (one[1], one[0]))
    for magic, root, rows in ((b"AB3B", group.by_block, group.free), (b"AB3C", group.by_size, by_size)):
        raw = bytearray(BLOCK)
        packed = b"".join(struct.pack(">II", *one) for one in rows)
        raw[_HEAD : _HEAD + len(packed)] = packed
        blocks.put_btree(raw, magic, 0, len(rows), group, root)
    sizes = [size for _, size in group.free] or [0]
    struct.pack_into(">II", group.agf, 52, sum(sizes), max(sizes))
    _put_sector(blocks, group.agf, 216, group.base + SECTOR)
