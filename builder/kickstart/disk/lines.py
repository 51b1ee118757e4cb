# SPDX-License-Identifier: MIT
"""`part` lines become partitions, each with the size it asks for."""

from __future__ import annotations

import dataclasses
import re

from builder.kickstart.disk import filesystems
from builder.kickstart.disk.filesystems import FILE_SYSTEMS, TMPFS
from builder.kickstart.disk.sizes import recommend_swap
from builder.kickstart.disk.wanted import DiskRequest
from builder.kickstart.parsed import Kickstart, ParsedCommand
from builder.kickstart.place import Place
from builder.kickstart.plan import Partition

BIOSBOOT_SIZE = 1
# The file system is FAT32 from 33 MiB on; GRUB alone needs less than 4.
ESP_SIZE, SMALLEST_ESP = 64, 8
BOOT_SIZE = 1024

_BARE = ("swap", "biosboot", "prepboot")
# What `volgroup` and `btrfs` lines name.
_MEMBER = re.compile(r"(pv|btrfs)\.\S+")


def plan_partitions(ks: Kickstart, wanted: DiskRequest) -> list[Partition]:
    """Return the partitions of part lines; of two for one mount point the last."""
    found: dict[str, Partition] = {}
    disks: dict[str, Place] = {}
    for line in ks.all("part", "partition"):
        if disk := str(line.get("disk", "")):
            disks.setdefault(disk.removeprefix("/dev/"), line.place)
        if line.get("fstype") == TMPFS:
            # It is in memory, and needs no partition.
            continue
        part = _plan_partition(ks, line, wanted)
        if part is None:
            continue
        single = part.fstype in ("biosboot", "prepboot")
        key = part.mountpoint or part.name or (part.fstype if single else f"{line.place}")
        if (earlier := found.pop(key, None)) is not None:
            where = f"{earlier.place.file}:{earlier.place.line}" if earlier.place else "an earlier line"
            ks.findings.warn(line.place, f"{line.name} {key}: a second one; this line wins over {where}")
        found[key] = part
    if len(disks) > 1:
        names = ", ".join(disks)
        ks.findings.error(
            list(disks.values())[1], f"part --ondisk: an image has one disk, not {names}", "name one disk"
        )
    return list(found.values())


def _plan_partition(ks: Kickstart, line: ParsedCommand, wanted: DiskRequest) -> Partition | None:
    mountpoint, fstype = mount_point(line), str(line.get("fstype", ""))
    name = mountpoint if _MEMBER.fullmatch(mountpoint) else None
    if mountpoint.startswith("raid."):
        ks.findings.error(line.place, f"part {mountpoint}: a guest has one disk, RAID is not supported")
        return None
    if name is not None:
        fstype = "lvm" if name.startswith("pv.") else "btrfs"
    else:
        chosen = choose_file_system(ks, line, mountpoint, fstype, wanted)
        if chosen is None:
            return None
        fstype = chosen
    sized = read_size(ks, line, fstype, wanted)
    if sized is None:
        return None
    size, grow, maximum = sized
    bare = fstype in _BARE or name is not None
    part = Partition(
        mountpoint=None if bare else mountpoint,
        fstype=fstype,
        size=size,
        grow=grow,
        max_size=maximum,
        label=str(line.get("label", "")) or None,
        fsoptions=str(line.get("fsopts", "")) or None,
        mkfsoptions=str(line.get("mkfsopts", "")) or None,
        hibernation=fstype == "swap" and bool(line.get("hibernation", False)),
        place=line.place,
        name=name,
        onpart=str(line.get("onPart", "")) or None,
    )
    filesystems.check(ks.findings, part, line.name)
    return part if filesystems.KINDS[fstype].label else dataclasses.replace(part, label=None)


def mount_point(line: ParsedCommand) -> str:
    """Return what a line names as its mount point: with one slash at its beginning.

    pykickstart leaves two, which POSIX lets mean something else.
    """
    return re.sub("^/+", "/", str(line.get("mountpoint", "")))


def choose_file_system(
    ks: Kickstart, line: ParsedCommand, mountpoint: str, fstype: str, wanted: DiskRequest
) -> str | None:
    """Return what is written for a part or logvol line; None: a mistake, which is noted."""
    if mountpoint in _BARE:
        fstype = mountpoint
    if mountpoint == "/boot/efi" and fstype in ("", "vfat", "efi"):
        fstype = "efi"
    fstype = fstype or wanted.habits.file_system
    if fstype not in FILE_SYSTEMS:
        near = f"one of {', '.join(FILE_SYSTEMS)}"
        ks.findings.error(line.place, f"{line.name} --fstype={fstype}: is not supported", near)
        return None
    if fstype == "efi" and mountpoint != "/boot/efi":
        ks.findings.error(
            line.place, f"{line.name} {mountpoint} --fstype=efi: belongs on /boot/efi", "or write vfat"
        )
        return None
    return fstype if fstype in _BARE or is_mount_point(ks, line, mountpoint) else None


def is_mount_point(
    ks: Kickstart, line: ParsedCommand, mountpoint: str, hint: str = "write an absolute path"
) -> bool:
    """Say whether a path may be one in fstab; if not, it is noted."""
    if re.fullmatch(r"/[^\s\\]*", mountpoint):
        return True
    ks.findings.error(line.place, f'{line.name}: "{mountpoint}" is not a mount point', hint)
    return False


def read_size(
    ks: Kickstart, line: ParsedCommand, fstype: str, wanted: DiskRequest
) -> tuple[int, bool, int | None] | None:
    """Return (size, grows, largest) of a part or logvol line in MiB; None: a mistake, which is noted.

    A partition of --onpart has the size that %pre gave it: 0 here.
    """
    grow = bool(line.get("grow", False))
    size = line.get("size")
    if fstype == "swap" and (line.get("recommended", False) or line.get("hibernation", False)):
        hibernation = bool(line.get("hibernation", False))
        swap = recommend_swap(wanted.memory, hibernation=hibernation, disk=wanted.size)
        option = "--hibernation" if hibernation else "--recommended"
        ks.findings.note(line.place, f"swap {option}: {swap} MiB, for {wanted.memory} MiB of memory")
        return swap, False, None
    if line.get("onPart"):
        return 0, False, None
    if fstype == "biosboot":
        return int(size or BIOSBOOT_SIZE), False, None
    if grow or line.get("percent"):
        size = size or 1  # --size=0 --grow, as installers of EL 5 wrote it
    if size is None or int(size) <= 0:
        ks.findings.error(line.place, f"{line.name}: has no size", "add --size=MIB")
        return None
    maximum = int(line.get("maxSizeMB", 0)) or None
    if maximum is not None and maximum < int(size):
        ks.findings.error(
            line.place, f"{line.name} --maxsize={maximum}: is less than --size={size}", "raise it"
        )
    return int(size), grow, maximum
