# SPDX-License-Identifier: MIT
"""What diskimage-builder has made, read back for the manifest: from its tree, and from the disk."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from builder import json_text
from builder.dib.export import ExportedFile
from builder.errors import BuildError
from builder.image.build import Facts
from builder.image.disk.bootloader import BootableBy
from builder.image.disk.placement import SECTOR, DiskLayout, PlacedPartition
from builder.image.manifest import read_os_release
from builder.image.packages import rpmdb
from builder.image.tree.files import open_tree
from builder.kickstart.plan import ImagePlan, Partition
from builder.runner import Runner
from builder.targets import Target

ELEMENT = "openstack-builder-facts"
FOLDER = "OPENSTACK_BUILDER_FACTS"


def element(target: Target) -> ExportedFile:
    """Return the script of an element that keeps what the manifest says of the tree."""
    text = f"""\
#!/bin/bash
set -euo pipefail
facts=${{{FOLDER}:?}}
mkdir -p "$facts/etc" "$facts/usr/lib"
rpm --root "$TARGET_ROOT" --define "_dbpath {target.rpm.dbpath}" -qa \\
    --qf {shlex.quote(rpmdb.FORM)} >"$facts/packages"
cp "$TARGET_ROOT/usr/lib/os-release" "$facts/usr/lib/"
cp "$TARGET_ROOT"/boot/grub2/grub.cfg "$facts/"
"""
    return ExportedFile(path=f"elements/{ELEMENT}/cleanup.d/99-{ELEMENT}", text=text, executable=True)


def read_facts(plan: ImagePlan, folder: Path, disk: Path, runner: Runner) -> Facts:
    """Return the facts of a build: `folder` is what the element kept, `disk` the raw disk."""
    packages = tuple(rpmdb.parse((folder / "packages").read_text(), {}))
    arguments = re.search(r"(?m)^\s*linux(?:efi|16)?\s+\S+\s+(.*)$", (folder / "grub.cfg").read_text())
    return Facts(
        packages=packages,
        installed_size=sum(package.size for package in packages),
        os=read_os_release(open_tree(folder)),
        layout=read_layout(plan, disk, runner),
        firmware=BootableBy(bios="bios" in plan.firmware, uefi="uefi" in plan.firmware),
        kernel_arguments=tuple(arguments[1].split()) if arguments else (),
    )


def read_layout(plan: ImagePlan, disk: Path, runner: Runner) -> DiskLayout:
    """Return the partitions of a raw disk, with the mount points of the plan."""
    table = json_text.parse(runner.run(["sfdisk", "--json", disk]).stdout)["partitiontable"]
    rows = sorted(table["partitions"], key=lambda row: int(row["start"]))
    if len(rows) != len(plan.disk.partitions):
        raise BuildError(f"diskimage-builder made {len(rows)} partitions of {len(plan.disk.partitions)}")
    partitions = [
        _partition(planned, number, row, table, disk, runner)
        for number, (planned, row) in enumerate(zip(plan.disk.partitions, rows, strict=True), 1)
    ]
    return DiskLayout(
        label={"dos": "msdos"}.get(table["label"], table["label"]),
        identifier=table["id"],
        size=disk.stat().st_size,
        partitions=tuple(partitions),
    )


def _partition(
    planned: Partition, number: int, row: dict[str, str], table: dict[str, str], disk: Path, runner: Runner
) -> PlacedPartition:
    start, size = int(row["start"]) * SECTOR, int(row["size"]) * SECTOR
    probe = ["blkid", "--probe", "--offset", str(start), "--size", str(size), "--output", "export"]
    said = dict(
        line.partition("=")[::2]
        for line in runner.run([*probe, disk], ok=(0, 2)).stdout.splitlines()
        if "=" in line
    )
    fstype = {"efi": "vfat"}.get(planned.fstype, planned.fstype)
    return PlacedPartition(
        number=number,
        mountpoint=planned.mountpoint,
        fstype=fstype,
        start=start,
        size=size,
        uuid=said.get("UUID"),
        label=said.get("LABEL"),
        fsoptions=planned.fsoptions,
        type=row["type"],
        name=row.get("name", ""),
        partuuid=(row.get("uuid") or f"{table['id'].removeprefix('0x')}-{number:02x}").lower(),
    )
