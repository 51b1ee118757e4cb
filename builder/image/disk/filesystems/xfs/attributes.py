# SPDX-License-Identifier: MIT
"""Extended attributes of an XFS: in the inode (short form), or in one leaf block, large values in blocks of
their own (xfs_da_format.h; xfs_attr_leaf.c, xfs_attr_remote.c of libxfs).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from builder.image.disk.filesystems.labels import Labels
from builder.image.disk.filesystems.source import CannotHold, attributes, show
from builder.image.disk.filesystems.xfs.blocks import Blocks, name_hash
from builder.image.disk.filesystems.xfs.inodes import LOCAL, NO_ATTRIBUTES, Fork, extent
from builder.image.disk.filesystems.xfs.space import BLOCK

_LEAF_MAGIC = 0x3BEE
_ROOT, _SECURE = 2, 4
_SPACES = {"user": 0, "trusted": _ROOT, "security": _SECURE}
_ACLS = {"system.posix_acl_access": b"SGI_ACL_FILE", "system.posix_acl_default": b"SGI_ACL_DEFAULT"}
_LOCAL, _HEAD = 1, 80
# The largest entry with its value in the leaf; what a block of a value holds after its header.
_LARGEST_LOCAL, _VALUE_ROOM = 3072, BLOCK - 56


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute as XFS has it; `space` is a flag: 0 user, 2 trusted and ACLs, 4 security."""

    space: int
    name: bytes
    value: bytes


def read_attributes(path: bytes, mode: int, labels: Labels | None) -> Sequence[Attribute]:
    """Return the attributes of `path`, sorted.

    Args:
        mode, labels: as of `attributes`.

    Raises:
        CannotHold: one is of an unknown kind.
    """
    found = []
    for full, value in attributes(path, mode, labels):
        kind, _, name = full.partition(".")
        if full in _ACLS:
            found.append(Attribute(_ROOT, _ACLS[full], _acl(value)))
        elif kind in _SPACES:
            found.append(Attribute(_SPACES[kind], os.fsencode(name), value))
        else:
            raise CannotHold(f"{show(path)}: xfs cannot hold the attribute {full}")
    found.sort(key=lambda one: (one.space, one.name, one.value))
    return found


def _acl(value: bytes) -> bytes:
    """Return a POSIX ACL of the system calls (linux/posix_acl_xattr.h) as XFS stores it (xfs_acl.h)."""
    rows = list(struct.iter_unpack("<HHI", value[4:]))
    return struct.pack(">I", len(rows)) + b"".join(
        struct.pack(">IIHH", tag, who, permissions, 0) for tag, permissions, who in rows
    )


def short_size(found: Sequence[Attribute]) -> int:
    """Return the bytes that attributes take inside an inode."""
    return 4 + sum(3 + len(one.name) + len(one.value) for one in found) if found else 0


def attribute_fork(blocks: Blocks, inode: int, path: bytes, found: Sequence[Attribute], room: int) -> Fork:
    """Return the attribute fork: in the inode where `room` is enough.

    Raises:
        CannotHold: they do not fit into one block.
    """
    if not found:
        return NO_ATTRIBUTES
    size = short_size(found)
    if size <= room and all(len(one.value) < 256 for one in found):
        rows = (bytes((len(one.name), len(one.value), one.space)) + one.name + one.value for one in found)
        return Fork(form=LOCAL, data=struct.pack(">HBx", size, len(found)) + b"".join(rows))
    remote = _choose_remote(found)
    if remote is None:
        raise CannotHold(f"{show(path)}: its extended attributes are larger than a block of xfs")
    return _put_leaf(blocks, inode, found, remote)


def _choose_remote(found: Sequence[Attribute]) -> set[int] | None:
    """Return which attributes have their value in blocks of its own; None: the leaf has no room.

    The kernel does so from 3 KiB on (xfs_attr_leaf_entsize_local_max); of smaller ones the largest, until
    the rest fits.
    """
    remote = {place for place, one in enumerate(found) if _entry_size(one, remote=False) > _LARGEST_LOCAL}
    by_size = sorted(range(len(found)), key=lambda place: -len(found[place].value))
    for place in (None, *by_size):
        if place is not None:
            remote.add(place)
        need = sum(8 + _entry_size(one, remote=at in remote) for at, one in enumerate(found))
        if _HEAD + need <= BLOCK:
            return remote
    return None


def _entry_size(one: Attribute, *, remote: bool) -> int:
    return (9 + len(one.name) if remote else 3 + len(one.name) + len(one.value)) + 3 & ~3


def _put_leaf(blocks: Blocks, inode: int, found: Sequence[Attribute], remote: set[int]) -> Fork:
    """Write the leaf (struct xfs_attr3_leafblock) and, after it, the values that are outside."""
    counts = {place: -(-len(found[place].value) // _VALUE_ROOM) for place in sorted(remote)}
    total = 1 + sum(counts.values())
    block, _ = blocks.space.allocate(total)
    raw, top, following = bytearray(BLOCK), BLOCK, 1
    order = sorted(
        range(len(found)), key=lambda at: (name_hash(found[at].name), found[at].space, found[at].name)
    )
    for place, at in enumerate(order):
        one = found[at]
        top -= _entry_size(one, remote=at in remote)
        flags = one.space | (0 if at in remote else _LOCAL)
        struct.pack_into(">IHBx", raw, _HEAD + 8 * place, name_hash(one.name), top, flags)
        if at in remote:
            head = struct.pack(">IIB", following, len(one.value), len(one.name))
            raw[top : top + 9 + len(one.name)] = head + one.name
            for number in range(counts[at]):
                part = one.value[number * _VALUE_ROOM : (number + 1) * _VALUE_ROOM]
                blocks.put_value(part, number * _VALUE_ROOM, block + following + number, inode)
            following += counts[at]
        else:
            head = struct.pack(">HB", len(one.value), len(one.name))
            raw[top : top + 3 + len(one.name) + len(one.value)] = head + one.name + one.value
    end = _HEAD + 8 * len(found)
    used = sum(_entry_size(one, remote=at in remote) for at, one in enumerate(found))
    struct.pack_into(">HHHBxHH", raw, 56, len(found), used, top, 0, end, top - end)
    blocks.put_node(raw, _LEAF_MAGIC, block, inode)
    return Fork(data=extent(0, block, total), blocks=total, extents=1)
