# SPDX-License-Identifier: MIT
"""Lay the disk out and write what boots it into the tree: fstab, menus, EFI programs.

Before %post, as in Anaconda: scripts may edit fstab, /etc/default/grub and grub.cfg. What they leave is
completed, not written again, when the initramfs are there.
"""

from __future__ import annotations

from builder.errors import InputError
from builder.image.build import Build
from builder.image.disk import bootloader, layout, table
from builder.image.disk.bootloader import Firmware
from builder.image.disk.filesystems import try_mkfs_options
from builder.image.disk.filesystems.disk import Disk
from builder.image.isolation.sandbox import run_in_image
from builder.image.tree import tree
from builder.image.tree.kernels import find_kernels, initramfs_of, install_kernel
from builder.kickstart.disk.boot import has_loader
from builder.kickstart.plan import SELinux


def run(build: Build) -> str:
    """Place the partitions and write the files that know of them."""
    placed = layout.place(build.plan.disk, seed=build.seed, content={})
    disk = Disk(file=build.disk, runner=build.runner, epoch=0, work=build.work, xfs=build.target.xfs)
    try_mkfs_options(disk, placed)
    build.facts.layout = placed
    tree.write("/etc/fstab", table.fstab(placed))
    kernels = find_kernels()
    if not kernels and has_loader(build.plan.bootloader):
        raise InputError(
            "%packages: no package of the image brings a kernel",
            hint="put kernel-core into %packages, or write bootloader --location=none",
        )
    for kernel in kernels:
        install_kernel(kernel)
        # The menu names it; the initramfs stage makes it.
        initramfs_of(kernel).touch(mode=0o600)
    firmware = _write(build, keep=False)
    names = [name for name, can in (("BIOS", firmware.bios), ("UEFI", firmware.uefi)) if can]
    esp = any(one.fstype == "efi" for one in build.plan.disk.partitions)
    if esp and has_loader(build.plan.bootloader) and not firmware.uefi:
        build.warn("the disk has an EFI partition, and no package of the image boots by UEFI")
    return " and ".join(names) or "none"


def complete(build: Build) -> None:
    """Write what is missing after %post: entries of kernels that it installed."""
    build.facts.firmware = _write(build, keep=True)


def _write(build: Build, *, keep: bool) -> Firmware:
    assert build.facts.layout is not None
    arguments = ("selinux=0",) if build.plan.selinux == SELinux.DISABLED else ()
    build.facts.kernel_arguments = bootloader.kernel_arguments(
        build.facts.layout, build.plan.bootloader, arguments
    )
    return bootloader.write_boot_files(
        tree.path("/"),
        build.facts.layout,
        bootloader=build.plan.bootloader,
        arguments=arguments,
        keep=keep,
        runner=build.runner,
        run=lambda argv: run_in_image(build, argv, log=build.log),
    )
