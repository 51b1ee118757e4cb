# SPDX-License-Identifier: MIT
"""Walk and remove folders by descriptors: however deep they are, and whatever links are in them."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """A name in an open folder."""

    folder: int
    name: str
    is_folder: bool
    inode: int

    def stat(self) -> os.stat_result:
        """Return what stat(2) says of it; links are not followed."""
        return os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)


def walk(folder: int, skipped: Collection[int] = (), *, unlock: bool = False) -> Iterator[FolderEntry]:
    """Yield all below an open folder; a folder after what is in it.

    A tree may be thousands of folders deep: depth costs neither calls nor descriptors. The descriptor of an
    entry is good until the next is asked for.

    Args:
        skipped: numbers of inodes of folders that are left out, with what is below.
        unlock: give their owner all permissions of the folders.
    """
    here = os.open(".", OPEN, dir_fd=folder)
    waiting: list[tuple[Iterator[tuple[str, bool, int]], FolderEntry | None]] = [(_entries(here), None)]
    try:
        while waiting:
            entries, above = waiting[-1]
            name, is_folder, inode = next(entries, ("", False, 0))
            if not name:
                waiting.pop()
                if above is not None:
                    here = _move(here, "..")
                    yield replace(above, folder=here)
            elif not is_folder:
                yield FolderEntry(here, name, is_folder, inode)
            elif inode not in skipped:
                above = FolderEntry(here, name, is_folder, inode)
                if unlock:
                    _unlock(here, name)
                here = _move(here, name)
                waiting.append((_entries(here), above))
    finally:
        os.close(here)


def remove(parent: int, name: str, *, unlock: bool = False) -> None:
    """Remove `name` from the open folder `parent`, with all below where it is a folder.

    Links are removed, not followed.

    Args:
        unlock: folders without permissions too.
    """
    if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=parent)
        return
    if unlock:
        _unlock(parent, name)
    top = os.open(name, OPEN, dir_fd=parent)
    try:
        for entry in walk(top, unlock=unlock):
            remove_it = os.rmdir if entry.is_folder else os.unlink
            remove_it(entry.name, dir_fd=entry.folder)
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=parent)


def remove_tree(folder: Path) -> None:
    """Remove `folder` with everything in it, folders without permissions included.

    Raises:
        OSError: it cannot be removed; FileNotFoundError: it is not there.
    """
    parent = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        remove(parent, folder.name, unlock=True)
    finally:
        os.close(parent)


def _unlock(parent: int, name: str) -> None:
    """Give us all permissions of a folder of ours, by a handle: its name is not looked up twice."""
    handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        info = os.fstat(handle)
        if info.st_uid == os.geteuid() and info.st_mode & stat.S_IRWXU != stat.S_IRWXU:
            os.chmod(f"/proc/self/fd/{handle}", stat.S_IMODE(info.st_mode) | stat.S_IRWXU)
    finally:
        os.close(handle)


def _move(here: int, name: str) -> int:
    there = os.open(name, OPEN, dir_fd=here)
    os.close(here)
    return there


def _entries(folder: int) -> Iterator[tuple[str, bool, int]]:
    with os.scandir(folder) as entries:
        return iter([(entry.name, entry.is_dir(follow_symlinks=False), entry.inode()) for entry in entries])
