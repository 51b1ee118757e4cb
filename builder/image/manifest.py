# SPDX-License-Identifier: MIT
"""What a build says of its image: the manifest, from the plan and from what the stages found out."""

from __future__ import annotations

from pathlib import Path

from builder import __version__
from builder.files import digests_of_file
from builder.image.build import Build
from builder.image.disk.placement import DiskLayout
from builder.image.packages import repomd
from builder.image.tree.files import TreePath
from builder.kickstart.plan import ImagePlan
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
    UsedRepository,
    UserEntry,
)
from builder.sizes import GIB


def describe(build: Build, image: Path, states: tuple[repomd.State, ...]) -> ImageManifest:
    """Return the manifest of a finished build; no password or key of a user is in it."""
    plan, facts = build.plan, build.facts
    assert facts.layout is not None
    assert facts.firmware is not None
    assert facts.os is not None
    packages = sorted(facts.packages, key=lambda one: one.nevra)
    return ImageManifest(
        name=plan.name,
        target=plan.target,
        architecture=plan.architecture,
        os=facts.os,
        default_user=plan.default_user,
        firmware=tuple(name for name in ("bios", "uefi") if getattr(facts.firmware, name)),
        virtual_size=facts.layout.size,
        disk_format="qcow2",
        min_disk=-(-facts.layout.size // GIB),
        partitions=describe_partitions(facts.layout),
        packages=tuple(
            InstalledPackage(nevra=one.nevra, name=one.name, sha256=one.sha256 or None, size=one.size)
            for one in packages
        ),
        inputs=Inputs(
            kickstart=tuple(
                KickstartFile(path=path, sha256=digest) for path, digest in plan.kickstart_digests
            ),
            repositories=tuple(
                UsedRepository(name=state.name, url=state.url, repomd_sha256=state.sha256) for state in states
            ),
            gpgcheck=plan.gpgcheck,
            builder=__version__,
            source_date_epoch=build.options.source_date_epoch,
            fingerprint=build.seed,
        ),
        warnings=tuple(facts.warnings),
        settings=describe_settings(plan, facts.kernel_arguments),
        stages=tuple(StageTime(name=name, seconds=round(seconds, 2)) for name, seconds in facts.stages),
        artifact=describe_file(image),
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
        )
        for one in layout.partitions
    )


def describe_settings(plan: ImagePlan, kernel_arguments: tuple[str, ...]) -> Settings:
    """Return what the kickstart set, as far as an image can be held to it later."""
    root = plan.root_password
    return Settings(
        hostname=plan.hostname,
        timezone=plan.timezone.name,
        lang=plan.lang,
        keymap=plan.keyboard.keymap,
        selinux=plan.selinux.value if plan.selinux else None,
        root_locked=root.locked or not (root.hash or root.plain),
        services_enabled=tuple(plan.services_enabled),
        services_disabled=tuple(plan.services_disabled),
        kernel_arguments=" ".join(kernel_arguments),
        boot_timeout=plan.bootloader.timeout,
        users=tuple(
            UserEntry(name=user.name, groups=tuple(user.groups), locked=user.password.locked)
            for user in plan.users
        ),
    )


def describe_file(path: Path) -> ImageFile:
    """Return what identifies a finished file."""
    md5, sha512, sha256 = digests_of_file(path, "md5", "sha512", "sha256")
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
