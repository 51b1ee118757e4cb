# SPDX-License-Identifier: MIT
"""GRUB for BIOS: boot.img in the first sector, core.img in the biosboot partition or the gap before the
first partition of an msdos table.

The bytes patched are those that grub-bios-setup patches (GRUB's util/setup.c, include/grub/i386/pc/boot.h;
osbuild's stage org.osbuild.grub2.inst does the same).
"""

from __future__ import annotations

import struct
from pathlib import Path

from builder.errors import BuildError
from builder.image.disk.bootloader import grubimage
from builder.image.disk.placement import KIB, SECTOR, DiskLayout
from builder.image.tree.files import TreePath

MODULES = "usr/lib/grub/i386-pc"
FOLDER = "boot/grub2/i386-pc"
CORE = f"{FOLDER}/core.img"
BOOT = f"{FOLDER}/boot.img"

_BOOT_CODE = 440  # then the disk's identifier and the partition table
_KERNEL_SECTOR = 0x5C  # GRUB_BOOT_MACHINE_KERNEL_SECTOR
_DRIVE_CHECK = 0x66  # GRUB_BOOT_MACHINE_DRIVE_CHECK: a jump that believes the BIOS; two nops distrust it
_BLOCKLIST = SECTOR - 12  # where diskboot.img holds the sector of the rest


def has_place(layout: DiskLayout) -> bool:
    """Say whether the disk has room for core.img."""
    return layout.label == "msdos" or layout.of_type("biosboot") is not None


def is_possible(tree: TreePath, layout: DiskLayout) -> bool:
    """Say whether the image has GRUB's modules for BIOS, and the disk a place."""
    return has_place(layout) and (tree / MODULES / "boot.img").is_file()


def reads_entries(tree: TreePath) -> bool:
    """Say whether this GRUB reads Boot Loader Specification entries by itself."""
    return (tree / MODULES / "blscfg.mod").is_file()


def write_files(tree: TreePath, layout: DiskLayout, *, keep: bool, programs: grubimage.Programs) -> None:
    """Write what grub-install would leave in /boot/grub2/i386-pc: the modules, boot.img, core.img."""
    folder = tree / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted((tree / MODULES).iterdir()):
        if path.suffix in (".mod", ".lst") or path.name == "boot.img":
            target = folder / path.name
            if not (keep and grubimage.is_newer(target, [path])):
                path.copy_to(target)
    grubimage.make(tree, layout, "i386-pc", tree / CORE, modules=("biosdisk",), keep=keep, programs=programs)


def embed(tree: TreePath, disk_file: Path, layout: DiskLayout) -> None:
    """Patch boot.img and core.img and write them into the disk file.

    Raises:
        BuildError: core.img is larger than its place, or no GRUB image at all.
    """
    biosboot = layout.of_type("biosboot") if layout.label == "gpt" else None
    start, room = (
        (biosboot.start, biosboot.size)
        if biosboot
        else (SECTOR, min(one.start for one in layout.partitions) - SECTOR)
    )
    boot = bytearray((tree / BOOT).read_bytes())
    core = bytearray((tree / CORE).read_bytes())
    if len(boot) != SECTOR or boot[_KERNEL_SECTOR : _KERNEL_SECTOR + 8] != struct.pack("<Q", 1):
        raise BuildError(f"/{BOOT} is not the boot sector of GRUB 2")
    if len(core) > room:
        raise BuildError(
            f"GRUB's core is {len(core) // KIB} KiB, its place on the disk {room // KIB} KiB",
            hint="give the biosboot partition --size=1 or more",
        )
    struct.pack_into("<Q", boot, _KERNEL_SECTOR, start // SECTOR)
    boot[_DRIVE_CHECK : _DRIVE_CHECK + 2] = b"\x90\x90"
    struct.pack_into("<Q", core, _BLOCKLIST, start // SECTOR + 1)
    with disk_file.open("r+b") as file:
        file.write(boot[:_BOOT_CODE])
        file.seek(start)
        file.write(core)
