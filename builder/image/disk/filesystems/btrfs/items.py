# SPDX-License-Identifier: MIT
"""Keys and items of btrfs (include/uapi/linux/btrfs_tree.h of Linux). Little-endian."""

from __future__ import annotations

import os
import stat
import struct

from builder.formats.crc32c import crc32c

NODE, SECTOR, STRIPE = 16384, 4096, 65536
GENERATION = 1
ALL = (1 << 64) - 1

# Kinds of items.
INODE, INODE_REF, INODE_EXTREF, XATTR = 1, 12, 13, 24
DIR_ITEM, DIR_INDEX, EXTENT_DATA = 84, 96, 108
EXTENT_CSUM, ROOT, ROOT_BACKREF, ROOT_REF = 128, 132, 144, 156
DATA_EXTENT, TREE_BLOCK, BLOCK_GROUP, FREE_INFO, FREE_EXTENT = 168, 169, 192, 198, 199
DEV_EXTENT, DEV_ITEM, CHUNK, DEV_STATS, UUID_SUBVOL = 204, 216, 228, 249, 251

# Trees, and objects with numbers of their own.
ROOT_TREE, EXTENT_TREE, CHUNK_TREE, DEV_TREE, TOP_LEVEL, ROOT_FOLDER = 1, 2, 3, 4, 5, 6
CSUM_TREE, UUID_TREE, FREE_TREE, RELOC_TREE = 7, 9, 10, ALL - 8
CSUM_OBJECT, FIRST_CHUNK, FIRST_FREE = ALL - 9, 256, 256

Key = tuple[int, int, int]


def pack_key(a: int, kind: int, b: int) -> bytes:
    """Return a key as it is stored."""
    return struct.pack("<QBQ", a, kind, b)


def name_hash(name: bytes) -> int:
    """Return the hash of a name in DIR_ITEM and XATTR keys (btrfs_name_hash)."""
    return crc32c(name, 0xFFFFFFFE)


def extref_hash(parent: int, name: bytes) -> int:
    """Return the hash of a name in an INODE_EXTREF key (btrfs_extref_hash)."""
    return crc32c(name, parent & 0xFFFFFFFF)


def _times(seconds: int, nanoseconds: int, now: int) -> bytes:
    """Return atime, ctime, mtime, otime: the modification's, and `now` for the two that nobody can set."""
    return struct.pack("<qIqIqIqI", seconds, nanoseconds, now, 0, seconds, nanoseconds, now, 0)


def inode_item(info: os.stat_result, *, size: int, held: int, links: int, epoch: int) -> bytes:
    """Return the item of an inode: `held` are the bytes that its extents hold on the disk."""
    modified = min(info.st_mtime_ns, epoch * 10**9)
    device = 0
    if stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
        device = os.major(info.st_rdev) << 20 | os.minor(info.st_rdev)
    return struct.pack(
        "<5Q4I3Q32x",
        *(GENERATION, GENERATION, size, held, 0, links, info.st_uid, info.st_gid, info.st_mode),
        *(device, 0, 0),
    ) + _times(modified // 10**9, modified % 10**9, epoch)


def folder_inode(*, epoch: int, size: int = 0, held: int = 0, transaction: int = 0) -> bytes:
    """Return the item of a folder that root owns, mode 755: of empty roots and in root items."""
    return struct.pack(
        "<5Q4I3Q32x", GENERATION, transaction, size, held, 0, 1, 0, 0, stat.S_IFDIR | 0o755, 0, 0, 0
    ) + _times(epoch, 0, epoch)


def dir_entry(where: bytes, name: bytes, kind: int, data: bytes = b"") -> bytes:
    """Return an entry of a directory, or an attribute with its `data`, that leads to the key `where`."""
    return where + struct.pack("<QHHB", GENERATION, len(data), len(name), kind) + name + data


def inline_extent(data: bytes) -> bytes:
    """Return the item of a file's data that is in the item itself."""
    return struct.pack("<QQBBHB", GENERATION, len(data), 0, 0, 0, 0) + data


def disk_extent(logical: int, on_disk: int, in_file: int, compression: int) -> bytes:
    """Return the item of a file's data that is at a logical address."""
    return struct.pack("<QQBBHBQQQQ", GENERATION, in_file, compression, 0, 0, 1, logical, on_disk, 0, in_file)


def data_reference(tree: int, inode: int, offset: int) -> bytes:
    """Return the item of the extent tree for an extent of a file."""
    return struct.pack("<QQQBQQQI", 1, GENERATION, 1, 178, tree, inode, offset, 1)


def block_reference(tree: int) -> bytes:
    """Return the item of the extent tree for a block of a tree."""
    return struct.pack("<QQQBQ", 1, GENERATION, 2, 176, tree)
