# SPDX-License-Identifier: MIT
"""A folder that becomes a file system, as our own writers read it: names sorted, no link followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from builder.errors import BuildError
from builder.image.disk.filesystems.labels import ATTRIBUTE, Labels
from builder.image.disk.placement import PlacedContent
from builder.sizes import MIB

# Types in directory entries, the same in xfs (xfs_da_format.h) and btrfs (btrfs_tree.h).
ENTRY_TYPES = {
    stat.S_IFREG: 1, stat.S_IFDIR: 2, stat.S_IFCHR: 3, stat.S_IFBLK: 4, stat.S_IFIFO: 5,
    stat.S_IFSOCK: 6, stat.S_IFLNK: 7,
}  # fmt: skip


class CannotHold(Exception):
    """The file system cannot hold what the folder has; the text goes on after "MOUNT POINT: "."""


class NoRoom(CannotHold):
    """The content does not fit."""

    def __init__(self) -> None:
        super().__init__("the content does not fit")


def no_room(placed: PlacedContent) -> BuildError:
    """Return the error of a file system that is too small for its content."""
    return BuildError(
        f"{placed.where}: the content does not fit into {placed.size // MIB} MiB of {placed.fstype}",
        hint="give it a larger --size",
    )


@contextmanager
def holding(placed: PlacedContent) -> Iterator[None]:
    """Name the volume when its file system cannot hold what it is to.

    Raises:
        BuildError: in place of CannotHold.
    """
    try:
        yield
    except NoRoom as error:
        raise no_room(placed) from error
    except CannotHold as error:
        raise BuildError(f"{placed.where}: {error}") from error


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A folder whose content becomes the root of a file system or subvolume; None: an empty one.

    `elsewhere` are paths below it that belong to another subvolume: empty folders here.
    """

    folder: Path | None
    elsewhere: frozenset[bytes] = frozenset()

    @property
    def path(self) -> bytes | None:
        """The folder as bytes."""
        return None if self.folder is None else os.fsencode(self.folder)


class Status(Protocol):
    """What an inode is, as os.stat_result has it."""

    @property
    def st_mode(self) -> int:
        """Type and mode."""

    @property
    def st_uid(self) -> int:
        """Owner."""

    @property
    def st_gid(self) -> int:
        """Group."""

    @property
    def st_mtime_ns(self) -> int:
        """Time of modification."""


@dataclass(frozen=True, slots=True)
class NewFolder:
    """A folder that is not the source's as it is there: if not stated otherwise root's, mode 755."""

    st_mtime_ns: int
    st_mode: int = stat.S_IFDIR | 0o755
    st_uid: int = 0
    st_gid: int = 0


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """A name in a folder; `is_bare` where it is known that it has no extended attributes."""

    name: bytes
    path: bytes
    info: os.stat_result
    is_bare: bool = False

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return stat.S_ISDIR(self.info.st_mode)

    @property
    def entry_type(self) -> int:
        """Its type in a directory entry."""
        return ENTRY_TYPES[stat.S_IFMT(self.info.st_mode)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Folders:
    """Reads the folders of one source; what is in those of `known` is known."""

    source: Source
    device: int = field(default=-1)
    known: Mapping[bytes, list[TreeEntry]] = field(default_factory=dict)

    def children(self, path: bytes) -> list[TreeEntry]:
        """Return what is in the folder `path`, sorted by the bytes of the names.

        Raises:
            CannotHold: another file system is mounted there.
        """
        if path in self.source.elsewhere:
            return []
        found = self.known.get(path)
        if found is None:
            with os.scandir(path) as entries:
                found = [TreeEntry(one.name, one.path, one.stat(follow_symlinks=False)) for one in entries]
            found.sort(key=lambda child: child.name)
        for child in found:
            if self.device >= 0 and child.info.st_dev != self.device:
                raise CannotHold(f"{show(child.path)}: another file system is mounted here")
        return found


def show(path: bytes) -> str:
    """Return a path for a message, on one line."""
    return repr(path.decode(errors="backslashreplace"))


def attributes(path: bytes, mode: int, labels: Labels | None) -> list[tuple[str, bytes]]:
    """Return the extended attributes of `path`, sorted by name; an empty list costs one call.

    Args:
        mode: its st_mode.
        labels: give the label, in place of the one that the file has; None: it is the file's.
    """
    names = os.listxattr(path, follow_symlinks=False)
    if labels is None:
        return [(name, os.getxattr(path, name, follow_symlinks=False)) for name in sorted(names)]
    found = [(name, os.getxattr(path, name, follow_symlinks=False)) for name in names if name != ATTRIBUTE]
    label = labels.of(path, mode)
    if label is not None:
        found.append((ATTRIBUTE, label))
    return sorted(found)


def data_runs(descriptor: int, info: os.stat_result, block: int) -> Sequence[tuple[int, int]]:
    """Return the (first, count) of blocks of a file that hold data: all of a file without holes.

    Runs begin and end on blocks, in order, none touching the next.
    """
    size = info.st_size
    if info.st_blocks * 512 >= size:
        return [(0, -(-size // block))] if size else []
    return list(_merge(_raw_runs(descriptor, size, block)))


def _raw_runs(descriptor: int, size: int, block: int) -> Iterator[tuple[int, int]]:
    position = 0
    while position < size:
        try:
            start = os.lseek(descriptor, position, os.SEEK_DATA)
        except OSError:
            return
        position = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start // block, -(-position // block)


def _merge(runs: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Turn (first, end) into (first, count), runs that share or touch a block into one."""
    held: tuple[int, int] | None = None
    for first, end in runs:
        if held is not None and first <= held[1]:
            held = (held[0], max(held[1], end))
            continue
        if held is not None:
            yield held[0], held[1] - held[0]
        held = (first, end)
    if held is not None:
        yield held[0], held[1] - held[0]


def source_of(mountpoint: str | None, sources: Mapping[str, Path]) -> Source:
    """Return the source of a file system that is mounted at `mountpoint`."""
    return Source(folder=sources.get(mountpoint) if mountpoint else None)
