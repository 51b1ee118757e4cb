# SPDX-License-Identifier: MIT
"""A whole btrfs: subvolumes, the trees that speak of blocks and chunks, superblocks.

Blocks are numbered in the order in which they are made, and names are sorted: equal trees give equal bytes.
One device, data single, metadata dup or single, crc32c, nodes of 16 KiB; no-holes, skinny metadata, extended
references and the free space tree: the features that mkfs.btrfs makes since 5.15.
"""

from __future__ import annotations

import os
import struct
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from builder.formats.crc32c import ALL as INVERTED
from builder.formats.crc32c import crc32c
from builder.image.disk.filesystems.btrfs import items as k
from builder.image.disk.filesystems.btrfs.chunks import METADATA, METADATA_SPARE, SYSTEM, Chunk, Chunks
from builder.image.disk.filesystems.btrfs.compression import Compression
from builder.image.disk.filesystems.btrfs.content import SubvolumeWriter
from builder.image.disk.filesystems.btrfs.items import NODE, SECTOR, STRIPE
from builder.image.disk.filesystems.btrfs.trees import BTree, TreeWriter
from builder.image.disk.filesystems.disk import write_at
from builder.image.disk.filesystems.labels import Labels
from builder.image.disk.filesystems.source import Source
from builder.sizes import MIB

_SYSTEM_SIZE, _UNIT = 8 * MIB, 8 * MIB
_SUPERBLOCKS = (64 << 10, 64 << 20, 256 << 30)
# Of the checksums of one item, as many as mkfs.btrfs puts there.
_SUMS = 4000
# MIXED_BACKREF BIG_METADATA EXTENDED_IREF SKINNY_METADATA NO_HOLES; FREE_SPACE_TREE and its VALID.
_INCOMPAT, _COMPAT_RO = 0x1 | 0x20 | 0x40 | 0x100 | 0x200, 3


@dataclass(frozen=True, kw_only=True, slots=True)
class SubvolumeRequest:
    """A subvolume to make: its path from the top level (empty: the top level itself), and its content."""

    path: str
    source: Source
    compression: Compression | None = None


class BtrfsFileSystem:
    """Writes one file system at `offset` of an open disk file.

    Args:
        label: its name.
        labels: SELinux's; None: files have their own.
    """

    def __init__(
        self, descriptor: int, offset: int, size: int,
        *, fsid: uuid.UUID, label: str, epoch: int, duplicate: bool, labels: Labels | None = None,
    ) -> None:  # fmt: skip
        self.fsid, self.label, self.epoch, self._labels = fsid, label, epoch, labels
        self.device_uuid, self.chunk_uuid = (uuid.uuid5(fsid, what).bytes for what in ("device", "chunks"))
        self.chunks = Chunks(descriptor, offset, size, duplicate=duplicate)
        self.writer = TreeWriter(self.chunks, fsid=fsid.bytes, chunk_uuid=self.chunk_uuid)
        numbers = (
            *(k.ROOT_TREE, k.EXTENT_TREE, k.CHUNK_TREE, k.DEV_TREE, k.TOP_LEVEL, k.CSUM_TREE, k.UUID_TREE),
            *(k.FREE_TREE, k.RELOC_TREE),
        )
        self.trees = {number: BTree(number=number) for number in numbers}
        self.subvolumes: list[int] = [k.TOP_LEVEL]
        self._features = _INCOMPAT

    def write(self, wanted: Sequence[SubvolumeRequest]) -> None:
        """Write everything; a subvolume comes after the one that it is in.

        Raises:
            CannotHold: something in a source, or its size.
        """
        self.system = self.chunks.add(SYSTEM, _SYSTEM_SIZE)
        numbers = {"": k.TOP_LEVEL}
        for one in wanted:
            if one.path:
                numbers[one.path] = k.FIRST_FREE + len(numbers) - 1
        by_path = {one.path: one for one in wanted}
        for path, number in numbers.items():
            self._subvolume(path, number, numbers, by_path.get(path))
        reloc = self.trees[k.RELOC_TREE].items
        reloc[k.FIRST_FREE, k.INODE, 0] = k.folder_inode(epoch=self.epoch, held=NODE)
        reloc[k.FIRST_FREE, k.INODE_REF, k.FIRST_FREE] = struct.pack("<QH", 0, 2) + b".."
        self.chunks.close_data()
        self._checksums()
        self._finish()

    def _subvolume(
        self, path: str, number: int, numbers: Mapping[str, int], wanted: SubvolumeRequest | None
    ) -> None:
        tree = self.trees.setdefault(number, BTree(number=number))
        if number != k.TOP_LEVEL:
            self.subvolumes.append(number)
        nested = {
            os.fsencode(other.rpartition("/")[2]): child
            for other, child in numbers.items()
            if other and other.rpartition("/")[0] == path
        }
        compression = wanted.compression if wanted else None
        self._features |= compression.feature if compression else 0
        filled = SubvolumeWriter(
            self.chunks, tree, self.trees[k.EXTENT_TREE],
            epoch=self.epoch, compression=compression, nested=nested, labels=self._labels,
        )  # fmt: skip
        filled.fill(wanted.source if wanted else Source(folder=None))
        roots = self.trees[k.ROOT_TREE].items
        for name, child in nested.items():
            reference = struct.pack("<QQH", k.FIRST_FREE, filled.indices[name], len(name)) + name
            roots[child, k.ROOT_BACKREF, number] = reference
            roots[number, k.ROOT_REF, child] = reference
        low, high = struct.unpack("<QQ", self._identity(number))
        self.trees[k.UUID_TREE].items[low, k.UUID_SUBVOL, high] = struct.pack("<Q", number)

    def _identity(self, number: int) -> bytes:
        return uuid.uuid5(self.fsid, f"tree {number}").bytes

    def _checksums(self) -> None:
        runs: list[tuple[int, bytearray]] = []
        for logical, sums in self.chunks.checksums:
            if runs and runs[-1][0] + len(runs[-1][1]) // 4 * SECTOR == logical:
                runs[-1][1].extend(sums)
            else:
                runs.append((logical, bytearray(sums)))
        found = self.trees[k.CSUM_TREE].items
        for logical, run in runs:
            for at in range(0, len(run), 4 * _SUMS):
                place = (k.CSUM_OBJECT, k.EXTENT_CSUM, logical + at // 4 * SECTOR)
                found[place] = bytes(run[at : at + 4 * _SUMS])

    # -- the trees that speak of blocks -----------------------------------------------------------

    def _finish(self) -> None:
        trees = self.trees
        plain = [trees[n] for n in (k.DEV_TREE, k.CSUM_TREE, k.UUID_TREE, k.RELOC_TREE, *self.subvolumes)]
        blocks = sum(len(tree.levels()) for tree in plain)
        size = -(-(blocks * NODE * 5 // 4 + METADATA_SPARE) // _UNIT) * _UNIT
        metadata = self.chunks.add(METADATA, size)
        self._device_items()
        made = [(tree.number, *one) for tree in plain for one in self.writer.write(tree, metadata)]
        self._default_entry()
        for number in trees:
            if number not in (k.ROOT_TREE, k.CHUNK_TREE):
                trees[k.ROOT_TREE].items[number, k.ROOT, 0] = bytes(439)
        self._chunk_items()
        made += [(k.CHUNK_TREE, *one) for one in self.writer.write(trees[k.CHUNK_TREE], self.system)]
        self._speak_of_blocks(metadata, made)
        self._superblocks()

    def _speak_of_blocks(self, metadata: Chunk, made: Sequence[tuple[int, int, int]]) -> None:
        """Write the extent, free space and root trees, which hold the places of their own blocks.

        Their sizes are foreseen: the extent tree's by counting until it no longer grows.
        """
        root, extent, free = (self.trees[n] for n in (k.ROOT_TREE, k.EXTENT_TREE, k.FREE_TREE))
        for chunk in self.chunks.all:
            extent.items[chunk.logical, k.BLOCK_GROUP, chunk.size] = bytes(24)
        self._free_items(free, metadata, 0)
        for number, address, level in made:
            extent.items[address, k.TREE_BLOCK, level] = k.block_reference(number)
        after = metadata.logical + metadata.used
        others = len(free.levels()) + len(root.levels())
        wanted, trial = 0, BTree(number=k.EXTENT_TREE, items=dict(extent.items))
        while len(trial.levels()) != wanted:
            wanted = len(trial.levels())
            for place in range(wanted + others):
                trial.items[after + place * NODE, k.TREE_BLOCK, 0] = bytes(33)
        end = metadata.used + (wanted + others) * NODE
        self._free_items(free, metadata, end)
        address = after
        for tree, levels in ((free, free.levels()), (extent, trial.levels()), (root, root.levels())):
            for level in levels:
                extent.items[address, k.TREE_BLOCK, level] = k.block_reference(tree.number)
                address += NODE
        for chunk in self.chunks.all:
            used = end if chunk is metadata else chunk.used
            group = struct.pack("<QQQ", used, k.FIRST_CHUNK, chunk.kind)
            extent.items[chunk.logical, k.BLOCK_GROUP, chunk.size] = group
        self.writer.write(free, metadata)
        self.writer.write(extent, metadata)
        for number, tree in self.trees.items():
            if number not in (k.ROOT_TREE, k.CHUNK_TREE):
                root.items[number, k.ROOT, 0] = self._root_item(tree)
        self.writer.write(root, metadata)
        assert metadata.used == end, "the trees are as large as foreseen"

    def _free_items(self, tree: BTree, metadata: Chunk, end: int) -> None:
        tree.items.clear()
        for chunk in self.chunks.all:
            used = end if chunk is metadata else chunk.used
            runs = int(used < chunk.size)
            tree.items[chunk.logical, k.FREE_INFO, chunk.size] = struct.pack("<II", runs, 0)
            if runs:
                tree.items[chunk.logical + used, k.FREE_EXTENT, chunk.size - used] = b""

    def _root_item(self, tree: BTree) -> bytes:
        """Return the item of a tree (struct btrfs_root_item)."""
        is_subvolume = tree.number in self.subvolumes
        folder = k.FIRST_FREE if is_subvolume or tree.number == k.RELOC_TREE else 0
        identity = self._identity(tree.number) if is_subvolume else bytes(16)
        transactions = (k.GENERATION, k.GENERATION, 0, 0) if is_subvolume else (0, 0, 0, 0)
        when = (self.epoch, 0) if is_subvolume else (0, 0)
        return (
            k.folder_inode(epoch=self.epoch, size=3, held=NODE)
            + struct.pack(
                "<7QI17xBB", k.GENERATION, folder, tree.root, 0, tree.blocks * NODE, 0, 0, 1, 0, tree.level
            )
            + struct.pack("<Q16s32x4Q", k.GENERATION, identity, *transactions)
            + struct.pack("<qIqI24x64x", *when, *when)
        )

    def _default_entry(self) -> None:
        """Name the subvolume that is mounted without subvol=: the top level."""
        found = self.trees[k.ROOT_TREE].items
        found[k.ROOT_FOLDER, k.INODE, 0] = k.folder_inode(epoch=self.epoch, size=3, held=NODE)
        found[k.ROOT_FOLDER, k.INODE_REF, k.ROOT_FOLDER] = struct.pack("<QH", 0, 2) + b".."
        where = k.pack_key(k.TOP_LEVEL, k.ROOT, k.ALL)
        found[k.ROOT_FOLDER, k.DIR_ITEM, k.name_hash(b"default")] = k.dir_entry(where, b"default", 2)

    # -- devices, chunks, superblocks --------------------------------------------------------------

    def _device_items(self) -> None:
        found = self.trees[k.DEV_TREE].items
        for chunk in self.chunks.all:
            for place in chunk.places:
                found[1, k.DEV_EXTENT, place] = struct.pack(
                    "<QQQQ16s", k.CHUNK_TREE, k.FIRST_CHUNK, chunk.logical, chunk.size, self.chunk_uuid
                )
        found[0, k.DEV_STATS, 1] = bytes(40)

    def _chunk_items(self) -> None:
        found = self.trees[k.CHUNK_TREE].items
        found[1, k.DEV_ITEM, 1] = self._device_item()
        for chunk in self.chunks.all:
            found[k.FIRST_CHUNK, k.CHUNK, chunk.logical] = self._chunk_item(chunk)

    def _device_item(self) -> bytes:
        used = sum(chunk.size * len(chunk.places) for chunk in self.chunks.all)
        return struct.pack(
            "<QQQIIIQQQIBB16s16s",
            *(1, self.chunks.size, used, SECTOR, SECTOR, SECTOR, 0, 0, 0, 0, 0, 0),
            *(self.device_uuid, self.fsid.bytes),
        )

    def _chunk_item(self, chunk: Chunk) -> bytes:
        stripes = b"".join(struct.pack("<QQ16s", 1, place, self.device_uuid) for place in chunk.places)
        return struct.pack(
            "<QQQQIIIHH",
            *(chunk.size, k.EXTENT_TREE, STRIPE, chunk.kind, STRIPE, STRIPE, SECTOR, len(chunk.places), 1),
        ) + stripes  # fmt: skip

    def _superblocks(self) -> None:
        for place in _SUPERBLOCKS:
            if place + SECTOR <= self.chunks.size:
                write_at(self.chunks.descriptor, self._superblock(place), self.chunks.offset + place)

    def _superblock(self, place: int) -> bytes:
        """Return the superblock at `place` (struct btrfs_super_block)."""
        root, chunk_tree = self.trees[k.ROOT_TREE], self.trees[k.CHUNK_TREE]
        array = k.pack_key(k.FIRST_CHUNK, k.CHUNK, self.system.logical) + self._chunk_item(self.system)
        used = sum(chunk.used for chunk in self.chunks.all)
        raw = bytearray(SECTOR)
        struct.pack_into(
            "<16sQQ8sQQQQQQQQQIIIIIQQQQHBBB", raw, 32,
            *(self.fsid.bytes, place, 1, b"_BHRfS_M", k.GENERATION, root.root, chunk_tree.root, 0, 0),
            *(self.chunks.size, used, k.ROOT_FOLDER, 1, SECTOR, NODE, NODE, SECTOR, len(array)),
            *(k.GENERATION, 0, _COMPAT_RO, self._features, 0, root.level, chunk_tree.level, 0),
        )  # fmt: skip
        raw[0xC9 : 0xC9 + 98] = self._device_item()
        text = self.label.encode()
        raw[0x12B : 0x12B + len(text)] = text
        struct.pack_into("<QQ", raw, 0x22B, 0, k.GENERATION)
        raw[0x32B : 0x32B + len(array)] = array
        struct.pack_into("<I", raw, 0, crc32c(bytes(raw[32:])) ^ INVERTED)
        return bytes(raw)
