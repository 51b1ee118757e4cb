# SPDX-License-Identifier: MIT
"""The disk of a plan in the words of diskimage-builder's block devices (block-device-default.yaml).

Source: diskimage-builder's user_guide/building_an_image, "Disk Image Layout".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from builder.errors import InputError, Problem
from builder.kickstart.disk.filesystems import KINDS
from builder.kickstart.plan import ImagePlan, LogicalVolume, Partition, Volume

# Types of partitions as sgdisk writes them, and as a msdos table has them.
_GPT = {"efi": "EF00", "biosboot": "EF02", "prepboot": "4100", "swap": "8200", "lvm": "8E00"}
_MSDOS = {"efi": "0xEF", "prepboot": "0x41", "swap": "0x82", "lvm": "0x8E"}
_MADE = tuple(name for name, kind in KINDS.items() if kind.by_dib)
_NOT_MADE = ("biosboot", "prepboot", "lvm")


def check_disk(plan: ImagePlan) -> Iterator[Problem]:
    """Yield what diskimage-builder cannot make."""
    for folder in plan.disk.in_memory:
        yield Problem(
            where=str(folder.place) if folder.place else None,
            message=f"part {folder.mountpoint} --fstype=tmpfs: diskimage-builder has no such line of fstab",
            hint="write the line in a %post, or build with openstack-builder image",
        )
    for volume in plan.disk.volumes:
        where = str(volume.place) if volume.place else None
        if volume.fstype not in (*_MADE, *_NOT_MADE):
            yield Problem(
                where=where,
                message=f"{volume.mountpoint or volume.fstype}: diskimage-builder makes no {volume.fstype}",
                hint="choose ext4 or xfs, or build with openstack-builder image",
            )
        if isinstance(volume, Partition) and volume.onpart is not None:
            yield Problem(
                where=where,
                message=f"--onpart={volume.onpart}: elements have no %pre that makes partitions",
                hint="give --size in place of --onpart",
            )


def check_readable(plan: ImagePlan) -> None:
    """Refuse what cannot be read back from a finished disk for the manifest.

    Raises:
        InputError: with a hint.
    """
    if plan.disk.groups:
        raise InputError(
            f"{plan.name}: volume groups are not read back from a disk of diskimage-builder",
            hint="plan partitions, or build with --engine direct",
        )


def describe_disk(plan: ImagePlan) -> list[dict[str, Any]]:
    """Return the block device's configuration: loop device, partitions, volume groups, file systems."""
    last = len(plan.disk.partitions) - 1
    device: dict[str, Any] = {"name": "image0"}
    if plan.disk.size is not None:
        device["size"] = f"{plan.disk.size}MiB"
    types = _GPT if plan.disk.label == "gpt" else _MSDOS
    partitions = [
        _partition(partition, number, types, is_last=number == last)
        for number, partition in enumerate(plan.disk.partitions)
    ]
    described: list[dict[str, Any]] = [
        {"local_loop": device},
        {
            "partitioning": {
                "base": "image0",
                "label": "gpt" if plan.disk.label == "gpt" else "mbr",
                "partitions": partitions,
            }
        },
    ]
    described += [entry for group in plan.disk.groups for entry in _group(group, plan)]
    return described


def _partition(partition: Partition, number: int, types: dict[str, str], *, is_last: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": _name(partition, number)}
    linux = "8300" if types is _GPT else "0x83"
    entry["type"] = types.get(partition.fstype, linux)
    entry["size"] = "100%" if is_last else f"{partition.size}MiB"
    if types is _MSDOS:
        entry["flags"] = ["boot", "primary"] if partition.mountpoint in ("/", "/boot") else ["primary"]
    if partition.fstype in _MADE:
        entry["mkfs"] = _file_system(partition)
    return entry


def _name(partition: Partition, number: int) -> str:
    """Return what other entries call it; diskimage-builder's boot loader looks for `root` and `boot`."""
    known = {"biosboot": "BSP", "efi": "ESP"}.get(partition.fstype)
    by_mount = {"/": "root", "/boot": "boot"}.get(partition.mountpoint or "")
    return known or by_mount or partition.name or f"part{number + 1}"


def _file_system(volume: Volume) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "vfat" if volume.fstype == "efi" else volume.fstype}
    if volume.label:
        made["label"] = volume.label
    if volume.mkfsoptions:
        made["opts"] = volume.mkfsoptions
    if volume.mountpoint:
        check = {"/": 1}.get(volume.mountpoint, 2)
        made["mount"] = {
            "mount_point": volume.mountpoint,
            "fstab": {"options": volume.fsoptions or "defaults", "fsck-passno": check},
        }
    return made


def _group(group: Any, plan: ImagePlan) -> Iterator[dict[str, Any]]:
    names = {
        partition.name: _name(partition, number) for number, partition in enumerate(plan.disk.partitions)
    }
    bases = [names[member] for member in group.members]
    yield {
        "lvm": {
            "name": f"lvm_{group.name}",
            "base": bases,
            "pvs": [{"name": f"pv_{base}", "base": base} for base in bases],
            "vgs": [{"name": group.name, "base": [f"pv_{base}" for base in bases]}],
            "lvs": [_logical(volume, group.name) for volume in group.volumes],
        }
    }
    for volume in group.volumes:
        made = _file_system(volume)
        mount = made.pop("mount", None)
        entry: dict[str, Any] = {"name": f"fs_{volume.name}", "base": volume.name, **made}
        if mount is not None:
            entry["mount"] = mount
        yield {"mkfs": entry}


def _logical(volume: LogicalVolume, group: str) -> dict[str, Any]:
    return {"name": volume.name, "base": group, "size": f"{volume.size}MiB"}
