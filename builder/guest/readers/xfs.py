# SPDX-License-Identifier: MIT
"""Files of an XFS (version 5), read from its bytes ("XFS Algorithms & Data Structures"; xfs_format.h).

The image is taken for hostile: every name, link and count is judged, nothing outside the target is written,
and no folder is read twice.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from builder.guest.filesystems import Reading, check_copy, copied
from builder.guest.outcome import not_done
from builder.guest.readers.inodes import LabelledInode

_LOCAL, _EXTENTS, _BTREE = 1, 2, 3
# Of an attribute: it is one of security.* (XFS_ATTR_SECURE), its value is in the leaf (XFS_ATTR_LOCAL).
_SECURE, _VALUE_HERE = 4, 1
_ATTRIBUTE_LEAF = b"\x3b\xee"
# Directories hold entries below 32 GiB; hashes and free space are above (XFS_DIR2_LEAF_OFFSET).
_LEAF_OFFSET = 1 << 35
_INODE_FORK = 176
_NREXT64 = 16
_DEEPEST = 200
_MOST_EXTENTS = 1 << 20
_PIECE = 1 << 20
_MOST_SHARED = 2


@dataclass(frozen=True, slots=True)
class _Inode:
    number: int
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int
    form: int
    extents: int
    fork: bytes
    attribute_form: int
    attribute_extents: int
    attributes: bytes


@dataclass(frozen=True, slots=True)
class _Extent:
    """`count` blocks of a file from its block `first`, at `block` of the file system."""

    first: int
    block: int
    count: int


class XfsReader:
    """Reads the file system that fills the file `image`.

    Raises:
        CannotCheck: it is not one that is read, or damaged.
    """

    def __init__(self, image: Path) -> None:
        self._descriptor = os.open(image, os.O_RDONLY | os.O_CLOEXEC)
        raw = self._bytes(0, 512)
        (version,) = struct.unpack_from(">H", raw, 100)
        if raw[:4] != b"XFSB" or version & 15 != 5:
            raise not_done("the file system is not an xfs of version 5")
        self.block, self.group_blocks = _unpack(">I", raw, 4), _unpack(">I", raw, 84)
        self.inode_size = _unpack(">H", raw, 104)
        self.inode_log, self.group_log, self.folder_log = raw[123], raw[124], raw[192]
        self.root = _unpack(">Q", raw, 56)
        if self.block not in (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536) or self.inode_size < 256:
            raise not_done("the superblock of the xfs is damaged")
        incompatible = _unpack(">I", raw, 216)
        self.bigtime = bool(incompatible & 8)
        self._done: dict[int, Path] = {}
        # Files cannot hold more than the file system has, but for blocks that they share (reflink).
        self._room = os.fstat(self._descriptor).st_size * _MOST_SHARED

    def close(self) -> None:
        """Close the image."""
        os.close(self._descriptor)

    def unpack(self, target: Path) -> None:
        """Write folders, files and links below `target`, which is there; special files are left out.

        Raises:
            CannotCheck: the file system is damaged.
        """
        try:
            self._unpack(target)
        except (struct.error, IndexError, OverflowError, ValueError, OSError) as error:
            raise not_done(f"the xfs is damaged, or cannot be written here: {error}") from error

    def _unpack(self, target: Path) -> None:
        pending = [(self.root, target, 0)]
        seen: set[int] = set()
        while pending:
            number, folder, depth = pending.pop()
            if number in seen or depth > _DEEPEST:
                raise not_done("the folders of the xfs go round in circles")
            seen.add(number)
            inode = self._inode(number)
            if not stat.S_ISDIR(inode.mode):
                raise not_done(f"inode {number} of the xfs is not a folder")
            names: set[bytes] = set()
            for name, child in self._entries(inode):
                if name in (b".", b".."):
                    continue
                if name in names or b"/" in name or b"\0" in name or not name:
                    raise not_done(f"the xfs holds the name {name!r}")
                names.add(name)
                path = folder / os.fsdecode(name)
                if self._write(child, path):
                    pending.append((child, path, depth + 1))
            _finish(folder, inode)

    def labels(self) -> dict[str, LabelledInode]:
        """Return what every path is and its SELinux label.

        Raises:
            CannotCheck: the file system is damaged.
        """
        try:
            return dict(self._labels())
        except (struct.error, IndexError, OverflowError, ValueError, OSError) as error:
            raise not_done(f"the xfs is damaged: {error}") from error

    def _labels(self) -> Iterator[tuple[str, LabelledInode]]:
        pending, seen = [(self.root, "", 0)], set[int]()
        while pending:
            number, path, depth = pending.pop()
            inode = self._inode(number)
            yield path or "/", LabelledInode(inode.mode, self._label(inode))
            if not stat.S_ISDIR(inode.mode):
                continue
            if number in seen or depth > _DEEPEST:
                raise not_done("the folders of the xfs go round in circles")
            seen.add(number)
            for name, child in self._entries(inode):
                if name not in (b".", b".."):
                    pending.append((child, f"{path}/{os.fsdecode(name)}", depth + 1))

    def _label(self, inode: _Inode) -> str | None:
        for space, name, value in self._attributes(inode):
            if space & _SECURE and name == b"selinux":
                return value.rstrip(b"\0").decode("ascii")
        return None

    def _attributes(self, inode: _Inode) -> Iterator[tuple[int, bytes, bytes]]:
        """Yield (space, name, value) of the attributes whose value is with their name."""
        if not inode.attributes:
            return
        if inode.attribute_form == _LOCAL:
            yield from _short_attributes(inode.attributes)
            return
        outside = replace(
            inode, form=inode.attribute_form, fork=inode.attributes, extents=inode.attribute_extents
        )
        for extent in self._extents(outside):
            for number in range(extent.count):
                raw = self._bytes(self._place(extent.block + number), self.block)
                # Others are nodes of their tree, and values of their own.
                if raw[8:10] == _ATTRIBUTE_LEAF:
                    yield from _leaf_attributes(raw)

    # -- writing ---------------------------------------------------------------------------------

    def _write(self, number: int, path: Path) -> bool:
        """Write one file; say whether it is a folder, to be filled later."""
        inode = self._inode(number)
        if stat.S_ISDIR(inode.mode):
            path.mkdir(mode=0o700)
            return True
        if number in self._done:
            os.link(self._done[number], path, follow_symlinks=False)
        elif stat.S_ISLNK(inode.mode):
            os.symlink(self._target(inode), path)
            self._done[number] = path
        elif stat.S_ISREG(inode.mode):
            self._copy(inode, path)
            self._done[number] = path
        return False

    def _copy(self, inode: _Inode, path: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        try:
            os.truncate(descriptor, inode.size)
            for extent in self._extents(inode):
                at = extent.first * self.block
                end = min(at + extent.count * self.block, inode.size)
                source = self._place(extent.block)
                self._room -= max(end - at, 0)
                if self._room < 0:
                    raise not_done("the files of the xfs are larger than the xfs")
                while at < end:
                    data = self._bytes(source, min(_PIECE, end - at))
                    os.pwrite(descriptor, data, at)
                    at, source = at + len(data), source + len(data)
        finally:
            os.close(descriptor)
        _finish(path, inode)

    def _target(self, inode: _Inode) -> bytes:
        if inode.form == _LOCAL:
            return inode.fork[: inode.size]
        found = b""
        for extent in self._extents(inode):
            for number in range(extent.count):
                raw = self._bytes(self._place(extent.block + number), self.block)
                if raw[:4] != b"XSLM":
                    raise not_done(f"link {inode.number} of the xfs is damaged")
                found += raw[56 : 56 + _unpack(">I", raw, 8)]
        return found[: inode.size]

    # -- reading ---------------------------------------------------------------------------------

    def _bytes(self, at: int, size: int) -> bytes:
        raw = os.pread(self._descriptor, size, at)
        if len(raw) != size:
            raise not_done("the xfs points to a place that it does not have")
        return raw

    def _place(self, block: int) -> int:
        """Return the byte at which a block lies (the group in its high bits)."""
        group, inside = block >> self.group_log, block & (1 << self.group_log) - 1
        return (group * self.group_blocks + inside) * self.block

    def _inode(self, number: int) -> _Inode:
        at = self._place(number >> self.inode_log) + (number & (1 << self.inode_log) - 1) * self.inode_size
        raw = self._bytes(at, self.inode_size)
        if raw[:2] != b"IN" or raw[4] != 3:
            raise not_done(f"inode {number} of the xfs is damaged")
        mode, form = _unpack(">H", raw, 2), raw[5]
        flags = _unpack(">Q", raw, 120)
        extents = _unpack(">Q", raw, 24) if flags & _NREXT64 else _unpack(">I", raw, 76)
        # With larger counts the attributes' is where the data's lay.
        attribute_extents = _unpack(">I", raw, 76) if flags & _NREXT64 else _unpack(">H", raw, 80)
        end = _INODE_FORK + raw[82] * 8 if raw[82] else self.inode_size
        modified = _unpack(">Q", raw, 40)
        seconds = modified // 10**9 - (1 << 31) if self.bigtime else _unpack(">i", raw, 40)
        return _Inode(
            number, mode, _unpack(">I", raw, 8), _unpack(">I", raw, 12), seconds, _unpack(">Q", raw, 56),
            form, extents, raw[_INODE_FORK:end], raw[83], attribute_extents, raw[end:] if raw[82] else b"",
        )  # fmt: skip

    def _extents(self, inode: _Inode) -> Iterator[_Extent]:
        if inode.extents > _MOST_EXTENTS:
            raise not_done(f"inode {inode.number} of the xfs has too many extents")
        if inode.form == _EXTENTS:
            yield from _records(inode.fork, 0, inode.extents)
        elif inode.form == _BTREE:
            level, count = struct.unpack_from(">HH", inode.fork, 0)
            most = (len(inode.fork) - 4) // 16
            yield from self._tree(inode.fork, 4 + most * 8, count, level)
        else:
            raise not_done(f"inode {inode.number} of the xfs has no extents")

    def _tree(self, raw: bytes, at: int, count: int, level: int) -> Iterator[_Extent]:
        """Yield the extents below `count` pointers at `at`; a node lies one level above what it points to."""
        if level > 8 or at + count * 8 > len(raw):
            raise not_done("a tree of extents of the xfs is damaged")
        for (block,) in struct.iter_unpack(">Q", raw[at : at + count * 8]):
            below = self._bytes(self._place(block), self.block)
            found, records = struct.unpack_from(">HH", below, 4)
            if below[:4] != b"BMA3" or found != level - 1:
                raise not_done("a tree of extents of the xfs is damaged")
            if found == 0:
                yield from _records(below, 72, records)
            else:
                yield from self._tree(below, 72 + (self.block - 72) // 16 * 8, records, found)

    def _entries(self, inode: _Inode) -> Iterator[tuple[bytes, int]]:
        if inode.form == _LOCAL:
            yield from _short_entries(inode.fork)
            return
        size = self.block << self.folder_log
        blocks: dict[int, int] = {}
        for extent in self._extents(inode):
            for number in range(extent.count):
                if (extent.first + number) * self.block < min(_LEAF_OFFSET, inode.size):
                    blocks[extent.first + number] = extent.block + number
        per = size // self.block
        for first in sorted(number for number in blocks if number % per == 0):
            parts = [self._bytes(self._place(blocks[first + k]), self.block) for k in range(per)]
            yield from _block_entries(b"".join(parts))


def check(reading: Reading) -> str | None:
    """Run xfs_repair, which changes nothing; return what it complains of."""
    return check_copy(reading, ("xfs_repair", "-n", "-f"))


@contextmanager
def _opened(reading: Reading) -> Iterator[XfsReader]:
    with copied(reading.disk, reading.system, reading.work) as copy, closing(XfsReader(copy)) as reader:
        yield reader


def unpack(reading: Reading, target: Path, _options: Sequence[str]) -> None:
    """Write its files into `target`."""
    with _opened(reading) as reader:
        reader.unpack(target)


def labels(reading: Reading, _folder: Path, _options: Sequence[str]) -> dict[str, LabelledInode]:
    """Return what every path is and its label."""
    with _opened(reading) as reader:
        return reader.labels()


def _unpack(form: str, raw: bytes, at: int) -> int:
    value: int = struct.unpack_from(form, raw, at)[0]
    return value


def _records(raw: bytes, at: int, count: int) -> Iterator[_Extent]:
    if at + count * 16 > len(raw):
        raise not_done("a list of extents of the xfs is damaged")
    for place in range(at, at + count * 16, 16):
        packed = int.from_bytes(raw[place : place + 16], "big")
        if packed >> 127:  # allocated, not written: zeros
            continue
        yield _Extent(packed >> 73 & (1 << 54) - 1, packed >> 21 & (1 << 52) - 1, packed & (1 << 21) - 1)


def _short_attributes(raw: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    at = 4
    for _ in range(raw[2]):
        length, size, space = raw[at], raw[at + 1], raw[at + 2]
        end = at + 3 + length + size
        yield space, raw[at + 3 : at + 3 + length], raw[at + 3 + length : end]
        at = end


def _leaf_attributes(raw: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield what a leaf holds (struct xfs_attr3_leafblock); values in blocks of their own are left out."""
    for number in range(_unpack(">H", raw, 56)):
        at, flags = struct.unpack_from(">HB", raw, 80 + 8 * number + 4)
        if flags & _VALUE_HERE:
            size, length = struct.unpack_from(">HB", raw, at)
            yield flags, raw[at + 3 : at + 3 + length], raw[at + 3 + length : at + 3 + length + size]


def _short_entries(raw: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the entries of a folder in its inode: name, offset and type before the number."""
    wide = 8 if raw[1] else 4
    at = 2 + wide
    for _ in range(raw[0]):
        length = raw[at]
        end = at + 3 + length + 1 + wide
        if end > len(raw):
            raise not_done("a folder of the xfs is damaged")
        yield raw[at + 3 : at + 3 + length], int.from_bytes(raw[end - wide : end], "big")
        at = end


def _block_entries(raw: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the entries of a block; one that is alone ends with its hashes and their number."""
    end = len(raw)
    if raw[:4] == b"XDB3":
        end -= 8 + _unpack(">I", raw, len(raw) - 8) * 8
    elif raw[:4] != b"XDD3":
        raise not_done("a folder of the xfs is damaged")
    at = 64
    while at < end:
        if raw[at : at + 2] == b"\xff\xff":
            size = _unpack(">H", raw, at + 2)
        else:
            length = raw[at + 8]
            size = 12 + length + 7 & ~7
            yield raw[at + 9 : at + 9 + length], _unpack(">Q", raw, at)
        if not size:
            raise not_done("a folder of the xfs is damaged")
        at += size


def _finish(path: Path, inode: _Inode) -> None:
    """Give mode and time; what its owner may not read we may."""
    more = 0o700 if stat.S_ISDIR(inode.mode) else 0o600
    path.chmod(stat.S_IMODE(inode.mode) | more)
    os.utime(path, (inode.mtime, inode.mtime))
