# SPDX-License-Identifier: MIT
"""A whole manifest, for tests to change what they are about."""

from __future__ import annotations

import dataclasses
from typing import Any

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

SETTINGS = Settings(
    hostname=None,
    timezone="Etc/UTC",
    lang="C.UTF-8",
    keymap="us",
    selinux="enforcing",
    root_locked=True,
    services_enabled=("sshd",),
    services_disabled=("cups",),
    kernel_arguments="console=tty1 console=ttyS0,115200n8 net.ifnames=0",
    boot_timeout=None,
    users=(UserEntry(name="admin", groups=("wheel",), locked=True),),
)
INPUTS = Inputs(
    kickstart=(KickstartFile(path="a.ks", sha256="ef"),),
    repositories=(UsedRepository(name="f", url="file:///f", repomd_sha256="cd"),),
    gpgcheck=True,
    builder="1",
    source_date_epoch=1_750_000_000,
    fingerprint="ab",
)
MANIFEST = ImageManifest(
    name="jeos",
    target="fixture-12",
    architecture="x86_64",
    os=OperatingSystem(id="fixture", version_id="12", pretty_name="Fixture Linux 12"),
    default_user="ec2-user",
    firmware=("bios", "uefi"),
    virtual_size=1 << 30,
    disk_format="qcow2",
    min_disk=1,
    partitions=(
        PartitionEntry(
            number=1, mountpoint="/", fstype="ext4", uuid="u", partuuid="p", label=None, start=1 << 20, size=5
        ),
    ),
    packages=(InstalledPackage(nevra="kernel-6-1.x86_64", name="kernel", sha256=None, size=7),),
    inputs=INPUTS,
    warnings=("a warning",),
    settings=SETTINGS,
    stages=(StageTime(name="install", seconds=1.25),),
    artifact=ImageFile(path="jeos.qcow2", size=3, sha256="aa", sha512="bb", md5="cc"),
)


def with_settings(**changes: Any) -> ImageManifest:
    """Return the manifest with other settings."""
    return dataclasses.replace(MANIFEST, settings=dataclasses.replace(SETTINGS, **changes))
