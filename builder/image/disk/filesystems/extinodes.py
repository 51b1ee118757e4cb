# SPDX-License-Identifier: MIT
"""Finish the inodes of an ext file system that mke2fs has filled.

Times go back to an epoch, so that equal trees give equal bytes: a file's ctime is the moment at which it
was made in the tree, no program can set it there, and mke2fs copies it. Nanoseconds, and times before 1970,
which mke2fs loses, come from the tree. And the root folder gets its mode, which mke2fs does not copy. All is
done in the inode tables; their checksums are made again.
Layout: Documentation/filesystems/ext4 of Linux (super.rst, group_descr.rst, inodes.rst).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from builder.formats.crc32c import crc32c
from builder.image.disk.filesystems.extpaths import Paths, paths_of

_MAGIC = 0xEF53
_INCOMPAT_64BIT = 0x80
_RO_COMPAT_METADATA_CSUM = 0x400
_INODE_UNINIT = 1
_ROOT_INODE = 2
_CTIME, _MTIME, _ATIME, _CRTIME = 0x0C, 0x10, 0x08, 0x90
_CTIME_EXTRA, _MTIME_EXTRA, _ATIME_EXTRA, _CRTIME_EXTRA = 0x84, 0x88, 0x8C, 0x94
_CHECKSUM_LOW, _CHECKSUM_HIGH = 0x7C, 0x82
_GENERATION, _EXTRA_ISIZE = 0x64, 0x80
_GOOD_OLD = 128
_BILLION = 10**9


@dataclass(frozen=True, kw_only=True, slots=True)
class _Superblock:
    blocksize: int
    blocks: int
    first_block: int
    blocks_a_group: int
    inodes_a_group: int
    inode_size: int
    descriptor_size: int
    with_checksums: bool
    seed: int


def paths(disk_file: Path, offset: int, source: Path) -> Paths:
    """Return what became of `source` in the file system at `offset` of `disk_file`, as of `paths_of`."""
    with disk_file.open("rb") as file:
        super_ = _read_superblock(file, offset)
        tables = list(_tables(file, offset, super_))
        raws = _read_tables(file, offset, super_, tables)
        by_group = {
            first // super_.inodes_a_group: raw for (first, _, _), raw in zip(tables, raws, strict=True)
        }

        def read_inode(number: int) -> bytes:
            group, index = divmod(number - 1, super_.inodes_a_group)
            return bytes(by_group[group][index * super_.inode_size : (index + 1) * super_.inode_size])

        def read_block(block: int) -> bytes:
            return os.pread(file.fileno(), super_.blocksize, offset + block * super_.blocksize)

        return paths_of(source, read_inode, read_block)


def finish(disk_file: Path, offset: int, *, epoch: int, known: Paths) -> None:
    """Finish the inodes of the file system at `offset` of `disk_file`.

    Every ctime and crtime becomes `epoch`, every mtime at most it, every atime the mtime.

    Args:
        known: what `paths` returns; nothing where the file system is empty.
    """
    with disk_file.open("r+b") as file:
        super_ = _read_superblock(file, offset)
        tables = list(_tables(file, offset, super_))
        raws = _read_tables(file, offset, super_, tables)
        times = {number: info.st_mtime_ns for number, (_, info) in known.items()}
        for (first_inode, used, table), raw in zip(tables, raws, strict=True):
            if first_inode == 1 and known:
                struct.pack_into(
                    "<H", raw, (_ROOT_INODE - 1) * super_.inode_size, known[_ROOT_INODE][1].st_mode
                )
            for index in range(used):
                number = first_inode + index
                _settle(raw, index * super_.inode_size, number, super_, epoch, times.get(number))
            file.seek(offset + table * super_.blocksize)
            file.write(raw)


def _read_tables(
    file: BinaryIO, offset: int, super_: _Superblock, tables: Sequence[tuple[int, int, int]]
) -> list[bytearray]:
    raws = []
    for _, used, table in tables:
        file.seek(offset + table * super_.blocksize)
        raws.append(bytearray(file.read(used * super_.inode_size)))
    return raws


def _read_superblock(file: BinaryIO, offset: int) -> _Superblock:
    file.seek(offset + 1024)
    raw = file.read(1024)
    if struct.unpack_from("<H", raw, 0x38)[0] != _MAGIC:
        raise ValueError(f"no ext file system at byte {offset}")
    incompat, ro_compat = struct.unpack_from("<II", raw, 0x60)
    wide = bool(incompat & _INCOMPAT_64BIT)
    high = struct.unpack_from("<I", raw, 0x150)[0] if wide else 0
    with_checksums = bool(ro_compat & _RO_COMPAT_METADATA_CSUM)
    return _Superblock(
        blocksize=1024 << struct.unpack_from("<I", raw, 0x18)[0],
        blocks=struct.unpack_from("<I", raw, 0x04)[0] | high << 32,
        first_block=struct.unpack_from("<I", raw, 0x14)[0],
        blocks_a_group=struct.unpack_from("<I", raw, 0x20)[0],
        inodes_a_group=struct.unpack_from("<I", raw, 0x28)[0],
        inode_size=struct.unpack_from("<H", raw, 0x58)[0],
        descriptor_size=struct.unpack_from("<H", raw, 0xFE)[0] if wide else 32,
        with_checksums=with_checksums,
        seed=crc32c(raw[0x68:0x78]) if with_checksums else 0,
    )


def _tables(file: BinaryIO, offset: int, super_: _Superblock) -> Iterator[tuple[int, int, int]]:
    """Yield (first inode, how many may be used, first block of the table) of each group."""
    groups = -(-(super_.blocks - super_.first_block) // super_.blocks_a_group)
    file.seek(offset + (super_.first_block + 1) * super_.blocksize)
    raw = file.read(groups * super_.descriptor_size)
    for group in range(groups):
        base = group * super_.descriptor_size
        table = struct.unpack_from("<I", raw, base + 0x08)[0]
        (flags,) = struct.unpack_from("<H", raw, base + 0x12)
        unused = struct.unpack_from("<H", raw, base + 0x1C)[0]
        if super_.descriptor_size >= 64:
            table |= struct.unpack_from("<I", raw, base + 0x28)[0] << 32
            unused |= struct.unpack_from("<H", raw, base + 0x32)[0] << 16
        used = super_.inodes_a_group - (unused if super_.with_checksums else 0)
        if used and not (super_.with_checksums and flags & _INODE_UNINIT):
            yield group * super_.inodes_a_group + 1, used, table


def _settle(
    raw: bytearray, base: int, number: int, super_: _Superblock, epoch: int, modified: int | None
) -> None:
    """Set the times of an inode and its checksum; `modified` is its time in the source, in nanoseconds."""
    if raw[base : base + 2] == b"\0\0":  # no mode: not in use
        return
    if modified is None:
        modified = struct.unpack_from("<I", raw, base + _MTIME)[0] * _BILLION
    seconds, nanoseconds = divmod(min(modified, epoch * _BILLION), _BILLION)
    for field, value in ((_ATIME, seconds), (_MTIME, seconds), (_CTIME, epoch)):
        struct.pack_into("<I", raw, base + field, value & 0xFFFFFFFF)
    extra = 0
    if super_.inode_size > _GOOD_OLD:
        (extra,) = struct.unpack_from("<H", raw, base + _EXTRA_ISIZE)
        if extra >= _CRTIME_EXTRA + 4 - _GOOD_OLD:
            struct.pack_into("<I", raw, base + _CRTIME, epoch & 0xFFFFFFFF)
            for field in (_CTIME_EXTRA, _CRTIME_EXTRA):
                struct.pack_into("<I", raw, base + field, _more(epoch, 0))
            for field in (_MTIME_EXTRA, _ATIME_EXTRA):
                struct.pack_into("<I", raw, base + field, _more(seconds, nanoseconds))
    if super_.with_checksums:
        _set_checksum(raw, base, number, super_, has_high=extra >= _CHECKSUM_HIGH + 2 - _GOOD_OLD)


def _more(seconds: int, nanoseconds: int) -> int:
    """Return what a time has beyond its 32 signed bits: two bits of seconds, and nanoseconds."""
    signed = (seconds & 0xFFFFFFFF) - ((seconds & 0x80000000) << 1)
    return (seconds - signed >> 32 & 3) | nanoseconds << 2


def _set_checksum(raw: bytearray, base: int, number: int, super_: _Superblock, *, has_high: bool) -> None:
    struct.pack_into("<H", raw, base + _CHECKSUM_LOW, 0)
    if has_high:
        struct.pack_into("<H", raw, base + _CHECKSUM_HIGH, 0)
    inode = bytes(raw[base : base + super_.inode_size])
    value = crc32c(struct.pack("<I", number) + inode[_GENERATION : _GENERATION + 4], super_.seed)
    value = crc32c(inode, value)
    struct.pack_into("<H", raw, base + _CHECKSUM_LOW, value & 0xFFFF)
    if has_high:
        struct.pack_into("<H", raw, base + _CHECKSUM_HIGH, value >> 16)
