# SPDX-License-Identifier: MIT
"""Turn the raw disk into the finished files: a compressed qcow2, and what else was asked for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from builder import conversion
from builder.digesting import Digests
from builder.image.build import Build
from builder.image.cache.clusters import Clusters
from builder.image.disk import compressed, qcow2
from builder.image.finished import file_names
from builder.image.manifest import ALGORITHMS
from builder.manifest import COMPRESSED


def run(build: Build) -> str:
    """Write and check each file; say how large they are."""
    build.finished.mkdir(mode=0o755, exist_ok=True)
    for format in build.options.formats:
        path = build.finished / f"{build.plan.name}.{format}"
        if format == "qcow2":
            _write_qcow2(build, path)
        elif format == "raw":
            # The disk itself, with its holes.
            os.link(build.disk, path)
            compressed.write(path, path.with_name(path.name + COMPRESSED), progress=_progress(build, ".zst"))
        else:
            if build.step:
                build.step.progress(format)
            conversion.convert(
                *(build.disk, "raw", path, format),
                seed=build.seed,
                epoch=build.options.source_date_epoch,
                runner=build.runner,
            )
    if not build.options.keep:
        build.disk.unlink()
    files = [build.finished / name for name in file_names(build.plan.name, build.options.formats)]
    for path in files:
        path.chmod(0o644)
    # What it takes: a raw file is mostly holes.
    sizes = ((path.name[len(build.plan.name) + 1 :], path.stat().st_blocks * 512 / 1e6) for path in files)
    return ", ".join(f"{kind} {size:.0f} MB" for kind, size in sizes)


def know_clusters(build: Build) -> Clusters:
    """Return what is known of clusters of images like this one."""
    image = build.options.out / build.plan.name / f"{build.plan.name}.qcow2"
    return Clusters(image, _format(build), build.tree_key)


def _format(build: Build) -> qcow2.Format:
    return qcow2.ZLIB if build.options.compat else qcow2.ZSTD


def _write_qcow2(build: Build, path: Path) -> None:
    """Write it; clusters that the image to be replaced, or a sibling, has too are copied from there."""
    build.clusters = build.clusters or know_clusters(build)
    with Digests(*ALGORITHMS) as digests:
        in_order = qcow2.convert(
            build.disk,
            path,
            format=_format(build),
            compressor=build.clusters,
            progress=_progress(build, "qcow2"),
            written=digests.feed,
        )
        if in_order:
            build.digests[path] = digests.end()
    qcow2.check(path, runner=build.runner)


def _progress(build: Build, what: str) -> Callable[[float], None]:
    return lambda percent: build.step.progress(f"{what} {percent:.0f} %") if build.step else None
