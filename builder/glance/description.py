# SPDX-License-Identifier: MIT
"""What Glance knows about an image: its fields and properties, derived from the manifest.

The names are Glance's (doc/source/admin/useful-image-properties.rst). Properties that begin with
`openstack_utils_` are ours; by them the next run recognises an image of the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.errors import InputError, Problem
from builder.formats.diskimage import FORMATS
from builder.glance.source import LocalImage
from builder.manifest import ImageManifest
from builder.sizes import GIB

OURS = "openstack_utils_"
SHA256 = OURS + "sha256"
SHA512 = OURS + "sha512"
# The sha256 of the file that a converted image was made from.
MADE_FROM = OURS + "made_from"
# Who is uploading; taken away when the image is finished.
UPLOADER = OURS + "uploader"
VISIBILITIES = ("private", "shared", "community", "public")
# Fields of an image that are not free properties (glance, /v2/schemas/image).
FIELDS = (
    "id", "name", "status", "visibility", "protected", "os_hidden", "checksum", "os_hash_algo",
    "os_hash_value", "owner", "size", "virtual_size", "container_format", "disk_format", "created_at",
    "updated_at", "tags", "direct_url", "min_ram", "min_disk", "self", "file", "schema", "locations",
    "stores",
)  # fmt: skip
# The fields that an option of `upload` sets.
OPTIONS = {"name": "--name", "visibility": "--visibility", "min_disk": "--min-disk", "min_ram": "--min-ram",
           "tags": "--tag", "os_hidden": "--hidden", "protected": "--protected", "owner": "--owner",
           "disk_format": "--disk-format", "stores": "--store"}  # fmt: skip
# MiB: cloud-init and an initramfs of a distribution's kernel do not get along with less.
MIN_RAM = 512


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """What the user says of the image's own fields; None is what follows from the image."""

    min_disk: int | None = None
    min_ram: int | None = None
    hidden: bool = False
    protected: bool = False
    owner: str | None = None
    tags: tuple[str, ...] = ()
    disk_format: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """An image as it shall be: fields of its own, and properties (all strings)."""

    name: str
    min_disk: int
    min_ram: int
    visibility: str | None
    properties: Mapping[str, str]
    disk_format: str = "qcow2"
    container_format: str = "bare"
    hidden: bool = False
    protected: bool = False
    owner: str | None = None
    tags: tuple[str, ...] = ()

    def fields(self) -> dict[str, Any]:
        """Return the body of the request that creates it; without a visibility the cloud has its own."""
        value: dict[str, Any] = {
            "name": self.name,
            "disk_format": self.disk_format,
            "container_format": self.container_format,
            "min_disk": self.min_disk,
            "min_ram": self.min_ram,
            **self.properties,
        }
        # Only what was asked for: an old Glance knows no hidden images, and an owner is an administrator's.
        asked = {"visibility": self.visibility, "os_hidden": self.hidden, "protected": self.protected,
                 "owner": self.owner, "tags": list(self.tags)}  # fmt: skip
        return value | {key: item for key, item in asked.items() if item}


def describe(
    source: LocalImage,
    *,
    name: str | None = None,
    visibility: str | None = None,
    properties: Mapping[str, str] | None = None,
    wishes: Wishes | None = None,
) -> Description:
    """Derive the description of `source`; what the user says wins, an empty property takes one away."""
    manifest = source.manifest
    derived = _from_manifest(manifest) if manifest else {}
    derived |= properties or {}
    derived[SHA256] = source.digests["sha256"]
    if "sha512" in source.digests:
        derived[SHA512] = source.digests["sha512"]
    if source.made_from is not None:
        derived[MADE_FROM] = source.made_from
    wishes = wishes or Wishes()
    return Description(
        name=name or (manifest.name if manifest else _name(source.path)),
        min_disk=_first(wishes.min_disk, manifest.min_disk if manifest else -(-source.virtual_size // GIB)),
        min_ram=_first(wishes.min_ram, MIN_RAM if manifest else 0),
        visibility=visibility,
        properties={key: value for key, value in derived.items() if value},
        disk_format=wishes.disk_format or source.format,
        hidden=wishes.hidden,
        protected=wishes.protected,
        owner=wishes.owner,
        tags=wishes.tags,
    )


def _name(path: Path) -> str:
    """Return the name of a file without the ending of a format."""
    return path.stem if path.suffix[1:] in FORMATS else path.name


def _first(wanted: int | None, derived: int) -> int:
    return derived if wanted is None else wanted


def parse_properties(words: Sequence[str]) -> dict[str, str]:
    """Turn the KEY=VALUE words of the command line into properties.

    Raises:
        InputError: every word that is none, that is given twice, or whose key is not the user's to set.
    """
    properties: dict[str, str] = {}
    problems: list[Problem] = []
    for word in words:
        key, equals, value = word.partition("=")
        where = f"--property {word}"
        if not equals or not re.fullmatch(r"[A-Za-z0-9_.:-]{1,255}", key):
            problems.append(Problem(message="not KEY=VALUE", where=where))
        elif key in FIELDS:
            option = OPTIONS.get(key)
            problems.append(
                Problem(
                    message=f"{key} is a field of the image, not a property",
                    where=where,
                    hint=f"use {option}" if option else None,
                )
            )
        elif key.startswith((OURS, "os_glance")):
            problems.append(Problem(message=f"{key} is reserved", where=where))
        elif key in properties:
            problems.append(Problem(message=f"{key} is given twice", where=where))
        else:
            properties[key] = value
    if problems:
        raise InputError(problems=problems)
    return properties


def _from_manifest(manifest: ImageManifest) -> dict[str, str]:
    firmware = manifest.firmware
    has_agent = any(package.name == "qemu-guest-agent" for package in manifest.packages)
    values = {
        "os_type": "linux",
        "os_distro": manifest.os.id,
        "os_version": manifest.os.version_id,
        "architecture": manifest.architecture,
        "os_admin_user": manifest.default_user,
        # An image that boots both ways leaves the choice to the cloud.
        "hw_firmware_type": firmware[0] if len(firmware) == 1 else None,
        "hw_qemu_guest_agent": "yes" if has_agent else None,
    }
    return {key: value for key, value in values.items() if value}
