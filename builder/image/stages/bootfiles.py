# SPDX-License-Identifier: MIT
"""Lay the disk out and write what boots it into the tree: fstab, menus, EFI programs.

Before %post, as in Anaconda: scripts may edit fstab, /etc/default/grub and grub.cfg. What they leave is
completed, not written again, when the initramfs are there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from builder.errors import BuildError, InputError
from builder.files import digest_of
from builder.formats.kernel_arguments import spoiled
from builder.image.build import Build
from builder.image.disk import bootloader, layout, table
from builder.image.disk.bootloader import BootableBy, changes, grubimage
from builder.image.disk.bootloader.changes import Changes
from builder.image.isolation import sandbox
from builder.image.stages import initramfs
from builder.image.tree import tree
from builder.image.tree.kernels import find_kernels, initramfs_of, install_kernel
from builder.kickstart.bootloader import LONGEST_LINE, reads_hexadecimal
from builder.kickstart.disk.boot import has_loader
from builder.kickstart.plan import Disk
from builder.kickstart.settings.security import Security, SELinux

DEFAULTS = "/etc/default/grub"


def run(build: Build) -> str:
    """Place the partitions and write the files that know of them."""
    placed = layout.place(build.plan.disk, seed=build.seed, content={})
    build.facts.layout = placed
    tree.write("/etc/fstab", table.fstab(placed, build.plan.disk.in_memory))
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
    build.facts.grub_defaults = _text(DEFAULTS)
    build.facts.grub_menu = _text("/boot/grub2/grub.cfg")
    sandbox.answer_for(
        placed,
        disk=disk_name(build.plan.disk),
        in_memory=build.plan.disk.in_memory,
        menu=build.facts.grub_menu,
        kernel=next(iter(kernels), None),
        machine=build.plan.architecture,
    )
    names = [name for name, can in (("BIOS", firmware.bios), ("UEFI", firmware.uefi)) if can]
    esp = any(one.fstype == "efi" for one in build.plan.disk.partitions)
    if esp and has_loader(build.plan.bootloader) and not firmware.uefi:
        build.warn("the disk has an EFI partition, and no package of the image boots by UEFI")
    return " and ".join(names) or "none"


def complete(build: Build) -> None:
    """Write what is missing after %post: entries of kernels that it installed, what it asked grubby for."""
    wanted = changes.read(
        sandbox.read_said(),
        before=build.facts.grub_defaults,
        after=_text(DEFAULTS),
        custom="".join(_custom_entries()),
    )
    if wanted.timeout is not None and wanted.timeout.removeprefix("-").isdecimal():
        build.facts.boot_timeout = int(wanted.timeout)
    build.facts.firmware = _write(build, keep=True, wanted=wanted)
    _judge_arguments(build)


def _judge_arguments(build: Build) -> None:
    """Look at what scripts have made of the kernel's arguments, which the plan could not.

    Raises:
        BuildError: they are too long.
    """
    words, loader = build.facts.kernel_arguments, build.plan.bootloader
    if not has_loader(loader):
        return
    length = len(" ".join(words).encode())
    if length > LONGEST_LINE:
        raise BuildError(
            f"the kernel's arguments are {length} bytes after %post, and it takes {LONGEST_LINE} from GRUB",
            hint="add fewer of them in scripts (GRUB_CMDLINE_LINUX, grubby --args)",
        )
    hexadecimal = reads_hexadecimal(build.target.family)
    for word in words:
        if spoiled(word, hexadecimal=hexadecimal):
            build.warn(f"a script gives the kernel {word}: GRUB puts a backslash before each ' and \\ of it")


def disk_name(disk: Disk) -> str:
    """Return what scripts of the kickstart call the disk: as --onpart does, else vda."""
    named = next((part.onpart for part in disk.partitions if part.onpart), None)
    return re.sub(r"p?\d+$", "", named.removeprefix("/dev/")) if named else "vda"


def _text(name: str) -> str:
    path = tree.path(name)
    return path.read_text() if path.is_file() else ""


def _custom_entries() -> Iterator[str]:
    """Yield what the scripts of /etc/grub.d print that only print themselves (40_custom and its kind)."""
    for path in tree.path("/etc/grub.d").glob("[0-9]*"):
        if not path.is_file() or not path.stat().st_mode & 0o100:
            continue
        head, _, rest = path.read_text().partition("exec tail -n +3 $0\n")
        text = "".join(f"{line}\n" for line in rest.splitlines() if not line.startswith("#"))
        if head.startswith("#!/bin/sh") and text.strip():
            yield f"### BEGIN {path} ###\n{text.lstrip()}### END {path} ###\n"


def _write(build: Build, *, keep: bool, wanted: Changes | None = None) -> BootableBy:
    assert build.facts.layout is not None
    arguments = ("selinux=0",) if build.plan.of(Security).selinux == SELinux.DISABLED else ()
    given = bootloader.kernel_arguments(build.facts.layout, build.plan.bootloader, arguments)
    build.facts.kernel_arguments = wanted.apply(given) if wanted else given
    return bootloader.write_boot_files(
        tree.path("/"),
        build.facts.layout,
        bootloader=build.plan.bootloader,
        arguments=arguments,
        keep=keep,
        changes=wanted,
        before=build.facts.grub_menu if keep else "",
        kernel_package=_kernel_package([package.name for package in build.facts.packages]),
        runner=build.runner,
        run=lambda argv: sandbox.run_in_image(build, argv, log=build.log),
        # The cache takes and gives nothing when scripts have run.
        remember=grubimage.make_anew if keep else partial(_remember, build),
    )


def _remember(build: Build, inputs: object, make: Callable[[], bytes]) -> bytes:
    """Return what GRUB's program made of these inputs and packages before, or have it made and kept."""
    return initramfs.recall(build, "grub", digest_of(inputs), make)[0]


def _kernel_package(names: Sequence[str]) -> str:
    """Return the package that brings the kernel: kernel-core, kernel-rt-core, kernel-uek-core, or kernel."""
    cores = [name for name in names if re.fullmatch(r"kernel(-(?!modules)\w+)?-core", name)]
    return "kernel-core" if "kernel-core" in cores else next(iter(sorted(cores)), "kernel")
