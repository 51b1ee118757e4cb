# SPDX-License-Identifier: MIT
"""Write the partition table, every file system, and the boot loader's sectors into the raw disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from builder.image import manifest
from builder.image.build import Build
from builder.image.cache.clusters import Clusters
from builder.image.disk import bootloader, borrowed, filesystems, layout, table
from builder.image.disk.filesystems.disk import DiskFile, Piece
from builder.image.disk.filesystems.labels import Labels
from builder.image.disk.filesystems.source import TreeEntry
from builder.image.disk.filesystems.usage import measure
from builder.image.disk.placement import DiskLayout
from builder.image.disk.volumes.metadata import write_groups
from builder.image.isolation.bare_room import bare_room
from builder.image.tree import labels, tree
from builder.memory import available_memory

# Of an image whose files are listed in its report: what goes through the door has a bound.
MOST_FILES = 90_000
LONGEST_NAMES = 12 << 20
# What each file system holds, as the writers see it.
SOURCES = Path("/tmp/filesystems")
# For small files of the writers.
SCRATCH = Path("/tmp/writers")


def run(build: Build) -> str:
    """Write the disk."""
    assert build.facts.layout is not None
    own = [point for placed in build.facts.layout.volumes for point in layout.own_mountpoints(placed)]
    sources = tree.separate(tuple(own), SOURCES)
    files: dict[str, int] = {}
    folders: dict[bytes, list[TreeEntry]] = {}
    of_policy = Labels(
        contexts=labels.read_contexts(), folders={os.fsencode(path): point for point, path in sources.items()}
    )
    content = {
        mountpoint: measure(folder, files, mountpoint, known=folders, labels=of_policy)
        for mountpoint, folder in sources.items()
    }
    if len(files) <= MOST_FILES and sum(map(len, files)) <= LONGEST_NAMES:
        build.facts.files = files
    # Once more, with what is there by now: nothing moves, and what does not fit is reported with numbers.
    placed = layout.place(build.plan.disk, seed=build.seed, content=content)
    build.facts.layout = placed
    table.make_file(build.disk, placed)
    for mount in placed.mounts:
        if mount.mountpoint not in sources:
            sources[mount.mountpoint] = tree.below(sources, mount.mountpoint)
    SCRATCH.mkdir()
    pieces: list[Piece] = []
    used, clusters = sum(usage.bytes for usage in content.values()), build.clusters
    if clusters and clusters.may_promise and _are_many_known(build, used // clusters.cluster):
        _write(build, placed, sources, folders, of_policy, pieces)
        known = Clusters.read(build.ask("known clusters", ""))
        foreseen = _foresee(build, os.fsencode(sources["/"]), folders)
        given = borrowed.settle(build.disk, pieces, clusters.cluster, known, foreseen)
        build.ask("clusters", "", Clusters.pack(given))
    else:
        _write(build, placed, sources, folders, of_policy, None)
    build.facts.os = manifest.read_os_release(tree.path("/"))
    return f"{placed.size >> 20} MiB, {used / 1e6:.0f} MB used" + (", labelled" if of_policy.contexts else "")


def _are_many_known(build: Build, clusters: int) -> bool:
    """Say whether enough of the disk's clusters are known: else what a writer writes at once costs less."""
    return int(build.ask("so far", "")) > clusters // 4


def _foresee(build: Build, root: bytes, folders: Mapping[bytes, list[TreeEntry]]) -> borrowed.Foreseen:
    """Return what is known of clusters of the root's files as the packages brought them."""
    if build.watch is None:
        return borrowed.NOTHING
    return borrowed.Foreseen(
        names=Clusters.read_foreseen(build.ask("foreseen", "")),
        untouched=build.watch.untouched(folders, root),
        top=root,
    )


def _write(
    build: Build,
    placed: DiskLayout,
    sources: Mapping[str, Path],
    folders: Mapping[bytes, list[TreeEntry]],
    of_policy: Labels,
    pieces: list[Piece] | None,
) -> None:
    """Write the partition table, file systems and boot loader; `pieces` gets what is to be written later."""
    memory = build.share_of(available_memory())
    with bare_room(readable=[SOURCES], writable=[build.disk, SCRATCH], memory=memory) as room:
        table.write_table(build.disk, placed, runner=build.runner, child=room.child)
        write_groups(build.disk, placed, epoch=build.options.source_date_epoch)
        disk = DiskFile(
            file=build.disk,
            runner=build.runner,
            epoch=build.options.source_date_epoch,
            work=SCRATCH,
            xfs=build.target.xfs,
            child=room.child,
            borrowed=pieces,
            folders=folders,
            labels=of_policy,
        )
        filesystems.write_all(disk, placed, sources)
    bootloader.embed(tree.path("/"), build.disk, placed)
