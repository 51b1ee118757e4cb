# SPDX-License-Identifier: MIT
"""GRUB for UEFI, at the path that firmware falls back to: EFI/BOOT/BOOTX64.EFI.

Where the image brings a signed shim and GRUB (Fedora, EL) these are used, so that it boots with Secure
Boot; otherwise an image is made from its modules. Their packages put them into /boot/efi, or since Fedora
44 into /usr/lib/efi/NAME/VERSION/EFI, from where they are copied (Changes/BootLoaderUpdatesPhase1).
"""

from __future__ import annotations

from collections.abc import Iterator

from builder.image.disk.bootloader import grubimage
from builder.image.disk.placement import DiskLayout
from builder.image.tree.files import TreePath
from builder.versions import version_key

MODULES = "usr/lib/grub/x86_64-efi"
STORE = "usr/lib/efi"
_SHIM, _GRUB = "shimx64.efi", "grubx64.efi"
_EXTRA = ("efi_gop",)


def is_possible(tree: TreePath, layout: DiskLayout) -> bool:
    """Say whether there is an EFI system partition, and in the image something to boot from it."""
    return layout.esp is not None and (
        find_signed_grub(tree, layout) is not None or (tree / MODULES / "kernel.img").is_file()
    )


def reads_entries(tree: TreePath, layout: DiskLayout) -> bool:
    """Say whether this GRUB reads Boot Loader Specification entries by itself.

    By blscfg, the module of Fedora and EL, which the variable blsdir tells where they are. The module blsuki
    of GRUB 2.14 has a command of that name too, but knows no such variable, and none is made for BIOS.
    """
    signed = find_signed_grub(tree, layout)
    if signed:
        return b"blsdir" in signed.read_bytes()
    return (tree / MODULES / "blscfg.mod").is_file()


def find_signed_grub(tree: TreePath, layout: DiskLayout) -> TreePath | None:
    """Return the distribution's GRUB, when it brings a shim too."""
    roots = (_esp(tree, layout) / "EFI", *_stores(tree))
    names: dict[str, dict[str, TreePath]] = {}
    for root in roots:
        for program in (_SHIM, _GRUB):
            for path in sorted(root.glob(f"*/{program}")):
                names.setdefault(path.parent.name, {}).setdefault(program, path)
    for vendor, found in sorted(names.items()):
        if vendor != "BOOT" and len(found) == 2:
            return found[_GRUB]
    return None


def write_files(tree: TreePath, layout: DiskLayout, *, keep: bool, programs: grubimage.Programs) -> None:
    """Write EFI/BOOT, and the stubs that lead GRUB to the grub.cfg in /boot."""
    esp = _esp(tree, layout)
    fallback = esp / "EFI/BOOT"
    fallback.mkdir(parents=True, exist_ok=True)
    grub = find_signed_grub(tree, layout)
    if grub is None:
        output = fallback / "BOOTX64.EFI"
        grubimage.make(tree, layout, "x86_64-efi", output, modules=_EXTRA, keep=keep, programs=programs)
        return
    for store in _stores(tree):
        _copy_missing(store, esp / "EFI")
    signed = esp / "EFI" / grub.parent.name
    _copy_file(signed / _SHIM, fallback / "BOOTX64.EFI")
    # With fbx64.efi next to it shim starts that, which makes a boot entry for the distribution's folder;
    # without, it starts the GRUB next to itself.
    if not (fallback / "fbx64.efi").is_file():
        for name in (_GRUB, "mmx64.efi"):
            if (signed / name).is_file():
                _copy_file(signed / name, fallback / name)
    for folder in (signed, fallback):
        (folder / "grub.cfg").write_text(stub(layout))


def stub(layout: DiskLayout) -> str:
    """Return the grub.cfg of an EFI folder: it only leads to the real one."""
    path = grubimage.prefix(layout)
    return (
        f"search --no-floppy --fs-uuid --set=dev {layout.boot.placed.uuid}\n"
        f"set prefix=($dev){path}\n"
        "export prefix\n"
        "configfile $prefix/grub.cfg\n"
    )


def _esp(tree: TreePath, layout: DiskLayout) -> TreePath:
    assert layout.esp is not None
    return tree / layout.esp.mountpoint.lstrip("/")


def _stores(tree: TreePath) -> Iterator[TreePath]:
    """Yield the EFI folders in /usr/lib/efi, of each name the newest version first."""
    for name in sorted((tree / STORE).glob("*")):
        versions = sorted(path.name for path in name.glob("*") if (path / "EFI").is_dir())
        for version in sorted(versions, key=version_key, reverse=True):
            yield name / version / "EFI"


def _copy_missing(source: TreePath, target: TreePath) -> None:
    for path in sorted(source.rglob("*")):
        if path.is_file():
            _copy_file(path, target / path.relative_to(source))


def _copy_file(source: TreePath, target: TreePath) -> None:
    """Copy a program with its time, where there is none yet."""
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        source.copy_to(target)
