# SPDX-License-Identifier: MIT
"""What the talk needs of this machine, and what of its kernel has something else in its place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from builder.sizes import GIB
from tests.rig.machine.machine import reason_not_to_boot
from tests.rig.needs import find_missing_room
from tests.rig.talk.browser import PROGRAMS, find_browser

# Measured: caches, RPMs, image; the files of the machine lie in memory, next to its services and its guest.
DISK = 12 * GIB
MEMORY = 10 * GIB
CORES = 2
NEEDS = (
    f"root, {CORES} cores, {MEMORY // GIB} GiB of free memory, {DISK // GIB} GiB of disk, "
    "and a kernel with overlayfs, namespaces and /dev/net/tun"
)


def find_wants(folder: Path) -> Iterator[str]:
    """Yield what this machine lacks, each in a sentence."""
    reason = reason_not_to_boot()
    if reason:
        yield reason
    if (os.cpu_count() or 1) < CORES:
        yield f"{os.cpu_count()} cores are here, the talk needs {CORES}"
    yield from find_missing_room("the talk", folder=folder, disk=DISK, memory=MEMORY)
    if find_browser() is None:
        yield f"{PROGRAMS[0]} is not installed, which takes the pictures (make talk installs it)"
    if not Path("/dev/net/tun").exists():
        yield "/dev/net/tun is not there: instances have no network (modprobe tun)"


def find_substitutes() -> Iterator[str]:
    """Yield what takes the place of something that this kernel lacks, or is left out, each in a sentence."""
    yield (
        "instances are connected by Open vSwitch and its agent, the default on a Fedora host, whose kernel "
        "forwards itself; OVN is not set up"
    )
    if not Path("/sys/module/openvswitch").is_dir():
        yield "this kernel has no module openvswitch: the switch forwards in user space"
    if not has_device_mapper():
        yield "this kernel has no device-mapper: no group of volumes, so Cinder has no volumes"
    yield "instances run under qemu's own processor: /dev/kvm is not given to the machine"
    yield "the dashboard's httpd is Debian's, in Fedora's places: account, settings and unit are the rig's"


def has_device_mapper() -> bool:
    """Say whether the kernel maps devices. The node may be there without: opening it asks for the module."""
    try:
        os.close(os.open("/dev/mapper/control", os.O_RDWR))
    except OSError:
        return False
    return True
