# SPDX-License-Identifier: MIT
"""From the plan's disk to bytes: where each partition starts, how it grows, what identifies it.

Pure, but for `write_table`. Everything is aligned to MiB; the partition of / is the last one, so that a
guest can grow it (checklist of guest images, 2); identifiers derive from a seed, so that equal inputs
give equal bytes.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from builder.errors import BuildError, InputError, Problem
from builder.files import explain
from builder.image.disk import filesystems
from builder.image.disk.placement import MIB, SECTOR, DiskLayout, Placed, Usage
from builder.kickstart.plan import Bootloader, Disk, ImagePlan, Partition
from builder.runner import Runner

# GPT partition types: UEFI specification, util-linux's include/pt-gpt-partnames.h.
GPT_TYPES = {
    "biosboot": "21686148-6449-6E6F-744E-656564454649",
    "prepboot": "9E1A2D38-C612-4316-AA26-8B49521E5A8B",
    "esp": "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
    "swap": "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F",
    "root": "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",  # root of x86-64
    "data": "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
}
MSDOS_TYPES = {"prepboot": "41", "esp": "ef", "swap": "82", "fat": "c", "root": "83", "data": "83"}

BIOSBOOT = Partition(mountpoint=None, fstype="biosboot", size=1)
ESP = Partition(mountpoint="/boot/efi", fstype="efi", size=32)
ESP_OPTIONS = "umask=0077,shortname=winnt"

# What a partition without a size gets beyond its content, and how much of it is kept free.
SPARE_SHARE, SPARE = 1.2, 64
SMALLEST_EFI = 4


def complete(disk: Disk, bootloader: Bootloader) -> Disk:
    """Return `disk` with what a boot loader needs: a GPT disk that names no place for one gets both.

    A biosboot partition of 1 MiB serves BIOS, an EFI system partition of 32 MiB at /boot/efi serves UEFI.
    A disk that has one of them stays as its author wanted it.
    """
    if disk.label != "gpt" or not has_loader(bootloader):
        return disk
    if any(one.fstype in ("biosboot", "efi") or _is_esp(one) for one in disk.partitions):
        return disk
    return replace(disk, partitions=(BIOSBOOT, ESP, *disk.partitions))


def has_loader(bootloader: Bootloader) -> bool:
    """Say whether a boot loader is wanted."""
    return not bootloader.disabled and bootloader.location != "none"


def check_plan(plan: ImagePlan) -> tuple[Problem, ...]:
    """Return everything that stands against writing the disk of `plan`, as `check` does.

    Where an include waits for %pre, the disk as a whole is not known yet: only what a line says counts.
    """
    problems = check(complete(plan.disk, plan.bootloader), plan.bootloader)
    return tuple(one for one in problems if one.where or not plan.unresolved_includes)


def check(disk: Disk, bootloader: Bootloader) -> tuple[Problem, ...]:
    """Return everything that stands against writing `disk`: call it with the plan, before any work."""
    problems = [problem for one in disk.partitions for problem in filesystems.check(one)]
    if bootloader.location == "partition" and not bootloader.disabled:
        problems.append(
            Problem(
                message="bootloader --location=partition: GRUB cannot be embedded in a file system",
                hint="use --location=mbr (with a biosboot partition on GPT) or --location=none",
            )
        )
    if disk.label not in ("gpt", "msdos"):
        problems.append(
            Problem(message=f"partition table {disk.label} is not supported", hint="use gpt or msdos")
        )
    if not any(one.mountpoint == "/" for one in disk.partitions):
        problems.append(Problem(message="no partition for /", hint="add: part / --fstype=ext4 --size=1024"))
    problems += _check_msdos(disk) if disk.label == "msdos" else []
    for one in disk.partitions:
        problems += _check_partition(one)
    if disk.size is not None:
        need = sum(_least(one) for one in disk.partitions) + _reserved(disk)
        if need > disk.size:
            problems.append(
                Problem(
                    message=f"the partitions need {need} MiB, the disk has {disk.size}: "
                    f"{need - disk.size} MiB too small",
                    hint="make the disk larger, or a partition smaller",
                )
            )
    return tuple(problems)


def _check_msdos(disk: Disk) -> list[Problem]:
    problems = [
        Problem(
            message="a biosboot partition needs a GPT",
            where=str(one.place) if one.place else None,
            hint="leave it away (GRUB lies in the gap before the first partition), or use --disklabel=gpt",
        )
        for one in disk.partitions
        if one.fstype == "biosboot"
    ]
    if len(disk.partitions) > 4:
        problems.append(
            Problem(
                message=f"an msdos table holds 4 partitions, not {len(disk.partitions)}",
                hint="use clearpart --disklabel=gpt",
            )
        )
    return problems


def _check_partition(one: Partition) -> list[Problem]:
    where = str(one.place) if one.place else f"part {one.mountpoint or one.fstype}"
    problems = []
    if one.max_size is not None and one.size > one.max_size:
        problems.append(
            Problem(
                message=f"--size={one.size} is above --maxsize={one.max_size}",
                where=where,
                hint="lower --size or raise --maxsize",
            )
        )
    if one.size <= 0 and one.mountpoint is None:
        problems.append(Problem(message=f"{one.fstype} needs a size", where=where, hint="add --size=MIB"))
    if _is_esp(one) and 0 < one.size < SMALLEST_EFI:
        problems.append(
            Problem(
                message=f"an EFI system partition of {one.size} MiB holds no boot loader",
                where=where,
                hint="use --size=32 or more",
            )
        )
    return problems


def capacity(disk: Disk) -> dict[str, Usage]:
    """Return for each mount point what its content may take: the bound of its folder while building.

    A partition without a size is bounded as if it had 16 GiB.
    """
    sizes = _resolve(disk, {one.mountpoint: 16 * 1024 for one in disk.partitions if one.mountpoint})
    found = {}
    for one, size in zip(disk.partitions, sizes, strict=True):
        writer = filesystems.writer_for(one.fstype)
        if one.mountpoint and writer:
            found[one.mountpoint] = writer.capacity(size * MIB, one.mkfsoptions)
    return found


def place(disk: Disk, *, seed: str, content: Mapping[str, Usage]) -> DiskLayout:
    """Return where everything lies.

    Args:
        disk: as `complete` made it and `check` found it good.
        seed: what the identifiers derive from.
        content: what each mount point holds; a mount point that is missing holds nothing (identifiers
            and, for partitions with a size, places are the same whatever the content).

    Raises:
        InputError: `check` has something to say.
        BuildError: content does not fit; it says by how much.
    """
    problems = check(disk, Bootloader(location="none"))
    if problems:
        raise InputError(problems=problems)
    needed = {
        mountpoint: int(usage.bytes / MIB * SPARE_SHARE) + SPARE for mountpoint, usage in content.items()
    }
    pairs = _in_order(disk.partitions, _resolve(disk, needed))
    identity = uuid.uuid5(uuid.NAMESPACE_URL, f"openstack-builder:{seed}")
    identifier = f"0x{identity.int & 0xFFFFFFFF:08x}" if disk.label == "msdos" else _derive(identity, "disk")
    placed: list[Placed] = []
    start = MIB
    for number, (partition, size) in enumerate(pairs, 1):
        one = _place_one(partition, number, start, size * MIB, disk.label, identity, identifier)
        _check_fit(one, partition, content.get(partition.mountpoint or "", Usage()))
        placed.append(one)
        start += one.size
    total = max((disk.size or 0) * MIB, start + (MIB if disk.label == "gpt" else 0))
    return DiskLayout(label=disk.label, identifier=identifier, size=total, partitions=tuple(placed))


def _in_order(partitions: Sequence[Partition], sizes: Sequence[int]) -> list[tuple[Partition, int]]:
    pairs = list(zip(partitions, sizes, strict=True))
    return [one for one in pairs if one[0].mountpoint != "/"] + [
        one for one in pairs if one[0].mountpoint == "/"
    ]


def _reserved(disk: Disk) -> int:
    """MiB that no partition gets: the first, and the last for the second header of a GPT."""
    return 2 if disk.label == "gpt" else 1


def _least(one: Partition) -> int:
    return max(one.size, 1)


def _resolve(disk: Disk, needed: Mapping[str, int]) -> list[int]:
    """Return the MiB of each partition: what it says, what its content needs, then its share of the rest.

    Growing partitions share by their sizes, as the installer does (blivet's partitioning.py), up to
    --maxsize.
    """
    sizes = [one.size or needed.get(one.mountpoint or "", SPARE) for one in disk.partitions]
    if disk.size is None:
        return sizes
    rest = disk.size - _reserved(disk) - sum(sizes)
    growing = [index for index, one in enumerate(disk.partitions) if one.grow]
    while rest > 0 and growing:
        weight = sum(sizes[index] for index in growing)
        shares = {index: rest * sizes[index] // weight for index in growing}
        shares[growing[-1]] += rest - sum(shares.values())
        full = []
        for index in growing:
            limit = disk.partitions[index].max_size
            if limit is not None and sizes[index] + shares[index] >= limit:
                full.append(index)
        if not full:
            for index in growing:
                sizes[index] += shares[index]
            break
        for index in full:
            limit = disk.partitions[index].max_size or sizes[index]
            rest -= limit - sizes[index]
            sizes[index] = limit
            growing.remove(index)
    return sizes


def _place_one(
    partition: Partition,
    number: int,
    start: int,
    size: int,
    table: str,
    identity: uuid.UUID,
    identifier: str,
) -> Placed:
    what = partition.mountpoint or f"{partition.fstype}{number}"
    fstype = "vfat" if partition.fstype == "efi" else partition.fstype
    role = _role(partition)
    fsuuid: str | None = _derive(identity, f"fs {what}")
    if fstype in filesystems.RAW:
        fsuuid = None
    elif fstype == "vfat":
        number32 = uuid.uuid5(identity, f"fs {what}").int & 0xFFFFFFFF
        fsuuid = f"{number32 >> 16:04X}-{number32 & 0xFFFF:04X}"
    if table == "gpt":
        kind, partuuid = GPT_TYPES[role], _derive(identity, f"partition {what}")
    else:
        kind = MSDOS_TYPES["fat" if fstype == "vfat" and role == "data" else role]
        partuuid = f"{identifier[2:]}-{number:02d}"
    options = partition.fsoptions
    if role == "esp" and not options:
        options = ESP_OPTIONS
    return Placed(
        number=number,
        mountpoint=partition.mountpoint,
        fstype=fstype,
        start=start,
        size=size,
        type=kind,
        name=re.sub(r"[^A-Za-z0-9/._-]", "_", partition.mountpoint or partition.fstype)[:36],
        partuuid=partuuid,
        uuid=fsuuid,
        hash_seed=_derive(identity, f"hash {what}") if fstype.startswith("ext") else None,
        label=partition.label,
        fsoptions=options,
        mkfsoptions=partition.mkfsoptions,
    )


def _is_esp(partition: Partition) -> bool:
    return partition.fstype == "efi" or (
        partition.fstype == "vfat" and partition.mountpoint in ("/boot/efi", "/efi")
    )


def _role(partition: Partition) -> str:
    if _is_esp(partition):
        return "esp"
    if partition.fstype in ("biosboot", "prepboot", "swap"):
        return partition.fstype
    return "root" if partition.mountpoint == "/" else "data"


def _derive(identity: uuid.UUID, what: str) -> str:
    return str(uuid.uuid5(identity, what))


def _check_fit(placed: Placed, partition: Partition, usage: Usage) -> None:
    writer = filesystems.writer_for(placed.fstype)
    if writer is None or not placed.mountpoint:
        return
    room = writer.capacity(placed.size, placed.mkfsoptions)
    hint = f"raise --size={partition.size}" + (f" ({partition.place})" if partition.place else "")
    if usage.bytes > room.bytes:
        short = -(-(usage.bytes - room.bytes) // MIB)
        raise BuildError(
            f"{placed.mountpoint} is {short} MiB too small: {-(-usage.bytes // MIB)} MiB of content, "
            f"{room.bytes // MIB} MiB of room in {placed.size // MIB} MiB of {placed.fstype}",
            hint=hint,
        )
    if usage.inodes > room.inodes:
        raise BuildError(
            f"{placed.mountpoint} lacks {usage.inodes - room.inodes} inodes: {usage.inodes} files and "
            f"folders, {room.inodes} inodes in {placed.size // MIB} MiB of {placed.fstype}",
            hint=f'{hint}, or use --mkfsoptions="-N {-(-usage.inodes // 1024) * 1024 + 4096}"',
        )


def sfdisk_script(layout: DiskLayout) -> str:
    """Return the partition table as sfdisk(8) reads it."""
    label = "dos" if layout.label == "msdos" else layout.label
    lines = [f"label: {label}", f"label-id: {layout.identifier}", "unit: sectors", ""]
    for one in layout.partitions:
        words = [f"start={one.start // SECTOR}", f"size={one.size // SECTOR}", f"type={one.type}"]
        if layout.label == "gpt":
            words += [f"uuid={one.partuuid}", f'name="{one.name}"']
        elif one == layout.boot:
            words.append("bootable")
        lines.append(", ".join(words))
    return "\n".join(lines) + "\n"


def fstab(layout: DiskLayout) -> str:
    """Return the image's /etc/fstab (fstab(5)): by UUID, / first, checked in that order."""
    lines = ["# Made with the image. The fields: device, mount point, type, options, dump, pass."]
    for one in layout.filesystems:
        options = one.fsoptions or "defaults"
        check_pass = "1" if one.mountpoint == "/" else "2"
        if one.fstype in ("xfs", "btrfs"):
            check_pass = "0"
        mountpoint = re.sub(r"[ \t\\]", lambda found: f"\\{ord(found[0]):03o}", one.mountpoint or "")
        lines.append(f"UUID={one.uuid} {mountpoint} {one.fstype} {options} 0 {check_pass}")
    lines += [
        f"UUID={one.uuid} none swap {one.fsoptions or 'defaults'} 0 0"
        for one in layout.partitions
        if one.fstype == "swap"
    ]
    return "\n".join(lines) + "\n"


def write_table(path: Path, layout: DiskLayout, *, runner: Runner) -> None:
    """Make the disk file, sparse and empty, with its partition table.

    Raises:
        BuildError: the file cannot be made, or sfdisk failed.
    """
    try:
        with path.open("wb") as file:
            file.truncate(layout.size)
    except OSError as error:
        raise explain(error, path) from error
    argv = ["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", "--wipe=never", str(path)]
    runner.run(argv, input=sfdisk_script(layout))
