# SPDX-License-Identifier: MIT
"""ext2, ext3 and ext4 at an offset in the disk file: made by mke2fs(8), ext4 filled by a writer of our own,
the others, and an ext4 with features that it does not know, by `mke2fs -d`.

The features are ours, not the host's mke2fs.conf: what the kernel, e2fsprogs and GRUB of EL 8 and later,
Fedora and Debian 12 all read. So no metadata_csum_seed and no orphan_file (GRUB 2.06 and EL 8 cannot),
but resize_inode and 64bit, so that a guest can grow it while it is mounted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.errors import BuildError, CommandFailed
from builder.image.disk.filesystems import ext4, extinodes, extlabels
from builder.image.disk.filesystems.disk import DiskFile
from builder.image.disk.filesystems.source import holding, no_room, source_of
from builder.image.disk.placement import KIB, MIB, PlacedContent, Usage
from builder.kickstart.disk import options
from builder.runner import Completed

# What mke2fs uses when --mkfsoptions say nothing else.
CONFIGURATION = """\
[defaults]
\tbase_features = sparse_super,large_file,filetype,resize_inode,dir_index,ext_attr
\tdefault_mntopts = acl,user_xattr
\tenable_periodic_fsck = 0
\tblocksize = 4096
\tinode_size = 256
\tinode_ratio = 16384
[fs_types]
\text3 = {
\t\tfeatures = has_journal
\t}
\text4 = {
\t\tfeatures = has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize
\t}
\tsmall = {
\t\tinode_ratio = 8192
\t}
\tfloppy = {
\t\tinode_ratio = 8192
\t}
\tbig = {
\t\tinode_ratio = 32768
\t}
\thuge = {
\t\tinode_ratio = 65536
\t}
"""

SMALL = 512 * MIB
MINIMUM = 2 * MIB


@dataclass(frozen=True, kw_only=True, slots=True)
class Geometry:
    """Where the blocks of an ext file system go before the first file is written."""

    blocks: int
    overhead: int
    inodes: int
    blocksize: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtWriter:
    """Writes one of the three."""

    fstype: str

    def capacity(self, size: int, mkfsoptions: str | None = None) -> Usage:
        """Return what root may fill: all but the metadata (the 5 % kept for root are root's)."""
        geometry = plan_geometry(self.fstype, size, mkfsoptions)
        room = (geometry.blocks - geometry.overhead) * geometry.blocksize
        if self.fstype != "ext4":
            room -= room // 512  # blocks that map blocks
        # Inodes 1 to 10 are reserved, the root folder is inode 2; lost+found is the first other.
        return Usage(
            bytes=max(0, room),
            inodes=max(0, geometry.inodes - 10),
        )

    def write(self, disk: DiskFile, placed: PlacedContent, sources: Mapping[str, Path]) -> None:
        """Write it with the content of its source.

        Raises:
            BuildError: mke2fs failed; something cannot be held, or does not fit.
        """
        source = source_of(placed.mountpoint, sources).folder
        if self.fstype == "ext4" and source and self._fill(disk, placed, source):
            return
        self._make(disk, placed, source, filled=True)
        known = extinodes.paths(disk.file, placed.start, source) if source else {}
        if disk.labels:
            extlabels.settle(disk, placed, known, disk.labels)
        extinodes.finish(disk.file, placed.start, epoch=disk.epoch, known=known)

    def _fill(self, disk: DiskFile, placed: PlacedContent, source: Path) -> bool:
        """Write it by our own writer; say whether that knows its features, which --mkfsoptions may name."""
        self._make(disk, placed, source, filled=False)
        with holding(placed):
            return ext4.fill(disk, placed.start, source)

    def _make(self, disk: DiskFile, placed: PlacedContent, source: Path | None, *, filled: bool) -> None:
        """Make it by mke2fs, with the content of the source or empty."""
        configuration = disk.work / "mke2fs.conf"
        configuration.write_text(CONFIGURATION)
        root = source.stat() if source else None
        argv = ["mke2fs", "-q", "-F", "-t", self.fstype, *self._arguments(placed, root)]
        if source and filled:
            argv += ["-d", str(source)]
        argv += [str(disk.file), f"{placed.size // KIB}k"]
        # The first is e2fsprogs' own and older, the second came with 1.47.1.
        env = {"E2FSPROGS_FAKE_TIME": str(disk.epoch), "SOURCE_DATE_EPOCH": str(disk.epoch)}
        env["MKE2FS_CONFIG"] = str(configuration)
        done = disk.run(argv, env=env, ok=())
        if done.returncode:
            raise _failure(placed, done)

    def _arguments(self, placed: PlacedContent, root: os.stat_result | None) -> list[str]:
        owner = f"root_owner={root.st_uid}:{root.st_gid}" if root else "root_owner=0:0"
        extended = [f"offset={placed.start}", owner, "lazy_itable_init=1", "lazy_journal_init=1"]
        if placed.hash_seed:
            extended.append(f"hash_seed={placed.hash_seed}")
        extended += options.values(placed.mkfsoptions, "E")
        argv = ["-E", ",".join(extended), *options.without(placed.mkfsoptions, "E")]
        if placed.uuid:
            argv += ["-U", placed.uuid]
        if placed.label:
            argv += ["-L", placed.label]
        return argv


def make_writer(fstype: str) -> ExtWriter:
    """Return what writes it."""
    return ExtWriter(fstype=fstype)


def _failure(placed: PlacedContent, done: Completed) -> BuildError:
    """Return the error with what mke2fs said; its first line names the reason, usage follows."""
    if re.search(r"could not allocate (block|inode)|no space left", done.stderr, re.IGNORECASE):
        return no_room(placed)
    said = next((line.strip() for line in done.stderr.splitlines() if line.strip()), "it said nothing")
    return CommandFailed(
        f"{placed.where}: mke2fs failed (exit status {done.returncode}): {said}",
        hint=f"look at --mkfsoptions={placed.mkfsoptions!r}" if placed.mkfsoptions else None,
    )


def plan_geometry(fstype: str, size: int, mkfsoptions: str | None = None) -> Geometry:
    """Return how mke2fs will lay out `size` bytes (lib/ext2fs/initialize.c, mkjournal.c of e2fsprogs)."""

    def number(letter: str, default: int) -> int:
        found = options.values(mkfsoptions, letter)
        return int(found[-1]) if found and found[-1].isdigit() and int(found[-1]) else default

    features = ",".join(options.values(mkfsoptions, "O"))
    blocksize = number("b", 4096)
    inode_size = number("I", 256)
    ratio = number("i", 8192 if size < SMALL else 16384)
    wide = fstype == "ext4" and "^64bit" not in features
    blocks = size // blocksize
    group_blocks = blocksize * 8
    first = 1 if blocksize == 1024 else 0
    groups = max(1, _ceil(blocks - first, group_blocks))
    # e2fsprogs never makes a ratio below the block size (mke2fs.c).
    inodes = number("N", size // max(ratio, blocksize))
    per_block = max(1, blocksize // inode_size)
    inodes_a_group = _ceil(inodes, groups)
    # Full blocks of inodes, and a multiple of eight for the bitmap.
    inodes_a_group = min(_ceil(inodes_a_group, per_block) * per_block, group_blocks)
    inodes_a_group = max(8, inodes_a_group & ~7)
    table = _ceil(inodes_a_group, per_block)
    descriptors_a_block = blocksize // (64 if wide else 32)
    descriptors = _ceil(groups, descriptors_a_block)
    reserved = 0
    if "^resize_inode" not in features:
        most = blocks * 1024 if blocks < 0xFFFFFFFF // 1024 else 0xFFFFFFFF
        reserved = _ceil(_ceil(most - first, group_blocks), descriptors_a_block) - descriptors
        reserved = min(max(reserved, 0), blocksize // 4)
    copies = sum(1 for group in range(groups) if _has_superblock(group))
    overhead = groups * (2 + table) + copies * (1 + descriptors + reserved) + first
    overhead += _journal(fstype, blocks, blocksize, mkfsoptions, features)
    # The resize inode maps the reserved descriptors by a double-indirect block; and one to be sure.
    overhead += (1 if reserved else 0) + 1
    return Geometry(blocks=blocks, overhead=overhead, inodes=inodes_a_group * groups, blocksize=blocksize)


def _ceil(value: int, unit: int) -> int:
    return -(-value // unit)


def _has_superblock(group: int) -> bool:
    """Say whether `group` holds a copy of the superblock (sparse_super)."""
    if group in (0, 1):
        return True
    for base in (3, 5, 7):
        power = base
        while power < group:
            power *= base
        if power == group:
            return True
    return False


def _journal(fstype: str, blocks: int, blocksize: int, mkfsoptions: str | None, features: str) -> int:
    for words in options.values(mkfsoptions, "J"):
        if given := re.search(r"\bsize=(\d+)", words):
            return _mapped(int(given[1]) * MIB // blocksize, fstype, blocksize)
    if fstype == "ext2" or "^has_journal" in features:
        return 0
    # ext2fs_default_journal_size()
    for limit, journal in (
        (2048, 0),
        (32 << 10, 1024),
        (256 << 10, 4096),
        (512 << 10, 8192),
        (4096 << 10, 16384),
        (8192 << 10, 32768),
        (16384 << 10, 65536),
        (32768 << 10, 131072),
    ):
        if blocks < limit:
            return _mapped(journal, fstype, blocksize)
    return _mapped(262144, fstype, blocksize)


def _mapped(blocks: int, fstype: str, blocksize: int) -> int:
    """Return the blocks of a file with those that map them: ext2 and ext3 have no extents."""
    return blocks if fstype == "ext4" else blocks + _ceil(blocks, blocksize // 4) + 2
