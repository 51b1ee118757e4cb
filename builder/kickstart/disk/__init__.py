# SPDX-License-Identifier: MIT
"""The one planner of disks: lines of a kickstart become a `Disk` whose every size is final and checked.

Pure: no tools, no root. `builder.image.disk` turns the plan into bytes and trusts it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from builder.kickstart.disk import automatic, boot, btrfs, existing, filesystems, groups, in_memory, lines
from builder.kickstart.disk.sizes import DEFAULT_DISK, HEAD, LARGEST_DISK, TAIL, Wish, choose_disk_size, share
from builder.kickstart.disk.wanted import DiskRequest, InstallerDefaults
from builder.kickstart.parsed import Kickstart
from builder.kickstart.plan import Bootloader, Disk, Partition, VolumeGroup

__all__ = ["DiskRequest", "InstallerDefaults", "plan_disk"]

_LAYOUT_COMMANDS = frozenset(
    ["part", "partition", "autopart", "logvol", "volgroup", "btrfs", "raid", "mount", "stratisfs"]
)
_OUTPUT = "see what it printed, in the .pre.log next to the image's folder"
# What a gpt alone can hold.
_FIRMWARE = frozenset(["biosboot", "efi"])


def plan_disk(ks: Kickstart, *, wanted: DiskRequest, bootloader: Bootloader) -> Disk:
    """Return the disk with every partition's and volume's final size; mistakes go to `ks.findings`.

    Where only %pre knows the partitions (an unresolved include, --onpart before %pre has run) sizes stay
    open: `Disk.is_resolved` says so.
    """
    ks.all("zerombr")  # honoured by making a new disk
    errors = len(ks.findings.errors)
    label = _plan_label(ks)
    found = automatic.autopart(ks, label, wanted)
    if found is not None:
        parts, volume_groups = found
        lines.plan_partitions(ks, wanted)  # for what is wrong in lines that autopart replaces
        folders = []
    else:
        folders = in_memory.plan_folders(ks)
        parts = lines.plan_partitions(ks, wanted)
        parts = btrfs.plan_volumes(ks, parts)
        volume_groups = groups.plan_groups(ks, wanted, parts)
    existing.check_lines(ks, parts)
    parts = automatic.require(ks, parts, label, wanted)
    chosen = label or ("gpt" if {part.fstype for part in parts} & _FIRMWARE else "msdos")
    disk = Disk(
        label=chosen,
        partitions=tuple(parts),
        groups=tuple(volume_groups),
        size=wanted.size,
        names=existing.disk_names(ks),
        in_memory=tuple(folders),
    )
    if ks.unresolved and disk.holding("/") is None:
        return dataclasses.replace(disk, partitions=tuple(boot.order(parts, volume_groups)))
    made_by_script = any(part.onpart for part in parts)
    disk = _plan_existing(ks, disk, wanted) if made_by_script else lay_out(ks, disk)
    has_root_error = not ks.complete or bool(ks.failed & _LAYOUT_COMMANDS) or len(ks.findings.errors) > errors
    boot.check(ks, disk, bootloader, has_root_error=has_root_error)
    if disk.size is not None and disk.size > LARGEST_DISK:
        largest = max(disk.partitions, key=lambda part: part.size, default=None)
        ks.findings.error(
            largest.place if largest is not None and wanted.size is None else None,
            f"{ks.path}: the disk has {disk.size} MiB, and the most is {LARGEST_DISK} (16 TiB)",
            "make it smaller: a guest grows its disk at the first boot",
        )
    if disk.is_resolved and len(ks.findings.errors) == errors:
        boot.check_room(ks, disk, bootloader)
        for volume in disk.volumes:
            filesystems.check_size(ks.findings, volume, "part" if volume in disk.partitions else "logvol")
    filesystems.check_uuids(ks.findings, disk.volumes)
    return disk


def _plan_label(ks: Kickstart) -> str | None:
    line = ks.last("clearpart")
    label = str(line.get("disklabel", "")) if line is not None else ""
    if line is not None and label not in ("", "gpt", "msdos"):
        ks.findings.error(
            line.place, f"clearpart --disklabel={label}: is not supported", "write gpt or msdos"
        )
        return None
    return label or None


def lay_out(ks: Kickstart, disk: Disk) -> Disk:
    """Return `disk` in its order, with the free space shared among what grows."""
    asked = boot.order(disk.partitions, disk.groups)
    parts = [_at_least(part, disk.groups) for part in asked]
    wishes = [
        Wish(part.size, part.grow, part.max_size, weight=line.size)
        for part, line in zip(parts, asked, strict=True)
    ]
    spare = HEAD + (TAIL if disk.label == "gpt" else 0)
    needed = spare + sum(wish.size for wish in wishes)
    size = disk.size or choose_disk_size(spare, [_with_group(part, disk.groups) for part in parts])
    if size < needed:
        ks.findings.error(
            None,
            f"{ks.path}: the disk is {needed - size} MiB too small: it has {size} MiB, "
            f"the partitions need {needed} MiB",
            "give a larger --size, or "
            + ("part lines in place of autopart" if ks.last("autopart") else "smaller partitions"),
        )
        size = needed
    sizes = share(size - needed, wishes)
    grown = tuple(dataclasses.replace(part, size=got) for part, got in zip(parts, sizes, strict=True))
    return dataclasses.replace(disk, partitions=grown, groups=_size_groups(ks, grown, disk.groups), size=size)


def _at_least(part: Partition, volume_groups: Sequence[VolumeGroup]) -> Partition:
    """Return a physical volume that grows as large as its group alone needs it to be."""
    group = next((one for one in volume_groups if part.name in one.members), None)
    if group is None or not part.grow or len(group.members) > 1:
        return part
    least = max(part.size, groups.least_of(group))
    if part.max_size is not None:
        least = min(least, part.max_size)
    return dataclasses.replace(part, size=least)


def _with_group(part: Partition, volume_groups: Sequence[VolumeGroup]) -> Wish:
    """Return what a partition asks for where nobody chose the disk's size: room for its group, too."""
    group = next((one for one in volume_groups if part.name in one.members), None)
    if group is None or not part.grow:
        return Wish(part.size, part.grow, part.max_size)
    decent = groups.least_of(group, decent=True) // len(group.members)
    size = max(part.size, decent if part.max_size is None else min(decent, part.max_size))
    return Wish(size, part.grow, part.max_size)


def _size_groups(
    ks: Kickstart, parts: Sequence[Partition], volume_groups: Sequence[VolumeGroup]
) -> tuple[VolumeGroup, ...]:
    sizes = {part.name: part.size for part in parts if part.name}
    return tuple(
        groups.size_volumes(ks, group, [sizes[member] for member in group.members])
        if all(member in sizes for member in group.members)
        else group
        for group in volume_groups
    )


def _plan_existing(ks: Kickstart, disk: Disk, wanted: DiskRequest) -> Disk:
    """Return the disk as %pre has partitioned it; before that, with open sizes."""
    size = wanted.size or DEFAULT_DISK
    if wanted.made is None:
        if not ks.findings.errors:
            part = next(part for part in disk.partitions if part.onpart)
            ks.findings.note(part.place, "part --onpart: %pre makes the partition when an image is built")
        return dataclasses.replace(disk, size=size)
    if wanted.made.label not in ("gpt", "msdos"):
        ks.findings.error(None, f"{ks.path}: %pre has made no partition table", _OUTPUT)
        return dataclasses.replace(disk, size=size)
    for problem in existing.judge(wanted.made, size):
        ks.findings.error(None, f"{ks.path}: the partition table that %pre made: {problem}", _OUTPUT)
    label = wanted.made.label
    on = [part for part in disk.partitions if part.onpart]
    new = [_at_least(part, disk.groups) for part in disk.partitions if not part.onpart]
    parts = existing.take_places(ks, on, wanted.made)
    parts = existing.place_new(ks, parts, boot.order(new, disk.groups), size=size, label=label)
    return dataclasses.replace(
        disk, label=label, size=size, partitions=tuple(parts), groups=_size_groups(ks, parts, disk.groups)
    )
