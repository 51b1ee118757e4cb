# SPDX-License-Identifier: MIT
"""Order on the disk, and what firmware can boot from it.

Order: what firmware wants first, then /boot, then the rest as written, swap before /, and what holds / last,
so that a guest can grow it (image guide: the root partition is the last one).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from builder.kickstart.disk.filesystems import TMPFS
from builder.kickstart.disk.lines import BOOT_SIZE, ESP_SIZE, SMALLEST_ESP
from builder.kickstart.disk.sizes import HEAD
from builder.kickstart.parsed import Kickstart
from builder.kickstart.place import Place
from builder.kickstart.plan import Bootloader, Disk, Partition, VolumeGroup
from builder.sizes import MIB, TIB

_PRIMARY = 4  # partitions of an msdos table
_MSDOS_END = 2 * TIB // MIB  # where its sectors, counted in 32 bits, end
# Below these sizes (MiB) no package list of any release fits: vmlinuz and an initramfs of EL 6 take 18, libc,
# a shell and rpm's database more than 64.
_LEAST_BOOT, _LEAST_SYSTEM = 24, 64
# After must_be_on_root and must_be_on_linuxfs of Anaconda (data/anaconda.conf), without what harms nobody.
_OF_ROOT = frozenset(["/bin", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys"])
_OF_KERNEL = ("/dev/", "/proc/", "/run/", "/sys/")
_OF_LINUX = frozenset(["/home", "/opt", "/root", "/srv", "/tmp", "/usr", "/usr/lib", "/usr/share", "/var"])


def has_loader(bootloader: Bootloader) -> bool:
    """Say whether a boot loader is wanted."""
    return not bootloader.disabled and bootloader.location != "none"


def order(parts: Sequence[Partition], groups: Sequence[VolumeGroup]) -> list[Partition]:
    """Return `parts` as they will lie."""
    first = {"biosboot": 0, "prepboot": 1, "efi": 2}
    of_root = {
        member
        for group in groups
        if any("/" in one.mountpoints for one in group.volumes)
        for member in group.members
    }

    def weight(part: Partition) -> int:
        if "/" in part.mountpoints or part.name in of_root:
            return 9
        if part.mountpoint == "/boot":
            return 3
        return first.get(part.fstype, 5 if part.fstype == "swap" else 4)

    return sorted(parts, key=weight)


def plan_firmware(disk: Disk, bootloader: Bootloader) -> tuple[str, ...]:
    """Return the ways in which the disk boots: bios, uefi; none while %pre has yet to make partitions."""
    if not has_loader(bootloader) or not disk.is_resolved:
        return ()
    kinds = {part.fstype for part in disk.partitions}
    bios = disk.label == "msdos" or "biosboot" in kinds
    return (("bios",) if bios else ()) + (("uefi",) if "efi" in kinds else ())


def check(ks: Kickstart, disk: Disk, bootloader: Bootloader, *, has_root_error: bool) -> None:
    """Note what keeps `disk` from being a bootable one.

    Args:
        has_root_error: a line that may have been the one of / is wrong, and that has been noted.
    """
    line = ks.last("part", "partition", "autopart", "reqpart", "clearpart")
    place = line.place if line is not None else None
    root = disk.holding("/")
    if root is None and not has_root_error:
        ks.findings.error(
            None, f"{ks.path}: no partition for /", "add part / --fstype=ext4 --size=2048 --grow"
        )
    if root is not None and root.fstype in ("vfat", "efi"):
        ks.findings.error(root.place, f"part /: {root.fstype} cannot hold a system", "write --fstype=ext4")
    _check_mount_points(ks, disk)
    if disk.label == "msdos" and len(disk.partitions) > _PRIMARY:
        ks.findings.error(
            place,
            f"{len(disk.partitions)} partitions on an msdos disk: it has room for four",
            "clearpart --disklabel=gpt",
        )
    for part in disk.partitions:
        if disk.label == "msdos" and part.fstype == "biosboot":
            ks.findings.error(
                part.place,
                "part biosboot: an msdos disk does not need it",
                "remove it (GRUB is written before the first partition), or write clearpart --disklabel=gpt",
            )
        if part.fstype == "efi" and 0 < part.size < SMALLEST_ESP:
            ks.findings.error(
                part.place,
                f"part /boot/efi: {part.size} MiB is too small",
                f"use at least {SMALLEST_ESP} MiB ({ESP_SIZE} recommended)",
            )
    if has_loader(bootloader) and root is not None:
        _check_loader(ks, disk, place)


def check_room(ks: Kickstart, disk: Disk, bootloader: Bootloader) -> None:
    """Note what is too small for any system, or beyond what a table can tell; sizes must be final."""
    boot, root, usr = (disk.holding(mountpoint) for mountpoint in ("/boot", "/", "/usr"))
    if boot is not None and boot is not root and has_loader(bootloader) and boot.size < _LEAST_BOOT:
        ks.findings.error(
            boot.place,
            f"/boot: {boot.size} MiB cannot hold a kernel and its initramfs",
            f"use --size={BOOT_SIZE}; one kernel alone takes 50 and more",
        )
    system = usr or root
    if system is not None and system.size < _LEAST_SYSTEM:
        ks.findings.error(
            system.place,
            f"{'/' if usr is None else '/usr'}: {system.size} MiB cannot hold a system",
            "use --size=2048 or more",
        )
    if disk.label == "msdos":
        _check_msdos_end(ks, disk)


def _check_msdos_end(ks: Kickstart, disk: Disk) -> None:
    end = HEAD
    for part in disk.partitions:
        end = (part.extent.start + part.extent.length) // MIB if part.extent else end + part.size
        if end > _MSDOS_END:
            ks.findings.error(
                part.place,
                f"part {part.where}: ends {end - _MSDOS_END} MiB beyond 2 TiB, where an msdos table ends",
                "clearpart --disklabel=gpt, with biosboot or /boot/efi to boot by",
            )
            return


def _check_mount_points(ks: Kickstart, disk: Disk) -> None:
    seen: set[str] = set()
    for fstype, mountpoint, place in _mount_points(disk):
        if mountpoint in seen:
            ks.findings.error(place, f"{mountpoint}: mounted twice", "remove one of the lines")
        elif mountpoint in _OF_ROOT or mountpoint.startswith(_OF_KERNEL):
            ks.findings.error(place, f"{mountpoint}: belongs to the file system of /", "remove the line")
        elif fstype == "vfat" and mountpoint in _OF_LINUX:
            ks.findings.error(place, f"{mountpoint}: vfat has no owners and modes", "write --fstype=ext4")
        seen.add(mountpoint)


def _mount_points(disk: Disk) -> Iterator[tuple[str, str, Place | None]]:
    """Yield each mount point with its file system before it, and the line that says it."""
    for volume in disk.volumes:
        own = [(volume.mountpoint, volume.place)]
        for mountpoint, place in own + [(one.mountpoint, one.place) for one in volume.subvolumes]:
            if mountpoint:
                yield volume.fstype, mountpoint, place
    for folder in disk.in_memory:
        yield TMPFS, folder.mountpoint, folder.place


def _check_loader(ks: Kickstart, disk: Disk, place: Place | None) -> None:
    kinds = {part.fstype for part in disk.partitions}
    boot = disk.holding("/boot") or disk.holding("/")
    if boot is not None and boot not in disk.partitions:
        ks.findings.error(
            boot.place,
            "/boot is on LVM: GRUB needs it on a partition",
            "add part /boot --fstype=ext4 --size=1024",
        )
    if not disk.is_resolved:
        return  # %pre may make the partitions that firmware wants
    if disk.label == "gpt" and not kinds & {"biosboot", "efi"}:
        ks.findings.error(
            place,
            "no firmware can boot this gpt disk: it has neither a biosboot partition nor /boot/efi",
            "add reqpart, or part biosboot --size=1 and part /boot/efi --size=64",
        )
    elif disk.label == "gpt" and "biosboot" not in kinds:
        ks.findings.warn(place, "no biosboot partition: the image boots by UEFI only", "add reqpart")
    elif "efi" not in kinds:
        ks.findings.note(place, "no /boot/efi partition: the image boots by BIOS only")
