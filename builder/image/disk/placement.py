# SPDX-License-Identifier: MIT
"""Where each partition and volume lies and what identifies it, as data.

Made by `builder.image.disk.layout`, read by the file system writers, the boot loader and the manifest. All
sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from builder.kickstart.plan import Subvolume
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
class PlacedContent:
    """What is written somewhere on the disk.

    `fstype` is what is written: ext2 ext3 ext4 xfs btrfs vfat swap; or biosboot, prepboot, lvm and unused,
    which no file system fills. `uuid` is the file system's own; of vfat its volume id as blkid shows it
    (`1A2B-3C4D`). `hibernation`: a guest that hibernated resumes from this swap.
    """

    mountpoint: str | None
    fstype: str
    start: int
    size: int
    uuid: str | None = None
    hash_seed: str | None = None
    label: str | None = None
    fsoptions: str | None = None
    mkfsoptions: str | None = None
    subvolumes: tuple[Subvolume, ...] = ()
    hibernation: bool = False

    @property
    def where(self) -> str:
        """What messages call it: the mount point, or else the kind."""
        return next((one.mountpoint for one in self.mounts), self.fstype)

    @property
    def mounts(self) -> tuple[FstabLine, ...]:
        """Where it and its subvolumes are mounted."""
        own = [FstabLine(mountpoint=self.mountpoint, placed=self)] if self.mountpoint else []
        return (
            *own,
            *(
                FstabLine(mountpoint=one.mountpoint, placed=self, subvolume=one)
                for one in self.subvolumes
                if one.mountpoint
            ),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class FstabLine:
    """A mount point and what is mounted there: a file system, or a subvolume of one."""

    mountpoint: str
    placed: PlacedContent
    subvolume: Subvolume | None = None

    @property
    def options(self) -> str:
        """The options of its line in fstab; empty: none in particular."""
        if self.subvolume is None:
            return self.placed.fsoptions or ""
        words = [f"subvol={self.subvolume.path}", self.subvolume.fsoptions or ""]
        return ",".join(word for word in words if word)

    @property
    def top(self) -> str:
        """The path of its root from the root of the file system, as GRUB sees it: empty, or `/root`."""
        return f"/{self.subvolume.path}" if self.subvolume else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacedPartition(PlacedContent):
    """One partition. `type` is the GUID of a GPT or the hexadecimal code of an msdos table."""

    number: int
    type: str
    name: str
    partuuid: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A run of extents of a logical volume on one physical volume; `start` and `size` are on the disk."""

    member: int
    first_extent: int
    extents: int
    start: int
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacedVolume(PlacedContent):
    """A linear logical volume; where it has one piece, `start` is where the piece starts."""

    name: str
    id: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacedMember:
    """A physical volume of a group: the partition that it fills."""

    partition: int
    id: str
    start: int
    size: int
    extents: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacedGroup:
    """A volume group; identifiers are LVM's, without dashes."""

    name: str
    id: str
    extent: int
    members: tuple[PlacedMember, ...]
    volumes: tuple[PlacedVolume, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class DiskLayout:
    """The whole disk: `label` is gpt or msdos, `identifier` its GUID or the 32 bits of the MBR as 0x…"""

    label: str
    identifier: str
    size: int
    partitions: tuple[PlacedPartition, ...]
    groups: tuple[PlacedGroup, ...] = ()

    @property
    def volumes(self) -> tuple[PlacedContent, ...]:
        """Partitions and logical volumes."""
        return (*self.partitions, *(one for group in self.groups for one in group.volumes))

    @property
    def mounts(self) -> tuple[FstabLine, ...]:
        """Everything that is mounted, parents before their children."""
        found = [mount for placed in self.volumes for mount in placed.mounts]
        return tuple(sorted(found, key=lambda mount: mount.mountpoint.rstrip("/").split("/")))

    def mounted(self, mountpoint: str) -> FstabLine | None:
        """Return what is mounted at `mountpoint`."""
        return next((mount for mount in self.mounts if mount.mountpoint == mountpoint), None)

    def of_type(self, fstype: str) -> PlacedPartition | None:
        """Return the first partition of `fstype`."""
        return next((one for one in self.partitions if one.fstype == fstype), None)

    @property
    def root(self) -> FstabLine:
        """What is mounted at /; the planner has seen that there is one."""
        root = self.mounted("/")
        assert root is not None
        return root

    @property
    def boot(self) -> FstabLine:
        """What holds /boot."""
        return self.mounted("/boot") or self.root

    @property
    def esp(self) -> FstabLine | None:
        """The EFI system partition."""
        return self.mounted("/boot/efi") or self.mounted("/efi")

    def logical(self) -> Iterator[tuple[PlacedGroup, PlacedVolume]]:
        """Yield the logical volumes with their groups."""
        for group in self.groups:
            for volume in group.volumes:
                yield group, volume
