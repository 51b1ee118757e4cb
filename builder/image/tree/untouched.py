# SPDX-License-Identifier: MIT
"""Which files of the tree nobody has touched since its packages were installed.

Times of an inode do not prove it: a program that maps a file of a tmpfs (mmap(2), MAP_SHARED) can change its
content without changing them. But it has to open the file first, and inotify(7) reports each open. A file
that was not opened has the content that it had, if its inode is the same and has an older ctime: a call that
changes a file by its path (truncate(2), rename(2)) changes the ctime, which no program can set.

The kernel has a bound on how many folders are watched, and on how much it tells before we listen: where it is
reached, no file counts as untouched.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from builder.image.disk.filesystems.source import TreeEntry

# sys/inotify.h
_MODIFY, _OPEN, _UNMOUNT, _OVERFLOW, _FOLDER = 0x02, 0x20, 0x2000, 0x4000, 0x40000000
_ONLY_FOLDERS, _NO_LINKS = 0x01000000, 0x02000000
# Watch, what happened, a cookie, bytes of the name that follows.
_EVENT = struct.Struct("iIII")
_READ = 1 << 20
# Of a tree with more names, nothing is watched.
MOST = 500_000

_libc = ctypes.CDLL(None, use_errno=True)


class Watch:
    """Watches the files that are in `top` now, while no program of the tree runs.

    Args:
        now: tells the time of the tree (`builder.image.tree.tree.now`).
    """

    def __init__(self, top: Path, now: Callable[[], int]) -> None:
        self._top = os.fsencode(top)
        self._descriptor = _libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        self._is_lost = self._descriptor < 0
        self._folders: dict[int, bytes] = {}
        self._inodes: dict[bytes, int] = {}
        self._touched: set[int] = set()
        pending = [self._top]
        while pending and not self._is_lost:
            pending += self._watch(pending.pop())
        # After the last of them: of what is changed in the same moment nobody says when.
        self._since = now()

    def _watch(self, folder: bytes) -> Iterable[bytes]:
        """Watch a folder, and know its files; return the folders in it."""
        watched = _OPEN | _MODIFY | _ONLY_FOLDERS | _NO_LINKS
        number = _libc.inotify_add_watch(self._descriptor, folder, watched)
        if number < 0 or len(self._inodes) > MOST:
            self._is_lost = True
            return []
        self._folders[number] = folder
        below = []
        with os.scandir(folder) as entries:
            for one in entries:
                if one.is_dir(follow_symlinks=False):
                    below.append(one.path)
                else:
                    self._inodes[one.path] = one.inode()
        return below

    def listen(self) -> None:
        """Learn what was opened: the kernel remembers only so much."""
        while not self._is_lost:
            try:
                told = os.read(self._descriptor, _READ)
            except BlockingIOError:
                return
            self._learn(told)

    def _learn(self, told: bytes) -> None:
        at = 0
        while at < len(told):
            number, happened, _, length = _EVENT.unpack_from(told, at)
            at += _EVENT.size + length
            if happened & (_OVERFLOW | _UNMOUNT):
                self._is_lost = True
            elif length and not happened & _FOLDER:
                name = told[at - length : at].rstrip(b"\0")
                inode = self._inodes.get(self._folders[number] + b"/" + name)
                if inode is not None:
                    self._touched.add(inode)

    def untouched(self, folders: Mapping[bytes, Iterable[TreeEntry]], top: bytes) -> set[bytes]:
        """Return the paths of the files that nobody has touched, while none of the image's programs runs.

        Args:
            folders: what is in each folder.
            top: where the file system of the root is seen.
        """
        self.listen()
        if self._is_lost:
            return set()
        return {
            one.path
            for folder, children in folders.items()
            if folder == top or folder.startswith(top + b"/")
            for one in children
            if self._inodes.get(self._top + one.path[len(top) :]) == one.info.st_ino
            and one.info.st_ino not in self._touched
            and one.info.st_ctime_ns < self._since
        }
