# SPDX-License-Identifier: MIT
"""What a build leaves: where the files of an image will be, and whether they are what a build would make."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.destination import find_destination
from builder.errors import InputError
from builder.files import check_replaceable, remove_stale, sha256_file
from builder.image.build import BuildOptions
from builder.kickstart.plan import ImagePlan
from builder.manifest import COMPRESSED, manifest_path, read_manifest
from builder.timeline import Span


@dataclass(frozen=True, kw_only=True, slots=True)
class FinishedImage:
    """A finished image: where it is, whether it was there already, which scripts failed, what ran when."""

    folder: Path
    files: tuple[Path, ...]
    manifest: Path
    unchanged: bool
    failed_scripts: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()


def file_names(name: str, formats: tuple[str, ...]) -> tuple[str, ...]:
    """Return what the finished files are called; raw is there compressed, too."""
    names = []
    for format in formats:
        names.append(f"{name}.{format}")
        if format == "raw":
            names.append(f"{name}.raw{COMPRESSED}")
    return tuple(names)


def expect(plan: ImagePlan, options: BuildOptions) -> FinishedImage:
    """Return what a build of `plan` is to leave, as if it were there already; remove what killed builds left.

    Raises:
        InputError: what is in the place of the folder, the log or the timeline cannot be replaced.
    """
    result = place_of(plan, options)
    check_replaceable(result.folder, result.manifest.name)
    find_destination(log_of(plan, options))
    if options.timeline:
        find_destination(options.timeline)
    # It takes room that this build may need.
    if options.out.is_dir():
        remove_stale(options.out)
    return result


def place_of(plan: ImagePlan, options: BuildOptions) -> FinishedImage:
    """Return where the files of `plan` are to be."""
    folder = options.out / plan.name
    files = tuple(folder / name for name in file_names(plan.name, options.formats))
    return FinishedImage(folder=folder, files=files, manifest=manifest_path(files[0]), unchanged=True)


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


def log_of_pre(plan: ImagePlan, options: BuildOptions) -> Path:
    """Return where the log of the last run of the %pre scripts of `plan` is kept."""
    return options.out / f"{plan.name}.pre.log"
