# SPDX-License-Identifier: MIT
"""Write the partition table, every file system, and the boot loader's sectors into the raw disk."""

from __future__ import annotations

from pathlib import Path

from builder.image import manifest
from builder.image.build import Build
from builder.image.disk import bootloader, filesystems, layout
from builder.image.tree import tree


def run(build: Build) -> str:
    """Write the disk."""
    assert build.facts.layout is not None
    mountpoints = tuple(one.mountpoint for one in build.facts.layout.filesystems if one.mountpoint)
    sources = tree.separate(mountpoints, Path("/tmp/filesystems"))
    content = {mountpoint: filesystems.measure(folder) for mountpoint, folder in sources.items()}
    # Once more, with what is there by now: nothing moves, and what does not fit is told with numbers.
    placed = layout.place(build.plan.disk, seed=build.seed, content=content)
    build.facts.layout = placed
    layout.write_table(build.disk, placed, runner=build.runner)
    scratch = Path("/tmp/writers")
    scratch.mkdir()
    filesystems.write_all(
        build.disk,
        placed,
        sources,
        runner=build.runner,
        epoch=build.options.source_date_epoch,
        work=scratch,
    )
    bootloader.embed(tree.path("/"), build.disk, placed)
    build.facts.os = manifest.read_os_release(tree.path("/"))
    used = sum(usage.bytes for usage in content.values())
    return f"{placed.size >> 20} MiB, {used / 1e6:.0f} MB used"
