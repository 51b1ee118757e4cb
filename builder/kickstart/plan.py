# SPDX-License-Identifier: MIT
"""What a kickstart asks for, as data: the plan that an engine turns into a disk.

Made by `builder.kickstart.planner` without root, network or tools; every engine reads it, none changes
it. Sizes are MiB as in kickstart, unless a name says otherwise.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self, TypeVar

from builder.errors import Problem
from builder.kickstart.parsed import Kickstart
from builder.kickstart.place import Place


@dataclass(frozen=True, kw_only=True, slots=True)
class Repository:
    """One source of packages. Exactly one of baseurl (one or more), mirrorlist, metalink is set.

    `gpg_keys` are paths or URLs of public keys, `fingerprints` (upper-case hex) what they must have
    when not empty. `cost`, `includes`, `excludes`, `proxy` as in dnf.conf(5).
    """

    name: str
    baseurl: tuple[str, ...] = ()
    mirrorlist: str | None = None
    metalink: str | None = None
    cost: int | None = None
    includes: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    proxy: str | None = None
    verify_tls: bool = True
    groups: bool = True  # its comps are read
    install: bool = False  # write it into the image's /etc/yum.repos.d
    gpg_keys: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()
    place: Place | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Packages:
    """The %packages section. Names may be globs and may end in `.arch`; groups are comps ids or names."""

    names: tuple[str, ...] = ()
    added: tuple[str, ...] = ()  # by the installer's habit; one that no repository has is left out
    added_groups: tuple[str, ...] = ()  # the same
    groups: tuple[str, ...] = ()
    optional_groups: tuple[str, ...] = ()  # @group --optional
    mandatory_groups: tuple[str, ...] = ()  # @group --nodefaults
    environment: str | None = None
    excluded: tuple[str, ...] = ()
    excluded_groups: tuple[str, ...] = ()
    core: bool = True  # @core unless --nocore
    docs: bool = True  # False: --excludedocs
    weak: bool = True  # False: --exclude-weakdeps
    languages: tuple[str, ...] | None = None  # --inst-langs; None: all
    ignore_missing: bool = False
    places: dict[str, Place] = field(default_factory=dict)  # name, @group or -name as written -> place


@dataclass(frozen=True, kw_only=True, slots=True)
class Password:
    """A password: a crypt(5) hash, or plain text that the configure stage hashes. None: none is set."""

    hash: str | None = None
    plain: str | None = field(default=None, repr=False)
    locked: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Bootloader:
    """The `bootloader` line. location: mbr or none."""

    location: str = "mbr"
    append: str = ""
    timeout: int | None = None
    password: Password = Password()
    disabled: bool = False
    place: Place | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Subvolume:
    """A subvolume of a btrfs.

    `path` leads to it from the top level (`root`, `root/var`). `mountpoint` is None for one that is only
    there. `fsoptions` are as in its line of fstab, without subvol=.
    """

    path: str
    mountpoint: str | None = None
    fsoptions: str | None = None
    place: Place | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Volume:
    """What a partition and a logical volume have in common: a size, and what is written into it.

    `size` is final: `grow` and `max_size` have been worked in. `mountpoint` is None for swap, biosboot,
    prepboot and lvm, and for a btrfs of which only subvolumes are mounted. The EFI system partition is
    always `efi`. `hibernation`: a guest that hibernated resumes from this swap.
    """

    mountpoint: str | None
    fstype: str  # ext2 ext3 ext4 xfs btrfs vfat efi swap biosboot prepboot lvm
    size: int
    grow: bool = False
    max_size: int | None = None
    label: str | None = None
    fsoptions: str | None = None
    mkfsoptions: str | None = None
    subvolumes: tuple[Subvolume, ...] = ()
    hibernation: bool = False
    place: Place | None = None

    @property
    def mountpoints(self) -> tuple[str, ...]:
        """Where it and its subvolumes are mounted."""
        below = [one.mountpoint for one in self.subvolumes if one.mountpoint]
        return ((self.mountpoint,) if self.mountpoint else ()) + tuple(below)

    @property
    def where(self) -> str:
        """What messages call it: its mount point, or else its kind."""
        return (self.mountpoints or (self.fstype,))[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Extent:
    """Where a partition lies that a %pre script has made. `start` and `length` are bytes."""

    number: int
    start: int
    length: int
    name: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Partition(Volume):
    """One partition to be, in the order of the disk.

    `name` is what `volgroup` and `btrfs` lines call it: `pv.01`, `btrfs.007`. `onpart` is the device of
    --onpart, `extent` the place of what %pre has made there: None before %pre has run.
    """

    name: str | None = None
    onpart: str | None = None
    extent: Extent | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LogicalVolume(Volume):
    """A linear logical volume; `percent` has been worked into its size."""

    name: str
    percent: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class VolumeGroup:
    """A volume group of LVM on one or more partitions.

    `members` are names of partitions; `extent_size` is in KiB. `reserved` MiB, or `reserved_percent` of
    its room where that is more, stay free.
    """

    name: str
    members: tuple[str, ...]
    volumes: tuple[LogicalVolume, ...] = ()
    extent_size: int = 4096
    reserved: int = 0
    reserved_percent: int = 0
    place: Place | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryFolder:
    """A folder that is in the guest's memory (tmpfs). `size` is in MiB; None: what the kernel gives it."""

    mountpoint: str
    size: int | None = None
    fsoptions: str | None = None
    place: Place | None = None

    @property
    def options(self) -> str:
        """The options of its line in fstab: of two sizes the last counts."""
        size = (f"size={self.size}m",) if self.size else ()
        return ",".join((self.fsoptions or "defaults", *size))


@dataclass(frozen=True, kw_only=True, slots=True)
class Disk:
    """The disk: its table (gpt or msdos), partitions from 1 MiB on, volume groups, and size.

    1 MiB stays free after a gpt's last partition. `size` is None only while an unresolved include may
    hold the partitions. `names` are those that the disk has for %pre: vda, sda, and what lines name.
    `in_memory` is mounted in the guest as well, and takes nothing of the disk.
    """

    label: str = "gpt"
    partitions: tuple[Partition, ...] = ()
    groups: tuple[VolumeGroup, ...] = ()
    size: int | None = None
    names: tuple[str, ...] = ("vda", "sda")
    in_memory: tuple[MemoryFolder, ...] = ()

    @property
    def volumes(self) -> tuple[Volume, ...]:
        """Partitions and logical volumes."""
        return (*self.partitions, *(one for group in self.groups for one in group.volumes))

    def holding(self, mountpoint: str) -> Volume | None:
        """Return what is mounted at `mountpoint`."""
        return next((one for one in self.volumes if mountpoint in one.mountpoints), None)

    @property
    def is_resolved(self) -> bool:
        """Whether every size is known; False while %pre has yet to make the partitions."""
        return self.size is not None and all(one.extent or not one.onpart for one in self.partitions)


class ScriptSection(StrEnum):
    """Where a script is in the kickstart."""

    PRE = "pre"
    PRE_INSTALL = "pre-install"
    POST = "post"


@dataclass(frozen=True, kw_only=True, slots=True)
class Script:
    """A %pre, %pre-install or %post script."""

    section: ScriptSection
    body: str
    interpreter: str = "/bin/sh"
    chroot: bool = True  # False: --nochroot
    error_on_fail: bool = False
    log: str | None = None
    place: Place


@dataclass(frozen=True, kw_only=True, slots=True)
class ElementFile:
    """A file of an element, by its path below the element's folder. `link`: it is a link that says that."""

    path: str
    content: bytes = field(default=b"", repr=False)
    mode: int = 0o644
    link: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Element:
    """An element of diskimage-builder that was read: all of its files. `folder` is None for one of ours."""

    name: str
    folder: str | None
    files: tuple[ElementFile, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class PhaseScript:
    """A script of an element. `path` is `install.d/50-name`, its place among the files of all elements."""

    element: str
    path: str
    place: Place

    @property
    def phase(self) -> str:
        """The folder that it is in."""
        return self.path.partition("/")[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Variable:
    """A variable that elements get from the environment; what it says may be a secret.

    `content` is what the file holds that it names by an absolute path.
    """

    name: str
    value: str = field(repr=False)
    content: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class MappedName:
    """What a pkg-map or a svc-map of an element calls a name on the target; empty: nothing is needed."""

    element: str
    name: str
    mapped: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Elements:
    """The elements of an image with those that they depend on, these first.

    `packages` are in the plan's packages, too; here is whose they are. `scripts` are in the order in which
    they run, phase by phase.
    """

    elements: tuple[Element, ...] = ()
    scripts: tuple[PhaseScript, ...] = ()
    packages: tuple[tuple[str, str], ...] = ()  # (package, element)
    removed: tuple[tuple[str, str], ...] = ()
    variables: tuple[Variable, ...] = ()
    package_map: tuple[MappedName, ...] = ()
    service_map: tuple[MappedName, ...] = ()
    distribution: str = ""  # DISTRO_NAME, DIB_RELEASE, DIB_INIT_SYSTEM
    release: str = ""
    init: str = ""


class Setting(ABC):
    """What the commands of one subject set in the image: a frozen dataclass of `builder.kickstart.settings`.

    Its fields have defaults, for a kickstart without those commands, and are keys of the plan's JSON.
    """

    __slots__ = ()

    @classmethod
    @abstractmethod
    def read(cls, ks: Kickstart) -> Self:
        """Return what the kickstart says; what is wrong goes to its findings."""

    @abstractmethod
    def rows(self) -> Iterator[tuple[str, str]]:
        """Yield the rows of `image --plan`: a subject, and a text."""


Kind = TypeVar("Kind", bound=Setting)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagePlan:
    """Everything an engine needs to know of one image.

    `settings` has one of each kind that `builder.kickstart.commands` knows, in its order.
    """

    name: str
    target: str
    architecture: str = "x86_64"
    releasever: str
    ksversion: str = ""  # the syntax it was read with
    kickstarts: tuple[str, ...]  # every file read, the leaf first
    kickstart_digests: tuple[tuple[str, str], ...] = ()  # (file, sha256)
    settings: tuple[Setting, ...] = ()
    bootloader: Bootloader = Bootloader()
    disk: Disk = Disk()
    firmware: tuple[str, ...] = ()  # how it boots: bios, uefi
    repositories: tuple[Repository, ...] = ()
    packages: Packages = Packages()
    scripts: tuple[Script, ...] = ()
    elements: Elements = Elements()
    unresolved_includes: tuple[tuple[str, Place], ...] = ()  # files that only %pre writes
    gpgcheck: bool = True
    default_user: str | None = None  # for os_admin_user: from images.yaml
    warnings: tuple[Problem, ...] = ()  # for the report; no part of what is built
    notes: tuple[Problem, ...] = ()  # what has no effect on an image: said under -v

    def of(self, kind: type[Kind]) -> Kind:
        """Return the settings of a kind: its defaults where the plan has none."""
        return next((one for one in self.settings if isinstance(one, kind)), kind())

    def filled_in(self, url: str) -> str:
        """Return an address of a repository or key with dnf's variables filled in (dnf.conf(5))."""
        values = {"releasever": self.releasever, "basearch": self.architecture, "arch": self.architecture}
        return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda found: values.get(found[1] or found[2], found[0]), url)
