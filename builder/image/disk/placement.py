# SPDX-License-Identifier: MIT
"""Where each partition lies and what identifies it, as data.

Made by `builder.image.disk.layout`, read by the file system writers, the boot loader and the manifest. All
sizes are bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from builder.sizes import KIB as KIB
from builder.sizes import MIB as MIB

SECTOR = 512


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """What a folder takes on a file system, or what a file system can hold."""

    bytes: int = 0
    inodes: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(bytes=self.bytes + other.bytes, inodes=self.inodes + other.inodes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """One partition on the disk.

    `fstype` is what is written into it: ext2 ext3 ext4 xfs btrfs vfat swap, or biosboot and prepboot,
    which no file system fills. `type` is the GUID of a GPT or the hexadecimal code of an msdos table.
    `uuid` is the file system's own; of vfat its volume id as blkid shows it (`1A2B-3C4D`).
    """

    number: int
    mountpoint: str | None
    fstype: str
    start: int
    size: int
    type: str
    name: str
    partuuid: str
    uuid: str | None = None
    hash_seed: str | None = None
    label: str | None = None
    fsoptions: str | None = None
    mkfsoptions: str | None = None

    @property
    def where(self) -> str:
        """What messages call it: the mount point, or else the kind."""
        return self.mountpoint or self.fstype


@dataclass(frozen=True, kw_only=True, slots=True)
class DiskLayout:
    """The whole disk: `label` is gpt or msdos, `identifier` its GUID or the 32 bits of the MBR as 0x…"""

    label: str
    identifier: str
    size: int
    partitions: tuple[Placed, ...]

    def mounted(self, mountpoint: str) -> Placed | None:
        """Return the partition of `mountpoint`."""
        return next((one for one in self.partitions if one.mountpoint == mountpoint), None)

    def of_type(self, fstype: str) -> Placed | None:
        """Return the first partition of `fstype`."""
        return next((one for one in self.partitions if one.fstype == fstype), None)

    @property
    def root(self) -> Placed:
        """The partition of /; `layout.check` has seen that there is one."""
        root = self.mounted("/")
        assert root is not None
        return root

    @property
    def boot(self) -> Placed:
        """The partition that holds /boot."""
        return self.mounted("/boot") or self.root

    @property
    def esp(self) -> Placed | None:
        """The EFI system partition."""
        return self.mounted("/boot/efi") or self.mounted("/efi")

    @property
    def filesystems(self) -> tuple[Placed, ...]:
        """The partitions that are mounted, parents before their children."""
        mounted = [one for one in self.partitions if one.mountpoint]
        return tuple(sorted(mounted, key=lambda one: (one.mountpoint or "").rstrip("/").split("/")))
