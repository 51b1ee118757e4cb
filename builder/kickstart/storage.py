# SPDX-License-Identifier: MIT
"""The disk: part, reqpart, autopart and clearpart lines become partitions.

Sizes are MiB. `builder.kickstart.layout` orders and sizes what is found here.
"""

from __future__ import annotations

import re

from pykickstart.constants import AUTOPART_TYPE_PLAIN

from builder.kickstart.layout import BIOSBOOT_SIZE, BOOT_SIZE, ESP_SIZE, check, lay_out, order
from builder.kickstart.plan import Bootloader, Disk, Partition, Place
from builder.kickstart.read import Kickstart
from builder.kickstart.syntax import Command

# Disk where only --grow says how large / is and no --size does: 5 GiB, as osbuild's generic-openstack.
DEFAULT_DISK = 5120
SMALLEST_ROOT = 1024

# Anaconda's swap for 2 GiB of memory, a small flavour: the guest's own is not known here.
RECOMMENDED_SWAP = 2048

# What the direct engine can write where the kickstart leaves the choice to us.
WRITABLE = frozenset({"ext2", "ext3", "ext4", "efi", "vfat", "swap", "biosboot", "prepboot"})

FILE_SYSTEMS = ("ext2", "ext3", "ext4", "xfs", "btrfs", "vfat", "efi", "swap", "biosboot", "prepboot")
_RAW = frozenset({"swap", "biosboot", "prepboot"})

# Longest labels, in bytes: mke2fs(8), mkfs.xfs(8), mkfs.btrfs(8), mkfs.vfat(8), mkswap(8).
_LABELS = {"ext2": 16, "ext3": 16, "ext4": 16, "xfs": 12, "btrfs": 255, "vfat": 11, "efi": 11, "swap": 15}

_LAYOUT_COMMANDS = frozenset(
    ["part", "partition", "autopart", "logvol", "volgroup", "btrfs", "raid", "mount", "stratisfs"]
)

_UNBUILT = re.compile(r"(pv|raid|btrfs)\.\S*")


def plan_disk(ks: Kickstart, *, default: str, bootloader: Bootloader, disk_size: int | None) -> Disk:
    """Return the disk with every partition's final size.

    Args:
        default: the file system of the release where a line names none.
        disk_size: size of the disk; None: as large as the partitions ask for.
    """
    ks.all("zerombr")  # honoured by making a new disk
    errors = len(ks.findings.errors)
    label = _plan_label(ks)
    parts = _plan_parts(ks, default)
    wanted_size = disk_size
    if (autopart := ks.last("autopart")) is not None:
        parts = _plan_autopart(ks, autopart, default, disk_size or DEFAULT_DISK)
        wanted_size = disk_size or DEFAULT_DISK
    if (required := ks.last("reqpart")) is not None:
        boot = bool(required.get("addBoot", False))
        have = {part.mountpoint or part.fstype for part in parts}
        add = _required(required.place, default, boot=boot)
        parts = [part for part in add if (part.mountpoint or part.fstype) not in have] + parts
    if ks.unresolved and not any(part.mountpoint == "/" for part in parts):
        return Disk(label=label or "gpt", partitions=tuple(order(parts)), size=wanted_size)
    root = next((part for part in parts if part.mountpoint == "/"), None)
    if wanted_size is None and root is not None and root.grow and root.size < SMALLEST_ROOT:
        wanted_size = max(DEFAULT_DISK, sum(part.size for part in parts) + 2 * SMALLEST_ROOT)
        ks.findings.note(root.place, f"part / grows from {root.size} MiB: the disk has {wanted_size} MiB")
    firmware_parts = {part.fstype for part in parts} & {"biosboot", "efi"}
    chosen = label or ("gpt" if firmware_parts else "msdos")
    told = not ks.complete or bool(ks.failed & _LAYOUT_COMMANDS) or len(ks.findings.errors) > errors
    check(ks, parts, chosen, bootloader, told=told)
    return lay_out(ks, order(parts), chosen, wanted_size)


def _plan_label(ks: Kickstart) -> str | None:
    line = ks.last("clearpart")
    label = str(line.get("disklabel", "")) if line is not None else ""
    if line is not None and label not in ("", "gpt", "msdos"):
        ks.findings.error(line.place, f"clearpart --disklabel={label}: is not handled", "write gpt or msdos")
        return None
    return label or None


def _plan_parts(ks: Kickstart, default: str) -> list[Partition]:
    """Return the partitions of part lines; of two for one mount point the last."""
    found: dict[str, Partition] = {}
    disks: dict[str, Place] = {}
    for line in ks.all("part", "partition"):
        if disk := str(line.get("disk", "")):
            disks.setdefault(disk.removeprefix("/dev/"), line.place)
        part = _plan_part(ks, line, default)
        if part is None:
            continue
        key = part.mountpoint or (part.fstype if part.fstype in ("biosboot", "prepboot") else f"{line.place}")
        if (earlier := found.pop(key, None)) is not None:
            where = f"{earlier.place.file}:{earlier.place.line}" if earlier.place else "an earlier line"
            ks.findings.warn(line.place, f"{line.name} {key}: a second one; this line wins over {where}")
        found[key] = part
    if len(disks) > 1:
        names = ", ".join(disks)
        ks.findings.error(
            list(disks.values())[1], f"part --ondisk: an image has one disk, not {names}", "name one disk"
        )
    return list(found.values())


def _plan_part(ks: Kickstart, line: Command, default: str) -> Partition | None:
    mountpoint = str(line.get("mountpoint", ""))
    fstype = str(line.get("fstype", ""))
    if _UNBUILT.fullmatch(mountpoint):
        ks.findings.error(
            line.place,
            f"part {mountpoint}: LVM, RAID and btrfs volumes are not built",
            "use part lines with mount points",
        )
        return None
    if mountpoint in _RAW:
        fstype = mountpoint
    if mountpoint == "/boot/efi" and fstype in ("", "vfat", "efi"):
        fstype = "efi"
    if not fstype:
        fstype = _default_file_system(ks, line, default)
    if fstype not in FILE_SYSTEMS:
        near = f"one of {', '.join(FILE_SYSTEMS)}"
        ks.findings.error(line.place, f"part --fstype={fstype}: is not handled", near)
        return None
    if fstype == "efi" and mountpoint != "/boot/efi":
        ks.findings.error(
            line.place, f"part {mountpoint} --fstype=efi: belongs on /boot/efi", "or write vfat"
        )
        return None
    if fstype not in _RAW and not re.fullmatch(r"/[^\s\\]*", mountpoint):
        ks.findings.error(line.place, f'part: "{mountpoint}" is not a mount point', "write an absolute path")
        return None
    size, grow = _plan_size(ks, line, fstype)
    if size is None:
        return None
    maximum = int(line.get("maxSizeMB", 0)) or None
    if maximum is not None and maximum < size:
        ks.findings.error(line.place, f"part --maxsize={maximum}: is less than --size={size}", "raise it")
    label, options = str(line.get("label", "")), str(line.get("fsopts", ""))
    if len(label.encode()) > _LABELS.get(fstype, 0) or re.search(r"[^\x21-\x7e]|[\"'\\]", label):
        limit = _LABELS.get(fstype, 0)
        ks.findings.error(
            line.place,
            f'part --label="{label}": not a label of {fstype}',
            f"plain text of at most {limit} bytes",
        )
    if re.search(r"\s", options):
        ks.findings.error(
            line.place, f'part --fsoptions="{options}": a blank would end the field in fstab', "write commas"
        )
    return Partition(
        mountpoint=None if fstype in _RAW else mountpoint,
        fstype=fstype,
        size=size,
        grow=grow,
        max_size=maximum,
        label=label or None,
        fsoptions=options or None,
        mkfsoptions=str(line.get("mkfsopts", "")) or None,
        place=line.place,
    )


def _plan_size(ks: Kickstart, line: Command, fstype: str) -> tuple[int | None, bool]:
    """Return the size and whether it grows; None for the size when the line says none."""
    grow = bool(line.get("grow", False))
    size = line.get("size")
    if line.get("recommended", False) and fstype == "swap":
        ks.findings.note(line.place, f"part swap --recommended: {RECOMMENDED_SWAP} MiB, for 2 GiB of memory")
        return RECOMMENDED_SWAP, False
    if fstype == "biosboot":
        return int(size or BIOSBOOT_SIZE), False
    if size is None and grow:
        return 1, True
    if size is None or int(size) <= 0:
        ks.findings.error(line.place, "part: has no size", "add --size=MIB")
        return None, grow
    return int(size), grow


def _default_file_system(ks: Kickstart, line: Command, default: str) -> str:
    if default in WRITABLE:
        return default
    ks.findings.warn(
        line.place,
        f"{line.name}: ext4 is taken; {default}, the default of the release, is not written",
        "add --fstype=ext4 to say so",
    )
    return "ext4"


def _required(place: Place, default: str, *, boot: bool) -> list[Partition]:
    """Return what firmware needs on x86_64, for BIOS and for UEFI, and /boot."""
    parts = [
        Partition(mountpoint=None, fstype="biosboot", size=BIOSBOOT_SIZE, place=place),
        Partition(mountpoint="/boot/efi", fstype="efi", size=ESP_SIZE, place=place),
    ]
    if boot:
        fstype = default if default in WRITABLE else "ext4"
        parts.append(Partition(mountpoint="/boot", fstype=fstype, size=BOOT_SIZE, place=place))
    return parts


def _plan_autopart(ks: Kickstart, line: Command, default: str, disk_size: int) -> list[Partition]:
    """Return the partitions of autopart --type=plain: firmware's, /boot, swap, and / with the rest."""
    if "--nolvm" not in line.options and "--type" not in line.options:
        ks.findings.error(
            line.place, "autopart: its default, LVM or btrfs, is not built", "write autopart --type=plain"
        )
        return []
    if "--type" in line.options and line.get("type") != AUTOPART_TYPE_PLAIN:
        ks.findings.error(line.place, "autopart: only --type=plain is built", "write autopart --type=plain")
        return []
    fstype = str(line.get("fstype", "")) or _default_file_system(ks, line, default)
    parts = _required(line.place, fstype, boot=not line.get("noboot", False))
    if not line.get("noswap", False) and ks.syntax.name.startswith("RHEL"):
        # Fedora has had no swap partition since 33 (zram); Anaconda gives swap a tenth of a small disk.
        size = min(RECOMMENDED_SWAP, disk_size // 10)
        ks.findings.note(line.place, f"autopart: {size} MiB of swap; --noswap leaves it out")
        parts.append(Partition(mountpoint=None, fstype="swap", size=size, place=line.place))
    root = Partition(mountpoint="/", fstype=fstype, size=SMALLEST_ROOT, grow=True, place=line.place)
    return [*parts, root]
