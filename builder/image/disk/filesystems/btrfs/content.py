# SPDX-License-Identifier: MIT
"""What is in a folder becomes items of a btrfs subvolume; data goes to the disk."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence

from builder.image.disk.filesystems.btrfs.chunks import Chunks
from builder.image.disk.filesystems.btrfs.compression import PIECE, Compression
from builder.image.disk.filesystems.btrfs.items import (
    ALL,
    DATA_EXTENT,
    DIR_INDEX,
    DIR_ITEM,
    EXTENT_DATA,
    FIRST_FREE,
    INODE,
    INODE_EXTREF,
    INODE_REF,
    ROOT,
    SECTOR,
    XATTR,
    Key,
    data_reference,
    dir_entry,
    disk_extent,
    extref_hash,
    folder_inode,
    inline_extent,
    inode_item,
    name_hash,
    pack_key,
)
from builder.image.disk.filesystems.btrfs.trees import LARGEST_ITEM, BTree
from builder.image.disk.filesystems.labels import Labels
from builder.image.disk.filesystems.source import (
    CannotHold,
    Folders,
    Source,
    TreeEntry,
    attributes,
    data_runs,
    show,
)
from builder.sizes import MIB

_FOLDER_ENTRY, _XATTR_ENTRY = 2, 8
_INLINE, _LARGEST_EXTENT, _BUFFER = 2048, 128 * MIB, 8 * MIB
# References of one inode in one folder go on in items of another kind from here on.
_LARGEST_REFS = 3000
# The first index of an entry: 0 and 1 belong to . and .. (btrfs-progs, mkfs/rootdir.c).
_FIRST_INDEX = 2


class SubvolumeWriter:
    """Fills one tree of files.

    Args:
        extents: the extent tree, which gets a reference for each run of data.
        nested: names in its root folder that are subvolumes, with their numbers; their order decides indices.
        labels: SELinux's; None: files have their own.
    """

    def __init__(
        self,
        chunks: Chunks,
        tree: BTree,
        extents: BTree,
        *,
        epoch: int,
        compression: Compression | None = None,
        nested: Mapping[bytes, int] | None = None,
        labels: Labels | None = None,
    ) -> None:
        self.chunks, self.tree, self.extents, self.epoch = chunks, tree, extents, epoch
        self.compression, self.nested, self._labels = compression, dict(nested or {}), labels
        self.indices: dict[bytes, int] = {}
        self._items = tree.items
        self._following = FIRST_FREE + 1
        self._links: dict[int, int] = {}
        self._names: dict[int, int] = {}

    def fill(self, source: Source) -> None:
        """Put everything below `source` into the tree.

        Raises:
            CannotHold: naming the path, and why.
        """
        self._refer(FIRST_FREE, FIRST_FREE, 0, b"..")
        if source.path is None:
            size = self._entries(FIRST_FREE, [])
            self._items[FIRST_FREE, INODE, 0] = folder_inode(epoch=self.epoch, size=size)
            return
        folders = Folders(source=source, device=os.stat(source.path).st_dev)
        pending = [(source.path, FIRST_FREE)]
        while pending:
            path, inode = pending.pop()
            below = self._folder(folders.children(path), path, inode, source)
            pending += reversed(below)
        self._count_links()

    def _folder(
        self, children: Sequence[TreeEntry], path: bytes, inode: int, source: Source
    ) -> list[tuple[bytes, int]]:
        folders: list[tuple[bytes, int]] = []
        rows: list[tuple[bytes, int, int]] = []
        nested = self.nested if inode == FIRST_FREE else {}
        for child in children:
            if child.name in nested:
                if not child.is_folder or (child.path not in source.elsewhere and os.listdir(child.path)):
                    raise CannotHold(f"{show(child.path)} is in the way of the subvolume of that name")
                continue
            number = self._links.get(child.info.st_ino) if child.info.st_nlink > 1 else None
            if number is None:
                number, self._following = self._following, self._following + 1
                if child.is_folder:
                    folders.append((child.path, number))
                else:
                    self._file(child, number)
            rows.append((child.name, number, child.entry_type))
        size = self._entries(inode, rows)
        info = os.stat(path)
        self._items[inode, INODE, 0] = inode_item(info, size=size, held=0, links=1, epoch=self.epoch)
        self._attributes(inode, path, info.st_mode)
        return folders

    def _entries(self, inode: int, rows: Sequence[tuple[bytes, int, int]]) -> int:
        """Enter names into a folder, then the subvolumes in it; return its size as btrfs counts it."""
        hashed: dict[int, bytes] = {}
        index, size = _FIRST_INDEX, 0
        entries = [(name, pack_key(number, INODE, 0), kind) for name, number, kind in rows]
        below = sorted(self.nested) if inode == FIRST_FREE else []
        entries += [(name, pack_key(self.nested[name], ROOT, ALL), _FOLDER_ENTRY) for name in below]
        for place, (name, where, kind) in enumerate(entries):
            raw = dir_entry(where, name, kind)
            self._items[inode, DIR_INDEX, index] = raw
            value = name_hash(name)
            hashed[value] = hashed.get(value, b"") + raw
            if place < len(rows):
                self._refer(rows[place][1], inode, index, name)
            else:
                self.indices[name] = index
            index, size = index + 1, size + 2 * len(name)
        for value, raw in hashed.items():
            self._items[inode, DIR_ITEM, value] = raw
        return size

    def _refer(self, inode: int, parent: int, index: int, name: bytes) -> None:
        """Note that `parent` has the inode under `name`."""
        self._names[inode] = self._names.get(inode, 0) + 1
        place: Key = (inode, INODE_REF, parent)
        have = self._items.get(place, b"")
        if len(have) + 10 + len(name) < _LARGEST_REFS:
            self._items[place] = have + index.to_bytes(8, "little") + len(name).to_bytes(2, "little") + name
            return
        place = (inode, INODE_EXTREF, extref_hash(parent, name))
        head = parent.to_bytes(8, "little") + index.to_bytes(8, "little") + len(name).to_bytes(2, "little")
        self._items[place] = self._items.get(place, b"") + head + name

    def _count_links(self) -> None:
        """Set the links of inodes with several names: those in this subvolume, whatever the source says."""
        for inode, count in self._names.items():
            if count > 1:
                raw = bytearray(self._items[inode, INODE, 0])
                raw[40:44] = count.to_bytes(4, "little")
                self._items[inode, INODE, 0] = bytes(raw)

    def _attributes(self, inode: int, path: bytes, mode: int) -> None:
        for name, value in attributes(path, mode, self._labels):
            raw = os.fsencode(name)
            place: Key = (inode, XATTR, name_hash(raw))
            entry = dir_entry(pack_key(0, 0, 0), raw, _XATTR_ENTRY, value)
            self._items[place] = self._items.get(place, b"") + entry
            if len(self._items[place]) > LARGEST_ITEM:
                raise CannotHold(f"{show(path)}: btrfs cannot hold so large an attribute as {name}")

    def _file(self, child: TreeEntry, inode: int) -> None:
        path, info = child.path, child.info
        if info.st_nlink > 1:
            self._links[info.st_ino] = inode
        size = held = 0
        if stat.S_ISLNK(info.st_mode):
            target = os.readlink(path)
            size = held = len(target)
            self._items[inode, EXTENT_DATA, 0] = inline_extent(target)
        elif stat.S_ISREG(info.st_mode) and info.st_size:
            size = info.st_size
            held = self._content(inode, path, info)
        self._items[inode, INODE, 0] = inode_item(info, size=size, held=held, links=1, epoch=self.epoch)
        self._attributes(inode, path, info.st_mode)

    def _content(self, inode: int, path: bytes, info: os.stat_result) -> int:
        """Write the data of a file; return the bytes that its extents hold."""
        source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            if info.st_size <= _INLINE:
                self._items[inode, EXTENT_DATA, 0] = inline_extent(os.read(source, info.st_size))
                return info.st_size
            held = 0
            for first, count in data_runs(source, info, SECTOR):
                at, end = first * SECTOR, (first + count) * SECTOR
                while at < end:
                    got = self._extent(inode, source, at, end - at)
                    at, held = at + got, held + got
            return held
        finally:
            os.close(source)

    def _extent(self, inode: int, source: int, at: int, length: int) -> int:
        """Write one extent of a file, from `at` on; return how many of `length` bytes it holds."""
        if self.compression is not None:
            return self._packed_extent(self.compression, inode, source, at, min(length, PIECE))
        logical, place, got = self.chunks.allocate(min(length, _LARGEST_EXTENT))
        done = 0
        while done < got:
            buffer = bytearray(min(_BUFFER, got - done))
            os.preadv(source, [buffer], at + done)
            self.chunks.put_data(buffer, logical + done, place + done)
            done += len(buffer)
        self._note(inode, at, logical, got, got, 0)
        return got

    def _packed_extent(self, method: Compression, inode: int, source: int, at: int, length: int) -> int:
        raw = os.pread(source, length, at).ljust(length, b"\0")
        packed = method.pack(raw)
        number = method.number if len(packed) <= length - SECTOR else 0
        data = packed if number else raw
        logical, place, got = self.chunks.allocate(-(-len(data) // SECTOR) * SECTOR)
        if got < len(data):  # the end of a chunk
            number, data, length = 0, raw[:got], got
        self.chunks.put_data(bytearray(data.ljust(got, b"\0")), logical, place)
        self._note(inode, at, logical, got, length, number)
        return length

    def _note(self, inode: int, at: int, logical: int, on_disk: int, in_file: int, method: int) -> None:
        self._items[inode, EXTENT_DATA, at] = disk_extent(logical, on_disk, in_file, method)
        self.extents.items[logical, DATA_EXTENT, on_disk] = data_reference(self.tree.number, inode, at)
