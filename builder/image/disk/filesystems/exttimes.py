# SPDX-License-Identifier: MIT
"""Which time each inode of an ext file system has in the folder that mke2fs -d copied.

mke2fs keeps seconds only, of 32 bits. Its folders say which inode a path became: they are read here (Linux,
Documentation/filesystems/ext4: directory.rst, ifork.rst).
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

# Reads an inode by its number, and a block by its.
ReadInode = Callable[[int], bytes]
ReadBlock = Callable[[int], bytes]


def times_of(source: Path, read_inode: ReadInode, read_block: ReadBlock) -> dict[int, int]:
    """Return inode -> time of modification in nanoseconds, for everything that `source` has too."""
    top = os.fsencode(source)
    found = {_ROOT: os.lstat(top).st_mtime_ns}
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
            found[child] = info.st_mtime_ns
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
