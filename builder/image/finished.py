# SPDX-License-Identifier: MIT
"""What a build leaves: the files of an image, and whether they are what a build would make."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.errors import InputError
from builder.files import sha256_file
from builder.image.build import BuildOptions
from builder.kickstart.plan import ImagePlan
from builder.manifest import COMPRESSED, read_manifest


@dataclass(frozen=True, kw_only=True, slots=True)
class FinishedImage:
    """A finished image: where it is, whether it was there already, which scripts failed on the way."""

    folder: Path
    files: tuple[Path, ...]
    manifest: Path
    unchanged: bool
    failed_scripts: tuple[str, ...] = ()


def file_names(name: str, formats: tuple[str, ...]) -> tuple[str, ...]:
    """Return what the finished files are called; raw is there compressed, too."""
    names = []
    for format in formats:
        names.append(f"{name}.{format}")
        if format == "raw":
            names.append(f"{name}.raw{COMPRESSED}")
    return tuple(names)


def is_current(result: FinishedImage, fingerprint: str) -> bool:
    """Say whether the finished image is what a build of the same inputs would make, and is unharmed."""
    try:
        known = read_manifest(result.manifest)
        return (
            known.inputs.fingerprint == fingerprint
            and [each.path for each in known.files] == [path.name for path in result.files]
            and all(
                sha256_file(path) == each.sha256 for path, each in zip(result.files, known.files, strict=True)
            )
        )
    except (InputError, OSError):
        return False


def log_of(plan: ImagePlan, options: BuildOptions) -> Path:
    """Return where the log of the last build of `plan` is kept."""
    return options.out / f"{plan.name}.log"
