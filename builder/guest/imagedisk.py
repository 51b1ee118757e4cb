# SPDX-License-Identifier: MIT
"""The disk of an image: partition table, volumes, file systems and what their checkers say.

Everything is read when first asked for, and once.
"""

from __future__ import annotations

import shutil
from functools import cached_property
from pathlib import Path

from builder import json_text
from builder.formats.diskimage import DiskImage
from builder.formats.partitions import PartitionTable, read_table
from builder.guest import filesystems, readers
from builder.guest.filesystems import FoundFileSystem
from builder.guest.outcome import not_done
from builder.guest.volumes import Volumes, read_volumes
from builder.room import run_apart
from builder.runner import Runner

# Bytes that a look at an image leaves free.
ROOM_LEFT = 1 << 30


class ImageDisk:
    """The disk of `image`; its raw bytes are written into the folder `work`."""

    def __init__(self, runner: Runner, image: Path, header: DiskImage, work: Path) -> None:
        self._runner = runner
        self._image = image
        self._header = header
        self._work = work

    @cached_property
    def raw(self) -> Path:
        """The disk's bytes as a sparse raw file."""
        if not self._header.is_standalone:
            raise not_done("the image needs another file, which is not opened")
        raw = self._work / "disk.raw"
        needed = self._measure()
        with raw.open("xb") as file:
            file.truncate(self._header.size)
        argv = ["qemu-img", "convert", "-n", "--target-is-zero", "-f", self._header.qemu, "-O", "raw"]
        run_apart(self._runner, [*argv, self._image, raw], readable=[self._image], writable=raw, room=needed)
        return raw

    def _measure(self) -> int:
        """Return how many bytes the raw disk takes, which may be a thousand times the image's size."""
        argv = ["qemu-img", "measure", "-f", self._header.qemu, "-O", "raw", "--output=json"]
        said = run_apart(self._runner, [*argv, self._image], readable=[self._image]).stdout
        needed, free = int(json_text.parse(said)["required"]), shutil.disk_usage(self._work).free
        if needed > free - ROOM_LEFT:
            raise not_done(f"its disk takes {needed >> 20} MiB, and {free >> 20} MiB are free")
        return needed

    @cached_property
    def table(self) -> PartitionTable:
        """The partition table."""
        return read_table(self.raw)

    @cached_property
    def filesystems(self) -> tuple[FoundFileSystem, ...]:
        """Every file system of a partition or a logical volume, in the order of the disk."""
        found = [filesystems.identify(self._runner, self.raw, entry) for entry in self.table.partitions]
        found += [
            filesystems.identify(self._runner, self.raw, volume.partition, volume)
            for volume in self.volumes.volumes
        ]
        return tuple(system for system in found if system is not None and system.type != "LVM2_member")

    @cached_property
    def volumes(self) -> Volumes:
        """The logical volumes of LVM."""
        return read_volumes(self.raw, self.table)

    @cached_property
    def complaints(self) -> dict[str, str]:
        """What the file systems' checkers complain of, by the names of the file systems."""
        found: dict[str, str] = {}
        for system in self.filesystems:
            if readers.is_read(system.type):
                said = readers.check(self._runner, self.raw, system, self._work)
                if said:
                    found[system.name] = said
        return found

    def find_source(self, source: str) -> FoundFileSystem | None:
        """Return the file system that fstab's first field means; None: there is none on the disk."""
        name, _, value = source.partition("=")
        value = value.strip('"')
        for system in self.filesystems:
            of_partition = None if system.volume else system.partition
            known = {
                "UUID": system.uuid,
                "LABEL": system.label,
                "PARTUUID": of_partition.uuid if of_partition else None,
                "PARTLABEL": (of_partition.name or None) if of_partition else None,
            }.get(name)
            if known and known.lower() == value.lower():
                return system
        return None
