# SPDX-License-Identifier: MIT
"""Partitions on a disk: their order, their final sizes, and what firmware can boot. Arithmetic in MiB.

Order on the disk: what firmware wants first, then the rest as written, swap before /, and / last, so
that a guest can grow it (image guide: the root partition is the last one).
"""

from __future__ import annotations

import dataclasses

from builder.kickstart.plan import Bootloader, Disk, Partition
from builder.kickstart.read import Kickstart

# Partitions begin at 1 MiB, and the copy of a GPT needs room behind the last one.
HEAD = 1
TAIL = 1

BIOSBOOT_SIZE = 1
# The file system is FAT32 from 33 MiB on; GRUB alone needs less than 4.
ESP_SIZE = 64
BOOT_SIZE = 1024
SMALLEST_ESP = 8


def order(parts: list[Partition]) -> list[Partition]:
    first = {"biosboot": 0, "prepboot": 1, "efi": 2}

    def weight(part: Partition) -> int:
        if part.mountpoint == "/":
            return 9
        if part.mountpoint == "/boot":
            return 3
        return first.get(part.fstype, 5 if part.fstype == "swap" else 4)

    return sorted(parts, key=weight)


def check(ks: Kickstart, parts: list[Partition], label: str, bootloader: Bootloader, *, told: bool) -> None:
    """Note what keeps the layout from being a bootable disk; `told`: a line for / may be told wrong."""
    kinds = {part.fstype for part in parts}
    root = next((part for part in parts if part.mountpoint == "/"), None)
    line = ks.last("part", "partition", "autopart", "reqpart", "clearpart")
    place = line.place if line is not None else None
    if root is None and not told:
        ks.findings.error(
            None, f"{ks.path}: no partition for /", "add part / --fstype=ext4 --size=2048 --grow"
        )
    if root is not None and root.fstype in ("vfat", "efi"):
        ks.findings.error(root.place, f"part /: {root.fstype} cannot hold a system", "write --fstype=ext4")
    if label == "msdos" and len(parts) > 4:
        ks.findings.error(
            place,
            f"{len(parts)} partitions on an msdos disk: it has room for four",
            "clearpart --disklabel=gpt",
        )
    if label == "msdos" and kinds & {"biosboot"}:
        ks.findings.warn(place, "biosboot: an msdos disk has no use for it", "leave it out, or use gpt")
    for part in parts:
        if part.fstype == "efi" and part.size < SMALLEST_ESP:
            ks.findings.error(
                part.place, f"part /boot/efi: {part.size} MiB is too small", f"{ESP_SIZE} MiB do"
            )
    if bootloader.disabled or bootloader.location == "none" or root is None:
        return
    if label == "gpt" and not kinds & {"biosboot", "efi"}:
        ks.findings.error(
            place,
            "no firmware can boot this gpt disk: it has neither a biosboot partition nor /boot/efi",
            "add reqpart, or part biosboot --size=1 and part /boot/efi --size=64",
        )
    elif label == "gpt" and "biosboot" not in kinds:
        ks.findings.warn(place, "no biosboot partition: the image boots by UEFI only", "add reqpart")
    elif "efi" not in kinds:
        ks.findings.note(place, "no /boot/efi partition: the image boots by BIOS only")


def plan_firmware(disk: Disk, bootloader: Bootloader) -> tuple[str, ...]:
    """Return the ways in which the disk boots: bios, uefi."""
    if bootloader.disabled or bootloader.location == "none":
        return ()
    kinds = {part.fstype for part in disk.partitions}
    bios = disk.label == "msdos" or "biosboot" in kinds
    return (("bios",) if bios else ()) + (("uefi",) if "efi" in kinds else ())


def lay_out(ks: Kickstart, parts: list[Partition], label: str, disk_size: int | None) -> Disk:
    """Return the disk with the free space shared among what grows."""
    needed = HEAD + sum(part.size for part in parts) + (TAIL if label == "gpt" else 0)
    if disk_size is None:
        return Disk(label=label, partitions=tuple(parts), size=needed)
    if disk_size < needed:
        ks.findings.error(
            None,
            f"{ks.path}: the disk is too small by {needed - disk_size} MiB: it has {disk_size} MiB, "
            f"the partitions need {needed} MiB",
            "give a larger --size, or smaller partitions",
        )
        return Disk(label=label, partitions=tuple(parts), size=needed)
    grown = share(disk_size - needed, parts)
    return Disk(label=label, partitions=grown, size=disk_size)


def share(free: int, parts: list[Partition]) -> tuple[Partition, ...]:
    """Return `parts` with `free` MiB given to those that grow, in proportion to their sizes.

    None grows beyond its --maxsize; what one cannot take goes to the others (as blivet does).
    """
    sizes = [part.size for part in parts]
    growing = [index for index, part in enumerate(parts) if part.grow]
    while free > 0 and growing:
        total = sum(sizes[index] for index in growing)
        given = 0
        full = []
        for index in growing:
            portion = free * sizes[index] // total
            limit = parts[index].max_size
            if limit is not None and sizes[index] + portion >= limit:
                portion = max(limit - sizes[index], 0)
                full.append(index)
            sizes[index] += portion
            given += portion
        free -= given
        if not full:
            sizes[growing[-1]] += free  # what rounding left
            break
        growing = [index for index in growing if index not in full]
    return tuple(dataclasses.replace(part, size=size) for part, size in zip(parts, sizes, strict=True))
