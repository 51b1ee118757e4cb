# SPDX-License-Identifier: MIT
"""Write volume groups: the text that describes one (lvm(8), vgcfgbackup(8)) onto each of its partitions."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from builder.errors import BuildError
from builder.formats import lvm
from builder.image.disk.placement import SECTOR, DiskLayout, PlacedGroup, PlacedVolume


def write_groups(disk_file: Path, layout: DiskLayout, *, epoch: int) -> None:
    """Make the partitions of every group physical volumes.

    Raises:
        BuildError: a group has more volumes than its metadata area can describe.
    """
    with disk_file.open("r+b") as file:
        for group in layout.groups:
            try:
                area = lvm.metadata_area(describe(group, epoch=epoch))
            except ValueError as error:
                raise BuildError(f"volume group {group.name}: too many volumes: {error}") from error
            for member in group.members:
                file.seek(member.start + lvm.LABEL)
                file.write(lvm.label_sector(member.id, member.size))
                file.seek(member.start + lvm.AREA)
                file.write(area)


def describe(group: PlacedGroup, *, epoch: int) -> str:
    """Return the text of a volume group as lvm2 writes it; `epoch` is when it was created."""
    return "\n".join(
        [
            f"{group.name} {{",
            f'id = "{lvm.dashed(group.id)}"',
            "seqno = 1",
            'format = "lvm2"',
            'status = ["RESIZEABLE", "READ", "WRITE"]',
            "flags = []",
            f"extent_size = {group.extent // SECTOR}",
            "max_lv = 0",
            "max_pv = 0",
            "metadata_copies = 0",
            "",
            *_members(group),
            *_volumes(group, epoch),
            "}",
            'contents = "Text Format Volume Group"',
            "version = 1",
            "",
            'description = "Made with the image"',
            "",
            'creation_host = "localhost"',
            f"creation_time = {epoch}",
            "",
            "",
        ]
    )


def _members(group: PlacedGroup) -> Iterable[str]:
    yield "physical_volumes {"
    for number, member in enumerate(group.members):
        yield from (
            "",
            f"pv{number} {{",
            f'id = "{lvm.dashed(member.id)}"',
            # A hint only: volumes are found by their identifiers.
            f'device = "/dev/vda{member.partition}"',
            "",
            'status = ["ALLOCATABLE"]',
            "flags = []",
            f"dev_size = {member.size // SECTOR}",
            f"pe_start = {lvm.FIRST_EXTENT // SECTOR}",
            f"pe_count = {member.extents}",
            "}",
        )
    yield from ("}", "")


def _volumes(group: PlacedGroup, epoch: int) -> Iterable[str]:
    if not group.volumes:
        return
    yield "logical_volumes {"
    for volume in group.volumes:
        yield from (
            "",
            f"{volume.name} {{",
            f'id = "{lvm.dashed(volume.id)}"',
            'status = ["READ", "WRITE", "VISIBLE"]',
            "flags = []",
            f"creation_time = {epoch}",
            'creation_host = "localhost"',
            f"segment_count = {len(volume.pieces)}",
            *_segments(volume),
            "}",
        )
    yield from ("}", "")


def _segments(volume: PlacedVolume) -> Iterable[str]:
    first = 0
    for number, piece in enumerate(volume.pieces, 1):
        yield from (
            "",
            f"segment{number} {{",
            f"start_extent = {first}",
            f"extent_count = {piece.extents}",
            "",
            'type = "striped"',
            "stripe_count = 1",
            "",
            "stripes = [",
            f'"pv{piece.member}", {piece.first_extent}',
            "]",
            "}",
        )
        first += piece.extents
