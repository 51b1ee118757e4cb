# SPDX-License-Identifier: MIT
"""The space of an ext4: superblock, block groups, free extents (Documentation/filesystems/ext4 of Linux:
super.rst, group_descr.rst, bitmaps.rst). Little-endian.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass, field

from builder.errors import BuildError
from builder.formats.crc32c import crc32c
from builder.image.disk.filesystems.disk import write_at
from builder.image.disk.filesystems.source import NoRoom

_MAGIC = 0xEF53
_SUPERBLOCK_AT, _SUPERBLOCK = 1024, 1024
# Features that are written, or are of no matter to what is written; `_NEEDED` have to be there.
_COMPATIBLE = 0x4 | 0x8 | 0x10 | 0x20 | 0x400 | 0x800 | 0x1000
_INCOMPATIBLE = 0x2 | 0x40 | 0x80 | 0x200 | 0x2000 | 0x4000 | 0x8000
_READ_ONLY = 0x1 | 0x2 | 0x8 | 0x20 | 0x40 | 0x400 | 0x8000
_NEEDED = 0x2 | 0x40, 0x2  # filetype and extents; large_file
_64BIT, _CHECKSUM_SEED, _METADATA_CSUM = 0x80, 0x2000, 0x400
# Flags of a group: neither its inode table nor its bitmaps were written.
_INODE_UNINIT, _BLOCK_UNINIT = 1, 2
# Where a descriptor has a number's low and high half.
_BLOCK_BITMAP, _INODE_BITMAP, _INODE_TABLE = (0x00, 0x20), (0x04, 0x24), (0x08, 0x28)
_FREE_BLOCKS, _FREE_INODES, _FOLDERS, _UNUSED = (0x0C, 0x2C), (0x0E, 0x2E), (0x10, 0x30), (0x1C, 0x32)
_BLOCK_SUM, _INODE_SUM = (0x18, 0x38), (0x1A, 0x3A)
_FLAGS, _SUM = 0x12, 0x1E


@dataclass(slots=True)
class _Group:
    """A block group: its descriptor, and what is taken of it, as bits of a number."""

    descriptor: bytearray
    blocks: int
    inodes: int
    table: bytearray = field(default_factory=bytearray)
    changed: bool = False


class Space:
    """The file system at `offset` of an open disk file, as mke2fs made it, and what of it is free."""

    def __init__(self, descriptor: int, offset: int) -> None:
        self.descriptor, self.offset = descriptor, offset
        self.superblock = bytearray(os.pread(descriptor, _SUPERBLOCK, offset + _SUPERBLOCK_AT))
        if self._short(0x38) != _MAGIC:
            raise BuildError(f"mke2fs made no ext4 file system at byte {offset}")
        self.compatible, self.incompatible, self.read_only = struct.unpack_from("<III", self.superblock, 0x5C)
        wide = bool(self.incompatible & _64BIT)
        self.block = 1024 << self._long(0x18)
        self.first = self._long(0x14)
        self.end = self._long(0x04) | (self._long(0x150) << 32 if wide else 0)
        self.group_blocks, self.group_inodes = self._long(0x20), self._long(0x28)
        self.inode_size = self._short(0x58)
        self.descriptor_size = self._short(0xFE) if wide else 32
        self.summed = bool(self.read_only & _METADATA_CSUM)
        if self.incompatible & _CHECKSUM_SEED:
            self.seed = self._long(0x270)
        else:
            self.seed = crc32c(bytes(self.superblock[0x68:0x78]))
        self.groups: list[_Group] = []
        self.free: list[list[int]] = []
        self._cursor = 0

    @property
    def is_known(self) -> bool:
        """Say whether this writer knows all that mke2fs has made, by options of the kickstart for example."""
        incompatible, read_only = _NEEDED
        return (
            not self.compatible & ~_COMPATIBLE
            and not self.incompatible & ~_INCOMPATIBLE
            and not self.read_only & ~_READ_ONLY
            and self.incompatible & incompatible == incompatible
            and self.read_only & read_only == read_only
            and self.inode_size >= 256
        )

    def load(self) -> None:
        """Read the groups."""
        count = -(-(self.end - self.first) // self.group_blocks)
        raw = self.read((self.first + 1), count * self.descriptor_size)
        self.groups = [
            _Group(bytearray(raw[at : at + self.descriptor_size]), 0, 0)
            for at in range(0, len(raw), self.descriptor_size)
        ]
        table = -(-self.group_inodes * self.inode_size // self.block)
        for number, group in enumerate(self.groups):
            flags = self._flags(group)
            copies = self._copies(number)
            if flags & _BLOCK_UNINIT:
                group.blocks |= (1 << copies) - 1
            else:
                bitmap = self.read(self._number(group, _BLOCK_BITMAP), self.block)
                group.blocks |= int.from_bytes(bitmap, "little") & (1 << self._size(number)) - 1
            if not flags & _INODE_UNINIT:
                bitmap = self.read(self._number(group, _INODE_BITMAP), self.block)
                group.inodes = int.from_bytes(bitmap, "little") & (1 << self.group_inodes) - 1
                size = group.inodes.bit_length() * self.inode_size
                group.table = bytearray(self.read(self._number(group, _INODE_TABLE), size))
        # With flex_bg, what describes a group may be in another one, which was not written either.
        for group in self.groups:
            for place, length in ((_BLOCK_BITMAP, 1), (_INODE_BITMAP, 1), (_INODE_TABLE, table)):
                self._mark(self._number(group, place), length)
        for group in self.groups:
            group.changed = False

    def find_free(self) -> None:
        """Find out which blocks are free. From then on they can be taken."""
        self.free = []
        for number, group in enumerate(self.groups):
            base, taken = self.first + number * self.group_blocks, group.blocks.bit_length()
            runs = [run.span() for run in re.finditer("0+", f"{group.blocks:b}"[::-1])] if taken else []
            for start, end in (*runs, (taken, self._size(number))):
                if self.free and self.free[-1][1] == base + start:
                    self.free[-1][1] = base + end
                elif start < end:
                    self.free.append([base + start, base + end])

    def _copies(self, number: int) -> int:
        """Return how many blocks of a group copies of superblock and descriptors take."""
        if not self.has_copy(number):
            return 0
        descriptors = -(-len(self.groups) * self.descriptor_size // self.block)
        return 1 + descriptors + self._short(0xCE)

    def has_copy(self, number: int) -> bool:
        """Say whether a group begins with superblock and descriptors: all, or by sparse_super few of them."""
        if number < 2 or not self.read_only & 1:
            return True
        return any(number == base**power for base in (3, 5, 7) for power in range(1, 24))

    def read(self, block: int, size: int) -> bytes:
        """Return `size` bytes from the start of a block on."""
        return os.pread(self.descriptor, size, self.offset + block * self.block)

    def put(self, block: int, raw: bytes | bytearray | memoryview) -> None:
        """Write blocks."""
        write_at(self.descriptor, raw, self.offset + block * self.block)

    @property
    def room(self) -> int:
        """How many blocks are free."""
        return sum(end - start for start, end in self.free)

    def release(self, block: int, count: int) -> None:
        """Give blocks back that mke2fs has taken, before `find_free`."""
        for one in range(block, block + count):
            group, bit = divmod(one - self.first, self.group_blocks)
            self.groups[group].blocks &= ~(1 << bit)
            self.groups[group].changed = True

    def take_run(self, count: int, *, align: int = 1) -> int | None:
        """Take `count` blocks in a row, beginning at a multiple of `align` bytes of the disk; None: nowhere.

        Later calls get later blocks, while there is room: equal content gives equal bytes.
        """
        step = max(1, align // self.block)
        skew = self.offset // self.block
        for place in range(self._cursor if align > 1 else 0, len(self.free)):
            start, end = self.free[place]
            first = start + -(start + skew) % step
            if first + count <= end:
                self._cut(place, first, count)
                if align > 1:
                    self._cursor = place + (first > start)
                return first
        return None

    def _cut(self, place: int, first: int, count: int) -> None:
        """Take blocks out of the free extent at `place`."""
        start, end = self.free[place]
        rest = [one for one in ([start, first], [first + count, end]) if one[0] < one[1]]
        self.free[place : place + 1] = rest
        if place < self._cursor:
            self._cursor += len(rest) - 1
        self._mark(first, count)

    def take(self, count: int) -> list[tuple[int, int]]:
        """Take `count` blocks wherever they are; return (first, how many) of each run.

        Raises:
            NoRoom: there are not so many.
        """
        whole = self.take_run(count)
        if whole is not None:
            return [(whole, count)]
        runs = []
        while count:
            if not self.free:
                raise NoRoom
            place = max(range(len(self.free)), key=lambda one: self.free[one][1] - self.free[one][0])
            start, end = self.free[place]
            got = min(count, end - start)
            self._cut(place, start, got)
            runs.append((start, got))
            count -= got
        return runs

    def _mark(self, block: int, count: int) -> None:
        while count:
            number, bit = divmod(block - self.first, self.group_blocks)
            here = min(count, self.group_blocks - bit)
            group = self.groups[number]
            group.blocks |= ((1 << here) - 1) << bit
            group.changed = True
            block, count = block + here, count - here

    def take_inode(self, after: int) -> int:
        """Take the first free inode after the number `after`.

        Raises:
            NoRoom: there is none.
        """
        number, bit = divmod(after, self.group_inodes)
        while number < len(self.groups):
            group = self.groups[number]
            rest = ~(group.inodes >> bit)
            bit += (rest & -rest).bit_length() - 1
            if bit < self.group_inodes:
                group.inodes |= 1 << bit
                group.changed = True
                return number * self.group_inodes + bit + 1
            number, bit = number + 1, 0
        raise NoRoom

    def put_inode(self, number: int, raw: bytes | bytearray) -> None:
        """Keep the bytes of an inode until `finish`."""
        group, index = divmod(number - 1, self.group_inodes)
        table, at = self.groups[group].table, index * self.inode_size
        if len(table) < at:
            table.extend(bytes(at - len(table)))
        table[at : at + self.inode_size] = raw
        self.groups[group].changed = True

    def read_inode(self, number: int) -> bytes:
        """Return the bytes of an inode that is in use."""
        group, index = divmod(number - 1, self.group_inodes)
        return bytes(self.groups[group].table[index * self.inode_size : (index + 1) * self.inode_size])

    def finish(self, folders: dict[int, int]) -> None:
        """Write inode tables, bitmaps, descriptors, superblock, and the copies of the last two.

        Args:
            folders: how many folders each group has by now.
        """
        for number, group in enumerate(self.groups):
            if not group.changed:
                continue
            if group.inodes:
                self._write_inodes(group, folders.get(number, 0))
            self._write_blocks(number, group)
            group.descriptor[_FLAGS] &= ~_BLOCK_UNINIT
            if self.summed:
                group.descriptor[_SUM : _SUM + 2] = bytes(2)
                value = crc32c(bytes(group.descriptor), crc32c(struct.pack("<I", number), self.seed))
                struct.pack_into("<H", group.descriptor, _SUM, value & 0xFFFF)
        free_blocks = sum(self._number(group, _FREE_BLOCKS) for group in self.groups)
        free_inodes = sum(self._number(group, _FREE_INODES) for group in self.groups)
        struct.pack_into("<II", self.superblock, 0x0C, free_blocks & 0xFFFFFFFF, free_inodes)
        if self.incompatible & _64BIT:
            struct.pack_into("<I", self.superblock, 0x158, free_blocks >> 32)
        descriptors = b"".join(bytes(group.descriptor) for group in self.groups)
        for number in range(len(self.groups)):
            if self.has_copy(number):
                self._write_copy(number, descriptors)

    def _write_inodes(self, group: _Group, folders: int) -> None:
        used = group.inodes.bit_length()
        raw = bytes(group.table[: used * self.inode_size])
        self.put(self._number(group, _INODE_TABLE), raw + bytes(-len(raw) % self.block))
        bitmap = self._bitmap(group.inodes, self.group_inodes)
        self.put(self._number(group, _INODE_BITMAP), bitmap)
        self._set(group, _FREE_INODES, self.group_inodes - group.inodes.bit_count())
        self._set(group, _FOLDERS, folders)
        if self.summed:
            self._set(group, _UNUSED, self.group_inodes - used)
            self._set(group, _INODE_SUM, crc32c(bitmap[: self.group_inodes // 8], self.seed))
            group.descriptor[_FLAGS] &= ~_INODE_UNINIT

    def _write_blocks(self, number: int, group: _Group) -> None:
        size = self._size(number)
        bitmap = self._bitmap(group.blocks, size)
        self.put(self._number(group, _BLOCK_BITMAP), bitmap)
        self._set(group, _FREE_BLOCKS, size - group.blocks.bit_count())
        if self.summed:
            self._set(group, _BLOCK_SUM, crc32c(bitmap[: self.group_blocks // 8], self.seed))

    def _bitmap(self, bits: int, size: int) -> bytes:
        """Return a bitmap of a block; what is behind its last bit is taken."""
        whole = 8 * self.block
        return (bits | ((1 << whole) - 1) >> size << size).to_bytes(self.block, "little")

    def _write_copy(self, number: int, descriptors: bytes) -> None:
        struct.pack_into("<H", self.superblock, 0x5A, number)
        if self.summed:
            struct.pack_into("<I", self.superblock, 0x3FC, crc32c(bytes(self.superblock[:0x3FC])))
        start = self.first + number * self.group_blocks
        at = start * self.block if number else _SUPERBLOCK_AT
        write_at(self.descriptor, self.superblock, self.offset + at)
        self.put(start + 1, descriptors)

    def _size(self, number: int) -> int:
        """Return how many blocks a group has: all but the last one the same."""
        return min(self.group_blocks, self.end - self.first - number * self.group_blocks)

    def _flags(self, group: _Group) -> int:
        return group.descriptor[_FLAGS] if self.summed else 0

    def _number(self, group: _Group, place: tuple[int, int]) -> int:
        low, high = place
        form = "<I" if low < _FREE_BLOCKS[0] else "<H"
        (value,) = struct.unpack_from(form, group.descriptor, low)
        if self.descriptor_size >= 64:
            value |= struct.unpack_from(form, group.descriptor, high)[0] << (32 if form == "<I" else 16)
        return int(value)

    def _set(self, group: _Group, place: tuple[int, int], value: int) -> None:
        """Set a number of 16 bits, or 32 where descriptors are large."""
        low, high = place
        struct.pack_into("<H", group.descriptor, low, value & 0xFFFF)
        if self.descriptor_size >= 64:
            struct.pack_into("<H", group.descriptor, high, value >> 16)

    def _short(self, at: int) -> int:
        return int(struct.unpack_from("<H", self.superblock, at)[0])

    def _long(self, at: int) -> int:
        return int(struct.unpack_from("<I", self.superblock, at)[0])
