# SPDX-License-Identifier: MIT
"""Decide which packages go into the image."""

from __future__ import annotations

from functools import partial

from builder.errors import InputError, Problem
from builder.image.build import Build
from builder.image.disk import layout
from builder.image.disk.filesystems import try_mkfs_options
from builder.image.disk.filesystems.disk import DiskFile
from builder.image.isolation import sandbox
from builder.image.packages import dnf
from builder.image.packages.choice import Choice
from builder.kickstart.disk.filesystems import KINDS
from builder.sizes import MIB


def run(build: Build) -> str:
    """Have dnf choose; what it chose is for `fetch` to fetch, unless the disk cannot hold it."""
    build.choice = Choice(dnf.ask(build, start=partial(sandbox.stream_solver, build), until="fetch"))
    build.facts.packages = build.choice.packages
    build.facts.installed_size = build.choice.installed_size
    return check(build)


def check(build: Build) -> str:
    """Hold what was chosen against the disk; return what the finished line shows.

    Raises:
        InputError: too small a disk, packages that it needs are missing, or options that mkfs does not take.
    """
    _check_room(build)
    _check_storage(build)
    _try_options(build)
    return f"{len(build.facts.packages)} packages, {build.facts.installed_size / 1e6:.0f} MB installed"


def _check_room(build: Build) -> None:
    """Compare what will be installed with what the planned file systems hold.

    Raises:
        InputError: too small, and by how much.
    """
    needed = build.facts.installed_size
    capacity = layout.capacity(build.plan.disk)
    # Packages put next to nothing on the EFI system partition.
    planned = sum(usage.bytes for point, usage in capacity.items() if point not in ("/boot/efi", "/efi"))
    if needed > planned:
        raise InputError(
            f"the disk is too small: the packages take {needed // MIB} MiB, "
            f"and the file systems hold {planned // MIB} MiB: {(needed - planned) // MIB + 1} MiB missing",
            hint="make the root partition larger: part / --size",
        )


def _check_storage(build: Build) -> None:
    """Compare the packages with what a guest needs to find its volumes, and to grow its root.

    Raises:
        InputError: volumes of LVM, and no lvm2 to find them.
    """
    names = {package.name for package in build.facts.packages}
    for group in build.plan.disk.groups:
        if "lvm2" not in names:
            where = str(group.place) if group.place else None
            problem = Problem(
                message=f"volgroup {group.name}: the image has no lvm2, so it would not find its volumes",
                where=where,
                hint="put lvm2 into %packages",
            )
            raise InputError(problems=[problem])
    root = build.plan.disk.holding("/")
    tool = KINDS[root.fstype].package if root else None
    if root is not None and tool is not None and tool not in names:
        build.report.verbose(f"note: / is {root.fstype}, and the image has no {tool}: a guest cannot grow it")


def _try_options(build: Build) -> None:
    """Try --mkfsoptions on empty file systems, before anything is fetched.

    Raises:
        InputError: with the line.
    """
    placed = layout.place(build.plan.disk, seed=build.seed, content={})
    disk = DiskFile(file=build.disk, runner=build.runner, epoch=0, work=build.work, xfs=build.target.xfs)
    try_mkfs_options(disk, placed, [volume.place for volume in build.plan.disk.volumes])
