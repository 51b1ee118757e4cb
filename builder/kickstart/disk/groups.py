# SPDX-License-Identifier: MIT
"""`volgroup` and `logvol` lines become volume groups with linear volumes (lvm(8)). Sizes in MiB."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from builder.kickstart.disk import filesystems
from builder.kickstart.disk.lines import choose_file_system, mount_point, read_size
from builder.kickstart.disk.sizes import Wish, share
from builder.kickstart.disk.wanted import DiskRequest
from builder.kickstart.parsed import Kickstart, ParsedCommand
from builder.kickstart.plan import LogicalVolume, Partition, VolumeGroup

# Label and metadata area of a physical volume, as pvcreate(8) makes them.
PV_HEAD = 1
# lvm(8): VALID NAMES.
_NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_+.][A-Za-z0-9_+.-]{0,125}")
_RESERVED_NAMES = re.compile(
    r"(snapshot|pvmove)|.*_(cdata|cmeta|corig|mlog|mimage|pmspare|rimage|rmeta|tdata|tmeta)"
)


def plan_groups(ks: Kickstart, wanted: DiskRequest, parts: Sequence[Partition]) -> list[VolumeGroup]:
    """Return the volume groups, sizes as asked for. Mistakes are noted."""
    known = {part.name for part in parts if part.fstype == "lvm"}
    groups: dict[str, VolumeGroup] = {}
    used: set[str] = set()
    for line in ks.all("volgroup"):
        name = str(line.get("vgname", ""))
        members = tuple(str(member) for member in line.get("partitions", ()))
        if not _NAME.fullmatch(name):
            ks.findings.error(
                line.place, f'volgroup: "{name}" is not a name of LVM', "use letters and digits"
            )
        for member in members:
            if member not in known and not ks.failed & {"part", "partition"}:
                ks.findings.error(line.place, f"volgroup {name}: no part line makes {member}", "add one")
            elif member in used:
                ks.findings.error(line.place, f"volgroup {name}: {member} is in another group")
            used.add(member)
        if not members:
            ks.findings.error(line.place, f"volgroup {name}: names no partition", "write volgroup NAME pv.01")
        if name in groups:
            ks.findings.error(line.place, f"volgroup {name}: a second one of that name")
        groups[name] = _plan_group(ks, line, name, members)
    for line in ks.all("logvol"):
        group = groups.get(str(line.get("vgname", "")))
        if group is None:
            if "volgroup" not in ks.failed:
                name = str(line.get("vgname", ""))
                ks.findings.error(
                    line.place,
                    f"logvol --vgname={name}: no volgroup line makes it",
                    f"add: volgroup {name or 'NAME'} pv.01",
                )
            continue
        volume = _plan_volume(ks, line, group, wanted)
        if volume is not None:
            groups[group.name] = dataclasses.replace(group, volumes=(*group.volumes, volume))
    for part in parts:
        if part.fstype == "lvm" and part.name not in used and "volgroup" not in ks.failed:
            ks.findings.error(part.place, f"part {part.name}: no volgroup line uses it", "add volgroup")
    return list(groups.values())


def _plan_group(ks: Kickstart, line: ParsedCommand, name: str, members: tuple[str, ...]) -> VolumeGroup:
    extent = int(line.get("pesize", 0) or 4096)
    if extent & (extent - 1) or extent < 4:
        ks.findings.error(
            line.place, f"volgroup {name} --pesize={extent}: not a power of two", "give KiB, such as 4096"
        )
        extent = 4096
    return VolumeGroup(
        name=name,
        members=members,
        extent_size=extent,
        reserved=int(line.get("reserved_space", 0) or 0),
        reserved_percent=int(line.get("reserved_percent", 0) or 0),
        place=line.place,
    )


def _plan_volume(
    ks: Kickstart, line: ParsedCommand, group: VolumeGroup, wanted: DiskRequest
) -> LogicalVolume | None:
    mountpoint, fstype = mount_point(line), str(line.get("fstype", ""))
    if mountpoint == "none":
        ks.findings.error(
            line.place, "logvol none: thin pools are not supported", "give a mount point, or swap"
        )
        return None
    chosen = choose_file_system(ks, line, mountpoint, fstype, wanted)
    sized = read_size(ks, line, chosen or "", wanted)
    if chosen is None or sized is None:
        return None
    if chosen in ("efi", "biosboot", "prepboot"):
        ks.findings.error(line.place, f"logvol {mountpoint}: firmware does not read LVM", "use a part line")
        return None
    name = str(line.get("name", "")) or mountpoint.strip("/").replace("/", "_") or "root"
    if not _NAME.fullmatch(name) or _RESERVED_NAMES.fullmatch(name):
        ks.findings.error(line.place, f'logvol: "{name}" is not a name of LVM', "use letters and digits")
    if any(name == other.name for other in group.volumes):
        ks.findings.error(line.place, f"logvol --name={name}: a second one in {group.name}")
    percent = int(line.get("percent", 0) or 0)
    if not 0 <= percent <= 100:
        ks.findings.error(line.place, f"logvol --percent={percent}: not from 1 to 100")
    volume = LogicalVolume(
        mountpoint=None if chosen == "swap" else mountpoint,
        fstype=chosen,
        size=sized[0],
        grow=sized[1],
        max_size=sized[2],
        label=str(line.get("label", "")) or None,
        fsoptions=str(line.get("fsopts", "")) or None,
        mkfsoptions=str(line.get("mkfsopts", "")) or None,
        hibernation=chosen == "swap" and bool(line.get("hibernation", False)),
        place=line.place,
        name=name,
        percent=percent or None,
    )
    filesystems.check(ks.findings, volume, "logvol")
    return volume


def unit_of(group: VolumeGroup) -> int:
    """Return the MiB that volumes are a multiple of."""
    return max(1, group.extent_size // 1024)


def room_of(group: VolumeGroup, sizes: Sequence[int]) -> int:
    """Return the MiB that physical volumes of `sizes` MiB give to volumes."""
    unit = unit_of(group)
    return sum(max(0, size - PV_HEAD) // unit * unit for size in sizes)


def least_of(group: VolumeGroup, *, decent: bool = False) -> int:
    """Return the MiB that the group's physical volumes must have together, if there is one.

    Args:
        decent: with room for the volumes that grow.
    """
    unit = unit_of(group)
    wishes = [Wish(one.size, one.grow or one.percent is not None, one.max_size) for one in group.volumes]
    sizes = [wish.decent if decent else wish.size for wish in wishes]
    return PV_HEAD + sum(-(-size // unit) * unit for size in sizes) + group.reserved


def size_volumes(ks: Kickstart, group: VolumeGroup, sizes: Sequence[int]) -> VolumeGroup:
    """Return `group` with final sizes, on physical volumes of `sizes` MiB.

    --percent is a part of what volumes without it leave, as in blivet; then the growing ones share.
    """
    unit, room = unit_of(group), room_of(group, sizes)
    room -= max(group.reserved, room * group.reserved_percent // 100)
    wishes = []
    fixed = sum(-(-one.size // unit) for one in group.volumes if one.percent is None)
    base = max(0, room // unit - fixed)
    for one in group.volumes:
        least = -(-one.size // unit)
        if one.percent is not None:
            least = max(least, base * one.percent // 100)
        limit = None if one.max_size is None else max(least, one.max_size // unit)
        wishes.append(Wish(least, one.grow, limit))
    short = sum(wish.size for wish in wishes) * unit - room
    if short > 0:
        ks.findings.error(
            group.place,
            f"volgroup {group.name}: its volumes need {short} MiB more than the {room} MiB it has",
            "make its partition larger, or a volume smaller",
        )
        return group
    grown = share(room // unit - sum(wish.size for wish in wishes), wishes)
    volumes = [
        dataclasses.replace(one, size=size * unit) for one, size in zip(group.volumes, grown, strict=True)
    ]
    return dataclasses.replace(group, volumes=tuple(volumes))
