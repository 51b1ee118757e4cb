# SPDX-License-Identifier: MIT
"""Folders of an ext4: names in a row, as mke2fs -d and every kernel since ext2 has them (directory.rst).

The kernel makes an index when it adds a name to a folder of one block (fs/ext4/namei.c, make_indexed_dir).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from builder.formats.crc32c import crc32c
from builder.image.disk.filesystems.ext4.space import Space

FOLDER = 2
_HEAD, _TAIL = 8, 12


class Name(NamedTuple):
    """A name in a folder: of which inode, and of what type."""

    name: bytes
    inode: int
    type: int


def fill_blocks(
    space: Space, inode: int, parent: int, names: Sequence[Name], *, least: int = 1
) -> list[list[Name]]:
    """Return which names each block of a folder holds.

    Args:
        least: how many blocks there are at the least.
    """
    room = space.block - (_TAIL if space.summed else 0)
    blocks: list[list[Name]] = [[]]
    taken = 0
    for one in (Name(b".", inode, FOLDER), Name(b"..", parent, FOLDER), *names):
        size = _size(one)
        if taken + size > room:
            blocks.append([])
            taken = 0
        blocks[-1].append(one)
        taken += size
    return blocks + [[] for _ in range(least - len(blocks))]


def pack_block(space: Space, names: Sequence[Name], seed: int) -> bytes:
    """Return a block of a folder.

    Args:
        seed: what checksums of its inode begin with.
    """
    end = space.block - (_TAIL if space.summed else 0)
    rows = []
    at = 0
    for place, one in enumerate(names):
        size = _size(one) if place < len(names) - 1 else end - at
        row = struct.pack("<IHBB", one.inode, size, len(one.name), one.type) + one.name
        rows.append(row.ljust(size, b"\0"))
        at += size
    if not names:
        rows.append(struct.pack("<IHBB", 0, end, 0, 0).ljust(end, b"\0"))
    raw = b"".join(rows)
    if space.summed:
        raw += struct.pack("<IHBBI", 0, _TAIL, 0, 0xDE, crc32c(raw, seed))
    return raw


def _size(one: Name) -> int:
    return _HEAD + len(one.name) + 3 & ~3
