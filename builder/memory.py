# SPDX-License-Identifier: MIT
"""Memory to work in: how much of it is free, and a folder of ours there."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from builder.errors import BuildError

# What POSIX shared memory is kept in, a tmpfs (shm_overview(7)).
SHARED = Path("/dev/shm")
CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")


def available_memory() -> int:
    """Return the bytes of memory that may still be taken: the kernel's number, or less in a limited cgroup.

    Raises:
        BuildError: as `free_memory`.
    """
    return min([free_memory(), *limits_of_cgroups()])


def free_memory() -> int:
    """Return the bytes of memory that the whole machine has still to give.

    Raises:
        BuildError: the kernel has no such number (proc(5), meminfo).
    """
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise BuildError("/proc/meminfo: no MemAvailable")


def folder_in_memory() -> Path | None:
    """Return a folder of this user in memory, made when missing.

    None where there is none, where programs may not be run, or where somebody else made the folder.
    """
    folder = SHARED / f"openstack-builder-{os.getuid()}"
    try:
        if os.statvfs(SHARED).f_flag & os.ST_NOEXEC:
            return None
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    # Anybody may make anything in SHARED.
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    return folder if ours else None


def has_room(folder: Path, needed: int) -> bool:
    """Return whether `folder` takes `needed` bytes, and memory has as many again besides."""
    return shutil.disk_usage(folder).free >= needed and available_memory() >= 2 * needed


def limits_of_cgroups() -> list[int]:
    """Return what this process's cgroup, and each that it is in, may still take (cgroup v2, memory.max)."""
    left = []
    try:
        line = next(line for line in OWN_CGROUP.read_text().splitlines() if line[:3] == "0::")
    except (OSError, StopIteration):
        return []
    folder = CGROUPS / line[3:].lstrip("/")
    for group in (folder, *folder.parents):
        try:
            limit, taken = ((group / f"memory.{name}").read_text().strip() for name in ("max", "current"))
            fields = dict(pair.split() for pair in (group / "memory.stat").read_text().splitlines())
        except OSError:
            continue
        if limit != "max":
            # What files keep in memory without having been used of late is given up at once.
            left.append(int(limit) - int(taken) + int(fields["inactive_file"]))
    return left
