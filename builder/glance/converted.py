# SPDX-License-Identifier: MIT
"""The image in another format than the file's, by qemu-img: clouds on Ceph want raw, others vmdk or vhd."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from builder.errors import InputError
from builder.files import work_folder
from builder.glance import source
from builder.glance.source import LocalImage
from builder.report import Report
from builder.runner import Runner
from builder.sizes import MIB

# Glance's name of a format -> qemu-img's, and its options. Of vmdk Glance takes the stream-optimized.
FORMATS = {
    "qcow2": ("qcow2", ()),
    "raw": ("raw", ()),
    "vmdk": ("vmdk", ("-o", "subformat=streamOptimized")),
    "vhd": ("vpc", ()),
    "vhdx": ("vhdx", ()),
    "vdi": ("vdi", ()),
}  # fmt: skip


@contextlib.contextmanager
def converted(local: LocalImage, disk_format: str, runner: Runner, report: Report) -> Iterator[LocalImage]:
    """Have the image as a file of `disk_format` while the block runs; qcow2 is the file itself.

    The copy is in a work folder next to the file, sparse where the format is raw.

    Raises:
        InputError: the file is not what its manifest says, or the format is unknown.
        CommandFailed: qemu-img cannot convert it.
        BuildError: the folder cannot be written.
    """
    if disk_format == "qcow2":
        yield local
        return
    if disk_format not in FORMATS:
        raise InputError(f"--disk-format {disk_format}: unknown", hint=f"one of {', '.join(FORMATS)}")
    if local.has_manifest:
        with report.step("hash", f"{local.size / MIB:.1f} MiB against the manifest"):
            source.check_digests(local, source.compute_digests(local.path))
    name, options = FORMATS[disk_format]
    with work_folder(local.path.absolute().parent, f"{local.path.stem}-{disk_format}") as work:
        path = Path(work, f"{local.path.stem}.{disk_format}")
        with report.step("convert", f"{local.path.name} to {disk_format}") as step:
            # The format is named: one that is guessed from hostile bytes could be another.
            runner.run(
                ["qemu-img", "convert", "-q", "-f", "qcow2", "-O", name, *options, local.path, path],
                hint="run qemu-img check on the file",
            )
            step.detail += f", {path.stat().st_size / MIB:.1f} MiB"
        with report.step("hash", f"{path.stat().st_size / MIB:.1f} MiB"):
            digests = source.compute_digests(path)
        # A vmdk has an id of its own each time: the next run knows it by what it was made from.
        yield replace(
            local, path=path, size=path.stat().st_size, digests=digests, made_from=local.digests["sha256"]
        )
