# SPDX-License-Identifier: MIT
"""mount(2) and its relatives, and the private /dev: what standard Python does not have.

Only for processes in a mount namespace of their own (`builder.image.isolation.namespaces`).
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from builder import calls
from builder.calls import MS_BIND, MS_NODEV, MS_NOSUID, MS_RDONLY, MS_REC, MS_REMOUNT, MountAttr, call
from builder.errors import PermissionMissing

MNT_DETACH = 2
_AT_FDCWD, _AT_RECURSIVE, _MOUNT_ATTR_RDONLY = -100, 0x8000, 1

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")

_libc = ctypes.CDLL(None, use_errno=True)


def make_devices(folder: str) -> None:
    """Make a private /dev of 1 MiB: the harmless devices, nothing of a disk."""
    os.makedirs(folder, exist_ok=True)
    mount("tmpfs", folder, "tmpfs", MS_NOSUID, "mode=755,size=1m,nr_inodes=1k")
    for name in DEVICES:
        Path(folder, name).touch()
        bind(f"/dev/{name}", f"{folder}/{name}", writable=True)
    for name, link in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink(f"/proc/self/fd{link}", f"{folder}/{name}")
    for name in ("pts", "shm"):
        os.mkdir(f"{folder}/{name}")
    os.chmod(f"{folder}/shm", 0o1777)


def mount(
    source: str | None, target: str, fstype: str | None, flags: int = 0, options: str | None = None
) -> None:
    """Call mount(2).

    Raises:
        OSError: with `target` as the file name.
    """
    encoded = [None if word is None else os.fsencode(word) for word in (source, target, fstype, options)]
    result = _libc.mount(encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3])
    check(result, f"mount {target}", target)


def unmount(target: str) -> None:
    """Detach what is mounted at `target`."""
    check(_libc.umount2(os.fsencode(target), MNT_DETACH), "umount2", target)


def bind(source: str, target: str, *, writable: bool = False) -> None:
    """Bind `source` with all below it to `target`, which is made when missing."""
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.lexists(target):
            Path(target).touch()
    mount(source, target, None, MS_BIND | MS_REC)
    if not writable:
        make_read_only(target)


def make_read_only(target: str) -> None:
    """Make the mount at `target`, and all below it, read-only."""
    attributes = MountAttr(attr_set=_MOUNT_ATTR_RDONLY)
    result = call(
        "mount_setattr",
        _AT_FDCWD,
        os.fsencode(target),
        _AT_RECURSIVE,
        ctypes.byref(attributes),
        ctypes.sizeof(attributes),
    )
    check(result, "mount_setattr (Linux 5.12 or later is needed)", target)


def make_read_only_alone(target: str) -> None:
    """Make the mount at `target` read-only, and none below it."""
    mount(None, target, None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV)


def check(result: int, what: str, where: str | None = None) -> None:
    """Raise what errno says when a call of libc did not return 0; without namespaces, with a hint."""
    if result != 0 and what == "unshare":
        raise PermissionMissing(
            f"the kernel allows no new namespaces: {os.strerror(ctypes.get_errno()).lower()}",
            hint="see sysctl kernel.unprivileged_userns_clone and user.max_user_namespaces; "
            "in a container, build with more privileges",
        )
    calls.check(result, what, where)


def pivot_root(folder: str) -> None:
    """Make `folder` the root and let go of the old one (pivot_root(2), its NOTES)."""
    os.chdir(folder)
    check(call("pivot_root", b".", b"."), "pivot_root")
    check(_libc.umount2(b".", MNT_DETACH), "umount2")
    os.chdir("/")
