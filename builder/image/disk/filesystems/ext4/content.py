# SPDX-License-Identifier: MIT
"""What is in a folder becomes inodes, folders and extents of an ext4.

Folders come first, all together, then the files in the order of their paths: several small ones in a row,
each row and each large file at the start of a cluster of the image. Where a row ends depends on names
alone. So what a small change moves, it moves by whole clusters, and few clusters of the image are others.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from builder.image.disk.filesystems.disk import DiskFile, Piece
from builder.image.disk.filesystems.ext4.attributes import put_attributes
from builder.image.disk.filesystems.ext4.folders import FOLDER, Name, fill_blocks, pack_block
from builder.image.disk.filesystems.ext4.inodes import EXTENTS_FLAG, Extent, Fork, Inodes, device_fork
from builder.image.disk.filesystems.ext4.rows import CLUSTER, LONG_LINK, rows
from builder.image.disk.filesystems.ext4.space import Space
from builder.image.disk.filesystems.source import (
    CannotHold,
    Folders,
    NewFolder,
    Source,
    Status,
    TreeEntry,
    data_runs,
    show,
)

_ROOT, _LOST = 2, b"lost+found"
# What mke2fs gives lost+found, so that e2fsck need not look for room.
_LOST_BYTES = 16384
_MOST_LINKS = 65000
_HELD = 1 << 20
# A file with more runs has its holes filled.
_MOST_RUNS = 300
# Of what is free files may take this part before they lie as densely as it goes.
_AIRY, _OF = 7, 8


@dataclass(slots=True)
class _Folder:
    """A folder: its path, None where there is none in the source; what it is; what is in it.

    `is_bare`: as of TreeEntry.
    """

    path: bytes | None
    inode: int
    parent: int
    info: Status
    names: list[Name] = field(default_factory=list)
    below: int = 0
    least: int = 1
    is_bare: bool = False


class _File(NamedTuple):
    """A file whose data need blocks: runs of (first, how many) of them. A link has its target as `text`."""

    entry: TreeEntry
    inode: int
    runs: Sequence[tuple[int, int]]
    blocks: int
    text: bytes | None = None


class Content:
    """Fills one file system from one folder.

    Args:
        disk: what it is on: it may borrow the data of files, and know folders and labels.
    """

    def __init__(self, space: Space, inodes: Inodes, disk: DiskFile) -> None:
        self.space, self.inodes = space, inodes
        self._folders: list[_Folder] = []
        self._others: list[tuple[TreeEntry, int]] = []
        self._numbers: dict[tuple[int, int], int] = {}
        self._links: dict[int, int] = {}
        self._known, self._labels = disk.folders, disk.labels
        self._data = _Data(space) if disk.borrowed is None else _Borrowed(space, disk.borrowed)

    def fill(self, source: Path) -> None:
        """Put everything below `source` into the file system.

        Raises:
            CannotHold: naming the path, and why.
        """
        (lost,) = struct.unpack_from("<I", self.space.superblock, 0x54)
        root = self._root(source.stat())
        for number in (_ROOT, lost):
            self._release(number)
        self.space.find_free()
        self._read(source, root, lost)
        for folder in self._folders:
            self._put_folder(folder)
        files = [file for entry, number in self._others if (file := self._open(entry, number))]
        needed = sum(file.blocks for file in files)
        align = CLUSTER if needed * _OF <= self.space.room * _AIRY else 1
        block, top = self.space.block, len(os.fsencode(source))
        for row in rows(files, lambda file: file.blocks * block, lambda file: file.entry.path[top:]):
            self._put_row(row, align)
        self._data.flush()

    def _root(self, info: os.stat_result) -> Status:
        """Return what the root folder is to be: its owner may come from --mkfsoptions."""
        raw = self.space.read_inode(_ROOT)
        uid, gid = (
            struct.unpack_from("<H", raw, low)[0] | struct.unpack_from("<H", raw, high)[0] << 16
            for low, high in ((0x02, 0x78), (0x18, 0x7A))
        )
        return NewFolder(info.st_mtime_ns, info.st_mode, uid, gid)

    def _release(self, number: int) -> None:
        """Give back the blocks of a folder that mke2fs has made: the inode has its extents, or its names."""
        raw = self.space.read_inode(number)
        if not struct.unpack_from("<I", raw, 0x20)[0] & EXTENTS_FLAG:
            return
        (count,) = struct.unpack_from("<H", raw, 0x2A)
        for place in range(count):
            length, high, low = struct.unpack_from("<HHI", raw, 0x34 + 12 * place + 4)
            self.space.release(high << 32 | low, length)

    def _read(self, source: Path, root: Status, lost: int) -> None:
        """Give everything an inode."""
        top = _Folder(os.fsencode(source), _ROOT, _ROOT, root)
        self.inodes.count_folder(_ROOT)
        self.inodes.count_folder(lost)
        pending = [top]
        folders = Folders(source=Source(folder=source), device=source.stat().st_dev, known=self._known)
        while pending:
            folder = pending.pop()
            self._folders.append(folder)
            children = folders.children(folder.path) if folder.path else []
            below = []
            for child in children:
                if folder is top and child.name == _LOST:
                    if not child.is_folder:
                        raise CannotHold(f"{show(child.path)} is not a folder, and ext4 wants one there")
                    number = lost
                else:
                    number = self._number(child)
                folder.names.append(Name(child.name, number, child.entry_type))
                if child.is_folder:
                    below.append(_Folder(child.path, number, folder.inode, child.info, is_bare=child.is_bare))
            if folder is top:
                if not any(one.inode == lost for one in below):
                    folder.names.append(Name(_LOST, lost, FOLDER))
                    below.append(
                        _Folder(None, lost, _ROOT, NewFolder(self.inodes.latest, stat.S_IFDIR | 0o700))
                    )
                for one in below:
                    one.least = _LOST_BYTES // self.space.block if one.inode == lost else 1
            folder.below = len(below)
            pending += reversed(below)

    def _number(self, child: TreeEntry) -> int:
        """Return the inode of a name, a new one unless it is one more of a file that has one."""
        info = child.info
        if child.is_folder:
            return self.inodes.new(folder=True)
        if info.st_nlink > 1:
            known = self._numbers.get((info.st_dev, info.st_ino))
            if known is not None:
                self._links[known] += 1
                return known
        number = self.inodes.new()
        self._links[number] = 1
        self._numbers[info.st_dev, info.st_ino] = number
        self._others.append((child, number))
        return number

    def _put_folder(self, folder: _Folder) -> None:
        space, number = self.space, folder.inode
        seed = self.inodes.seed(number)
        rows = fill_blocks(space, number, folder.parent, folder.names, least=folder.least)
        raw = b"".join(pack_block(space, row, seed) for row in rows)
        extents, done = [], 0
        for block, count in space.take(len(rows)):
            space.put(block, raw[done * space.block : (done + count) * space.block])
            extents.append(Extent(done, block, count))
            done += count
        behind, block = b"", 0
        if folder.path and not folder.is_bare:
            behind, block = put_attributes(space, folder.path, folder.info.st_mode, self._labels)
        fork = self.inodes.extents(number, extents, len(raw))
        links = 2 + folder.below
        # As the feature dir_nlink has it.
        links = 1 if links >= _MOST_LINKS else links
        self.inodes.put(number, folder.info, fork, links=links, attributes=behind, block=block)

    def _open(self, entry: TreeEntry, number: int) -> _File | None:
        """Return a file that needs blocks; make the inode of another one."""
        info = entry.info
        kind = stat.S_IFMT(info.st_mode)
        if kind == stat.S_IFREG:
            if info.st_size:
                runs = self._runs(entry)
                return _File(entry, number, runs, sum(count for _, count in runs))
            self._put(entry, number, self.inodes.extents(number, [], 0))
        elif kind == stat.S_IFLNK:
            target = os.readlink(entry.path)
            if len(target) >= self.space.block:
                raise CannotHold(f"{show(entry.path)}: ext4 cannot hold a link of {len(target)} bytes")
            if len(target) >= LONG_LINK:
                return _File(entry, number, [(0, 1)], 1, target)
            self._put(entry, number, Fork(target.ljust(LONG_LINK, b"\0"), len(target)))
        else:
            self._put(entry, number, device_fork(info))
        return None

    def _runs(self, entry: TreeEntry) -> Sequence[tuple[int, int]]:
        block, info = self.space.block, entry.info
        whole = -(-info.st_size // block)
        if info.st_blocks * 512 >= info.st_size:
            return [(0, whole)]
        source = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            runs = data_runs(source, info, block)
        finally:
            os.close(source)
        return runs if len(runs) <= _MOST_RUNS else [(0, whole)]

    def _put(self, entry: TreeEntry, number: int, fork: Fork) -> None:
        links = self._links[number]
        if links > _MOST_LINKS:
            raise CannotHold(f"{show(entry.path)}: ext4 cannot hold a file of {links} names")
        behind, block = b"", 0
        if not entry.is_bare:
            behind, block = put_attributes(self.space, entry.path, entry.info.st_mode, self._labels)
        self.inodes.put(number, entry.info, fork, links=links, attributes=behind, block=block)

    def _put_row(self, row: Sequence[_File], align: int) -> None:
        """Write files one after another, in as few runs of blocks as there are."""
        space = self.space
        needed = sum(file.blocks for file in row)
        first = space.take_run(needed, align=align) if needed else 0
        places = [(first, needed)] if first is not None else space.take(needed)
        places.reverse()
        for file in row:
            size = len(file.text) if file.text is not None else file.entry.info.st_size
            extents = []
            for first, count in file.runs:
                while count:
                    start, left = places.pop()
                    got = min(count, left)
                    if left > got:
                        places.append((start + got, left - got))
                    extents.append(Extent(first, start, got))
                    first, count = first + got, count - got
            if file.text is not None:
                space.put(extents[0].block, file.text.ljust(space.block, b"\0"))
            elif extents:
                self._data.write(file.entry.path, extents, size)
            self._put(file.entry, file.inode, self.inodes.extents(file.inode, extents, size))


class _Data:
    """Copies the data of files; data that follow each other are written with one call."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._held = memoryview(bytearray(_HELD))
        self._start, self._filled = 0, 0

    def write(self, path: bytes, extents: Sequence[Extent], size: int) -> None:
        """Copy a file to its blocks.

        Raises:
            CannotHold: it became shorter.
        """
        block = self._space.block
        source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            for extent in extents:
                if extent.block * block != self._start + self._filled:
                    self.flush()
                    self._start = extent.block * block
                at = extent.first * block
                end = min(at + extent.length * block, size)
                while at < end:
                    if self._filled == len(self._held):
                        self.flush()
                    got = min(end - at, len(self._held) - self._filled)
                    if os.preadv(source, [self._held[self._filled : self._filled + got]], at) != got:
                        raise CannotHold(f"{show(path)} became shorter while it was read")
                    at, self._filled = at + got, self._filled + got
                rest = -self._filled % block
                self._held[self._filled : self._filled + rest] = bytes(rest)
                self._filled += rest
        finally:
            os.close(source)

    def flush(self) -> None:
        """Write what is held."""
        if self._filled:
            self._space.put(self._start // self._space.block, self._held[: self._filled])
        self._start, self._filled = self._start + self._filled, 0


class _Borrowed:
    """Notes which data belong where, in place of `_Data`."""

    def __init__(self, space: Space, pieces: list[Piece]) -> None:
        self._space, self._pieces = space, pieces

    def write(self, path: bytes, extents: Sequence[Extent], size: int) -> None:
        """Note where a file's data belong."""
        block = self._space.block
        for extent in extents:
            start, at = self._space.offset + extent.block * block, extent.first * block
            end = start + extent.length * block
            self._pieces.append(Piece(start, min(end, start + size - at), end, path, at))

    def flush(self) -> None:
        """Nothing is held."""
