# SPDX-License-Identifier: MIT
"""Lay the disk out and write what boots it into the tree: fstab, menus, EFI programs."""

from __future__ import annotations

from builder.image import bootloader, layout, tree
from builder.image.build import TREE, Build


def run(build: Build) -> str:
    """Place the partitions and write the files that know of them."""
    placed = layout.place(build.plan.disk, seed=build.seed, content={})
    tree.write("/etc/fstab", layout.fstab(placed))
    firmware = bootloader.write_boot_files(
        TREE, placed, bootloader=build.plan.bootloader, runner=build.runner
    )
    build.facts.layout = placed
    build.facts.firmware = firmware
    build.facts.kernel_arguments = bootloader.kernel_arguments(placed, build.plan.bootloader)
    names = [name for name, can in (("BIOS", firmware.bios), ("UEFI", firmware.uefi)) if can]
    return " and ".join(names) or "none"
