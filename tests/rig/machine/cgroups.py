# SPDX-License-Identifier: MIT
"""A control group for each machine, so that two on one host never meet.

systemd keeps its services in groups below the one it was started in; two machines in the same one would
take each other's processes for their own. The groups bear the name of the machine's work folder: what a
killed run leaves is known by it.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

# cgroups(7): version 2 alone, together with version 1, and the hierarchy of version 1 that systemd wants.
MOUNTS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup/systemd"))
PREFIX = "openstack-builder-machine."


def make(name: str) -> tuple[Path, ...]:
    """Make the groups of the machine `name`; return the files that a process is put into them by."""
    groups = [mount / f"{PREFIX}{name}" for mount in _mounts()]
    for group in groups:
        group.mkdir()
    return tuple(group / "cgroup.procs" for group in groups)


def remove(name: str) -> None:
    """Remove the groups of the machine `name`, whose processes have been killed."""
    for mount in _mounts():
        _remove(mount / f"{PREFIX}{name}")


def remove_stale(folder: Path) -> None:
    """Remove the groups of machines that have no work folder in `folder` any more."""
    for mount in _mounts():
        for group in mount.glob(f"{PREFIX}*"):
            if not (folder / group.name.removeprefix(PREFIX)).exists():
                _remove(group)


def _mounts() -> list[Path]:
    return [mount for mount in MOUNTS if (mount / "cgroup.procs").exists()]


def _remove(group: Path) -> None:
    # A killed process leaves its group when the kernel has got round to it.
    deadline = time.monotonic() + 60
    while group.exists() and time.monotonic() < deadline:
        # Groups go away by themselves meanwhile: os.walk leaves out what it does not find any more.
        for folder, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()
        if group.exists():
            time.sleep(0.02)
