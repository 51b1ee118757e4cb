# SPDX-License-Identifier: MIT
"""Trees of btrfs: sorted items, cut into leaves, joined by nodes."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from builder.formats.crc32c import ALL as INVERTED
from builder.formats.crc32c import crc32c
from builder.image.disk.filesystems.btrfs.chunks import Chunk, Chunks
from builder.image.disk.filesystems.btrfs.items import GENERATION, NODE, Key, pack_key
from builder.image.disk.filesystems.disk import write_at
from builder.image.disk.filesystems.source import NoRoom

_HEADER, _ITEM, _POINTER = 101, 25, 33
ROOM = NODE - _HEADER
LARGEST_ITEM = ROOM - _ITEM
_POINTERS = ROOM // _POINTER
# Written, and of the kind of back references since 2.6.31 (BTRFS_MIXED_BACKREF_REV).
_FLAGS = 1 | 1 << 56


@dataclass(kw_only=True)
class BTree:
    """Items by key; then, once written, where its root is."""

    number: int
    items: dict[Key, bytes] = field(default_factory=dict)
    root: int = 0
    level: int = 0
    blocks: int = 0

    def leaves(self) -> list[list[tuple[Key, bytes]]]:
        """Cut the sorted items into leaves; an empty tree is one empty leaf."""
        found: list[list[tuple[Key, bytes]]] = [[]]
        size = 0
        for one in sorted(self.items.items()):
            more = _ITEM + len(one[1])
            if size + more > ROOM:
                found.append([])
                size = 0
            found[-1].append(one)
            size += more
        return found

    def levels(self) -> list[int]:
        """Return the level of each block, in the order in which they are written."""
        width, level = len(self.leaves()), 0
        found = [0] * width
        while width > 1:
            width, level = -(-width // _POINTERS), level + 1
            found += [level] * width
        return found


class TreeWriter:
    """Writes trees into chunks of metadata."""

    def __init__(self, chunks: Chunks, *, fsid: bytes, chunk_uuid: bytes) -> None:
        self.chunks, self._fsid, self._chunk_uuid = chunks, fsid, chunk_uuid

    def write(self, tree: BTree, chunk: Chunk) -> list[tuple[int, int]]:
        """Write the blocks of `tree`; return (address, level) of each.

        Raises:
            NoRoom: the chunk is full.
        """
        made: list[tuple[int, int]] = []
        row: list[tuple[Key, int]] = []
        for leaf in tree.leaves():
            address = self._put(tree, chunk, 0, len(leaf), _leaf(leaf))
            row.append((leaf[0][0] if leaf else (0, 0, 0), address))
            made.append((address, 0))
        level = 0
        while len(row) > 1:
            level += 1
            above = []
            for k in range(0, len(row), _POINTERS):
                part = row[k : k + _POINTERS]
                raw = b"".join(pack_key(*first) + struct.pack("<QQ", at, GENERATION) for first, at in part)
                address = self._put(tree, chunk, level, len(part), raw.ljust(ROOM, b"\0"))
                above.append((part[0][0], address))
                made.append((address, level))
            row = above
        tree.root, tree.level, tree.blocks = row[0][1], level, len(made)
        return made

    def _put(self, tree: BTree, chunk: Chunk, level: int, count: int, body: bytes) -> int:
        address = chunk.logical + chunk.used
        if chunk.used + NODE > chunk.size:
            raise NoRoom
        head = self._fsid + struct.pack(
            "<QQ16sQQIB", address, _FLAGS, self._chunk_uuid, GENERATION, tree.number, count, level
        )
        raw = head + body
        raw = struct.pack("<I28x", crc32c(raw) ^ INVERTED) + raw
        for place in chunk.places:
            write_at(self.chunks.descriptor, raw, self.chunks.offset + place + chunk.used)
        chunk.used += NODE
        return address


def _leaf(leaf: list[tuple[Key, bytes]]) -> bytes:
    """Return the body of a leaf: heads from its start, data from its end."""
    heads, bodies, end = [], [], ROOM
    for key, data in leaf:
        end -= len(data)
        heads.append(pack_key(*key) + struct.pack("<II", end, len(data)))
        bodies.append(data)
    head, body = b"".join(heads), b"".join(reversed(bodies))
    return head + bytes(ROOM - len(head) - len(body)) + body
