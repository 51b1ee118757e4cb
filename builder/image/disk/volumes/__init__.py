# SPDX-License-Identifier: MIT
"""LVM: volume groups with linear logical volumes, written without device-mapper or lvm(8).

`place_group` decides where extents go (pure); `builder.image.disk.volumes.metadata` writes what says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from builder.formats import lvm
from builder.image.disk import filesystems
from builder.image.disk.placement import (
    KIB,
    MIB,
    Piece,
    PlacedGroup,
    PlacedMember,
    PlacedPartition,
    PlacedVolume,
)
from builder.kickstart.plan import LogicalVolume, VolumeGroup


class Identifiers(Protocol):
    """What identifiers derive from."""

    def uuid(self, name: str) -> str:
        """Return the UUID of `name`."""

    def number(self, name: str) -> int:
        """Return the 128 bits of `name`."""


def place_group(
    group: VolumeGroup, partitions: Mapping[str | None, PlacedPartition], seed: Identifiers
) -> PlacedGroup:
    """Return where the volumes of `group` are on its partitions: one after the other, in their order.

    Args:
        partitions: of the whole disk, by the names that `group.members` uses.
    """
    extent = group.extent_size * KIB
    members = tuple(
        PlacedMember(
            partition=partitions[name].number,
            id=lvm.identifier(seed.number(f"pv {group.name} {name}")),
            start=partitions[name].start,
            size=partitions[name].size,
            extents=max(0, partitions[name].size - lvm.FIRST_EXTENT) // extent,
        )
        for name in group.members
    )
    volumes = []
    used = 0
    for volume in group.volumes:
        wanted = -(-volume.size * MIB // extent)
        volumes.append(_place_volume(group, volume, _pieces(members, used, wanted, extent), seed))
        used += wanted
    return PlacedGroup(
        name=group.name,
        id=lvm.identifier(seed.number(f"vg {group.name}")),
        extent=extent,
        members=members,
        volumes=tuple(volumes),
    )


def _pieces(members: tuple[PlacedMember, ...], first: int, wanted: int, extent: int) -> tuple[Piece, ...]:
    """Return `wanted` extents from the `first` of the group on; they may go on in the next member."""
    found = []
    for number, member in enumerate(members):
        got = min(wanted, max(0, member.extents - first))
        if got:
            found.append(
                Piece(
                    member=number,
                    first_extent=first,
                    extents=got,
                    start=member.start + lvm.FIRST_EXTENT + first * extent,
                    size=got * extent,
                )
            )
        wanted -= got
        first = max(0, first - member.extents)
    assert not wanted, "the planner has seen that the volumes fit"
    return tuple(found)


def _place_volume(
    group: VolumeGroup, volume: LogicalVolume, pieces: tuple[Piece, ...], seed: Identifiers
) -> PlacedVolume:
    what = volume.mountpoint or f"{group.name}/{volume.name}"
    return PlacedVolume(
        name=volume.name,
        id=lvm.identifier(seed.number(f"lv {group.name}/{volume.name}")),
        pieces=pieces,
        start=pieces[0].start,
        size=sum(piece.size for piece in pieces),
        **filesystems.identify(volume, what, seed.uuid, seed.number),
    )
