# SPDX-License-Identifier: MIT
"""SELinux's labels of a btrfs, read from its trees (btrfs_tree.h of Linux): no tool shows them.

The image is taken for hostile: every address, level and count is judged, and the walk has an end.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from builder.guest.outcome import not_done
from builder.guest.readers.inodes import LabelledInode

_SUPERBLOCK, _MAGIC, _SECTOR = 65536, b"_BHRfS_M", 4096
# Of the superblock: the addresses of two trees, sizes, and the chunks that are needed to read the others.
_TREES, _DEVICES, _NODE_SIZE, _ARRAY_SIZE, _LEVELS, _ARRAY = 80, 136, 148, 160, 198, 811
_HEADER, _ITEM, _POINTER = 101, 25, 33
_INODE, _REF, _EXTREF, _XATTR, _INDEX = 1, 12, 13, 24, 96
_ROOT, _CHUNK = 132, 228
_TOP = 256
_NAME, _SIZES = 30, 25
# Of folders, and of their paths: as much as Linux takes (PATH_MAX).
_DEEPEST, _LONGEST = 200, 4096
_MOST_SUBVOLUMES = 100
# Where a root item says where its tree begins, and how high it is.
_ROOT_ADDRESS, _ROOT_LEVEL = 176, 238

Item = tuple[int, int, int, bytes]


@dataclass(slots=True)
class _Inodes:
    """What a subvolume says of its inodes: mode, label and names (inode, parent, name).

    `subvolumes` are (parent, name, number) of those within it.
    """

    modes: dict[int, int] = field(default_factory=dict)
    labels: dict[int, str] = field(default_factory=dict)
    names: list[tuple[int, int, bytes]] = field(default_factory=list)
    subvolumes: list[tuple[int, bytes, int]] = field(default_factory=list)


def read_labels(image: Path, subvolume: int) -> dict[str, LabelledInode]:
    """Return what every path below the subvolume with a number is and its SELinux label.

    Subvolumes that are in it are followed.

    Raises:
        CannotCheck: it is not a btrfs of one disk, or damaged.
    """
    descriptor = os.open(image, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return dict(_below(_Trees(descriptor), subvolume))
    except (struct.error, LookupError, OverflowError, ValueError, OSError) as error:
        raise not_done(f"the btrfs is damaged: {error}") from error
    finally:
        os.close(descriptor)


class _Trees:
    """The trees of the file system that fills an open file."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        raw = os.pread(descriptor, 4096, _SUPERBLOCK)
        if raw[64:72] != _MAGIC or struct.unpack_from("<Q", raw, _DEVICES) != (1,):
            raise not_done("the file system is not a btrfs on one device")
        (self._size,) = struct.unpack_from("<I", raw, _NODE_SIZE)
        if self._size not in (4096, 8192, 16384, 32768, 65536):
            raise not_done("the superblock of the btrfs is damaged")
        self._seen: set[int] = set()
        self._chunks: list[tuple[int, int, int]] = []
        root, chunks = struct.unpack_from("<QQ", raw, _TREES)
        (length,) = struct.unpack_from("<I", raw, _ARRAY_SIZE)
        self._read_array(raw[_ARRAY : _ARRAY + length])
        self._chunks = [_chunk(key, data) for _, kind, key, data in self._items(chunks, raw[_LEVELS + 1])
                        if kind == _CHUNK]  # fmt: skip
        self._roots = {
            number: (*struct.unpack_from("<Q", data, _ROOT_ADDRESS), data[_ROOT_LEVEL])
            for number, kind, _, data in self._items(root, raw[_LEVELS])
            if kind == _ROOT
        }

    def _read_array(self, raw: bytes) -> None:
        at = 0
        while at < len(raw):
            (logical,) = struct.unpack_from("<Q", raw, at + 9)
            (stripes,) = struct.unpack_from("<H", raw, at + 17 + 44)
            self._chunks.append(_chunk(logical, raw[at + 17 :]))
            at += 17 + 48 + 32 * stripes

    def subvolume(self, number: int) -> Iterator[Item]:
        """Yield the items of a subvolume."""
        if number not in self._roots:
            raise not_done(f"the btrfs has no subvolume {number}")
        self._seen = set()  # a snapshot shares nodes with another
        return self._items(*self._roots[number])

    def _items(self, address: int, level: int) -> Iterator[Item]:
        """Yield (object, kind, offset, data) of the tree below a node; `level` is 0 for a leaf."""
        if address in self._seen or address % _SECTOR:
            raise not_done("the trees of the btrfs are inconsistent")
        self._seen.add(address)
        raw = os.pread(self._descriptor, self._size, self._place(address))
        (count,) = struct.unpack_from("<I", raw, 96)
        if len(raw) != self._size or raw[100] != level:
            raise not_done("a tree of the btrfs is damaged")
        for number in range(count):
            if level:
                (below,) = struct.unpack_from("<Q", raw, _HEADER + number * _POINTER + 17)
                yield from self._items(below, level - 1)
            else:
                one, kind, offset, start, size = struct.unpack_from("<QBQII", raw, _HEADER + number * _ITEM)
                data = raw[_HEADER + start : _HEADER + start + size]
                if len(data) != size:
                    raise not_done("a leaf of the btrfs is damaged")
                yield one, kind, offset, data

    def _place(self, address: int) -> int:
        for logical, size, place in self._chunks:
            if logical <= address < logical + size:
                return place + address - logical
        raise not_done("the btrfs points to a place that it does not have")


def _chunk(logical: int, data: bytes) -> tuple[int, int, int]:
    """Return (logical address, size, place) of a chunk; of two copies the first."""
    (size,) = struct.unpack_from("<Q", data, 0)
    (place,) = struct.unpack_from("<Q", data, 48 + 8)
    return logical, size, place


def _collect(items: Iterator[Item]) -> _Inodes:
    found = _Inodes()
    for number, kind, offset, data in items:
        if kind == _INODE:
            (found.modes[number],) = struct.unpack_from("<I", data, 52)
        elif kind == _REF:
            found.names += [(number, offset, name) for name in _names(data, 8)]
        elif kind == _EXTREF:
            (parent,) = struct.unpack_from("<Q", data, 0)
            found.names += [(number, parent, name) for name in _names(data, 16)]
        elif kind == _XATTR:
            for name, value, _ in _entries(data):
                if name == b"security.selinux":
                    found.labels[number] = value.rstrip(b"\0").decode("ascii")
        elif kind == _INDEX:
            for name, _, (leads_to, of_kind) in _entries(data):
                if of_kind == _ROOT:
                    found.subvolumes.append((number, name, leads_to))
    return found


def _names(data: bytes, head: int) -> Iterator[bytes]:
    """Yield the names of references: what is before, then the length and the name."""
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from("<H", data, at + head)
        yield data[at + head + 2 : at + head + 2 + length]
        at += head + 2 + length


def _entries(data: bytes) -> Iterator[tuple[bytes, bytes, tuple[int, int]]]:
    """Yield (name, data, (object, kind) of the item that it leads to) of directory entries and attributes."""
    at = 0
    while at < len(data):
        size, length = struct.unpack_from("<HH", data, at + _SIZES)
        name = data[at + _NAME : at + _NAME + length]
        yield (
            name,
            data[at + _NAME + length : at + _NAME + length + size],
            struct.unpack_from("<QB", data, at),
        )
        at += _NAME + length + size


def _below(trees: _Trees, subvolume: int) -> Iterator[tuple[str, LabelledInode]]:
    """Yield the paths of a subvolume and of those within it, each of which is in one place."""
    pending, seen = [(subvolume, b"")], set[int]()
    while pending:
        number, top = pending.pop()
        if number in seen or len(seen) == _MOST_SUBVOLUMES:
            raise not_done("a subvolume of the btrfs is in two places, or there are too many")
        seen.add(number)
        found = _collect(trees.subvolume(number))
        folder = _folders(found, top)
        yield os.fsdecode(top) or "/", _inode(found, _TOP)
        for inode, parent, name in found.names:
            if inode != _TOP:
                yield os.fsdecode(folder(parent) + b"/" + name), _inode(found, inode)
        pending += [(one, folder(parent) + b"/" + name) for parent, name, one in found.subvolumes]


def _inode(found: _Inodes, number: int) -> LabelledInode:
    return LabelledInode(found.modes[number], found.labels.get(number))


def _folders(found: _Inodes, top: bytes) -> Callable[[int], bytes]:
    """Return what says where the folder with a number lies, `top` for the first."""
    parents = {number: (parent, name) for number, parent, name in found.names
               if stat.S_ISDIR(found.modes.get(number, 0))}  # fmt: skip
    folders: dict[int, bytes] = {_TOP: top}

    def folder(number: int) -> bytes:
        way: list[tuple[int, bytes]] = []
        while number not in folders:
            if number not in parents or len(way) > _DEEPEST:
                raise not_done("the folders of the btrfs are inconsistent")
            parent, name = parents[number]
            way.append((number, name))
            number = parent
        path = folders[number]
        for number, name in reversed(way):
            path = folders[number] = path + b"/" + name
        if len(path) > _LONGEST:
            raise not_done("a path of the btrfs is too long")
        return path

    return folder
