# SPDX-License-Identifier: MIT
"""The root folder that the inside sees: the host's programs read-only, and nothing else of the host.

It is made with more power than the inside gets (the host's root, or the first of two user namespaces), so
that the inside, root of a namespace below that, can neither unmount nor remount anything of it
(mount_namespaces(7), "Restrictions on mount namespaces").
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from builder.calls import MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, MS_RDONLY, MS_REC
from builder.image.isolation.mounts import bind, make_devices, make_read_only, mount, pivot_root

CODE = Path(__file__).resolve().parents[2]

# The inside's own folders, in memory, each with a bound.
WRITABLE = ("tree", "work", "tmp", "run", "var/tmp")
# Folders of sysfs that only administrate the host: cgroups, security modules, tracing.
_COVERED = ("fs", "kernel/debug", "kernel/tracing", "kernel/security", "kernel/config")
_OWN = "size=256m,nr_inodes=16k"
_EMPTY = "mode=755,size=4k,nr_inodes=8"


@dataclass(frozen=True, kw_only=True, slots=True)
class Bind:
    """A folder or file of the host, seen inside at `target`; read-only unless `writable`."""

    source: Path
    target: str
    writable: bool = False


def make_root(stage: Path, binds: tuple[Bind, ...]) -> None:
    """Build the root on a tmpfs at the empty folder `stage`, and pivot into it: the old one is gone.

    The process is alone in its mount namespace and the first of its pid namespace.
    """
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    base = os.fspath(stage)
    mount("tmpfs", base, "tmpfs", MS_NODEV, "mode=755,size=16m,nr_inodes=4k")
    for name in ("usr", "etc"):
        bind(f"/{name}", f"{base}/{name}")
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        if os.path.islink(f"/{name}"):
            os.symlink(os.readlink(f"/{name}"), f"{base}/{name}")
        elif os.path.isdir(f"/{name}"):
            bind(f"/{name}", f"{base}/{name}")
    _make_sys(base)
    os.mkdir(f"{base}/proc")
    # Its processes, and no other: the kernel wants to see the host's in the old root while it is mounted.
    mount("proc", f"{base}/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    for name in ("root", "mnt", "var/lib", "var/cache"):
        os.makedirs(f"{base}/{name}")
    for name in WRITABLE:
        os.makedirs(f"{base}/{name}")
        mount("tmpfs", f"{base}/{name}", "tmpfs", MS_NOSUID | MS_NODEV, f"mode=1777,{_OWN}")
    os.symlink("../run", f"{base}/var/run")
    make_devices(f"{base}/dev")
    # Our own Python and code, wherever they are: modules are imported when they are needed.
    for folder in sorted({sys.base_prefix, sys.prefix, os.fspath(CODE)}):
        if not folder.startswith("/usr/"):
            bind(folder, base + folder)
    for one in binds:
        bind(os.fspath(one.source), base + one.target, writable=one.writable)
    os.chmod(base, 0o755)
    pivot_root(base)


def _make_sys(base: str) -> None:
    try:
        # Alone: what the host mounts below it is mounted once more for each room, and of no use there.
        os.mkdir(f"{base}/sys")
        mount("/sys", f"{base}/sys", None, MS_BIND)
        make_read_only(f"{base}/sys")
    except OSError:
        # A plain user may not uncover what is under such mounts (mount_namespaces(7)).
        bind("/sys", f"{base}/sys")
    for name in _COVERED:
        if os.path.isdir(f"{base}/sys/{name}"):
            mount("tmpfs", f"{base}/sys/{name}", "tmpfs", MS_NOSUID | MS_NODEV | MS_RDONLY, _EMPTY)
