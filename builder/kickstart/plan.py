# SPDX-License-Identifier: MIT
"""What a kickstart asks for, as data: the plan that an engine turns into a disk.

Made by `builder.kickstart.planner` without root, network or tools; every engine reads it, none changes
it. Sizes are MiB as in kickstart, unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from builder.errors import Problem
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
class User:
    """A `user` line; `groups` are supplementary ones."""

    name: str
    password: Password = Password()
    uid: int | None = None
    gid: int | None = None
    groups: tuple[str, ...] = ()
    primary_group: str | None = None  # a group that is made before; None: one of the user's own name
    home: str | None = None
    shell: str | None = None
    gecos: str = ""
    place: Place | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """A `group` line."""

    name: str
    gid: int | None = None
    place: Place | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SshKey:
    """A `sshkey` line: `key` goes into the authorized_keys of `user`."""

    user: str
    key: str
    place: Place | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Firewall:
    """A `firewall` line. `ports` as `8080:tcp`."""

    enabled: bool = True
    services: tuple[str, ...] = ()
    removed_services: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    place: Place | None = None


class SELinux(StrEnum):
    """The `selinux` line."""

    ENFORCING = "enforcing"
    PERMISSIVE = "permissive"
    DISABLED = "disabled"


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkInterface:
    """A connection of the guest: a `network` line, or one of the devices below its bond, bridge or team.

    `device` None: any, or that with the address `mac`. Addresses have been judged. `options` are those
    of a bond or a bridge. A device that belongs to another one has that in `controller`.
    """

    name: str = "any"  # of the profile
    device: str | None = None
    mac: str | None = None
    kind: str = "ethernet"  # bond, bridge, team, vlan
    bootproto: str = "dhcp"  # or static
    ip: str | None = None
    prefix: int | None = None
    gateway: str | None = None
    ipv6: str | None = None  # auto, dhcp, ADDRESS/PREFIX
    ipv6_gateway: str | None = None
    noipv4: bool = False
    noipv6: bool = False
    onboot: bool = True
    mtu: int | None = None
    dhcp_class: str | None = None
    default_route: bool = True
    nameservers: tuple[str, ...] = ()
    dns_search4: tuple[str, ...] = ()
    dns_search6: tuple[str, ...] = ()
    ignore_dns4: bool = False  # name servers of DHCP and of router advertisements
    ignore_dns6: bool = False
    ethtool: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    team_config: str | None = None  # JSON: of a team, or of a device in one
    vlan_id: int | None = None
    parent: str | None = None  # of a vlan
    controller: str | None = None
    controller_kind: str | None = None
    place: Place | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Timezone:
    """The `timezone` line with its `timesource` lines."""

    name: str = "Etc/UTC"
    utc: bool = True
    ntp: bool = True
    servers: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()
    nts: tuple[str, ...] = ()  # the ones among both that use Network Time Security
    place: Place | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Keyboard:
    """The `keyboard` line: console keymap, X layouts."""

    keymap: str = "us"
    layouts: tuple[str, ...] = ()
    switch: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Bootloader:
    """The `bootloader` line. location: mbr, none, partition."""

    location: str = "mbr"
    append: str = ""
    timeout: int | None = None
    password: Password = Password()
    disabled: bool = False
    place: Place | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificate:
    """A `%certificate` section: a file; `anchor`: the system trusts it."""

    path: str
    text: str
    anchor: bool = False
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
    always `efi`.
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
class Disk:
    """The disk: its table (gpt or msdos), partitions from 1 MiB on, volume groups, and size.

    1 MiB stays free after a gpt's last partition. `size` is None only while an unresolved include may
    hold the partitions. `names` are those that the disk has for %pre: vda, sda, and what lines name.
    """

    label: str = "gpt"
    partitions: tuple[Partition, ...] = ()
    groups: tuple[VolumeGroup, ...] = ()
    size: int | None = None
    names: tuple[str, ...] = ("vda", "sda")

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
    """Where a script stands in the kickstart."""

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
        """The folder that it lies in."""
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


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagePlan:
    """Everything an engine needs to know of one image."""

    name: str
    target: str
    architecture: str = "x86_64"
    releasever: str
    ksversion: str = ""  # the syntax it was read with
    kickstarts: tuple[str, ...]  # every file read, the leaf first
    kickstart_digests: tuple[tuple[str, str], ...] = ()  # (file, sha256)
    lang: str = "C.UTF-8"
    extra_langs: tuple[str, ...] = ()
    keyboard: Keyboard = Keyboard()
    timezone: Timezone = Timezone()
    root_password: Password = Password(locked=True)
    root_ssh_password: bool = False  # rootpw --allow-ssh
    root_place: Place | None = None
    users: tuple[User, ...] = ()
    groups: tuple[Group, ...] = ()
    ssh_keys: tuple[SshKey, ...] = ()
    authselect: tuple[str, ...] | None = None  # arguments of authselect; None: not asked for
    authselect_place: Place | None = None
    selinux: SELinux | None = None  # None: leave what the packages bring
    selinux_place: Place | None = None
    firewall: Firewall | None = None
    services_enabled: tuple[str, ...] = ()
    services_disabled: tuple[str, ...] = ()
    services_place: Place | None = None
    set_up_again: bool = False  # firstboot --reconfig
    certificates: tuple[Certificate, ...] = ()
    hostname: str | None = None
    interfaces: tuple[NetworkInterface, ...] = ()
    default_target: str | None = None  # graphical.target by xconfig --startxonboot, multi-user by skipx
    default_desktop: str | None = None  # xconfig --defaultdesktop
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
