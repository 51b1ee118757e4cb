# SPDX-License-Identifier: MIT
"""Disk files with file systems in them, and the programs that judge them."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from builder.image.disk import filesystems, layout, table
from builder.image.disk.filesystems.disk import DiskFile
from builder.image.disk.filesystems.labels import Labels
from builder.image.disk.filesystems.source import TreeEntry
from builder.image.disk.filesystems.usage import measure
from builder.image.disk.placement import DiskLayout
from builder.image.disk.volumes.metadata import write_groups
from builder.kickstart import plan
from builder.kickstart.plan import Partition, Subvolume, VolumeGroup
from builder.runner import Runner
from tests.support.trees import EPOCH

BLOCK = 4096


def place(*partitions: Partition, label: str = "gpt", groups: tuple[VolumeGroup, ...] = ()) -> DiskLayout:
    """Return where the partitions lie, without a plan of a kickstart."""
    disk = plan.Disk(label=label, partitions=partitions, groups=groups)
    return layout.place(disk, seed="test", content={})


def btrfs_of(**mount_points: str) -> Partition:
    """Return a btrfs of subvolumes: path=mount point."""
    subvolumes = tuple(Subvolume(path=path, mountpoint=point) for path, point in mount_points.items())
    return Partition(mountpoint=None, fstype="btrfs", size=400, subvolumes=subvolumes)


def write_disk(
    file: Path,
    placed: DiskLayout,
    sources: Mapping[str, Path],
    *,
    runner: Runner,
    work: Path,
    epoch: int = EPOCH,
    xfs: Mapping[str, int] | None = None,
    labels: Labels | None = None,
) -> None:
    """Write table, volume groups and file systems, as the disk stage of a build does."""
    table.make_file(file, placed)
    table.write_table(file, placed, runner=runner)
    write_groups(file, placed, epoch=epoch)
    folders: dict[bytes, list[TreeEntry]] = {}
    for source in sources.values():
        measure(source, known=folders, labels=labels)
    disk = DiskFile(file=file, runner=runner, epoch=epoch, work=work, folders=folders, labels=labels)
    filesystems.write_all(replace(disk, xfs=xfs or {}), placed, sources)


def tool(*argv: str | bytes, ok: tuple[int, ...] = (0,)) -> bytes:
    done = subprocess.run(
        argv,
        capture_output=True,
        check=False,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"},
    )
    assert done.returncode in ok, (argv, done.stdout, done.stderr)
    return done.stdout


def difference(one: Path, two: Path) -> str:
    """Return where two files differ in one line, "" where they are equal: pytest would print the files."""
    first, second = one.read_bytes(), two.read_bytes()
    if first == second:
        return ""
    starts = range(0, max(len(first), len(second)), BLOCK)
    found = [start for start in starts if first[start : start + BLOCK] != second[start : start + BLOCK]]
    return f"{len(first)} and {len(second)} bytes; {len(found)} blocks of 4096 differ, at {found[:8]}"
