# SPDX-License-Identifier: MIT
"""From the plan's disk to places: where each partition and volume starts, and what identifies it.

Pure. The plan has been checked and its sizes are final (`builder.kickstart.disk`); identifiers derive from a
seed, so that equal inputs give equal bytes.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from builder.errors import BuildError
from builder.image.disk import filesystems, volumes
from builder.image.disk.placement import MIB, DiskLayout, PlacedContent, PlacedPartition, Usage
from builder.kickstart.disk.filesystems import RAW
from builder.kickstart.plan import Disk, Partition, Volume

# GPT partition types: UEFI specification, util-linux's include/pt-gpt-partnames.h.
GPT_TYPES = {
    "biosboot": "21686148-6449-6E6F-744E-656564454649",
    "prepboot": "9E1A2D38-C612-4316-AA26-8B49521E5A8B",
    "esp": "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
    "swap": "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F",
    "lvm": "E6D6D379-F507-44C2-A23C-238F2A3DF928",
    "root": "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",  # root of x86-64
    "data": "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
}
MSDOS_TYPES = {
    "prepboot": "41",
    "esp": "ef",
    "swap": "82",
    "lvm": "8e",
    "fat": "c",
    "root": "83",
    "data": "83",
    "biosboot": "83",
}
ESP_OPTIONS = "umask=0077,shortname=winnt"


def own_mountpoints(volume: Volume | PlacedContent) -> tuple[str, ...]:
    """Return the mount points of a volume that are not below another of its own.

    Subvolumes share the room of their file system: while building, those below another are plain folders.
    """
    points = volume.mountpoints if isinstance(volume, Volume) else [one.mountpoint for one in volume.mounts]
    return tuple(
        point
        for point in points
        if not any(point != other and f"{point}/".startswith(other.rstrip("/") + "/") for other in points)
    )


def capacity(disk: Disk) -> dict[str, Usage]:
    """Return for each mount point what its content may take: the bound of its folder while building."""
    found = {}
    for volume in disk.volumes:
        writer = filesystems.writer_for(volume.fstype)
        for mountpoint in own_mountpoints(volume) if writer else ():
            assert writer is not None
            found[mountpoint] = writer.capacity(volume.size * MIB, volume.mkfsoptions)
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Seed:
    """What identifiers derive from: the same name gives the same one."""

    identity: uuid.UUID

    def uuid(self, name: str) -> str:
        """Return the UUID of `name`."""
        return str(uuid.uuid5(self.identity, name))

    def number(self, name: str) -> int:
        """Return the 128 bits of `name`."""
        return uuid.uuid5(self.identity, name).int


def place(disk: Disk, *, seed: str, content: Mapping[str, Usage]) -> DiskLayout:
    """Return where everything lies.

    Args:
        disk: as `builder.kickstart.disk.plan_disk` made it, without errors.
        seed: what the identifiers derive from.
        content: what each mount point holds; a mount point that is missing holds nothing. Identifiers and
            places are the same whatever the content.

    Raises:
        BuildError: content does not fit; it says by how much.
    """
    source = Seed(identity=uuid.uuid5(uuid.NAMESPACE_URL, f"openstack-builder:{seed}"))
    identifier = f"0x{source.identity.int & 0xFFFFFFFF:08x}" if disk.label == "msdos" else source.uuid("disk")
    partitions: list[PlacedPartition] = []
    start = MIB
    for number, partition in enumerate(disk.partitions, 1):
        one = _place_partition(partition, number, start, disk.label, source, identifier)
        partitions.append(one)
        start = one.start + one.size
    total = max((disk.size or 0) * MIB, start + (MIB if disk.label == "gpt" else 0))
    members: dict[str | None, PlacedPartition] = {
        part.name: one for part, one in zip(disk.partitions, partitions, strict=True) if part.name
    }
    groups = tuple(volumes.place_group(group, members, source) for group in disk.groups)
    layout = DiskLayout(
        label=disk.label, identifier=identifier, size=total, partitions=tuple(partitions), groups=groups
    )
    for volume, placed in zip(disk.volumes, layout.volumes, strict=True):
        _check_fit(placed, volume, content)
    return layout


def _place_partition(
    partition: Partition, number: int, start: int, table: str, seed: Seed, identifier: str
) -> PlacedPartition:
    extent = partition.extent
    number, start = (extent.number, extent.start) if extent else (number, start)
    what = partition.mountpoint or partition.name or f"{partition.fstype}{number}"
    role = _role(partition)
    if table == "gpt":
        kind, partuuid = GPT_TYPES[role], seed.uuid(f"partition {what}")
    else:
        is_fat = partition.fstype == "vfat" and role == "data"
        kind = MSDOS_TYPES["fat" if is_fat else role]
        partuuid = f"{identifier[2:]}-{number:02d}"
    fields = filesystems.identify(partition, what, seed.uuid, seed.number)
    if role == "esp" and not partition.fsoptions:
        fields["fsoptions"] = ESP_OPTIONS
    name = (extent.name if extent else "") or what
    return PlacedPartition(
        number=number,
        start=start,
        size=extent.length if extent else partition.size * MIB,
        type=kind,
        name=re.sub(r"[^A-Za-z0-9/ ._-]", "_", name)[:36],
        partuuid=partuuid,
        **fields,
    )


def _role(partition: Partition) -> str:
    if partition.fstype == "efi" or (
        partition.fstype == "vfat" and partition.mountpoint in ("/boot/efi", "/efi")
    ):
        return "esp"
    if partition.fstype in ("biosboot", "prepboot", "swap", "lvm"):
        return partition.fstype
    return "root" if "/" in partition.mountpoints else "data"


def _check_fit(placed: PlacedContent, volume: Volume, content: Mapping[str, Usage]) -> None:
    writer = filesystems.writer_for(placed.fstype)
    if writer is None or placed.fstype in RAW:
        return
    usage = sum((content.get(point, Usage()) for point in own_mountpoints(placed)), Usage())
    room = writer.capacity(placed.size, placed.mkfsoptions)
    hint = f"raise --size={volume.size}" + (f" ({volume.place})" if volume.place else "")
    if usage.bytes > room.bytes:
        short = -(-(usage.bytes - room.bytes) // MIB)
        raise BuildError(
            f"{placed.where} is {short} MiB too small: {-(-usage.bytes // MIB)} MiB of content, "
            f"{room.bytes // MIB} MiB of room in {placed.size // MIB} MiB of {placed.fstype}",
            hint=hint,
        )
    if usage.inodes > room.inodes:
        raise BuildError(
            f"{placed.where} lacks {usage.inodes - room.inodes} inodes: {usage.inodes} files and "
            f"folders, {room.inodes} inodes in {placed.size // MIB} MiB of {placed.fstype}",
            hint=f'{hint}, or use --mkfsoptions="-N {-(-usage.inodes // 1024) * 1024 + 4096}"',
        )
