# SPDX-License-Identifier: MIT
"""`btrfs` lines: volumes on `part btrfs.NAME` partitions, and their subvolumes."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from builder.kickstart.disk import filesystems
from builder.kickstart.disk.lines import is_mount_point, mount_point
from builder.kickstart.parsed import Kickstart, ParsedCommand
from builder.kickstart.plan import Partition, Subvolume

_PATH = re.compile(r"(?!\.{1,2}(/|$))[^/\s\\,]+(/(?!\.{1,2}(/|$))[^/\s\\,]+)*")


def plan_volumes(ks: Kickstart, parts: Sequence[Partition]) -> list[Partition]:
    """Return `parts`, btrfs lines' with mount points, labels and subvolumes. Mistakes are noted."""
    volumes = {part.name: part for part in parts if part.fstype == "btrfs" and part.name}
    named: set[str] = set()
    lines = ks.all("btrfs")
    for line in lines:
        if not line.get("subvol", False):
            _take_volume(ks, line, volumes, named)
    for line in lines:
        if line.get("subvol", False):
            _take_subvolume(ks, line, volumes)
    for name, part in volumes.items():
        if name not in named and not ks.failed & {"btrfs"}:
            ks.findings.error(part.place, f"part {name}: no btrfs line uses it", f"add btrfs none {name}")
    return [volumes.get(part.name or "", part) for part in parts]


def _take_volume(ks: Kickstart, line: ParsedCommand, volumes: dict[str, Partition], named: set[str]) -> None:
    members = [str(member) for member in line.get("devices", ())]
    mountpoint = mount_point(line)
    if len(members) != 1:
        hint = "name one partition: btrfs none --label=NAME btrfs.01"
        ks.findings.error(line.place, f"btrfs {mountpoint}: a volume of {len(members)} partitions", hint)
        named.update(members)
        return
    for option, attribute in (("--data", "dataLevel"), ("--metadata", "metaDataLevel")):
        level = str(line.get(attribute, "") or "single")
        if level not in ("single", "dup") or (level, option) == ("dup", "--data"):
            ks.findings.error(
                line.place, f"btrfs {option}={level}: an image has one disk", f"write {option}=single"
            )
    name = members[0]
    part = volumes.get(name)
    if part is None:
        if not ks.failed & {"part", "partition"}:
            ks.findings.error(line.place, f"btrfs {mountpoint}: no part line makes {name}", "add one")
        return
    if name in named:
        ks.findings.error(line.place, f"btrfs {mountpoint}: {name} is in another volume")
    named.add(name)
    options = str(line.get("mkfsopts", "")) or part.mkfsoptions or ""
    if level := str(line.get("metaDataLevel", "") or ""):
        options = f"{options} -m {level}".strip()
    part = dataclasses.replace(
        part,
        mountpoint=_mountpoint(ks, line),
        label=str(line.get("label", "")) or part.label,
        mkfsoptions=options or None,
    )
    filesystems.check(ks.findings, part, "btrfs")
    volumes[name] = part


def _take_subvolume(ks: Kickstart, line: ParsedCommand, volumes: dict[str, Partition]) -> None:
    path = str(line.get("name", "")).strip("/")
    parent = str(line.get("parent", "")) or next((str(one) for one in line.get("devices", ())), "")
    if not _PATH.fullmatch(path):
        ks.findings.error(line.place, f'btrfs --subvol --name="{path}": not a name', "write --name=root")
        return
    label = parent.removeprefix("LABEL=")
    name = next(
        (name for name, part in volumes.items() if parent == name or (label and label == part.label)), None
    )
    if name is None:
        if not ks.failed & {"btrfs", "part", "partition"}:
            ks.findings.error(
                line.place,
                f"btrfs --subvol --name={path}: no volume {parent} is defined",
                f"add, before it: btrfs none --label={label or 'NAME'} btrfs.01",
            )
        return
    part = volumes[name]
    if any(path == other.path for other in part.subvolumes):
        ks.findings.error(line.place, f"btrfs --subvol --name={path}: a second one of that name")
    above = path.rpartition("/")[0]
    if above and all(above != other.path for other in part.subvolumes):
        ks.findings.error(
            line.place,
            f"btrfs --subvol --name={path}: no line before it makes {above}",
            f"add one with --name={above}",
        )
    one = Subvolume(path=path, mountpoint=_mountpoint(ks, line), fsoptions=part.fsoptions, place=line.place)
    volumes[name] = dataclasses.replace(part, subvolumes=(*part.subvolumes, one))


def _mountpoint(ks: Kickstart, line: ParsedCommand) -> str | None:
    mountpoint = mount_point(line)
    if mountpoint in ("none", ""):
        return None
    return mountpoint if is_mount_point(ks, line, mountpoint, "write a path, or none") else None
