# SPDX-License-Identifier: MIT
"""From a kickstart to a plan: the door through which commands and engines come in.

No root, no network, no tools: a plan depends on the kickstart's files, the target and the choices alone.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path

from builder.formats.partitions import PartitionTable
from builder.kickstart import addons, installer, packages, scripts, sources
from builder.kickstart.bootloader import check_root, plan_bootloader
from builder.kickstart.choices import Choices
from builder.kickstart.commands import MODELS, SETTINGS
from builder.kickstart.disk import DiskRequest, InstallerDefaults, plan_disk
from builder.kickstart.disk.boot import plan_firmware
from builder.kickstart.elements.planning import add_packages, plan_elements
from builder.kickstart.findings import Findings
from builder.kickstart.parsed import Kickstart
from builder.kickstart.plan import ImagePlan
from builder.kickstart.read import read_kickstart
from builder.kickstart.settings.locale import Locale
from builder.kickstart.settings.network import Network
from builder.kickstart.settings.security import Security
from builder.targets import ARCHITECTURE, Target, TargetFamily

EL_XFS, FEDORA_BTRFS = 7, 33
# Sizes of what autopart and reqpart make to boot by (Anaconda, platform.py; blivet's until EL 7): (family,
# first release, MiB of /boot, of the EFI system partition, and up to where that grows), the newest first.
_BOOT_SIZES = (
    (TargetFamily.EL, 10, 2048, 500, 600),
    (TargetFamily.EL, 8, 1024, 200, 600),
    (TargetFamily.EL, 7, 1024, 20, 200),
    (TargetFamily.EL, 6, 500, 50, 200),
    (TargetFamily.FEDORA, 43, 2048, 500, 600),
    (TargetFamily.FEDORA, 39, 1024, 500, 600),
    (TargetFamily.FEDORA, 31, 1024, 200, 600),
    (TargetFamily.FEDORA, 26, 1024, 20, 200),
    (TargetFamily.FEDORA, 1, 500, 20, 200),
    (TargetFamily.FIXTURE, 1, 1024, 200, 600),
)


def load_plan(
    path: Path,
    *,
    target: Target,
    choices: Choices | None = None,
    pre_files: Mapping[str, str] | None = None,
    pre_disk: PartitionTable | None = None,
) -> ImagePlan:
    """Return the plan of the kickstart `path` for `target`.

    Args:
        choices: what the command line decides.
        pre_files: what the %pre scripts wrote, by absolute path. None while they have not been run: a
            plan with `unresolved_includes` is then a plan of the rest.
        pre_disk: the partition table that the %pre scripts left on the disk; None while they have not
            been run: the disk of a plan with --onpart is then not resolved.

    Raises:
        InputError: every mistake of the kickstart, at once.
    """
    findings = Findings()
    plan = make_plan(
        path, findings, target=target, choices=choices or Choices(), pre_files=pre_files, pre_disk=pre_disk
    )
    findings.check()
    return plan


def make_plan(
    path: Path,
    findings: Findings,
    *,
    target: Target,
    choices: Choices,
    pre_files: Mapping[str, str] | None = None,
    pre_disk: PartitionTable | None = None,
) -> ImagePlan:
    """Return the plan and note what is wrong in `findings`: with errors there, the plan is not to be used."""
    kickstart = read_kickstart(
        path,
        findings,
        ksversion=choices.ksversion,
        default_version=target.ksversion,
        pre_files=pre_files,
    )
    return plan_kickstart(kickstart, target=target, choices=choices, pre_disk=pre_disk)


def plan_kickstart(
    ks: Kickstart, *, target: Target, choices: Choices, pre_disk: PartitionTable | None = None
) -> ImagePlan:
    """Return the plan of a kickstart that has been read."""
    chosen = packages.plan_packages(ks)
    elements, wanted_packages = plan_elements(choices.elements, target, ARCHITECTURE, ks.findings)
    chosen = add_packages(chosen, wanted_packages, ks.findings)
    ks.packages = chosen.names
    settings = tuple(kind.read(ks) for kind in SETTINGS)
    hostname = next(one.hostname for one in settings if isinstance(one, Network))
    addons.check_addons(ks)
    kdump = addons.read_kdump(ks)
    bootloader = plan_bootloader(ks, target.family, kdump)
    name = choices.name or ks.path.stem
    wanted = DiskRequest(
        habits=habits_of(target, hostname or name),
        size=choices.disk_size,
        memory=choices.memory,
        made=pre_disk,
    )
    disk = plan_disk(ks, wanted=wanted, bootloader=bootloader)
    check_root(ks, bootloader, disk)
    firmware = plan_firmware(disk, bootloader)
    chosen = installer.add_packages(
        ks,
        chosen,
        target,
        firmware,
        kdump=bool(kdump and kdump.enabled),
        disk=disk,
        locale=next(one for one in settings if isinstance(one, Locale)),
        network=next(one for one in settings if isinstance(one, Network)),
        security=next(one for one in settings if isinstance(one, Security)),
    )
    _say_unresolved(ks)
    plan = ImagePlan(
        name=name,
        target=target.name,
        releasever=target.releasever,
        ksversion=ks.version,
        kickstarts=tuple(dict.fromkeys(file.shown for file in ks.files)),
        kickstart_digests=tuple(dict.fromkeys((file.shown, file.sha256) for file in ks.files)),
        settings=settings,
        bootloader=bootloader,
        disk=disk,
        firmware=firmware,
        repositories=sources.plan_repositories(ks, choices, target),
        packages=chosen,
        scripts=scripts.plan_scripts(ks, network=choices.network),
        elements=elements,
        unresolved_includes=tuple(ks.unresolved),
        gpgcheck=choices.gpgcheck,
        default_user=choices.default_user,
    )
    _leave_only_models(ks)
    ks.findings.sort(plan.kickstarts)
    return dataclasses.replace(plan, warnings=tuple(ks.findings.warnings), notes=tuple(ks.findings.notes))


def habits_of(target: Target, name: str) -> InstallerDefaults:
    """Return what the installer of `target` does where a kickstart does not say (Anaconda's profiles).

    EL 7 and later: LVM with xfs. Fedora: btrfs since 33, compressed since 34, without swap (zram has come
    in its place). Before: LVM with ext4. A volume group has `name` in its own, so that no two images' meet.
    """
    release = int(target.releasever)
    boot, esp, largest_esp = next(
        sizes for family, first, *sizes in _BOOT_SIZES if family is target.family and release >= first
    )
    habits = InstallerDefaults(
        group=re.sub(r"[^A-Za-z0-9_.]", "_", f"{target.family.value}_{name}")[:100],
        boot=boot,
        esp=esp,
        largest_esp=largest_esp,
    )
    if target.family is TargetFamily.EL:
        return dataclasses.replace(habits, file_system="xfs" if release >= EL_XFS else "ext4")
    if release < FEDORA_BTRFS:
        return habits
    compression = "zstd:1" if release > FEDORA_BTRFS else None
    return dataclasses.replace(habits, scheme="btrfs", swap=False, compression=compression)


def _leave_only_models(ks: Kickstart) -> None:
    """Where an image is to be made of something else than packages, nothing else that is wrong matters."""
    if models := ks.failed & set(MODELS):
        prefixes = tuple(f"{name}: " for name in models)
        ks.findings.errors = [one for one in ks.findings.errors if one.message.startswith(prefixes)]


def _say_unresolved(ks: Kickstart) -> None:
    for name, place in ks.unresolved:
        ks.findings.warn(
            place, f"%include {name}: unresolved, a %pre script writes it when an image is built"
        )
