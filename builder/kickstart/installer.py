# SPDX-License-Identifier: MIT
"""What the installer adds to %packages by itself: published kickstarts name neither kernel nor boot loader.

Anaconda installs `kernel` unless it is excluded (pyanaconda, payload: kernel_packages), and the packages of
the boot loader that the machine boots by (pyanaconda, bootloader: GRUB2.packages, EFIGRUB.packages). An image
may boot by both. Its add-on for kdump brings kdump's package (com_redhat_kdump, service/kdump.py). For the
languages it installs langpacks (pyanaconda, payload/dnf/requirements.py: collect_language_requirements): with
glibc-minimal-langpack alone a guest has no locale but C. For what else a kickstart asks for, it installs the
tools: of the disk's file systems and volumes (storage), chrony (timezone), authselect (security), firewalld
(network/firewall: for any firewall line) and teamd (network).

In a virtual machine it also installs the group `platform-` with that machine's name, where the repositories
have it (payload/dnf/requirements.py: collect_platform_requirements). What is built here is for a cloud's
guests, so it is KVM's, whatever machine the build runs on.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from builder.kickstart.disk.filesystems import KINDS
from builder.kickstart.parsed import Kickstart
from builder.kickstart.plan import Disk, Packages
from builder.kickstart.settings.locale import Locale, Timezone
from builder.kickstart.settings.network import Network
from builder.kickstart.settings.security import Security
from builder.targets import ARCHITECTURE, Target, TargetFamily

# What boots by each firmware: the packages that are added, each with what a kickstart may have in its place.
# Of GRUB's modules a build makes a boot loader by itself.
_EFI_OTHERS = ("grub2-efi-x64-modules", "systemd-boot", "systemd-boot-unsigned")
_LOADERS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "bios": {"grub2-pc": ("grub2", "grub2-pc-modules")},
    "uefi": {
        "grub2-efi-x64": ("grub2-efi", "grub2-efi-x64-cdboot", *_EFI_OTHERS),
        "shim-x64": ("shim", *_EFI_OTHERS),
    },
}
# What it installs with these, so that scripts find it (EFIGRUB, GRUB2: packages).
_LOADER_TOOLS: Mapping[str, tuple[str, ...]] = {
    "bios": ("grub2-tools",),
    "uefi": ("efibootmgr", "grub2-tools"),
}
# Since these releases, also: their comps have them no longer (pyanaconda/modules/storage/bootloader/efi.py).
_MORE_LOADER_TOOLS = ("grub2-tools-extra", "grubby")
_MORE_SINCE = {TargetFamily.EL: 10, TargetFamily.FEDORA: 39}
# Of the packages with a kernel's name these hold none: kernel-devel, kernel-headers, kernel-tools-libs …
_NO_KERNEL = re.compile(
    r"-(abi|cross|devel|doc|firmware|headers|libs|modules|rpm-macros|srpm-macros|tools)\b"
)
# Since these releases GRUB's packages have today's names.
_SINCE = {TargetFamily.EL: 7, TargetFamily.FEDORA: 27}
# Where language packs are packages, and which of them are a territory's; others are a language's.
_LANGPACKS = {TargetFamily.EL: 8, TargetFamily.FEDORA: 24}
_TERRITORIES = ("en_GB", "pt_BR", "zh_CN", "zh_HK", "zh_TW")
# Where the tools of file systems and chrony are added without being asked for by a line of their own.
_TOOLS = {TargetFamily.EL: 7, TargetFamily.FEDORA: 19}
# Where a guest's own tools are a group, and which.
_PLATFORMS = {TargetFamily.EL: 7, TargetFamily.FEDORA: 19}
_PLATFORM = "platform-kvm"
# Where kdump has a package of its own; before, it is in kexec-tools.
_KDUMP_UTILS = {TargetFamily.EL: 10, TargetFamily.FEDORA: 41}


def add_packages(
    ks: Kickstart,
    chosen: Packages,
    target: Target,
    firmware: tuple[str, ...],
    *,
    kdump: bool,
    disk: Disk,
    locale: Locale,
    network: Network,
    security: Security,
) -> Packages:
    """Return what is chosen, with what the installer adds.

    Args:
        firmware: by which the disk boots: bios, uefi.
        kdump: the add-on for kdump is there, and enabled.
        disk, locale, network, security: what the kickstart asks for.
    """
    wanted = [] if not firmware or _has_kernel(chosen.names) else ["kernel"]
    if int(target.releasever) >= _SINCE.get(target.family, 0):
        for kind in firmware:
            wanted += [
                name for name, others in _LOADERS[kind].items() if not _has(chosen.names, (name, *others))
            ]
    if kdump:
        apart = int(target.releasever) >= _KDUMP_UTILS.get(target.family, 0)
        wanted += {"kdump-utils" if apart else "kexec-tools"} - set(chosen.names)
    packs = _langpacks((locale.lang, *locale.extra_langs)) if target.is_since(_LANGPACKS) else []
    tools = _tools(disk, locale.timezone, network, security, habitual=target.is_since(_TOOLS))
    if target.is_since(_SINCE) and not _has(chosen.names, ("systemd-boot", "systemd-boot-unsigned")):
        tools += [name for kind in firmware for name in _LOADER_TOOLS[kind]]
        tools += _MORE_LOADER_TOOLS if "uefi" in firmware and target.is_since(_MORE_SINCE) else ()
    wanted += [name for name in dict.fromkeys((*packs, *tools)) if not _has(chosen.names, (name,))]
    added = tuple(
        name for name in wanted if not any(fnmatchcase(name, pattern) for pattern in chosen.excluded)
    )
    named = (*chosen.groups, *chosen.optional_groups, *chosen.mandatory_groups, *chosen.excluded_groups)
    has_platform = bool(firmware) and target.is_since(_PLATFORMS) and _PLATFORM not in named
    groups = (_PLATFORM,) if has_platform else ()
    if said := ", ".join((*added, *(f"@{name}" for name in groups))):
        ks.findings.note(None, f"{ks.path}: {said}: added, as the installer does")
    return dataclasses.replace(chosen, added=added, added_groups=groups)


def _tools(disk: Disk, zone: Timezone, network: Network, security: Security, *, habitual: bool) -> list[str]:
    """Return what brings what the kickstart asks for.

    Args:
        habitual: also what the installer adds where no line asks for it.
    """
    found = ["lvm2"] if disk.groups else []
    if habitual:
        found += [package for one in disk.volumes if (package := KINDS[one.fstype].package) is not None]
    if zone.ntp and (habitual or zone.servers or zone.pools):
        found.append("chrony")
    if security.authselect is not None:
        found.append("authselect")
    if habitual and security.firewall is not None:
        found.append("firewalld")
    if any(device.kind == "team" for device in network.interfaces):
        found.append("teamd")
    return list(dict.fromkeys(found))


def _langpacks(locales: Sequence[str]) -> list[str]:
    """Return the language packs of locales such as pt_BR.UTF-8; C and POSIX need none."""
    found = []
    for locale in locales:
        code = re.split("[.@]", locale)[0]
        code = code if code in _TERRITORIES else code.partition("_")[0]
        if code not in ("C", "POSIX"):
            found.append(f"langpacks-{code}")
    return list(dict.fromkeys(found))


def _has_kernel(names: tuple[str, ...]) -> bool:
    return any(
        (fnmatchcase(name, "kernel*") and not _NO_KERNEL.search(name)) or fnmatchcase("kernel", name)
        for name in names
    )


def _has(names: tuple[str, ...], packages: tuple[str, ...]) -> bool:
    """Say whether `names`, which may be globs and may end in an architecture, have one of `packages`."""
    return any(
        name.removesuffix(f".{ARCHITECTURE}") == package or fnmatchcase(package, name)
        for name in names
        for package in packages
    )
