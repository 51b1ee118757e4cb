# SPDX-License-Identifier: MIT
"""The manifest of an image: what is in it, what it was made from, and its file's digests (format 1).

The dataclasses are the format: `NAME.manifest.json` next to NAME.qcow2 has their fields as keys. A reader
passes over keys that it does not know; a field added to format 1 has a default, so that older manifests can
still be read.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from builder import json_text
from builder.errors import InputError
from builder.files import sha256_file, write_atomic

FORMAT = 1
CHECKSUMS = "SHA256SUMS"
# What the name of a compressed raw disk has after .raw.
COMPRESSED = ".zst"


@dataclass(frozen=True, kw_only=True, slots=True)
class OperatingSystem:
    """Words of the image's os-release."""

    id: str
    version_id: str
    pretty_name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SubvolumeEntry:
    """A subvolume of a btrfs: its path from the top level, and where it is mounted."""

    path: str
    mountpoint: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class VolumeEntry:
    """A logical volume of LVM as it was made; `size` in bytes."""

    group: str
    name: str
    mountpoint: str | None
    fstype: str
    uuid: str | None
    label: str | None
    size: int
    subvolumes: tuple[SubvolumeEntry, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class PartitionEntry:
    """A partition as it was made; `start` and `size` in bytes."""

    number: int
    mountpoint: str | None
    fstype: str
    uuid: str | None
    partuuid: str
    label: str | None
    start: int
    size: int
    subvolumes: tuple[SubvolumeEntry, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class InstalledPackage:
    """An installed package: `name-[epoch:]version-release.arch`, the digest and size of its file.

    `size` is what it takes when installed, in bytes; `sha256` is None where no repository gave one. `sigmd5`
    is the digest of header and payload by which Koji knows it, `key` the id of the key that signed it.
    """

    nevra: str
    name: str
    sha256: str | None
    size: int
    sigmd5: str | None = None
    key: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class KickstartFile:
    """A kickstart that was read, or a file that it includes."""

    path: str
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class UsedRepository:
    """A repository as it was read; `repomd_sha256` names its state."""

    name: str
    url: str
    repomd_sha256: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class UsedElement:
    """An element of diskimage-builder that took part; `sha256` is of all its files."""

    name: str
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """What the image was made from.

    `builder` is our version; `fingerprint` the digest of all that decides the image's bytes: an equal one
    means that there is nothing to build.
    """

    kickstart: tuple[KickstartFile, ...]
    repositories: tuple[UsedRepository, ...]
    gpgcheck: bool
    builder: str
    source_date_epoch: int | None
    fingerprint: str
    elements: tuple[UsedElement, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class UserEntry:
    """An account that the kickstart makes; no password or key is kept."""

    name: str
    groups: tuple[str, ...]
    locked: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What the kickstart set, as far as an image can be held to it later. `boot_timeout` is in seconds.

    `passwords` are the accounts that it gives one, `ssh_keys` the accounts that it gives keys and the files
    of keys that its scripts write, `kept` what it put on purpose where a build cleans up, `changed` all
    files and folders that scripts changed or made. `turned_off` are the units that packages turned on and it
    off, `removed` the packages that scripts removed, `superusers` the accounts with uid 0 that it makes
    besides root, `hardware_addresses` those of its network lines. None: not recorded, by an older builder.
    """

    hostname: str | None
    timezone: str | None
    lang: str | None
    keymap: str | None
    selinux: str | None
    root_locked: bool
    services_enabled: tuple[str, ...]
    services_disabled: tuple[str, ...]
    kernel_arguments: str
    boot_timeout: int | None = None
    users: tuple[UserEntry, ...]
    passwords: tuple[str, ...] | None = None
    ssh_keys: tuple[str, ...] | None = None
    kept: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    turned_off: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    superusers: tuple[str, ...] = ()
    hardware_addresses: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class StageTime:
    """How long a stage of the build took."""

    name: str
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageFile:
    """The image's file: its name, its size in bytes, its digests in hex."""

    path: str
    size: int
    sha256: str
    sha512: str
    md5: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageManifest:
    """The whole. `virtual_size` is in bytes, `min_disk` in GiB; `firmware` holds bios, uefi or both.

    `artifact` is the file in `disk_format`; `others` hold the same disk in other formats.
    """

    name: str
    target: str
    architecture: str
    os: OperatingSystem
    default_user: str | None
    firmware: tuple[str, ...]
    virtual_size: int
    disk_format: str
    min_disk: int
    partitions: tuple[PartitionEntry, ...]
    volumes: tuple[VolumeEntry, ...] = ()
    packages: tuple[InstalledPackage, ...]
    inputs: Inputs
    warnings: tuple[str, ...]
    settings: Settings
    stages: tuple[StageTime, ...]
    artifact: ImageFile
    others: tuple[ImageFile, ...] = ()

    @property
    def files(self) -> tuple[ImageFile, ...]:
        """Every file of the disk."""
        return (self.artifact, *self.others)

    def file_of(self, name: str) -> ImageFile | None:
        """Return what is known of the file called `name`; None: the manifest is not about it."""
        return next((each for each in self.files if each.path == name), None)


def manifest_path(image: Path) -> Path:
    """Return where the manifest of an image lies, if it has one: all formats of a disk share it."""
    return image.with_name(f"{Path(image.name.removesuffix(COMPRESSED)).stem}.manifest.json")


def find_manifest(image: Path) -> ImageManifest | None:
    """Return the manifest of an image; None where none is next to it. Raises as read_manifest does."""
    path = manifest_path(image)
    return read_manifest(path) if path.exists() else None


def read_manifest(path: Path) -> ImageManifest:
    """Read a manifest.

    Raises:
        InputError: it cannot be read, is of another format, or does not have what it must have.
    """
    try:
        raw = json_text.parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}") from error
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise InputError(f"{path}: not a manifest of format {FORMAT}")
    try:
        return typing.cast("ImageManifest", _convert(raw, ImageManifest, ""))
    except ValueError as error:
        raise InputError(f"{path}: not a manifest: {error}") from error


def as_data(manifest: ImageManifest) -> dict[str, Any]:
    """Return a manifest as it is written."""
    return {"format": FORMAT, **dataclasses.asdict(manifest)}


def write_manifest(folder: Path, manifest: ImageManifest) -> tuple[Path, Path]:
    """Write the manifest and SHA256SUMS next to the files of the image in `folder`; return both paths.

    SHA256SUMS is what `sha256sum --check` reads, and is written last: where it is, the rest is.
    """
    path = manifest_path(folder / manifest.artifact.path)
    write_atomic(path, json.dumps(as_data(manifest), indent=2) + "\n")
    sums = [(each.sha256, each.path) for each in manifest.files] + [(sha256_file(path), path.name)]
    write_atomic(folder / CHECKSUMS, "".join(f"{digest}  {name}\n" for digest, name in sums))
    return path, folder / CHECKSUMS


_JSON_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def _convert(value: object, kind: Any, label: str) -> object:
    """Return a value of JSON as `kind`; ValueError names what does not fit: "partitions[2].start: ..."."""
    if isinstance(kind, types.UnionType):
        kind = next(each for each in typing.get_args(kind) if each is not types.NoneType)
        if value is None:
            return None
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{label}: not a list")
        inner = typing.get_args(kind)[0]
        return tuple(_convert(each, inner, f"{label}[{number}]") for number, each in enumerate(value))
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise ValueError(f"{label}: not a mapping")
        return _convert_object(value, typing.cast("type", kind), label)
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise ValueError(f"{label}: not {_JSON_NAMES[kind]}")
    return value


def _convert_object(value: dict[str, object], kind: type, label: str) -> object:
    given = {}
    for field in dataclasses.fields(kind):
        inner = f"{label}.{field.name}" if label else field.name
        if field.name in value:
            given[field.name] = _convert(value[field.name], _hints(kind)[field.name], inner)
        elif field.default is dataclasses.MISSING:
            raise ValueError(f"{inner} is missing")
    return kind(**given)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)
