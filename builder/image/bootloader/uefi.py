# SPDX-License-Identifier: MIT
"""GRUB for UEFI, at the path that firmware falls back to: EFI/BOOT/BOOTX64.EFI.

Where the image brings a signed shim and GRUB (Fedora, EL) these are used, so that it boots with Secure
Boot; otherwise an image is made from its modules.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from builder.image.bootloader import grubimage
from builder.image.placement import DiskLayout
from builder.runner import Runner

MODULES = "usr/lib/grub/x86_64-efi"
_EXTRA = ("efi_gop", "efi_uga")


def is_possible(tree: Path, layout: DiskLayout) -> bool:
    """Say whether there is an EFI system partition, and in the image something to boot from it."""
    return layout.esp is not None and (
        find_signed(_esp(tree, layout)) is not None or (tree / MODULES / "kernel.img").is_file()
    )


def reads_entries(tree: Path) -> bool:
    """Say whether this GRUB reads Boot Loader Specification entries by itself."""
    for folder in ("boot/efi", "efi"):
        signed = find_signed(tree / folder)
        if signed:
            return b"blscfg" in (signed / "grubx64.efi").read_bytes()
    return (tree / MODULES / "blscfg.mod").is_file()


def find_signed(esp: Path) -> Path | None:
    """Return the folder of the distribution's shim and GRUB (EFI/fedora, EFI/redhat ...)."""
    for shim in sorted(esp.glob("EFI/*/shimx64.efi")):
        if (shim.parent / "grubx64.efi").is_file():
            return shim.parent
    return None


def write_files(tree: Path, layout: DiskLayout, *, runner: Runner) -> None:
    """Write EFI/BOOT, and the stubs that lead GRUB to the grub.cfg in /boot."""
    esp = _esp(tree, layout)
    fallback = esp / "EFI/BOOT"
    fallback.mkdir(parents=True, exist_ok=True)
    signed = find_signed(esp)
    if signed is None:
        output = fallback / "BOOTX64.EFI"
        grubimage.make(tree, layout, "x86_64-efi", output, modules=_EXTRA, runner=runner)
        return
    if not (fallback / "BOOTX64.EFI").is_file():
        shutil.copy2(signed / "shimx64.efi", fallback / "BOOTX64.EFI")
    # With fbx64.efi beside it shim starts that, which makes a boot entry for the distribution's folder;
    # without, it starts the GRUB beside itself.
    if not (fallback / "fbx64.efi").is_file():
        for name in ("grubx64.efi", "mmx64.efi"):
            if (signed / name).is_file():
                shutil.copy2(signed / name, fallback / name)
    for folder in (signed, fallback):
        (folder / "grub.cfg").write_text(stub(layout))


def stub(layout: DiskLayout) -> str:
    """Return the grub.cfg of an EFI folder: it only leads to the real one."""
    path = grubimage.prefix(layout)
    return (
        f"search --no-floppy --fs-uuid --set=dev {layout.boot.uuid}\n"
        f"set prefix=($dev){path}\n"
        "export prefix\n"
        "configfile $prefix/grub.cfg\n"
    )


def _esp(tree: Path, layout: DiskLayout) -> Path:
    assert layout.esp is not None
    return tree / (layout.esp.mountpoint or "/boot/efi").lstrip("/")
