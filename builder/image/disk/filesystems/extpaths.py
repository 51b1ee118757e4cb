# SPDX-License-Identifier: MIT
"""Which path of the folder that mke2fs -d copied each inode of an ext file system has become.

The folders that mke2fs has written say it (Linux, Documentation/filesystems/ext4: directory.rst, ifork.rst).
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

_EXTENTS_FLAG, _INLINE_FLAG = 0x80000, 0x10000000
_EXTENT_MAGIC = 0xF30A
_ROOT = 2

# By inodes: a path of the folder, and what lstat(2) says of it.
Paths = dict[int, tuple[bytes, os.stat_result]]
# Reads an inode by its number, and a block by its.
ReadInode = Callable[[int], bytes]
ReadBlock = Callable[[int], bytes]


def paths_of(source: Path, read_inode: ReadInode, read_block: ReadBlock) -> Paths:
    """Return what each inode was, for all that `source` has too; of several names the first in order."""
    top = os.fsencode(source)
    found: Paths = {_ROOT: (top, os.lstat(top))}
    pending = [(_ROOT, top)]
    while pending:
        number, folder = pending.pop()
        for name, child in _entries(read_inode(number), read_block):
            path = folder + b"/" + name
            try:
                info = os.lstat(path)
            except FileNotFoundError:
                continue  # lost+found
            known = child in found
            if not known or path < found[child][0]:
                found[child] = path, info
            if stat.S_ISDIR(info.st_mode) and not known:
                pending.append((child, path))
    return found


def _entries(inode: bytes, read_block: ReadBlock) -> Iterator[tuple[bytes, int]]:
    """Yield (name, inode) of a folder but `.` and `..`."""
    for block in _blocks(inode, read_block):
        raw = read_block(block)
        at = 0
        while at + 8 <= len(raw):
            number, size, length = struct.unpack_from("<IHB", raw, at)
            name = raw[at + 8 : at + 8 + length]
            if number and length and name not in (b".", b".."):
                yield name, number
            if size < 8:
                return
            at += size


def _blocks(inode: bytes, read_block: ReadBlock) -> Iterator[int]:
    (flags,) = struct.unpack_from("<I", inode, 0x20)
    fork = inode[0x28 : 0x28 + 60]
    if flags & _INLINE_FLAG:
        return
    if flags & _EXTENTS_FLAG:
        yield from _extents(fork, read_block)
        return
    pointers = struct.unpack("<15I", fork)
    yield from (block for block in pointers[:12] if block)
    for depth, block in enumerate(pointers[12:], 1):
        yield from _indirect(block, depth, read_block)


def _extents(raw: bytes, read_block: ReadBlock) -> Iterator[int]:
    magic, count, _, depth = struct.unpack_from("<4H", raw, 0)
    if magic != _EXTENT_MAGIC:
        return
    for place in range(12, 12 + 12 * count, 12):
        if depth:
            low, high = struct.unpack_from("<IH", raw, place + 4)
            yield from _extents(read_block(high << 32 | low), read_block)
        else:
            length, high, low = struct.unpack_from("<HHI", raw, place + 4)
            yield from range(high << 32 | low, (high << 32 | low) + length)


def _indirect(block: int, depth: int, read_block: ReadBlock) -> Iterator[int]:
    if not block:
        return
    for (pointer,) in struct.iter_unpack("<I", read_block(block)):
        if depth > 1:
            yield from _indirect(pointer, depth - 1, read_block)
        elif pointer:
            yield pointer
