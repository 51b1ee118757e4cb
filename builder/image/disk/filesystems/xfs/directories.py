# SPDX-License-Identifier: MIT
"""Directories of an XFS in their forms: in the inode, in one block, with a leaf, with a node
(xfs_da_format.h; xfs_dir2_*.c of libxfs).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from builder.image.disk.filesystems.source import CannotHold
from builder.image.disk.filesystems.xfs.blocks import Blocks, name_hash
from builder.image.disk.filesystems.xfs.inodes import LOCAL, Fork, extent
from builder.image.disk.filesystems.xfs.space import BLOCK, NULL32

# Where hashes and free space begin in a directory, in blocks: at 32 and 64 GiB.
_LEAF_AT, _FREE_AT = 1 << 23, 1 << 24
_HEAD = 64
_LEAF, _NODE_LEAF, _NODE = 0x3DF1, 0x3DFF, 0x3EBE
_FOLDER = 2


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """A name in a directory."""

    name: bytes
    inode: int
    type: int


def directory_fork(
    blocks: Blocks, inode: int, parent: int, entries: Sequence[DirectoryEntry], room: int
) -> Fork:
    """Return the data fork of a directory: in the inode where `room` is enough.

    Raises:
        CannotHold: it has too many names.
        NoRoom: the file system is full.
    """
    wide = 8 if parent > NULL32 or any(one.inode > NULL32 for one in entries) else 4
    size = 2 + wide + sum(4 + wide + len(one.name) for one in entries)
    if size <= room and len(entries) < 256:
        return _short(parent, entries, wide, size)
    return _Directory(blocks, inode, parent, entries).write()


def _short(parent: int, entries: Sequence[DirectoryEntry], wide: int, size: int) -> Fork:
    out = [bytes((len(entries), len(entries) if wide == 8 else 0)), parent.to_bytes(wide, "big")]
    at = 96  # of the first entry, had it a block
    for one in entries:
        name = one.name
        out += [bytes((len(name),)), at.to_bytes(2, "big"), name, bytes((one.type,))]
        out.append(one.inode.to_bytes(wide, "big"))
        at += 12 + len(name) + 7 & ~7
    return Fork(form=LOCAL, data=b"".join(out), size=size)


class _Directory:
    """A directory in blocks of its own."""

    def __init__(self, blocks: Blocks, inode: int, parent: int, entries: Sequence[DirectoryEntry]) -> None:
        self.blocks, self.inode = blocks, inode
        rows = [DirectoryEntry(b".", inode, _FOLDER), DirectoryEntry(b"..", parent, _FOLDER), *entries]
        self.data: list[tuple[bytearray, int]] = []
        self.hashes: list[tuple[int, int]] = []
        self._fill(rows)
        sizes = sum(12 + len(one.name) + 7 & ~7 for one in rows)
        self.single = _HEAD + sizes + 8 * len(rows) + 8 <= BLOCK

    def _fill(self, rows: Sequence[DirectoryEntry]) -> None:
        """Put the entries into data blocks, none across the end of one."""
        raw, at = bytearray(BLOCK), _HEAD
        for one in rows:
            name = one.name
            size = 12 + len(name) + 7 & ~7
            if at + size > BLOCK:
                self.data.append((raw, at))
                raw, at = bytearray(BLOCK), _HEAD
            struct.pack_into(f">QB{len(name)}sB", raw, at, one.inode, len(name), name, one.type)
            struct.pack_into(">H", raw, at + size - 2, at)
            self.hashes.append((name_hash(name), (len(self.data) * BLOCK + at) >> 3))
            at += size
        self.data.append((raw, at))
        self.hashes.sort()

    def write(self) -> Fork:
        """Write the blocks; return the fork that leads to them."""
        count = len(self.data)
        first, _ = self.blocks.space.allocate(count)
        best = [self._put_data(number, first) for number in range(count)]
        data = extent(0, first, count)
        if self.single:
            return Fork(data=data, size=count * BLOCK, blocks=count, extents=1)
        if _HEAD + 8 * len(self.hashes) + 2 * len(best) + 4 <= BLOCK:
            leaf = self._put_leaf(best)
            return Fork(data=data + leaf, size=count * BLOCK, blocks=count + 1, extents=2)
        leaves, tree = self._put_tree(best)
        free = self._put_free(best)
        return Fork(data=data + tree + free, size=count * BLOCK, blocks=count + leaves + 1, extents=3)

    def _put_data(self, number: int, first: int) -> int:
        """Write a data block; return the largest free run in it."""
        raw, at = self.data[number]
        end = BLOCK - 8 * len(self.hashes) - 8 if self.single else BLOCK
        if end > at:
            struct.pack_into(">HH", raw, 48, at, end - at)
            struct.pack_into(">HH", raw, at, 0xFFFF, end - at)
            struct.pack_into(">H", raw, end - 2, at)
        if self.single:
            raw[end:] = self._packed(self.hashes) + struct.pack(">II", len(self.hashes), 0)
        magic = b"XDB3" if self.single else b"XDD3"
        self.blocks.put_directory(raw, magic, first + number, self.inode)
        return end - at

    @staticmethod
    def _packed(hashes: Sequence[tuple[int, int]]) -> bytes:
        return b"".join(struct.pack(">II", *one) for one in hashes)

    def _put_leaf(self, best: Sequence[int]) -> bytes:
        block, _ = self.blocks.space.allocate(1)
        raw = bytearray(BLOCK)
        struct.pack_into(">HH", raw, 56, len(self.hashes), 0)
        packed = self._packed(self.hashes)
        raw[_HEAD : _HEAD + len(packed)] = packed
        tail = struct.pack(f">{len(best)}HI", *best, len(best))
        raw[BLOCK - len(tail) :] = tail
        self.blocks.put_node(raw, _LEAF, block, self.inode)
        return extent(_LEAF_AT, block, 1)

    def _put_tree(self, best: Sequence[int]) -> tuple[int, bytes]:
        """Write the leaves, and a node above them unless one is enough."""
        per = (BLOCK - _HEAD) // 8
        hashes = self.hashes
        leaves = -(-len(hashes) // per)
        if leaves > per or len(best) > (BLOCK - _HEAD) // 2:
            raise CannotHold("a folder has more than 250,000 names")
        shift = 1 if leaves > 1 else 0
        block, _ = self.blocks.space.allocate(leaves + shift)
        node = bytearray(BLOCK)
        for k in range(leaves):
            part = hashes[k * len(hashes) // leaves : (k + 1) * len(hashes) // leaves]
            raw = bytearray(BLOCK)
            struct.pack_into(">HH", raw, 56, len(part), 0)
            raw[_HEAD : _HEAD + 8 * len(part)] = self._packed(part)
            here = _LEAF_AT + shift + k
            self.blocks.put_node(
                raw, _NODE_LEAF, block + shift + k, self.inode,
                forward=here + 1 if k + 1 < leaves else 0, back=here - 1 if k else 0,
            )  # fmt: skip
            struct.pack_into(">II", node, _HEAD + 8 * k, part[-1][0], here)
        if shift:
            struct.pack_into(">HH", node, 56, leaves, 1)
            self.blocks.put_node(node, _NODE, block, self.inode)
        return leaves + shift, extent(_LEAF_AT, block, leaves + shift)

    def _put_free(self, best: Sequence[int]) -> bytes:
        """Write the block of the free space of each data block."""
        block, _ = self.blocks.space.allocate(1)
        raw = bytearray(BLOCK)
        struct.pack_into(f">III4x{len(best)}H", raw, 48, 0, len(best), len(best), *best)
        self.blocks.put_directory(raw, b"XDF3", block, self.inode)
        return extent(_FREE_AT, block, 1)
