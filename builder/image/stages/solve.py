# SPDX-License-Identifier: MIT
"""Decide which packages go into the image."""

from __future__ import annotations

from builder.errors import InputError
from builder.image.build import Build
from builder.image.disk import layout
from builder.image.packages import dnf
from builder.image.packages.choice import Choice
from builder.sizes import MIB


def run(build: Build) -> str:
    """Have dnf choose; what it chose is for `fetch` to fetch, unless the disk cannot hold it."""
    build.choice = Choice(dnf.ask(build, until="fetch"))
    build.facts.packages = build.choice.packages
    build.facts.installed_size = build.choice.installed_size
    _check_room(build)
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
            f"and the file systems hold {planned // MIB} MiB: {(needed - planned) // MIB + 1} MiB too little",
            hint="make the root partition larger: part / --size",
        )
