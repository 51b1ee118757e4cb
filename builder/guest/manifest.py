# SPDX-License-Identifier: MIT
"""The manifest beside an image, as far as the checks ask for it. An image without one can be verified too."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.errors import InputError

FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedPartition:
    """A partition as the build made it; `start` and `size` are bytes."""

    number: int
    mountpoint: str | None
    fstype: str
    uuid: str | None
    start: int
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """What the build says of its image. `settings` is what the kickstart asked for."""

    path: Path
    default_user: str | None
    firmware: tuple[str, ...]
    virtual_size: int | None
    partitions: tuple[PlannedPartition, ...]
    packages: tuple[str, ...]  # NEVRAs
    gpgcheck: bool
    sha256: str | None
    settings: dict[str, Any]


def find_manifest(image: Path) -> Path | None:
    """Return the manifest beside `image` (`NAME.manifest.json`); None: there is none."""
    path = image.with_name(f"{image.stem}.manifest.json")
    return path if path.is_file() else None


def load_manifest(path: Path) -> Manifest:
    """Read a manifest of format 1.

    Raises:
        InputError: it cannot be read, is of another format, or lacks what it must have.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{path}: not a manifest: {reason}") from error
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise InputError(f"{path}: not a manifest of format {FORMAT}")
    try:
        return Manifest(
            path=path,
            default_user=raw.get("default_user"),
            firmware=tuple(raw.get("firmware", ())),
            virtual_size=raw.get("virtual_size"),
            partitions=tuple(
                PlannedPartition(
                    number=int(entry["number"]),
                    mountpoint=entry.get("mountpoint"),
                    fstype=entry["fstype"],
                    uuid=entry.get("uuid"),
                    start=int(entry["start"]),
                    size=int(entry["size"]),
                )
                for entry in raw["partitions"]
            ),
            packages=tuple(entry["nevra"] for entry in raw["packages"]),
            gpgcheck=bool(raw.get("inputs", {}).get("gpgcheck", True)),
            sha256=raw.get("artifact", {}).get("sha256"),
            settings=dict(raw.get("settings", {})),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: not a manifest: {error!r}") from error
