# SPDX-License-Identifier: MIT
"""Extended attributes of an ext4: after the inode, and what does not fit there in a block of its own
(attributes.rst of Linux; fs/ext4/xattr.c, acl.h).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from builder.formats.crc32c import crc32c
from builder.image.disk.filesystems.ext4.inodes import HEAD
from builder.image.disk.filesystems.ext4.space import Space
from builder.image.disk.filesystems.labels import Labels
from builder.image.disk.filesystems.source import CannotHold, attributes, show

_MAGIC = 0xEA020000
_BLOCK_HEAD, _ENTRY = 32, 16
_ACLS = {"system.posix_acl_access": 2, "system.posix_acl_default": 3}
_SPACES = {"user": 1, "trusted": 4, "security": 6}
# Entries of an ACL that name nobody: owner, group, mask, others.
_UNNAMED = (0x01, 0x04, 0x10, 0x20)
ALL32 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class _Attribute:
    space: int
    name: bytes
    value: bytes

    @property
    def order(self) -> tuple[int, int, bytes]:
        """The order of entries in a block, in which the kernel looks for them."""
        return self.space, len(self.name), self.name

    @property
    def size(self) -> int:
        """Bytes of its entry and its value."""
        return _ENTRY + (len(self.name) + 3 & ~3) + (len(self.value) + 3 & ~3)


def put_attributes(space: Space, path: bytes, mode: int, labels: Labels | None) -> tuple[bytes, int]:
    """Return the bytes that follow the inode, and the block with the rest, which is written here (0: none).

    Args:
        mode, labels: as of `attributes`.

    Raises:
        CannotHold: there are too many, or one is of an unknown kind.
    """
    listed = attributes(path, mode, labels)
    if not listed:
        return b"", 0
    found = sorted((_read(path, *pair) for pair in listed), key=lambda one: one.order)
    room = space.inode_size - HEAD - 4 - 4  # the magic, and the zero that ends entries
    inside: list[_Attribute] = []
    outside: list[_Attribute] = []
    for one in found:
        fits = one.size <= room
        (inside if fits else outside).append(one)
        room -= one.size if fits else 0
    raw = b""
    if inside:
        raw = struct.pack("<I", _MAGIC) + _pack(inside, space.inode_size - HEAD - 4, 0)[0]
    if not outside:
        return raw, 0
    if sum(one.size for one in outside) + _BLOCK_HEAD + 4 > space.block:
        raise CannotHold(f"{show(path)}: its attributes do not fit into a block of {space.block} bytes")
    ((block, _),) = space.take(1)
    space.put(block, _block(space, outside, block))
    return raw, block


def _read(path: bytes, full: str, value: bytes) -> _Attribute:
    if full in _ACLS:
        return _Attribute(_ACLS[full], b"", _acl(value))
    kind, _, name = full.partition(".")
    if kind not in _SPACES:
        raise CannotHold(f"{show(path)}: ext4 cannot hold the attribute {full}")
    return _Attribute(_SPACES[kind], os.fsencode(name), value)


def _acl(value: bytes) -> bytes:
    """Return a POSIX ACL of the system calls (linux/posix_acl_xattr.h) as ext4 stores it."""
    rows = [struct.pack("<I", 1)]
    for tag, permissions, who in struct.iter_unpack("<HHI", value[4:]):
        rows.append(struct.pack("<HH", tag, permissions))
        if tag not in _UNNAMED:
            rows.append(struct.pack("<I", who))
    return b"".join(rows)


def _pack(found: Sequence[_Attribute], size: int, head: int) -> tuple[bytes, list[int]]:
    """Return entries from byte `head` on, with their values at the end of `size` bytes, and their hashes."""
    raw = bytearray(size)
    at, end = head, size
    hashes = []
    for one in found:
        end -= len(one.value) + 3 & ~3
        hashes.append(_hash(one))
        place = end if one.value else 0
        struct.pack_into("<BBHIII", raw, at, len(one.name), one.space, place, 0, len(one.value), hashes[-1])
        raw[at + _ENTRY : at + _ENTRY + len(one.name)] = one.name
        raw[end : end + len(one.value)] = one.value
        at += _ENTRY + (len(one.name) + 3 & ~3)
    return bytes(raw[head:]), hashes


def _hash(one: _Attribute) -> int:
    """Return the hash of an entry (ext4_xattr_hash_entry; of bytes with a sign, as older e2fsck wants it)."""
    value = 0
    for byte in one.name:
        signed = byte - 256 if byte > 127 else byte
        value = (value << 5 ^ value >> 27 ^ signed) & ALL32
    for (word,) in struct.iter_unpack("<I", one.value + bytes(-len(one.value) % 4)):
        value = (value << 16 ^ value >> 16 ^ word) & ALL32
    return value


def _block(space: Space, found: Sequence[_Attribute], block: int) -> bytes:
    entries, hashes = _pack(found, space.block, _BLOCK_HEAD)
    value = 0
    for one in hashes:
        value = (value << 16 ^ value >> 16 ^ one) & ALL32
    if 0 in hashes:
        value = 0  # not to be shared
    raw = bytearray(struct.pack("<IIIII12x", _MAGIC, 1, 1, value, 0) + entries)
    if space.summed:
        struct.pack_into("<I", raw, 16, crc32c(bytes(raw), crc32c(struct.pack("<Q", block), space.seed)))
    return bytes(raw)
