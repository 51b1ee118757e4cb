# SPDX-License-Identifier: MIT
"""Programs that replace some of the image's while scripts run, and what they answer from.

Scripts of kickstarts ask for the disk and the menu as if both were there already. The disk is planned, and
written when the image is: so blkid, findmnt, grub2-probe and others answer from the plan; grub2-mkconfig
and grubby remember what they are asked for; others say that it is not now, and end well.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from builder.image.disk.placement import DiskLayout
from builder.kickstart.plan import MemoryFolder

SOURCE = Path(__file__).parent

# What authors of kickstarts call in %post, and the build does itself or no build has.
NOT_NOW = {
    **dict.fromkeys(
        ("grub-install", "grub2-install", "extlinux"), "the boot loader is installed when the disk is written"
    ),
    **dict.fromkeys(("fixfiles", "restorecon"), "files are labelled when the disk is written"),
    "fstrim": "free space is never stored",
    **dict.fromkeys(("chvt", "deallocvt", "plymouth", "setterm"), "a build has no screen"),
    **dict.fromkeys(("udevadm", "udevsettle"), "a build has no devices of its own"),
    "efibootmgr": "the boot order of a guest belongs to the cloud",
    "dmesg": "the kernel of the build is not the guest's",
}
# What only writes, to nobody: without a word of its own.
QUIET = {"logger": 'case $1 in -*) ;; *) echo "$*" >&2 ;; esac'}
# Programs that need not know the planned disk, and are there before it is known. Read here: not every inside
# sees this folder.
PLAIN = {"openvt": (SOURCE / "openvt.sh").read_text()}

# Programs that answer from the plan: file here -> names.
ANSWERING = {
    "blkid.sh": ("blkid",),
    "findmnt.sh": ("findmnt",),
    "grub-probe.sh": ("grub2-probe", "grub-probe"),
    "lsblk.sh": ("lsblk",),
    "mountpoint.sh": ("mountpoint",),
    "partitioner.sh": (
        *("parted", "sfdisk", "sgdisk", "gdisk", "fdisk", "partprobe", "partx", "kpartx", "wipefs"),
        "blockdev",
    ),
    "record.sh": ("grub2-mkconfig", "grub-mkconfig", "grubby"),
}
# Those that scripts call by their whole path as well.
BY_PATH = ("grub2-mkconfig", "grub2-probe", "grub2-install", "grubby")


def write_quiet(folder: Path) -> None:
    """Write the programs that do nothing into `folder`."""
    folder.mkdir(exist_ok=True)
    for name, why in NOT_NOW.items():
        _write(folder / name, f"#!/bin/sh\necho {shlex.quote(f'{name}: not now: {why}')} >&2\nexit 0\n")
    for name, body in QUIET.items():
        _write(folder / name, f"#!/bin/sh\n{body}\nexit 0\n")
    for name, text in PLAIN.items():
        _write(folder / name, text)


def write_answering(
    folder: Path,
    layout: DiskLayout,
    *,
    disk: str,
    in_memory: Sequence[MemoryFolder] = (),
    kernel: str | None = None,
    machine: str = "",
) -> None:
    """Add the programs that know the planned disk, which they call `disk` (`vda`).

    `in_memory` is mounted in the guest as well. `kernel` is the release that the guest will boot, on a
    `machine` (x86_64); None: it has none of its own.
    """
    shutil.copyfile(SOURCE / "answers.sh", folder / ".answers")
    (folder / ".disk").write_text(f"disk|{disk}|{layout.label}|{layout.size}\n")
    (folder / ".devices").write_text("".join(_devices(layout, disk)))
    tmpfs = (_row(one.mountpoint, "tmpfs", "tmpfs", one.options, "") for one in in_memory)
    (folder / ".mounts").write_text("".join((*_mounts(layout, disk), *tmpfs)))
    if kernel is not None:
        (folder / ".kernel").write_text(f"{kernel}|{machine}\n")
        _write(folder / "uname", (SOURCE / "uname.sh").read_text())
    for file, names in ANSWERING.items():
        for name in names:
            _write(folder / name, (SOURCE / file).read_text())


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _devices(layout: DiskLayout, disk: str) -> Iterator[str]:
    """Yield the lines of the table of devices: the disk, its partitions, its logical volumes."""
    yield _row(f"/dev/{disk}", "", "", "", "", "", 0, layout.size, "")
    for one in layout.partitions:
        fstype = {"lvm": "LVM2_member", "biosboot": "", "prepboot": ""}.get(one.fstype, one.fstype)
        yield _row(
            partition_name(disk, one.number), one.number, fstype, one.uuid, one.label, one.partuuid,
            one.start // 512, one.size, disk,
        )  # fmt: skip
    for group, volume in layout.logical():
        name = volume_name(group.name, volume.name)
        yield _row(name, "", volume.fstype, volume.uuid, volume.label, "", 0, volume.size, f"lvm:{disk}")


def _mounts(layout: DiskLayout, disk: str) -> Iterator[str]:
    """Yield the lines of the table of mounts."""
    devices = {id(one): partition_name(disk, one.number) for one in layout.partitions}
    devices |= {id(volume): volume_name(group.name, volume.name) for group, volume in layout.logical()}
    for mount in layout.mounts:
        options = mount.options or "rw"
        yield _row(mount.mountpoint, devices[id(mount.placed)], mount.placed.fstype, options, mount.top)


def _row(*fields: object) -> str:
    return "|".join("" if field is None else str(field) for field in fields) + "\n"


def partition_name(disk: str, number: int) -> str:
    """Return the device of a partition: /dev/vda1, /dev/nvme0n1p1."""
    return f"/dev/{disk}{'p' if disk[-1].isdigit() else ''}{number}"


def volume_name(group: str, volume: str) -> str:
    """Return the device of a logical volume; dashes in names are doubled (lvm(8))."""
    return f"/dev/mapper/{re.sub('-', '--', group)}-{re.sub('-', '--', volume)}"
