# SPDX-License-Identifier: MIT
"""The manifest: what is in an image, what it was made from, and what its file's digests are (format 1)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder import __version__
from builder.files import digests_of_file, sha256_file, write_atomic
from builder.image.disk.placement import GIB, DiskLayout
from builder.kickstart.plan import ImagePlan

FORMAT = 1
CHECKSUMS = "SHA256SUMS"


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """An installed package: `name-[epoch:]version-release.arch`, the digest and size of its file.

    `size` is what it takes when installed; `sha256` is None for one that no repository told of.
    """

    nevra: str
    name: str
    sha256: str | None
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """A finished file."""

    path: Path
    size: int
    sha256: str
    sha512: str
    md5: str


@dataclass(frozen=True, kw_only=True, slots=True)
class UsedRepository:
    """A repository as it was read; `repomd_sha256` names its state."""

    name: str
    url: str
    repomd_sha256: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class OperatingSystem:
    """Words of the image's os-release."""

    id: str
    version_id: str
    pretty_name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """What came out of a build, beside its plan."""

    os: OperatingSystem
    firmware: tuple[str, ...]
    packages: tuple[Package, ...]
    repositories: tuple[UsedRepository, ...]
    kickstarts: Mapping[str, str]  # path -> sha256
    kernel_arguments: tuple[str, ...]
    stages: Sequence[tuple[str, float]]
    source_date_epoch: int | None
    fingerprint: str = ""  # of all that decides the image's bytes: an equal one means nothing to build
    warnings: tuple[str, ...] = ()
    artifact: Artifact


def digest_artifact(path: Path) -> Artifact:
    """Return what identifies `path`."""
    md5, sha512, sha256 = digests_of_file(path, "md5", "sha512", "sha256")
    return Artifact(path=path, size=path.stat().st_size, sha256=sha256, sha512=sha512, md5=md5)


def read_os_release(tree: Path) -> OperatingSystem:
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


def build(plan: ImagePlan, layout: DiskLayout, made: Made) -> dict[str, object]:
    """Return the manifest as it is written; no password or key of a user is in it."""
    return {
        "format": FORMAT,
        "name": plan.name,
        "target": plan.target,
        "architecture": plan.architecture,
        "os": {
            "id": made.os.id,
            "version_id": made.os.version_id,
            "pretty_name": made.os.pretty_name,
        },
        "default_user": plan.default_user,
        "firmware": list(made.firmware),
        "virtual_size": layout.size,
        "disk_format": "qcow2",
        "min_disk": -(-layout.size // GIB),
        "partitions": [
            {
                "number": one.number,
                "mountpoint": one.mountpoint,
                "fstype": one.fstype,
                "uuid": one.uuid,
                "partuuid": one.partuuid,
                "label": one.label,
                "start": one.start,
                "size": one.size,
            }
            for one in layout.partitions
        ],
        "packages": [
            {"nevra": one.nevra, "name": one.name, "sha256": one.sha256, "size": one.size}
            for one in sorted(made.packages, key=lambda one: one.nevra)
        ],
        "inputs": {
            "kickstart": [{"path": path, "sha256": digest} for path, digest in made.kickstarts.items()],
            "repositories": [
                {"name": one.name, "url": one.url, "repomd_sha256": one.repomd_sha256}
                for one in made.repositories
            ],
            "gpgcheck": plan.gpgcheck,
            "builder": __version__,
            "source_date_epoch": made.source_date_epoch,
            "fingerprint": made.fingerprint,
        },
        "warnings": list(made.warnings),
        "settings": settings(plan, made.kernel_arguments),
        "stages": [{"name": name, "seconds": round(seconds, 2)} for name, seconds in made.stages],
        "artifact": {
            "path": made.artifact.path.name,
            "size": made.artifact.size,
            "sha256": made.artifact.sha256,
            "sha512": made.artifact.sha512,
            "md5": made.artifact.md5,
        },
    }


def settings(plan: ImagePlan, kernel_arguments: Sequence[str]) -> dict[str, object]:
    """Return what the kickstart set, as far as an image can be held to it later."""
    return {
        "hostname": plan.hostname,
        "timezone": plan.timezone.name,
        "lang": plan.lang,
        "keymap": plan.keyboard.keymap,
        "selinux": plan.selinux.value if plan.selinux else None,
        "root_locked": plan.root_password.locked or not (plan.root_password.hash or plan.root_password.plain),
        "services_enabled": list(plan.services_enabled),
        "services_disabled": list(plan.services_disabled),
        "kernel_arguments": " ".join(kernel_arguments),
        "users": [
            {"name": user.name, "groups": list(user.groups), "locked": user.password.locked}
            for user in plan.users
        ],
    }


def write(folder: Path, manifest: Mapping[str, object]) -> tuple[Path, Path]:
    """Write NAME.manifest.json and SHA256SUMS beside the artifact; return both paths.

    SHA256SUMS is what `sha256sum --check` reads, and is written last: where it is, the rest is.
    """
    text = json.dumps(manifest, indent=2) + "\n"
    path = folder / f"{manifest['name']}.manifest.json"
    write_atomic(path, text)
    artifact = manifest["artifact"]
    assert isinstance(artifact, dict)
    sums = f"{artifact['sha256']}  {artifact['path']}\n{sha256_file(path)}  {path.name}\n"
    write_atomic(folder / CHECKSUMS, sums)
    return path, folder / CHECKSUMS
