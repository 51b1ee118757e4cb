# SPDX-License-Identifier: MIT
"""GRUB for BIOS and UEFI, set up without a mount, a loop device or grub-install.

Two moments: `write_boot_files` puts everything that is a file into the tree (before the file systems are
written, and before SELinux labels are); `embed` patches GRUB's first sectors into the disk file (after).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.errors import BuildError
from builder.formats.kernel_arguments import split
from builder.image.disk.bootloader import bios, entries, grubimage, menu, uefi
from builder.image.disk.bootloader.changes import Changes
from builder.image.disk.placement import DiskLayout
from builder.image.tree.files import TreePath
from builder.kickstart.disk.boot import has_loader
from builder.kickstart.plan import Bootloader
from builder.runner import Runner


@dataclass(frozen=True, kw_only=True, slots=True)
class BootableBy:
    """Under which firmware the image boots."""

    bios: bool = False
    uefi: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The manifest's words."""
        return tuple(name for name, has in (("bios", self.bios), ("uefi", self.uefi)) if has)


def kernel_arguments(
    layout: DiskLayout, bootloader: Bootloader, arguments: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the kernel's command line: root and ro (unless the kickstart says its own), then --append.

    Args:
        arguments: more of ours, as `selinux=0`, before the kickstart's.
    """
    given = (*arguments, *split(bootloader.append))
    words = []
    if not any(word.startswith("root=") for word in given):
        words += _root_words(layout)
    if any(word.startswith("resume=") for word in given):
        words = [word for word in words if not word.startswith("resume=")]
    if not {"ro", "rw"} & set(given):
        words.append("ro")
    return (*words, *given)


def _root_words(layout: DiskLayout) -> list[str]:
    """Return how dracut finds the root and what must be there with it (dracut.cmdline(7))."""
    root = layout.root
    words = [f"root=UUID={root.placed.uuid}"]
    if root.subvolume is not None:
        words.append(f"rootflags=subvol={root.subvolume.path}")
    # As Anaconda (Bootloader._set_storage_boot_args), but only where a line asks for hibernation: no other
    # guest of a cloud has anything to resume from.
    swap = next((one for one in layout.volumes if one.hibernation), None)
    words += [f"resume=UUID={swap.uuid}"] if swap else []
    early = [mount.placed for mount in (root, layout.mounted("/usr")) if mount is not None]
    early += [swap] if swap else []
    words += [
        f"rd.lvm.lv={group.name}/{volume.name}" for group, volume in layout.logical() if volume in early
    ]
    return words


def write_boot_files(
    tree: TreePath,
    layout: DiskLayout,
    *,
    bootloader: Bootloader,
    arguments: Sequence[str] = (),
    keep: bool = False,
    changes: Changes | None = None,
    before: str = "",
    kernel_package: str = "kernel-core",
    runner: Runner,
    run: Callable[[Sequence[str]], object] | None = None,
    remember: grubimage.Remember = grubimage.make_anew,
) -> BootableBy:
    """Write everything of the boot loader that is a file into `tree`.

    Needs the kernels (and their initramfs) in tree/boot. Run it a second time with `keep` after scripts
    that may have installed a kernel or edited what was written: then only what is new is written.

    Args:
        tree: the whole image: /boot and /boot/efi are seen in it.
        arguments: as in `kernel_arguments`.
        keep: leave edited files alone.
        changes: what scripts asked programs to change of the menu.
        before: grub.cfg before the scripts, by which their edits are known.
        kernel_package: the package whose later kernels are the default.
        run: runs a program of the image (grub-mkimage), argv as the image knows it, in a room of its own;
            None: the host's is used in its place.
        remember: what that program has made of the same packages.

    Returns:
        the firmware that will be able to boot it.

    Raises:
        BuildError: no kernel, or no boot loader that fits the disk.
    """
    if not has_loader(bootloader):
        return BootableBy()
    programs = grubimage.Programs(runner=runner, of_image=run, remember=remember)
    command_line = kernel_arguments(layout, bootloader, arguments)
    if changes is not None:
        command_line = changes.apply(command_line)
    for_bios, for_uefi = bios.is_possible(tree, layout), uefi.is_possible(tree, layout)
    if not (for_bios or for_uefi):
        raise BuildError(
            "no boot loader can be installed: the image has neither GRUB's modules for BIOS nor a loader "
            "for UEFI, or the disk has no place for them",
            hint="add grub2-pc (BIOS) or grub2-efi-x64 with shim-x64 (UEFI) to %packages, "
            "or write bootloader --location=none",
        )
    kernels = entries.update(tree, layout, command_line, keep=keep, changes=changes)
    grub = tree / "boot/grub2"
    grub.mkdir(parents=True, exist_ok=True)
    reads_entries = bios.reads_entries(tree) if for_bios else True
    if for_uefi:
        reads_entries = reads_entries and uefi.reads_entries(tree, layout)
    menu.write(
        tree,
        layout,
        bootloader,
        command_line=command_line,
        kernels=kernels,
        reads_entries=reads_entries,
        keep=keep,
        changes=changes,
        before=before,
        kernel_package=kernel_package,
    )
    if for_bios:
        bios.write_files(tree, layout, keep=keep, programs=programs)
    if for_uefi:
        uefi.write_files(tree, layout, keep=keep, programs=programs)
    return BootableBy(bios=for_bios, uefi=for_uefi)


def embed(tree: TreePath, disk_file: Path, layout: DiskLayout) -> None:
    """Patch GRUB for BIOS into `disk_file`, where `write_boot_files` has left one in `tree`.

    Raises:
        BuildError: GRUB's core is larger than its place.
    """
    if (tree / bios.CORE).is_file() and bios.has_place(layout):
        bios.embed(tree, disk_file, layout)
