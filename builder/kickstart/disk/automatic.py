# SPDX-License-Identifier: MIT
"""`reqpart` and `autopart`: what the installer would add by itself on x86_64.

After Anaconda's automatic partitioning and the defaults of its products (anaconda.conf). An image is for
BIOS and UEFI, so a GPT gets the partitions of both.
"""

from __future__ import annotations

import dataclasses

from pykickstart import constants

from builder.kickstart.disk.lines import BIOSBOOT_SIZE
from builder.kickstart.disk.sizes import DEFAULT_DISK, recommend_swap
from builder.kickstart.disk.wanted import DiskRequest, InstallerDefaults
from builder.kickstart.parsed import Kickstart, ParsedCommand
from builder.kickstart.place import Place
from builder.kickstart.plan import LogicalVolume, Partition, Subvolume, VolumeGroup

# anaconda.conf, default_partitioning of the products.
ROOT_LEAST, ROOT_MOST = 1024, 70 * 1024
# What a partition for a group asks for that has no size of its own (blivet, devices/partition.py).
MEMBER_LEAST = 500
HOME_LEAST, HOME_FROM = 500, 50 * 1024
_SCHEMES = {
    constants.AUTOPART_TYPE_PLAIN: "plain",
    constants.AUTOPART_TYPE_BTRFS: "btrfs",
    constants.AUTOPART_TYPE_LVM: "lvm",
    constants.AUTOPART_TYPE_LVM_THINP: "thinp",
}


def require(ks: Kickstart, parts: list[Partition], label: str | None, wanted: DiskRequest) -> list[Partition]:
    """Return `parts` with what a reqpart line adds; on msdos BIOS needs no partition."""
    line = ks.last("reqpart")
    if line is None:
        return parts
    fstype = wanted.habits.file_system
    add = _for_boot(line.place, fstype, label, wanted.habits, boot=bool(line.get("addBoot", False)))
    have = {part.mountpoint or part.fstype for part in parts}
    return [part for part in add if (part.mountpoint or part.fstype) not in have] + parts


def _for_boot(
    place: Place, fstype: str, label: str | None, habits: InstallerDefaults, *, boot: bool
) -> list[Partition]:
    parts = []
    if label != "msdos":
        parts += [
            Partition(mountpoint=None, fstype="biosboot", size=BIOSBOOT_SIZE, place=place),
            Partition(
                mountpoint="/boot/efi", fstype="efi", size=habits.esp, grow=True,
                max_size=habits.largest_esp, place=place,
            ),
        ]  # fmt: skip
    if boot:
        parts.append(Partition(mountpoint="/boot", fstype=fstype, size=habits.boot, place=place))
    return parts


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Choice:
    """What an autopart line comes to."""

    place: Place
    scheme: str
    fstype: str
    swap: int
    hibernation: bool
    home: bool
    compression: str | None


def autopart(
    ks: Kickstart, label: str | None, wanted: DiskRequest
) -> tuple[list[Partition], list[VolumeGroup]] | None:
    """Return the partitions and groups of an autopart line; None where there is none, or a wrong one."""
    line = ks.last("autopart")
    if line is None:
        return None
    choice = _choose(ks, line, wanted)
    if choice is None:
        return None
    boot_type = "ext4" if choice.scheme == "btrfs" else choice.fstype
    parts = _for_boot(line.place, boot_type, label, wanted.habits, boot=not line.get("noboot", False))
    if choice.scheme == "lvm":
        member, group = _group(choice, wanted.habits.group)
        return [*parts, member], [group]
    if choice.swap:
        parts.append(
            Partition(
                mountpoint=None,
                fstype="swap",
                size=choice.swap,
                hibernation=choice.hibernation,
                place=line.place,
            )
        )
    if choice.scheme == "btrfs":
        return [*parts, _btrfs(choice)], []
    return [*parts, *_plain(choice)], []


def _choose(ks: Kickstart, line: ParsedCommand, wanted: DiskRequest) -> _Choice | None:
    habits, scheme, size = wanted.habits, wanted.habits.scheme, wanted.size or DEFAULT_DISK
    given = str(line.get("fstype", ""))
    if "--nolvm" in line.options:
        scheme = "plain"
    elif "--type" in line.options:
        scheme = _SCHEMES.get(line.get("type"), "unknown")
    if scheme not in ("plain", "lvm", "btrfs"):
        ks.findings.error(
            line.place, f"autopart --type={scheme}: thin pools are not supported", "write autopart --type=lvm"
        )
        return None
    if given and scheme == "btrfs":
        ks.findings.error(
            line.place,
            f"autopart --fstype={given}: autopart makes btrfs here",
            f"add --type=plain or --type=lvm, or remove --fstype={given}",
        )
        return None
    if given and given not in ("ext2", "ext3", "ext4", "xfs"):
        ks.findings.error(
            line.place, f"autopart --fstype={given}: is not supported", "one of ext2, ext3, ext4, xfs"
        )
        return None
    swap, hibernation = 0, bool(line.get("hibernation", False))
    if hibernation or (habits.swap and not line.get("noswap", False)):
        swap = recommend_swap(wanted.memory, hibernation=hibernation, disk=size)
        ks.findings.note(line.place, f"autopart: {swap} MiB of swap; --noswap leaves it out")
    # A /home of its own needs 50 GiB, but for btrfs, whose subvolumes share the room.
    home = not line.get("nohome", False) and (scheme == "btrfs" or size >= HOME_FROM)
    return _Choice(
        place=line.place,
        scheme=scheme,
        fstype=given or habits.file_system,
        swap=swap,
        hibernation=hibernation,
        home=home,
        compression=habits.compression,
    )


def _plain(choice: _Choice) -> list[Partition]:
    parts = []
    if choice.home:
        parts.append(
            Partition(
                mountpoint="/home", fstype=choice.fstype, size=HOME_LEAST, grow=True, place=choice.place
            )
        )
    most = ROOT_MOST if choice.home else None
    root = Partition(
        mountpoint="/", fstype=choice.fstype, size=ROOT_LEAST, grow=True, max_size=most, place=choice.place
    )
    return [*parts, root]


def _group(choice: _Choice, name: str) -> tuple[Partition, VolumeGroup]:
    volumes = [
        LogicalVolume(
            name="root", mountpoint="/", fstype=choice.fstype, size=ROOT_LEAST, grow=True,
            max_size=ROOT_MOST if choice.home else None, place=choice.place,
        )
    ]  # fmt: skip
    if choice.home:
        volumes.append(
            LogicalVolume(
                name="home", mountpoint="/home", fstype=choice.fstype, size=HOME_LEAST, grow=True,
                place=choice.place,
            )
        )  # fmt: skip
    if choice.swap:
        volumes.insert(
            0,
            LogicalVolume(
                name="swap",
                mountpoint=None,
                fstype="swap",
                size=choice.swap,
                hibernation=choice.hibernation,
                place=choice.place,
            ),
        )
    member = Partition(
        mountpoint=None, fstype="lvm", size=MEMBER_LEAST, grow=True, name="pv.autopart", place=choice.place
    )
    return member, VolumeGroup(
        name=name, members=("pv.autopart",), volumes=tuple(volumes), place=choice.place
    )


def _btrfs(choice: _Choice) -> Partition:
    options = f"compress={choice.compression}" if choice.compression else None
    subvolumes = [Subvolume(path="root", mountpoint="/", fsoptions=options, place=choice.place)]
    if choice.home:
        subvolumes.append(Subvolume(path="home", mountpoint="/home", fsoptions=options, place=choice.place))
    return Partition(
        mountpoint=None, fstype="btrfs", size=ROOT_LEAST, grow=True, name="btrfs.autopart",
        fsoptions=options, subvolumes=tuple(subvolumes), place=choice.place,
    )  # fmt: skip
