# SPDX-License-Identifier: MIT
"""`part --onpart`: partitions that a %pre script has made on the image's disk, and new ones next to them."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Sequence

from builder.formats.partitions import PartitionTable
from builder.kickstart.disk.sizes import HEAD, TAIL, Wish, share
from builder.kickstart.parsed import Kickstart
from builder.kickstart.plan import Extent, Partition
from builder.sizes import MIB

_DEVICE = re.compile(r"(?:/dev/)?(?:[a-z]+|(?:nvme\d+n\d+|mmcblk\d+)p)(\d+)")
_DISK = re.compile(r"(?:/dev/)?([a-z]+|nvme\d+n\d+|mmcblk\d+)")
# What %pre may call the one disk of an image, whatever its lines name.
USUAL_NAMES = ("vda", "sda")


def number_of(device: str) -> int | None:
    """Return the number of a partition: 4 of `vda4` and `/dev/nvme0n1p4`; None: not a partition's name."""
    found = _DEVICE.fullmatch(device)
    return int(found[1]) if found else None


def disk_names(ks: Kickstart) -> tuple[str, ...]:
    """Return the names that the disk has for the lines of the kickstart: vda, sda, and what they name."""
    names = dict.fromkeys(USUAL_NAMES)
    for line in ks.all("part", "partition"):
        for device in (str(line.get("disk", "")), re.sub(r"p?\d+$", "", str(line.get("onPart", "")))):
            if found := _DISK.fullmatch(device):
                names[found[1]] = None
    return tuple(names)


def check_lines(ks: Kickstart, parts: Sequence[Partition]) -> None:
    """Note --onpart lines that can mean nothing."""
    on = [part for part in parts if part.onpart]
    scripts = bool(ks.all_sections("%pre"))
    for part in on:
        if not scripts:
            ks.findings.error(
                part.place,
                "part --onpart: needs existing partitions, and the disk of an image is new",
                "give --size (and --grow), or make the partitions in a %pre script",
            )
        elif number_of(part.onpart or "") is None:
            ks.findings.error(
                part.place, f"part --onpart={part.onpart}: not a partition", "write a name such as vda4"
            )


def take_places(ks: Kickstart, parts: Sequence[Partition], table: PartitionTable) -> list[Partition]:
    """Return the partitions of `table` in its order, with what part lines put into them.

    What %pre has made and no line names stays, and nothing is written into it.
    """
    entries = {entry.number: entry for entry in table.partitions}
    lines: dict[int, Partition] = {}
    for part in parts:
        number = number_of(part.onpart or "") or 0
        if number not in entries:
            have = ", ".join(map(str, entries)) or "none"
            ks.findings.error(
                part.place,
                f"part --onpart={part.onpart}: %pre has made no such partition (it made {have})",
                "correct the name or the script; for a larger disk (see the .pre.log) give --size",
            )
        elif number in lines:
            ks.findings.error(part.place, f"part --onpart={part.onpart}: a second line for it")
        else:
            lines[number] = part
    found = []
    for number, entry in entries.items():
        extent = Extent(number=number, start=entry.start, length=entry.size, name=entry.name)
        kind = entry.kind if entry.kind in ("biosboot", "prepboot") else "unused"
        part = lines.get(number) or Partition(mountpoint=None, fstype=kind, size=0)
        found.append(dataclasses.replace(part, size=entry.size // MIB, extent=extent))
    return found


def place_new(
    ks: Kickstart, made: Sequence[Partition], new: Sequence[Partition], *, size: int, label: str
) -> list[Partition]:
    """Return `made` with the `new` partitions in the largest room that is free on a disk of `size` MiB.

    They are placed in the order of `new`, whatever grows takes what is left, and each gets the lowest number
    that is free (libparted's ped_partition_set_number counts so). All in the order of the disk.
    """
    if not new:
        return list(made)
    first, free = _largest_room(made, size * MIB - (TAIL * MIB if label == "gpt" else 0))
    wishes = [Wish(part.size, part.grow, part.max_size) for part in new]
    needed = sum(wish.size for wish in wishes)
    if needed > free:
        ks.findings.error(
            new[0].place,
            f"part {new[0].where}: {free} MiB are free where %pre has left most, and "
            f"{needed} MiB are wanted there",
            "give the disk a larger --size, or smaller partitions",
        )
        return list(made)
    taken = {part.extent.number for part in made if part.extent}
    numbers = (number for number in itertools.count(1) if number not in taken)
    placed = list(made)
    for part, got, number in zip(new, share(free - needed, wishes), numbers, strict=False):
        extent = Extent(number=number, start=first, length=got * MIB)
        placed.append(dataclasses.replace(part, size=got, extent=extent))
        first += got * MIB
    return sorted(placed, key=lambda part: part.extent.start if part.extent else 0)


def _largest_room(parts: Sequence[Partition], end: int) -> tuple[int, int]:
    """Return where the largest room between `parts` begins (bytes), and how many whole MiB it has."""
    at, rooms = HEAD * MIB, []
    taken = sorted(
        (part.extent.start, part.extent.start + part.extent.length) for part in parts if part.extent
    )
    for start, after in (*taken, (end, end)):
        rooms.append((max(0, start - at) // MIB, at))
        at = max(at, -(-after // MIB) * MIB)
    free, first = max(rooms, key=lambda room: room[0])
    return first, free


def judge(table: PartitionTable, size: int) -> list[str]:
    """Return what is wrong with a table on a disk of `size` MiB, wherever its partitions begin."""
    problems = [one for one in table.problems if "begin on a MiB" not in one]
    outside = [one for one in table.partitions if one.size <= 0 or one.start < 512 or one.end > size * MIB]
    return problems + [f"partition {entry.number} is not on the disk" for entry in outside]
