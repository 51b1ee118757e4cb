# SPDX-License-Identifier: MIT
"""The partition table, by sfdisk(8), and /etc/fstab."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from builder.files import explain
from builder.image.disk.placement import SECTOR, DiskLayout
from builder.kickstart.disk.filesystems import KINDS
from builder.kickstart.plan import MemoryFolder
from builder.runner import ORDINARY, Child, Runner


def sfdisk_script(layout: DiskLayout) -> str:
    """Return the partition table as sfdisk(8) reads it."""
    label = "dos" if layout.label == "msdos" else layout.label
    lines = [f"label: {label}", f"label-id: {layout.identifier}", "unit: sectors"]
    if layout.label == "gpt":
        # A partition that %pre has made may end nearer to the end of the disk than sfdisk allows by itself.
        lines.append(f"last-lba: {layout.size // SECTOR - 34}")
    lines.append("")
    for one in layout.partitions:
        words = [f"start={one.start // SECTOR}", f"size={one.size // SECTOR}", f"type={one.type}"]
        if layout.label == "gpt":
            words += [f"uuid={one.partuuid}", f'name="{one.name}"']
        elif one == layout.boot.placed:
            words.append("bootable")
        # sfdisk takes the number from the end of the device's name.
        lines.append(f"disk{one.number} : {', '.join(words)}")
    return "\n".join(lines) + "\n"


def fstab(layout: DiskLayout, in_memory: Sequence[MemoryFolder] = ()) -> str:
    """Return the image's /etc/fstab (fstab(5)): by UUID, / first, checked in that order."""
    lines = ["# Made with the image. The fields: device, mount point, type, options, dump, pass."]
    for mount in layout.mounts:
        placed = mount.placed
        check_pass = "1" if mount.mountpoint == "/" else "2"
        if not KINDS[placed.fstype].is_checked:
            check_pass = "0"
        mountpoint = _escaped(mount.mountpoint)
        options = mount.options or "defaults"
        lines.append(f"UUID={placed.uuid} {mountpoint} {placed.fstype} {options} 0 {check_pass}")
    lines += [
        f"UUID={one.uuid} none swap {one.fsoptions or 'defaults'} 0 0"
        for one in layout.volumes
        if one.fstype == "swap"
    ]
    lines += [f"tmpfs {_escaped(one.mountpoint)} tmpfs {one.options} 0 0" for one in in_memory]
    return "\n".join(lines) + "\n"


def _escaped(mountpoint: str) -> str:
    return re.sub(r"[ \t\\]", lambda found: f"\\{ord(found[0]):03o}", mountpoint)


def make_file(path: Path, layout: DiskLayout) -> None:
    """Make the disk file, sparse and empty.

    Raises:
        BuildError: it cannot be made.
    """
    try:
        with path.open("wb") as file:
            file.truncate(layout.size)
    except OSError as error:
        raise explain(error, path) from error


def write_table(path: Path, layout: DiskLayout, *, runner: Runner, child: Child = ORDINARY) -> None:
    """Write the partition table into the disk file.

    Args:
        child: how sfdisk is started.

    Raises:
        CommandFailed: sfdisk failed.
    """
    argv = ["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", "--wipe=never", str(path)]
    runner.run(argv, input=sfdisk_script(layout), child=child)
