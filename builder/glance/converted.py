# SPDX-License-Identifier: MIT
"""The image in another format than the file's, by qemu-img: clouds on Ceph want raw, others vmdk or vhd."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from builder import conversion
from builder.files import work_folder
from builder.glance import source
from builder.glance.source import LocalImage
from builder.report import Report
from builder.runner import Runner
from builder.sizes import MIB


@contextlib.contextmanager
def converted(local: LocalImage, disk_format: str, runner: Runner, report: Report) -> Iterator[LocalImage]:
    """Have the image as a file of `disk_format` while the block runs; its own is the file itself.

    The copy is in a work folder next to the file, sparse where the format is raw.

    Raises:
        InputError: the file is not what its manifest says.
        CommandFailed: qemu-img cannot convert it.
        BuildError: the folder cannot be written.
    """
    if disk_format == local.format:
        yield local
        return
    if local.has_manifest:
        with report.step("hash", f"{local.size / MIB:.1f} MiB against the manifest"):
            source.check_digests(local, source.compute_digests(local.path, source.SENT))
    with work_folder(local.path.absolute().parent, f"{local.path.stem}-{disk_format}") as work:
        path = Path(work, f"{local.path.stem}.{disk_format}")
        with report.step("convert", f"{local.path.name} to {disk_format}") as step:
            conversion.convert(
                *(local.path, local.format, path, disk_format),
                seed=local.digests["sha256"],
                epoch=(local.manifest.inputs.source_date_epoch if local.manifest else None) or 0,
                runner=runner,
            )
            step.detail += f", {path.stat().st_size / MIB:.1f} MiB"
        with report.step("hash", f"{path.stat().st_size / MIB:.1f} MiB"):
            digests = source.compute_digests(path)
        # Another qemu-img may make other bytes: the next run knows the image by what it was made from.
        yield replace(
            local, path=path, size=path.stat().st_size, digests=digests, made_from=local.digests["sha256"]
        )
