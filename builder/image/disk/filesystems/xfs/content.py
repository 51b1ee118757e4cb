# SPDX-License-Identifier: MIT
"""What is in a folder becomes inodes, directories and extents of an XFS."""

from __future__ import annotations

import os
import stat
import struct

from builder.image.disk.filesystems.labels import Labels
from builder.image.disk.filesystems.source import (
    CannotHold,
    Folders,
    Source,
    Status,
    TreeEntry,
    data_runs,
    show,
)
from builder.image.disk.filesystems.xfs.attributes import attribute_fork, read_attributes, short_size
from builder.image.disk.filesystems.xfs.blocks import Blocks
from builder.image.disk.filesystems.xfs.directories import DirectoryEntry, directory_fork
from builder.image.disk.filesystems.xfs.inodes import DEVICE, LOCAL, Fork, Inodes, extent
from builder.image.disk.filesystems.xfs.space import BLOCK, SECTOR

# An inode holds the extents of so many runs; a file with more has its holes filled.
_RUNS = 8
# XFS_SYMLINK_MAXLEN, with the NUL that ends it.
_LONGEST_TARGET = 1023
# A file up to this size is written with one call.
_SMALL = 1 << 20
# The least room that attributes keep in an inode: one extent.
_ONE_EXTENT = 16


class Content:
    """Fills one file system from one folder.

    Args:
        labels: SELinux's; None: files have their own.
    """

    def __init__(self, blocks: Blocks, inodes: Inodes, labels: Labels | None = None) -> None:
        self.blocks, self.inodes, self.space, self._labels = blocks, inodes, blocks.space, labels
        self._links: dict[tuple[int, int], int] = {}

    def fill(self, source: Source, root: Status) -> None:
        """Put everything below `source` into the file system; `root` is what its root folder is.

        Raises:
            CannotHold: naming the path, and why.
        """
        if source.path is None:
            fork = directory_fork(self.blocks, self.space.root, self.space.root, [], self.space.fork_room)
            self.inodes.put(self.space.root, root, fork, Fork(form=LOCAL), links=2)
            return
        folders = Folders(source=source, device=os.stat(source.path).st_dev)
        pending: list[tuple[bytes, int, int, Status]] = [
            (source.path, self.space.root, self.space.root, root)
        ]
        while pending:
            path, inode, parent, info = pending.pop()
            below = self._folder(folders.children(path), path, inode, parent, info)
            pending += reversed(below)

    def _folder(
        self, children: list[TreeEntry], path: bytes, inode: int, parent: int, info: Status
    ) -> list[tuple[bytes, int, int, Status]]:
        """Write a folder and the files in it; return the folders in it, which come later."""
        entries: list[DirectoryEntry] = []
        folders: list[tuple[bytes, int, int, Status]] = []
        files: list[tuple[TreeEntry, int]] = []
        for child in children:
            known = self._links.get(_identity(child)) if child.info.st_nlink > 1 else None
            number = self.inodes.new() if known is None else known
            entries.append(DirectoryEntry(child.name, number, child.entry_type))
            if known is not None:
                continue
            if child.is_folder:
                folders.append((child.path, number, inode, child.info))
                continue
            files.append((child, number))
            if child.info.st_nlink > 1:
                self._links[_identity(child)] = number
        found = read_attributes(path, info.st_mode, self._labels)
        room = self.space.fork_room
        size = short_size(found)
        kept = room - (-(-size // 8) * 8 if size <= room - _ONE_EXTENT else _ONE_EXTENT)
        data = directory_fork(self.blocks, inode, parent, entries, kept)
        fork = attribute_fork(self.blocks, inode, path, found, room - (len(data.data) + 7 & ~7))
        self.inodes.put(inode, info, data, fork, links=2 + len(folders))
        for child, number in files:
            self._file(child, number)
        return folders

    def _file(self, child: TreeEntry, inode: int) -> None:
        path, info = child.path, child.info
        found = read_attributes(path, info.st_mode, self._labels)
        kind = stat.S_IFMT(info.st_mode)
        data = Fork(form=DEVICE, data=bytes(4))
        if kind in (stat.S_IFCHR, stat.S_IFBLK):
            device = os.major(info.st_rdev) << 18 | os.minor(info.st_rdev)
            data = Fork(form=DEVICE, data=struct.pack(">I", device))
        elif kind == stat.S_IFLNK:
            data = self._link(path, inode, short_size(found))
        elif kind == stat.S_IFREG:
            data = self._data(path, info) if info.st_size else Fork()
        taken = 8 if data.form == DEVICE else len(data.data) + 7 & ~7
        fork = attribute_fork(self.blocks, inode, path, found, self.space.fork_room - taken)
        self.inodes.put(inode, info, data, fork, links=info.st_nlink)

    def _link(self, path: bytes, inode: int, attributes: int) -> Fork:
        target = os.readlink(path)
        if len(target) <= self.space.fork_room - (attributes + 7 & ~7):
            return Fork(form=LOCAL, data=target, size=len(target))
        if len(target) > _LONGEST_TARGET:
            raise CannotHold(f"{show(path)}: xfs cannot hold a link of {len(target)} bytes")
        block, _ = self.space.allocate(1)
        self.blocks.put_link(target, block, inode)
        return Fork(data=extent(0, block, 1), size=len(target), blocks=1, extents=1)

    def _data(self, path: bytes, info: os.stat_result) -> Fork:
        size = info.st_size
        source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            runs = data_runs(source, info, BLOCK)
            if len(runs) > _RUNS:
                runs = [(0, -(-size // BLOCK))]
            out, blocks = [], 0
            for first, count in runs:
                while count:
                    block, got = self.space.allocate(count, whole=False)
                    if got * BLOCK >= size and size <= _SMALL:
                        self.space.put(block, os.read(source, size))
                    else:
                        self._copy(source, first * BLOCK, block, min(got * BLOCK, size - first * BLOCK))
                    out.append(extent(first, block, got))
                    first, count, blocks = first + got, count - got, blocks + got
        finally:
            os.close(source)
        if len(out) * 16 > self.space.fork_room - _ONE_EXTENT:
            raise CannotHold(f"{show(path)}: the free space is in too many pieces for so large a file")
        return Fork(data=b"".join(out), size=size, blocks=blocks, extents=len(out))

    def _copy(self, source: int, at: int, block: int, size: int) -> None:
        start = self.space.offset + self.space.sector_of(block) * SECTOR
        os.lseek(self.space.descriptor, start, os.SEEK_SET)
        while size > 0:
            done = os.sendfile(self.space.descriptor, source, at, size)
            if not done:
                raise CannotHold("a file became shorter while it was read")
            at, size = at + done, size - done


def _identity(child: TreeEntry) -> tuple[int, int]:
    return child.info.st_dev, child.info.st_ino
