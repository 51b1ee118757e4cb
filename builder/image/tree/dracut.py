# SPDX-License-Identifier: MIT
"""What the initramfs must hold for the root, whatever the packages' dracut.conf leaves out (dracut.conf(5)).

In a file of the image, so that it holds for kernels that come later, too.
"""

from __future__ import annotations

from builder.image.build import Build
from builder.image.tree import tree
from builder.kickstart.disk.filesystems import EXT, KINDS

FILE = "/etc/dracut.conf.d/50-root-storage.conf"


def apply(build: Build) -> None:
    """Write dracut's configuration where the root is on LVM, or not on ext4."""
    disk = build.plan.disk
    modules, drivers = set(), set()
    for mountpoint in ("/", "/usr"):
        volume = disk.holding(mountpoint)
        if volume is None:
            continue
        if volume not in disk.partitions:
            modules.add("lvm")
        if module := KINDS[volume.fstype].dracut:
            modules.add(module)
        # dracut puts ext's driver into any generic initramfs by default.
        if volume.fstype not in EXT:
            drivers.add(volume.fstype)
    lines = [f'add_dracutmodules+=" {" ".join(sorted(modules))} "'] if modules else []
    lines += [f'add_drivers+=" {" ".join(sorted(drivers))} "'] if drivers else []
    if lines:
        tree.write(FILE, "\n".join(["# Made with the image: what / needs.", *lines, ""]))
