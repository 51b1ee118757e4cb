# SPDX-License-Identifier: MIT
"""Logical volumes of LVM on a disk, read from its bytes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from builder.formats import lvm
from builder.formats.partitions import PartitionTable, TableEntry

_LVM_TYPES = ("e6d6d379-f507-44c2-a23c-238f2a3df928", "0x8e")


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundVolume:
    """A volume: GROUP/NAME, and the (start, size) of its pieces on the disk; `partition` holds the first."""

    name: str
    partition: TableEntry
    pieces: tuple[tuple[int, int], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Volumes:
    """The volumes of a disk, and what is wrong with them."""

    volumes: tuple[FoundVolume, ...] = ()
    problems: tuple[str, ...] = ()


def read_volumes(disk: Path, table: PartitionTable) -> Volumes:
    """Return the logical volumes on the partitions of LVM's type."""
    members: dict[str, TableEntry] = {}
    named: dict[str, lvm.LinearVolume] = {}
    problems = []
    descriptor = os.open(disk, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for partition in table.partitions:
            if partition.type not in _LVM_TYPES:
                continue
            start, length = partition.start, partition.size

            def read(at: int, size: int, start: int = start, length: int = length) -> bytes:
                if at < 0 or at + size > length:
                    raise lvm.LvmError("it points to a place out of the partition")
                return os.pread(descriptor, size, start + at)

            try:
                found = lvm.read_physical_volume(read)
            except lvm.LvmError as error:
                problems.append(f"partition {partition.number}: {error}")
                continue
            members[found.id] = partition
            named |= {f"{one.group}/{one.name}": one for one in found.volumes}
    finally:
        os.close(descriptor)
    volumes = []
    for name, volume in named.items():
        missing = [one.pv for one in volume.segments if one.pv not in members]
        outside = [
            one for one in volume.segments
            if one.pv in members and one.start + one.size > members[one.pv].size
        ]  # fmt: skip
        if missing or outside or not volume.segments:
            problems.append(f"volume {name} is not on the partitions of the disk")
            continue
        pieces = tuple((members[one.pv].start + one.start, one.size) for one in volume.segments)
        partition = members[volume.segments[0].pv]
        volumes.append(FoundVolume(name=name, partition=partition, pieces=pieces))
    return Volumes(volumes=tuple(volumes), problems=tuple(problems))
