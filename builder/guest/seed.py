# SPDX-License-Identifier: MIT
"""Seed media: an ISO 9660 volume with the files that cloud-init looks for by its label."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from builder.guest.instance import Datasource, Instance, config_drive_files, nocloud_files
from builder.runner import Runner

ISO_WRITER = "mkisofs"


def write_seed(runner: Runner, folder: Path, datasource: Datasource, instance: Instance) -> Path | None:
    """Write the seed medium of `instance` to `folder` and return its path; None: it has no medium.

    The volume labels are `cidata` (cloud-init's NoCloud) and `config-2` (nova's config drive).
    """
    match datasource:
        case Datasource.NOCLOUD:
            return write_iso(runner, folder, "cidata", nocloud_files(instance))
        case Datasource.CONFIGDRIVE:
            return write_iso(runner, folder, "config-2", config_drive_files(instance))
        case _:
            return None


def write_iso(runner: Runner, folder: Path, label: str, files: Mapping[str, bytes]) -> Path:
    """Write `files` (path -> content) as `folder/seed.iso` with Joliet and Rock Ridge names."""
    tree = folder / "seed"
    for name, content in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    iso = folder / "seed.iso"
    runner.run([ISO_WRITER, "-quiet", "-V", label, "-J", "-r", "-o", iso, tree])
    return iso
