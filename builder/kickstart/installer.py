# SPDX-License-Identifier: MIT
"""What the installer adds to %packages by itself: published kickstarts name neither kernel nor boot loader.

Anaconda installs `kernel` unless it is excluded (pyanaconda, payload: kernel_packages), and the packages of
the boot loader that the machine boots by (pyanaconda, bootloader: GRUB2.packages, EFIGRUB.packages). An image
may boot by both. Its add-on for kdump brings kdump's package (com_redhat_kdump, service/kdump.py).
"""

from __future__ import annotations

import dataclasses
from fnmatch import fnmatchcase

from builder.kickstart.parsed import Kickstart
from builder.kickstart.plan import Packages
from builder.targets import Target, TargetFamily

# What boots by each firmware: names that a kickstart may have for it, and what is added where it has none.
_LOADERS = {
    "bios": ("grub2 grub2-pc*", "grub2-pc"),
    "uefi": ("grub2-efi* shim* systemd-boot*", "grub2-efi-x64 shim-x64"),
}
# Since these releases GRUB's packages have today's names.
_SINCE = {TargetFamily.EL: 7, TargetFamily.FEDORA: 27}
# Where kdump has a package of its own; before, it is in kexec-tools.
_KDUMP_UTILS = {TargetFamily.EL: 10, TargetFamily.FEDORA: 41}


def add_packages(
    ks: Kickstart, chosen: Packages, target: Target, firmware: tuple[str, ...], *, kdump: bool
) -> Packages:
    """Return what is chosen, with what the installer adds.

    Args:
        firmware: by which the disk boots: bios, uefi.
        kdump: the add-on for kdump is there, and enabled.
    """
    wanted = [] if not firmware or _has(chosen.names, "kernel*") else ["kernel"]
    if int(target.releasever) >= _SINCE.get(target.family, 0):
        for kind in firmware:
            patterns, names = _LOADERS[kind]
            wanted += [] if _has(chosen.names, patterns) else names.split()
    if kdump:
        apart = int(target.releasever) >= _KDUMP_UTILS.get(target.family, 0)
        wanted += {"kdump-utils" if apart else "kexec-tools"} - set(chosen.names)
    added = tuple(
        name for name in wanted if not any(fnmatchcase(name, pattern) for pattern in chosen.excluded)
    )
    if added:
        ks.findings.note(None, f"{ks.path}: {', '.join(added)}: added, as the installer does")
    return dataclasses.replace(chosen, added=added)


def _has(names: tuple[str, ...], patterns: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns.split())
