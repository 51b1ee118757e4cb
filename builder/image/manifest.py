# SPDX-License-Identifier: MIT
"""What a build says of its image: the manifest, from the plan and from what the stages found out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from builder import __version__
from builder.files import digest_of, digests_of_file
from builder.http import without_login
from builder.image.build import Build, Facts
from builder.image.disk.placement import DiskLayout, PlacedContent
from builder.image.fingerprint import element_digests
from builder.image.observed import Observed
from builder.image.packages import repomd
from builder.image.tree.files import TreePath
from builder.kickstart.plan import ImagePlan
from builder.kickstart.settings.accounts import Accounts
from builder.kickstart.settings.locale import Locale
from builder.kickstart.settings.network import Network
from builder.kickstart.settings.security import Security
from builder.kickstart.settings.services import Services
from builder.manifest import (
    ImageFile,
    ImageManifest,
    Inputs,
    InstalledPackage,
    KickstartFile,
    OperatingSystem,
    PartitionEntry,
    Settings,
    StageTime,
    SubvolumeEntry,
    UsedElement,
    UsedRepository,
    UserEntry,
    VolumeEntry,
)
from builder.sizes import GIB

# Of a finished file.
ALGORITHMS = ("md5", "sha512", "sha256")


def describe(
    build: Build, paths: Sequence[Path], states: tuple[repomd.RepositoryState, ...]
) -> ImageManifest:
    """Return the manifest of a finished build and its files; no password or key of a user is in it."""
    plan, facts = build.plan, build.facts
    assert facts.layout is not None
    assert facts.firmware is not None
    assert facts.os is not None
    packages = sorted(facts.packages, key=lambda one: one.nevra)
    described = [describe_file(path, build.digests.get(path)) for path in paths]
    return ImageManifest(
        name=plan.name,
        target=plan.target,
        architecture=plan.architecture,
        os=facts.os,
        default_user=plan.default_user,
        firmware=tuple(name for name in ("bios", "uefi") if getattr(facts.firmware, name)),
        virtual_size=facts.layout.size,
        disk_format=build.options.formats[0],
        min_disk=-(-facts.layout.size // GIB),
        partitions=describe_partitions(facts.layout),
        volumes=describe_volumes(facts.layout),
        packages=tuple(
            InstalledPackage(
                nevra=one.nevra,
                name=one.name,
                sha256=one.sha256 or None,
                size=one.size,
                sigmd5=one.sigmd5,
                key=one.key,
            )
            for one in packages
        ),
        inputs=Inputs(
            kickstart=tuple(
                KickstartFile(path=path, sha256=digest) for path, digest in plan.kickstart_digests
            ),
            repositories=tuple(
                UsedRepository(name=state.name, url=without_login(state.url), repomd_sha256=state.sha256)
                for state in states
            ),
            gpgcheck=plan.gpgcheck,
            builder=__version__,
            source_date_epoch=build.options.source_date_epoch,
            fingerprint=build.fingerprint,
            elements=tuple(
                UsedElement(name=element.name, sha256=digest_of(element_digests(element)))
                for element in plan.elements.elements
            ),
        ),
        warnings=tuple(facts.warnings),
        settings=describe_settings(plan, facts),
        stages=tuple(StageTime(name=name, seconds=round(seconds, 2)) for name, seconds in facts.stages),
        artifact=described[0],
        others=tuple(described[1:]),
    )


def describe_partitions(layout: DiskLayout) -> tuple[PartitionEntry, ...]:
    """Return the partitions as they were made."""
    return tuple(
        PartitionEntry(
            number=one.number,
            mountpoint=one.mountpoint,
            fstype=one.fstype,
            uuid=one.uuid,
            partuuid=one.partuuid,
            label=one.label,
            start=one.start,
            size=one.size,
            subvolumes=_subvolumes(one),
        )
        for one in layout.partitions
    )


def describe_volumes(layout: DiskLayout) -> tuple[VolumeEntry, ...]:
    """Return the logical volumes as they were made."""
    return tuple(
        VolumeEntry(
            group=group.name,
            name=one.name,
            mountpoint=one.mountpoint,
            fstype=one.fstype,
            uuid=one.uuid,
            label=one.label,
            size=one.size,
            subvolumes=_subvolumes(one),
        )
        for group, one in layout.logical()
    )


def _subvolumes(placed: PlacedContent) -> tuple[SubvolumeEntry, ...]:
    return tuple(SubvolumeEntry(path=one.path, mountpoint=one.mountpoint) for one in placed.subvolumes)


def describe_settings(plan: ImagePlan, facts: Facts) -> Settings:
    """Return what the kickstart set, as far as an image can be held to it later.

    A command counts unless a script changed what it had set: then what the script left counts.
    """
    commands, end = facts.after_commands, facts.at_end

    def settled(name: str, planned: str | None) -> str | None:
        if commands is None or end is None or getattr(commands, name) == getattr(end, name):
            return planned
        left: str | None = getattr(end, name)
        return left

    def still(name: str) -> bool:
        unit = name if "." in name else f"{name}.service"
        return commands is None or end is None or (unit in commands.enabled) == (unit in end.enabled)

    locale, services, accounts = plan.of(Locale), plan.of(Services), plan.of(Accounts)
    selinux, root = plan.of(Security).selinux, accounts.root_password
    root_locked = root.locked or not (root.hash or root.plain)
    if commands is not None and end is not None and commands.root_locked != end.root_locked:
        root_locked = end.root_locked
    return Settings(
        hostname=end.hostname
        if end and "/etc/hostname" in facts.kept
        else settled("hostname", plan.of(Network).hostname),
        timezone=settled("timezone", locale.timezone.name),
        lang=settled("lang", locale.lang),
        keymap=settled("keymap", locale.keyboard.keymap),
        selinux=settled("selinux", selinux.value if selinux else None),
        root_locked=root_locked,
        services_enabled=tuple(name for name in services.services_enabled if still(name)),
        services_disabled=tuple(name for name in services.services_disabled if still(name)),
        kernel_arguments=" ".join(facts.kernel_arguments),
        boot_timeout=plan.bootloader.timeout if facts.boot_timeout is None else facts.boot_timeout,
        users=tuple(
            UserEntry(name=user.name, groups=tuple(user.groups), locked=user.password.locked)
            for user in accounts.users
        ),
        passwords=_passwords(facts),
        ssh_keys=_ssh_keys(plan, facts),
        kept=facts.kept,
        changed=facts.changed,
        turned_off=_only_in(facts.after_packages, facts.at_end, "enabled"),
        removed=facts.removed,
        superusers=_only_in(facts.at_end, facts.after_packages, "superusers"),
        hardware_addresses=tuple(one.mac for one in plan.of(Network).interfaces if one.mac),
    )


def _only_in(moment: Observed | None, other: Observed | None, name: str) -> tuple[str, ...]:
    """Return what is among the observed `name` at a moment, and is not at the other one."""
    if moment is None or other is None:
        return ()
    elsewhere = getattr(other, name)
    return tuple(one for one in getattr(moment, name) if one not in elsewhere)


def _passwords(facts: Facts) -> tuple[str, ...]:
    """Return the accounts whose password is the kickstart's, not a package's."""
    if facts.after_packages is None or facts.at_end is None:
        return ()
    before = facts.after_packages.passwords
    return tuple(sorted(name for name, hash in facts.at_end.passwords.items() if before.get(name) != hash))


def _ssh_keys(plan: ImagePlan, facts: Facts) -> tuple[str, ...]:
    """Return the files of keys that the kickstart wrote, and the users of its sshkey lines."""
    written = [path for path in facts.authored if path.endswith("/.ssh/authorized_keys")]
    return tuple(sorted({*(key.user for key in plan.of(Accounts).ssh_keys), *written}))


def describe_file(path: Path, digests: Sequence[str] | None = None) -> ImageFile:
    """Return what identifies a finished file.

    Args:
        digests: by ALGORITHMS; None: they are computed.
    """
    md5, sha512, sha256 = digests or digests_of_file(path, *ALGORITHMS)
    return ImageFile(path=path.name, size=path.stat().st_size, sha256=sha256, sha512=sha512, md5=md5)


def read_os_release(tree: TreePath) -> OperatingSystem:
    """Return what the image calls itself (os-release(5)); unknown words as that page defines them."""
    fields = {"ID": "linux", "VERSION_ID": "", "PRETTY_NAME": "Linux"}
    for name in ("etc/os-release", "usr/lib/os-release"):
        path = tree / name
        if path.is_file():
            for line in path.read_text(errors="replace").splitlines():
                key, equals, value = line.strip().partition("=")
                if equals and not key.startswith("#"):
                    fields[key] = value.strip("\"'")
            break
    return OperatingSystem(
        id=fields["ID"], version_id=fields["VERSION_ID"], pretty_name=fields["PRETTY_NAME"]
    )
