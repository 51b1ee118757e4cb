# SPDX-License-Identifier: MIT
"""Rooms that root starts run as an id that owns nothing on the host.

Root without capabilities still owns what root owns: whatever reached a file of the host through a hole would
write it as root. So a room of root's runs in a user namespace in which root is a subordinate id, and what the
room is given is mounted for it in such a way that this id owns there what root, or whoever the owner is, owns
(idmapped mounts: mount_setattr(2), user_namespaces(7)). What it writes there is the owner's outside.

Where the kernel or a file system has no such mounts (Linux 5.12; ext4, xfs, btrfs, tmpfs from 6.3; not NFS),
where a room needs a device that only root may open, or we are root of a container only, the room runs as our
own id, without capabilities.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from builder.calls import CLONE_NEWUSER, MS_NODEV, MS_NOEXEC, MS_NOSUID, MountAttr, call, check
from builder.idmap import find_ids, is_root

# Of a range of subordinate ids: root of images is the first of it, so this one is not.
NOBODY = 65534
# Where the mounts are put, in the mount namespace of the room alone: what lies there was opened before.
_PLACE = Path("/tmp")
_AT_FDCWD, _AT_EMPTY_PATH = -100, 0x1000
_OPEN_TREE_CLONE, _OPEN_TREE_CLOEXEC = 1, 0o2000000
_MOUNT_ATTR_IDMAP, _MOVE_MOUNT_F_EMPTY_PATH = 0x00100000, 0x4
_EVERY_ID = ["0", "0", "4294967295"]

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Lowered:
    """How a room is entered. Where nothing could be made ready, `space` is None and nothing is done.

    `space`: the user namespace, a descriptor. `given`: (is a folder, the mount's descriptor) of each path.
    `paths`: what is given. `groups`: whose devices may be opened.
    """

    space: int | None = None
    given: tuple[tuple[bool, int], ...] = ()
    paths: tuple[Path, ...] = ()
    groups: tuple[int, ...] = ()

    def place(self, path: Path) -> Path:
        """Return where `path`, one of those given, is found after `enter`."""
        return path if self.space is None else _PLACE / str(self.paths.index(path))

    def enter(self) -> None:
        """Be the other id: called in a child that is in a mount namespace of its own.

        Raises:
            OSError: the kernel refuses a step.
        """
        if self.space is None:
            return
        options = f"mode=755,size=64k,nr_inodes={len(self.given) + 8}".encode()
        flags = ctypes.c_ulong(MS_NOSUID | MS_NODEV | MS_NOEXEC)
        check(_libc.mount(b"tmpfs", os.fsencode(_PLACE), b"tmpfs", flags, options))
        for number, (is_folder, mount) in enumerate(self.given):
            place = _PLACE / str(number)
            place.mkdir() if is_folder else place.touch()
            check(call("move_mount", mount, b"", _AT_FDCWD, os.fsencode(place), _MOVE_MOUNT_F_EMPTY_PATH))
        os.setgroups(self.groups)
        check(_libc.setns(self.space, CLONE_NEWUSER))
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)


AS_WE_ARE = Lowered()


@contextlib.contextmanager
def lowered(paths: Sequence[Path], devices: Sequence[str] = ()) -> Iterator[Lowered]:
    """Yield how a room that gets `paths` is entered by another id than ours, where we are the host's root.

    Args:
        paths: files and folders; what is mounted below a folder does not come with it.
        devices: files of /dev that it may open as their group may.
    """
    with contextlib.ExitStack() as stack:
        way = AS_WE_ARE
        if _is_host_root():
            with contextlib.suppress(OSError):
                way = _ready(paths, devices, stack)
        yield way


def _ready(paths: Sequence[Path], devices: Sequence[str], stack: contextlib.ExitStack) -> Lowered:
    space = _space(0, 0)
    given = []
    for path in paths:
        mount = call("open_tree", _AT_FDCWD, os.fsencode(path), _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC)
        check(min(mount, 0))
        stack.callback(os.close, mount)
        info = os.fstat(mount)
        attributes = MountAttr(attr_set=_MOUNT_ATTR_IDMAP, userns_fd=_space(info.st_uid, info.st_gid))
        pointer, size = ctypes.byref(attributes), ctypes.sizeof(attributes)
        check(call("mount_setattr", mount, b"", _AT_EMPTY_PATH, pointer, size))
        given.append((stat.S_ISDIR(info.st_mode), mount))
    groups = {_group_of(name) for name in devices if os.path.exists(name)} - {0}
    return Lowered(space=space, given=tuple(given), paths=tuple(paths), groups=tuple(groups))


def _group_of(device: str) -> int:
    """Return the group that may open a device; 0: everybody may.

    Raises:
        OSError: only root may, which no mount changes: /dev has no such mounts.
    """
    info = os.stat(device)
    if info.st_mode & 0o006 == 0o006:
        return 0
    # Root's own group may not be given: its files are root's.
    if info.st_mode & 0o060 == 0o060 and info.st_gid != 0:
        return info.st_gid
    raise PermissionError(device)


@cache
def _is_host_root() -> bool:
    """Say whether we are root of the host: of a container, its ids are subordinate already."""
    return is_root() and Path("/proc/self/uid_map").read_text().split() == _EVERY_ID


@cache
def _space(uid: int, gid: int) -> int:
    """Return a descriptor of a user namespace in which `uid` and `gid` are the subordinate id.

    Raises:
        OSError: the kernel refuses it.
    """
    ids = find_ids()
    over, over_in = os.pipe()
    made, made_in = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(over_in)
            if _libc.unshare(CLONE_NEWUSER) == 0:
                os.write(made_in, b"1")
                os.read(over, 1)
        finally:
            os._exit(0)
    try:
        os.close(made_in)
        if not os.read(made, 1):
            raise PermissionError("no user namespace")
        for kind, number, first in (("uid", uid, ids.uid_root), ("gid", gid, ids.gid_root)):
            Path(f"/proc/{pid}/{kind}_map").write_text(f"{number} {first + NOBODY} 1\n")
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        for descriptor in (over, over_in, made):
            os.close(descriptor)
        os.waitpid(pid, 0)
